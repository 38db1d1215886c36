"""The user's list of ignored ports, as far as single rows are concerned: add, remove, undo.

    rule_for(row)               the narrowest rule that means this row
    rules_that_mean(rules, row) those of a list that mean it
    IgnoreList(session)         adds and removes rules by `set_setting`, one change at a time

Rules: the daemon says which rules are good; here they are only read (docs/reference.md, "Rules for
ports"). The setting is replaced as a whole, so the next change waits for the one before, and undo
takes back a change rather than bring back an old list.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from PySide6.QtCore import QObject, Signal

from desktop.api.types import PortRow
from gui.ports.addresses import own_port
from gui.session import Problem, Session

__all__ = ["IgnoreChange", "IgnoreList", "rule_for", "rules_that_mean"]

KEY: Final = "ignore"

_RULE: Final = re.compile(r"(?:(machine|host):)?(tcp|udp):([0-9]{1,5})(?:-([0-9]{1,5}))?")


def rule_for(row: PortRow) -> str:
    """The narrowest rule that means this row: side, protocol and port of the real listener."""
    return f"{row.origin}:{row.protocol}:{own_port(row)}"


def rules_that_mean(rules: Iterable[str], row: PortRow) -> list[str]:
    """Those of the rules that mean this row; what is no rule means none."""
    return [rule for rule in rules if _means(rule, row)]


def _means(rule: str, row: PortRow) -> bool:
    found = _RULE.fullmatch(rule)
    if found is None:
        return False
    origin, protocol, first, last = found.groups()
    is_of_side = origin in (None, row.origin) and protocol == row.protocol
    return is_of_side and int(first) <= own_port(row) <= int(last or first)


@dataclass(frozen=True, slots=True)
class IgnoreChange:
    """Rules that were added to the list, and those that were taken out of it."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    @property
    def undone(self) -> IgnoreChange:
        """The change that takes this one back."""
        return IgnoreChange(self.removed, self.added)

    def of(self, rules: Iterable[str]) -> list[str]:
        """The list after the change."""
        stay = [rule for rule in rules if rule not in self.removed]
        return stay + [rule for rule in self.added if rule not in stay]


class IgnoreList(QObject):
    """See the module.

    Signals:
        changed: `rules`, `locked` or `is_busy` is another.
        done: an `IgnoreChange` was made; failed: a `Problem` kept one from being made.
    """

    changed = Signal()
    done = Signal(object)
    failed = Signal(object)

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.is_busy = False
        self._session = session
        self._sent: list[str] | None = None
        session.settingsChanged.connect(self._read_anew)
        session.linkChanged.connect(self.changed)

    @property
    def is_known(self) -> bool:
        """True once the daemon has told the list."""
        return KEY in self._session.settings

    @property
    def rules(self) -> list[str]:
        """The rules, as they were told, or as they were set since."""
        if self._sent is not None:
            return self._sent
        setting = self._session.settings.get(KEY)
        value = setting.value if setting else []
        return [str(rule) for rule in value] if isinstance(value, list) else []

    @property
    def locked(self) -> str:
        """Who locked it, "" if nobody did."""
        setting = self._session.settings.get(KEY)
        return setting.locked if setting else ""

    def make(self, change: IgnoreChange) -> None:
        """Change the list. Nothing happens while another change is under way."""
        if self.is_busy or not self.is_known:
            return
        wanted = change.of(self.rules)
        self._set_busy(True)

        def succeeded(_: Any) -> None:
            self._sent = wanted
            self._set_busy(False)
            self.done.emit(change)

        def refused(problem: Problem) -> None:
            self._set_busy(False)
            self.failed.emit(problem)

        params = {"key": KEY, "value": wanted}
        self._session.call("set_setting", params, then=succeeded, fails=refused)

    def _set_busy(self, busy: bool) -> None:
        self.is_busy = busy
        self.changed.emit()

    def _read_anew(self) -> None:
        self._sent = None
        self.changed.emit()
