"""All tests but those in a whole VM, in lanes side by side: `python -m tests`, as `make test` does.

    lane 1   integration, packaging   in this computer's network
    lane 2   contract, unit, gui …    in a network of their own
    lane 3   other kernels            in another one, with what the processors have left over

Rules: a part of a lane is a pytest of its own. What it says goes to `build/tests/PART.log`, and to
the terminal when it has ended: the summary, or all of it if it failed; until then now and then how
far each is. All parts run, whatever becomes of others. Ctrl-C and SIGTERM end each as Ctrl-C would,
so that it clears up.

No lane meets another's ports: the sandboxes of lane 1 have Samehosts that look at all that listens
in their network, and those of lane 2 are there by the thousand. Half of a test's time is waiting,
which another's work fills.

Limits: lanes need root, Linux, and leave to make networks; elsewhere all parts follow one another
in this computer's network. Counterpart: `tests/unit/test_lanes.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["LANES", "Lane", "Part", "run_lanes"]

PROJECT: Final = Path(__file__).parents[1]
LOGS: Final = PROJECT / "build/tests"

OWN_NETWORK: Final = (
    *("unshare", "--net", "sh", "-ec", 'ip link set lo up; exec "$@"', "own-network"),
)
LEFT_OVER: Final = ("nice", "-n", "19")
"""An emulated computer is slow anyway; what is tested beside it is to be prompt."""

PROGRESS_SECONDS: Final = 60.0
SHARE: Final = re.compile(rb"\[ *(\d+)%\]")
"""What pytest says at the end of each line of tests."""
SUMMARY: Final = "= short test summary info ="
NO_TESTS: Final = 5
"""pytest's exit code where there are none, as for Windows elsewhere."""
INTERRUPTED: Final = 130


@dataclass(frozen=True)
class Part:
    """A pytest: its name, and what it is told beside."""

    name: str
    arguments: tuple[str, ...]


@dataclass(frozen=True)
class Lane:
    """Parts, one after the other; `within` is the command that makes their surroundings."""

    parts: tuple[Part, ...]
    within: tuple[str, ...] = ()


LANES: Final = (
    Lane((Part("integration", ("tests/integration",)), Part("packaging", ("tests/packaging",)))),
    Lane(
        (
            Part("contract", ("tests/contract",)),
            Part("unit", ("tests/unit", "tests/fuzz", "tests/docs", "tests/windows")),
            Part("gui", ("tests/gui",)),
        ),
        OWN_NETWORK,
    ),
    Lane((Part("kernels", ("tests/e2e", "--ignore=tests/e2e/vm")),), (*LEFT_OVER, *OWN_NETWORK)),
)


class _Run:
    """One run of all; `failures` are exit codes."""

    def __init__(self, logs: Path) -> None:
        self.failures: list[int] = []
        self._logs = logs
        self._processes: dict[asyncio.subprocess.Process, Part] = {}
        self._is_interrupted = False

    async def lane(self, lane: Lane) -> None:
        """Run its parts; none is begun after an interruption."""
        for part in lane.parts:
            if not self._is_interrupted:
                await self._part(lane.within, part)

    def interrupt(self) -> None:
        """As Ctrl-C would, once: a second one would keep tests from clearing up."""
        if self._is_interrupted:
            return
        self._is_interrupted = True
        self.failures.append(INTERRUPTED)
        for process in self._processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGINT)  # all that it has started, as a terminal does

    async def tell_progress(self, seconds: float) -> None:
        """Say how far each part is, every so many seconds, until cancelled."""
        while True:
            await asyncio.sleep(seconds)
            if self._processes:
                _say(", ".join(map(self._progress, self._processes.values())))

    def _progress(self, part: Part) -> str:
        shares = SHARE.findall(self._log(part).read_bytes())
        return f"{part.name} {int(shares[-1]) if shares else 0} %"

    def _log(self, part: Part) -> Path:
        return self._logs / f"{part.name}.log"

    async def _part(self, within: Sequence[str], part: Part) -> None:
        _say(f"{part.name}: begun")
        begin, log = time.monotonic(), self._log(part)
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *(*within, sys.executable, "-m", "pytest", "-q", *part.arguments),
                cwd=PROJECT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # the terminal's Ctrl-C is for this program
            )
        self._processes[process] = part
        code = await process.wait()
        del self._processes[process]
        said = log.read_text(errors="replace").strip()
        is_fine = code in (0, NO_TESTS)
        if not is_fine:
            self.failures.append(code)
        _say(
            f"{part.name}: {'passed' if is_fine else 'failed'} in {time.monotonic() - begin:.0f} s"
        )
        _say(_summary(said) if is_fine else said)


def _summary(said: str) -> str:
    """Of what pytest said: what was skipped and why, and how many passed."""
    before, heading, after = said.rpartition(SUMMARY)
    return after.lstrip("=\n") if before and heading else said.rpartition("\n")[2]


async def run_lanes(
    lanes: Sequence[Lane], logs: Path = LOGS, progress_seconds: float = PROGRESS_SECONDS
) -> int:
    """Run them beside one another; 0, or the exit code of what failed first.

    `logs` is a folder, for what each part says; every `progress_seconds` it is said how far all
    are.
    """
    run = _Run(logs)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, run.interrupt)
    progress = loop.create_task(run.tell_progress(progress_seconds), name="progress")
    try:
        async with asyncio.TaskGroup() as group:
            for lane in lanes:
                group.create_task(run.lane(lane), name=f"lane of {lane.parts[0].name}")
    finally:
        progress.cancel()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
    return run.failures[0] if run.failures else 0


def main() -> int:
    """Run all tests; the exit code."""
    shutil.rmtree(LOGS, ignore_errors=True)
    LOGS.mkdir(parents=True)
    lanes: tuple[Lane, ...] = LANES
    if not _has_networks():
        _say("no networks of their own here: one part after the other")
        lanes = (Lane(tuple(part for lane in LANES for part in lane.parts)),)
    return asyncio.run(run_lanes(lanes))


def _has_networks() -> bool:
    """True if there can be lanes here."""
    if shutil.which("unshare") is None:
        return False
    return subprocess.run([*OWN_NETWORK, "true"], capture_output=True, check=False).returncode == 0


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
