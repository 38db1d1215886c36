"""docs/reference.md is what the code says, and the code has a sentence for every name."""

from __future__ import annotations

import argparse
import enum
import re
import sys
from pathlib import Path
from typing import get_args

import pytest

import desktop.api.types
from desktop.api.states import FINDING_STATES, LINK_STATES, MACHINE_STATES
from desktop.cli.main import VERBS
from desktop.machines import examination
from desktop.settings.keys import KEYS
from scripts.reference import commands, variables
from scripts.reference.__main__ import main
from scripts.reference.page import BLOCKS, PAGE, PageError, renewed
from scripts.reference.wire import structs
from scripts.reference.words import NoSentenceError, members_of, require, table

PROJECT = Path(__file__).parents[2]
TEXT = PAGE.read_text(encoding="utf-8")


def test_the_reference_is_what_the_generator_writes() -> None:
    assert renewed(TEXT) == TEXT, "bring it up to date: make reference"


@pytest.mark.parametrize("name", BLOCKS)
def test_each_block_says_something(name: str) -> None:
    assert len(BLOCKS[name]().splitlines()) >= 3


@pytest.mark.parametrize("name", [*VERBS, *KEYS])
def test_every_verb_and_every_setting_is_there(name: str) -> None:
    assert f"### samehost {name}\n" in TEXT or f"\n| `{name}` |" in TEXT


def test_every_type_of_the_control_api_has_a_part_of_its_own() -> None:
    defined = {each for each in vars(desktop.api.types).values() if isinstance(each, type)}
    assert defined <= set(structs())
    for kind in structs():
        assert TEXT.count(f"\n### {kind.__name__}\n") == 1


def test_a_stale_page_is_told_and_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "reference.md"
    page.write_text(TEXT.replace("| `0` | Done. |", "| `0` | Undone. |"))
    monkeypatch.setattr("scripts.reference.__main__.PAGE", page)
    assert main(["--check"]) == 1
    assert "make reference" in capsys.readouterr().out
    assert main([]) == 0
    assert page.read_text() == TEXT
    assert main(["--check"]) == 0


def test_what_people_wrote_outside_of_blocks_stays() -> None:
    changed = TEXT.replace("# Reference\n", "# Reference\n\nA sentence of somebody's.\n", 1)
    assert renewed(changed) == changed


@pytest.mark.parametrize(
    ("old", "new", "name"),
    [
        ("<!-- block: settings -->", "", "settings"),
        ("block: counters -->", "block: sums -->", "counters"),
        ("# Reference\n", "<!-- block: files -->\n<!-- end: files -->\n", "files"),
    ],
)
def test_a_block_that_is_missing_wrong_or_twice_there_is_named(
    old: str, new: str, name: str
) -> None:
    with pytest.raises(PageError, match=rf"\b{name}\b"):
        renewed(TEXT.replace(old, new, 1))


def test_an_option_without_help_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def add_arguments(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--silent")

    monkeypatch.setattr(sys.modules["desktop.cli.logs"], "add_arguments", add_arguments)
    with pytest.raises(NoSentenceError, match=r"samehost logs --silent has no sentence"):
        commands.commands()


class Halves(enum.Enum):
    """One member has a sentence."""

    LEFT = 1
    """It is on the left."""
    RIGHT = 2


def test_a_member_without_a_sentence_is_an_error() -> None:
    with pytest.raises(NoSentenceError, match=r"Halves\.RIGHT has no sentence"):
        members_of(Halves)


def test_an_empty_sentence_is_none() -> None:
    with pytest.raises(NoSentenceError, match="a thing"):
        require(" \n", "a thing")


def test_a_sentence_is_one_line_and_a_bar_stays_in_its_cell() -> None:
    assert require(" two\n  lines ", "a thing") == "two lines"
    assert table(("a",), [("b|c",)]).splitlines()[-1] == r"| b\|c |"


def test_the_variables_are_those_that_the_source_reads() -> None:
    read = variables.read_by_the_source()
    assert {"SAMEHOST_HOME", "NO_COLOR", "LIMA_HOME", "DOCKER_CONTEXT", "SUDO_UID"} <= read
    assert set(variables.VARIABLES) == read | variables.BY_OTHERS


def test_the_states_of_a_finding_are_those_of_the_examination() -> None:
    assert set(FINDING_STATES) == set(get_args(examination.State))


def test_a_link_and_a_machine_tell_no_state_that_is_not_listed() -> None:
    source = (PROJECT / "desktop/daemon/attachment.py").read_text()
    set_there = set(re.findall(r'"(\w+)"', " ".join(re.findall(r"_set\((.*)\)", source))))
    assert {word for word in set_there if word} == set(LINK_STATES)
    finders = map(Path.read_text, (PROJECT / "desktop/machines/found").glob("*.py"))
    for states in re.findall(r"STATES: Final.*?\{(.*?)\}", "\n".join(finders), re.DOTALL):
        told = set(re.findall(r': "(\w+)"', states))
        assert told
        assert told <= set(MACHINE_STATES)
