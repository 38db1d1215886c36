"""Reading HTTP from a socket, well and badly behaved."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest

from vmagent.unix_http import HEAD_BYTES, HttpError, Response, get

Result = TypeVar("Result")
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


def ask(folder: Path, answer: bytes, use: Callable[[Response], Awaitable[Result]]) -> Result:
    """What `use` makes of an answer; the bytes come in small pieces."""
    path = str(folder / "engine.sock")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for start in range(0, len(answer), 1000):
            writer.write(answer[start : start + 1000])
            try:
                await writer.drain()
            except ConnectionError:
                break
        writer.close()

    async def main() -> Result:
        server = await asyncio.start_unix_server(serve, path)
        try:
            response = await get(path, "/x")
            try:
                return await use(response)
            finally:
                response.close()
        finally:
            server.close()
            await server.wait_closed()

    return asyncio.run(main())


async def whole(response: Response) -> bytes:
    return await response.read(10_000)


async def lines(response: Response) -> list[bytes]:
    return [line async for line in response.lines(100)]


@pytest.mark.parametrize(
    "answer",
    [
        OK + b"Content-Length: 5\r\n\r\nhello and more",
        OK + b"\r\nhello",
        CHUNKED + b"2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n",
    ],
)
def test_a_body_ends_by_length_by_chunks_or_by_the_end(tmp_path: Path, answer: bytes) -> None:
    assert ask(tmp_path, answer, whole) == b"hello"


def test_a_status_is_told(tmp_path: Path) -> None:
    async def status(response: Response) -> int:
        return response.status

    assert ask(tmp_path, b"HTTP/1.1 404 Not Found\r\nA: b\r\n\r\n", status) == 404


def test_lines_do_not_care_for_chunks(tmp_path: Path) -> None:
    body = b"4\r\na\nbb\r\n5\r\nb\r\n\nc\r\n0\r\n\r\n"
    assert ask(tmp_path, CHUNKED + body, lines) == [b"a", b"bbb", b"c"]


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        OK + b"no colon\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        OK + b"Content-Length: -5\r\n\r\n",
        OK + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n",
        CHUNKED + b"f" * 5000 + b"\r\n",
        OK + b"Content-Length: 9\r\n\r\nshort",
        CHUNKED + b"zz\r\n",
        CHUNKED + b"2\r\nhello\r\n",
        CHUNKED + b"5\r\nhel",
        OK + b"X: " + b"x" * 2 * HEAD_BYTES,
    ],
)
def test_what_is_no_http_is_an_error(tmp_path: Path, answer: bytes) -> None:
    with pytest.raises(HttpError):
        ask(tmp_path, answer, whole)


def test_a_body_over_the_limit_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(HttpError, match="longer than 10000 bytes"):
        ask(tmp_path, OK + b"\r\n" + b"x" * 10_001, whole)


@pytest.mark.parametrize("length", [101, 1000, 300_000])
def test_of_a_line_over_the_limit_only_that_it_was_there_is_told(
    tmp_path: Path, length: int
) -> None:
    body = b"one\n" + b"x" * length + b"\n\ntwo\n" + b"y" * length
    assert ask(tmp_path, OK + b"\r\n" + body, lines) == [b"one", b"", b"two", b""]


def test_nobody_there_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        asyncio.run(get(str(tmp_path / "none.sock"), "/x"))
