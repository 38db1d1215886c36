"""Something that listens in the daemon's place and says what a test wants.

    with Impostor(path) as daemon:                  # answers as a daemon should
        daemon.answer = silence                     # from now on it says nothing

Rules: it lives in the test's own event loop, so nothing happens but while the test waits. `answer`
gets each message and gives the lines to say: objects, or bytes as they are. Counterparts:
`tests/served_backend.py` for a daemon that is right.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
from PySide6.QtCore import QObject
from PySide6.QtNetwork import QLocalServer, QLocalSocket

from desktop.api.fake import FakeBackend
from desktop.api.messages import hello
from desktop.api.stream import address_of

__all__ = ["Answer", "Impostor", "greeting_only", "result_of", "rightly", "silence", "table"]

Answer = Callable[[dict[str, Any]], Iterable[object]]


def table(revision: int = 1, ports: Iterable[object] = ()) -> dict[str, Any]:
    """The result of `ports` and `subscribe`."""
    return {
        "revision": revision,
        "ports": [msgspec.to_builtins(row) for row in ports],
        "containers": [],
    }


def result_of(method: str) -> object:
    """What a daemon without rows would say."""
    if method == "status":
        return msgspec.to_builtins(FakeBackend().status())
    if method == "settings":
        return msgspec.to_builtins(FakeBackend().settings())
    return table() if method in ("ports", "subscribe") else None


def rightly(message: dict[str, Any]) -> Iterable[object]:
    """As a daemon should."""
    if "hello" in message:
        return [hello()]
    return [{"id": message["id"], "result": result_of(message["method"])}]


def greeting_only(message: dict[str, Any]) -> Iterable[object]:
    """A daemon that hangs once it has said hello."""
    return [hello()] if "hello" in message else []


def silence(_message: dict[str, Any]) -> Iterable[object]:
    """A daemon that takes connections and says nothing."""
    return []


class Impostor:
    """See the module. A context manager; it may be started and stopped again and again.

    Attributes:
        heard: every message, of all connections.
        opening: bytes said to whoever connects.
        clients: open connections, the oldest first.
    """

    def __init__(self, path: Path, answer: Answer = rightly, opening: bytes = b"") -> None:
        self.answer = answer
        self.opening = opening
        self.heard: list[dict[str, Any]] = []
        self.clients: list[QLocalSocket] = []
        self._path = path
        self._owner = QObject()
        self._server = QLocalServer(self._owner)
        self._server.newConnection.connect(self._connected)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        self._owner.deleteLater()

    def start(self) -> None:
        """Listen."""
        self._path.parent.mkdir(exist_ok=True)
        assert self._server.listen(address_of(self._path)), self._server.errorString()

    def stop(self) -> None:
        """End, as one that is killed: the connections break off."""
        self._server.close()
        self.drop()

    def drop(self) -> None:
        """Break off all connections."""
        for client in list(self.clients):
            client.abort()

    def say(self, line: object, client: int = -1) -> None:
        """Say something, by itself, to one of them; by default the one that connected last."""
        self._write(self.clients[client], [line])

    def methods(self) -> list[str]:
        """What was asked for, in order."""
        return [message["method"] for message in self.heard if "method" in message]

    def request(self, method: str) -> int:
        """The number of the last request for it."""
        found = [each["id"] for each in self.heard if each.get("method") == method]
        assert isinstance(found[-1], int)
        return found[-1]

    def _connected(self) -> None:
        client = self._server.nextPendingConnection()
        self.clients.append(client)
        client.readyRead.connect(lambda: self._read(client))
        client.disconnected.connect(lambda: self._gone(client))
        client.write(self.opening)

    def _gone(self, client: QLocalSocket) -> None:
        if client in self.clients:
            self.clients.remove(client)
            client.deleteLater()

    def _read(self, client: QLocalSocket) -> None:
        while client.canReadLine():
            message = json.loads(bytes(client.readLine().data()))
            self.heard.append(message)
            self._write(client, self.answer(message))

    @staticmethod
    def _write(client: QLocalSocket, lines: Iterable[object]) -> None:
        for line in lines:
            client.write(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n")
