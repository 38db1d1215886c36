"""The named pipe of Windows, by stand-ins for its calls: who may connect, timeouts, ends."""

from __future__ import annotations

import asyncio
import ctypes
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from desktop.api import pipe_stream
from desktop.api.pipe_stream import PipeStream, pipe_name
from desktop.api.place import pipe
from desktop.api.place.pipe import SDDL, PipePlace
from desktop.api.place.select import open_place
from desktop.api.stream import address_of, connect, is_answered, listener_of
from desktop.errors import ConflictError
from tests.capabilities import UNIX_SOCKETS, needs

PATH = Path("/home/ada/run/api.sock")
SQOS_PRESENT = 0x0010_0000
"""SECURITY_SQOS_PRESENT, winbase.h."""


class Overlapped:
    """What an overlapped call gives."""

    def __init__(self, result: bytes | int | OSError) -> None:
        self.result = result
        self.event = 77
        self.is_cancelled = False

    def GetOverlappedResult(self, wait: bool) -> tuple[int, int]:  # noqa: N802
        assert wait
        if isinstance(self.result, OSError):
            raise self.result
        return (self.result if isinstance(self.result, int) else len(self.result)), 0

    def getbuffer(self) -> bytes:
        assert isinstance(self.result, bytes)
        return self.result

    def cancel(self) -> None:
        self.is_cancelled = True


def windows_error(number: int) -> OSError:
    error = OSError(number, "of Windows")
    error.winerror = number  # type: ignore[attr-defined]
    return error


class WinApi(SimpleNamespace):
    """_winapi, with answers that a test gives."""

    ERROR_IO_PENDING = 997
    WAIT_OBJECT_0 = 0
    NULL = 0
    GENERIC_READ, GENERIC_WRITE, OPEN_EXISTING, FILE_FLAG_OVERLAPPED = 1, 2, 3, 1 << 30
    PIPE_ACCESS_DUPLEX, PIPE_WAIT, PIPE_UNLIMITED_INSTANCES = 3, 0, 255
    FILE_FLAG_FIRST_PIPE_INSTANCE, NMPWAIT_WAIT_FOREVER = 1 << 19, -1

    def __init__(self, *answers: bytes | int | OSError, waits: int = 0) -> None:
        super().__init__(answers=list(answers), said=[], waited=[], closed=[], waits=waits)
        self.last: Overlapped | None = None

    def _answer(self) -> tuple[Overlapped, int]:
        self.last = Overlapped(self.answers.pop(0))
        return self.last, self.ERROR_IO_PENDING

    def ReadFile(self, _handle: int, _size: int, *, overlapped: bool) -> Any:  # noqa: N802
        assert overlapped
        return self._answer()

    def WriteFile(self, _handle: int, data: bytes, *, overlapped: bool) -> Any:  # noqa: N802
        assert overlapped
        self.said.append(data)
        return self._answer()

    def WaitForMultipleObjects(self, events: list[int], _all: bool, ms: int) -> int:  # noqa: N802
        assert events == [77]
        self.waited.append(ms)
        return int(self.waits)

    def CloseHandle(self, handle: int) -> None:  # noqa: N802
        self.closed.append(handle)

    def WaitNamedPipe(self, name: str, ms: int) -> None:  # noqa: N802
        self.waited.append((name, ms))
        if self.answers and isinstance(self.answers[0], OSError):
            raise self.answers.pop(0)

    def CreateFile(self, name: str, access: int, *rest: int) -> int:  # noqa: N802
        assert (name, access) == (pipe_name(PATH), 3)
        assert any(each & self.FILE_FLAG_OVERLAPPED for each in rest)
        assert any(each & SQOS_PRESENT for each in rest), "whoever serves could act as we"
        return 5

    def CreateNamedPipe(self, name: str, mode: int, *rest: int) -> int:  # noqa: N802
        self.said.append((name, bool(mode & self.FILE_FLAG_FIRST_PIPE_INSTANCE)))
        assert rest[-1], "the pipe has no access list"
        if self.answers and isinstance(self.answers[0], OSError):
            raise self.answers.pop(0)
        return 9


@pytest.fixture
def winapi(monkeypatch: pytest.MonkeyPatch) -> WinApi:
    made = WinApi()
    monkeypatch.setitem(sys.modules, "_winapi", made)
    monkeypatch.setitem(sys.modules, "asyncio.windows_utils", SimpleNamespace(PipeHandle=Handle))
    monkeypatch.setattr(pipe, "_security", pipe._SecurityAttributes)
    monkeypatch.setattr(pipe_stream, "is_ours", lambda handle: handle == 5)
    return made


class Handle:
    """A pipe's handle of asyncio."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.is_closed = False

    def close(self) -> None:
        self.is_closed = True


def test_each_folder_has_its_pipe_and_so_qt_is_told() -> None:
    name = pipe_name(PATH)
    assert name.startswith("\\\\.\\pipe\\samehost-")
    assert name == pipe_name(Path("/HOME/ada/x/../run/API.sock")) == address_of(PATH, "nt")
    assert name != pipe_name(PATH.parent / "gui.sock")
    assert address_of(PATH, "posix") == str(PATH)
    assert isinstance(open_place(PATH, "nt"), PipePlace)


def test_the_access_list_lets_in_owner_system_and_administrators_alone() -> None:
    asked: list[tuple[str, int]] = []

    def convert(text: Any, revision: Any, descriptor: Any, _size: None) -> int:
        asked.append((text.value, revision.value))
        ctypes.cast(descriptor, ctypes.POINTER(ctypes.c_void_p)).contents.value = 0x1234
        return 1

    name = "ConvertStringSecurityDescriptorToSecurityDescriptorW"
    made = pipe._security(SimpleNamespace(**{name: convert}))
    assert (made.descriptor, made.inherits) == (0x1234, 0)
    assert made.length == ctypes.sizeof(made)
    assert asked == [(SDDL, 1)]
    assert SDDL.startswith("D:P(")
    assert {part.rpartition(";")[2] for part in SDDL[4:-1].split(")(")} == {"OW", "SY", "BA"}
    with pytest.raises(OSError, match="access list"):
        pipe._security(SimpleNamespace(**{name: lambda *_: 0}))


def test_a_client_reads_and_writes_all_of_it() -> None:
    api = WinApi(3, 2, b"answer", b"")
    stream = PipeStream(api, 5)
    stream.settimeout(1.5)
    stream.sendall(b"hello")
    assert api.said == [b"hello", b"lo"]
    assert stream.recv(100) == b"answer"
    stream.settimeout(None)
    assert stream.recv(100) == b""
    assert api.waited == [1500, 1500, 1500, 0xFFFFFFFF]
    stream.close()
    stream.close()
    assert api.closed == [5]


def test_silence_is_a_timeout_and_the_call_is_given_up() -> None:
    api = WinApi(b"", waits=258)
    stream = PipeStream(api, 5)
    stream.settimeout(0.2)
    with pytest.raises(TimeoutError):
        stream.recv(1)
    assert api.last is not None
    assert api.last.is_cancelled


@pytest.mark.parametrize("number", [109, 232, 233])
def test_the_other_ends_end_is_the_end_as_of_a_socket(number: int) -> None:
    stream = PipeStream(WinApi(windows_error(number), windows_error(number)), 5)
    assert stream.recv(1) == b""
    with pytest.raises(BrokenPipeError):
        stream.sendall(b"x")


def test_connecting_waits_for_a_free_instance_as_long_as_it_may(winapi: WinApi) -> None:
    stream = connect(PATH, 2.5, "nt")
    assert winapi.waited == [(pipe_name(PATH), 2500)]
    stream.close()
    assert winapi.closed == [5]


def test_a_pipe_that_somebody_else_made_is_left_without_a_word(
    winapi: WinApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipe_stream, "is_ours", lambda _: False)
    with pytest.raises(PermissionError):
        connect(PATH, 2.5, "nt")
    assert (winapi.said, winapi.closed) == ([], [5])


def test_who_made_a_pipe_is_who_listens(winapi: WinApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipe_stream, "server_of", lambda handle: {5: 4711}[handle])
    stream = connect(PATH, 2.5, "nt")
    assert listener_of(stream) == 4711
    stream.close()
    with pytest.raises(BrokenPipeError):
        listener_of(stream)
    assert winapi.closed == [5]


@pytest.mark.parametrize(
    ("error", "is_there"),
    [
        (None, True),
        (windows_error(121), True),
        (FileNotFoundError(2, "none"), False),
        (PermissionError(5, "another's"), False),
    ],
)
def test_an_engine_on_a_pipe_is_looked_for_and_may_be_busy(
    winapi: WinApi, error: OSError | None, is_there: bool
) -> None:
    winapi.answers.extend([error] if error else [])
    assert is_answered("npipe:////./pipe/docker_engine", 0.5, "nt") == is_there
    assert winapi.waited == [(r"\\.\pipe\docker_engine", 500)]


def test_an_engine_elsewhere_is_not_looked_for() -> None:
    assert is_answered("tcp://192.0.2.1:2375", 0.5)
    assert is_answered("npipe:////./pipe/docker_engine", 0.5, "posix")
    assert is_answered("unix:///nowhere", 0.5, "nt")


@needs(UNIX_SOCKETS)
def test_an_engine_on_a_socket_is_looked_for() -> None:
    assert not is_answered("unix:///nowhere", 0.5, "posix")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (windows_error(121), TimeoutError),
        (windows_error(231), TimeoutError),
        (FileNotFoundError(2, "none"), FileNotFoundError),
        (PermissionError(5, "another's"), PermissionError),
    ],
)
def test_connecting_fails_as_it_does_with_a_socket(
    winapi: WinApi, error: OSError, expected: type[OSError]
) -> None:
    winapi.answers.append(error)
    with pytest.raises(expected):
        connect(PATH, 2.5, "nt")


def test_one_instance_waits_always_and_only_the_first_must_be_the_first(winapi: WinApi) -> None:
    async def story() -> None:
        loop: Any = asyncio.get_running_loop()
        waiting: asyncio.Queue[tuple[Handle, asyncio.Future[Handle]]] = asyncio.Queue()
        served: list[Handle] = []

        def accept(pipe: Handle) -> asyncio.Future[Handle]:
            future: asyncio.Future[Handle] = loop.create_future()
            waiting.put_nowait((pipe, future))
            return future

        loop._proactor = SimpleNamespace(accept_pipe=accept)
        loop._make_duplex_pipe_transport = lambda pipe, _protocol: served.append(pipe)
        place = PipePlace(PATH)
        await place.open(lambda *_: None, 100)
        assert PipePlace.is_in_place.fget(place)  # type: ignore[attr-defined]  # it changes
        assert place.refusal(SimpleNamespace()) is None  # type: ignore[arg-type]
        first, future = await waiting.get()
        future.set_result(first)
        second, future = await waiting.get()
        assert served == [first]
        future.set_exception(BrokenPipeError())
        third, _ = await waiting.get()
        assert second.is_closed
        place.leave()
        await place.wait_closed()
        assert third.is_closed
        assert not first.is_closed
        assert not place.is_in_place
        assert [is_first for _, is_first in winapi.said] == [True, False, False]

    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        runner.run(story())


def test_a_pipe_that_is_there_already_is_anothers(winapi: WinApi) -> None:
    winapi.answers.append(PermissionError(5, "Access is denied"))
    with pytest.raises(ConflictError, match="answers on"):
        asyncio.run(PipePlace(PATH).open(lambda *_: None, 100))
