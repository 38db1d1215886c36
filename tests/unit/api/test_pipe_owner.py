"""Whose a pipe of Windows is, by stand-ins for the functions that tell it."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from desktop.api import pipe_owner
from desktop.api.pipe_owner import is_ours, own_sids, owner_of, server_of
from desktop.api.win32 import windows_error

ME, STAFF, OTHER = "S-1-5-21-7-1000", "S-1-5-21-7-513", "S-1-5-21-7-1001"
HANDLE, TOKEN = 5, 77


class Library:
    """advapi32 and kernel32. `owner` is the pipe's; a function of `failing` fails with error 5."""

    def __init__(self) -> None:
        self.owner = ME
        self.failing = ""
        self.held: list[object] = []
        self.texts: dict[int, Any] = {}

    def __getattr__(self, name: str) -> Callable[..., int]:
        function: Callable[..., int] = getattr(type(self), f"_{name}")

        def call(*arguments: Any) -> int:
            if name == self.failing:
                return 5 if name == "GetSecurityInfo" else 0
            return function(self, *arguments)

        return call

    def _sid(self, text: str) -> int:
        """The address of what stands for a SID."""
        kept = ctypes.create_unicode_buffer(text)
        self.texts[ctypes.addressof(kept)] = kept
        return ctypes.addressof(kept)

    def _GetNamedPipeServerProcessId(self, handle: Any, pid: Any) -> int:  # noqa: N802
        assert handle.value == HANDLE
        pid._obj.value = 4711
        return 1

    def _GetSecurityInfo(self, handle: Any, kind: int, what: int, *rest: Any) -> int:  # noqa: N802
        assert (handle.value, kind, what) == (HANDLE, 6, 1)
        owner, *_, descriptor = rest
        owner._obj.value = self._sid(self.owner)
        descriptor._obj.value = 1
        self.held.append(1)
        return 0

    def _OpenProcessToken(self, process: Any, right: int, token: Any) -> int:  # noqa: N802
        assert (ctypes.c_int64(process.value).value, right) == (-1, 8)
        token._obj.value = TOKEN
        self.held.append(TOKEN)
        return 1

    def _GetTokenInformation(  # noqa: N802
        self, token: Any, kind: int, told: Any, most: int, _size: Any
    ) -> int:
        assert (token.value, ctypes.sizeof(told)) == (TOKEN, most)
        ctypes.c_void_p.from_buffer(told).value = self._sid({1: ME, 4: STAFF}[kind])
        return 1

    def _ConvertSidToStringSidW(self, sid: Any, text: Any) -> int:  # noqa: N802
        text._obj.value = self.texts[sid.value].value
        self.held.append(text._obj.value)
        return 1

    def _LocalFree(self, what: Any) -> int:  # noqa: N802
        self.held.remove(what.value)
        return 0

    _CloseHandle = _LocalFree


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> Iterator[Library]:
    made = Library()
    monkeypatch.setattr(pipe_owner, "library", lambda _: made)
    monkeypatch.setattr(pipe_owner, "last_error", lambda: 5)
    yield made
    assert made.held == []


def test_the_process_that_serves_a_pipe_is_told(windows: Library) -> None:
    assert server_of(HANDLE) == 4711
    windows.failing = "GetNamedPipeServerProcessId"
    with pytest.raises(OSError, match="error 5 of Windows"):
        server_of(HANDLE)


def test_we_are_our_user_and_whom_our_objects_belong_to(windows: Library) -> None:
    assert own_sids() == {ME, STAFF}
    assert windows.texts


@pytest.mark.parametrize(
    ("owner", "expected"),
    [(ME, True), (STAFF, True), ("S-1-5-18", True), ("S-1-5-32-544", True), (OTHER, False)],
)
def test_a_pipe_of_this_user_or_of_administrators_is_ours(
    windows: Library, owner: str, expected: bool
) -> None:
    windows.owner = owner
    assert owner_of(HANDLE) == owner
    assert is_ours(HANDLE) == expected


@pytest.mark.parametrize(
    "name",
    ["GetSecurityInfo", "OpenProcessToken", "GetTokenInformation", "ConvertSidToStringSidW"],
)
def test_what_is_not_told_is_an_error_and_nothing_is_kept(windows: Library, name: str) -> None:
    windows.failing = name
    with pytest.raises(OSError, match="error 5 of Windows"):
        is_ours(HANDLE)


def test_an_error_of_windows_keeps_its_number_there() -> None:
    error = windows_error("it failed", 5)
    assert str(error).endswith("it failed: error 5 of Windows")
    assert getattr(error, "winerror", 5) == 5


def test_a_librarys_functions_leave_their_error_for_the_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[str, bool]] = []

    def load(name: str, *, use_last_error: bool) -> SimpleNamespace:
        asked.append((name, use_last_error))
        return SimpleNamespace()

    from desktop.api import win32

    monkeypatch.setattr(ctypes, "CDLL", load)
    monkeypatch.setattr(ctypes, "get_last_error", lambda: 33, raising=False)
    win32.library("kernel32")
    assert (asked, win32.last_error()) == ([("kernel32", True)], 33)
