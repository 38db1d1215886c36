"""What the documents say to type is typed, in a sandbox, and shows what they say that it shows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.classes import PLAYED
from tests.docs.pages import PROJECT
from tests.docs.play import missing_lines, to_play
from tests.integration.conftest import short_home

__all__ = ["short_home"]

IN_A_COMPUTER_OF_ITS_OWN = """
ip link set lo up
mount -n -t tmpfs tmpfs /run
mount -n -t tmpfs tmpfs "$1"
mkdir "$1/upper" "$1/work"
mount -n -t overlay -o "lowerdir=/etc,upperdir=$1/upper,workdir=$1/work" overlay /etc
shift
exec "$@"
"""
"""For `unshare --net --mount`: its own ports, and an /etc in which a policy may be put."""


@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", PLAYED)
def test_every_command_does_and_shows_what_the_document_says(page: str, short_home: Path) -> None:
    home, scratch = short_home / "home", short_home / "scratch"
    home.mkdir()
    scratch.mkdir()
    own = ["unshare", "--net", "--mount", "sh", "-eu", "-c", IN_A_COMPUTER_OF_ITS_OWN, "-"]
    done = subprocess.run(
        [*own, str(scratch), sys.executable, "-m", "tests.docs.play", page],
        cwd=PROJECT,
        env={**os.environ, "SAMEHOST_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert not report["problems"], "\n".join(report["problems"])
    assert report["commands"] == len(to_play(page)) > 0
    assert not list((home / "run").glob("*"))


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("machine  tcp  0.0.0.0:80  active", "machine  tcp       0.0.0.0:80  active  web"),
        ("held by nginx (pid 7)", "held by nginx (pid 65123)"),
        ("up for 5 s, …, over unix", "up for 71 ms, kernel 6.1, over unix"),
        ("export DOCKER_HOST=unix:///…/docker.sock", "export DOCKER_HOST=unix:///a/b/docker.sock"),
    ],
)
def test_what_differs_each_time_may_differ(shown: str, printed: str) -> None:
    assert missing_lines((shown,), f"before\n{printed}\nafter") == []


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("machine tcp 0.0.0.0:80", "machine tcp 0.0.0.0:8080"),
        ("state is active", "state is conflict"),
        ("port 80…is open", "port 81 is open"),
    ],
)
def test_what_is_not_printed_is_missed(shown: str, printed: str) -> None:
    assert missing_lines((shown,), printed) == [shown]


def test_lines_have_to_come_in_their_order() -> None:
    assert missing_lines(("one", "two"), "one\ntwo") == []
    assert missing_lines(("two", "one"), "one\ntwo") == ["one"]
