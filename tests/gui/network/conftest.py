"""The Network page, alone, before a daemon that serves."""

from __future__ import annotations

import pytest
from pytestqt.qtbot import QtBot

from gui.network.page import NetworkPage
from gui.session import Session
from tests.gui.network.person import Person
from tests.served_backend import ServedBackend

__all__ = ["Stage"]


class Stage(Person):
    """The page, its daemon, and what a person does with it."""

    def __init__(
        self, page: NetworkPage, served: ServedBackend, session: Session, bot: QtBot
    ) -> None:
        super().__init__(page, bot)
        self.served = served
        self.session = session

    def chosen(self, key: str) -> object:
        """What the daemon has."""
        return {each.key: each.value for each in self.served.backend.settings()}[key]

    def tell(self, key: str, value: object) -> None:
        """Another client changes a setting, and the session hears of it."""
        self.served.run(self.served.backend.set_setting(key, value))
        self.hear()

    def hear(self) -> None:
        """What changed at the daemon has arrived here."""
        there = {each.key: each for each in self.served.backend.settings()}
        self.session.refresh()
        self.bot.waitUntil(lambda: dict(self.session.settings) == there)


@pytest.fixture
def stage(served: ServedBackend, session: Session, qtbot: QtBot) -> Stage:
    """The page, to be seen, with the switch on."""
    page = NetworkPage(session)
    qtbot.addWidget(page)
    page.resize(640, 900)
    page.show()
    qtbot.waitExposed(page)
    return Stage(page, served, session, qtbot)
