"""How the agent is: what it tells a desktop that asks, for `samehost doctor`.

Rules: never raises; what the system does not tell is 0. Counterparts: `link.messages.Condition`,
`desktop/daemon/inquiries.py` asks, `desktop/doctor/` judges.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterable
from typing import Final

from link.messages import MAX_ENGINES, MAX_TEXT, Condition, EngineState
from link.processes import PROC

__all__ = ["condition"]

EFFECTIVE: Final = "CapEff:"
"""The line of /proc/PID/status (proc(5))."""


def condition(number: int, engines: Iterable[EngineState], proc: str = PROC) -> Condition:
    """The answer to the inquiry of that number."""
    limit, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return Condition(
        number=number,
        clock_ms=max(0, int(time.time() * 1000)),
        uid=os.geteuid(),
        capabilities=_capabilities(proc),
        files_limit=max(0, limit),
        files_open=_files_open(proc),
        engines=tuple(_shortened(each) for each in engines)[:MAX_ENGINES],
    )


def _capabilities(proc: str) -> int:
    try:
        with open(f"{proc}/self/status", encoding="utf-8", errors="replace") as file:
            lines = [line for line in file if line.startswith(EFFECTIVE)]
        return int(lines[0].split()[1], 16)
    except (OSError, IndexError, ValueError):
        return 0


def _files_open(proc: str) -> int:
    try:
        return len(os.listdir(f"{proc}/self/fd"))
    except OSError:
        return 0


def _shortened(engine: EngineState) -> EngineState:
    return EngineState(_clean(engine.socket), _clean(engine.trouble))


def _clean(text: str) -> str:
    """As the link takes it: short, and without halves of characters."""
    return text.encode(errors="replace").decode()[:MAX_TEXT]
