"""The wire format: message frames of the control session, and the opening of a flow.

    control session     length (4 bytes, big-endian) | JSON object in UTF-8, `length` bytes
    TCP flow            one `OpenRequest` (22 bytes), then the frames of `link.relay.frames`, and
                        after those perhaps the next `OpenRequest`
    UDP flows           one `OpenRequest`, then the frames of `link.datagrams.frames`

Rules: bytes in, values out; no I/O, no clock. Every length has a limit, and what breaks a rule
raises `WireError`, which ends that stream and nothing else.

Counterparts: `handshake.py` comes before either on a stream; `messages.py` gives the JSON its
meaning.
"""

from __future__ import annotations

import json
import struct
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, Final, NamedTuple

__all__ = [
    "MAX_MESSAGE",
    "OPEN_SIZE",
    "FrameReader",
    "OpenRequest",
    "WireError",
    "encode_frame",
]

MAX_MESSAGE: Final = 1 << 20
"""Longest message of a control session, in bytes of JSON."""

_LENGTH: Final = struct.Struct("!I")
_OPEN: Final = struct.Struct("!BBBxH16s")
_OPEN_MARK: Final = 0x4F
_PROTOCOLS: Final = {"tcp": 6, "udp": 17}
"""IP protocol numbers (RFC 1700, IANA) of what a flow may be."""

OPEN_SIZE: Final = _OPEN.size

REMEMBERED_OPENINGS: Final = 1024
"""Openings that need not be worked out again: flows are many, listeners are few."""


class WireError(Exception):
    """The other end broke the wire format. The stream must be ended."""


def encode_frame(payload: dict[str, Any]) -> bytes:
    """One framed message. Raises WireError if it is longer than MAX_MESSAGE."""
    body = json.dumps(payload, separators=(",", ":"), ensure_ascii=False).encode()
    if len(body) > MAX_MESSAGE:
        raise WireError(f"a message of {len(body)} bytes is over the limit of {MAX_MESSAGE}")
    return _LENGTH.pack(len(body)) + body


class FrameReader:
    """Cuts a byte stream into messages. Holds at most one incomplete message."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """The messages that `data` completes, in order. Raises WireError."""
        self._buffer += data
        messages: list[dict[str, Any]] = []
        start = 0
        while len(self._buffer) - start >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer, start)
            if length > MAX_MESSAGE:
                raise WireError(f"a message of {length} bytes is over the limit of {MAX_MESSAGE}")
            end = start + _LENGTH.size + length
            if len(self._buffer) < end:
                break
            messages.append(_decode(bytes(self._buffer[start + _LENGTH.size : end])))
            start = end
        del self._buffer[:start]
        return messages


def _decode(body: bytes) -> dict[str, Any]:
    try:
        message = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise WireError(f"a message is not JSON: {error}") from error
    if not isinstance(message, dict):
        raise WireError("a message is not a JSON object")
    return message


class OpenRequest(NamedTuple):
    """Asks the other end to connect this stream to a listener of its side.

    For "tcp" the stream becomes one flow, for "udp" it carries all flows to that listener.

    The desktop names what the agent should dial. The agent names what a container asked for;
    the desktop then decides by its own rules whether and what to dial.
    """

    address: str
    port: int
    protocol: str = "tcp"

    def encode(self) -> bytes:
        """The 22 bytes on the wire."""
        return _encode_opening(self)

    @staticmethod
    def decode(data: bytes) -> OpenRequest:
        """Read OPEN_SIZE bytes. Raises WireError."""
        return _decode_opening(data)


@lru_cache(maxsize=REMEMBERED_OPENINGS)
def _encode_opening(request: OpenRequest) -> bytes:
    address = ip_address(request.address)
    number = _PROTOCOLS[request.protocol]
    return _OPEN.pack(_OPEN_MARK, number, address.version, request.port, address.packed)


@lru_cache(maxsize=REMEMBERED_OPENINGS)
def _decode_opening(data: bytes) -> OpenRequest:
    if len(data) != OPEN_SIZE:
        raise WireError(f"a flow's opening has {len(data)} bytes, not {OPEN_SIZE}")
    mark, number, version, port, packed = _OPEN.unpack(data)
    protocol = next((name for name, n in _PROTOCOLS.items() if n == number), None)
    if mark != _OPEN_MARK or protocol is None or version not in (4, 6) or not port:
        raise WireError("a flow's opening is malformed")
    address = IPv4Address(packed[:4]) if version == 4 else IPv6Address(packed)
    return OpenRequest(str(address), port, protocol)
