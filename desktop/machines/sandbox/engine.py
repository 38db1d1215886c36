"""Does a Docker Engine answer on a Unix socket? (Docker Engine API, `GET /_ping`.)"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

__all__ = ["ping"]

PING_TIMEOUT_S: Final = 1.0
REQUEST: Final = b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n"
EXPECTED_STATUS: Final = b"200"


async def ping(socket: Path) -> bool:
    """True if the engine answers with status 200 within a second; never raises OSError."""
    try:
        async with asyncio.timeout(PING_TIMEOUT_S):
            reader, writer = await asyncio.open_unix_connection(str(socket))
            try:
                writer.write(REQUEST)
                status_line = await reader.readline()
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False
    return status_line.split(b" ")[1:2] == [EXPECTED_STATUS]
