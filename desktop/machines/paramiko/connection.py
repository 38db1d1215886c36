"""One SSH connection by paramiko: hop after hop, each server's key checked, logged in.

    socket ─▶ Transport (hop 1) ─ direct-tcpip channel ─▶ Transport (hop 2) ─ … ─▶ the machine

Rules: a server whose key is not known (`../known_hosts.py`) is refused before anything is said to
it, and nothing is added to the person's files. Blocking: called in threads
(`desktop/threads.py`); `close`, from any thread, ends what goes on.

Counterparts: `shell.py` owns it, `login.py` logs in.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import socket
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import paramiko

from desktop.machines.known_hosts import Judgement, KnownHosts, host_name
from desktop.machines.local_network import advice_on_no_route
from desktop.machines.paramiko.login import Ask, log_in
from desktop.machines.shell import ShellError, ShellTrouble
from desktop.machines.ssh_config import Hop

__all__ = ["CONNECT_SECONDS", "Connection", "as_shell_error"]

CONNECT_SECONDS: Final = 10.0
"""For a server to answer, where the configuration has no ConnectTimeout."""
GREETING_SECONDS: Final = 15.0
"""For its first word and the exchange of keys; paramiko's own limits are there for the thread."""
ANSWER_SECONDS: Final = 300.0
"""For a log-in, at which a person may have to type."""
CHANNEL_SECONDS: Final = 10.0
KEEPALIVE_SECONDS: Final = 30
"""Between signs of life, so that what is between the two does not forget the connection."""

FAST_CIPHERS: Final = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com")
"""Encryption and authentication in one pass, which costs a third less; before paramiko's own."""

RSA_ALGORITHMS: Final = {"rsa-sha2-512": "ssh-rsa", "rsa-sha2-256": "ssh-rsa"}
"""Algorithms by the kind of their key, where those differ (RFC 8332)."""

logging.getLogger("paramiko").setLevel(logging.CRITICAL)
"""What paramiko logs of an error, with its traceback, is what it then raises."""


class Connection:
    """The way to one machine. `open` it once; `close` it whatever came of that."""

    def __init__(self, way: Sequence[Hop], first: socket.socket, ask: Ask) -> None:
        self._way = way
        self._first = first
        self._ask = ask
        self._transports: list[paramiko.Transport] = []
        self._is_closed = False

    def open(self) -> None:
        """Connect and log in. Raises ShellError."""
        hop = self._way[0]
        try:
            for hop in self._way:
                self._reach(hop)
        except ShellError:
            self.close()
            raise
        except (paramiko.SSHException, EOFError, OSError) as error:
            self.close()
            raise as_shell_error(error, hop) from error

    @property
    def is_alive(self) -> bool:
        """Whether it is open, as far as is known."""
        return len(self._transports) == len(self._way) and self._transports[-1].is_active()

    @property
    def machine(self) -> paramiko.Transport:
        """The connection to the machine itself. Raises ShellError if it has ended."""
        if not self.is_alive:
            raise ShellError(
                ShellTrouble.UNREACHABLE, f"the connection to {self._way[-1].host} was lost"
            )
        return self._transports[-1]

    def close(self) -> None:
        """End it; its threads have ended then. May be called twice, and from any thread."""
        self._is_closed = True
        for transport in reversed(self._transports):
            with contextlib.suppress(EOFError, OSError, paramiko.SSHException):
                transport.close()
        with contextlib.suppress(OSError):
            self._first.shutdown(socket.SHUT_RDWR)
        self._first.close()
        for transport in reversed(self._transports):
            if transport.is_alive():
                transport.join()
            transport.packetizer.complete_handshake()  # ends a timer of its own

    def _reach(self, hop: Hop) -> None:
        transport = paramiko.Transport(self._socket_to(hop))
        transport.daemon = True
        transport.banner_timeout = transport.handshake_timeout = 2 * GREETING_SECONDS
        transport.auth_timeout = ANSWER_SECONDS
        transport.channel_timeout = CHANNEL_SECONDS
        self._transports.append(transport)
        if self._is_closed:
            raise EOFError
        known = KnownHosts(_lines(hop.known_hosts))
        name = hop.known_as or host_name(hop.host, hop.port)
        _prefer(transport.get_security_options(), known.kinds(name))
        transport.start_client(timeout=GREETING_SECONDS)
        if not transport.initial_kex_done:
            raise TimeoutError
        if not hop.trusts_any_key:
            _check(transport.get_remote_server_key(), known, name, hop)
        log_in(transport, hop, self._ask)
        transport.set_keepalive(KEEPALIVE_SECONDS)

    def _socket_to(self, hop: Hop) -> socket.socket | paramiko.Channel:
        if not self._transports:
            return self._first
        before = self._transports[-1]
        return before.open_channel("direct-tcpip", (hop.host, hop.port), ("127.0.0.1", 0))


def _lines(files: Iterable[Path]) -> list[str]:
    lines: list[str] = []
    for file in files:
        with contextlib.suppress(OSError):  # most are not there
            lines += file.read_text(encoding="utf-8", errors="replace").splitlines()
    return lines


def _prefer(options: paramiko.SecurityOptions, kinds: Sequence[str]) -> None:
    """Ask for the keys that are known, and for the fastest encryption, before all others."""
    known = [each for each in options.key_types if RSA_ALGORITHMS.get(each, each) in kinds]
    known.sort(key=lambda each: kinds.index(RSA_ALGORITHMS.get(each, each)))
    options.key_types = [*known, *(each for each in options.key_types if each not in known)]
    others = [each for each in options.ciphers if each not in FAST_CIPHERS]
    options.ciphers = [*(each for each in FAST_CIPHERS if each in options.ciphers), *others]


def _check(key: paramiko.PKey, known: KnownHosts, name: str, hop: Hop) -> None:
    """Raises ShellError unless the key is known to be the server's."""
    judgement = known.judge(name, key.get_name(), key.asbytes())
    if judgement is Judgement.KNOWN:
        return
    shown = f"{key.get_name()} {key.fingerprint}"
    if judgement is Judgement.UNKNOWN:
        raise ShellError(
            ShellTrouble.UNKNOWN_HOST_KEY,
            f"{name} shows a key that is not known here: {shown}",
            "if the machine says the same (ssh-keygen -lf /etc/ssh/ssh_host_…_key.pub), add to"
            f" {hop.known_hosts[0] if hop.known_hosts else '~/.ssh/known_hosts'}:\n"
            f"{name} {key.get_name()} {key.get_base64()}",
        )
    what = "has changed" if judgement is Judgement.CHANGED else "is revoked"
    raise ShellError(
        ShellTrouble.HOST_KEY_CHANGED,
        f"the key of {name} {what}: it shows {shown}; somebody may be between you and it",
        f"only if the machine was made anew: ssh-keygen -R '{name}', then accept its new key",
    )


def as_shell_error(error: Exception, hop: Hop) -> ShellError:
    """What paramiko or the kernel says, for a person."""
    place = f"{hop.host} port {hop.port}"
    see = f"see that the machine runs, and that this works: ssh -p {hop.port} {hop.user}@{hop.host}"
    if isinstance(error, paramiko.AuthenticationException):
        return ShellError(
            ShellTrouble.AUTHENTICATION_FAILED, f"{place} ended the log-in: {error}", see
        )
    if isinstance(error, TimeoutError):
        return ShellError(ShellTrouble.TIMED_OUT, f"{place} does not answer", see)
    if isinstance(error, paramiko.ChannelException):
        return ShellError(ShellTrouble.REFUSED, f"no way on to {place}: {error.text}", see)
    if isinstance(error, OSError):
        words = error.strerror or str(error) or type(error).__name__
        if error.errno == errno.EHOSTUNREACH:
            see = "; ".join(filter(None, [advice_on_no_route(), see]))
        return ShellError(ShellTrouble.UNREACHABLE, f"{place}: {words}", see)
    words = str(error) or "it closed the connection"
    return ShellError(ShellTrouble.REFUSED, f"{place} does not take the connection: {words}", see)
