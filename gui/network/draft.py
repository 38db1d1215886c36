"""What the person wants the settings to be, beside what the daemon says they are.

Rules: pure. A setting that nobody touched follows the daemon. A touched one keeps what was wanted
until it is applied or cancelled, whatever happens elsewhere; it is touched no more as soon as both
say the same. A setting that gets locked loses its draft: nobody can apply it.
Counterpart: `page.py` shows it, `applying.py` hands it over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from desktop.api.types import SettingInfo

__all__ = ["ISOLATION", "SWITCH", "Draft", "SettingState"]

SWITCH: Final = "hostNetworkingEnabled"
ISOLATION: Final = "enhancedContainerIsolation"


@dataclass(frozen=True, slots=True)
class SettingState:
    """One setting as it is to be shown.

    Attributes:
        value: what is wanted, or what is in force.
        is_unsaved: `value` is not in force.
        elsewhere: somebody else changed it since it was touched; `in_force` is the new value.
        in_force: the daemon's value.
        locked: who locked it, in the daemon's words, "" if nobody; `lock` is the kind.
        error: what is wrong with `value`, "" for nothing known.
    """

    value: object
    is_unsaved: bool
    elsewhere: bool
    in_force: object
    locked: str
    lock: str
    error: str


class Draft:
    """The settings of one page, `keys`, in the order in which they are shown."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = tuple(keys)
        self._known: dict[str, SettingInfo] = {}
        self._wanted: dict[str, object] = {}
        self._seen: dict[str, object] = {}
        self._errors: dict[str, str] = {}

    @property
    def unsaved(self) -> tuple[str, ...]:
        """What is wanted but not in force."""
        return tuple(key for key in self._keys if key in self._wanted)

    def learn(self, known: Mapping[str, SettingInfo]) -> None:
        """Take what the daemon says now. What it does not name stays as it was."""
        for key in self._keys:
            if key in known:
                self._known[key] = known[key]
                self._settle(key)

    def want(self, key: str, value: object) -> None:
        """The person wants this. What was wrong stays so until it is looked at again."""
        if key not in self._wanted:
            self._seen[key] = self._in_force(key)
        self._wanted[key] = value
        self._settle(key)

    def cancel(self) -> None:
        """Nothing is wanted but what is."""
        self._wanted.clear()
        self._seen.clear()
        self._errors.clear()

    def applied(self, key: str, value: object) -> None:
        """The daemon took it. What the person wanted since then stays wanted."""
        info = self._known[key]
        self._known[key] = SettingInfo(key, value, info.default, info.locked, info.lock)
        self._seen[key] = value
        self._settle(key)

    def mark_wrong(self, key: str, value: object, error: str) -> None:
        """`value` of a setting is no good, or is if `error` is "". An earlier value is no news."""
        if key not in self._wanted or self._wanted[key] != value:
            return
        if error:
            self._errors[key] = error
        else:
            self._errors.pop(key, None)

    def is_known(self, key: str) -> bool:
        """The daemon has told its value."""
        return key in self._known

    def error(self, key: str) -> str:
        """What is wrong with what is wanted, "" for nothing known."""
        return self._errors.get(key, "")

    def state(self, key: str) -> SettingState:
        """One setting as it is to be shown. Its value must be known."""
        info = self._known[key]
        is_unsaved = key in self._wanted
        return SettingState(
            value=self._wanted[key] if is_unsaved else info.value,
            is_unsaved=is_unsaved,
            elsewhere=is_unsaved and self._seen[key] != info.value,
            in_force=info.value,
            locked=info.locked,
            lock=info.lock,
            error=self._errors.get(key, ""),
        )

    def changes(self) -> list[tuple[str, object]]:
        """What to apply, in an order in which nothing is mirrored that is not wanted.

        Isolation comes first, since it decides whether the switch can be used; turning off comes
        before, and turning on after, all that says what is mirrored.
        """

        def rank(key: str) -> int:
            if key == ISOLATION:
                return 0
            if key == SWITCH:
                return 3 if self._wanted[key] else 1
            return 2

        return [(key, self._wanted[key]) for key in sorted(self.unsaved, key=rank)]

    def _in_force(self, key: str) -> object:
        return self._known[key].value

    def _settle(self, key: str) -> None:
        info = self._known[key]
        if key in self._wanted and (info.locked or self._wanted[key] == info.value):
            del self._wanted[key], self._seen[key]
            self._errors.pop(key, None)
