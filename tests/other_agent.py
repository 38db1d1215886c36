"""Agents that are ours but for what a test adds: they know nothing of tests by themselves.

Counterpart: `desktop.machines.bootstrap.own_agent`, in whose place daemons of tests put them.
"""

from __future__ import annotations

import io
import zipfile
from typing import Final

from desktop.machines.bootstrap import own_agent

__all__ = ["agent_with"]

VERSION_MODULE: Final = "link/version.py"


def agent_with(more: str) -> bytes:
    """Our agent as a zipapp, with `more` at the end of the module that has its version."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(own_agent())) as ours, zipfile.ZipFile(made, "w") as theirs:
        for name in ours.namelist():
            program = ours.read(name)
            theirs.writestr(name, program + more.encode() * (name == VERSION_MODULE))
    return made.getvalue()
