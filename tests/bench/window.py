"""What the window costs, and how soon it shows what has changed.

    start      from the start of its process to its first paint, and to a table that is filled
    change     from the daemon's change, or a container's listen(), to the row on the screen
    CPU        shown at rest; while ports change, shown, minimised and hidden behind its tray icon
    memory     with 1000 ports

The window is the real one, on a screen that is not there (Xvfb), with a window manager that has a
tray. Its daemon is the real control API in front of a table that the bench changes; that of the way
from a container is the stage's. CPU is the window's process alone, without the X server. A change
is on the screen when the table's paint event is over and its pixels went to the X server.

Rules: "20 of 1000 change" is what byte counters do: each port once a second, in 50 changes a
second. "All of 1000" is the most that there can be. Limits: without a graphics card.

Counterparts: `window_probe.py`, `tests/gui/screen.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import selectors
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from desktop.api.types import PortRow
from desktop.errors import SamehostError
from desktop.paths import HOME_VARIABLE
from tests.bench.figures import Figure, Requirement, percentile
from tests.bench.plan import Plan
from tests.bench.processes import cpu_seconds, memory_mib, resident_mib
from tests.bench.stage import PROJECT, Stage
from tests.gui.screen import Screen, await_that, missing, screen
from tests.gui.stage import furnish, many_rows
from tests.served_backend import ServedBackend

__all__ = ["measure_window"]

PORTS: Final = 1000
PER_SECOND: Final = 50
FEW: Final = 20
"""Rows of a change, so that each of PORTS changes once a second."""

REQUIRED_MS: Final = 300.0
"""Until a change is on the screen."""
REQUIRED_PERCENT: Final = 1.0
"""Of a core, while nobody sees the window."""

TITLE: Final = "Samehost"
PATIENCE: Final = 30.0
SETTLE_SECONDS: Final = 2.0
"""Until what has just been done to the window is over."""
PAUSE_SECONDS: Final = (0.15, 0.35)
"""Before a change: longer than the window waits between two, and in any phase of its timers."""
FIRST_PORT: Final = 81
"""Of what appears: sorted by port, it comes before all others."""

TARGETS: Final = 128
ORDER: Final = struct.Struct("BB" + "HH" * TARGETS)
ANSWER: Final = struct.Struct("q" * (1 + 2 * TARGETS))
"""As in `detection.h`."""


def measure_window(stage: Stage, plan: Plan) -> list[Figure]:
    """All of it. Raises SamehostError if something is not installed."""
    if absent := missing():
        raise SamehostError(f"the window cannot be measured here: {absent}", "scripts/setup gui")
    with screen(has_tray=True) as shown:
        figures = _from_a_container(stage, shown, plan)
        with _served() as served:
            figures += _starts(served, shown, plan)
            figures += _changes(served, shown, plan)
            figures += _costs(served, shown, plan)
    return figures


@contextlib.contextmanager
def _served() -> Iterator[ServedBackend]:
    home = Path(tempfile.mkdtemp(prefix="samehost-bench-"))
    try:
        with ServedBackend(home) as served:
            served.do(lambda: _fill(served))
            yield served
    finally:
        shutil.rmtree(home)


def _fill(served: ServedBackend) -> None:
    furnish(served.backend)
    served.backend.change(many_rows(PORTS), served.backend.ports()[1])


# ---- the window --------------------------------------------------------------------------------


class Window:
    """A window that runs; `started` is when its process was. With `probe` it tells its paints."""

    def __init__(self, shown: Screen, home: Path, module: str) -> None:
        environment = shown.environment | {HOME_VARIABLE: str(home), "PYTHONPATH": str(PROJECT)}
        command = [sys.executable, "-P", "-m", module, "--page", "ports"]
        self.started = time.monotonic()
        self._process = subprocess.Popen(
            command, cwd=PROJECT, env=environment, stdout=subprocess.PIPE
        )
        assert self._process.stdout is not None
        self._out = self._process.stdout.fileno()
        self._rest = b""
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._out, selectors.EVENT_READ)

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def await_told(self, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The next thing that it tells of which this is true. Raises SamehostError."""
        deadline = time.monotonic() + PATIENCE
        while (left := deadline - time.monotonic()) > 0:
            line, separator, rest = self._rest.partition(b"\n")
            if separator:
                self._rest = rest
                told = json.loads(line)
                if condition(told):
                    return dict(told)
            elif self._selector.select(left):
                data = os.read(self._out, 1 << 20)
                if not data:
                    raise SamehostError("the window has ended", "see above")
                self._rest += data
        raise SamehostError(f"the window does not show what it should within {PATIENCE:.0f} s")

    def await_row(self, port: int) -> float:
        """When a row with that port was painted."""
        text = str(port)
        told = self.await_told(
            lambda told: any(text in cells.replace(":", " ").split() for cells in _cells(told))
        )
        return float(told["table"])

    def await_no_row(self, port: int) -> None:
        """Until none is to be seen."""
        text = str(port)
        self.await_told(
            lambda told: (
                "table" in told
                and not any(text in cells.replace(":", " ").split() for cells in _cells(told))
            )
        )

    def end(self) -> None:
        """As Ctrl-C does."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait(PATIENCE)
        self._selector.close()
        if self._process.stdout is not None:
            self._process.stdout.close()


def _cells(told: dict[str, Any]) -> list[str]:
    return list(told.get("cells", ()))


@contextlib.contextmanager
def _window(shown: Screen, home: Path, *, probe: bool = False) -> Iterator[Window]:
    window = Window(shown, home, "tests.bench.window_probe" if probe else "gui")
    try:
        yield window
    finally:
        window.end()


# ---- start -------------------------------------------------------------------------------------


def _starts(served: ServedBackend, shown: Screen, plan: Plan) -> list[Figure]:
    paints, fills = [], []
    for _ in range(plan.window_starts):
        with _window(shown, served.paths.config, probe=True) as window:
            painted = window.await_told(lambda told: "painted" in told)
            filled = window.await_told(lambda told: bool(_cells(told)))
            paints.append((painted["painted"] - window.started) * 1e3)
            fills.append((filled["table"] - window.started) * 1e3)
    return [
        Figure("window: start to first paint", "ms", tuple(paints)),
        Figure(f"window: start to a table of {PORTS} ports", "ms", tuple(fills)),
    ]


# ---- changes -----------------------------------------------------------------------------------


def _changes(served: ServedBackend, shown: Screen, plan: Plan) -> list[Figure]:
    """At rest, and while other ports change."""
    row = msgspec.structs.replace(
        many_rows(1)[0], machine_port=FIRST_PORT, host_port=FIRST_PORT, since=time.time()
    )
    figures = []
    with _window(shown, served.paths.config, probe=True) as window:
        window.await_told(lambda told: bool(_cells(told)))
        for per_change in (0, FEW):
            with _storm(served, per_change):
                times = tuple(_appear(served, window, row) for _ in range(plan.window_changes))
            name = _load(per_change) if per_change else "at rest"
            figures.append(_judged(f"window: daemon's change to screen, {name}", times))
    return figures


def _appear(served: ServedBackend, window: Window, row: PortRow) -> float:
    time.sleep(random.uniform(*PAUSE_SECONDS))

    def come() -> float:
        served.backend.change([row])
        return time.monotonic()

    began = served.do(come)
    took = (window.await_row(FIRST_PORT) - began) * 1e3
    served.do(lambda: served.backend.change([], [row]))
    window.await_no_row(FIRST_PORT)
    return took


def _judged(name: str, times: tuple[float, ...]) -> Figure:
    met = percentile(times, 99) <= REQUIRED_MS
    required = Requirement(f"p99 at most {REQUIRED_MS:.0f} ms", met)
    return Figure(name, "ms", times, required=required)


def _from_a_container(stage: Stage, shown: Screen, plan: Plan) -> list[Figure]:
    """Through container, agent and daemon."""
    port = stage.port()
    times = []
    with (
        _window(shown, stage.paths.config, probe=True) as window,
        socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as keeper,
    ):
        keeper.connect(str(stage.keeper))
        window.await_told(lambda told: "painted" in told)
        for _ in range(plan.window_changes):
            time.sleep(random.uniform(*PAUSE_SECONDS))
            began = _order(keeper, b"o", port)
            times.append((window.await_row(port) - began) * 1e3)
            _order(keeper, b"c", port)
            window.await_no_row(port)
    return [_judged("window: container's listen() to screen", tuple(times))]


def _order(keeper: socket.socket, verb: bytes, port: int) -> float:
    """Have the container open or close a TCP port: when that had returned."""
    keeper.send(ORDER.pack(verb[0], 1, port, *([0] * (2 * TARGETS - 1))))
    error, *times = ANSWER.unpack(keeper.recv(ANSWER.size))
    if error:
        raise SamehostError(f"the container cannot listen: {os.strerror(error)}")
    return float(times[0]) / 1e9


# ---- CPU and memory ----------------------------------------------------------------------------


def _costs(served: ServedBackend, shown: Screen, plan: Plan) -> list[Figure]:
    figures = []
    with _window(shown, served.paths.config) as window:
        handle = await_that(lambda: shown.windows(TITLE), "the window is shown")[-1]
        time.sleep(SETTLE_SECONDS)
        figures.append(_cpu(window, plan, f"shown, {PORTS} ports at rest"))
        for per_change in (FEW, PORTS):
            with _storm(served, per_change):
                figures.append(_cpu(window, plan, f"shown, {_load(per_change)}"))
        figures.append(Figure("window: memory (Pss)", "MiB", (memory_mib(window.pid),)))
        figures.append(Figure("window: memory (Rss)", "MiB", (resident_mib(window.pid),)))
        with _storm(served, FEW):
            shown.minimise(handle)
            figures.append(_cpu(window, plan, f"minimised, {_load(FEW)}", REQUIRED_PERCENT))
            shown.press(handle, "alt+F4")
            await_that(lambda: not shown.windows(TITLE), "the window is hidden")
            figures.append(_cpu(window, plan, f"hidden, {_load(FEW)}", REQUIRED_PERCENT))
    return figures


def _load(per_change: int) -> str:
    return f"{per_change} of {PORTS} change {PER_SECOND}/s"


def _cpu(window: Window, plan: Plan, name: str, required: float | None = None) -> Figure:
    time.sleep(SETTLE_SECONDS)
    values = []
    for _ in range(plan.window_rounds):
        before, began = cpu_seconds(window.pid), time.monotonic()
        time.sleep(plan.window_seconds)
        values.append((cpu_seconds(window.pid) - before) / (time.monotonic() - began) * 100)
    figure = Figure(f"window: CPU, {name}", "% of a core", tuple(values))
    if required is None:
        return figure
    met = figure.median < required
    return figure.requiring(Requirement(f"under {required:.0f} %", met))


@contextlib.contextmanager
def _storm(served: ServedBackend, per_change: int) -> Iterator[None]:
    """So many ports change at once, PER_SECOND times a second."""
    if not per_change:
        yield
        return
    storm = asyncio.run_coroutine_threadsafe(_change(served, per_change), served.loop)
    try:
        yield
        if storm.done():
            storm.result()
    finally:
        storm.cancel()


async def _change(served: ServedBackend, per_change: int) -> None:
    rows = served.backend.ports()[1]
    next_time = time.monotonic()
    start = 0
    while True:
        changed = [rows[(start + index) % len(rows)] for index in range(per_change)]
        for index, row in enumerate(changed):
            more = row.bytes_in + 1500
            changed[index] = msgspec.structs.replace(row, bytes_in=more, flows=more % 7)
            rows[(start + index) % len(rows)] = changed[index]
        served.backend.change(changed)
        start += per_change
        next_time += 1 / PER_SECOND
        await asyncio.sleep(max(next_time - time.monotonic(), 0))
