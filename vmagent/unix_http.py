"""HTTP/1.1 GET over a Unix socket, as much as an engine's API needs (RFC 9112).

Rules: one request per connection; the body by chunks, by length or until the end; every size
bounded. Raises OSError when nobody answers and HttpError when the answer is no HTTP or too large.
Time-outs are the caller's.

Limits: no redirects, no compression, no trailers kept.

Counterpart: `vmagent.engine`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

__all__ = ["HEAD_BYTES", "HttpError", "Response", "get"]

HEAD_BYTES: Final = 64 * 1024
"""Longest head, and longest line of chunk size or trailer."""

READ_BYTES: Final = 64 * 1024
"""Most bytes of a body given at once."""

MOST_DIGITS: Final = 18
"""Of a length: no body is longer than 64 bits can say."""

HEAD_END: Final = b"\r\n\r\n"


class HttpError(Exception):
    """The other end broke HTTP, or our limits."""


class Response:
    """An answer whose body is still to be read: once, by `parts`, `lines` or `read`."""

    def __init__(
        self,
        status: int,
        headers: dict[str, str],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.status = status
        self.headers = headers
        self._reader = reader
        self._writer = writer

    def close(self) -> None:
        """Drop the connection. May be called twice."""
        self._writer.close()

    async def parts(self) -> AsyncIterator[bytes]:
        """The body in pieces as they come, none empty. Raises HttpError, OSError."""
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            size = await self._chunk_size()
            while size:
                async for part in self._exactly(size):
                    yield part
                if await self._line() != b"":
                    raise HttpError("a chunk does not end where it said")
                size = await self._chunk_size()
        elif "content-length" in self.headers:
            async for part in self._exactly(_number(self.headers["content-length"], 10)):
                yield part
        else:
            while part := await self._reader.read(READ_BYTES):
                yield part

    async def read(self, limit: int) -> bytes:
        """The whole body. Raises HttpError if it is longer than `limit` bytes."""
        body = bytearray()
        async for part in self.parts():
            body += part
            if len(body) > limit:
                raise HttpError(f"the answer is longer than {limit} bytes")
        return bytes(body)

    async def lines(self, limit: int) -> AsyncIterator[bytes]:
        """The body's lines as they come, without the ends and without empty ones.

        Of one that is longer than `limit` bytes only that there was one is told, by b"".
        """
        rest = b""
        is_too_long = False
        async for part in self.parts():
            *whole, rest = (rest + part).split(b"\n")
            for line in whole:
                if is_too_long or len(line) > limit:
                    yield b""
                elif line.strip():
                    yield line.strip()
                is_too_long = False
            if len(rest) > limit:
                is_too_long, rest = True, b""
        if is_too_long or rest.strip():
            yield b"" if is_too_long else rest.strip()

    async def _exactly(self, size: int) -> AsyncIterator[bytes]:
        while size:
            part = await self._reader.read(min(size, READ_BYTES))
            if not part:
                raise HttpError("the body ends early")
            size -= len(part)
            yield part

    async def _chunk_size(self) -> int:
        return _number((await self._line()).partition(b";")[0].decode("latin-1"), 16)

    async def _line(self) -> bytes:
        return (await _until(self._reader, b"\r\n"))[:-2]


async def get(socket_path: str, target: str) -> Response:
    """Ask for `target` (a path with its query). Raises OSError, HttpError. Cancelled, it leaves
    no connection.
    """
    reader, writer = await asyncio.open_unix_connection(socket_path, limit=HEAD_BYTES)
    try:
        head = f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        writer.write(head.encode("ascii"))
        status, headers = _parse_head(await _until(reader, HEAD_END))
    except BaseException:
        writer.close()
        raise
    return Response(status, headers, reader, writer)


async def _until(reader: asyncio.StreamReader, end: bytes) -> bytes:
    try:
        return await reader.readuntil(end)
    except asyncio.IncompleteReadError as error:
        raise HttpError("the connection ended in the middle of an answer") from error
    except asyncio.LimitOverrunError as error:
        raise HttpError("a head or line is too long") from error


def _parse_head(head: bytes) -> tuple[int, dict[str, str]]:
    first, *rest = head[: -len(HEAD_END)].decode("latin-1").split("\r\n")
    version, _, after = first.partition(" ")
    if not version.startswith("HTTP/1."):
        raise HttpError("the answer is no HTTP")
    headers = {}
    for line in rest:
        name, colon, value = line.partition(":")
        if not colon:
            raise HttpError("a header without a colon")
        headers[name.strip().lower()] = value.strip()
    return _number(after[:3], 10), headers


def _number(text: str, base: int) -> int:
    digits = text.strip().lower()
    if not 0 < len(digits) <= MOST_DIGITS or not set(digits) <= set("0123456789abcdef"[:base]):
        raise HttpError(f"{text[:20]!r} is no number")
    return int(digits, base)
