r"""The control API's place on Windows: a named pipe, whose access list names its owner.

    \\.\pipe\samehost-0123456789abcdef        from the path of the runtime folder

Source: learn.microsoft.com, "Named Pipe Security and Access Rights", CreateNamedPipeW,
SECURITY_ATTRIBUTES, "Security Descriptor String Format"; CPython's Lib/asyncio/windows_events.py
(PipeServer, start_serving_pipe), whose pipes have no access list of their own, so that anybody may
read them.

Rules: the pipe's first instance must be the first there is, so nobody's pipe of that name is taken
for ours. Who may not connect does not, so nobody is asked who they are.
Limits: has run under Wine only. It uses what is CPython's own (`_winapi`, names of asyncio that
begin with `_`). Counterparts: `interface.py`; `../pipe_stream.py` is the other end.
"""

from __future__ import annotations

import asyncio
import ctypes
import importlib
from pathlib import Path
from typing import Any, Final

from desktop.api.pipe_stream import pipe_name
from desktop.api.place.interface import OnClient, Place
from desktop.errors import ConflictError, SamehostError

__all__ = ["SDDL", "PipePlace"]

SDDL: Final = "D:P(A;;GA;;;OW)(A;;GA;;;SY)(A;;GA;;;BA)"
"""All rights for the owner, the system and administrators, none for others, nothing inherited."""
SDDL_REVISION_1: Final = 1

BUFFER_BYTES: Final = 1 << 16


class _SecurityAttributes(ctypes.Structure):
    """SECURITY_ATTRIBUTES, wtypesbase.h."""

    _fields_ = (
        ("length", ctypes.c_uint32),
        ("descriptor", ctypes.c_void_p),
        ("inherits", ctypes.c_int32),
    )


def _security(advapi: Any = None) -> _SecurityAttributes:
    """The access list for a pipe; kept for as long as the process lives. Raises OSError."""
    advapi = advapi or ctypes.CDLL("advapi32")
    descriptor = ctypes.c_void_p()
    made = advapi.ConvertStringSecurityDescriptorToSecurityDescriptorW(
        ctypes.c_wchar_p(SDDL),
        ctypes.c_uint32(SDDL_REVISION_1),
        ctypes.byref(descriptor),
        None,
    )
    if not made:
        raise OSError("the access list of the control pipe cannot be made")
    return _SecurityAttributes(ctypes.sizeof(_SecurityAttributes), descriptor, 0)


class PipePlace(Place):
    """See the module. For the loop of `desktop/daemon/windows_loop.py`."""

    def __init__(self, path: Path) -> None:
        self._name = pipe_name(path)
        self._security: _SecurityAttributes | None = None
        self._task: asyncio.Task[None] | None = None

    async def open(self, on_client: OnClient, limit: int) -> None:
        """See `Place.open`."""
        self._security = _security()
        try:
            first = self._instance(is_first=True)
        except PermissionError as error:
            raise ConflictError(
                f"a daemon answers on {self._name} already", "samehost down"
            ) from error
        loop = asyncio.get_running_loop()
        self._task = loop.create_task(
            self._serve(loop, first, on_client, limit), name="control pipe"
        )

    @property
    def is_in_place(self) -> bool:
        """See `Place.is_in_place`: a pipe has no file that somebody could remove."""
        return self._task is not None and not self._task.done()

    def refusal(self, writer: asyncio.StreamWriter) -> SamehostError | None:  # noqa: ARG002
        """See `Place.refusal`: whoever is here may be."""
        return None

    def leave(self, *, is_replaced: bool = False) -> None:  # noqa: ARG002 - it cannot be
        """See `Place.leave`."""
        if self._task is not None:
            self._task.cancel()

    async def wait_closed(self) -> None:
        """See `Place.wait_closed`."""
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    async def _serve(self, loop: Any, pipe: Any, on_client: OnClient, limit: int) -> None:
        """One instance waits for a client, always; each client has its own."""
        while True:
            try:
                await loop._proactor.accept_pipe(pipe)  # noqa: SLF001 - see the module
            except BrokenPipeError:
                pipe.close()  # the client went before it was served
            except BaseException:
                pipe.close()
                raise
            else:
                reader = asyncio.StreamReader(limit=limit, loop=loop)
                protocol = asyncio.StreamReaderProtocol(reader, on_client, loop=loop)
                loop._make_duplex_pipe_transport(pipe, protocol)  # noqa: SLF001
            pipe = self._instance(is_first=False)

    def _instance(self, *, is_first: bool) -> Any:
        """Another instance of the pipe. Raises OSError."""
        winapi = importlib.import_module("_winapi")
        utils = importlib.import_module("asyncio.windows_utils")
        mode = winapi.PIPE_ACCESS_DUPLEX | winapi.FILE_FLAG_OVERLAPPED
        if is_first:
            mode |= winapi.FILE_FLAG_FIRST_PIPE_INSTANCE
        handle = winapi.CreateNamedPipe(
            self._name,
            mode,
            winapi.PIPE_WAIT,
            winapi.PIPE_UNLIMITED_INSTANCES,
            BUFFER_BYTES,
            BUFFER_BYTES,
            winapi.NMPWAIT_WAIT_FOREVER,
            ctypes.addressof(self._security) if self._security is not None else winapi.NULL,
        )
        return utils.PipeHandle(handle)
