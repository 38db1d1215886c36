"""A program that runs in a machine, seen from here.

    stream   what it reads and writes, one stream socket: its standard input and output
    errors   its standard error

Rules: whoever has a process ends it (`end_input`, or `kill`) and awaits it (`wait`), which frees
both. Who reads `stream` stops before that. A process never takes part in the sessions of this
computer's terminal: Ctrl-C is for whoever started it.

Counterparts: `joint.py` joins `stream` to the program; `shell.py` starts processes in machines,
`launch.py` starts the agent in one.
"""

from __future__ import annotations

import abc
import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Mapping, Sequence

from desktop.machines.error_reader import ErrorReader
from desktop.machines.joint import Joint, make_joint
from desktop.processes import KILL
from desktop.programs import program_file
from desktop.tasks import uninterrupted

__all__ = ["ChildProcess", "Process"]

log = logging.getLogger(__name__)


class Process(abc.ABC):
    """See the module.

    Attributes:
        stream: a connected, non-blocking stream socket.
        errors: its standard error, of which a bounded part is kept until it is read.
    """

    stream: socket.socket
    errors: asyncio.StreamReader

    @property
    @abc.abstractmethod
    def returncode(self) -> int | None:
        """Its exit status, or minus the signal that ended it; None while it runs."""

    def end_input(self) -> None:
        """Let it read end-of-file; it may go on to write. May be called twice."""
        with contextlib.suppress(OSError):
            self.stream.shutdown(socket.SHUT_WR)

    async def log_errors(self, to: logging.Logger, whose: str) -> None:
        """Log what it says on its standard error, line by line, until its end."""
        while True:
            try:
                line = await self.errors.readline()
            except ValueError:
                continue  # longer than any line that is meant to be read
            if not line:
                return
            to.info("%s: %s", whose, line.decode(errors="replace").rstrip())

    @abc.abstractmethod
    def kill(self) -> None:
        """End it at once. One that has ended is left alone."""

    @abc.abstractmethod
    async def wait(self) -> int:
        """Its exit status, once it has ended and all that was held for it is freed.

        What was read of `errors` by then can still be taken; `stream` is closed. May be called
        twice, and cancelled.
        """


class ChildProcess(Process):
    """A child of this process; made by `start`."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        joint: Joint,
        errors: ErrorReader,
    ) -> None:
        self.stream = joint.stream
        self._joint = joint
        self.errors = errors.reader
        self._process = process
        self._errors = errors

    @classmethod
    async def start(
        cls,
        argv: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        folder: str | os.PathLike[str] = "/",
    ) -> ChildProcess:
        """Run `argv`, in this process's environment if no other is given. Raises OSError.

        Cancelled, it leaves no process.
        """
        async with contextlib.AsyncExitStack() as ours:
            joint = await make_joint()
            ours.push_async_callback(joint.aclose)
            errors = ErrorReader()
            writing = await errors.open_pipe()
            ours.callback(errors.close)
            try:
                process = await _spawn(argv, joint, writing, environment, folder)
            finally:
                os.close(writing)
            joint.started()
            ours.pop_all()
        return cls(process, joint, errors)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """See `Process`."""
        return self._process.returncode

    def kill(self) -> None:
        """See `Process`."""
        # Not by asyncio: it would collect the exit status, which the loop then waits for in vain.
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, KILL)

    async def wait(self) -> int:
        """See `Process`."""
        status = await self._process.wait()
        await self._joint.aclose()
        if not await self._errors.finish():
            log.debug("the standard error of %d is still open elsewhere", self.pid)
        return status


async def _spawn(
    argv: Sequence[str],
    joint: Joint,
    errors: int,
    environment: Mapping[str, str] | None,
    folder: str | os.PathLike[str],
) -> asyncio.subprocess.Process:
    """Start it; if cancelled meanwhile, end it again."""
    program = program_file(argv[0], (environment or {}).get("PATH"))
    started: list[asyncio.subprocess.Process] = []

    async def start() -> None:
        started.append(
            await asyncio.create_subprocess_exec(
                program,
                *argv[1:],
                stdin=joint.input,
                stdout=joint.output,
                stderr=errors,
                env=environment,
                cwd=folder,
                start_new_session=True,
            )
        )

    try:
        await uninterrupted(start())
    except asyncio.CancelledError:
        for process in started:
            os.kill(process.pid, KILL)
            await process.wait()
        raise
    return started[0]
