"""How the tools that run machines are asked, and told to start and stop one.

Rules: a tool is asked with limits of time and of output, and is ended with all its children once it
has answered or a limit is over, so that none can delay or fill us, whatever it does. It gets the
person's environment and no standard input. Programs are found on PATH and then where installers put
them (`../../programs.py`).

Limits: POSIX (process groups). A child that leaves the tool's process group lives on; a tool that
was told to start a machine needs that. Counterparts: the finders; `desktop/machines/managed.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import signal
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path
from typing import Final

from desktop.errors import SamehostError
from desktop.machines.found.model import one_line, text_of
from desktop.machines.found.output import Kept, Lines, Output
from desktop.processes import KILL, TERMINATE, end_group
from desktop.programs import find_program, programs
from desktop.tasks import uninterrupted

__all__ = ["ASK_SECONDS", "MOST_BYTES", "ToolError", "ToolTrouble", "Tools"]

ASK_SECONDS: Final = 5.0
"""How long a tool may take to answer. `limactl` itself waits 3 s for a machine that hangs."""

MOST_BYTES: Final = 8 << 20
"""Of an answer. One Lima machine with all its configuration has some ten kilobytes."""

MOST_ERROR_BYTES: Final = 64 << 10
"""Of what a tool complains; the rest is read and dropped."""

LAST_WORDS_SECONDS: Final = 0.2
"""How long output is still read after the end of a tool whose children have it open."""

POLITE_SECONDS: Final = 5.0
"""How long a tool that is told to end may clean up before it is killed."""

RANCHERS: Final = Path(".rd", "bin")
"""Of the home, where Rancher Desktop puts programs (`src/go/rdctl/pkg/paths`: Integration)."""

LOGRUS_MESSAGE: Final = re.compile(r'\blevel=\w+ msg="((?:[^"\\]|\\.)*)"')
"""How Lima, Podman and Colima log where there is no terminal."""

COLOUR: Final = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")
"""Control sequences (ECMA-48, 5.4)."""

log = logging.getLogger(__name__)


class ToolTrouble(Enum):
    """Why a tool gave no answer."""

    NOT_INSTALLED = "not installed"
    NOT_STARTED = "cannot be run"
    HANGS = "hangs"
    FLOODS = "floods"
    FAILED = "failed"


class ToolError(SamehostError):
    """A tool gave no answer. `said` is its complaint."""

    def __init__(
        self, trouble: ToolTrouble, message: str, remedy: str = "", said: str = ""
    ) -> None:
        super().__init__(message, remedy)
        self.trouble = trouble
        self.said = said


class Tools:
    """The tools of this computer, for a person with this home and environment."""

    def __init__(
        self,
        environment: Mapping[str, str] | None = None,
        home: Path | None = None,
        *,
        ask_seconds: float = ASK_SECONDS,
        installed: tuple[str, ...] | None = None,
    ) -> None:
        self.environment = dict(os.environ if environment is None else environment)
        self.home = home or _home(self.environment)
        self._ask_seconds = ask_seconds
        folders = [self.environment.get("PATH", os.defpath)]
        folders += programs().INSTALLED if installed is None else installed
        self._path = os.pathsep.join([*folders, str(self.home / RANCHERS)])

    def where(self, program: str) -> str | None:
        """The program's file, None if it is not installed."""
        return find_program(program, self._path)

    async def ask(self, *argv: str, environment: Mapping[str, str] | None = None) -> bytes:
        """What a tool prints. Raises ToolError; no process is left then, nor if cancelled."""
        try:
            async with asyncio.timeout(self._ask_seconds):
                return await self._answer(argv, environment)
        except TimeoutError as error:
            raise ToolError(
                ToolTrouble.HANGS,
                f"{argv[0]} did not answer within {self._ask_seconds:g} seconds",
                f"see what keeps it: {' '.join(argv)}",
            ) from error

    async def _answer(self, argv: tuple[str, ...], environment: Mapping[str, str] | None) -> bytes:
        over = asyncio.Event()
        async with Kept(MOST_BYTES, over.set) as out, Kept(MOST_ERROR_BYTES) as err:
            process = await self._spawn(argv, environment, out, err)
            ended = asyncio.create_task(process.wait(), name=f"end of {argv[0]}")
            full = asyncio.create_task(over.wait(), name=f"too much of {argv[0]}")
            try:
                await asyncio.wait({ended, full}, return_when=asyncio.FIRST_COMPLETED)
                await _last_words(out, err)
            finally:
                _kill(process, out, err)
                full.cancel()
                await uninterrupted(asyncio.wait({ended, full}))
            _check(argv, process.returncode or 0, out, err)
            return bytes(out.data)

    async def tell(
        self,
        *argv: str,
        progress: Callable[[str], None],
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Let a tool do something, however long it takes; `progress` gets each line it prints.

        Cancelled, the tool is told to end (SIGTERM), and killed if it does not.
        Raises ToolError.
        """

        def told(line: bytes) -> str:
            words = _words(line)
            if words:
                progress(words)
            return words

        async with Lines(told) as out:
            process = await self._spawn(argv, environment, out, out)
            try:
                await process.wait()
                await _last_words(out)
            finally:
                if process.returncode is None:
                    await uninterrupted(_end(process))
        if process.returncode:
            raise ToolError(
                ToolTrouble.FAILED,
                f"{' '.join(argv)} failed: {out.last or _status(process.returncode)}",
                "run that command yourself; it may say more",
                out.last,
            )

    async def _spawn(
        self,
        argv: tuple[str, ...],
        environment: Mapping[str, str] | None,
        out: Output,
        err: Output,
    ) -> asyncio.subprocess.Process:
        program = self.where(argv[0])
        if program is None:
            raise ToolError(
                ToolTrouble.NOT_INSTALLED, f"{argv[0]} is not installed", f"install {argv[0]}"
            )
        started: list[asyncio.subprocess.Process] = []

        async def start() -> None:
            started.append(
                await asyncio.create_subprocess_exec(
                    program,
                    *argv[1:],
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=out.writing,
                    stderr=err.writing,
                    env={**self.environment, "PATH": self._path, **(environment or {})},
                    start_new_session=True,
                )
            )

        try:
            await uninterrupted(start())
        except asyncio.CancelledError:
            for process in started:
                await uninterrupted(_end(process) if err is out else _killed(process))
            raise
        except OSError as error:
            raise ToolError(
                ToolTrouble.NOT_STARTED,
                f"{program} cannot be run: {error.strerror}",
                "install it again, or remove it",
            ) from error
        finally:
            out.close_writing()
            err.close_writing()
        return started[0]


def _home(environment: Mapping[str, str]) -> Path:
    """HOME, or on Windows USERPROFILE; else what the system says."""
    home = environment.get("HOME") or environment.get("USERPROFILE")
    return Path(home) if home else Path.home()


def _check(argv: tuple[str, ...], status: int, out: Kept, err: Kept) -> None:
    """Raise ToolError unless what was printed is an answer."""
    command = " ".join(argv)
    if out.is_over:
        raise ToolError(
            ToolTrouble.FLOODS,
            f"{argv[0]} printed more than {MOST_BYTES >> 20} MiB",
            f"see what it prints: {command}",
        )
    if status:
        said = text_of(bytes(err.data)) or text_of(bytes(out.data[:MOST_ERROR_BYTES]))
        raise ToolError(
            ToolTrouble.FAILED,
            f"{argv[0]} failed: {one_line(said) or _status(status)}",
            f"see what is wrong: {command}",
            said,
        )


def _status(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"exit status {status}"


async def _last_words(*outputs: Output) -> None:
    """Read what is still in the pipes of a tool that has ended."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LAST_WORDS_SECONDS):
            for output in outputs:
                await output.ended.wait()


def _kill(process: asyncio.subprocess.Process, *outputs: Output) -> None:
    """End a tool and its children.

    One that has ended is left alone unless somebody still holds its output, as then the number of
    its process group is surely still its own.
    """
    is_held = not all(output.ended.is_set() for output in outputs)
    if process.returncode is None or is_held:
        _signal(process, KILL)


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        end_group(process.pid, number)


async def _killed(process: asyncio.subprocess.Process) -> None:
    _signal(process, KILL)
    await process.wait()


async def _end(process: asyncio.subprocess.Process) -> None:
    _signal(process, TERMINATE)
    try:
        async with asyncio.timeout(POLITE_SECONDS):
            await process.wait()
    except TimeoutError:
        log.warning("process %d did not end when told to and is killed", process.pid)
        await _killed(process)


def _words(line: bytes) -> str:
    """A line of a tool's log for a person: of `time=… level=info msg="…"` (logrus) the message."""
    text = one_line(text_of(COLOUR.sub(b"", line)))
    found = LOGRUS_MESSAGE.search(text)
    return found[1].replace('\\"', '"') if found else text
