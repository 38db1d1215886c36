"""A stream of datagrams ends when its other end does, on every event loop it may meet."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Final

import pytest

from link.datagrams.frames import Kind, header
from link.datagrams.sockets import datagrams_in
from link.datagrams.stream import DatagramStream
from link.relay.relay import reset_socket
from tests.loops import EVERY_LOOP

PATIENCE: Final = 30.0
FRAME: Final = header(Kind.DATA, 1, 1000, 1000) + bytes(1000)
ENDS: Final[dict[str, Callable[[socket.socket], None]]] = {
    "a reset": reset_socket,
    "a close": socket.socket.close,
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("count", [0, 1, 40])
@pytest.mark.parametrize("loop", EVERY_LOOP)
def test_an_end_right_behind_the_last_frames_is_noticed(loop: str, count: int, end: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        near = socket.create_connection(server.getsockname())
        far, _ = server.accept()
    near.setblocking(False)

    async def story() -> None:
        heard: list[int] = []
        ended = asyncio.Event()
        stream = DatagramStream(
            lambda flow, segment, payload: heard.extend(
                [flow] * datagrams_in(len(payload), segment)
            ),
            lambda _kind, _flow: None,
            lambda _reason: ended.set(),
        )
        stream.attach(near)
        await asyncio.sleep(0.01)
        far.sendall(FRAME * count)
        ENDS[end](far)
        try:
            async with asyncio.timeout(PATIENCE):
                await ended.wait()
            assert heard == [1] * count
        finally:
            stream.close()

    with asyncio.Runner(loop_factory=EVERY_LOOP[loop]) as runner:
        runner.run(story())
