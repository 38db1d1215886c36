"""Redirect: containers reach the desktop's ports without a socket for each in the machine.

    connect(127.0.0.1:N) in a container ─▶ kernel: 127.77.(N >> 8).(N & 255), our port
        ─▶ one listener per family ─▶ N of its own address ─▶ on_client, as from a stub

Rules: the same to the program as `stubs`, and the same interface to the agent. A server in the
machine comes first, whenever it came; the desktop is told that the port is in use, and asks
again. A port of a family that cannot be redirected gets a stub, and so does a UDP port to which
somebody is connected already: the kernel asks no more where those datagrams go. Only programs in
containers are led, where that can be told (`watch.own_cgroups`).

Limits: those of `redirect.bpf.c`. Takes PORT, or another if that is taken, on `lo`; a connection
to that port itself is reset.

Counterparts: `bpf.redirection` leads here, `encoded` tells what was asked for, `stubs` is the
other way to do it.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from contextlib import ExitStack
from typing import Final

from link.acceptor import Acceptor, listen_tcp
from link.datagrams.front import Front
from link.datagrams.linux import LinuxDatagramSockets
from link.datagrams.sockets import DatagramSockets
from link.messages import StubKey, StubResult
from link.relay.relay import linger_not, reset_socket
from link.sockdiag import ListeningSocket, SockDiag
from vmagent.bpf.redirection import Redirection
from vmagent.desktop_ports.by_loopback import LOOPBACK
from vmagent.desktop_ports.encoded import PREFIX6, asked_for
from vmagent.desktop_ports.loopback_route import EXPIRES_SECONDS, keep_local
from vmagent.desktop_ports.shared_datagrams import SharedDatagramSockets
from vmagent.desktop_ports.stubs import Stubs, failed
from vmagent.desktop_ports.taken_places import clients_at, served_places
from vmagent.watch.own_cgroups import find_own_cgroups

__all__ = ["PORT", "Redirect"]

PORT: Final = 1
"""Nobody uses it (tcpmux, RFC 7805). If somebody does, we take one of the kernel's choice."""

ATTEMPTS: Final = 8
"""Ports of the kernel's choice that are tried until one is free for both protocols."""

TEND_SECONDS: Final = EXPIRES_SECONDS / 4
"""How often the route is renewed, and the machine's own cgroups and the programs are looked at."""

_WILDCARDS: Final = {"127.0.0.1": "0.0.0.0", "::1": "::"}

log = logging.getLogger(__name__)


class Redirect:
    """See `Stubs`, whose interface this has.

    Args:
        on_client: owns each accepted connection.
        on_lost: told of ports that a program of the machine has taken, so that they are closed.
        make_front: opens UDP at a place by the sockets given, or raises OSError.
        sockets: the agent's.
        cgroup: programs in it and below are led; None is the root of the tree.
        own_cgroups: ids of those that are not.

    Attributes:
        trouble: why nobody is led at present, in words for a person; "" while all is well.

    Construction raises OSError, BpfError if the kernel is the reason. `end` before dropping it.
    """

    def __init__(
        self,
        on_client: Callable[[StubKey, socket.socket], None],
        make_front: Callable[[StubKey, DatagramSockets], Front],
        sockets: LinuxDatagramSockets,
        on_lost: Callable[[tuple[StubResult, ...]], None],
        cgroup: str | None = None,
        own_cgroups: Callable[[], Iterable[int]] = find_own_cgroups,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_client = on_client
        self._make_front = make_front
        self._on_lost = on_lost
        self._cgroup = cgroup
        self._own_cgroups = own_cgroups
        self._stubs = Stubs(on_client, lambda key: make_front(key, sockets))
        self._open: dict[StubKey, Front | None] = {}
        self._addresses = ("127.0.0.1", "::1") if _renew_route() else ("127.0.0.1",)
        self.trouble = ""
        with ExitStack() as stack:
            self._diag = SockDiag()
            stack.callback(self._diag.close)
            self._port, self._shared = self._open_sockets(sockets, stack)
            self._redirection = self._attach()
            stack.callback(self._close_redirection)
            self._resources = stack.pop_all()
        self._timer = self._loop.call_later(TEND_SECONDS, self._tend)

    @property
    def inodes(self) -> frozenset[int]:
        """Socket inodes of its own, and of stubs."""
        of_tcp = frozenset(inode for each in self._acceptors for inode in each.inodes)
        return of_tcp | self._shared.inodes | self._stubs.inodes

    def open(self, keys: Iterable[StubKey]) -> tuple[StubResult, ...]:
        """See `Stubs.open`."""
        wanted = tuple(keys)
        new = [key for key in wanted if key not in self._open]
        try:
            served, connected = self._served_among(new), clients_at(new)
        except OSError as error:
            log.warning("nobody knows what the machine serves: %s", error)
            return tuple(failed(key, error.errno or errno.EIO) for key in wanted)
        return tuple(self._open_one(key, served, connected) for key in wanted)

    def close(self, keys: Iterable[StubKey]) -> tuple[StubResult, ...]:
        """See `Stubs.close`."""
        return tuple(self._close_one(key) for key in keys)

    def close_all(self) -> None:
        """See `Stubs.close_all`."""
        self.close(list(self._open))
        self._stubs.close_all()

    def others_came(self, sockets: Iterable[ListeningSocket]) -> None:
        """Programs of the machine serve here now: who asks for their ports is theirs."""
        self._lose(self._open.keys() & served_places(sockets, self.inodes))

    def end(self) -> None:
        """Close everything, and free what is shared. May be called twice."""
        self._timer.cancel()
        self.close_all()
        self._resources.close()

    def _open_sockets(
        self, sockets: LinuxDatagramSockets, stack: ExitStack
    ) -> tuple[int, SharedDatagramSockets]:
        for attempt in range(ATTEMPTS + 1):
            with ExitStack() as attempted:
                try:
                    port = self._listen(0 if attempt else PORT, attempted)
                    shared = SharedDatagramSockets(sockets, self._addresses, port)
                except OSError as error:
                    if error.errno != errno.EADDRINUSE or attempt == ATTEMPTS:
                        raise
                else:
                    attempted.callback(shared.close)
                    stack.push(attempted.pop_all())
                    return port, shared
        raise RuntimeError("the last attempt succeeds or raises")

    def _listen(self, port: int, stack: ExitStack) -> int:
        self._acceptors: list[Acceptor] = []
        for each in self._addresses:
            sock = listen_tcp(_WILDCARDS[each], port, is_local=True, device=LOOPBACK)
            linger_not(sock)
            self._acceptors.append(Acceptor(sock, self._accepted))
            stack.callback(self._acceptors[-1].close)
            port = self._acceptors[-1].address[1]
        return port

    def _attach(self) -> Redirection:
        redirection = Redirection(self._cgroup, self._port)
        try:
            redirection.leave_alone(self._own_cgroups())
            for key in self._open:
                redirection.add(key.protocol, key.address, key.port)
        except OSError:
            redirection.close()
            raise
        return redirection

    def _close_redirection(self) -> None:
        self._redirection.close()

    def _served_among(self, keys: Iterable[StubKey]) -> set[StubKey]:
        """Those that something in the machine serves, but we. Raises OSError."""
        wanted = set(keys)
        return wanted & served_places(self._diag.listeners(), self.inodes) if wanted else wanted

    def _open_one(
        self, key: StubKey, served: AbstractSet[StubKey], connected: AbstractSet[StubKey]
    ) -> StubResult:
        if key in self._open:
            return StubResult(key, is_open=True)
        if key.address not in self._addresses or key in connected:
            return self._stubs.open((key,))[0]
        if key in served:
            return failed(key, errno.EADDRINUSE)
        front = None
        try:
            if key.protocol == "udp":
                front = self._make_front(key, self._shared)
            self._redirection.add(key.protocol, key.address, key.port)
        except OSError as error:
            log.warning("%s port %d gets a stub: %s", key.protocol, key.port, error)
            if front is not None:
                front.close()
            return self._stubs.open((key,))[0]
        self._open[key] = front
        return StubResult(key, is_open=True)

    def _close_one(self, key: StubKey) -> StubResult:
        if key not in self._open:
            return self._stubs.close((key,))[0]
        front = self._open.pop(key)
        self._redirection.remove(key.protocol, key.address, key.port)
        if front is not None:
            front.close()
        return StubResult(key, is_open=False)

    def _accepted(self, client: socket.socket) -> None:
        try:
            address = socket.inet_pton(client.family, client.getsockname()[0])
        except OSError as error:
            log.debug("a client went before it was served: %s", error)
            client.close()
            return
        key = asked_for(address, "tcp")
        if key is not None and key in self._open:
            self._on_client(key, client)
        else:
            reset_socket(client)

    def _tend(self) -> None:
        self._timer = self._loop.call_later(TEND_SECONDS, self._tend)
        if len(self._addresses) > 1:
            _renew_route()
        try:
            self._look_after_programs()
            self.trouble = ""
            lost = self._served_among(self._open)
        except OSError as error:
            self.trouble = error.strerror or str(error)
            log.warning("the redirection is not as it should be: %s", error)
            return
        self._lose(lost)

    def _lose(self, keys: AbstractSet[StubKey]) -> None:
        if keys:
            self.close(keys)
            self._on_lost(tuple(failed(key, errno.EADDRINUSE) for key in keys))

    def _look_after_programs(self) -> None:
        """Have them attached, and know the machine's own cgroups. Raises OSError."""
        if self._redirection.attached:
            self._redirection.leave_alone(self._own_cgroups())
            return
        log.warning("somebody has detached the redirection; attaching it again")
        attached = self._attach()
        self._redirection.close()
        self._redirection = attached


def _renew_route() -> bool:
    """True if redirected IPv6 has a route."""
    try:
        keep_local(PREFIX6, 8 * len(PREFIX6))
    except OSError as error:
        log.info("IPv6 is served by stubs: %s", error)
        return False
    return True
