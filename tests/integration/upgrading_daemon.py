"""A daemon whose next agent is another one, as soon as there is one.

`python -m tests.integration.upgrading_daemon --ready-fd N`, as `desktop.daemon`. What is at
`next_agent` is handed to a machine in the place of the daemon's own agent.
"""

from __future__ import annotations

import os
import sys
import zipfile
from pathlib import Path

from desktop.daemon.__main__ import main
from desktop.machines.bootstrap import own_agent
from desktop.machines.sandbox import machine
from desktop.paths import HOME_VARIABLE

__all__ = ["next_agent", "write_newer_agent"]

VERSION_MODULE = "link/version.py"


def next_agent(home: Path) -> Path:
    """Where the next agent is looked for."""
    return home / "next-agent.pyz"


def write_newer_agent(target: Path, version: str) -> None:
    """Write an agent that is ours but for the version that it says it has."""
    new = target.with_suffix(".new")
    own = target.with_suffix(".own")
    own.write_bytes(own_agent())
    with zipfile.ZipFile(own) as ours, zipfile.ZipFile(new, "w") as theirs:
        for name in ours.namelist():
            program = ours.read(name)
            if name == VERSION_MODULE:
                program += f'\nVERSION = "{version}"\n'.encode()
            theirs.writestr(name, program)
    own.unlink()
    new.rename(target)


def _agent() -> bytes:
    newer = next_agent(Path(os.environ[HOME_VARIABLE]))
    return newer.read_bytes() if newer.exists() else own_agent()


if __name__ == "__main__":
    vars(machine)["own_agent"] = _agent
    sys.exit(main())
