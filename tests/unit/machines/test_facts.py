"""What a machine says of itself, and what that means for the agent."""

from __future__ import annotations

import asyncio

import pytest

from desktop.machines.facts import Facts, ask
from desktop.machines.launch import AgentStartError
from desktop.machines.local_shell import LocalShell
from link.outcome import Outcome

SAID = """\
Welcome to the machine
python 2.7.0 /from/the/banner
samehost-facts
system Linux 6.1.0-31-cloud-amd64 x86_64
user 1000 me
python 3.8.10 /usr/bin/python3
python 3.11.2 /usr/bin/python3.11
root by sudo
engine /run/docker.sock
engine /run/containerd/containerd.sock
"""


def test_facts_are_read_after_the_banner() -> None:
    facts = Facts.read(SAID)
    assert facts.linux() == "Linux 6.1.0-31-cloud-amd64 x86_64"
    assert facts.python() == "3.11.2 /usr/bin/python3.11"
    assert facts.becomes_root() == "by sudo; user 1000 me"
    assert facts.engine() == "/run/docker.sock, /run/containerd/containerd.sock"


@pytest.mark.parametrize(
    ("said", "look", "outcome", "words"),
    [
        ("system Darwin 24.0 arm64", Facts.linux, Outcome.NOT_LINUX, "Darwin"),
        ("", Facts.linux, Outcome.NOT_LINUX, "no Linux"),
        ("python 3.8.10 /usr/bin/python3", Facts.python, Outcome.OLD_PYTHON, "3.8.10"),
        ("", Facts.python, Outcome.NO_PYTHON, "no python3"),
        ("python", Facts.python, Outcome.OLD_PYTHON, "only Python"),
        ("python three.eleven", Facts.python, Outcome.OLD_PYTHON, "three.eleven"),
        ("python " + "9" * 5000, Facts.python, Outcome.OLD_PYTHON, "999"),
        ("user 7 me\nnoroot sudo: no", Facts.becomes_root, Outcome.NO_PERMISSION, "7 me.*sudo: no"),
    ],
    ids=[
        *("another system", "no system", "old", "none"),
        *("no version", "words for a version", "an endless version", "no root"),
    ],
)
def test_what_is_missing_is_said_in_the_vocabulary(
    said: str, look: object, outcome: Outcome, words: str
) -> None:
    assert callable(look)
    with pytest.raises(AgentStartError, match=words) as caught:
        look(Facts.read(f"samehost-facts\n{said}\n"))
    assert caught.value.outcome is outcome
    assert caught.value.remedy


def test_no_engine_is_no_fault() -> None:
    assert "none" in Facts.read("samehost-facts\n").engine()


def test_this_computer_tells_of_itself() -> None:
    facts = asyncio.run(ask(LocalShell()))
    assert facts.linux().startswith("Linux ")
    assert facts.python().startswith("3.")
    assert facts.user
