"""The control API's client for the command line: blocking, standard library only, quick to start.

Rules: one request at a time. A daemon's error comes out as the `desktop.errors` error that it
was; a daemon that is not there, or goes away, is a `NotRunningError`. Leaving (an exception,
Ctrl-C) closes the connection, which cancels the request. The form of the lines: `messages.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Self

from desktop.api.messages import (
    MAX_LINE,
    PROTOCOL,
    REQUEST_SECONDS,
    decode,
    encode,
    error_from_wire,
    hello,
)
from desktop.api.stream import Stream, connect, listener_of
from desktop.errors import (
    NotRunningError,
    PermissionDeniedError,
    SamehostError,
    VersionMismatchError,
)

__all__ = ["ApiClient", "Ask", "ConnectionLostError", "NoAnswerError"]

HELLO_SECONDS: Final = 10.0
"""A daemon that does not greet in this time hangs."""

EXTRA_SECONDS: Final = 5.0
"""What the daemon, which gives a request up by itself, has to say so."""

_RECEIVE_BYTES: Final = 1 << 16

Ask = Callable[[str, bool], str | None]
"""A question, and whether its answer is secret: the answer, or None if nobody gives one."""


class ConnectionLostError(NotRunningError):
    """The daemon ended the connection, or itself."""


class NoAnswerError(SamehostError):
    """The daemon is there, but hangs."""


class ApiClient:
    """A connection to the daemon. A context manager.

    Attributes:
        version: the daemon's.
    """

    def __init__(self, sock: Stream, patience: float = math.inf) -> None:
        self.version = ""
        self._socket = sock
        self._patience = patience
        self._buffer = bytearray()
        self._last_id = 0
        self._wait: Callable[[Stream], None] = lambda _stream: None

    @classmethod
    def connect(cls, path: Path, patience: float = math.inf) -> ApiClient:
        """Connect and exchange versions. `patience` are seconds that any answer may take.

        Raises NotRunningError, PermissionDeniedError, VersionMismatchError, SamehostError.
        """
        seconds = min(HELLO_SECONDS, patience)
        sock = _connect(path, seconds)
        try:
            sock.settimeout(seconds)
            client = cls(sock, patience)
            client._greet()
        except BaseException:
            sock.close()
            raise
        return client

    @property
    def pid(self) -> int:
        """The daemon's process; 0 where the system does not tell."""
        try:
            return listener_of(self._socket)
        except OSError:
            return 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the connection, and so what is under way. May be called twice."""
        self._socket.close()

    def call(
        self,
        method: str,
        params: Mapping[str, object] | None = None,
        progress: Callable[[str], None] | None = None,
        ask: Ask | None = None,
    ) -> Any:
        """Ask for something and return the result; `progress` is told the lines on the way.

        `ask` is asked what only a person knows.
        """
        request_id = self._request(method, params)
        lists: dict[str, list[Any]] = {}
        while True:
            message = self._message(request_id)
            if "progress" in message:
                if progress is not None:
                    progress(str(message["progress"]))
            elif "question" in message:
                self._answer(message, ask)
            elif "part" in message:
                lists.setdefault(message["of"], []).extend(message["part"])
            else:
                return _joined(message.get("result"), lists)

    def ports(self, *, wide: bool = False) -> tuple[int, list[dict[str, Any]]]:
        """The revision of the port table, and its rows; `wide`: with image and labels."""
        result = _widened(self.call("ports", {"wide": wide}))
        return result["revision"], result["ports"]

    def watch(
        self, *, wide: bool = False, wait: Callable[[Stream], None] = lambda _stream: None
    ) -> Iterator[dict[str, Any]]:
        """The port table, then its changes without end: the lines of `ports --watch --json`.

        `wide`: with the containers' images and labels. `wait` is called before each read that may
        take long: it may end the watching by an error. Raises ConnectionLostError when the daemon
        ends, or drops us because we were too slow.
        """
        snapshot = self.call("subscribe", {"wide": wide})
        request_id = self._last_id
        yield {"type": "snapshot", **_widened(snapshot)}
        self._socket.settimeout(None)
        self._wait = wait
        lists: dict[str, list[Any]] = {}
        while True:
            message = self._message(request_id)
            if "part" in message:
                lists.setdefault(message["of"], []).extend(message["part"])
            elif "event" in message:
                yield {"type": "delta", **_widened(_joined(message["event"], lists))}
                lists = {}

    def _greet(self) -> None:
        self._send(hello())
        theirs = self._receive().get("hello")
        if not isinstance(theirs, dict) or theirs.get("protocol") != PROTOCOL:
            raise VersionMismatchError(
                "the daemon is of another version", "samehost down, then samehost up"
            )
        self.version = str(theirs.get("version", ""))

    def _answer(self, message: dict[str, Any], ask: Ask | None) -> None:
        question, is_secret = str(message["question"]), bool(message.get("secret", True))
        answer = None if ask is None else ask(question, is_secret)
        self._send({"id": message["id"], "answer": answer, "number": message.get("number")})

    def _request(self, method: str, params: Mapping[str, object] | None) -> int:
        self._last_id += 1
        self._socket.settimeout(min(REQUEST_SECONDS[method] + EXTRA_SECONDS, self._patience))
        self._send({"id": self._last_id, "method": method, "params": dict(params or {})})
        return self._last_id

    def _message(self, request_id: int) -> dict[str, Any]:
        """The next line of the answer to a request. Raises what the daemon raised."""
        while True:
            message = self._receive()
            if message.get("id") == request_id:
                return message

    def _send(self, message: object) -> None:
        line = encode(message)
        try:
            self._socket.sendall(line)
        except (BrokenPipeError, ConnectionResetError):
            return  # what the daemon said before it hung up can still be read
        except TimeoutError as error:
            raise _hangs() from error

    def _receive(self) -> dict[str, Any]:
        try:
            message = decode(self._line())
        except ValueError as error:
            raise SamehostError(
                f"the daemon sent nonsense: {error}", "samehost down, then samehost up"
            ) from error
        error_fields = message.get("error")
        if isinstance(error_fields, dict):
            raise error_from_wire(error_fields)
        return message

    def _line(self) -> bytes:
        scanned = 0
        while (end := self._buffer.find(b"\n", scanned)) < 0:
            scanned = len(self._buffer)
            if scanned >= MAX_LINE:
                raise ValueError(f"a line longer than {MAX_LINE} bytes")
            self._buffer += self._more()
        line = bytes(self._buffer[: end + 1])
        del self._buffer[: end + 1]
        return line

    def _more(self) -> bytes:
        self._wait(self._socket)
        try:
            data = self._socket.recv(_RECEIVE_BYTES)
        except TimeoutError as error:
            raise _hangs() from error
        except ConnectionResetError:
            data = b""
        if not data:
            raise ConnectionLostError("the daemon ended the connection", "see: samehost logs")
        return data


def _connect(path: Path, seconds: float) -> Stream:
    """Connect, and put into words why that cannot be. Raises as `ApiClient.connect` does."""
    try:
        return connect(path, seconds)
    except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError) as error:
        raise NotRunningError("Samehost is not running", "start it: samehost up") from error
    except PermissionError as error:
        raise PermissionDeniedError(
            f"the daemon's socket {path} is another user's", "run as that user"
        ) from error
    except (TimeoutError, BlockingIOError) as error:
        raise _hangs() from error
    except OSError as error:
        raise SamehostError(f"the daemon cannot be reached: {error}", f"look at {path}") from error


def _hangs() -> NoAnswerError:
    return NoAnswerError("the daemon does not answer", "see: samehost logs; to end: samehost down")


def _joined(result: Any, lists: Mapping[str, list[Any]]) -> Any:
    """The result, with the parts that came before in front of its lists."""
    if lists:
        return {**result, **{name: items + result[name] for name, items in lists.items()}}
    return result


def _widened(table: dict[str, Any]) -> dict[str, Any]:
    """With what the list `containers` tells of them in the rows' containers, instead of the list.

    Without such a list, as it is. Rows of one container share its labels.
    """
    if "containers" not in table:
        return table
    details = {
        (each.pop("machine"), each["id"], each["runtime"]): each for each in table["containers"]
    }
    return {
        name: [_described(row, details) for row in value] if isinstance(value, list) else value
        for name, value in table.items()
        if name != "containers"
    }


def _described(row: dict[str, Any], details: Mapping[tuple[str, str, str], Any]) -> dict[str, Any]:
    container = row["container"]
    if container is None:
        return row
    known = details[row["machine"], container["id"], container["runtime"]]
    return {**row, "container": {**known, **container}}
