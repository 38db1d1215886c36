"""Whose a named pipe of Windows is, and which process serves it.

Source: learn.microsoft.com, GetNamedPipeServerProcessId, GetSecurityInfo (SE_KERNEL_OBJECT, owner),
OpenProcessToken and GetTokenInformation (TokenUser, TokenOwner), ConvertSidToStringSidW,
"Well-known SIDs".

Rules: anybody may make a pipe of any name that is free, so a client looks whose it is before it
says a word. Nobody can give a pipe that they made to somebody else. What a process makes belongs to
its user, or to its token's owner: for an elevated one that is the group of administrators.
Limits: has run under Wine only. Counterparts: `pipe_stream.py` asks; `place/pipe.py` makes ours.
"""

from __future__ import annotations

import ctypes
from typing import Final

from desktop.api.win32 import last_error, library, windows_error

__all__ = ["TRUSTED", "is_ours", "own_sids", "owner_of", "server_of"]

TRUSTED: Final = frozenset({"S-1-5-18", "S-1-5-32-544"})
"""The system itself, and the group of administrators."""

SE_KERNEL_OBJECT: Final = 6
OWNER_SECURITY_INFORMATION: Final = 1
"""accctrl.h, winnt.h."""
TOKEN_QUERY: Final = 8
TOKEN_USER: Final = 1
TOKEN_OWNER: Final = 4
"""winnt.h: the right, and two of TOKEN_INFORMATION_CLASS."""
TOKEN_BYTES: Final = 256
"""A pointer, flags, and a SID of at most 68 bytes (SECURITY_MAX_SID_SIZE)."""
CURRENT_PROCESS: Final = -1
"""What GetCurrentProcess gives."""


def server_of(handle: int) -> int:
    """The process that made this end's pipe. Raises OSError."""
    pid = ctypes.c_uint32()
    ask = library("kernel32").GetNamedPipeServerProcessId
    if not ask(ctypes.c_void_p(handle), ctypes.byref(pid)):
        raise windows_error("who serves the pipe is not told", last_error())
    return pid.value


def is_ours(handle: int) -> bool:
    """True if the pipe was made by this user, the system or an administrator. Raises OSError."""
    return owner_of(handle) in own_sids() | TRUSTED


def owner_of(handle: int) -> str:
    """The SID of the pipe's owner. Raises OSError."""
    owner, descriptor = ctypes.c_void_p(), ctypes.c_void_p()
    number = library("advapi32").GetSecurityInfo(
        ctypes.c_void_p(handle),
        SE_KERNEL_OBJECT,
        OWNER_SECURITY_INFORMATION,
        ctypes.byref(owner),
        None,
        None,
        None,
        ctypes.byref(descriptor),
    )
    if number:
        raise windows_error("whose the pipe is cannot be read", number)
    try:
        return _text_of(owner)
    finally:
        library("kernel32").LocalFree(descriptor)


def own_sids() -> frozenset[str]:
    """The SIDs of this process's user, and of whom its objects belong to. Raises OSError."""
    token = ctypes.c_void_p()
    process = ctypes.c_void_p(CURRENT_PROCESS)
    if not library("advapi32").OpenProcessToken(process, TOKEN_QUERY, ctypes.byref(token)):
        raise windows_error("who we are cannot be read", last_error())
    try:
        return frozenset(_sid_in(token, kind) for kind in (TOKEN_USER, TOKEN_OWNER))
    finally:
        library("kernel32").CloseHandle(token)


def _sid_in(token: ctypes.c_void_p, kind: int) -> str:
    """What a token tells in a structure that begins with a SID's address. Raises OSError."""
    told, size = ctypes.create_string_buffer(TOKEN_BYTES), ctypes.c_uint32()
    ask = library("advapi32").GetTokenInformation
    if not ask(token, kind, told, TOKEN_BYTES, ctypes.byref(size)):
        raise windows_error("who we are cannot be read", last_error())
    return _text_of(ctypes.c_void_p.from_buffer(told))


def _text_of(sid: ctypes.c_void_p) -> str:
    """A SID as people write it. Raises OSError."""
    text = ctypes.c_wchar_p()
    if not library("advapi32").ConvertSidToStringSidW(sid, ctypes.byref(text)):
        raise windows_error("a user's number cannot be written", last_error())
    try:
        return text.value or ""
    finally:
        library("kernel32").LocalFree(text)
