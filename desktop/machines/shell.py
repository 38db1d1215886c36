"""How programs are run in a machine, as a log-in there may: one file per way in.

Guarantees of every shell, proven by `tests/contract/test_shells.py`: a script for POSIX sh(1) gets
its standard input whole and then end-of-file, and its standard output, error and exit status come
back as they are; programs do not wait for one another; one that is killed or cancelled here has
lost its input and output there; nothing of it is left on this computer after `aclose`.

Rules: no secret in a script; what is secret goes over standard input. A shell connects when it is
first needed, and again after its connection was lost. Counterparts: `remote.py` has the machines
that are reached by shells, `desktop/transports/` what `forward` gives.
"""

from __future__ import annotations

import abc
import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from desktop.errors import ExitCode, SamehostError
from desktop.machines.doors import DoorOrder, OpenDoor, StdioOrder
from desktop.machines.examination import Step
from desktop.machines.process import Process
from desktop.tasks import uninterrupted
from desktop.transports.transport import Transport

__all__ = ["RUN_SECONDS", "Completed", "Shell", "ShellError", "ShellTrouble", "completed"]

RUN_SECONDS: Final = 20.0
"""How long a short program may take."""
OUTPUT_LIMIT: Final = 1 << 24
"""Bytes that a program may write to its standard output, and to its standard error, to `run`."""
CHUNK: Final = 1 << 16


class ShellTrouble(Enum):
    """Why a machine cannot be got into."""

    UNREACHABLE = "unreachable"
    """No such name, no route, nobody listens, or the connection was lost."""
    TIMED_OUT = "timed out"
    REFUSED = "refused"
    """It answers, and closes or forbids what was asked."""
    UNKNOWN_HOST_KEY = "unknown host key"
    HOST_KEY_CHANGED = "host key changed"
    AUTHENTICATION_FAILED = "authentication failed"
    KILLED = "killed"
    """The program that connects was ended by somebody."""
    NOT_INSTALLED = "not installed"
    """The program that connects is not on this computer."""
    FAILED = "failed"
    """It said something else, which is in the message."""


_LASTING: Final = {
    ShellTrouble.UNKNOWN_HOST_KEY,
    ShellTrouble.HOST_KEY_CHANGED,
    ShellTrouble.AUTHENTICATION_FAILED,
    ShellTrouble.NOT_INSTALLED,
}


class ShellError(SamehostError):
    """A machine cannot be got into, or not any more; `trouble` says why, for programs."""

    code = ExitCode.MACHINE_UNREACHABLE

    def __init__(self, trouble: ShellTrouble, message: str, remedy: str = "") -> None:
        super().__init__(message, remedy)
        self.trouble = trouble
        self.is_lasting = trouble in _LASTING


@dataclass(frozen=True, slots=True)
class Completed:
    """A program that has ended."""

    status: int
    output: bytes
    errors: bytes


class Shell(abc.ABC):
    """One machine's. Methods raise ShellError with a remedy; all may be cancelled."""

    name: str
    """Of the way in: "openssh", "paramiko", "wsl", "docker" or "local"."""
    doors: tuple[DoorOrder, ...] = (StdioOrder(),)
    """Of an agent to which streams can be had, best first: those that `forward` may know, and
    standard input and output, which always work."""

    own_ports: frozenset[tuple[str, int]] = frozenset()
    """(protocol, port) of this computer that lead into the machine for this shell's use, as far as
    is known."""

    async def connect(self) -> None:
        """See that programs can be run."""
        await self.run("true")

    async def run(
        self, script: str, feed: bytes = b"", *, seconds: float = RUN_SECONDS
    ) -> Completed:
        """Run `script` to its end with `feed` on its standard input.

        Raises ShellError, also if it takes longer than `seconds` or writes more than OUTPUT_LIMIT;
        it is ended then.
        """
        try:
            async with asyncio.timeout(seconds):
                return await completed(await self.start(script), feed)
        except TimeoutError as error:
            raise ShellError(
                ShellTrouble.TIMED_OUT, f"a program took longer than {seconds:.0f} s: {script!r}"
            ) from error

    def steps(self) -> list[Step]:
        """What `samehost machine doctor` looks at until programs can be run."""

        async def log_in() -> str:
            await self.connect()
            return f"by {self.name}"

        return [Step("log-in", log_in, is_way=True)]

    @abc.abstractmethod
    async def start(self, script: str) -> Process:
        """Begin to run `script`."""

    @abc.abstractmethod
    async def forward(self, door: OpenDoor) -> Transport:
        """Streams to an agent that has opened `door` in the machine.

        A door of TCP is on 127.0.0.1 of the machine. Raises TransportError if there is no way to
        such a door.
        """

    @abc.abstractmethod
    async def aclose(self) -> None:
        """End what it holds: connections, sockets, processes. May be called twice."""


async def completed(process: Process, feed: bytes) -> Completed:
    """See a process to its end, with `feed` on its input; whatever happens, it has ended then."""
    feeder = asyncio.get_running_loop().create_task(_feed(process, feed), name="input of a program")
    errors = asyncio.get_running_loop().create_task(
        _all_of(process.errors.read), name="standard error of a program"
    )
    try:
        output = await _all_of(lambda size: _receive(process, size))
        return Completed(await process.wait(), output, await errors)
    finally:
        process.kill()
        for task in (feeder, errors):
            task.cancel()
        await asyncio.gather(feeder, errors, return_exceptions=True)
        await uninterrupted(process.wait())


async def _feed(process: Process, feed: bytes) -> None:
    """Write it all, as far as the program takes it, and then end-of-file."""
    with contextlib.suppress(OSError):  # it has ended, or reads no more: its status says enough
        await asyncio.get_running_loop().sock_sendall(process.stream, feed)
    process.end_input()


async def _receive(process: Process, size: int) -> bytes:
    try:
        return await asyncio.get_running_loop().sock_recv(process.stream, size)
    except ConnectionError:
        return b""  # it ended without having read all of its input


async def _all_of(read: Callable[[int], Awaitable[bytes]]) -> bytes:
    taken = bytearray()
    while part := await read(CHUNK):
        taken += part
        if len(taken) > OUTPUT_LIMIT:
            raise ShellError(ShellTrouble.FAILED, f"a program wrote more than {OUTPUT_LIMIT} bytes")
    return bytes(taken)
