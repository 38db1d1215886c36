"""A script survives every log-in shell."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desktop.machines.quoting import login_command

SHELLS = ["sh", "bash", "dash", "zsh", "fish", "csh", "tcsh", "ksh", "mksh", "busybox"]


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> list[str]:
    """How a log-in shell is told a command."""
    name = request.param
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    return [name, "sh"] if name == "busybox" else [name]


def said_by(shell: list[str], script: str, *arguments: str) -> bytes:
    command = [*shell, "-c", login_command(script), *arguments]
    return subprocess.run(command, capture_output=True, check=True, timeout=20).stdout


def test_quotes_dollars_and_line_feeds_arrive(shell: list[str]) -> None:
    script = """word='it is "so"!'\nfor n in 1 2; do echo "$word $n \\\\ %s"; done"""
    assert said_by(shell, script) == b"""it is "so"! 1 \\ %s\nit is "so"! 2 \\ %s\n"""


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_characters="\0\r")))
def test_any_text_arrives(text: str) -> None:
    quoted = text.replace("'", "'\\''")
    assert said_by(["sh"], f"printf '[%s]' '{quoted}'") == f"[{text}]".encode()


def test_only_plain_words_and_quotes_are_used() -> None:
    command = login_command("echo 'a!'\n\\ \t$x `y` \"z\" é")
    assert not set("!\n\t`") & set(command)
    assert command.isascii()
