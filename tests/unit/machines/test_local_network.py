"""No route to a machine, on macOS 15 and later: it may be the permission that is missing."""

from __future__ import annotations

import errno

import pytest

from desktop.machines.local_network import ADVICE, advice_on_no_route
from desktop.machines.openssh import complaints
from desktop.machines.openssh.client import SshClient
from desktop.machines.paramiko import connection
from desktop.machines.paramiko.connection import as_shell_error
from desktop.machines.ssh_config import Hop
from desktop.machines.ssh_destination import SshDestination

BOX = SshClient(SshDestination("box", "me", 2222))


@pytest.mark.parametrize(
    ("platform", "release", "is_told"),
    [
        ("darwin", "15.0", True),
        ("darwin", "26.4.1", True),
        ("darwin", "14.7.2", False),
        ("darwin", "10.15.7", False),
        ("darwin", "", False),
        ("darwin", "x", False),
        ("linux", "26.4", False),
        ("win32", "26.4", False),
    ],
)
def test_it_is_told_where_there_is_such_a_permission(
    platform: str, release: str, is_told: bool
) -> None:
    assert advice_on_no_route(platform, release) == (ADVICE if is_told else "")


def test_on_linux_there_is_none() -> None:
    assert advice_on_no_route("linux") == ""


@pytest.mark.parametrize("advice", [ADVICE, ""])
def test_ssh_that_finds_no_route_is_told_so(monkeypatch: pytest.MonkeyPatch, advice: str) -> None:
    monkeypatch.setattr(complaints, "advice_on_no_route", lambda: advice)
    said = "ssh: connect to host box port 2222: No route to host"
    error = complaints.as_error(BOX, said, 255)
    assert error.remedy.startswith(advice)
    assert "is the machine on" in error.remedy
    refused = complaints.as_error(BOX, said.replace("No route to host", "Connection refused"), 255)
    assert ADVICE not in refused.remedy


def test_paramiko_that_finds_no_route_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "advice_on_no_route", lambda: ADVICE)
    hop = Hop(host="box", port=22, user="ada")
    no_route = as_shell_error(OSError(errno.EHOSTUNREACH, "No route to host"), hop)
    assert no_route.remedy.startswith(ADVICE)
    assert "ssh -p 22" in no_route.remedy
    assert ADVICE not in as_shell_error(OSError(errno.EIO, "broken"), hop).remedy
