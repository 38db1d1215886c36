"""The user's settings file, and with the administrator's what is in force.

Rules: one writer, the holder of the daemon's lock. Only choices that differ from the default in
force are stored; what this version does not know is kept. Every write begins with a fresh
read, so an edit by hand is not lost. What cannot be understood in the file is reported in
`findings`, the default is in force for it, and it is kept: a wrong value stays in the file until
its key is set, a file that is no JSON object gets a second name before a new one is written, and
is a finding as long as it is there. Such a file changes nothing for a store that has read a good
one: what that said stays in force.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from desktop.errors import PermissionDeniedError, SamehostError, UsageError
from desktop.findings import Finding
from desktop.paths import Paths
from desktop.settings.effective import Entry, resolve, settings_of, switch_of
from desktop.settings.jsonfile import (
    BrokenFileError,
    keep_aside,
    read_object,
    replace,
    stamp,
)
from desktop.settings.keys import KEYS, find_key
from desktop.settings.policy import Policy
from desktop.settings.values import Settings, Switch

__all__ = ["SettingsStore"]


class SettingsStore:
    """The settings of one Samehost. Reading never raises for what is in the files.

    Attributes:
        settings: the values in force.
        switch: the state of the switch; `switch.enabled` is `settings.host_networking_enabled`.
        policy: what the administrator says.
        findings: what is wrong with the files.
        unknown: names in the user's file that this version does not know.
    """

    settings: Settings
    switch: Switch
    policy: Policy
    findings: tuple[Finding, ...]
    unknown: tuple[str, ...]

    def __init__(self, paths: Paths) -> None:
        self._path = paths.settings_file
        self._policy_places = paths.policy_places
        self._engine = ""
        self._content: dict[str, Any] = {}
        self._kept: Path | None = None
        self.reload()

    def reload(self) -> None:
        """Read the files anew."""
        self._stamps = self._stamp()
        self._is_broken = False
        findings: list[Finding] = []
        try:
            self._content = read_object(self._path)
        except BrokenFileError as error:
            self._is_broken = True
            findings.append(error.finding)
        chosen, wrong = self._good(self._content)
        self.unknown = tuple(name for name in self._content if name not in KEYS)
        self.policy = Policy.load(self._policy_places)
        self._entries = resolve(chosen, self.policy, self._engine)
        self.settings = settings_of(self._entries)
        self.switch = switch_of(self._entries)
        self.findings = (*findings, *wrong, *self.policy.findings, *self._kept_finding())

    def restrict(self, engine: str) -> bool:
        """Say why the machine's engine cannot have host networking; "": it can.

        True if that is news, and so the values in force may be others.
        """
        if engine == self._engine:
            return False
        self._engine = engine
        self.reload()
        return True

    def has_changed_on_disk(self) -> bool:
        """True if somebody else changed one of the files since they were read."""
        return self._stamps != self._stamp()

    def _stamp(self) -> tuple[tuple[int, ...] | None, ...]:
        policies = [place.file for place in self._policy_places]
        folders = [file.parent for file in policies]
        kept = [] if self._kept is None else [self._kept]
        return tuple(stamp(path) for path in (self._path, *policies, *folders, *kept))

    def entries(self) -> list[Entry]:
        """All settings in force, in the order in which they are shown."""
        return list(copy.deepcopy(self._entries).values())

    def entry(self, name: str) -> Entry:
        """One setting in force. Raises UsageError for an unknown key."""
        return copy.deepcopy(self._entries[find_key(name).name])

    def check_unlocked(self, name: str) -> None:
        """Raise PermissionDeniedError if nobody may change it."""
        entry = self._entries[name]
        if entry.locked:
            raise PermissionDeniedError(f"{name} cannot be changed: {entry.locked}", entry.remedy)

    def check(self, name: str, value: object) -> None:
        """Raise what `set` would, but for a file that cannot be written."""
        find_key(name).check(value)
        self.check_unlocked(name)

    def set(self, name: str, value: object) -> Settings:
        """Choose a value, store it, and return all settings then in force.

        Raises UsageError (unknown key, wrong value), PermissionDeniedError (locked, or the file
        cannot be written) or SamehostError; in every case nothing has changed.
        """
        key = find_key(name)
        key.check(value)
        self.reload()
        self.check_unlocked(name)
        entry = self._entries[name]
        content = dict(self._content)
        if value == entry.default:
            content.pop(name, None)
        else:
            content[name] = copy.deepcopy(value)
        if repr(content) != repr(self._content):  # by ==, 1 is true
            self._write(content)
        return self.settings

    def set_differing(self, wanted: Mapping[str, object]) -> None:
        """Choose those that are not in force; none of them if one is locked. Raises as `set`."""
        self.reload()
        changes = self.differing(wanted)
        for name, value in changes.items():
            self.check(name, value)
        for name, value in changes.items():
            self.set(name, value)

    def differing(self, wanted: Mapping[str, object]) -> dict[str, object]:
        """Those of these values that are not in force."""
        return {name: value for name, value in wanted.items() if self.entry(name).value != value}

    def _write(self, content: dict[str, Any]) -> None:
        kept = keep_aside(self._path) if self._is_broken else None
        try:
            replace(self._path, content)
        except SamehostError:
            if kept is not None:
                kept.unlink(missing_ok=True)
            raise
        self._kept = kept or self._kept
        self.reload()

    def _kept_finding(self) -> tuple[Finding, ...]:
        """Where the last broken file is, if it still is."""
        if self._kept is None or not self._kept.exists():
            return ()
        words = f"{self._path} was broken and is kept as {self._kept}; what is in force was stored"
        return (Finding(words, f"take from {self._kept} what you need, and remove it"),)

    def _good(self, content: dict[str, Any]) -> tuple[dict[str, object], list[Finding]]:
        chosen: dict[str, object] = {}
        wrong: list[Finding] = []
        for name, value in content.items():
            if name not in KEYS:
                continue
            try:
                KEYS[name].check(value)
            except UsageError as error:
                remedy = f"{error.remedy}; correct the file, or: samehost settings set {name} …"
                wrong.append(Finding(f"{self._path}: {error.message}", remedy))
            else:
                chosen[name] = value
        return chosen, wrong
