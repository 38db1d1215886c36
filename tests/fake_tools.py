"""Programs that stand in for limactl, colima, podman, rdctl and wsl.exe: on a PATH of their own.

Each is a shell script that prints what a test says, for the arguments that a test says, and notes
how it was called. `broken` makes the kinds that nobody should have to meet.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from desktop.machines.found.tools import Tools
from tests.capabilities import POSIX_PROCESSES, require
from tests.until import PATIENCE

__all__ = ["BROKEN", "FakeTools"]

SHELL_PATH: Final = "/usr/bin:/bin"
"""Where the scripts find their own programs."""

BROKEN: Final[Mapping[str, str]] = {
    "hangs": "echo $$ >> {pids}; sleep 1000 & echo $! >> {pids}; wait",
    "hangs though told to end": "trap '' TERM INT; echo $$ >> {pids}; sleep 1000",
    "leaves a child that holds its output": "sleep 1000 & echo $! >> {pids}; echo '[]'; exit 0",
    "floods": "echo $$ >> {pids}; exec head -c 100000000 /dev/zero",
    "complains without end, and answers nonsense": (
        "echo $$ >> {pids}; head -c 3000000 /dev/zero >&2; echo nonsense"
    ),
    "talks nonsense": "printf 'time=\"now\" level=warning\\n\\377\\376<html>'",
    "prints deep brackets": "head -c 200000 /dev/zero | tr '\\0' '['",
    "prints another type": "printf '%s\\n' '7' '\"x\"' 'null'",
    "has names of other types": 'printf \'%s\\n\' \'{{"name": 7, "Name": [], "status": {{}}}}\'',
    "exits 1": "echo 'something is wrong' >&2; exit 1",
    "exits 1 without a word": "exit 1",
    "ends by a signal": "kill -KILL $$",
    "cannot be executed": "",
}
"""What may be wrong with a tool, and the script that is so."""


class FakeTools:
    """A folder for programs, a home, and the `Tools` that know only them. Skips without a shell."""

    def __init__(self, folder: Path, *, ask_seconds: float = 10.0) -> None:
        require(POSIX_PROCESSES)
        self.home = folder / "home"
        self.folder = folder / "bin"
        self.log = folder / "calls"
        self.pids = folder / "pids"
        for each in (self.home, self.folder):
            each.mkdir()
        self.environment = {"HOME": str(self.home), "PATH": str(self.folder)}
        self._ask_seconds = ask_seconds

    def tools(self, **environment: str) -> Tools:
        """The tools, in this environment beside HOME and PATH."""
        return Tools(
            {**self.environment, **environment}, ask_seconds=self._ask_seconds, installed=()
        )

    def put(
        self,
        program: str,
        output: bytes = b"",
        *,
        arguments: str = "*",
        errors: bytes = b"",
        status: int = 0,
    ) -> None:
        """`program`, called with `arguments` (a pattern of sh), prints `output`.

        Called again for other arguments, it does both; what was first put is tried first.
        """
        number = len(list(self.folder.parent.glob(f"{program}-*-out")))
        out, err = (self.folder.parent / f"{program}-{number}-{name}" for name in ("out", "err"))
        out.write_bytes(output)
        err.write_bytes(errors)
        case = (
            f"{arguments.replace(' ', chr(92) + ' ')}) cat {out}; cat {err} >&2; exit {status};;\n"
        )
        script = self.folder / program
        old = script.read_text() if script.exists() else self._script('case "$*" in\nesac\nexit 64')
        self._write(script, old.replace("esac\n", case + "esac\n"))

    def script(self, program: str, text: str) -> None:
        """`program` runs a script of its own."""
        self._write(self.folder / program, self._script(text))

    def broken(self, program: str, how: str) -> None:
        """`program` is broken in one of the ways of BROKEN."""
        script = BROKEN[how].format(pids=shlex.quote(str(self.pids)))
        if script:
            self.script(program, script)
        else:
            (self.folder / program).write_bytes(b"\x7fELF and nothing more")
            (self.folder / program).chmod(0o755)

    def await_call(self, patience: float = PATIENCE) -> None:
        """Block until a program has been called."""
        deadline = time.monotonic() + patience
        while not self.calls() and time.monotonic() < deadline:
            time.sleep(0.01)

    def calls(self) -> list[str]:
        """How the programs were called, in order: name and arguments."""
        return self.log.read_text().splitlines() if self.log.exists() else []

    def alive(self) -> list[int]:
        """Processes that a broken tool has started and that still run."""
        text = self.pids.read_text() if self.pids.exists() else ""
        return [pid for pid in map(int, text.split()) if _runs(pid)]

    def survivors(self, patience: float = PATIENCE) -> list[int]:
        """The same, once those that were killed have had time to end."""
        deadline = time.monotonic() + patience
        while (alive := self.alive()) and time.monotonic() < deadline:
            time.sleep(0.01)
        return alive

    def _script(self, text: str) -> str:
        return (
            f"#!/bin/sh\nPATH={SHELL_PATH}\n"
            f'echo "${{0##*/}} $*" >> {shlex.quote(str(self.log))}\n{text}\n'
        )

    @staticmethod
    def _write(script: Path, text: str) -> None:
        script.write_text(text)
        script.chmod(0o755)


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
