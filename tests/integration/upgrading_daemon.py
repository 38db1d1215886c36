"""A daemon whose next agent is another one, as soon as there is one.

`python -m tests.integration.upgrading_daemon --ready-fd N`, as `desktop.daemon`. What is at
`next_agent` is handed to a machine in the place of the daemon's own agent.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from desktop.daemon.__main__ import main
from desktop.machines.bootstrap import own_agent
from desktop.machines.sandbox import machine
from desktop.paths import HOME_VARIABLE
from tests.other_agent import agent_with

__all__ = ["next_agent", "write_newer_agent"]


def next_agent(home: Path) -> Path:
    """Where the next agent is looked for."""
    return home / "next-agent.pyz"


def write_newer_agent(target: Path, version: str) -> None:
    """Write an agent that is ours but for the version that it says it has."""
    new = target.with_suffix(".new")
    new.write_bytes(agent_with(f'\nVERSION = "{version}"\n'))
    new.rename(target)


def _agent() -> bytes:
    newer = next_agent(Path(os.environ[HOME_VARIABLE]))
    return newer.read_bytes() if newer.exists() else own_agent()


if __name__ == "__main__":
    vars(machine)["own_agent"] = _agent
    sys.exit(main())
