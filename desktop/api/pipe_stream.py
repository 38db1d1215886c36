"""The client's end of the named pipe on Windows, which blocks no longer than it is told.

Source: CPython's Lib/multiprocessing/connection.py: a pipe is opened for overlapped calls, since a
plain one can neither be read with a timeout nor read and written at once.
Rules: whose the pipe is has been seen before anything is said; whoever serves it may learn who we
are, and not act as us (learn.microsoft.com, CreateFileW: SECURITY_SQOS_PRESENT).
Limits: has run under Wine only; `_winapi` is CPython's own. Counterparts: `place/pipe.py`,
`pipe_owner.py`.
"""

from __future__ import annotations

import errno
import hashlib
import importlib
import os
from pathlib import Path
from typing import Any, Final

from desktop.api.pipe_owner import is_ours, server_of

__all__ = ["PipeStream", "connect_pipe", "is_pipe", "pipe_name"]

PREFIX: Final = r"\\.\pipe\samehost-"
NAME_DIGITS: Final = 16

ERROR_BROKEN_PIPE: Final = 109
ERROR_SEM_TIMEOUT: Final = 121
ERROR_PIPE_BUSY: Final = 231
ERROR_NO_DATA: Final = 232
ERROR_PIPE_NOT_CONNECTED: Final = 233
"""winerror.h."""
GONE: Final = frozenset({ERROR_BROKEN_PIPE, ERROR_NO_DATA, ERROR_PIPE_NOT_CONNECTED})
FOR_EVER: Final = 0xFFFFFFFF
"""INFINITE, winbase.h."""
SECURITY_IDENTIFICATION: Final = 0x0011_0000
"""With SECURITY_SQOS_PRESENT, winbase.h."""


def pipe_name(path: Path) -> str:
    """The pipe of a path, which is the same for all spellings of it that Windows takes for one."""
    spelled = os.path.normcase(os.path.abspath(path)).lower()
    return PREFIX + hashlib.sha256(spelled.encode()).hexdigest()[:NAME_DIGITS]


class PipeStream:
    """See `stream.Stream`."""

    def __init__(self, winapi: Any, handle: int) -> None:
        self._winapi = winapi
        self._handle: int | None = handle
        self._milliseconds = FOR_EVER

    def settimeout(self, value: float | None, /) -> None:
        """See `Stream.settimeout`."""
        self._milliseconds = FOR_EVER if value is None else max(1, round(value * 1000))

    def sendall(self, data: bytes, /) -> None:
        """See `Stream.sendall`."""
        left = memoryview(data)
        while left:
            sent, _ = self._wait(*self._call("WriteFile", bytes(left)))
            left = left[sent:]

    def recv(self, bufsize: int, /) -> bytes:
        """See `Stream.recv`."""
        try:
            _, overlapped = self._wait(*self._call("ReadFile", bufsize))
        except BrokenPipeError:
            return b""
        return bytes(overlapped.getbuffer())

    def listener(self) -> int:
        """The process at the other end, which has made the pipe. Raises OSError."""
        if self._handle is None:
            raise BrokenPipeError("the connection is closed")
        return server_of(self._handle)

    def close(self) -> None:
        """See `Stream.close`."""
        handle, self._handle = self._handle, None
        if handle is not None:
            self._winapi.CloseHandle(handle)

    def _call(self, function: str, argument: object) -> tuple[Any, int]:
        try:
            overlapped, error = getattr(self._winapi, function)(
                self._handle, argument, overlapped=True
            )
        except OSError as failure:
            raise _said(failure) from failure
        return overlapped, error

    def _wait(self, overlapped: Any, error: int) -> tuple[int, Any]:
        """The bytes that went, and what took them. Raises OSError."""
        try:
            if error == self._winapi.ERROR_IO_PENDING:
                events = [overlapped.event]
                told = self._winapi.WaitForMultipleObjects(events, False, self._milliseconds)
                if told != self._winapi.WAIT_OBJECT_0:
                    overlapped.cancel()
                    raise TimeoutError("the pipe's other end does not answer")
            count, _ = overlapped.GetOverlappedResult(True)
        except TimeoutError:
            raise
        except OSError as failure:
            raise _said(failure) from failure
        return count, overlapped


def _said(error: OSError) -> OSError:
    """An error of a pipe as a socket would say it."""
    number = getattr(error, "winerror", None)
    return BrokenPipeError(str(error)) if number in GONE else error


def connect_pipe(path: Path, seconds: float) -> PipeStream:
    """See `stream.connect`. A pipe of somebody else raises PermissionError."""
    winapi = importlib.import_module("_winapi")
    handle = _open(winapi, pipe_name(path), seconds)
    try:
        if not is_ours(handle):
            raise PermissionError(errno.EACCES, "the pipe was made by another user")
    except BaseException:
        winapi.CloseHandle(handle)
        raise
    return PipeStream(winapi, handle)


def is_pipe(name: str, seconds: float) -> bool:
    """Whether somebody serves a pipe, who may be busy. Raises OSError for another reason."""
    try:
        importlib.import_module("_winapi").WaitNamedPipe(name, max(1, round(seconds * 1000)))
    except FileNotFoundError:
        return False
    except OSError as error:
        if getattr(error, "winerror", None) != ERROR_SEM_TIMEOUT:
            raise
    return True


def _open(winapi: Any, name: str, seconds: float) -> int:
    """A handle of whoever's pipe, once it is free. Raises OSError."""
    try:
        winapi.WaitNamedPipe(name, max(1, round(seconds * 1000)))
        handle: int = winapi.CreateFile(
            name,
            winapi.GENERIC_READ | winapi.GENERIC_WRITE,
            0,
            winapi.NULL,
            winapi.OPEN_EXISTING,
            winapi.FILE_FLAG_OVERLAPPED | SECURITY_IDENTIFICATION,
            winapi.NULL,
        )
    except OSError as error:
        number = getattr(error, "winerror", None)
        if number in (ERROR_SEM_TIMEOUT, ERROR_PIPE_BUSY):
            raise TimeoutError(str(error)) from error
        raise
    return handle
