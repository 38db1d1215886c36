"""gRPC over a Unix socket: one call per connection, as much as reading from containerd needs.

Rules: HTTP/2 with prior knowledge (RFC 9113, 3.3), one stream, one request message; the answers
as they come. Of headers we send only literal ones without compression (RFC 7541, 6.2.2) and
read none: their compression would need a table of the other end's, and all they would tell is
why a call failed. A call that fails gives no message, and that is what is seen. Every size is
bounded. Raises OSError when nobody answers, HttpError when the answer is no gRPC or too large.
Time-outs are the caller's.

Limits: no compression of messages (we do not offer it); a request fits into one frame.
Counterparts: `containerd` asks; `vmagent.unix_http` is the same for HTTP/1.1.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncGenerator
from typing import Final

from vmagent.unix_http import HttpError

__all__ = ["call", "call_once"]

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""RFC 9113, 3.4."""

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
"""Types of frames (RFC 9113, 6)."""

END_STREAM: Final = 0x1
ACK: Final = 0x1
END_HEADERS: Final = 0x4
PADDED: Final = 0x8

STREAM: Final = 1
"""The only stream of a connection: the first that a client may open."""

FRAME_BYTES: Final = 16_384
"""The longest frame, since we ask for no longer ones (RFC 9113, 6.5.2)."""

MOST_UNREAD: Final = 1 << 15
"""Bytes of answers to its frames that may wait here for the other end, besides what the kernel has.
Asyncio looks at each piece that waits, with every write, since Python 3.12."""

FRAME_HEAD: Final = struct.Struct(">BHBBI")
"""Length (in two parts, 24 bits), type, flags, stream (RFC 9113, 4.1)."""

MESSAGE_HEAD: Final = struct.Struct(">BI")
"""Whether it is compressed, and its length (gRPC over HTTP2, "Length-Prefixed-Message")."""


async def call(
    path: str, method: str, request: bytes, limit: int, headers: tuple[tuple[str, str], ...] = ()
) -> AsyncGenerator[bytes, None]:
    """The messages that `method` (such as "/package.Service/Name") answers.

    Raises OSError, and HttpError also for a message longer than `limit` bytes. Who does not read
    to the end closes it (`aclose`); cancelled or closed, it leaves no connection.
    """
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        writer.write(PREFACE + _frame(SETTINGS, 0, 0) + _request(method, request, headers))
        unread = bytearray()
        has_ended = False
        while not has_ended:
            kind, flags, payload = await _read_frame(reader)
            unread += _answer(writer, kind, flags, payload)
            if writer.transport.get_write_buffer_size() > MOST_UNREAD:
                raise HttpError("it asks, and does not read the answers")
            has_ended = kind in (DATA, HEADERS) and bool(flags & END_STREAM)
            while (message := _take_message(unread, limit)) is not None:
                yield message
    finally:
        writer.transport.abort()  # else what it does not read would keep the connection


async def call_once(
    path: str, method: str, request: bytes, limit: int, headers: tuple[tuple[str, str], ...] = ()
) -> bytes:
    """The one message that `method` answers. Raises as `call`, and HttpError if it fails."""
    answers = call(path, method, request, limit, headers)
    try:
        async for message in answers:
            return message
    finally:
        await answers.aclose()
    raise HttpError(f"{method} was refused")


def _request(method: str, message: bytes, headers: tuple[tuple[str, str], ...]) -> bytes:
    fields = (
        *((":method", "POST"), (":scheme", "http"), (":path", method), (":authority", "localhost")),
        *(("content-type", "application/grpc"), ("te", "trailers"), *headers),
    )
    block = b"".join(b"\0" + _literal(name) + _literal(value) for name, value in fields)
    data = MESSAGE_HEAD.pack(0, len(message)) + message
    return _frame(HEADERS, END_HEADERS, STREAM, block) + _frame(DATA, END_STREAM, STREAM, data)


def _literal(text: str) -> bytes:
    content = text.encode("ascii")
    if len(content) >= 127:
        raise ValueError("a header too long for a length of one byte")
    return bytes((len(content),)) + content


def _frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    head = FRAME_HEAD.pack(len(payload) >> 16, len(payload) & 0xFFFF, kind, flags, stream)
    return head + payload


def _answer(writer: asyncio.StreamWriter, kind: int, flags: int, payload: bytes) -> bytes:
    """Do what a frame asks for; what it holds of messages. Raises HttpError."""
    if kind == DATA:
        _give_way(writer, len(payload))
        return _without_padding(payload) if flags & PADDED else payload
    if kind in (SETTINGS, PING) and not flags & ACK:
        writer.write(_frame(kind, ACK, 0, payload if kind == PING else b""))
    elif kind in (RST_STREAM, GOAWAY):
        raise HttpError("the call was broken off")
    return b""


async def _read_frame(reader: asyncio.StreamReader) -> tuple[int, int, bytes]:
    try:
        high, low, kind, flags, _stream = FRAME_HEAD.unpack(
            await reader.readexactly(FRAME_HEAD.size)
        )
        length = high << 16 | low
        if length > FRAME_BYTES:
            raise HttpError("a frame is too long, or this is no HTTP/2")
        return kind, flags, await reader.readexactly(length)
    except asyncio.IncompleteReadError as error:
        raise HttpError("the connection ended in the middle of an answer") from error


def _give_way(writer: asyncio.StreamWriter, size: int) -> None:
    """Let the other end send as much again (RFC 9113, 6.9), on the stream and altogether."""
    if size:
        update = size.to_bytes(4, "big")
        writer.write(_frame(WINDOW_UPDATE, 0, 0, update) + _frame(WINDOW_UPDATE, 0, STREAM, update))


def _without_padding(payload: bytes) -> bytes:
    if not payload or payload[0] >= len(payload):
        raise HttpError("a frame is all padding")
    return payload[1 : len(payload) - payload[0]]


def _take_message(unread: bytearray, limit: int) -> bytes | None:
    """Take the first message off, if all of it is there."""
    if len(unread) < MESSAGE_HEAD.size:
        return None
    compressed, length = MESSAGE_HEAD.unpack_from(unread)
    if compressed or length > limit:
        raise HttpError(f"a message is compressed, or longer than {limit} bytes")
    end = MESSAGE_HEAD.size + length
    if len(unread) < end:
        return None
    message = bytes(unread[MESSAGE_HEAD.size : end])
    del unread[:end]
    return message
