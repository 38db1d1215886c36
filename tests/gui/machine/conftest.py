"""The page Machine beside a daemon that knows four machines."""

from __future__ import annotations

import pytest
from pytestqt.qtbot import QtBot

from desktop.api.fake import FakeMachine
from gui.session import Session
from tests.gui.machine.stage import NEVER, OTHER, RUNNING, Stage
from tests.served_backend import ServedBackend


@pytest.fixture
def machines(served: ServedBackend) -> ServedBackend:
    """A daemon with machines: one connected, one stopped, one that runs, one that is never used."""
    for machine in (
        FakeMachine(OTHER, kind="lima", reached="ssh lima-old"),
        FakeMachine(RUNNING, "running", kind="podman"),
        FakeMachine(NEVER, "running", kind="docker", note="OrbStack does it itself"),
    ):
        served.backend.machine_states[machine.name] = machine
    return served


@pytest.fixture
def stage(qtbot: QtBot, machines: ServedBackend, session: Session) -> Stage:
    """The page, shown, after its first search."""
    stage = Stage(qtbot, machines, session)
    stage.page.show()
    stage.until(lambda: stage.page.choosing.searching.found is not None)
    return stage
