"""What is in force, from what the user chose and what the administrator says.

Rules: pure. In order of strength: enhanced container isolation and an engine that cannot have host
networking (it is off), the administrator's lock, the user's choice, the administrator's default,
the built-in default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from desktop.settings.keys import KEYS, SWITCH
from desktop.settings.policy import Policy
from desktop.settings.values import Settings, Switch

__all__ = [
    "BY_ADMINISTRATOR",
    "Entry",
    "resolve",
    "settings_of",
    "switch_of",
]

ISOLATION: Final = "enhancedContainerIsolation"

BY_ADMINISTRATOR: Final = "administrator"
BY_ISOLATION: Final = "isolation"
BY_ENGINE: Final = "engine"
"""Kinds of locks, for front-ends that show them differently."""

ASK: Final = "ask the administrator of this computer"
OTHER_ENGINE: Final = (
    "switch the engine to Linux containers and attach it again, or use another machine:"
    " samehost machine use NAME"
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One setting in force.

    `locked` says who or what locked it, "" if the user may change it; `lock` is the kind of that,
    `remedy` what to do then.
    """

    key: str
    value: object
    default: object
    locked: str = ""
    lock: str = ""
    remedy: str = ""


def resolve(chosen: Mapping[str, object], policy: Policy, engine: str = "") -> dict[str, Entry]:
    """All settings in force, in the order of `KEYS`. `chosen` holds good values only.

    `engine` says why the machine's engine cannot have host networking, "" if it can.
    """
    entries = {name: _entry(name, chosen, policy) for name in KEYS}
    if policy.broken:
        reason = f"the administrator's settings are broken, so it is off: {policy.broken}"
        entries[SWITCH] = _off(entries[SWITCH], BY_ADMINISTRATOR, reason, ASK)
    if engine:
        entries[SWITCH] = _off(entries[SWITCH], BY_ENGINE, engine, OTHER_ENGINE)
    isolation = entries[ISOLATION]
    if isolation.value:
        by = f", {isolation.locked}" if isolation.locked else ""
        reason = f"it is off while {ISOLATION} is on{by}"
        remedy = isolation.remedy or f"turn that off first: samehost settings set {ISOLATION} false"
        entries[SWITCH] = _off(entries[SWITCH], BY_ISOLATION, reason, remedy)
    return entries


def _off(entry: Entry, lock: str, reason: str, remedy: str) -> Entry:
    return replace(entry, value=False, locked=reason, lock=lock, remedy=remedy)


def settings_of(entries: Mapping[str, Entry]) -> Settings:
    """The typed form of what is in force."""
    return Settings.from_values({name: entry.value for name, entry in entries.items()})


def switch_of(entries: Mapping[str, Entry]) -> Switch:
    """The state of the switch."""
    entry = entries[SWITCH]
    return Switch(bool(entry.value), bool(entry.locked), entry.locked)


def _entry(name: str, chosen: Mapping[str, object], policy: Policy) -> Entry:
    default = KEYS[name].default
    said = policy.entries.get(name)
    if said is None:
        return Entry(name, chosen.get(name, default), default)
    if said.locked:
        reason = f"locked by the administrator in {said.path}"
        return Entry(name, said.value, said.value, reason, BY_ADMINISTRATOR, ASK)
    return Entry(name, chosen.get(name, said.value), said.value)
