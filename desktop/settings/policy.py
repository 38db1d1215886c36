"""The administrator's settings: what is locked, and what is the default for who never chose.

Rules: the file is `{"KEY": {"locked": true|false, "value": …}}` for any key of `keys.py`. It is
read, never written. A file that cannot be understood must not open what it meant to close: then
host networking is locked off, and the reason says so; the entries that are good stay in force.
Keys that this version does not know are reported and change nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from desktop.errors import UsageError
from desktop.findings import Finding
from desktop.settings.jsonfile import BrokenFileError, read_object
from desktop.settings.keys import KEYS

__all__ = ["Policy", "PolicyEntry"]

_FORM: Final = '{"locked": true or false, "value": …}'


@dataclass(frozen=True, slots=True)
class PolicyEntry:
    """What the administrator says of one key."""

    locked: bool
    value: object


@dataclass(frozen=True, slots=True)
class Policy:
    """The administrator's file: `broken` says why host networking is locked off, or is ""."""

    path: Path
    entries: Mapping[str, PolicyEntry]
    findings: tuple[Finding, ...] = ()
    broken: str = ""

    @classmethod
    def load(cls, path: Path) -> Policy:
        """Read the file; a missing one says nothing. Never raises for what is in it."""
        try:
            return cls._of(path, read_object(path))
        except BrokenFileError as error:
            return cls(path, {}, (error.finding,), error.finding.message)

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
                entries[name] = _entry(name, value)
            except UsageError as error:
                finding = Finding(f"{path}: {error.message}", error.remedy)
                findings.append(finding)
                broken = broken or finding.message
        return cls(path, entries, tuple(findings), broken)


def _entry(name: str, value: object) -> PolicyEntry:
    good = isinstance(value, dict) and isinstance(value.get("locked"), bool) and "value" in value
    if not isinstance(value, dict) or not good:
        raise UsageError(f"{name} is not of the form {_FORM}", f"expected {_FORM}")
    KEYS[name].check(value["value"])
    return PolicyEntry(value["locked"], value["value"])
