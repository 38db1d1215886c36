"""What ssh(1) complains about, told apart by its words, with what a person can do about it.

Rules: values only. The words are those of OpenSSH 7.4 to 10 in English (`environment` in `client`
sees to that); the exit status is 255 for all of them. Of several complaints the first in this table
counts: what a jump host says comes with what follows from it. Words that nobody knows are shown as
they are.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from desktop.machines.local_network import advice_on_no_route
from desktop.machines.openssh.client import SshClient, person_command
from desktop.machines.shell import ShellError, ShellTrouble

__all__ = ["as_error", "last_line"]

SHOWN_CHARACTERS: Final = 500

_Remedy = Callable[[SshClient, str], str]


@dataclass(frozen=True, slots=True)
class _Complaint:
    words: re.Pattern[str]
    trouble: ShellTrouble
    message: str
    remedy: _Remedy


def _try_it(client: SshClient, _said: str) -> str:
    return f"try it: {person_command(client.destination, 'true')}"


def _ask_once(client: SshClient, _said: str) -> str:
    port = "" if client.port == 22 else f" -p {client.port}"
    keys = f"ssh-keyscan{port} {shlex.quote(client.host)}"
    connect = person_command(client.destination, "true")
    return (
        f"connect once by hand, compare the fingerprint and say yes: {connect} - or, where the "
        f"network is to be trusted: {keys} >> {client.known_hosts}"
    )


def _forget_key(client: SshClient, said: str) -> str:
    advised = re.search(r"^\s*(ssh-keygen .*-R .*?)\s*$", said, re.MULTILINE)
    name = client.host if client.port == 22 else f"[{client.host}]:{client.port}"
    command = advised[1] if advised else f"ssh-keygen -R {shlex.quote(name)}"
    return (
        "if the server was installed anew, forget its old key, and connect once by hand: "
        f"{command} && {person_command(client.destination, 'true')} - if not, somebody may be "
        "in between"
    )


def _give_key(client: SshClient, _said: str) -> str:
    batch = person_command(client.destination, "-o", "BatchMode=yes", "true")
    return (
        "log in must work without a question: unlock the key with ssh-add, or install it with "
        f"ssh-copy-id; then this succeeds: {batch}"
    )


def _is_it_on(client: SshClient, _said: str) -> str:
    return f"is the machine on, does sshd run there, is {client.port} its port?"


def _is_there_a_way(client: SshClient, said: str) -> str:
    return "; ".join(filter(None, [advice_on_no_route(), _is_it_on(client, said)]))


def _complaint(words: str, trouble: ShellTrouble, message: str, remedy: _Remedy) -> _Complaint:
    return _Complaint(re.compile(words, re.IGNORECASE), trouble, message, remedy)


_COMPLAINTS: Final = (
    _complaint(
        r"REMOTE HOST IDENTIFICATION HAS CHANGED|host key for .* has changed",
        ShellTrouble.HOST_KEY_CHANGED,
        "the host key of {place} is not the one that is known",
        _forget_key,
    ),
    _complaint(
        r"host key is known for|Host key verification failed",
        ShellTrouble.UNKNOWN_HOST_KEY,
        "the host key of {place} is not known yet",
        _ask_once,
    ),
    _complaint(
        r"Permission denied|Too many authentication failures|No more authentication methods",
        ShellTrouble.AUTHENTICATION_FAILED,
        "{place} does not accept the log-in",
        _give_key,
    ),
    _complaint(
        r"Could not resolve hostname|Name or service not known|not known|No address associated",
        ShellTrouble.UNREACHABLE,
        "there is no host of the name {host}",
        lambda client, _said: f"correct the name: {client.destination}",
    ),
    _complaint(
        r"Connection refused",
        ShellTrouble.REFUSED,
        "nobody answers at {place}",
        _is_it_on,
    ),
    _complaint(
        r"timed out|Timeout, server .* not responding",
        ShellTrouble.TIMED_OUT,
        "{place} does not answer in time",
        _is_it_on,
    ),
    _complaint(
        r"No route to host|Network is (?:unreachable|down)|Host is down",
        ShellTrouble.UNREACHABLE,
        "there is no way to {place}",
        _is_there_a_way,
    ),
    _complaint(
        r"Connection (?:closed|reset)|Broken pipe|kex_exchange_identification|"
        r"Invalid SSH identification|Protocol mismatch|banner line contains",
        ShellTrouble.REFUSED,
        "{place} closed the connection before the log-in",
        _try_it,
    ),
)


def as_error(client: SshClient, said: str, status: int) -> ShellError:
    """Why there is no connection: what ssh(1) printed and its exit status, for a person."""
    place = f"{client.host} port {client.port}"
    for each in _COMPLAINTS:
        if each.words.search(said):
            message = each.message.format(place=place, host=client.host)
            return ShellError(
                each.trouble, f"{message} ({last_line(said)})", each.remedy(client, said)
            )
    if status < 0:
        return ShellError(
            ShellTrouble.KILLED, f"ssh to {place} was ended by signal {-status}", "try again"
        )
    words = said.strip()[-SHOWN_CHARACTERS:] or f"it said nothing, and ended with status {status}"
    return ShellError(ShellTrouble.FAILED, f"ssh to {place} failed: {words}", _try_it(client, said))


def last_line(said: str) -> str:
    """The last line that says something."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return lines[-1][:SHOWN_CHARACTERS] if lines else "no reason given"
