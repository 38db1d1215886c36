"""containerd's gRPC interface, as far as the agent reads it, without containerd; and its frames.

Counterparts: `tests/contract/test_engines.py`, `tests/unit/vmagent/test_containerd.py`.
"""

from __future__ import annotations

import asyncio
import json
import struct
from pathlib import Path

from tests.fake_engine import FakeEngine

__all__ = [
    "ACK",
    "DATA",
    "END_STREAM",
    "GOAWAY",
    "HEADERS",
    "PADDED",
    "PING",
    "RST_STREAM",
    "SETTINGS",
    "WINDOW_UPDATE",
    "Containerd",
    "container",
    "frame",
    "message",
]

FRAME_HEAD = struct.Struct(">BHBBI")
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, ACK, PADDED = 1, 1, 8
LONGEST_FRAME = 16_384
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(kind: int, payload: bytes = b"", flags: int = 0, stream: int = 1) -> bytes:
    size = len(payload)
    return FRAME_HEAD.pack(size >> 16, size & 0xFFFF, kind, flags, stream) + payload


def message(content: bytes, compressed: int = 0) -> bytes:
    return struct.pack(">BI", compressed, len(content)) + content


def field(number: int, content: bytes | str) -> bytes:
    data = content.encode() if isinstance(content, str) else content
    size, rest = bytearray(), len(data)
    while rest >= 0x80:
        size.append(rest & 0x7F | 0x80)
        rest >>= 7
    return bytes((number << 3 | 2, *size, rest)) + data


def container(
    identity: str, host: bool = False, image: str = "", labels: dict[str, str] | None = None
) -> bytes:
    """A container as the list has it."""
    spec = {"linux": {"namespaces": [{"type": "pid"}] + ([] if host else [{"type": "network"}])}}
    value = json.dumps(spec, separators=(",", ":")).encode()
    entries = [field(2, field(1, name) + field(2, text)) for name, text in (labels or {}).items()]
    # Image (3), runtime (4), and the specification in an Any (5).
    rest = (
        field(3, image)
        + field(4, field(1, "io.containerd.runc.v2"))
        + field(5, field(1, "x") + field(2, value))
    )
    return field(1, field(1, identity) + b"".join(entries) + rest)


class Containerd(FakeEngine):
    """Answers like containerd. `containers` are encoded, by namespace; `hang` lets calls wait.

    `raw`, if given, is the answer to all of them; then it hears `answered` until the client goes.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "containerd.sock")
        self.containers: dict[str, bytes] = {}
        self.lists: list[str] = []
        self.calls = 0
        self.hang = False
        self.raw: bytes | None = None
        self.answered = b""
        self.has_ended = False
        self._subscribers: list[asyncio.StreamWriter] = []

    @property
    def subscribers(self) -> int:
        return len(self._subscribers)

    def emit(self, topic: str) -> None:
        envelope = field(1, b"\x08\x01") + field(2, "default") + field(3, topic) + field(4, b"")
        for writer in self._subscribers:
            writer.write(frame(DATA, message(envelope)))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readexactly(len(PREFACE)) == PREFACE
        kinds: list[int] = []
        headers = b""
        while not kinds or kinds[-1] != DATA:
            high, low, kind, _flags, _ = FRAME_HEAD.unpack(await reader.readexactly(9))
            payload = await reader.readexactly(high << 16 | low)
            kinds.append(kind)
            headers = payload if kind == HEADERS else headers
        assert kinds == [SETTINGS, HEADERS, DATA]
        self.calls += 1
        if self.hang:
            await reader.read()
        elif self.raw is not None:
            writer.write(self.raw)
            writer.write_eof()
            while part := await reader.read(65536):
                self.answered += part
            self.has_ended = True
        else:
            writer.write(frame(SETTINGS, stream=0) + frame(PING, b"12345678", stream=0))
            await self._answer(headers, reader, writer)
        await writer.drain()

    async def _answer(
        self, headers: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if b"Events/Subscribe" in headers:
            self._subscribers.append(writer)
            try:
                await reader.read(-1)  # until the client goes
            finally:
                self._subscribers.remove(writer)
            return
        if b"Namespaces/List" in headers:
            names = [*self.containers, "moby", "plugins.moby"]
            body = b"".join(field(1, field(1, name)) for name in names)
        else:
            (namespace,) = (name for name in (*self.containers, "moby") if ending(name) in headers)
            self.lists.append(namespace)
            body = self.containers[namespace]
        writer.write(frame(HEADERS, b"\x88", 4))
        size = min(max(100, len(body) // 50), LONGEST_FRAME)
        for part in [message(body)[at : at + size] for at in range(0, len(body) + 5, size)]:
            writer.write(frame(DATA, part))
        writer.write(frame(HEADERS, b"\x88", 4 | END_STREAM))


def ending(namespace: str) -> bytes:
    """How the headers of a call in a namespace end: name and value are literals."""
    name = b"containerd-namespace"
    return bytes((len(name),)) + name + bytes((len(namespace),)) + namespace.encode()
