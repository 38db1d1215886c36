"""What ssh(1) says is understood, and leads to what a person can do.

The texts are those of OpenSSH 9.2p1 and 10.0p2, with names and paths changed.
"""

from __future__ import annotations

import pytest

from desktop.machines.openssh.client import SshClient
from desktop.machines.openssh.complaints import as_error
from desktop.machines.shell import ShellTrouble
from desktop.machines.ssh_destination import SshDestination

CHANGED = """\
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
IT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!
Offending ED25519 key in /home/me/.ssh/known_hosts:7
  remove with:
  ssh-keygen -f "/home/me/.ssh/known_hosts" -R "[box]:2222"
Host key for [box]:2222 has changed and you have requested strict checking.
Host key verification failed.
"""
UNKNOWN = """\
No ED25519 host key is known for [box]:2222 and you have requested strict checking.
Host key verification failed.
"""
JUMP_REFUSED = """\
me@jump: Permission denied (publickey).
kex_exchange_identification: Connection closed by remote host
Connection closed by UNKNOWN port 65535
"""


@pytest.mark.parametrize(
    ("said", "trouble", "remedy"),
    [
        (CHANGED, "HOST_KEY_CHANGED", 'ssh-keygen -f "/home/me/.ssh/known_hosts" -R "[box]:2222"'),
        (UNKNOWN, "UNKNOWN_HOST_KEY", "ssh-keyscan -p 2222 box >> /home/me/.ssh/known_hosts"),
        ("me@box: Permission denied (publickey).", "AUTHENTICATION_FAILED", "ssh-copy-id"),
        (JUMP_REFUSED, "AUTHENTICATION_FAILED", "ssh-add"),
        (
            "Received disconnect from 192.0.2.1 port 22:2: Too many authentication failures",
            "AUTHENTICATION_FAILED",
            "BatchMode=yes",
        ),
        (
            "ssh: Could not resolve hostname box: Name or service not known",
            "UNREACHABLE",
            "correct the name",
        ),
        ("ssh: connect to host box port 2222: Connection refused", "REFUSED", "2222"),
        (
            "ssh: connect to host box port 2222: No route to host",
            "UNREACHABLE",
            "is the machine on",
        ),
        ("ssh: connect to host box port 2222: Connection timed out", "TIMED_OUT", "machine on"),
        ("Connection timed out during banner exchange", "TIMED_OUT", "machine on"),
        ("Timeout, server box not responding.", "TIMED_OUT", "machine on"),
        ("kex_exchange_identification: read: Connection reset by peer", "REFUSED", "try it: ssh"),
        ("Connection closed by 192.0.2.1 port 2222", "REFUSED", "try it: ssh"),
        ("Something new under the sun", "FAILED", "try it: ssh"),
        ("", "FAILED", "try it: ssh"),
    ],
    ids=lambda value: value.strip().splitlines()[-1][:50] if value.strip() else "nothing",
)
def test_each_complaint_has_its_trouble_and_its_remedy(
    said: str, trouble: str, remedy: str
) -> None:
    client = SshClient(SshDestination("box", "me", 2222))
    client.configured = {
        "hostname": "box",
        "port": "2222",
        "userknownhostsfile": "/home/me/.ssh/known_hosts /home/me/.ssh/known_hosts2",
    }
    error = as_error(client, said, 255)
    assert error.trouble is ShellTrouble[trouble]
    assert remedy in error.remedy
    assert "box" in error.message
    assert "\n" not in error.message


def test_an_ssh_that_was_killed_is_no_fault_of_the_server() -> None:
    error = as_error(SshClient(SshDestination("box")), "", -9)
    assert error.trouble is ShellTrouble.KILLED
    assert "signal 9" in error.message


def test_words_that_nobody_knows_are_shown_as_far_as_they_help() -> None:
    error = as_error(SshClient(SshDestination("box")), "x" * 100_000, 255)
    assert "xxx" in error.message
    assert len(error.message) < 1000
