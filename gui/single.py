"""One window at a time for each of Samehost's folders: a second start raises the first.

    first start:   lock ─▶ listen ─▶ `asked` whenever a later one says so
    later start:   lock is held ─▶ {"show": true, "page": "ports"} ─▶ {"shown": true}

Rules: who holds the lock (gone with its process) owns the socket's name: what a window
that crashed left there is taken away by the next, and no living one's ever is. The folder is 0700,
the socket 0600, and who connects is asked of the kernel. On Windows the socket is a named pipe,
whose access list, made by Qt, names this user alone, and a later start looks whose it is before it
says a word. Words that make no sense are not answered. Counterparts: `app.py`; the folder:
`desktop.api.local.runtime_folder`.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import time
from pathlib import Path
from typing import Any, Final

from PySide6.QtCore import QObject, QTimer, Signal
from PySide6.QtNetwork import QLocalServer, QLocalSocket

from desktop.api.filelock import give_back, open_lock, take, write_note
from desktop.api.peers import may_enter
from desktop.api.socketfile import private_folder
from desktop.api.stream import address_of, connect

__all__ = ["Request", "Single", "SingleError"]

LOCK_NAME: Final = "gui.lock"
SOCKET_NAME: Final = "gui.sock"

ANSWER_SECONDS: Final = 5.0
"""How long the first window may take to answer; it may be just starting."""

PAUSE_SECONDS: Final = 0.05
LONGEST_LINE: Final = 4096
LONGEST_NUMBER: Final = 20
MOST_PEERS: Final = 8

TOKEN_VARIABLE: Final = "XDG_ACTIVATION_TOKEN"
"""What lets a window come to the front on Wayland: given to the second start, used by the first."""

log = logging.getLogger(__name__)


class SingleError(Exception):
    """A window that is there does not answer, or there is no place for its socket.

    `remedy` says what to do.
    """

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy


class Request:
    """What a later start wants: the window to be seen, with some page, or nothing."""

    def __init__(self, show: bool = True, page: str = "", token: str = "") -> None:
        self.show, self.page, self.token = show, page, token

    def line(self) -> bytes:
        """As it goes over the socket."""
        fields = {"show": self.show, "page": self.page, "token": self.token}
        return json.dumps(fields).encode() + b"\n"

    @classmethod
    def of_line(cls, line: bytes) -> Request:
        """Read it. Raises ValueError."""
        try:
            fields: Any = json.loads(line)
        except RecursionError as error:
            raise ValueError("nested too deeply") from error
        if not isinstance(fields, dict) or not isinstance(fields.get("show"), bool):
            raise ValueError("no request to show a window")
        page, token = fields.get("page", ""), fields.get("token", "")
        if not isinstance(page, str) or not isinstance(token, str) or "\0" in token:
            raise ValueError("page and token are text")
        return cls(fields["show"], page, token)


class Single(QObject):
    """The one window's claim. `claim` first; then `asked` comes with a `Request` for each."""

    asked = Signal(object)

    def __init__(self, folder: str | Path, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._folder = Path(folder)
        self._lock: int | None = None
        self._server = QLocalServer(self)
        self._server.setSocketOptions(QLocalServer.SocketOption.UserAccessOption)
        self._server.setMaxPendingConnections(MOST_PEERS)
        self._server.newConnection.connect(self._accept)
        self._peers: set[_Peer] = set()

    def claim(self, request: Request) -> bool:
        """True if this is the first window; if not, the first one has been asked for `request`.

        Raises SingleError, and the error of a folder that is not ours alone.
        """
        private_folder(self._folder)
        deadline = time.monotonic() + ANSWER_SECONDS
        while not self._take_lock():
            if _ask(self._folder / SOCKET_NAME, request, deadline):
                return False
            if time.monotonic() > deadline:
                raise SingleError(
                    "a window of Samehost runs already, and does not answer",
                    f"end it: kill {self._holder()}",
                )
            time.sleep(PAUSE_SECONDS)
        path = address_of(self._folder / SOCKET_NAME)
        QLocalServer.removeServer(path)
        if not self._server.listen(path):
            reason = self._server.errorString()
            self.release()
            raise SingleError(
                f"the window's socket {path} cannot be made: {reason}", "look at that folder"
            )
        return True

    def release(self) -> None:
        """Let the next one be the first. May be called twice."""
        for peer in list(self._peers):
            peer.end()
        self._server.close()
        if self._lock is not None:
            give_back(self._folder / LOCK_NAME, self._lock)
            self._lock = None
            with contextlib.suppress(OSError):
                self._folder.rmdir()  # unless the daemon has something there

    def _take_lock(self) -> bool:
        path = self._folder / LOCK_NAME
        descriptor = open_lock(path)
        try:
            take(descriptor)
            if os.path.samestat(os.stat(path), os.fstat(descriptor)):
                write_note(descriptor, str(os.getpid()))
                self._lock = descriptor
        except (BlockingIOError, FileNotFoundError):
            log.debug("%s is held, or was given up this moment", path)
        finally:
            if self._lock is None:
                os.close(descriptor)
        return self._lock is not None

    def _holder(self) -> str:
        """The process that has the lock, as far as it told."""
        try:
            text = (self._folder / LOCK_NAME).read_text(errors="replace")[:LONGEST_NUMBER]
        except OSError:
            text = ""
        return text if text.isdigit() else "its process"

    def _accept(self) -> None:
        while (connection := self._server.nextPendingConnection()) is not None:
            if len(self._peers) >= MOST_PEERS or not _is_ours(connection):
                connection.abort()
                connection.deleteLater()
                continue
            peer = _Peer(connection, self)
            self._peers.add(peer)
            peer.asked.connect(self.asked)
            peer.over.connect(self._peers.discard)
            peer.read()


class _Peer(QObject):
    """A later start that is connected: one line, one answer, and the end, within a time."""

    asked = Signal(object)
    over = Signal(object)

    def __init__(self, connection: QLocalSocket, parent: QObject) -> None:
        super().__init__(parent)
        self._connection = connection
        connection.setParent(self)
        connection.setReadBufferSize(LONGEST_LINE)
        connection.readyRead.connect(self.read)
        connection.disconnected.connect(self.end)
        self._limit = QTimer(self)
        self._limit.setSingleShot(True)
        self._limit.timeout.connect(self.end)
        self._limit.start(round(ANSWER_SECONDS * 1000))
        self._is_over = False

    def read(self) -> None:
        """Take the line, if all of it is there."""
        if self._is_over:
            return
        if not self._connection.canReadLine():
            if self._connection.bytesAvailable() >= LONGEST_LINE:
                self.end()
            return
        line = bytes(self._connection.readLine(LONGEST_LINE).data())
        try:
            request = Request.of_line(line)
        except ValueError as error:
            log.info("somebody said to the window what makes no sense: %s", error)
            self.end()
            return
        self._connection.write(b'{"shown": true}\n')
        self._connection.flush()
        self._connection.disconnectFromServer()
        self.asked.emit(request)

    def end(self) -> None:
        """Forget it."""
        if not self._is_over:
            self._is_over = True
            self._limit.stop()
            self._connection.abort()
            self.over.emit(self)
            self.deleteLater()


def _ask(path: Path, request: Request, deadline: float) -> bool:
    """Ask the first window. False if it does not answer, or not yet."""
    try:
        seconds = max(PAUSE_SECONDS, deadline - time.monotonic())
        with contextlib.closing(connect(path, seconds)) as connection:
            connection.settimeout(seconds)
            connection.sendall(request.line())
            return bool(connection.recv(LONGEST_LINE))
    except OSError as error:
        log.debug("no answer on %s: %s", path, error)
        return False


def _is_ours(connection: QLocalSocket) -> bool:
    """Who connected is this user, or root."""
    try:
        return may_enter(int(connection.socketDescriptor()))
    except OSError as error:
        log.info("who connected is not known: %s", error)
        return False
