"""Following containerd, real answers of which test_runtimes sees; and gRPC, also broken."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.fake_containerd import (
    ACK,
    DATA,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PADDED,
    PING,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    Containerd,
    container,
    frame,
    message,
)
from tests.fake_engine import running
from tests.until import until
from vmagent.engine import EngineWatcher
from vmagent.engines import follower
from vmagent.engines.grpc import call, call_once
from vmagent.engines.protobuf import fields, string_field
from vmagent.unix_http import HttpError

ID = "ab" * 32
METHOD = "/test.Service/Call"


def name_of(watcher: EngineWatcher, container_id: str = ID) -> str:
    return watcher.details_of(container_id).name


def follow(
    folder: Path, scenario: Callable[[Containerd, EngineWatcher, list[str]], Awaitable[None]]
) -> None:
    """Run a scenario with a watcher that runs; each call-back notes the name known then."""

    async def main() -> None:
        calls: list[str] = []
        engine = Containerd(folder)
        watcher = EngineWatcher([engine.path], lambda: calls.append(name_of(watcher)), usual=())
        try:
            async with running(watcher):
                await scenario(engine, watcher, calls)
        finally:
            await engine.stop()

    asyncio.run(main())


def test_names_come_from_labels_in_all_namespaces_but_dockers(tmp_path: Path) -> None:
    pod = {"io.kubernetes.pod.name": "dns"}

    async def scenario(engine: Containerd, watcher: EngineWatcher, _: list[str]) -> None:
        engine.containers = {
            "default": container(ID, labels={"nerdctl/name": "web"}) + container("plain"),
            "k8s.io": container("cd" * 32, labels={**pod, "other": "x"})
            + container("ef" * 32, labels={"io.kubernetes.container.name": "dnsd", **pod}),
        }
        await engine.start()
        await until(lambda: name_of(watcher) == "web")
        assert name_of(watcher, "plain") == "plain"
        assert name_of(watcher, "cd" * 32) == "dns"
        assert name_of(watcher, "ef" * 32) == "dns/dnsd"
        assert "moby" not in engine.lists
        await until(lambda: engine.subscribers and len(engine.lists) == 4)
        engine.containers["default"] += container("01" * 32)
        engine.emit("/containers/create")
        await until(lambda: len(engine.lists) == 6)
        assert name_of(watcher, "01" * 32) == ""

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
        engine.containers = {"default": container(ID, labels={"nerdctl/name": "web"})}
        await engine.start()
        await until(lambda: engine.subscribers and len(engine.lists) == 2)
        calls.clear()
        for _ in range(20):
            engine.emit("/tasks/exec-started")
        # One more if the list that was under way is known only now, and differs from events.
        await until(lambda: len(calls) >= 20)
        assert len(engine.lists) == 2
        engine.containers = {"default": container(ID, labels={"nerdctl/name": "new"})}
        engine.emit("/containers/update")
        await until(lambda: name_of(watcher) == "new")
        assert len(engine.lists) == 3

    follow(tmp_path, scenario)


def test_containerd_that_restarts_is_found_again(tmp_path: Path) -> None:
    async def scenario(engine: Containerd, watcher: EngineWatcher, _: list[str]) -> None:
        engine.containers = {"default": container(ID, labels={"nerdctl/name": "web"})}
        await engine.start()
        await until(lambda: engine.subscribers and name_of(watcher) == "web")
        await engine.stop()
        await until(lambda: watcher.has_host_networked is None)
        assert name_of(watcher) == "web"
        engine.containers = {"default": container(ID, labels={"nerdctl/name": "again"})}
        await engine.start()
        await until(lambda: name_of(watcher) == "again")

    follow(tmp_path, scenario)


def test_containerd_that_hangs_is_given_up_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower, "REQUEST_SECONDS", 0.05)

    async def scenario(engine: Containerd, watcher: EngineWatcher, _: list[str]) -> None:
        engine.containers = {"default": container(ID, labels={"nerdctl/name": "web"})}
        engine.hang = True
        await engine.start()
        await until(lambda: engine.calls >= 4)
        assert watcher.has_host_networked is None
        engine.hang = False
        await until(lambda: name_of(watcher) == "web")

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
        engine.containers = {"default": container(ID, labels={"nerdctl/name": "web"})}
        await until(lambda: name_of(watcher) == "web")

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


def test_one_that_asks_without_end_and_does_not_read_is_given_up(tmp_path: Path) -> None:
    async def ask_without_end(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                writer.write(frame(PING, b"12345678", stream=0) * 1000)
                await writer.drain()
        except ConnectionError:
            writer.close()

    async def main() -> None:
        path = str(tmp_path / "flood.sock")
        async with await asyncio.start_unix_server(ask_without_end, path):
            with pytest.raises(HttpError, match="does not read"):
                await call_once(path, METHOD, b"", 1 << 20)

    asyncio.run(asyncio.wait_for(main(), 10))


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
