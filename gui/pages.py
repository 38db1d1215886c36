"""The pages of the window: which there are, in which order, and how each is made.

Rules: a page is a widget made of the session (and the window's preferences); its module is imported
when it is shown first, so that the window opens quickly. What a page may have beside that:

    pageWanted(str)              signal: another page is wanted
    refresh(), focus_filter()    for F5 and Ctrl+F
    has_unsaved                  something on it is not applied: the end asks first
    tells_state(name) -> bool    it tells that state of `states.py` itself: no banner
    tellsStateChanged            signal: ask again
    settingWanted(str)           signal: a setting is to be shown; show_setting(name): here it is
    columns_state(), restore_columns(bytes), columnsChanged    what the window remembers of a table
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from PySide6.QtCore import QCoreApplication
from PySide6.QtWidgets import QWidget

from gui.preferences import PreferencesFile
from gui.session import Session

__all__ = ["PageKind", "all_pages"]

translate = QCoreApplication.translate


@dataclass(frozen=True, slots=True)
class PageKind:
    """A page that there may be.

    `heading` is what it stands below in the list, "" for nothing. `tells` are the states of
    `states.py` that it tells itself, so that no banner says them again.
    """

    name: str
    icon: str
    title: Callable[[], str]
    make: Callable[[Session, QWidget], QWidget]
    heading: Callable[[], str] = str
    tells: frozenset[str] = frozenset()


def all_pages(preferences: PreferencesFile) -> list[PageKind]:
    """All of them, in order."""

    def general(session: Session, parent: QWidget) -> QWidget:
        from gui.general import GeneralPage

        return GeneralPage(session, preferences, parent)

    def about(session: Session, parent: QWidget) -> QWidget:
        from gui.about import AboutPage

        return AboutPage(session, parent)

    return [
        PageKind(
            *("general", "general", lambda: translate("pages", "General"), general),
            tells=frozenset({"daemon-down", "starting"}),
        ),
        PageKind(
            *("network", "network", lambda: translate("pages", "Network"), _network, _resources),
            tells=frozenset({"switched-off", "locked"}),
        ),
        PageKind("ports", "ports", lambda: translate("pages", "Ports"), _ports, _resources),
        PageKind(
            *("machine", "machine", lambda: translate("pages", "Machine"), _machine, _resources),
            tells=frozenset({"no-machine-found"}),
        ),
        PageKind("about", "about", lambda: translate("pages", "About"), about),
    ]


def _resources() -> str:
    return translate("pages", "Resources")


def _network(session: Session, parent: QWidget) -> QWidget:
    from gui.network.page import NetworkPage

    return NetworkPage(session, parent)


def _ports(session: Session, parent: QWidget) -> QWidget:
    from gui.ports.page import PortsPage

    return PortsPage(session, parent)


def _machine(session: Session, parent: QWidget) -> QWidget:
    from gui.machine.page import MachinePage

    return MachinePage(session, parent)
