"""Stands for what Python has of Windows' CreateFile: `_winapi` and `msvcrt`, in one.

Rules: it opens what the log of the daemon needs, written at its end alone or read, and refuses to
open anything that others could not rename meanwhile.
"""

from __future__ import annotations

import os
import sys
from typing import Final

import pytest

__all__ = ["FakeWinApi"]

READ, APPEND, WRITE = 0x8000_0000, 0x4, 0x2
OPEN_EXISTING, OPEN_ALWAYS = 3, 4
MAY_BE_RENAMED: Final = 0x7


class FakeWinApi:
    """See the module.

    Attributes:
        opened: the files, in the order in which they were opened.
        closed: handles that were closed as such.
        gives_descriptors: false for a process that has no descriptor left.
    """

    NULL = 0

    def __init__(self) -> None:
        self.opened: list[str] = []
        self.closed: list[int] = []
        self.gives_descriptors = True

    @classmethod
    def installed(cls, monkeypatch: pytest.MonkeyPatch) -> FakeWinApi:
        """One that is imported in the place of both modules."""
        made = cls()
        for module in ("_winapi", "msvcrt"):
            monkeypatch.setitem(sys.modules, module, made)
        return made

    def CreateFile(  # noqa: N802
        self, name: str, access: int, share: int, security: int, creation: int, *rest: int
    ) -> int:
        assert share == MAY_BE_RENAMED, "the log could not be read, written or renamed"
        assert (security, *rest) == (0, 0, 0)
        assert not access & WRITE, "FILE_WRITE_DATA would let it write over what is there"
        self.opened.append(name)
        if access & READ:
            assert creation == OPEN_EXISTING
            return os.open(name, os.O_RDONLY)
        assert access & APPEND
        assert creation == OPEN_ALWAYS
        return os.open(name, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def CloseHandle(self, handle: int) -> None:  # noqa: N802
        self.closed.append(handle)
        os.close(handle)

    def open_osfhandle(self, handle: int, _flags: int) -> int:
        if not self.gives_descriptors:
            raise OSError(24, "too many open files")
        return handle
