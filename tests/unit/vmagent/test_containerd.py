"""Following containerd, real answers of which test_runtimes sees; and gRPC, also broken."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from vmagent.engine import EngineWatcher
from vmagent.engines import follower
from vmagent.engines.grpc import call, call_once
from vmagent.engines.protobuf import fields, string_field
from vmagent.unix_http import HttpError

ID = "ab" * 32
PATIENCE = 10.0
"""Seconds a condition may take."""

FRAME_HEAD = struct.Struct(">BHBBI")
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, ACK, PADDED = 1, 1, 8
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
METHOD = "/test.Service/Call"


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


def container(identity: str, host: bool = False, **labels: str) -> bytes:
    spec = {"linux": {"namespaces": [{"type": "pid"}] + ([] if host else [{"type": "network"}])}}
    value = json.dumps(spec, separators=(",", ":")).encode()
    entries = [
        field(2, field(1, name.replace("__", "/").replace("_", ".")) + field(2, value))
        for name, value in labels.items()
    ]
    # Runtime (4), and the specification in an Any (5).
    rest = field(4, field(1, "io.containerd.runc.v2")) + field(5, field(1, "x") + field(2, value))
    return field(1, field(1, identity) + b"".join(entries) + rest)


class Containerd:
    """Answers like containerd. `containers` are encoded, by namespace; `hang` lets calls wait.

    `raw`, if given, is the answer to all of them; then it hears `answered` until the client goes.
    """

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "containerd.sock")
        self.containers: dict[str, bytes] = {}
        self.lists: list[str] = []
        self.calls = 0
        self.hang = False
        self.raw: bytes | None = None
        self.answered = b""
        self.has_ended = False
        self._subscribers: list[asyncio.StreamWriter] = []
        self._serving: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @property
    def subscribers(self) -> int:
        return len(self._subscribers)

    async def start(self) -> None:
        self._server = await asyncio.start_unix_server(self._accept, self.path)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            for task in self._serving:
                task.cancel()
            await asyncio.gather(*self._serving, return_exceptions=True)
            await self._server.wait_closed()
            self._server = None

    def emit(self, topic: str) -> None:
        envelope = field(1, b"\x08\x01") + field(2, "default") + field(3, topic) + field(4, b"")
        for writer in self._subscribers:
            writer.write(frame(DATA, message(envelope)))

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
        for part in [message(body)[at : at + 100] for at in range(0, len(body) + 5, 100)]:
            writer.write(frame(DATA, part))
        writer.write(frame(HEADERS, b"\x88", 4 | END_STREAM))


def ending(namespace: str) -> bytes:
    """How the headers of a call in a namespace end: name and value are literals."""
    name = b"containerd-namespace"
    return bytes((len(name),)) + name + bytes((len(namespace),)) + namespace.encode()


async def until(condition: Callable[[], object]) -> None:
    """Wait for a condition that another task brings about."""
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, "it did not happen"
        await asyncio.sleep(0.005)


def follow(
    folder: Path, scenario: Callable[[Containerd, EngineWatcher, list[str]], Awaitable[None]]
) -> None:
    """Run a scenario with a watcher that runs; each call-back notes the name known then."""

    async def main() -> None:
        calls: list[str] = []
        engine = Containerd(folder)
        watcher = EngineWatcher([engine.path], lambda: calls.append(watcher.name_of(ID)), usual=())
        task = asyncio.create_task(watcher.run())
        try:
            await scenario(engine, watcher, calls)
        finally:
            assert not task.done(), "run must not end by itself"
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await engine.stop()

    asyncio.run(main())


def test_names_come_from_labels_in_all_namespaces_but_dockers(tmp_path: Path) -> None:
    async def scenario(engine: Containerd, watcher: EngineWatcher, _: list[str]) -> None:
        engine.containers = {
            "default": container(ID, nerdctl__name="web") + container("plain"),
            "k8s.io": container("cd" * 32, io_kubernetes_pod_name="dns", other="x")
            + container(
                "ef" * 32, io_kubernetes_container_name="dnsd", io_kubernetes_pod_name="dns"
            ),
        }
        await engine.start()
        await until(lambda: watcher.name_of(ID) == "web")
        assert watcher.name_of("plain") == "plain"
        assert watcher.name_of("cd" * 32) == "dns"
        assert watcher.name_of("ef" * 32) == "dns/dnsd"
        assert "moby" not in engine.lists
        await until(lambda: engine.subscribers and len(engine.lists) == 4)
        engine.containers["default"] += container("01" * 32)
        engine.emit("/containers/create")
        await until(lambda: len(engine.lists) == 6)
        assert watcher.name_of("01" * 32) == ""

    follow(tmp_path, scenario)


@pytest.mark.parametrize("host", [True, False])
def test_a_container_without_a_network_of_its_own_shares_the_machines(
    tmp_path: Path, host: bool
) -> None:
    async def scenario(engine: Containerd, watcher: EngineWatcher, calls: list[str]) -> None:
        engine.containers = {"default": container("web", host) + container("db")}
        await engine.start()
        await until(lambda: calls)
        assert watcher.has_host_networked is host

    follow(tmp_path, scenario)


def test_events_kick_and_those_of_containers_ask_for_the_list(tmp_path: Path) -> None:
    async def scenario(engine: Containerd, watcher: EngineWatcher, calls: list[str]) -> None:
        engine.containers = {"default": container(ID, nerdctl__name="web")}
        await engine.start()
        await until(lambda: engine.subscribers and len(engine.lists) == 2)
        calls.clear()
        for _ in range(20):
            engine.emit("/tasks/exec-started")
        await until(lambda: len(calls) == 20)
        assert len(engine.lists) == 2
        engine.containers = {"default": container(ID, nerdctl__name="new")}
        engine.emit("/containers/update")
        await until(lambda: watcher.name_of(ID) == "new")
        assert len(engine.lists) == 3

    follow(tmp_path, scenario)


def test_containerd_that_restarts_is_found_again(tmp_path: Path) -> None:
    async def scenario(engine: Containerd, watcher: EngineWatcher, _: list[str]) -> None:
        engine.containers = {"default": container(ID, nerdctl__name="web")}
        await engine.start()
        await until(lambda: engine.subscribers and watcher.name_of(ID) == "web")
        await engine.stop()
        await until(lambda: watcher.has_host_networked is None)
        assert watcher.name_of(ID) == "web"
        engine.containers = {"default": container(ID, nerdctl__name="again")}
        await engine.start()
        await until(lambda: watcher.name_of(ID) == "again")

    follow(tmp_path, scenario)


def test_containerd_that_hangs_is_given_up_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower, "REQUEST_SECONDS", 0.05)

    async def scenario(engine: Containerd, watcher: EngineWatcher, _: list[str]) -> None:
        engine.containers = {"default": container(ID, nerdctl__name="web")}
        engine.hang = True
        await engine.start()
        await until(lambda: engine.calls >= 4)
        assert watcher.has_host_networked is None
        engine.hang = False
        await until(lambda: watcher.name_of(ID) == "web")

    follow(tmp_path, scenario)


NONSENSE = [
    b"",
    b"HTTP/1.1 400 Bad Request\r\n\r\n",
    frame(RST_STREAM, b"\0\0\0\2"),
    frame(GOAWAY, b"\0" * 8, stream=0),
    frame(HEADERS, b"\x88", END_STREAM),
    frame(DATA, message(b"x")[:3], END_STREAM),
    frame(DATA, message(b"x", compressed=1)),
    frame(DATA, struct.pack(">BI", 0, 2**32 - 1)),
    frame(DATA, b"", PADDED),
    frame(DATA, b"\x05abc", PADDED),
    b"\xff" * 9,
    frame(DATA, message(b"x" * 100))[:50],
]


@pytest.mark.parametrize(
    "raw",
    [b"HTTP/1.1 400 Bad Request\r\n\r\n", frame(DATA, message(b"\xff\xff"), END_STREAM)],
    ids=["no HTTP/2", "no message"],
)
def test_containerd_that_talks_nonsense_heals(tmp_path: Path, raw: bytes) -> None:
    async def scenario(engine: Containerd, watcher: EngineWatcher, _: list[str]) -> None:
        engine.raw = raw
        await engine.start()
        await until(lambda: engine.calls >= 4)
        assert watcher.has_host_networked is None
        engine.raw = None
        engine.containers = {"default": container(ID, nerdctl__name="web")}
        await until(lambda: watcher.name_of(ID) == "web")

    follow(tmp_path, scenario)


def ask(folder: Path, raw: bytes) -> bytes:
    """The one message of a call that is answered with `raw`."""

    async def main() -> bytes:
        engine = Containerd(folder)
        engine.raw = raw
        await engine.start()
        try:
            return await call_once(engine.path, METHOD, b"", 1 << 20)
        finally:
            await engine.stop()

    return asyncio.run(main())


@pytest.mark.parametrize("raw", NONSENSE)
def test_a_call_without_an_answer_is_an_error(tmp_path: Path, raw: bytes) -> None:
    with pytest.raises(HttpError):
        ask(tmp_path, raw)


def test_a_message_may_come_padded_and_in_pieces(tmp_path: Path) -> None:
    whole = message(b"hello")
    raw = frame(DATA, b"\x03" + whole[:6] + b"\0\0\0", PADDED) + frame(DATA, whole[6:])
    assert ask(tmp_path, raw) == b"hello"


def test_every_byte_is_given_back_to_the_window_and_pings_are_answered(tmp_path: Path) -> None:
    async def main() -> bytes:
        engine = Containerd(tmp_path)
        engine.raw = (
            frame(SETTINGS, stream=0)
            + frame(SETTINGS, flags=ACK, stream=0)
            + frame(PING, b"12345678", stream=0)
            + frame(DATA, message(b"x" * 1000))
            + frame(DATA)
            + frame(HEADERS, b"\x88", END_STREAM)
        )
        await engine.start()
        try:
            messages = [each async for each in call(engine.path, METHOD, b"", 1 << 20)]
            assert messages == [b"x" * 1000]
            await until(lambda: engine.has_ended)
        finally:
            await engine.stop()
        return engine.answered

    size = (1005).to_bytes(4, "big")
    expected = [
        frame(SETTINGS, flags=ACK, stream=0),
        frame(PING, b"12345678", ACK, stream=0),
        frame(WINDOW_UPDATE, size, stream=0),
        frame(WINDOW_UPDATE, size),
    ]
    assert asyncio.run(main()) == b"".join(expected)


def test_fields_of_all_kinds_are_read_or_skipped() -> None:
    varint, fixed64, fixed32 = b"\x08\xff\x01", b"\x11" + b"\0" * 8, b"\x1d" + b"\0" * 4
    assert list(fields(varint + fixed64 + fixed32 + string_field(4, "four"))) == [(4, b"four")]
    assert list(fields(b"")) == []


@pytest.mark.parametrize(
    "content", [b"\x0a", b"\x0a\x05abc", b"\xff" * 11, b"\x0b", b"\x0a\xff\xff\xff\xff\x0f"]
)
def test_what_is_no_message_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        list(fields(content))


def test_a_request_that_is_too_long_is_refused() -> None:
    with pytest.raises(ValueError, match="too long"):
        string_field(1, "x" * 128)
