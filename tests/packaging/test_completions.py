"""Completions, as the real shells carry them out."""

from __future__ import annotations

from pathlib import Path

import pytest

from desktop.settings.keys import KEYS
from scripts.command_tree import commands
from scripts.dist.completions import PLACES, completion
from tests.packaging.typing_shell import Shell, complete


@pytest.fixture(scope="module", params=sorted(PLACES))
def shell(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """One of the shells, with the completion that is shipped."""
    name = request.param
    folder = tmp_path_factory.mktemp(name)
    return Shell.with_completion(name, folder, Path(PLACES[name]).name, completion(name))


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ("sta\t", ["status"]),
        ("sta\t--js\t", ["status", "--json"]),
        ("--vers\t", ["--version"]),
        ("settings g\tportB\t", ["settings", "get", "portBinding"]),
        ("gui --page ne\t", ["gui", "--page", "network"]),
        ("machine us\tcol\t", ["machine", "use", "colima"]),
        ("up --mach\tlima\t", ["up", "--machine", "lima-docker"]),
        ("doctor watch\teng\t", ["doctor", "watcher", "engine"]),
        ("doctor --bundle rep\t", ["doctor", "--bundle", "report.zip"]),
    ],
)
def test_tab_completes_what_was_begun(shell: Shell, keys: str, words: list[str]) -> None:
    assert complete(shell, keys) == words


def test_a_machine_that_is_not_there_is_not_made_up(shell: Shell) -> None:
    if shell.name == "fish":
        pytest.skip("fish is asked for what fits, and nothing does")
    assert complete(shell, "machine use qq\t") == ["machine", "use", "qq"]


@pytest.mark.parametrize("name", sorted(PLACES))
def test_each_script_knows_every_command_option_and_setting(name: str) -> None:
    text = completion(name)
    words = {word for command in commands() for word in command.words} | set(KEYS)
    options = {
        option.lstrip("-") if name == "fish" else option
        for command in commands()
        for action in command.options
        for option in action.option_strings
    }
    assert [word for word in sorted(words | options) if word not in text] == []
