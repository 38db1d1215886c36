"""Listening sockets of this network namespace, asked from the Linux kernel by sock_diag(7).

Two things: `SockDiag` dumps all TCP sockets in LISTEN and all UDP sockets that are bound and have
no peer (the kernel filters by state), with owner and cgroup; `DestroyEvents` wakes its reader
when such a socket went away. The dump is the truth, the event only a reason to ask again.

Rules: Linux, standard library. A kernel that cannot tell of UDP (no udp_diag) is said once and
tells of TCP. Whether a UDP socket was bound on purpose no answer says: `link.maturity` judges.

Limits: sees the network namespace of the thread that made the object. Multipath TCP listeners
appear through the plain TCP socket that serves them. A dump of more than some 200 sockets takes
several reads, and can miss a socket whose neighbour in the kernel's table closes between two of
them: what was there before is looked for once more before it counts as gone, and what is new is
found by the next dump. `shutdown()` of a listener and `connect()` of a UDP
socket give no destroy event.

Cost, median for both protocols and families together (6.18 kernel, Python 3.11, one of two shared
virtual CPUs), with sockets seen for the first time / seen before, TCP and UDP alike: 10 sockets
0.11 / 0.08 ms; 1000 sockets 3.9 / 1.0 ms; 10 000 sockets 42 / 12 ms. Connections and connected UDP
sockets cost nothing.

Counterparts: `link.sockdiag_wire` has the bytes; `desktop.listeners.linux`,
`vmagent.watch.watcher`.
"""

from __future__ import annotations

import ctypes
import errno
import logging
import os
import socket
import struct
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Final

from link.sockdiag_wire import (
    FAMILIES,
    FILTER_STEP,
    PROTOCOLS,
    Batch,
    ListeningSocket,
    SockDiagError,
    dump_request,
    events_filter,
    malformed,
    parse_batch,
    to_listener,
)

__all__ = [
    "Batch",
    "DestroyEvents",
    "ListeningSocket",
    "SockDiag",
    "SockDiagError",
    "dump_request",
    "ephemeral_ports",
    "parse_batch",
    "to_listener",
]

NETLINK_SOCK_DIAG: Final = 4
"""linux/netlink.h."""

SKNLGRP_INET_TCP_DESTROY: Final = 1
SKNLGRP_INET_UDP_DESTROY: Final = 2
SKNLGRP_INET6_TCP_DESTROY: Final = 3
SKNLGRP_INET6_UDP_DESTROY: Final = 4
"""Multicast groups, linux/sock_diag.h (since 4.2)."""

GROUPS: Final = (
    SKNLGRP_INET_TCP_DESTROY,
    SKNLGRP_INET_UDP_DESTROY,
    SKNLGRP_INET6_TCP_DESTROY,
    SKNLGRP_INET6_UDP_DESTROY,
)

SOL_NETLINK: Final = 270
"""linux/socket.h."""

NETLINK_ADD_MEMBERSHIP: Final = 1
NETLINK_DROP_MEMBERSHIP: Final = 2
"""linux/netlink.h; netlink(7)."""

SO_ATTACH_FILTER: Final = 26
"""asm-generic/socket.h; socket(7)."""

PORT_RANGE: Final = "/proc/sys/net/ipv4/ip_local_port_range"
"""The ports that the kernel chooses from, for IPv6 too (ip(7)), in the reader's own namespace."""

DEFAULT_EPHEMERAL: Final = range(32768, 61000)
"""The kernel's default of that range (ip(7))."""

BUFFER_BYTES: Final = 1 << 16
"""One read. The kernel puts at most 32 KiB into one part of a dump (af_netlink.c)."""

RECEIVE_SECONDS: Final = 1
"""The kernel answers within the call; silence for this long is an error."""

ATTEMPTS: Final = 5
"""Dumps tried before a passing error is passed on."""

PASSING: Final = frozenset({errno.EBUSY, errno.EINTR, errno.ENOBUFS, errno.EAGAIN})
"""Errors that say "again": a dump still running, a table that changed, a full queue."""

DRAIN_MESSAGES: Final = 512
"""Events read at one go; the rest makes the descriptor readable again."""

EVENT_BUFFER_BYTES: Final = 1 << 20
"""Receive buffer of the event socket; bounded by net.core.rmem_max. Overflow is harmless."""

_log = logging.getLogger(__name__)


def ephemeral_ports(path: str = PORT_RANGE) -> range:
    """The ports from which the kernel chooses where a program leaves it the choice.

    Cheap enough for every scan (0.01 ms); a change of the setting counts at once. Where it
    cannot be read (no /proc, not Linux's text) it is the kernel's default.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)  # less than half of a file object
        try:
            first, last = map(int, os.read(descriptor, 64).split())
        finally:
            os.close(descriptor)
    except (OSError, ValueError):
        return DEFAULT_EPHEMERAL
    return range(first, last + 1)


class SockDiag:
    """Asks for listeners. Not thread-safe; close it when done.

    Keeps one netlink socket, one buffer and what was read before. Construction and `listeners`
    raise SockDiagError. `sees_udp` turns False when the kernel says that it has no udp_diag;
    that is not asked again, since each question makes the kernel look for the module.
    """

    def __init__(self) -> None:
        self.sees_udp = True
        self._buffer = bytearray(BUFFER_BYTES)
        self._known: dict[bytes, ListeningSocket] = {}
        self._sequence = 0
        self._took_parts = False
        self._socket: socket.socket | None = self._open()

    def close(self) -> None:
        """Free the netlink socket. May be called twice; `listeners` opens it anew."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def listeners(self) -> list[ListeningSocket]:
        """All listeners of the network namespace, TCP and UDP, both families, in no order."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                found = self._dump_all()
                if self._took_parts and not self._known.keys() <= found.keys():
                    found.update(self._overlooked(found))
            except OSError as error:
                # What is left of the failed dump goes with its socket.
                self.close()
                if error.errno not in PASSING or attempt == ATTEMPTS:
                    raise _as_sock_diag_error(error) from error
            else:
                self._known = found
                break
        return list(self._known.values())

    def is_as_before(self, protocols: Sequence[str] = PROTOCOLS) -> bool:
        """True if a dump of these shows the sockets that the last `listeners` gave, and no other.

        Takes half of what that takes, and less for one protocol; a large dump that missed one
        socket is False, too. Raises SockDiagError.
        """
        try:
            found = self._dump_all(protocols)
        except OSError as error:
            self.close()
            raise _as_sock_diag_error(error) from error
        before = (one for one, each in self._known.items() if each.protocol in protocols)
        return found.keys() == set(before)

    def _overlooked(self, found: Mapping[bytes, ListeningSocket]) -> dict[bytes, ListeningSocket]:
        """What was there before and is not in `found`, but in one more dump."""
        missing = self._known.keys() - found.keys()
        again = self._dump_all()
        return {identity: again[identity] for identity in missing & again.keys()}

    def _dump_all(self, protocols: Sequence[str] = PROTOCOLS) -> dict[bytes, ListeningSocket]:
        found: dict[bytes, ListeningSocket] = {}
        self._took_parts = False
        for protocol in protocols:
            if protocol == "udp" and not self.sees_udp:
                continue
            try:
                for family in FAMILIES:
                    found.update(self._dump(protocol, family))
            except SockDiagError as error:
                if protocol != "udp" or error.errno != errno.ENOENT:
                    raise
                self.sees_udp = False
                _log.warning(
                    "UDP listeners are not seen; load the module udp_diag and start anew: %s", error
                )
        return found

    def _dump(self, protocol: str, family: int) -> dict[bytes, ListeningSocket]:
        if self._socket is None:
            self._socket = self._open()
        self._sequence = (self._sequence + 1) & 0xFFFFFFFF
        self._socket.send(dump_request(protocol, family, self._sequence))
        found: dict[bytes, ListeningSocket] = {}
        finished = False
        while not finished:
            part = self._receive(self._socket)
            batch = parse_batch(part, self._sequence, protocol, self._known)
            self._took_parts |= bool(found and batch.sockets)
            found.update(batch.sockets)
            finished = batch.finished
        return found

    def _receive(self, sock: socket.socket) -> bytes:
        while True:
            # With MSG_TRUNC the kernel returns the full length (netlink(7), recv(2)).
            size, sender = sock.recvfrom_into(self._buffer, 0, socket.MSG_TRUNC)
            if size > BUFFER_BYTES:
                raise malformed(f"a part of {size} bytes does not fit the buffer")
            if sender[0] == 0:  # port 0 is the kernel
                return bytes(memoryview(self._buffer)[:size])

    def _open(self) -> socket.socket:
        sock = _netlink_socket()
        timeout = struct.pack("@ll", RECEIVE_SECONDS, 0)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeout)
        return sock


class DestroyEvents:
    """Becomes readable when a TCP or UDP socket without a peer was destroyed.

    A filter in the kernel drops the events of connections and connected UDP sockets, and after
    `leave_out` those of short-lived UDP clients, so all these cost nothing here: 10 000 sockets
    that a resolver binds and closes wake nobody. Construction raises SockDiagError where the
    kernel or its rules do not allow it: then poll.
    """

    def __init__(self) -> None:
        self._socket = _netlink_socket()
        self._left_out: tuple[range, AbstractSet[int]] = range(0), frozenset()
        try:
            self._subscribe()
        except OSError as error:
            self._socket.close()
            raise _as_sock_diag_error(error) from error

    def fileno(self) -> int:
        """The descriptor to wait on; -1 once closed."""
        return self._socket.fileno()

    def listen(self, *, wanted: bool) -> None:
        """Be told from now on, or not: of each socket that goes the kernel makes a message for as
        long as anybody in the network namespace is told. Raises OSError.
        """
        option = NETLINK_ADD_MEMBERSHIP if wanted else NETLINK_DROP_MEMBERSHIP
        for group in GROUPS:
            self._socket.setsockopt(SOL_NETLINK, option, group)

    def leave_out(self, ephemeral: range, but: AbstractSet[int]) -> None:
        """From now on drop events of UDP sockets on `ephemeral` ports, except the ports `but`.

        Call it after each scan with the ports on which there are listeners (see
        `Maturity.ports`): the end of a socket that never counted is no reason to look. It does
        nothing if nothing changed. Of `but` only some count (`MOST_PORTS_IN_FILTER`), so that
        a filter's length is bounded: the end of the others is for polling to find.
        """
        if self._left_out == (ephemeral, but):
            return
        self._left_out = ephemeral, but
        try:
            self._filter(events_filter(ephemeral, but))
        except OSError as error:
            _log.warning("the end of some UDP listeners will be seen late: %s", error)

    def drain(self) -> bool:
        """Read what is there, without waiting; True if something may have gone.

        An overflow (ENOBUFS) is such a thing too. Raises SockDiagError for other failures.
        """
        for count in range(DRAIN_MESSAGES):
            try:
                self._socket.recv(1)
            except BlockingIOError:
                return count > 0
            except OSError as error:
                if error.errno == errno.ENOBUFS:
                    return True
                raise _as_sock_diag_error(error) from error
        return True

    def close(self) -> None:
        """End the subscription. May be called twice."""
        self._socket.close()

    def _subscribe(self) -> None:
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, EVENT_BUFFER_BYTES)
        self._filter(events_filter(*self._left_out))
        self._socket.bind((0, 0))
        self.listen(wanted=True)

    def _filter(self, program: bytes) -> None:
        """Attach a filter in place of the one before. Raises OSError, and then that one stays."""
        code = ctypes.create_string_buffer(program, len(program))
        size = len(program) // FILTER_STEP.size
        sock_fprog = struct.pack("@HP", size, ctypes.addressof(code))
        self._socket.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, sock_fprog)


def _netlink_socket() -> socket.socket:
    try:
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC
        return socket.socket(socket.AF_NETLINK, kind, NETLINK_SOCK_DIAG)
    except OSError as error:
        raise _as_sock_diag_error(error) from error


def _as_sock_diag_error(error: OSError) -> SockDiagError:
    if isinstance(error, SockDiagError):
        return error
    number = error.errno or errno.EIO
    return SockDiagError(number, f"sock_diag: {error.strerror or error}")
