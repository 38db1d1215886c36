"""Tier 1 of detection: the kernel tells when a socket begins and ceases to listen.

Rules: events are kicks; the truth is a dump of sock_diag. What is told: TCP sockets that listen
(listen() without bind() and multipath TCP too), UDP sockets bound to a port that their caller
named, and the end of both. Not told: UDP sockets bound to port 0, connections, UDP-Lite, raw and
ping sockets; binds that fail; sockets of other network namespaces, where the kernel can leave
them out (`variant` says so).

How events relate to a dump: `gone` is final for that socket; only a TCP one may listen again, and
then `listening` says so. Events come from within the system call: an unlucky dump, made at once,
may not yet show the port of `bound`, or still show what is `gone`. Act on `gone` by its cookie,
and if a cookie that began is not in the dump, look once more.

Limits: what `variant` and `watch.bpf.c` say. Not told is a UDP socket that connects (it is no
listener while it has a peer), and one whose caller named no port, however long it lives: a dump
finds those, and `follow` makes their end known. Of a listener that was there before, the close is
told and not a shutdown. The table holds 32 768 UDP and followed sockets; a bind beyond counts as
lost. Sees the network namespace of the thread that makes it.

Cost (6.18 kernel): at rest nothing but memory, 256 KiB for events and 512 KiB for the table of
sockets. From listen() or bind() to the event loop's callback 50 µs, the call itself included; an
event takes 1 µs if read among many, and 30 µs of CPU if it wakes the loop alone: whoever reads may
take the descriptor off the loop for some milliseconds, and a storm costs little. Programs in the
machine pay 0.4 µs for a UDP socket bound to port 0, 1.2 µs for one bound on purpose, 1.5 µs for a
connection, to and from the machine alike.

Counterparts: `watch.bpf.c` tells, `vmagent.watch.binds` reads.
"""

from __future__ import annotations

import errno
import logging
import mmap
import os
import socket
import struct
from collections.abc import Iterable
from contextlib import ExitStack
from typing import Final, NamedTuple

from link.maturity import Seen
from vmagent.bpf.bytecode import MAPS
from vmagent.bpf.hierarchy import open_cgroup
from vmagent.bpf.programs import AttachedPrograms
from vmagent.bpf.ring import RingBuffer
from vmagent.bpf.system import BpfError, update_element

__all__ = ["BOUND", "GONE", "LISTENING", "BindEvent", "BindEvents", "Drained", "read_event"]

BOUND: Final = "bound"
LISTENING: Final = "listening"
GONE: Final = "gone"

KINDS: Final = {1: BOUND, 2: LISTENING, 3: GONE}
"""enum kind, watch.bpf.c; 0 is one that was lost."""

PROTOCOLS: Final = {int(socket.IPPROTO_TCP): "tcp", int(socket.IPPROTO_UDP): "udp"}
NUMBERS: Final = {name: number for number, name in PROTOCOLS.items()}

EVENT: Final = struct.Struct("=QHBB4x")
"""struct event, watch.bpf.c: cookie, port, protocol, kind."""

BIND: Final = struct.Struct("=HB?4x")
"""struct bind, watch.bpf.c: port, protocol, is told."""

COOKIE: Final = struct.Struct("=Q")
COUNT: Final = struct.Struct("=Q")

MOST_EVENTS: Final = 512
"""Read at one go; takes 0.7 ms. The descriptor stays readable if there are more."""

SO_NETNS_COOKIE: Final = 71
"""asm-generic/socket.h; since Linux 5.14."""

ALWAYS: Final = (
    ("samehost_close",),
    ("samehost_post4",),
    ("samehost_post6",),
    ("samehost_bind4",),
    ("samehost_bind6",),
)
TCP_OF_ONE_NAMESPACE: Final = "samehost_tcp_ns"
TCP: Final = (TCP_OF_ONE_NAMESPACE, "samehost_tcp")
"""Best first: Linux 5.15, and before."""

_log = logging.getLogger(__name__)


class BindEvent(NamedTuple):
    """One event. `kind` is BOUND, LISTENING or GONE, `protocol` "tcp" or "udp".

    `cookie` names the socket as sock_diag does; a multipath TCP socket is named by the plain TCP
    socket that serves it, in both. `port` is its local port.
    """

    cookie: int
    port: int
    protocol: str
    kind: str


def read_event(record: bytes) -> BindEvent | None:
    """The event of a record; None for one that tells nothing."""
    if len(record) != EVENT.size:
        return None
    cookie, port, protocol, kind = EVENT.unpack(record)
    if kind not in KINDS or protocol not in PROTOCOLS:
        return None
    return BindEvent(cookie, port, PROTOCOLS[protocol], KINDS[kind])


class Drained(NamedTuple):
    """Events in the order in which they happened, and how many were lost among or after them.

    If any were lost, only a dump tells what is.
    """

    events: list[BindEvent]
    lost: int


class BindEvents:
    """A subscription to what begins and ceases to listen.

    Args:
        cgroup: a directory of cgroup v2: sockets made in it and below count. None is the root of
            what this process sees of the tree, mounted or not.

    Attributes:
        variant: what is at work, in words for a person.
        lost: events that found no room, since the beginning.

    Construction raises OSError, BpfError if the kernel is the reason; the text is for a person,
    and nothing stays attached. Make it before the first dump, so that nothing is missed between.
    """

    def __init__(self, cgroup: str | None) -> None:
        self.lost = 0
        with ExitStack() as stack:
            self._programs = _attach(cgroup)
            stack.callback(self._programs.close)
            maps = self._programs.maps
            self._ring_fd = maps["samehost_events"]
            self._ring = RingBuffer(self._ring_fd, MAPS["samehost_events"].entries)
            stack.callback(self._ring.close)
            counter = mmap.mmap(
                maps["samehost_lost"], mmap.PAGESIZE, mmap.MAP_SHARED, mmap.PROT_READ
            )
            self._counter = stack.enter_context(counter)
            self._resources = stack.pop_all()
        one_namespace = TCP_OF_ONE_NAMESPACE in self._programs.names
        self.variant = "eBPF" if one_namespace else "eBPF of all network namespaces"

    def fileno(self) -> int:
        """The descriptor to wait on: readable while there are events; -1 once closed."""
        return self._ring_fd

    def drain(self) -> Drained:
        """Read what is there, `MOST_EVENTS` at most, without waiting. Raises nothing."""
        read = map(read_event, self._ring.read(MOST_EVENTS))
        events = [event for event in read if event is not None]
        (total,) = COUNT.unpack_from(self._counter)
        lost, self.lost = total - self.lost, total
        return Drained(events, lost)

    def follow(self, sockets: Iterable[Seen]) -> bool:
        """From now on tell the close of these, which no event has told of: known from a dump.

        False if the kernel's table is full: the end of the others is for polling to find. Costs
        5 µs a socket, and nothing else if it was followed before; the close of one of which
        events do tell is then told twice. Raises BpfError for other failures.
        """
        table = self._programs.maps["samehost_binds"]
        for each in sockets:
            value = BIND.pack(each.port, NUMBERS[each.protocol], True)
            try:
                update_element(table, COOKIE.pack(each.cookie), value)
            except BpfError as error:
                if error.errno != errno.E2BIG:
                    raise
                _log.warning("the end of some listeners will be seen late: too many are followed")
                return False
        return True

    @property
    def attached(self) -> bool:
        """False once somebody has detached a program: then make a new one, and look.

        That gives no event, so ask now and then (20 µs). Raises BpfError.
        """
        return self._programs.attached

    def close(self) -> None:
        """Detach and free. May be called twice; take the descriptor off the event loop before."""
        self._ring_fd = -1
        self._resources.close()


def _attach(path: str | None) -> AttachedPrograms:
    try:
        cgroup = open_cgroup(path)
    except FileNotFoundError as error:
        raise BpfError(error.errno, f"there is no cgroup {path}") from error
    try:
        netns = COUNT.pack(_network_namespace())
        return AttachedPrograms(cgroup, (*ALWAYS, TCP), {"samehost_netns": netns})
    finally:
        os.close(cgroup)


def _network_namespace() -> int:
    """This thread's; 0, which lets through all, if the kernel does not tell (before 5.14)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            cookie = sock.getsockopt(socket.SOL_SOCKET, SO_NETNS_COOKIE, COUNT.size)
        except OSError as error:
            if error.errno != errno.ENOPROTOOPT:
                raise
            return 0
    return int(COUNT.unpack(cookie)[0])
