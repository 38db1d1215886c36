"""The machines that a person can choose from: what status and search say of each, in one list.

Rules: pure. What is attached is there whether it was found or not, and its link's state is the one
that counts. Names are the daemon's: nothing here decides, it says what makes no sense to ask for.
Counterparts: `table.py` shows the list, `choosing.py` asks for the actions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from PySide6.QtCore import QCoreApplication

from desktop.api.types import MachineInfo, MachineList, MachineStatus, SettingInfo, Status

__all__ = ["Action", "Entry", "attached_machines", "entries", "obstacle", "typed_name"]

translate = QCoreApplication.translate

_NO_LINK: Final = frozenset({"stopped", "failed"})
"""States of a link that nothing is done about."""
_RUNS: Final = frozenset({"running", "starting"})
_LOST: Final = "reconnecting"
"""The state of a link that was there: perhaps the machine was stopped, and can be started."""

_SANDBOX: Final = re.compile(r"sandbox(-[a-z0-9]{1,8})?")
_SERVER: Final = re.compile(
    r"ssh:(?:[^\s@:/\[\]]+@)?(?:\[[0-9A-Fa-f:.%\w-]+\]|[^\s@:/\[\]-][^\s@:/\[\]]*)(?::(\d+))?"
)
_LARGEST_PORT: Final = (1 << 16) - 1


class Action(Enum):
    """What can be done with a machine; the value is the daemon's method, "" for none."""

    USE = "use"
    ATTACH = "attach_also"
    DETACH = "detach"
    START = "start"
    STOP = "stop"
    EXAMINE = ""


@dataclass(frozen=True)
class Entry:
    """A machine. `state` is its link's if there is one, else its own."""

    name: str
    kind: str
    state: str
    is_current: bool = False
    is_attached: bool = False
    reached: str = ""
    note: str = ""


def attached_machines(
    status: Status | None, found: MachineList | None = None
) -> list[MachineStatus]:
    """Those in use, the current one first; it is there even if it is stopped.

    Unless a search has shown that there is none of that name: where nobody has chosen, the daemon
    names the one that it would make.
    """
    if status is None:
        return []
    names = None if found is None else {each.name for each in found.machines}
    return [
        each
        for each in status.machines
        if each.name and (names is None or each.state != "stopped" or each.name in names)
    ]


def entries(status: Status | None, found: MachineList | None) -> list[Entry]:
    """All machines: the current one, others in use, those that could be, those that never are."""
    seen = {each.name: _found_entry(each) for each in (found.machines if found else [])}
    in_use = attached_machines(status, found)
    for machine in in_use:
        is_current = status is not None and machine.name == status.machine.name
        seen[machine.name] = _joined(seen.get(machine.name), machine, is_current=is_current)
    names = {each.name for each in in_use}
    listed = [
        each if each.name in names else _unattached(each, is_known=status is not None)
        for each in seen.values()
    ]
    return sorted(listed, key=_order)


def obstacle(
    action: Action, entry: Entry, settings: Mapping[str, SettingInfo] | None = None
) -> str:
    """Why it makes no sense to ask for that; "" if it does."""
    locked = _lock(action, entry, settings or {})
    if action is Action.EXAMINE:
        return ""
    if action in (Action.USE, Action.ATTACH) and entry.note:
        return entry.note
    if action is Action.USE and entry.is_current and entry.is_attached:
        return translate("MachineEntries", "It is the one in use already.")
    if action is Action.ATTACH and (entry.is_attached or entry.is_current):
        return translate("MachineEntries", "It is in use already.")
    if action is Action.DETACH and not entry.is_attached:
        return translate("MachineEntries", "It is not attached.")
    is_linked = entry.is_attached and entry.state != _LOST
    if action is Action.START and (is_linked or entry.state in _RUNS):
        return translate("MachineEntries", "It runs already.")
    if action is Action.STOP and not entry.is_attached and entry.state == "stopped":
        return translate("MachineEntries", "It does not run.")
    return locked


def typed_name(text: str) -> tuple[str, str]:
    """The machine that somebody means who types this, and what is wrong with it ("" if nothing).

    What is no name of a machine is taken for a server's: user@host is ssh:user@host.
    """
    words = text.strip()
    if not words:
        return "", ""
    if _SANDBOX.fullmatch(words):
        return words, ""
    name = words if words.startswith("ssh:") else f"ssh:{words}"
    match = _SERVER.fullmatch(name)
    if match is None:
        return name, translate(
            "MachineEntries",
            "The form is user@host or user@host:port, such as ada@build.example.org:22.",
        )
    if match[1] and not 0 < int(match[1][:6]) <= _LARGEST_PORT:
        return name, translate("MachineEntries", "Ports are numbers from 1 to 65535.")
    return name, ""


def _found_entry(info: MachineInfo) -> Entry:
    return Entry(
        *(info.name, info.kind, info.state, info.current, info.attached, info.reached, info.note)
    )


def _joined(found: Entry | None, machine: MachineStatus, *, is_current: bool) -> Entry:
    """What is in use knows best what it does; one that is not linked is what the search saw."""
    is_attached = machine.state not in _NO_LINK
    state = machine.state
    if found is not None and machine.state == "stopped":
        state = found.state
    return Entry(
        machine.name,
        machine.kind or (found.kind if found else ""),
        state,
        is_current,
        is_attached,
        found.reached if found else "",
        found.note if found else "",
    )


def _unattached(entry: Entry, *, is_known: bool) -> Entry:
    """One that the status does not name: it was let go since the search."""
    if not is_known or not (entry.is_attached or entry.is_current):
        return entry
    return Entry(entry.name, entry.kind, entry.state, reached=entry.reached, note=entry.note)


def _order(entry: Entry) -> tuple[bool, bool, bool, str]:
    return (not entry.is_current, not entry.is_attached, bool(entry.note), entry.name)


def _lock(action: Action, entry: Entry, settings: Mapping[str, SettingInfo]) -> str:
    """Who has locked the setting that would remember it."""
    keys = {Action.USE: "machine", Action.ATTACH: "alsoAttach"}
    key = keys.get(action)
    if action is Action.DETACH:
        key = "machine" if entry.is_current else "alsoAttach"
    setting = settings.get(key) if key else None
    return setting.locked if setting else ""
