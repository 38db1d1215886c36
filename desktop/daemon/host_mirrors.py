"""The mirrors that stand on this computer: listening sockets for listeners in the machine.

Rules: does what the reconciler says and nothing else; what a flow is dialled to is asked anew
for each client. With few files left no mirror opens, and those that are open reset their clients:
the daemon needs the rest. Closing a mirror leaves its TCP flows alone; UDP flows end with it,
since replies need its port. Counterpart in the machine: `vmagent/desktop_ports/stubs.py`.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Callable
from typing import Final

from desktop.daemon.files import are_files_short, is_reserved
from desktop.daemon.traffic import Traffic
from desktop.mirror.model import Binding, Target
from desktop.sockets.interface import HostSockets, is_local
from desktop.sockets.select import host_sockets
from link.acceptor import Acceptor
from link.datagrams.flow import Watch
from link.datagrams.flows import Limits
from link.datagrams.front import Front
from link.datagrams.sockets import DatagramSockets
from link.opening import Forwarder
from link.pool import StreamPool
from link.relay.relay import linger_not, reset_socket
from link.wire import OpenRequest

__all__ = ["HostMirrors"]

GUARDED: Final = (
    "the system gives this port on all addresses only: others see it open, and are turned away"
)

WORD_SECONDS: Final = 10.0
"""Least time between two complaints in the log about the same shortage."""

log = logging.getLogger(__name__)


class _Entrance:
    """Where the clients of one TCP mirror come in."""

    __slots__ = ("_binding", "_mirrors", "_opening", "_target", "_watch", "is_guarded")

    def __init__(self, mirrors: HostMirrors, binding: Binding, watch: Watch) -> None:
        self.is_guarded = False
        self._mirrors = mirrors
        self._binding = binding
        self._watch = watch
        self._target: Target | None = None
        self._opening = b""

    def enter(self, client: socket.socket) -> None:
        """Forward a client, or reset it."""
        mirrors, watch = self._mirrors, self._watch
        if is_reserved(client.fileno()):
            mirrors.turn_away(self._binding, client)
            return
        if self.is_guarded and not _is_from_here(client):
            reset_socket(client)
            return
        target = mirrors.target_of(self._binding)
        if target is not self._target:  # it seldom changes
            self._target = target
            request = _request(target, "tcp")
            self._opening = b"" if request is None else request.encode()
        if target is None:
            mirrors.refused_nowhere += 1
            reset_socket(client)
            return
        mirrors.forwarder.forward(client, self._opening, watch.started, watch.ended)


class HostMirrors:
    """The open mirrors of origin machine.

    Attributes:
        refused_files: clients reset since too many files are open.
        refused_nowhere: clients reset since their listener has gone.
        failed: openings that failed.
    """

    def __init__(
        self,
        forwarder: Forwarder,
        sockets: DatagramSockets,
        pool: StreamPool,
        limits: Limits,
        traffic: Traffic,
        target_of: Callable[[Binding], Target | None],
        host: HostSockets | None = None,
    ) -> None:
        self.forwarder = forwarder
        self._sockets = sockets
        self._pool = pool
        self._limits = limits
        self._traffic = traffic
        self.target_of = target_of
        self._host = host or host_sockets()
        self._guarded: set[Binding] = set()
        self._open: dict[Binding, Acceptor | Front] = {}
        self._next_word = 0.0
        self.refused_files = 0
        self.refused_nowhere = 0
        self.failed = 0

    @property
    def inodes(self) -> frozenset[int]:
        """Socket inodes of the mirrors, so that they are not mirrored back."""
        # Asked for anew each time: a portable UDP mirror follows the computer's addresses.
        return frozenset(inode for mirror in self._open.values() for inode in mirror.inodes)

    def open(self, binding: Binding) -> int:
        """Open a mirror: 0, or the errno of the failure. One that is open stays open."""
        if binding in self._open:
            return 0
        number = errno.EMFILE if are_files_short() else self._try(binding)
        self.failed += bool(number)
        return number

    def _try(self, binding: Binding) -> int:
        try:
            self._open[binding] = self._mirror(binding)
        except OSError as error:
            return error.errno or errno.EIO
        return 0

    def note(self, binding: Binding) -> str:
        """What a person should know of an open mirror; "" if there is nothing."""
        return GUARDED if binding in self._guarded else ""

    def close(self, binding: Binding) -> None:
        """Close a mirror, if it is open."""
        self._guarded.discard(binding)
        mirror = self._open.pop(binding, None)
        if mirror is not None:
            mirror.close()

    def close_all(self) -> None:
        """Close every mirror."""
        for binding in list(self._open):
            self.close(binding)

    def _mirror(self, binding: Binding) -> Acceptor | Front:
        if binding.protocol == "udp":
            front = Front(
                self._sockets,
                binding.address,
                binding.port,
                target=lambda: _request(self.target_of(binding), "udp"),
                pool=self._pool,
                limits=self._limits,
                watch=self._traffic.watch(binding),
            )
            self._traffic.meter(binding, lambda: front.dropped)
            self._mark(binding, front.is_guarded)
            return front
        entrance = _Entrance(self, binding, self._traffic.watch(binding))
        sock, entrance.is_guarded = self._host.listen(binding.address, binding.port)
        linger_not(sock)
        self._mark(binding, entrance.is_guarded)
        return Acceptor(sock, entrance.enter)

    def _mark(self, binding: Binding, is_guarded: bool) -> None:
        if is_guarded:
            self._guarded.add(binding)

    def turn_away(self, binding: Binding, client: socket.socket) -> None:
        """Reset a client for which there are no files, and say so now and then."""
        self.refused_files += 1
        reset_socket(client)
        now = asyncio.get_running_loop().time()
        if now >= self._next_word:
            self._next_word = now + WORD_SECONDS
            log.warning("too many files are open: port %d refuses connections", binding.port)


def _is_from_here(client: socket.socket) -> bool:
    try:
        return is_local(client.getpeername()[0])
    except OSError:
        return False  # it has gone already


def _request(target: Target | None, protocol: str) -> OpenRequest | None:
    return None if target is None else OpenRequest(target.address, target.port, protocol)
