"""What the window knows of the daemon, kept true for as long as it is open.

    Connection (status, settings, short calls) ┐
    Feed (the port table's changes)            ├─▶ Session ─▶ signals ─▶ pages, tray
    Connection (one for each long call)        ┘

Rules: a lost daemon is looked for again without end, and found without help. Values are true before
their signal comes. Nothing here waits. What the daemon says is checked; nonsense makes it FOREIGN.
Counterparts: `connection.py`, `feed.py`, `starting.py`; `desktop.api.types` for the values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Final

import msgspec
from PySide6.QtCore import QCoreApplication, QObject, QTimer, Signal

from desktop.api.types import ContainerDetails, PortRow, SettingInfo, Status
from gui.connection import Connection, Ending, Limits, Question, Request
from gui.deltas import ContainerKey, RowKey
from gui.feed import Feed
from gui.starting import Starter
from gui.wire import Problem

__all__ = [
    "Call",
    "ContainerKey",
    "Limits",
    "Link",
    "Problem",
    "Question",
    "RowKey",
    "Session",
    "Starter",
]

POLL_SECONDS: Final = 1.0
HIDDEN_POLL_SECONDS: Final = 2.0
"""From a status to the next, with a window to be seen and without."""

STATUS_PER_SETTINGS: Final = 2
"""While watched, the settings are looked at with every so many statuses."""

SILENCE_SECONDS: Final = 5.0
"""A daemon that has not told its status for so long hangs; it may come back."""

FIRST_RETRY_SECONDS: Final = 0.2
LAST_RETRY_SECONDS: Final = 2.0

SHORT: Final = frozenset(
    {
        "status",
        "ports",
        "settings",
        "set_enabled",
        "set_setting",
        "check_setting",
        "current_machine",
    }
)
"""Methods that share one connection; each other call has its own, whose end cancels it."""

READING: Final = frozenset(
    {"status", "ports", "settings", "check_setting", "current_machine", "machines"}
)
"""Methods after which nothing has changed."""


ATTACHING: Final = frozenset({"attach", "use"})
"""Methods after which a machine is attached."""


class Link(Enum):
    """How things stand between the window and the daemon."""

    ABSENT = "no daemon"
    STARTING = "we start one"
    CONNECTING = "greeting, or trying again"
    READY = "all is known"
    HUNG = "it does not answer"
    FOREIGN = "of another version, or no Samehost"
    REFUSED = "not ours to open"


_LINKS: Final = {
    Ending.ABSENT: Link.ABSENT,
    Ending.REFUSED: Link.REFUSED,
    Ending.FOREIGN: Link.FOREIGN,
    Ending.HUNG: Link.HUNG,
    Ending.LOST: Link.CONNECTING,
}

_NOTHING_KNOWN: Final = frozenset({Link.ABSENT, Link.FOREIGN, Link.REFUSED})
_UNTIL_READY: Final = frozenset({Link.HUNG, Link.FOREIGN})
"""What a greeting alone does not heal."""


class Call:
    """A call under way."""

    def __init__(self, request: Request, own: Connection | None, calls: set[Call]) -> None:
        self._request = request
        self._own = own
        self._calls = calls
        calls.add(self)

    @property
    def method(self) -> str:
        """What was asked for."""
        return self._request.method

    def cancel(self) -> None:
        """Call nothing back any more. The daemon gives a long call up; a short one is done."""
        self._request.is_cancelled = True
        self.end()

    def fail(self, problem: Problem) -> None:
        """It has no answer any more."""
        self._request.fail(problem)

    def end(self) -> None:
        """It is over: its own connection goes."""
        self._calls.discard(self)
        own, self._own = self._own, None
        if own is not None:
            own.close()
            own.deleteLater()


class Session(QObject):
    """See the module.

    Signals:
        linkChanged: `link` or `problem` is another.
        statusChanged, settingsChanged: `status` or `settings` is another.
        portsReset: `rows` is another table; portsChanged: what changed in it, a `PortDelta`.
        startTold: a line of progress of `start_daemon`, until the machine is attached.
        attachEnded: that attaching is over: None, or a `Problem`.
        askingEnded: what `questioner` was asked for is over, and so are its questions.

    Attributes:
        link: how things stand; `problem` says why, None if there is nothing to say.
        status: the newest, None if unknown. settings: by key, empty if unknown.
        questioner: who is asked when `start_daemon` attaches; None: nobody.
        attaching: the call by which it attaches, None if there is none.
    """

    linkChanged = Signal()  # noqa: N815 (Qt's way)
    statusChanged = Signal()  # noqa: N815
    settingsChanged = Signal()  # noqa: N815
    portsReset = Signal()  # noqa: N815
    portsChanged = Signal(object)  # noqa: N815
    startTold = Signal(str)  # noqa: N815
    attachEnded = Signal(object)  # noqa: N815
    askingEnded = Signal()  # noqa: N815

    def __init__(
        self,
        socket_path: str,
        starter: Starter,
        parent: QObject | None = None,
        limits: Limits | None = None,
    ) -> None:
        super().__init__(parent)
        self.link = Link.CONNECTING
        self.problem: Problem | None = None
        self.status: Status | None = None
        self.settings: Mapping[str, SettingInfo] = {}
        self.questioner: Callable[[Question], None] | None = None
        self.attaching: Call | None = None
        self._path = socket_path
        self._limits = limits or Limits()
        self._main: Connection | None = None
        self._calls: set[Call] = set()
        self._is_open = self._is_watching = self._is_attach_due = False
        self._are_settings_known = self._is_status_known = self._is_silent = False
        self._trouble = Link.CONNECTING
        self._why: Problem | None = None
        self._ports_in_trouble = (0, 0)
        self._statuses = 0
        self._delay = FIRST_RETRY_SECONDS
        self._retry = self._timer(self._try)
        self._poll = self._timer(self._look)
        self._silence = self._timer(self._silent)
        self._starter = starter
        starter.told.connect(self.startTold)
        starter.started.connect(self._daemon_started)
        starter.failed.connect(self._start_failed)
        self._feed = Feed(self._new_connection, self)
        self._feed.reset.connect(self.portsReset)
        self._feed.changed.connect(self.portsChanged)
        self._feed.settled.connect(self._assess)

    @property
    def rows(self) -> Mapping[RowKey, PortRow]:
        """The port table, as the signals told it."""
        return self._feed.table.rows

    @property
    def is_attaching(self) -> bool:
        """A machine is being attached, and perhaps looked for and started before that."""
        return any(call.method in ATTACHING for call in self._calls)

    @property
    def containers(self) -> Mapping[ContainerKey, ContainerDetails]:
        """All that is known of the containers of `rows`."""
        return self._feed.table.containers

    def open(self) -> None:
        """Connect, and keep connected until `close`."""
        if not self._is_open:
            self._is_open = True
            self._delay = FIRST_RETRY_SECONDS
            self._try()

    def close(self) -> None:
        """End it all: nothing is called back any more, and what was being started is not.

        It may be opened again.
        """
        self._is_open = self._is_attach_due = False
        self.attaching = None
        self._starter.end_now()
        self._retry.stop()
        self._drop()
        self._feed.close()
        for call in list(self._calls):
            call.cancel()

    def retry(self) -> None:
        """Begin anew, at once. What is under way fails: nobody knows what becomes of it."""
        under_way, problem = list(self._calls), self.problem or _not_running()
        self._calls.clear()
        self.close()
        self.open()
        for call in under_way:
            call.fail(problem)

    def start_daemon(self) -> None:
        """Where no daemon is, start one, and let it attach to its machine as `samehost up` does."""
        if self._is_open and self.link is Link.ABSENT:
            self._starter.start()
            self._assess()

    def set_watching(self, watching: bool) -> None:
        """Say whether somebody looks: only then is the port table followed."""
        if watching == self._is_watching:
            return
        self._is_watching = watching
        if self._is_greeted():
            self._follow()
            self.refresh()

    def refresh(self) -> None:
        """Look at status and settings now."""
        if self._is_greeted():
            self._ask_status()
            self._ask_settings()

    def call(
        self,
        method: str,
        params: Mapping[str, object] | None = None,
        *,
        then: Callable[[Any], None],
        fails: Callable[[Problem], None],
        progress: Callable[[str], None] | None = None,
        ask: Callable[[Question], None] | None = None,
    ) -> Call:
        """Ask the daemon for something: later, exactly one of `then` and `fails` is called.

        `params` and the result are JSON values, as the methods of `desktop.api.backend.Backend`
        have them; `progress` is told lines, `ask` is handed questions to the person. After a
        change the session refreshes itself, which takes a moment.
        """
        if method not in self._limits.requests:
            raise ValueError(f"the daemon has no method {method}")
        own = None if method in SHORT else self._new_connection()
        request = Request(method, params or {}, then, fails, progress, ask)
        call = Call(request, own, self._calls)

        asks_person = ask is not None and ask in (self._asked, self.questioner)

        def over() -> None:
            call.end()
            if asks_person:
                self.askingEnded.emit()
            if method not in READING:
                self.refresh()

        def succeeded(result: Any) -> None:
            over()
            then(result)

        def failed(problem: Problem) -> None:
            over()
            fails(problem)

        request.then, request.fails = succeeded, failed
        if own is not None:
            own.call(request)
            own.open()
        elif self._main is not None and self._main.ending is None:
            self._main.call(request)
        else:  # also while the main connection tells its calls that it has ended
            QTimer.singleShot(0, self, lambda: request.fail(self.problem or _not_running()))
        return call

    # Starting a daemon

    def _daemon_started(self) -> None:
        self._is_attach_due = True
        self._trouble, self._why = Link.CONNECTING, None
        self._delay = FIRST_RETRY_SECONDS
        if self._retry.isActive():
            self._try()
        else:
            self._assess()

    def _start_failed(self, problem: Problem) -> None:
        self._trouble, self._why = Link.ABSENT, problem
        self._assess()

    def _attach(self) -> None:
        self._is_attach_due = False
        self.attaching = self.call(
            "attach",
            {"machine": None},
            then=self._attached,
            fails=self._attach_ended,
            progress=self.startTold.emit,
            ask=self._asked,
        )

    def _asked(self, question: Question) -> None:
        if self.questioner is None:
            question.answer(None)
        else:
            self.questioner(question)

    def _attached(self, findings: list[object]) -> None:
        """`findings` say which machines beside the current one could not be attached."""
        words = "\n".join(map(str, findings or ()))
        self._attach_ended(Problem(words, "", "FAILED") if words else None)

    def _attach_ended(self, problem: Problem | None) -> None:
        self.attaching = None
        self.attachEnded.emit(problem)

    # The main connection

    def _new_connection(self) -> Connection:
        return Connection(self._path, self._limits, self)

    def _is_greeted(self) -> bool:
        return self._main is not None and self._main.is_greeted and self._main.ending is None

    def _try(self) -> None:
        self._retry.stop()
        self._main = self._new_connection()
        self._main.greeted.connect(self._greeted)
        self._main.ended.connect(self._ended)
        self._main.open()
        self._silence.start(_milliseconds(SILENCE_SECONDS))
        self._assess()

    def _greeted(self) -> None:
        self._silence.stop()
        if self._trouble not in _UNTIL_READY:
            self._trouble, self._why = Link.CONNECTING, None
        self._follow()
        self.refresh()
        self._assess()

    def _ended(self) -> None:
        ending = self._main.ending if self._main is not None else None
        problem = self._main.problem if self._main is not None else None
        self._drop()
        is_absent_still = ending is Ending.ABSENT and self._trouble is Link.ABSENT
        if ending is not None and not is_absent_still:
            self._trouble = _LINKS[ending]
            self._why = None if ending is Ending.ABSENT else problem
        if self._trouble in _NOTHING_KNOWN:
            self._forget()
        if not self._is_open:
            return  # whoever was told has closed it
        self._retry.start(_milliseconds(self._delay))
        self._delay = min(self._delay * 2, LAST_RETRY_SECONDS)
        self._assess()

    def _drop(self) -> None:
        """Close the main connection, and all that hangs on it."""
        self._poll.stop()
        self._silence.stop()
        self._feed.lost()
        self._is_status_known = self._are_settings_known = self._is_silent = False
        if self._main is not None:
            self._main.close()
            self._main.deleteLater()
            self._main = None

    def _forget(self) -> None:
        self._feed.clear()
        self._is_attach_due = False
        if self.status is not None:
            self.status = None
            self.statusChanged.emit()
        if self.settings:
            self.settings = {}
            self.settingsChanged.emit()

    # What is asked again and again

    def _look(self) -> None:
        self._ask_status()
        self._statuses += 1
        if self._is_watching and self._statuses % STATUS_PER_SETTINGS == 0:
            self._ask_settings()

    def _ask_status(self) -> None:
        self._poll.stop()
        if not self._silence.isActive():
            self._silence.start(_milliseconds(SILENCE_SECONDS))
        self._ask("status", {}, self._take_status)

    def _ask_settings(self) -> None:
        self._ask("settings", {}, self._take_settings)

    def _ask(self, method: str, params: Mapping[str, object], take: Callable[[Any], None]) -> None:
        connection = self._main
        if connection is None:
            return

        def then(result: Any) -> None:
            try:
                take(result)
            except msgspec.ValidationError as error:
                connection.nonsense(str(error))

        connection.call(Request(method, params, then, self._not_told))

    def _not_told(self, problem: Problem) -> None:
        """If the connection has ended, `_ended` comes next; else the daemon does not say."""
        if self._main is not None and self._main.ending is None:
            self._why = problem
            self._poll.start(_milliseconds(POLL_SECONDS))

    def _take_status(self, result: Any) -> None:
        self.status = msgspec.convert(result, Status)
        self._is_status_known = True
        self._is_silent = False
        self._silence.stop()
        self._poll.start(_milliseconds(POLL_SECONDS if self._is_watching else HIDDEN_POLL_SECONDS))
        ports = self.status.ports
        if self._ports_in_trouble != (ports.conflict, ports.denied) and not self._is_watching:
            self._ask_ports()
        self._ports_in_trouble = (ports.conflict, ports.denied)
        self.statusChanged.emit()
        self._assess()

    def _take_settings(self, result: Any) -> None:
        settings = {each.key: each for each in msgspec.convert(result, list[SettingInfo])}
        self._are_settings_known = True
        if settings != self.settings:
            self.settings = settings
            self.settingsChanged.emit()
        self._assess()

    def _follow(self) -> None:
        """Follow the port table, or look at it once."""
        if self._is_watching:
            self._feed.begin()
            return
        self._feed.stop()
        if not self._feed.is_known:
            self._ask_ports()

    def _ask_ports(self) -> None:
        self._ask("ports", {"wide": True}, self._feed.look)

    # How things stand

    def _silent(self) -> None:
        self._is_silent = True
        self._trouble = Link.HUNG
        self._why = Problem(
            QCoreApplication.translate("Session", "the daemon does not answer"),
            QCoreApplication.translate("Session", "see: samehost logs; to end: samehost down"),
            "FAILED",
        )
        self._assess()

    def _assess(self) -> None:
        """Say how things stand, if that is another way than before."""
        is_known = self._is_status_known and self._are_settings_known and self._feed.is_known
        if self._starter.is_running:
            self._stand(Link.STARTING, None)
        elif is_known and not self._is_silent and self._feed.problem is None:
            self._trouble, self._why = Link.CONNECTING, None
            self._delay = FIRST_RETRY_SECONDS
            self._stand(Link.READY, None)
        elif self._feed.is_foreign:
            self._stand(Link.FOREIGN, self._feed.problem)
        else:
            self._stand(self._trouble, self._why or self._feed.problem)

    def _stand(self, link: Link, problem: Problem | None) -> None:
        is_new = self._is_open and (link, problem) != (self.link, self.problem)
        if is_new:
            self.link, self.problem = link, problem
        if link is Link.READY and self._is_attach_due and self._is_open:
            self._attach()  # whoever is told that all is known knows of this, too
        if is_new:
            self.linkChanged.emit()

    def _timer(self, ring: Callable[[], None]) -> QTimer:
        timer = QTimer(self, singleShot=True)
        timer.timeout.connect(ring)
        return timer


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def _not_running() -> Problem:
    return Problem(
        QCoreApplication.translate("Session", "Samehost is not running"),
        QCoreApplication.translate("Session", "start it: samehost up"),
        "NOT_RUNNING",
    )
