"""Who answers on an engine's Unix socket (Docker Engine API, `GET /info`).

Rules: one request, with limits of time and size; whatever goes wrong, there is no answer.
Limits: Python has no Unix sockets on Windows, where engines answer on named pipes: none is asked.
"""

from __future__ import annotations

import asyncio
from typing import Final

import msgspec

__all__ = ["EngineInfo", "ask_engine"]

ASK_SECONDS: Final = 2.0
MOST_BYTES: Final = 1 << 20
REQUEST: Final = b"GET /info HTTP/1.0\r\nHost: docker\r\n\r\n"


class EngineInfo(msgspec.Struct):
    """What an engine says of its computer."""

    name: str = msgspec.field(name="Name", default="")
    operating_system: str = msgspec.field(name="OperatingSystem", default="")
    os_type: str = msgspec.field(name="OSType", default="")
    kernel_version: str = msgspec.field(name="KernelVersion", default="")


async def ask_engine(path: str) -> EngineInfo | None:
    """The engine's word on itself; None if none answers. Never raises OSError."""
    if not hasattr(asyncio, "open_unix_connection"):
        return None
    try:
        async with asyncio.timeout(ASK_SECONDS):
            reader, writer = await asyncio.open_unix_connection(path)
            try:
                writer.write(REQUEST)
                answer = await reader.read(MOST_BYTES)
                while len(answer) < MOST_BYTES and (part := await reader.read(MOST_BYTES)):
                    answer += part
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return None
    head, _, body = answer.partition(b"\r\n\r\n")
    if head.split(b" ")[1:2] != [b"200"]:
        return None
    try:
        return msgspec.json.decode(body, type=EngineInfo)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
