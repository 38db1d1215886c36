"""The administrator's settings: what is locked, and what is the default for who never chose.

Rules: the file is `{"KEY": {"locked": true|false, "value": …}}` for any key of `keys.py`. It is
read, never written. A file that cannot be understood, or that is not the administrator's
(`ownership.py`), must not open what it meant to close: then host networking is locked off, and the
reason says so. Of the former the entries that are good stay in force, of the latter none. Keys that
this version does not know are reported and change nothing. Of two files the first wins, but what
is locked in the second is stronger than a default in the first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from desktop.errors import UsageError
from desktop.findings import Finding
from desktop.paths import PolicyPlace
from desktop.settings.jsonfile import BrokenFileError, read_object
from desktop.settings.keys import KEYS
from desktop.settings.ownership import check_file, check_folders

__all__ = ["Policy", "PolicyEntry"]

_FORM: Final = '{"locked": true or false, "value": …}'


@dataclass(frozen=True, slots=True)
class PolicyEntry:
    """What the administrator says of one key, and the file that says it."""

    locked: bool
    value: object
    path: Path


@dataclass(frozen=True, slots=True)
class Policy:
    """The administrator's files: `broken` says why host networking is locked off, or is ""."""

    entries: Mapping[str, PolicyEntry]
    findings: tuple[Finding, ...] = ()
    broken: str = ""

    @classmethod
    def load(cls, places: Iterable[PolicyPlace]) -> Policy:
        """Read the files; a missing one says nothing. Never raises for what is in them."""
        entries: dict[str, PolicyEntry] = {}
        findings: list[Finding] = []
        broken = ""
        for policy in map(cls._read, places):
            for name, entry in policy.entries.items():
                if name not in entries or (entry.locked and not entries[name].locked):
                    entries[name] = entry
            findings += policy.findings
            broken = broken or policy.broken
        return cls(entries, tuple(findings), broken)

    @classmethod
    def _read(cls, place: PolicyPlace) -> Policy:
        path, may_be_users = place
        try:
            check_folders(path, may_be_users=may_be_users)
            check = partial(check_file, may_be_users=may_be_users)
            return cls._of(path, read_object(path, check, may_repeat=False))
        except BrokenFileError as error:
            return cls({}, (error.finding,), error.finding.message)

    @classmethod
    def _of(cls, path: Path, content: dict[str, Any]) -> Policy:
        entries: dict[str, PolicyEntry] = {}
        findings: list[Finding] = []
        broken = ""
        for name, value in content.items():
            if name not in KEYS:
                findings.append(Finding(f'{path}: unknown key "{name}"', "correct its spelling"))
                continue
            try:
                entries[name] = _entry(path, name, value)
            except UsageError as error:
                finding = Finding(f"{path}: {error.message}", error.remedy)
                findings.append(finding)
                broken = broken or finding.message
        return cls(entries, tuple(findings), broken)


def _entry(path: Path, name: str, value: object) -> PolicyEntry:
    good = isinstance(value, dict) and isinstance(value.get("locked"), bool) and "value" in value
    if not isinstance(value, dict) or not good:
        raise UsageError(f"{name} is not of the form {_FORM}", f"expected {_FORM}")
    KEYS[name].check(value["value"])
    return PolicyEntry(value["locked"], value["value"], path)
