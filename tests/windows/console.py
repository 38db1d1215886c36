"""A console of its own for a command, so that Ctrl-C there reaches nobody else's.

    on_console(command, "a word") ─▶ what it printed and how it ended, after Ctrl-C

Rules: a process in between has the console, which nobody sees, and takes no Ctrl-C itself. It
presses it as soon as the command has printed a line with that word in it, or a file is there.
Source: learn.microsoft.com, "GenerateConsoleCtrlEvent" (group 0: all processes of the caller's
console), "SetConsoleCtrlHandler" (that Ctrl-C is ignored is handed on to children).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

__all__ = ["Ending", "on_console"]

ROOT: Final = Path(__file__).parents[2]
CREATE_NO_WINDOW: Final = 0x0800_0000
"""winbase.h."""
PATIENCE: Final = 120.0

BETWEEN: Final = """
import ctypes, json, os, signal, subprocess, sys, time
order = json.loads(sys.argv[1])
ctypes.windll.kernel32.SetConsoleCtrlHandler(None, False)
signal.signal(signal.SIGINT, signal.SIG_IGN)
child = subprocess.Popen(
    order["command"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
)
said = ""
if order["file"]:
    while child.poll() is None and not os.path.exists(order["file"]):
        time.sleep(0.01)
else:
    while order["word"] not in said:
        line = child.stdout.readline()
        if not line:
            break
        said += line
pressed = child.poll() is None and ctypes.windll.kernel32.GenerateConsoleCtrlEvent(0, 0)
said += child.communicate(timeout=order["patience"])[0]
print(json.dumps([bool(pressed), child.returncode, said]))
"""


class Ending(NamedTuple):
    """How a command ended: whether Ctrl-C was pressed before, its exit code, what it printed."""

    was_pressed: bool
    code: int
    said: str


def on_console(
    command: Sequence[str],
    word: str = "",
    file: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Ending:
    """Run it, and press Ctrl-C once it has said the word, or the file is there."""
    order = {
        "command": list(command),
        "word": word,
        "file": str(file or ""),
        "patience": PATIENCE,
    }
    done = subprocess.run(
        [sys.executable, "-c", BETWEEN, json.dumps(order)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE,
        check=False,
        creationflags=CREATE_NO_WINDOW,
    )
    assert done.returncode == 0, done.stderr
    return Ending(*json.loads(done.stdout))
