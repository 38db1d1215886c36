"""samehost(1): nothing of the code is missing in it, and those who show manuals can read it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from desktop.api.counters import COUNTERS, MACHINE_COUNTERS
from desktop.doctor.checks import CHECKS
from desktop.errors import ExitCode, SamehostError
from desktop.mirror.model import State
from desktop.paths import Paths
from desktop.settings.keys import KEYS
from link.version import VERSION
from scripts.command_tree import Command, commands
from scripts.dist.manual import TEMPLATE, escaped, manual
from scripts.reference.variables import VARIABLES
from tests.packaging.stage import tool

SECTIONS = (
    *("NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "COMMANDS", "SETTINGS", "PORT STATES"),
    *("CHECKS", "COUNTERS", "EXIT STATUS", "ENVIRONMENT", "FILES", "EXAMPLES", "SECURITY"),
    "SEE ALSO",
)


@pytest.fixture(scope="module")
def page() -> str:
    """As it is shipped."""
    return manual()


@pytest.fixture(scope="module")
def shown(page: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """As `man` shows it, on a terminal of any width."""
    file = tmp_path_factory.mktemp("man") / "samehost.1"
    file.write_text(page)
    out = said_by([tool("mandoc"), "-T", "utf8", "-O", "width=400", str(file)])
    return re.sub(r".\x08", "", out)


def said_by(command: list[str], page: str = "") -> str:
    done = subprocess.run(command, input=page, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    return done.stdout


def section(shown: str, name: str) -> str:
    return "\n" + re.split(r"\n(?=[A-Z])", shown.split(f"\n{name}\n")[1])[0]


def tagged(shown: str, name: str) -> set[str]:
    """The words that a section explains, each at the begin of a line less far in."""
    lines = re.findall(r"(?m)^ {5,7}(\S.*)", section(shown, name))
    return {word.strip(",") for line in lines for word in line.split()}


def test_it_has_the_sections_of_a_manual(shown: str) -> None:
    assert tuple(re.findall(r"(?m)^([A-Z][A-Z ]+)$", shown)) == SECTIONS


def test_it_is_of_this_version_and_of_the_time_it_is_given() -> None:
    assert f'.TH SAMEHOST 1 "2001-09-09" "samehost {VERSION}"' in manual(seconds=1_000_000_000)
    assert VERSION not in TEMPLATE.read_text()


def test_groff_reads_it_without_a_warning(page: str) -> None:
    said_by([tool("groff"), "-man", "-ww", "-Tutf8", "-z"], page)


def test_man_shows_it_without_a_warning(page: str, tmp_path: Path) -> None:
    file = tmp_path / "samehost.1"
    file.write_text(page)
    out = said_by([tool("man"), "--warnings", "--local-file", str(file)])
    assert "SAMEHOST(1)" in out


def test_mandoc_finds_nothing_wrong_with_it(page: str) -> None:
    assert said_by([tool("mandoc"), "-T", "lint", "-W", "warning"], page) == ""


@pytest.mark.parametrize("command", commands(), ids=lambda command: " ".join(command.words))
def test_every_command_with_its_options_and_arguments_is_explained(
    command: Command, shown: str
) -> None:
    name = " ".join(("samehost", *command.words))
    if not command.words:
        text = section(shown, "OPTIONS")
    else:
        text = re.split(
            r"\n {3}(?=samehost)", section(shown, "COMMANDS").split(f"\n   {name}\n")[1]
        )[0]
    for action in command.options:
        assert all(option in text for option in action.option_strings)
        assert f"{(action.help or '?')[1:]}" in text
    for action in command.arguments:
        assert (
            not isinstance(action.metavar, str) or action.metavar in text or name.endswith("docker")
        )
    assert command.help[1:] in text


def test_the_synopsis_has_every_command_that_does_something(shown: str) -> None:
    text = section(shown, "SYNOPSIS")
    leaves = [each for each in commands() if each.words not in ((), ("settings",), ("machine",))]
    assert [each.words for each in leaves if f"samehost {' '.join(each.words)}" not in text] == []


def test_every_setting_is_explained_with_its_default(shown: str) -> None:
    text = section(shown, "SETTINGS")
    for key in KEYS.values():
        about = re.split(rf"\n +{key.name}\s", text)[1].split("\n\n")[0]
        assert f"Form: {key.form}." in about
        assert "Default: " in about


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("EXIT STATUS", [str(code.value) for code in ExitCode]),
        ("CHECKS", [check.name for check in CHECKS]),
        ("COUNTERS", [*COUNTERS, *MACHINE_COUNTERS]),
        ("PORT STATES", [str(state) for state in State]),
        ("ENVIRONMENT", list(VARIABLES)),
    ],
)
def test_what_the_code_has_of_these_is_all_there(name: str, words: list[str], shown: str) -> None:
    assert set(words) <= tagged(shown, name)


def test_every_file_is_named(shown: str) -> None:
    text = section(shown, "FILES")
    paths = Paths.under(Path("/home"))
    files = (
        *(paths.settings_file, paths.policy_file, paths.log_file, paths.api_socket),
        paths.lock_file,
    )
    assert [file for file in files if str(file.relative_to("/home")) not in text] == []
    assert str(Paths.of_user().policy_file) in text


def test_a_command_that_has_no_place_yet_is_there_all_the_same() -> None:
    template = TEMPLATE.read_text().replace('.\\" @command logs\n', "")
    page = manual(template, 0)
    assert ".SS samehost logs\n" in page
    assert page.index(".SS samehost logs\n") > page.index(".SS samehost version\n")


@pytest.mark.parametrize("place", ["command fly", "nothing", "settings now"])
def test_a_place_that_nothing_fills_is_an_error(place: str) -> None:
    with pytest.raises(SamehostError, match="nothing fills"):
        manual(f'.\\" @{place}\n', 0)


@pytest.mark.parametrize(
    ("text", "roff"),
    [
        ("a-b", "a\\-b"),
        (".x", "\\&.x"),
        ("'x", "\\&'x"),
        ("a\\b", "a\\eb"),
        ("so `x y`", "so \\fBx y\\fR"),
    ],
)
def test_plain_text_stays_what_it_is(text: str, roff: str) -> None:
    assert escaped(text) == roff
