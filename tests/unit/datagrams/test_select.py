"""Which UDP sockets a computer gets."""

from __future__ import annotations

import asyncio

import pytest

from desktop.datagrams.select import open_datagram_sockets
from tests.capabilities import LINUX_KERNEL, needs


@pytest.mark.parametrize(
    ("path", "platform", "name"),
    [
        pytest.param("auto", "linux", "linux", marks=needs(LINUX_KERNEL)),
        ("portable", "linux", "portable"),
        ("auto", "darwin", "portable"),
        ("auto", "win32", "portable"),
        ("portable", "darwin", "portable"),
    ],
)
def test_the_platform_and_the_setting_choose(path: str, platform: str, name: str) -> None:
    async def story() -> None:
        sockets = open_datagram_sockets(path, platform)
        assert sockets.name == name
        sockets.close()

    asyncio.run(story())
