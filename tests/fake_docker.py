"""A Docker Engine's API, or Podman's, as far as the agent reads it, without an engine.

Counterparts: `tests/contract/test_engines.py`, `tests/unit/vmagent/test_engine.py`.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Final

__all__ = ["ID", "Engine", "container"]

ID: Final = "ab" * 32
"""Of the container that tests mostly speak of."""


class Engine:
    """Answers like a Docker Engine, and like Podman's service. `listed` may be any JSON.

    `hang` lets requests wait; `raw`, if given, is the answer to all of them.
    """

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.listed: object = []
        self.lists = 0
        self.requests = 0
        self.hang = False
        self.raw: bytes | None = None
        self._followers: list[asyncio.StreamWriter] = []
        self._serving: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_unix_server(self._accept, self.path)

    async def stop(self) -> None:
        """End as a killed engine does; the socket's file stays behind until the next start."""
        if self._server is not None:
            self._server.close()
            for task in self._serving:
                task.cancel()
            await asyncio.gather(*self._serving, return_exceptions=True)
            await self._server.wait_closed()
            self._server = None

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

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        try:
            await self._serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client went, or the engine ends
        finally:
            self._serving.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
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
