"""vsock between this computer and an emulated one: real AF_VSOCK there, and the agent's door.

Here its monitor is a Unix socket (`vsock_device`). The transport that uses this kernel's own
AF_VSOCK is tested in the guest, over the loopback of its kernel, by the suite of all transports.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

import pytest

from desktop.transports.transport import TransportError
from desktop.transports.vsock import MonitoredVsockTransport
from tests.e2e import vsock_far as far
from tests.e2e.guest import (
    KERNELS,
    MEMORY_MIB,
    REPORT,
    VIRTIO,
    VSOCK,
    Ended,
    missing,
    project_image,
    run_in_guest,
)
from tests.e2e.vsock_device import VsockDevice, vsock_device

SECONDS: Final = 600
"""For all of it; takes 40 on an idle computer."""
BOOT_SECONDS: Final = 300
PATIENCE: Final = 60
"""For one step in the guest, which is slow."""

GUESTS: Final = ("5.10", "newest")

Story = Callable[[MonitoredVsockTransport], Awaitable[None]]


async def receive(stream: socket.socket, size: int = 1 << 16) -> bytes:
    loop = asyncio.get_running_loop()
    return await asyncio.wait_for(loop.sock_recv(stream, size), PATIENCE)


@contextlib.asynccontextmanager
async def opened(transport: MonitoredVsockTransport, wish: bytes) -> AsyncIterator[socket.socket]:
    """A stream that has said what it wants."""
    with await transport.open() as stream:
        await asyncio.get_running_loop().sock_sendall(stream, wish)
        yield stream


async def there_and_back(transport: MonitoredVsockTransport, size: int) -> None:
    """Bytes come back whole, and so does the end."""
    data = os.urandom(size)
    async with opened(transport, far.ECHO) as stream:

        async def say() -> None:
            await asyncio.get_running_loop().sock_sendall(stream, data)
            stream.shutdown(socket.SHUT_WR)

        saying = asyncio.create_task(say())
        heard = bytearray()
        while part := await receive(stream):
            heard += part
        await saying
    assert heard == data


async def many_at_once(transport: MonitoredVsockTransport) -> None:
    await asyncio.gather(*(there_and_back(transport, 9999) for _ in range(50)))


async def bulk(transport: MonitoredVsockTransport) -> None:
    await there_and_back(transport, 8 << 20)


async def a_reset_is_seen_as_the_end(transport: MonitoredVsockTransport) -> None:
    assert not transport.carries_reset
    async with opened(transport, far.RESET) as stream:
        assert await receive(stream) == b""


async def last_words_arrive_before_the_end(transport: MonitoredVsockTransport) -> None:
    async with opened(transport, far.CLOSE) as stream:
        assert await receive(stream) == far.LAST_WORDS
        assert await receive(stream) == b""


async def a_stalled_stream_stops_no_other(transport: MonitoredVsockTransport) -> None:
    async with opened(transport, far.STALL) as stalled:
        with contextlib.suppress(BlockingIOError):
            while True:
                stalled.send(bytes(1 << 16))
        await there_and_back(transport, 1 << 20)


async def a_port_that_nobody_serves_is_refused(transport: MonitoredVsockTransport) -> None:
    with pytest.raises(TransportError, match="refuses"):
        await MonitoredVsockTransport(transport.path, far.PORT + 1).open()


STORIES: Final[tuple[Story, ...]] = (
    *(many_at_once, bulk, a_reset_is_seen_as_the_end, last_words_arrive_before_the_end),
    *(a_stalled_stream_stops_no_other, a_port_that_nobody_serves_is_refused),
)


async def await_guest(
    transport: MonitoredVsockTransport, guest: asyncio.Future[Ended], device: VsockDevice
) -> None:
    """Until its door is open."""
    async with asyncio.timeout(BOOT_SECONDS):
        while True:
            assert not guest.done(), guest.result().output
            assert device.is_alive
            with contextlib.suppress(TransportError):
                (await transport.open()).close()
                return
            await asyncio.sleep(0.1)  # until the door is open there is nothing to wait for


async def tell_stories(device: VsockDevice, kernel: Path, image: bytes) -> Ended:
    """All of them, with one guest; how it ended."""
    command = [sys.executable, "-m", "tests.e2e.vsock_far", REPORT]
    guest = asyncio.ensure_future(
        asyncio.to_thread(
            lambda: run_in_guest(
                *(kernel, image, command, SECONDS),
                modules=(*VIRTIO, *VSOCK),
                options=device.options,
            )
        )
    )
    transport = MonitoredVsockTransport(device.monitor, far.PORT)
    await await_guest(transport, guest, device)
    for story in STORIES:
        await story(transport)
    async with opened(transport, far.LEAVE):
        return await guest


@pytest.mark.timeout(SECONDS + 60)
@pytest.mark.parametrize("name", GUESTS)
def test_streams_reach_the_agents_door_in_a_guest(name: str, tmp_path: Path) -> None:
    kernel = KERNELS / name
    if reason := missing(kernel):
        pytest.skip(reason)
    with vsock_device(tmp_path, MEMORY_MIB) as device:
        ended = asyncio.run(tell_stories(device, kernel, project_image()))
    assert ended.status == 0, ended.output
    cases = ElementTree.fromstring(ended.report).findall(".//testcase")
    skipped = [case.attrib["name"] for case in cases if case.findall("skipped")]
    assert len(cases) >= 12
    assert skipped == []
