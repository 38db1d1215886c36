"""A process that outlives the command which starts it, and its terminal. One file per system.

    start(command, log) ─▶ Popen, whose standard output is ours, and whose errors go to the log

Rules: it gets three standard streams and nothing else of ours: that is what every system can hand
over. It takes no Ctrl-C. Counterparts: `background_posix.py`, `background_windows.py`;
`logfile.py` opens the log, `launch.py` uses both.
"""

from __future__ import annotations

import importlib
import os
import subprocess
from collections.abc import Sequence
from typing import Any, Protocol, cast

__all__ = ["Background", "background", "start"]


class Background(Protocol):
    """What each system's module gives.

    Attributes:
        OPTIONS: for `subprocess.Popen`.
    """

    OPTIONS: dict[str, Any]


def background(name: str = os.name) -> Background:
    """The module for a system, by `os.name`."""
    kind = "windows" if name == "nt" else "posix"
    return cast(Background, importlib.import_module(f"desktop.cli.background_{kind}"))


def start(command: Sequence[str], log: int) -> subprocess.Popen[bytes]:
    """Start it. Raises OSError."""
    return subprocess.Popen(
        list(command),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=log,
        bufsize=0,
        **background().OPTIONS,
    )
