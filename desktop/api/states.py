"""The states that are told, and what each means: words of `--json`, of tables and of the window.

Rules: pure. A state that is not here is told by nobody. Counterparts: `desktop.mirror.model.State`
has those of a port; `desktop.daemon.attachment` sets those of a link, machines tell their own,
`desktop.machines.examination` has those of a finding; docs/reference.md lists all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = ["FINDING_STATES", "LINK_STATES", "MACHINE_STATES"]

LINK_STATES: Final[Mapping[str, str]] = {
    "stopped": "Nothing is attached.",
    "starting": "The machine is being started.",
    "connecting": "The machine runs; its agent is being started or reached.",
    "connected": "The link is up.",
    "reconnecting": "The link was lost, and is tried again at once and then every few seconds.",
    "failed": "It was given up; `problem` says why.",
}
"""`state` of a machine in `status`: how the link with it is."""

MACHINE_STATES: Final[Mapping[str, str]] = {
    "stopped": "It does not run.",
    "starting": "It is on its way.",
    "running": "It runs.",
    "failed": "Its tool says that it is broken, or nothing that is understood.",
    "unknown": "It is another computer's affair.",
}
"""`state` of a machine in `machine list`: what the machine itself does."""

FINDING_STATES: Final[Mapping[str, str]] = {
    "ok": "As it should be.",
    "note": "A check: worth knowing, and no fault.",
    "warning": "A check: something is worse than it could be.",
    "error": "A check: something does not work.",
    "skipped": "A check: there was nothing to look at, or another check says why it could not be.",
    "failed": "A step on the way to a machine: here it ends.",
    "not reached": "A step on the way to a machine: one before it failed.",
}
"""`state` of what `doctor` and `machine doctor` find."""
