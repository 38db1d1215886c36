"""The daemon of a soak: the usual one, which can be asked for more, as can its agent.

`python -m tests.soak.daemon --ready-fd N`, as `desktop.daemon`. SAMEHOST_SOAK_WAY=tcp lets streams
go over TCP instead of a Unix socket.

Either process writes the names of its asyncio tasks to a file of SAMEHOST_HOME when it gets
SIGUSR1. The agent has the version that is in `next_version`, once something is.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, Final

from desktop.daemon.__main__ import main
from desktop.machines import registry
from desktop.machines.sandbox import machine
from desktop.paths import HOME_VARIABLE
from tests.integration.tcp_daemon import TcpSandbox
from tests.other_agent import agent_with

__all__ = ["WAYS", "WAY_VARIABLE", "next_version", "tasks_file"]

WAY_VARIABLE: Final = "SAMEHOST_SOAK_WAY"
WAYS: Final = ("unix", "tcp")

ASKED_FOR_TASKS: Final = """
def _tell_tasks(*_):
    import asyncio, os
    try:
        names = sorted(task.get_name() for task in asyncio.all_tasks())
    except RuntimeError:
        return
    with open(TASKS + ".new", "w") as file:
        file.write("\\n".join(names))
    os.rename(TASKS + ".new", TASKS)

import signal
signal.signal(signal.SIGUSR1, _tell_tasks)
"""
"""What the agent does, too: its own code, since it knows nothing of tests."""


def tasks_file(home: Path, who: str) -> Path:
    """Where `who`, daemon or agent, writes the names of its tasks."""
    return home / f"tasks-of-{who}"


def next_version(home: Path) -> Path:
    """Where the version of the next agent is."""
    return home / "next-version"


def _reporting(who: str) -> str:
    home = Path(os.environ[HOME_VARIABLE])
    return f"\nTASKS = {str(tasks_file(home, who))!r}\n{ASKED_FOR_TASKS}"


def _agent() -> bytes:
    """In the place of `own_agent`."""
    newer = next_version(Path(os.environ[HOME_VARIABLE]))
    version = f"\nVERSION = {newer.read_text()!r}\n" if newer.exists() else ""
    return agent_with(version + _reporting("agent"))


if __name__ == "__main__":
    space: dict[str, Any] = {}
    exec(_reporting("daemon"), space)  # the very code that runs in the agent
    vars(machine)["own_agent"] = _agent
    if os.environ.get(WAY_VARIABLE) == "tcp":
        vars(registry)["Sandbox"] = TcpSandbox
    sys.exit(main())
