"""Checks of the switch, and of the files of settings and policy.

Counterpart: `desktop/settings/`, which says what is wrong with the files.
"""

from __future__ import annotations

import contextlib
import json
from typing import Final

from desktop.doctor.blocking import in_thread
from desktop.doctor.patient import Patient
from desktop.doctor.verdict import NotSeenError, Verdict, error, note, ok, warning
from desktop.paths import Paths
from desktop.settings.keys import SWITCH
from desktop.settings.store import SettingsStore

__all__ = ["check_settings", "check_switch"]

TURN_ON = "turn it on: samehost enable"
LONGEST_NAME: Final = 40
MOST_NAMES: Final = 10
"""What is shown of names that are no settings'."""


async def check_switch(patient: Patient) -> Verdict:
    """Host networking is on."""
    store = await in_thread(lambda: SettingsStore(patient.paths))
    with contextlib.suppress(NotSeenError):
        status = await patient.status()
        if status["enabled_locked"] and not store.switch.locked:
            store.restrict(status["enabled_reason"])  # only a daemon knows the machine's engine
    switch = store.switch
    if switch.enabled:
        return ok("host networking is on")
    if switch.locked:
        entry = store.entry(SWITCH)
        return warning(f"host networking is off: {switch.reason}", entry.remedy)
    return warning("host networking is off", TURN_ON)


async def check_settings(patient: Patient) -> Verdict:
    """The settings files can be understood."""
    return await in_thread(lambda: _files(patient.paths))


def _files(paths: Paths) -> Verdict:
    store = SettingsStore(paths)
    if store.findings:
        words = "; ".join(finding.message for finding in store.findings)
        remedies = dict.fromkeys(finding.remedy for finding in store.findings)
        judge = error if store.policy.broken else warning
        return judge(words, "\n".join(remedies))
    chosen = sum(entry.value != entry.default for entry in store.entries())
    locked = sum(bool(entry.locked) for entry in store.entries())
    words = f"{chosen} of {len(store.entries())} settings differ from their defaults"
    if locked:
        words += f", {locked} cannot be changed ({_files_of_policy(store, paths)})"
    if store.unknown:
        names = ", ".join(json.dumps(name[:LONGEST_NAME]) for name in store.unknown[:MOST_NAMES])
        words += f"; {paths.settings_file} has what this version does not know: {names}"
        return note(words, "correct its spelling, unless it is of another version")
    return note(words) if locked else ok(words)


def _files_of_policy(store: SettingsStore, paths: Paths) -> str:
    files = [str(entry.path) for entry in store.policy.entries.values() if entry.locked]
    return ", ".join(dict.fromkeys(files)) or str(paths.settings_file)
