"""A pipe from a child: on this system as it is, and Windows' by stand-ins elsewhere."""

from __future__ import annotations

import asyncio
import importlib
import os
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from desktop import pipes_windows
from desktop.daemon.loops import new_event_loop
from desktop.pipes import pipes, read_pipe, write_pipe

PATIENCE = 10.0


class Heard(asyncio.Protocol):
    """Keeps what comes, until the end."""

    def __init__(self) -> None:
        self.data = b""
        self.ended = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self.data += data

    def connection_lost(self, _error: Exception | None) -> None:
        self.ended.set()


class Windows(SimpleNamespace):
    """asyncio.windows_utils, _winapi and msvcrt; a handle is a descriptor."""

    closed: list[int]
    can_be_had = True
    is_to_child = False

    def pipe(self, *, overlapped: tuple[bool, bool], duplex: bool = False) -> tuple[int, int]:
        assert overlapped == (not duplex, duplex), "one end is a program's"
        self.is_to_child = duplex
        return os.pipe()

    def PipeHandle(self, handle: int) -> Any:  # noqa: N802
        return os.fdopen(handle, "wb" if self.is_to_child else "rb", buffering=0)

    def CloseHandle(self, handle: int) -> None:  # noqa: N802
        self.closed.append(handle)
        os.close(handle)

    def open_osfhandle(self, handle: int, _flags: int) -> int:
        if not self.can_be_had:
            raise OSError(24, "too many open files")
        return handle


@pytest.fixture(params=["posix", "nt"] if os.name != "nt" else ["nt"])
def system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Windows:
    made = Windows(closed=[])
    if request.param != os.name:
        for name in ("asyncio.windows_utils", "_winapi", "msvcrt"):
            monkeypatch.setitem(sys.modules, name, made)
    module = pipes(request.param)
    monkeypatch.setattr("desktop.pipes.pipes", lambda: module)
    return made


@pytest.mark.usefixtures("system")
def test_what_is_written_is_heard_and_the_end_too() -> None:
    async def story() -> bytes:
        heard = Heard()
        transport, writing = await read_pipe(heard)
        os.write(writing, b"one ")
        os.write(writing, b"two")
        os.close(writing)
        await asyncio.wait_for(heard.ended.wait(), PATIENCE)
        transport.close()
        return heard.data

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        assert runner.run(story()) == b"one two"


@pytest.mark.usefixtures("system")
def test_what_the_loop_writes_is_read_and_the_end_too() -> None:
    async def story() -> bytes:
        transport, reading = await write_pipe(asyncio.Protocol())
        to: Any = transport
        to.write(b"one two")
        to.close()
        data = await asyncio.to_thread(os.read, reading, 100)
        assert await asyncio.to_thread(os.read, reading, 100) == b""
        os.close(reading)
        return data

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        assert runner.run(story()) == b"one two"


class RefusingLoop(asyncio.SelectorEventLoop):
    """Takes no pipe."""

    async def connect_read_pipe(self, *_: Any) -> Any:
        raise OSError(22, "no pipe of ours")

    async def connect_write_pipe(self, *_: Any) -> Any:
        raise OSError(22, "no pipe of ours")


@pytest.mark.usefixtures("system")
def test_a_pipe_that_the_loop_does_not_take_is_closed() -> None:
    async def story() -> None:
        before = lowest_free()
        with pytest.raises(OSError, match="no pipe of ours"):
            await read_pipe(Heard())
        with pytest.raises(OSError, match="no pipe of ours"):
            await write_pipe(Heard())
        assert lowest_free() == before

    with asyncio.Runner(loop_factory=RefusingLoop) as runner:
        runner.run(story())


def lowest_free() -> int:
    """The number that the next open file gets."""
    descriptor = os.open(os.devnull, os.O_RDONLY)
    os.close(descriptor)
    return descriptor


@pytest.mark.skipif(os.name == "nt", reason="a C library that refuses is a stand-in's")
def test_on_windows_a_handle_that_cannot_be_a_descriptor_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    windows = Windows(closed=[])
    windows.can_be_had = False
    for name in ("asyncio.windows_utils", "_winapi", "msvcrt"):
        monkeypatch.setitem(sys.modules, name, windows)
    with pytest.raises(OSError, match="too many"):
        pipes_windows.make()
    assert len(windows.closed) == 2


def test_each_system_has_its_own() -> None:
    assert pipes("nt") is pipes_windows
    if os.name != "nt":
        assert pipes("posix") is importlib.import_module("desktop.pipes_posix")
