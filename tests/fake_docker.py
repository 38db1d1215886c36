"""A Docker Engine's API, or Podman's, as far as the agent reads it, without an engine.

Counterparts: `tests/contract/test_engines.py`, `tests/unit/vmagent/test_engine.py`.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Final

from tests.fake_engine import FakeEngine

__all__ = ["ID", "Engine", "container"]

ID: Final = "ab" * 32
"""Of the container that tests mostly speak of."""


class Engine(FakeEngine):
    """Answers like a Docker Engine, and like Podman's service. `listed` may be any JSON.

    `hang` lets requests wait; `raw`, if given, is the answer to all of them.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.listed: object = []
        self.lists = 0
        self.requests = 0
        self.hang = False
        self.raw: bytes | None = None
        self._followers: list[asyncio.StreamWriter] = []

    @property
    def followers(self) -> int:
        return len(self._followers)

    def emit(self, action: str, name: str, container_id: str = ID, **labels: str) -> None:
        actor = {"ID": container_id, "Attributes": {"name": name, "image": "x", **labels}}
        self.write({"Type": "container", "Action": action, "Actor": actor})

    def write(self, event: object) -> None:
        line = json.dumps(event) + "\n"
        for writer in self._followers:
            writer.write(f"{len(line):x}\r\n{line}\r\n".encode())

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        self.requests += 1
        if self.hang:
            await reader.read()
        elif self.raw is not None:
            writer.write(self.raw)
        elif request.startswith(b"GET /events?filters="):
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            self._followers.append(writer)
            try:
                await reader.read()  # until the client goes
            finally:
                self._followers.remove(writer)
        else:
            assert request.startswith(b"GET /containers/json HTTP/1.1\r\n")
            self.lists += 1
            body = json.dumps(self.listed).encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()


def container(
    name: str, mode: str | None = "host", container_id: str = ID, **more: object
) -> dict[str, object]:
    """A container as the list has it; `more` are further fields."""
    host_config = {"NetworkMode": mode} if mode else {}
    return {"Id": container_id, "Names": ["/" + name], "HostConfig": host_config, **more}
