"""The tiers of detection, and how the agent is made to run in each: the kernel refuses it the rest.

Rules: the agent is the shipped one, started as ever, and finds out by itself what it may have. A
daemon finds `setpriv`, with which it starts the agent, on PATH; the stage puts a `setpriv` of its
own first, which runs the real one under a seccomp filter (seccomp(2)). "bpf" is refused as a
container engine's profile does, "events" by refusing to bind a netlink socket. A new filter needs
a new agent: the old one is killed, and the daemon starts the next at once.

Limits: a refusal costs each system call of the agent some 20 ns; a tier that the kernel of this
computer has not cannot be measured. Counterparts: `refuse` in `detection.c`; `stage.py`.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from desktop.errors import SamehostError

__all__ = ["BEST", "TIERS", "Refusals", "Tier"]

STARTER: Final = "setpriv"
"""What `desktop.machines.sandbox.machine` starts the agent with."""


@dataclass(frozen=True, slots=True)
class Tier:
    """One tier: its name in the figures, what is refused, and what the agent then has."""

    name: str
    refused: str
    has_binds: bool
    has_ends: bool

    def fits(self, watcher: str) -> bool:
        """True if `watcher`, as `samehost status` tells it, is at work in this tier."""
        ways, _, _ = watcher.partition(";")
        has_binds = "eBPF" in ways and "no eBPF" not in ways
        has = (has_binds, "destroy events" in ways)
        return bool(ways) and has == (self.has_binds, self.has_ends)


TIERS: Final = (
    Tier("eBPF", "", has_binds=True, has_ends=False),
    Tier("events", "bpf", has_binds=False, has_ends=True),
    Tier("polling", "bpf,events", has_binds=False, has_ends=False),
)
BEST: Final = TIERS[0]


class Refusals:
    """The folder with the other `setpriv`. `load` is the load program, which need not be there yet.

    Raises SamehostError if there is no real one.
    """

    def __init__(self, folder: Path, load: Path) -> None:
        real = shutil.which(STARTER)
        if real is None:
            raise SamehostError(f"the bench needs {STARTER}", "sudo apt-get install util-linux")
        self._real = real
        self._load = load
        self._folder = folder
        folder.mkdir()
        self.refuse("")
        os.environ["PATH"] = f"{folder}{os.pathsep}{os.environ.get('PATH', os.defpath)}"

    def refuse(self, words: str) -> None:
        """From now on, each agent that starts is refused this; "" for nothing."""
        under = f"'{self._load}' refuse {words} " if words else ""
        new = self._folder / "new"
        new.write_text(f'#!/bin/sh\nexec {under}{self._real} "$@"\n')
        new.chmod(0o755)
        new.replace(self._folder / STARTER)
