"""One connection to the daemon: a local socket, calls with their answers, and why it ended.

    open() ─▶ greeted ─▶ call()s ─▶ ended(ending, problem)

Rules: a call may be made at any time; it is sent once greeted. Exactly one of `then` and `fails` is
called, later, unless it was cancelled. A request that is not answered in the daemon's own time and
`EXTRA_SECONDS` more ends the connection, for the daemon hangs. Ended once, it stays so: make
another one. Memory is bounded: `wire.py`, and the socket is read as fast as it is understood only.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from typing import Any, Final

from PySide6.QtCore import QCoreApplication, QObject, QTimer, Signal
from PySide6.QtNetwork import QLocalSocket

from desktop.api.messages import PROTOCOL, REQUEST_SECONDS
from gui.wire import (
    Answered,
    Asked,
    Changed,
    Event,
    Failed,
    Greeted,
    Problem,
    Refused,
    Told,
    Wire,
    WireError,
)

__all__ = ["Connection", "Ending", "Limits", "Question", "Request"]

READ_BYTES: Final = 1 << 16
"""What is read at once: between two reads the window lives."""

MOST_AT_ONCE: Final = 8
"""Requests under way; the daemon allows twice as many."""

_translate = QCoreApplication.translate


class Ending(Enum):
    """Why a connection is over."""

    ABSENT = "nobody listens"
    REFUSED = "it is not ours"
    FOREIGN = "another version, or no Samehost"
    HUNG = "no answer"
    LOST = "the other end closed it"


@dataclass(frozen=True, slots=True)
class Limits:
    """How long the daemon may take, in seconds."""

    hello: float = 10.0
    extra: float = 5.0
    """Beyond what it gives itself (`REQUEST_SECONDS`), to say so."""
    requests: Mapping[str, float] = field(default_factory=lambda: REQUEST_SECONDS)


class Question:
    """What the daemon wants to know of the person. Answer it once; None: they do not say."""

    def __init__(self, text: str, is_secret: bool, send: Callable[[str | None], None]) -> None:
        self.text = text
        self.is_secret = is_secret
        self._send: Callable[[str | None], None] | None = send

    def answer(self, text: str | None) -> None:
        """Say it. The second answer, and one that comes too late, is not heard."""
        send, self._send = self._send, None
        if send is not None:
            send(text)


@dataclass(eq=False)
class Request:
    """Something asked of the daemon. `changed` is told the events of a subscription."""

    method: str
    params: Mapping[str, object]
    then: Callable[[Any], None]
    fails: Callable[[Problem], None]
    progress: Callable[[str], None] | None = None
    ask: Callable[[Question], None] | None = None
    changed: Callable[[dict[str, Any]], None] | None = None
    is_cancelled: bool = False
    is_answered: bool = False
    timer: QTimer | None = None

    def fail(self, problem: Problem) -> None:
        """Tell whoever asked, if they still want to know."""
        self.forget_time()
        if not self.is_cancelled and not self.is_answered:
            self.is_answered = True
            self.fails(problem)

    def forget_time(self) -> None:
        """It has no time limit any more."""
        if self.timer is not None:
            self.timer.stop()
            self.timer.deleteLater()
            self.timer = None


class Connection(QObject):
    """See the module.

    Attributes:
        is_greeted: the daemon has answered our hello.
        ending: why it is over, None while it is not.
        problem: the same for a person.
    """

    greeted = Signal()
    ended = Signal()

    def __init__(
        self, path: str, limits: Limits | None = None, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self.is_greeted = False
        self.ending: Ending | None = None
        self.problem: Problem | None = None
        self._path = path
        self._limits = limits or Limits()
        self._is_closed = False
        self._wire = Wire()
        self._waiting: deque[Request] = deque()
        self._requests: dict[int, Request] = {}
        self._socket = QLocalSocket(self)
        self._socket.setReadBufferSize(READ_BYTES)
        self._socket.setServerName(path)
        self._socket.connected.connect(self._connected)
        self._socket.readyRead.connect(self._read)
        self._socket.disconnected.connect(self._disconnected)
        self._socket.errorOccurred.connect(self._broken)
        self._hello_timer = QTimer(self, singleShot=True)
        self._hello_timer.setInterval(_milliseconds(self._limits.hello))
        self._hello_timer.timeout.connect(self._hangs)

    def open(self) -> None:
        """Begin, soon."""
        self._hello_timer.start()
        QTimer.singleShot(0, self._connect)

    def close(self) -> None:
        """End it, and so all that is under way: nothing is called back any more."""
        self._is_closed = True
        self._stop()

    def call(self, request: Request) -> None:
        """Ask for something. On a connection that is over it fails, soon."""
        self._waiting.append(request)
        if self.ending is not None:
            QTimer.singleShot(0, self._fail_all)
        elif self.is_greeted:
            self._send_waiting()

    def nonsense(self, what: str) -> None:
        """End it, since the daemon says what it cannot mean."""
        self._end(
            Ending.FOREIGN,
            _translate("Connection", "the daemon sent nonsense: {}").format(what),
            _translate("Connection", "samehost down, then samehost up"),
            "VERSION_MISMATCH",
        )

    # The socket

    def _connect(self) -> None:
        if not self._is_closed:
            self._socket.connectToServer()

    def _connected(self) -> None:
        self._socket.write(self._wire.hello())

    def _read(self) -> None:
        try:
            for event in self._wire.receive(bytes(self._socket.readAll().data())):
                if self._is_over():
                    return
                self._happened(event)
        except WireError as error:
            self.nonsense(str(error))

    def _disconnected(self) -> None:
        self._lost()

    def _broken(self, error: QLocalSocket.LocalSocketError) -> None:
        if self._socket.bytesAvailable():
            self._read()  # its last words
        kinds = QLocalSocket.LocalSocketError
        if error == kinds.SocketAccessError:
            self._end(
                Ending.REFUSED,
                _translate("Connection", "the daemon's socket {} is another user's").format(
                    self._path
                ),
                _translate("Connection", "run as that user"),
                "PERMISSION",
            )
        elif error == kinds.SocketTimeoutError:
            self._hangs()
        elif error not in (kinds.ServerNotFoundError, kinds.ConnectionRefusedError):
            self._lost()
        else:
            self._end(
                Ending.ABSENT,
                _translate("Connection", "Samehost is not running"),
                _translate("Connection", "start it: samehost up"),
                "NOT_RUNNING",
            )

    # What the daemon says

    def _happened(self, event: Event) -> None:
        match event:
            case Greeted():
                self._greeted(event)
            case Refused(problem):
                self._refused(problem)
            case Told(number, text):
                self._told(number, text)
            case Asked():
                self._asked(event)
            case Answered(number, result):
                self._answered(number, result)
            case Failed(number, problem):
                self._finished(number).fail(problem)
                self._send_waiting()
            case Changed(number, change):
                self._changed(number, change)

    def _greeted(self, theirs: Greeted) -> None:
        self._hello_timer.stop()
        if theirs.protocol != PROTOCOL:
            self._end(
                Ending.FOREIGN,
                _translate("Connection", "the daemon is of another version: {}").format(
                    theirs.version
                ),
                _translate("Connection", "samehost down, then samehost up"),
                "VERSION_MISMATCH",
            )
        elif not self.is_greeted:
            self.is_greeted = True
            self._send_waiting()
            self.greeted.emit()

    def _refused(self, problem: Problem) -> None:
        kinds = {"VERSION_MISMATCH": Ending.FOREIGN, "PERMISSION": Ending.REFUSED}
        ending = kinds.get(problem.code, Ending.LOST)
        self._end(ending, problem.message, problem.remedy, problem.code)

    def _told(self, number: int, text: str) -> None:
        request = self._requests[number]
        if request.progress is not None and not request.is_cancelled:
            request.progress(text)

    def _asked(self, asked: Asked) -> None:
        request = self._requests[asked.id]

        def send(text: str | None) -> None:
            if not self._is_over() and asked.id in self._requests:
                self._socket.write(self._wire.answer(asked, text))

        question = Question(asked.text, asked.is_secret, send)
        if request.ask is None or request.is_cancelled:
            question.answer(None)
        else:
            request.ask(question)

    def _answered(self, number: int, result: Any) -> None:
        request = self._requests[number]
        if request.changed is None:
            self._finished(number)
        else:
            request.forget_time()
        self._send_waiting()
        if not request.is_cancelled and not request.is_answered:
            request.is_answered = True
            request.then(result)

    def _changed(self, number: int, change: dict[str, Any]) -> None:
        request = self._requests[number]
        if request.changed is not None and not request.is_cancelled:
            request.changed(change)

    # Requests

    def _send_waiting(self) -> None:
        while self._waiting and len(self._requests) < MOST_AT_ONCE and not self._is_over():
            request = self._waiting.popleft()
            if not request.is_cancelled:
                self._send(request)

    def _send(self, request: Request) -> None:
        try:
            number, line = self._wire.request(request.method, request.params)
        except ValueError as error:
            problem = Problem(str(error), "", "USAGE")
            QTimer.singleShot(0, partial(request.fail, problem))
            return
        self._requests[number] = request
        seconds = self._limits.requests[request.method] + self._limits.extra
        request.timer = QTimer(self, singleShot=True)
        request.timer.timeout.connect(self._hangs)
        request.timer.start(_milliseconds(seconds))
        self._socket.write(line)

    def _finished(self, number: int) -> Request:
        request = self._requests.pop(number)
        request.forget_time()
        return request

    # The end

    def _is_over(self) -> bool:
        return self._is_closed or self.ending is not None

    def _hangs(self) -> None:
        self._end(
            Ending.HUNG,
            _translate("Connection", "the daemon does not answer"),
            _translate("Connection", "see: samehost logs; to end: samehost down"),
            "FAILED",
        )

    def _lost(self) -> None:
        self._end(
            Ending.LOST,
            _translate("Connection", "the daemon ended the connection"),
            _translate("Connection", "see: samehost logs"),
            "NOT_RUNNING",
        )

    def _end(self, ending: Ending, message: str, remedy: str, code: str) -> None:
        if self._is_over():
            return
        self.ending = ending
        self.problem = Problem(message, remedy, code)
        self._stop()
        self._fail_all()
        self.ended.emit()

    def _stop(self) -> None:
        self._hello_timer.stop()
        for request in self._requests.values():
            request.forget_time()
        self._socket.abort()

    def _fail_all(self) -> None:
        requests = [*self._requests.values(), *self._waiting]
        self._requests.clear()
        self._waiting.clear()
        for request in requests:
            if self.problem is not None and not self._is_closed:
                request.fail(self.problem)


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
