"""What is in force, from what the user chose and what the administrator says.

Rules: pure. In order of strength: enhanced container isolation (host networking is off), the
administrator's lock, the user's choice, the administrator's default, the built-in default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from desktop.settings.keys import KEYS, SWITCH
from desktop.settings.policy import Policy
from desktop.settings.values import Settings, Switch

__all__ = ["Entry", "resolve", "settings_of", "switch_of"]

ISOLATION: Final = "enhancedContainerIsolation"
ASK: Final = "ask the administrator of this computer"


@dataclass(frozen=True, slots=True)
class Entry:
    """One setting in force.

    `locked` says who or what locked it, "" if the user may change it; `remedy` what to do then.
    """

    key: str
    value: object
    default: object
    locked: str = ""
    remedy: str = ""


def resolve(chosen: Mapping[str, object], policy: Policy) -> dict[str, Entry]:
    """All settings in force, in the order of `KEYS`. `chosen` holds good values only."""
    entries = {name: _entry(name, chosen, policy) for name in KEYS}
    if policy.broken:
        reason = f"the administrator's settings are broken, so it is off: {policy.broken}"
        entries[SWITCH] = replace(entries[SWITCH], value=False, locked=reason, remedy=ASK)
    if entries[ISOLATION].value:
        reason = f"host networking is off while {ISOLATION} is on"
        remedy = f"turn that off first: samehost settings set {ISOLATION} false"
        entries[SWITCH] = replace(entries[SWITCH], value=False, locked=reason, remedy=remedy)
    return entries


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
        reason = f"locked by the administrator in {policy.path}"
        return Entry(name, said.value, said.value, reason, ASK)
    return Entry(name, chosen.get(name, said.value), said.value)
