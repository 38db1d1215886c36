"""Parsers of what crosses the link, and of what the kernel answers to both ends.

Counterparts: `of_machine.py`, `of_desktop.py`; `parser.py` says what must hold.
"""

from __future__ import annotations

import json
import socket
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final
from unittest.mock import patch

from link import udp_table
from link.datagrams.frames import HEADER_SIZE as DATAGRAM_HEADER
from link.datagrams.frames import Kind, cut
from link.datagrams.frames import header as datagram_header
from link.datagrams.sockets import LARGEST_DATAGRAM
from link.handshake import (
    NONCE_SIZE,
    SECRET_SIZE,
    AgentHandshake,
    DesktopHandshake,
    HandshakeError,
    Role,
)
from link.labels import are_within_limits, bounded_labels, service_of
from link.messages import (
    Message,
    decode,
    encode,
)
from link.mux import frames as mux
from link.mux.session import Arrived, MuxSession, Opened
from link.processes import find_processes
from link.relay.frames import END, HEADER, MAX_PAYLOAD, RAW, WHOLE, Unframer
from link.session import ControlSession
from link.sockdiag import ephemeral_ports
from link.sockdiag_wire import SockDiagError, parse_batch
from link.wire import FrameReader, OpenRequest, WireError, encode_frame
from tests.fuzz.parser import Parser, pieces
from tests.link_messages import MESSAGES

__all__ = ["OF_LINK"]

_WHOLE_PIECE: Final = b"\0"
"""Before a seed: it comes in one piece."""


def _control(data: bytes) -> None:
    """A control session: what is understood is told in the same words again."""
    session = ControlSession(beats=False, now=0.0)
    for piece in pieces(data):
        for message in session.receive(piece, 0.0):
            assert FrameReader().feed(session.send(message)) == [encode(message)]
            assert decode(encode(message)) == _known(message)


def _known(message: Message) -> Message:
    """As it is on the other end: of a container only its reference crosses with a listener."""
    return decode(json.loads(json.dumps(encode(message))))


def _json_message(data: bytes) -> None:
    FrameReader().feed(struct.pack("!I", len(data)) + data)


def _opening(data: bytes) -> None:
    request = OpenRequest.decode(data)
    assert 0 < request.port < 1 << 16
    assert OpenRequest.decode(request.encode()) == request


def _handshake(make: Callable[[], DesktopHandshake | AgentHandshake]) -> Callable[[bytes], None]:
    def run(data: bytes) -> None:
        handshake = make()
        for piece in pieces(data):
            while piece and not handshake.is_done:
                wanted = handshake.wanted
                assert wanted > 0
                handshake.receive(piece[:wanted])
                piece = piece[wanted:]
        assert not handshake.is_done, "somebody got in without the secret"

    return run


_SECRET: Final = bytes(range(SECRET_SIZE))
_NONCE: Final = b"n" * NONCE_SIZE


def _recorded_handshakes() -> tuple[bytes, bytes]:
    """What the agent and the desktop have heard in a handshake that went well."""
    other = b"o" * NONCE_SIZE
    desktop, agent = DesktopHandshake(_SECRET, other, Role.CONTROL), AgentHandshake(_SECRET, other)
    hello = desktop.start()
    answer = agent.receive(hello)
    proof = desktop.receive(answer)
    return hello + proof, answer + agent.receive(proof)


_TO_AGENT, _TO_DESKTOP = _recorded_handshakes()


def _unframe(data: bytes) -> None:
    unframer = Unframer(may_be_raw=bool(data[:1] > b"\x7f"))
    taken = 0
    for piece in pieces(data):
        taken += sum(map(len, unframer.feed(memoryview(piece))))
        assert 0 <= unframer.left <= MAX_PAYLOAD
        assert unframer.is_raw or unframer.needed > 0
    assert taken <= len(data)


def _datagrams(data: bytes) -> None:
    frames, used = cut(memoryview(data))
    assert used == sum(DATAGRAM_HEADER + len(frame.payload) for frame in frames) <= len(data)
    assert all(len(frame.payload) <= LARGEST_DATAGRAM for frame in frames)


def _mux(data: bytes) -> None:
    """Both ends of a pipe: the other has opened some streams, or may open them."""
    session = MuxSession(opens=data[:1] > b"\x7f")
    for _ in range(3 if data[:1] > b"\x7f" else 0):
        session.open()
    for piece in pieces(data):
        for event in session.receive(memoryview(piece)):
            if isinstance(event, Arrived):
                session.taken(event.stream, len(event.data))
            elif isinstance(event, Opened):
                assert session.allowance(event.stream) >= 0
        assert session.held >= 0
        session.control()


def _mux_cutter(data: bytes) -> None:
    cutter = mux.FrameCutter()
    size = 0
    for piece in pieces(data):
        size += sum(len(each.data) for each in cutter.feed(memoryview(piece)))
    assert size <= len(data)


def _socket(address: str, port: int, state: int, attributes: bytes = b"") -> bytes:
    """One netlink message with a socket, as struct inet_diag_msg lays it out."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    source = socket.inet_pton(family, address).ljust(16, b"\0")
    body = struct.pack("=BBBB", family, state, 0, 0) + struct.pack(">HH16s16x", port, 0, source)
    body += struct.pack("=III", 0, 5, 1 << 8) + struct.pack("=IIIII", 0, 0, 0, 1000, 4242)
    return _netlink(20, body + attributes)


def _netlink(kind: int, body: bytes) -> bytes:
    padding = b"\0" * (-len(body) % 4)
    return struct.pack("=IHHII", 16 + len(body), kind, 2, 7, 0) + body + padding


_CGROUP: Final = struct.pack("=HHQ", 12, 21, 1 << 33 | 17) + struct.pack("=HHB3x", 5, 11, 1)
_DUMP: Final = _socket("127.0.0.1", 80, 10, _CGROUP) + _socket("::1", 81, 10, _CGROUP)


def _dump(protocol: str) -> Callable[[bytes], None]:
    def run(data: bytes) -> None:
        for each in parse_batch(data, 7, protocol, {}).sockets.values():
            assert 0 < each.port < 1 << 16
            assert each.protocol == protocol
            assert each.address

    return run


_TABLE: Final = b"""\
   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
  309: 0100007F:0035 0100007F:9C40 01 00000000:00000000 00:00000000 00000000   101        0 24101 2
  310: 3500007F:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000   101        0 24102 2
  311: 00000000000000000000000001000000:0044 00000000000000000000000001000000:1F90 01 \
00000000:00000000 00:00000000 00000000   101        0 24103 2 0000000000000000 0
"""


def _udp_table(data: bytes) -> None:
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(data)
        with patch.object(udp_table, "TABLES", (file.name,)):
            for each in udp_table.connected_sockets():
                assert 0 <= each.peer_port < 1 << 16
                assert each.peer_address


def _port_range(data: bytes) -> None:
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(data)
        assert ephemeral_ports(file.name).step == 1


def _descriptors(data: bytes) -> None:
    """What an open file is called is for the program that opened it to choose."""
    with tempfile.TemporaryDirectory() as proc:
        folder = Path(proc, "7", "fd")
        folder.mkdir(parents=True)
        Path(proc, "7", "comm").write_bytes(data)
        names = [name for name in data.split(b"\n") if name and b"\0" not in name]
        for number, name in enumerate(names[:20]):
            (folder / str(number)).symlink_to(name[:200].decode("utf-8", "surrogateescape"))
        found = find_processes([4711], None, proc)
        assert found.keys() <= {4711}


def _labels(data: bytes) -> None:
    labels = bounded_labels(json.loads(data))
    assert are_within_limits(dict(labels))
    service_of(dict(labels))


OF_LINK: Final = (
    Parser(
        "link.session.ControlSession.receive",
        _control,
        WireError,
        tuple(_WHOLE_PIECE + encode_frame(encode(each)) for each in MESSAGES),
    ),
    Parser(
        "link.wire.FrameReader.feed",
        _json_message,
        WireError,
        tuple(json.dumps(encode(each)).encode() for each in MESSAGES),
    ),
    Parser(
        "link.wire.OpenRequest.decode",
        _opening,
        WireError,
        (OpenRequest("127.0.0.1", 80).encode(), OpenRequest("::1", 1, "udp").encode()),
    ),
    Parser(
        "link.handshake.AgentHandshake.receive",
        _handshake(lambda: AgentHandshake(_SECRET, _NONCE)),
        HandshakeError,
        (_WHOLE_PIECE + _TO_AGENT,),
        refuses=True,
    ),
    Parser(
        "link.handshake.DesktopHandshake.receive",
        _handshake(lambda: DesktopHandshake(_SECRET, _NONCE, Role.CONTROL)),
        HandshakeError,
        (_WHOLE_PIECE + _TO_DESKTOP,),
        refuses=True,
    ),
    Parser(
        "link.relay.frames.Unframer.feed",
        _unframe,
        WireError,
        tuple(
            mark + HEADER.pack(3) + b"abc" + HEADER.pack(last) + (b"raw" if last == RAW else b"")
            for mark in (b"\0", b"\xff")
            for last in (END, WHOLE, RAW)
        ),
    ),
    Parser(
        "link.datagrams.frames.cut",
        _datagrams,
        WireError,
        (
            datagram_header(Kind.DATA, 1, 5, 2) + b"abcde",
            *(datagram_header(kind, 7) for kind in Kind if kind is not Kind.DATA),
            datagram_header(Kind.DATA, 1, 0, 0) + datagram_header(Kind.DATA, 2, 3, 3) + b"abc",
        ),
    ),
    Parser(
        "link.mux.frames.FrameCutter.feed",
        _mux_cutter,
        mux.MuxError,
        (_WHOLE_PIECE + b"banner\n" + mux.PREAMBLE + mux.header(mux.DATA, 1, 3) + b"abc",),
    ),
    Parser(
        "link.mux.session.MuxSession.receive",
        _mux,
        mux.MuxError,
        (
            b"\0"
            + mux.PREAMBLE
            + mux.header(mux.OPEN, 1)
            + mux.header(mux.DATA, 1, 3)
            + b"abc"
            + mux.header(mux.END, 1)
            + mux.header(mux.CREDIT, 1, 9),
            b"\xff"
            + mux.PREAMBLE
            + mux.header(mux.DATA, 2, 3)
            + b"abc"
            + mux.header(mux.RESET, 1)
            + mux.header(mux.CLOSE, 3),
        ),
    ),
    *(
        Parser(
            f"link.sockdiag_wire.parse_batch ({protocol})",
            _dump(protocol),
            SockDiagError,
            (
                _DUMP + _netlink(3, struct.pack("=i", 0)),
                _socket("10.0.0.1", 53, 7, _CGROUP) + _netlink(3, b""),
                _netlink(2, struct.pack("=i", -2)),
            ),
        )
        for protocol in ("tcp", "udp")
    ),
    Parser("link.udp_table.connected_sockets", _udp_table, OSError, (_TABLE,)),
    Parser("link.sockdiag.ephemeral_ports", _port_range, (), (b"32768\t60999\n",)),
    Parser(
        "link.processes.find_processes",
        _descriptors,
        (),
        (b"socket:[4711]\nsocket:[1]\n/dev/null\nanon_inode:[eventpoll]\nsocket:[x]",),
    ),
    Parser(
        "link.labels.bounded_labels",
        _labels,
        (ValueError, RecursionError),  # of json.loads, which stands for the engine's reader
        (b'{"com.docker.compose.project":"shop","com.docker.compose.service":"web","x":"y"}',),
    ),
)
