"""The messages of sock_diag(7): requests, answers and the filter of events, as bytes.

Rules: pure: bytes in, records out, no system call. Parsing raises SockDiagError for whatever the
kernel would not send. Layouts are those of linux/netlink.h, linux/sock_diag.h and
linux/inet_diag.h; all fields are of the machine's own byte order but ports and addresses.

Limits: an answer does not name its protocol, so the reader says what it asked for. Only TCP and
UDP: UDP-Lite, raw and SCTP sockets are other protocols to the kernel and are never asked for.

Counterpart: `link.sockdiag` talks with the kernel and offers the public names of this module.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final, NamedTuple

from link.listener import Container, Listener, canonical_address
from link.processes import Process

__all__ = [
    "FAMILIES",
    "FILTER_STEP",
    "MOST_ERRNO",
    "MOST_PORTS_IN_FILTER",
    "PROTOCOLS",
    "Batch",
    "ListeningSocket",
    "SockDiagError",
    "dump_request",
    "events_filter",
    "malformed",
    "parse_batch",
    "to_listener",
]

SOCK_DIAG_BY_FAMILY: Final = 20
"""linux/sock_diag.h; type of the request and of each answer."""

NLMSG_ERROR: Final = 2
NLMSG_DONE: Final = 3
NLM_F_REQUEST: Final = 0x01
NLM_F_DUMP_INTR: Final = 0x10
NLM_F_DUMP: Final = 0x300
"""linux/netlink.h."""

TCP_CLOSE: Final = 7
TCP_LISTEN: Final = 10
"""States, net/tcp_states.h (also in linux/bpf.h). A UDP socket without a peer is in CLOSE, one
that is connected in ESTABLISHED."""

_ASKED: Final = {
    "tcp": (int(socket.IPPROTO_TCP), TCP_LISTEN),
    "udp": (int(socket.IPPROTO_UDP), TCP_CLOSE),
}
"""By protocol: its number, and the state of the sockets that count."""

PROTOCOLS: Final = tuple(_ASKED)

INET_DIAG_SKV6ONLY: Final = 11
INET_DIAG_CGROUP_ID: Final = 21
"""Attributes, linux/inet_diag.h; sent unasked, for TCP and UDP alike (v6only for IPv6 sockets in
LISTEN or CLOSE, cgroup since 5.8)."""

WANTED: Final = frozenset({INET_DIAG_SKV6ONLY, INET_DIAG_CGROUP_ID})

HEADER: Final = struct.Struct("=IHHII")
"""struct nlmsghdr: length, type, flags, sequence, sender's port."""

REQUEST: Final = struct.Struct("=BBBxI48x")
"""struct inet_diag_req_v2: family, protocol, extensions, states, any socket."""

MESSAGE: Final = struct.Struct("=BBxx 2s2s 16s 16x I II xxxxxxxxxxxx II")
"""struct inet_diag_msg: family, state, source port, destination port, source, interface, cookie,
uid, inode."""

IDENTITY: Final = slice(4, 52)
"""struct inet_diag_sockid within struct inet_diag_msg: ports, addresses, interface, cookie."""

ATTRIBUTE: Final = struct.Struct("=HH")
"""struct nlattr: length (its own four bytes included), type."""

ERROR: Final = struct.Struct("=i")
"""First field of struct nlmsgerr, and the payload of NLMSG_DONE: a negative errno or 0."""

MOST_ERRNO: Final = 4095
"""MAX_ERRNO, linux/err.h."""

FAMILIES: Final = (int(socket.AF_INET), int(socket.AF_INET6))

NO_PORT: Final = b"\0\0"

LOOPBACK_INTERFACE: Final = 1
"""LOOPBACK_IFINDEX of linux/net/flow.h: `lo` of every network namespace; 0 is any."""


class SockDiagError(OSError):
    """The kernel refused, or answered with something that is no sock_diag message."""


class ListeningSocket(NamedTuple):
    """One TCP socket in LISTEN or UDP socket without a peer, as the kernel tells it.

    `protocol` is "tcp" or "udp", `port` never 0. `v6only` is meaningful for AF_INET6.
    `cgroup_id` is the inode of the cgroup v2 directory in which the socket was made, 0 if the
    kernel does not say.
    """

    protocol: str
    family: int
    packed_address: bytes
    port: int
    interface: int
    cookie: int
    uid: int
    inode: int
    v6only: bool
    cgroup_id: int

    @property
    def address(self) -> str:
        """The address in the one spelling that all comparisons use.

        A wildcard that takes from one interface only is "0.0.0.N" or "::N", see `Listener`.
        """
        text = _address_text(self.family, self.packed_address)
        if self.interface > LOOPBACK_INTERFACE and text in ("0.0.0.0", "::"):
            return text.rstrip("0") + str(min(self.interface, 255))
        return text


class Batch(NamedTuple):
    """What one read of a dump held. `sockets` is by identity, see `parse_batch`."""

    sockets: dict[bytes, ListeningSocket]
    finished: bool


@lru_cache(maxsize=256)
def _address_text(family: int, packed: bytes) -> str:
    return canonical_address(socket.inet_ntop(family, packed))


def to_listener(
    record: ListeningSocket, container: Container | None = None, process: Process | None = None
) -> Listener:
    """The vocabulary of the control session for a record."""
    address = record.address
    return Listener(
        id=record.cookie,
        protocol=record.protocol,
        address=address,
        port=record.port,
        v6only=address != "::" or record.v6only,
        inode=record.inode,
        container=container,
        process=process.name or None if process else None,
        pid=process.pid if process else None,
    )


def dump_request(protocol: str, family: int, sequence: int) -> bytes:
    """The message that asks for all listeners of a protocol ("tcp" or "udp") and a family."""
    number, state = _ASKED[protocol]
    body = REQUEST.pack(family, number, 0, 1 << state)
    flags = NLM_F_REQUEST | NLM_F_DUMP
    return HEADER.pack(HEADER.size + len(body), SOCK_DIAG_BY_FAMILY, flags, sequence, 0) + body


def parse_batch(
    data: bytes, sequence: int, protocol: str, known: Mapping[bytes, ListeningSocket]
) -> Batch:
    """Read one part of the answer to `dump_request(protocol, …, sequence)`.

    `known` maps identities (ports, addresses, interface and cookie, as bytes) to records already
    read: nothing else of a listener changes, so it is not read again. A socket caught while it
    is being bound or connected, with no port yet or with a peer already, is left out. Raises
    SockDiagError.
    """
    sockets: dict[bytes, ListeningSocket] = {}
    offset, end = 0, len(data)
    while offset < end:
        if end - offset < HEADER.size:
            raise malformed("a header is cut off")
        length, kind, flags, answers, _ = HEADER.unpack_from(data, offset)
        if length < HEADER.size or offset + length > end:
            raise malformed(f"a message claims {length} bytes of {end - offset}")
        if answers == sequence:
            body = data[offset + HEADER.size : offset + length]
            if kind in (NLMSG_DONE, NLMSG_ERROR):
                _raise_error(body, protocol, required=kind == NLMSG_ERROR)
                return Batch(sockets, True)
            if flags & NLM_F_DUMP_INTR:
                raise SockDiagError(errno.EINTR, "the socket table changed during the dump")
            if kind == SOCK_DIAG_BY_FAMILY:
                identity = body[IDENTITY]
                record = known.get(identity) or _parse_socket(body, protocol)
                if record is not None:
                    sockets[identity] = record
        offset += (length + 3) & ~3
    return Batch(sockets, False)


def _parse_socket(body: bytes, protocol: str) -> ListeningSocket | None:
    if len(body) < MESSAGE.size:
        raise malformed(f"a socket of {len(body)} bytes")
    family, state, port, peer, source, interface, low, high, uid, inode = MESSAGE.unpack_from(body)
    if family not in FAMILIES or state != _ASKED[protocol][1]:
        raise malformed(f"a {protocol} socket of family {family} in state {state}")
    attributes = _parse_attributes(body)
    if port == NO_PORT or peer != NO_PORT:
        return None
    return ListeningSocket(
        protocol=protocol,
        family=family,
        packed_address=source[:4] if family == socket.AF_INET else source,
        port=int.from_bytes(port, "big"),
        interface=interface,
        cookie=high << 32 | low,
        uid=uid,
        inode=inode,
        v6only=attributes.get(INET_DIAG_SKV6ONLY, b"\0") != b"\0",
        cgroup_id=int.from_bytes(attributes.get(INET_DIAG_CGROUP_ID, b"")[:8], _BYTE_ORDER),
    )


def _parse_attributes(body: bytes) -> dict[int, bytes]:
    attributes: dict[int, bytes] = {}
    offset = MESSAGE.size
    while offset < len(body):
        if len(body) - offset < ATTRIBUTE.size:
            raise malformed("an attribute is cut off")
        length, kind = ATTRIBUTE.unpack_from(body, offset)
        if length < ATTRIBUTE.size or offset + length > len(body):
            raise malformed(f"attribute {kind} claims {length} bytes")
        if kind in WANTED:
            attributes[kind] = body[offset + ATTRIBUTE.size : offset + length]
        offset += (length + 3) & ~3
    return attributes


def _raise_error(body: bytes, protocol: str, *, required: bool) -> None:
    if len(body) < ERROR.size:
        if required:
            raise malformed("an error without a number")
        return
    number = -ERROR.unpack_from(body)[0]
    if number > MOST_ERRNO:
        raise malformed(f"there is no error {number}")
    if number > 0:
        hint = ""
        if number == errno.ENOENT:
            hint = f" (the kernel has no {protocol}_diag: CONFIG_INET_{protocol.upper()}_DIAG)"
        raise SockDiagError(number, f"sock_diag: {os.strerror(number)}{hint}")


def malformed(what: str) -> SockDiagError:
    """The error for an answer that the kernel would not give."""
    return SockDiagError(errno.EBADMSG, f"sock_diag: {what}")


_BYTE_ORDER: Final = "little" if struct.pack("=H", 1)[0] else "big"


FILTER_STEP: Final = struct.Struct("=HBBI")
"""struct sock_filter of linux/filter.h: code, jump if true, jump if false, operand."""

LOAD_WORD: Final = 0x20
LOAD_HALF: Final = 0x28
LOAD_BYTE: Final = 0x30
JUMP_IF_EQUAL: Final = 0x15
JUMP_IF_NOT_LESS: Final = 0x35
RETURN: Final = 0x06
"""BPF_LD|BPF_ABS with BPF_W, BPF_H and BPF_B, BPF_JMP|BPF_K with BPF_JEQ and BPF_JGE, and
BPF_RET|BPF_K: linux/bpf_common.h. What is loaded is taken as big endian, which ports are."""

SOURCE_PORT: Final = HEADER.size + 4
DESTINATION_PORT: Final = HEADER.size + 6
PEER_ADDRESS: Final = range(HEADER.size + 24, HEADER.size + 40, 4)
PROTOCOL: Final = HEADER.size + MESSAGE.size + ATTRIBUTE.size
"""Where they are in an event: struct nlmsghdr, struct inet_diag_msg, and as the first attribute
INET_DIAG_PROTOCOL (inet_diag_handler_get_info of net/ipv4/inet_diag.c, since 4.2)."""

WHOLE: Final = 0xFFFFFFFF
"""Bytes of a message to keep: all."""

UDP_STEP: Final = 6 + 2 * len(PEER_ADDRESS) + 1
"""Of `events_filter`: the first that is about UDP alone."""

MOST_PORTS_IN_FILTER: Final = 200
"""A jump of classic BPF goes over 255 steps at most."""


def events_filter(ephemeral: range, but: Iterable[int]) -> bytes:
    """The program, for SO_ATTACH_FILTER, that keeps the events which may be about listeners.

    Kept are sockets with a port and without a peer. Of UDP sockets those on `ephemeral` ports
    are dropped, except for the lowest `MOST_PORTS_IN_FILTER` ports of `but`. Of TCP sockets those
    are dropped whose connecting failed: of their peer's place only the port is forgotten.
    """
    ports = sorted(set(but))[:MOST_PORTS_IN_FILTER]
    program = [
        (LOAD_HALF, "", "", DESTINATION_PORT),
        (JUMP_IF_EQUAL, "", "drop", 0),
        (LOAD_HALF, "", "", SOURCE_PORT),
        (JUMP_IF_EQUAL, "drop", "", 0),
        (LOAD_BYTE, "", "", PROTOCOL),
        (JUMP_IF_EQUAL, "udp", "", socket.IPPROTO_UDP),
        *(
            step
            for place in PEER_ADDRESS
            for step in ((LOAD_WORD, "", "", place), (JUMP_IF_EQUAL, "", "drop", 0))
        ),
        (JUMP_IF_NOT_LESS, "keep", "", 0),
        (LOAD_HALF, "", "", SOURCE_PORT),
        (JUMP_IF_NOT_LESS, "", "keep", ephemeral.start),
        (JUMP_IF_NOT_LESS, "keep", "", ephemeral.stop),
        *((JUMP_IF_EQUAL, "keep", "", port) for port in ports),
        (RETURN, "", "", 0),
        (RETURN, "", "", WHOLE),
    ]
    labels = {"udp": UDP_STEP, "drop": len(program) - 2, "keep": len(program) - 1}
    steps = []
    for place, (code, yes, no, operand) in enumerate(program):
        # A jump counts from the step after it; no name is no jump.
        distances = [labels[name] - place - 1 if name else 0 for name in (yes, no)]
        steps.append(FILTER_STEP.pack(code, *distances, operand))
    return b"".join(steps)
