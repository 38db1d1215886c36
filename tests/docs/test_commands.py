"""Every command of the documents is played in a sandbox, or parsed and has a reason why not."""

from __future__ import annotations

import re
import shlex

import pytest

from desktop.errors import UsageError
from tests.docs.classes import NOT_RUN, PLAYED, UNANSWERED
from tests.docs.forms import WrongCommandError, check
from tests.docs.pages import PAGES, PROJECT, Command, pages, simple_commands

NAMED = re.compile(r"(tests/[\w/]+\.py)(?:::(\w+))?")


def in_blocks(page: str) -> list[Command]:
    """The commands of its code blocks."""
    return [command for command in pages()[page].commands() if not command.is_inline]


@pytest.mark.parametrize("page", PAGES)
def test_every_command_exists(page: str) -> None:
    wrong = []
    for command in pages()[page].commands():
        for words in simple_commands(command.text):
            try:
                check(words, is_whole=not command.is_inline)
            except (WrongCommandError, UsageError) as error:
                wrong.append(f"{command}: {error}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("page", PAGES)
def test_every_section_with_commands_is_played_or_has_a_reason_why_not(page: str) -> None:
    sections = {command.section for command in in_blocks(page)}
    played = set(PLAYED.get(page, ()))
    reasoned = {section for name, section in NOT_RUN if name == page}
    assert not played & reasoned
    assert sections == played | reasoned


def test_a_program_whose_lines_are_not_run_has_some() -> None:
    programs = {command.text.split()[0] for page in PLAYED for command in in_blocks(page)}
    assert set(UNANSWERED) <= programs


def test_the_tests_that_run_a_command_instead_exist() -> None:
    named = [match for reason in NOT_RUN.values() for match in NAMED.finditer(reason)]
    assert len(named) >= 5
    for match in named:
        text = (PROJECT / match[1]).read_text()
        assert match[2] is None or f"def {match[2]}(" in text, match[0]


def test_the_documented_examples_are_those_that_are_run() -> None:
    test = (PROJECT / "tests/integration/test_main_job.py").read_text()
    examples = [each.text for each in in_blocks("README.md") if "netshoot" in each.text]
    assert len(examples) == 2
    for example in examples:
        words = shlex.split(example.partition("samehost docker run ")[2])
        assert {"--rm", "--net=host", "samehost/netshoot", "nc"} <= set(words)
    assert "-lkv" in test


@pytest.mark.parametrize(
    "wrong",
    [
        "samehost fly",
        "samehost machine marry NAME",
        "samehost up --machines NAME",
        "samehost machine use",
        "samehost settings set portBinding everywhere",
        "samehost settings get portBind",
        "samehost doctor heart",
        "make coffee",
    ],
)
def test_what_does_not_exist_is_found(wrong: str) -> None:
    with pytest.raises((WrongCommandError, UsageError)):
        check(shlex.split(wrong), is_whole=True)


@pytest.mark.parametrize(
    "right",
    ["samehost machine use", "samehost settings get", "samehost doctor CHECK…", "make up"],
)
def test_the_running_text_may_leave_out_what_a_command_needs(right: str) -> None:
    check(shlex.split(right), is_whole=False)


def test_each_command_of_a_line_is_seen() -> None:
    line = "sudo samehost status > FILE && printf 'a | b' | samehost docker load"
    programs = [words[0] for words in simple_commands(line)]
    assert programs == ["samehost", "FILE", "printf", "samehost"]
