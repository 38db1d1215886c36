"""The named pipe of the control API: who made it, who may come in, silence, and ends."""

from __future__ import annotations

import asyncio
import ctypes
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from desktop.api.pipe_owner import is_ours, own_sids, owner_of, server_of
from desktop.api.pipe_stream import PipeStream, connect_pipe, is_pipe, pipe_name
from desktop.api.place.select import open_place
from desktop.api.stream import connect, listener_of
from desktop.api.win32 import library
from desktop.daemon.loops import new_event_loop
from desktop.errors import ConflictError
from tests.windows.wine import not_by_wine

DACL_SECURITY_INFORMATION = 4
SE_KERNEL_OBJECT = 6


def told(path: Path, client: Callable[[], object], *, answers: bool = True) -> None:
    """Let a place repeat each line to its clients, or say nothing, while `client` does its part."""

    async def repeat(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            if answers:
                writer.write(b"you said " + line)
                await writer.drain()
            if line == b"bye\n":
                break
        writer.close()

    async def story() -> None:
        place, tasks = open_place(path), []
        on_client = lambda r, w: tasks.append(asyncio.create_task(repeat(r, w)))  # noqa: E731
        await place.open(on_client, 1000)
        assert place.is_in_place
        await asyncio.to_thread(client)
        place.leave()
        await place.wait_closed()
        await asyncio.wait_for(asyncio.gather(*tasks), 10)

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(story())


def test_lines_pass_both_ways_for_one_client_after_the_other(tmp_path: Path) -> None:
    def client() -> None:
        for _ in range(3):
            stream = connect(tmp_path / "api.sock", 5)
            stream.settimeout(10)
            for line in (b"hello\n", b"x" * 900 + b"\n", b"bye\n"):
                stream.sendall(line)
                heard = b""
                while not heard.endswith(b"\n"):
                    heard += stream.recv(100)
                assert heard == b"you said " + line
            assert stream.recv(100) == b""
            stream.close()
            stream.close()

    told(tmp_path / "api.sock", client)


def test_silence_is_a_timeout_after_which_it_can_still_be_spoken(tmp_path: Path) -> None:
    def client() -> None:
        stream = connect(tmp_path / "api.sock", 5)
        stream.settimeout(0.2)
        for _ in range(2):
            with pytest.raises(TimeoutError):
                stream.recv(100)
        stream.sendall(b"bye\n")
        stream.settimeout(10)
        assert stream.recv(100) == b""
        stream.close()

    told(tmp_path / "api.sock", client, answers=False)


def test_the_pipe_is_ours_and_this_process_serves_it(tmp_path: Path) -> None:
    def client() -> None:
        stream = connect(tmp_path / "api.sock", 5)
        assert isinstance(stream, PipeStream)
        assert listener_of(stream) == os.getpid()
        handle = stream._handle
        assert handle is not None
        assert server_of(handle) == os.getpid()
        assert owner_of(handle) in own_sids()
        assert is_ours(handle)
        stream.close()

    told(tmp_path / "api.sock", client)


def test_its_access_list_has_its_owner_the_system_and_administrators_alone(tmp_path: Path) -> None:
    def client() -> None:
        stream: Any = connect(tmp_path / "api.sock", 5)
        assert rights_of(stream._handle) == {"OW", "SY", "BA"}
        stream.close()

    told(tmp_path / "api.sock", client)


def rights_of(handle: int) -> set[str]:
    """Who is in the access list of a pipe, as "Security Descriptor String Format" has it."""
    descriptor, text = ctypes.c_void_p(), ctypes.c_wchar_p()
    what = ctypes.c_uint32(DACL_SECURITY_INFORMATION)
    nothing = (None, None, None, None)
    advapi = library("advapi32")
    assert not advapi.GetSecurityInfo(
        ctypes.c_void_p(handle), SE_KERNEL_OBJECT, what, *nothing, ctypes.byref(descriptor)
    )
    assert advapi.ConvertSecurityDescriptorToStringSecurityDescriptorW(
        descriptor, 1, what, ctypes.byref(text), None
    )
    entries = (text.value or "").partition("(")[2].rstrip(")").split(")(")
    return {entry.rpartition(";")[2].replace("S-1-3-4", "OW") for entry in entries}


@not_by_wine("takes no notice of FILE_FLAG_FIRST_PIPE_INSTANCE")
def test_a_second_place_of_the_same_path_is_a_conflict(tmp_path: Path) -> None:
    def client() -> None:
        with pytest.raises(ConflictError):
            asyncio.run(open_place(tmp_path / "api.sock").open(lambda *_: None, 100))

    told(tmp_path / "api.sock", client)


def test_where_nobody_serves_there_is_no_file(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    with pytest.raises(FileNotFoundError):
        connect_pipe(path, 0.2)
    assert not is_pipe(pipe_name(path), 0.2)
    told(path, lambda: is_there(path))
    with pytest.raises(FileNotFoundError):
        connect_pipe(path, 0.2)


def is_there(path: Path) -> None:
    assert is_pipe(pipe_name(path), 0.2)
