"""Every page of the window in every state worth looking at: one table for all that looks at them.

Rules: a case makes what the daemon says (`prepare`), then what the person does (`act`), and is
there when `is_there` says so. It runs without pytest, too: `pictures.py` does.

Counterparts: `stage.py`; `test_accessibility.py`, `test_looks.py`, `pictures.py`.
"""

from __future__ import annotations

import contextlib
import math
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec
from PySide6.QtCore import QCoreApplication, QEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QDialog, QTableView, QWidget

from desktop.api.fake import FakeBackend, FakeMachine
from desktop.api.stream import address_of
from desktop.api.types import FindingInfo, MachineList
from desktop.daemon.host_mirrors import GUARDED
from desktop.settings.keys import SWITCH
from gui.machine.page import MachinePage
from gui.machine.table import MachineTable
from gui.pages import all_pages
from gui.preferences import PreferencesFile
from gui.session import Link, Session, Starter
from gui.window import Window
from tests.gui.stage import MACHINE, furnish, realistic_rows
from tests.served_backend import ServedBackend

__all__ = ["CASES", "FOR_DOCUMENTATION", "Case", "Look", "shown", "until"]

PATIENCE: Final = 30.0
"""Seconds until a window shows what it must show."""

TRAFFIC_SECONDS: Final = 40.0
"""So long traffic is looked at, for a picture of it."""

POLL_MS: Final = 10

ASKING: Final = "ssh:ada@build.example.org"
"""A machine that wants a password."""


@dataclass(frozen=True)
class Look:
    """A window that shows a case, and the page of it."""

    window: Window
    page: QWidget
    session: Session
    served: ServedBackend

    @property
    def backend(self) -> FakeBackend:
        """The daemon."""
        return self.served.backend

    @property
    def surface(self) -> QWidget:
        """What the person has to do with now: the dialog that is open, or the window."""
        dialogs = self.window.findChildren(QDialog)
        return next((each for each in dialogs if each.isVisible()), self.window)

    def press(self, name: str) -> None:
        """Press a button of the page."""
        button = self.find(name)
        assert isinstance(button, QAbstractButton)
        until(button.isEnabled, f"{name} can be pressed")
        button.click()

    def find(self, name: str) -> QWidget:
        """The widget of that name on the page, or in the window."""
        found = self.page.findChild(QWidget, name) or self.window.findChild(QWidget, name)
        assert found is not None, f"no {name} on the page {self.page.objectName()}"
        return found


def _nothing(_what: object) -> None:
    pass


def _always(_look: Look) -> bool:
    return True


@dataclass(frozen=True)
class Case:
    """See the module. Without `has_daemon` none runs."""

    name: str
    page: str
    prepare: Callable[[FakeBackend], None] = _nothing
    act: Callable[[Look], None] = _nothing
    is_there: Callable[[Look], bool] = _always
    has_daemon: bool = True


def until(condition: Callable[[], bool], what: str) -> None:
    """Let the window work until something is so."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"{what} within {PATIENCE:.0f} s"
        QTest.qWait(POLL_MS)


@contextlib.contextmanager
def shown(case: Case) -> Iterator[Look]:
    """A window that shows it, with a daemon of its own."""
    home = Path(tempfile.mkdtemp(prefix="samehost-"))
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, home)
        served = stack.enter_context(ServedBackend(home))
        served.do(lambda: furnish(served.backend))
        served.do(lambda: case.prepare(served.backend))
        path = served.paths.api_socket if case.has_daemon else home / "nobody"
        session = Session(address_of(path), Starter(["false"]))
        stack.callback(session.close)
        preferences = PreferencesFile(home / "window.json")
        window = Window(session, preferences, all_pages(preferences), lambda: False)
        stack.callback(_delete, window)
        session.open()
        window.show_page(case.page)
        window.show()
        look = Look(window, window.page(case.page), session, served)
        link = Link.READY if case.has_daemon else Link.ABSENT
        until(lambda: session.link is link and window.isActiveWindow(), f"{case.name} is shown")
        until(lambda: bool(session.rows) == bool(_rows(case, served)), "the ports are known")
        case.act(look)
        until(lambda: case.is_there(look), f"{case.name} is there")
        _settle(window)
        yield look


def _settle(window: QWidget) -> None:
    """Until every widget is where its layout puts it."""
    places: list[object] = []

    def is_settled() -> bool:
        nonlocal places
        before = places
        places = [each.geometry() for each in window.findChildren(QWidget)]
        return places == before

    until(is_settled, "the layout is done")


def _rows(case: Case, served: ServedBackend) -> list[object]:
    return list(served.backend.ports()[1]) if case.has_daemon else []


def _delete(window: QWidget) -> None:
    window.end() if isinstance(window, Window) else None
    window.close()
    window.deleteLater()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)


# The cases.


def _locked(backend: FakeBackend) -> None:
    backend.locked[SWITCH] = "locked by the administrator in /etc/samehost/admin-settings.json"


def _locked_off(backend: FakeBackend) -> None:
    _locked(backend)
    _switched_off(backend)


def _isolated(backend: FakeBackend) -> None:
    backend._values["enhancedContainerIsolation"] = True


def _windows_containers(backend: FakeBackend) -> None:
    backend.engine = "this engine runs Windows containers; only Linux containers are supported"


def _broken_file(backend: FakeBackend) -> None:
    file = "/home/ada/.config/samehost/settings.json"
    kept = f"{file} was broken and is kept as {file}.broken; what is in force was stored"
    backend.settings_problems = [f"{kept} (take from {file}.broken what you need, and remove it)"]


def _ruled(backend: FakeBackend) -> None:
    backend._values |= {
        "ignore": ["udp:5353", "tcp:7000-7010", "host:tcp:631"],
        "remap": {"tcp:9090": 19090, "udp:53": 1053},
    }


def _switched_off(backend: FakeBackend) -> None:
    backend._values[SWITCH] = False
    backend.change([], realistic_rows())


def _no_rows(backend: FakeBackend) -> None:
    backend.change([], realistic_rows())


def _short(backend: FakeBackend) -> None:
    backend.troubles = [
        "memory is short in colima; connections are refused: end what takes it (41)",
        "the disk of /home/ada is full; what Samehost keeps there cannot be written: make room",
    ]


def _machine_gone(backend: FakeBackend) -> None:
    backend.machine_states[MACHINE].link = "reconnecting"


_PODMAN: Final = {
    "kernel": "6.17.7-300.fc43.x86_64",
    "transport": "openssh",
    "watcher": "eBPF",
    "docker_host": "unix:///home/ada/.local/share/containers/podman/machine/podman.sock",
}


def _machines(backend: FakeBackend) -> None:
    def machine(name: str, kind: str, **other: Any) -> FakeMachine:
        return FakeMachine(name, kind=kind, **other)

    found = [
        machine("lima-old", "lima", state="stopped", reached="ssh"),
        machine("podman-machine-default", "podman", state="running", link="connected", **_PODMAN),
        machine("ssh:ada@build.example.org", "ssh", state="running", reached="ssh, as ada"),
        machine("rancher-desktop", "rancher", state="failed", problem="its disk is full"),
    ]
    backend.machine_states |= {each.name: each for each in found}
    backend.findings = [
        FindingInfo("limactl is there, but does not answer", "see: limactl list"),
    ]


def _change_network(look: Look) -> None:
    look.press("reachHost-control")
    look.press("portBinding-localhost")


def _quit_unsaved(look: Look) -> None:
    _change_network(look)
    look.window.quit()


def _asks(backend: FakeBackend) -> None:
    backend.machine_states[ASKING] = FakeMachine(
        ASKING, kind="ssh", state="running", reached="ssh, as ada"
    )
    backend.question = "ada@build.example.org's password: "


def _use_what_asks(look: Look) -> None:
    _use(look, ASKING)


def _stop_machine(look: Look) -> None:
    until(lambda: _searched(look), "the search is over")
    look.press("stop")


def _has_dialog(look: Look) -> bool:
    return look.surface is not look.window


def _guarded(backend: FakeBackend) -> None:
    """A port below 1024 of a container's loopback, as macOS gives it."""
    row = next(row for row in backend.ports()[1] if row.host_port == 80)
    local = {"machine_address": "127.0.0.1", "host_address": "127.0.0.1"}
    state = {"state": "active", "reason": GUARDED, "guarded": True}
    backend.change([msgspec.structs.replace(row, **local, **state)], [row])


def _choose_guarded(look: Look) -> None:
    _choose(look, "127.0.0.1:80")


def _choose_conflict(look: Look) -> None:
    _choose(look, "5000")


def _choose(look: Look, words: str) -> None:
    """Select the first row that has them in a cell."""
    view = look.page.findChild(QTableView)
    assert view is not None
    model = view.model()
    texts = [
        [str(model.index(row, column).data()) for column in range(model.columnCount())]
        for row in range(model.rowCount())
    ]
    view.selectRow(next(row for row, cells in enumerate(texts) if any(words in c for c in cells)))


def _ignore_port(look: Look) -> None:
    _choose(look, "0.0.0.0:8443")
    look.press("ignore")


def _has_banner(look: Look) -> bool:
    return look.find("banner").isVisible()


def _one_machine(backend: FakeBackend) -> None:
    backend.change([], [row for row in realistic_rows() if row.machine != MACHINE])


def _watch_traffic(look: Look) -> None:
    """Select a port, and look at its traffic for a while."""
    view = look.page.findChild(QTableView)
    assert view is not None
    model = view.model()
    rows = [row for row in range(model.rowCount()) if "8000" in str(model.index(row, 0).data())]
    view.selectRow(rows[0])
    began = time.monotonic()
    while _carry(look, time.monotonic() - began) < TRAFFIC_SECONDS:
        QTest.qWait(POLL_MS * 10)


def _carry(look: Look, seconds: float) -> float:
    """Have bytes go through every open port; returns the time."""
    active = [row for row in look.session.rows.values() if row.state == "active" and row.flows]
    for number, row in enumerate(active):
        wave = 1.5 + math.sin(seconds / 3 + number) + 0.4 * math.sin(seconds * 1.3 + number)
        more, back = round(40_000 * wave / (number + 1)), round(9_000 * wave)
        changed = msgspec.structs.replace(
            row, bytes_in=row.bytes_in + more, bytes_out=row.bytes_out + back
        )
        look.served.do(partial(look.backend.change, [changed]))
    return seconds


def _no_machine(backend: FakeBackend) -> None:
    async def nothing() -> MachineList:
        return MachineList([])

    backend.machine_states[MACHINE].link = "stopped"
    backend.machines = nothing  # type: ignore[method-assign]


def _searched(look: Look) -> bool:
    """The page Machine has looked for machines, and asks for nothing more."""
    page = look.page
    assert isinstance(page, MachinePage)
    searching, work = page.choosing.searching, page.choosing.work
    return searching.found is not None and not searching.is_running and not work.is_running


def _use_what_fails(look: Look) -> None:
    _use(look, "rancher-desktop")


def _use(look: Look, machine: str) -> None:
    until(lambda: _searched(look), "machines are found")
    table = look.find("machines-table")
    assert isinstance(table, MachineTable)
    table.select(machine)
    look.press("use")


CASES: Final = (
    Case("general", "general"),
    Case("general-stop", "general", act=lambda look: look.press("stop-daemon")),
    Case("network", "network", _ruled),
    Case("network-unsaved", "network", _ruled, _change_network),
    Case("network-quit", "network", _ruled, _quit_unsaved, _has_dialog),
    Case("network-locked", "network", _locked),
    Case("network-isolated", "network", _isolated),
    Case("network-windows-containers", "network", _windows_containers),
    Case("network-broken-file", "network", _broken_file),
    Case("ports", "ports"),
    Case("ports-conflict", "ports", act=_choose_conflict),
    Case("ports-guarded", "ports", _guarded, _choose_guarded),
    Case("ports-ignored", "ports", act=_ignore_port, is_there=_has_banner),
    Case("ports-none", "ports", _no_rows),
    Case("ports-switched-off", "ports", _switched_off),
    Case("ports-locked", "ports", _locked_off),
    Case("ports-machine-gone", "ports", _machine_gone),
    Case("ports-short", "ports", _short),
    Case("ports-no-daemon", "ports", has_daemon=False),
    Case("machine", "machine", is_there=_searched),
    Case("machine-several", "machine", _machines, is_there=_searched),
    Case("machine-failed", "machine", _machines, _use_what_fails, _searched),
    Case("machine-none", "machine", _no_machine, is_there=_searched),
    Case("machine-asks", "machine", _asks, _use_what_asks, _has_dialog),
    Case("machine-stop", "machine", act=_stop_machine, is_there=_has_dialog),
    Case("about", "about"),
)

FOR_DOCUMENTATION: Final = (Case("ports-live", "ports", _one_machine, _watch_traffic),)
"""What takes too long for tests."""
