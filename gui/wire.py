"""The control API's lines as the window reads and writes them: bytes in, events out.

Rules: pure. First comes the daemon's hello, or its refusal. Every request has a number; what comes
for a number that is not under way is ignored. The parts of a long list are joined here, so an event
is always whole. A line that is no message of this protocol, or too long, ends it all: `WireError`.
Limits: what a daemon makes us hold is bounded by `MAX_LINE` and `MOST_HELD`.
Counterparts: `desktop/api/messages.py` for the form of the lines, `connection.py` for the socket.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from desktop.api.messages import MAX_LINE, encode, hello

__all__ = [
    "MOST_HELD",
    "Answered",
    "Asked",
    "Changed",
    "Event",
    "Failed",
    "Greeted",
    "Problem",
    "Refused",
    "Told",
    "Wire",
    "WireError",
]

MOST_HELD: Final = 32 << 20
"""Bytes of parts that wait for the end of their answers."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, what to do about it, and its kind: the name of an exit code."""

    message: str
    remedy: str
    code: str


@dataclass(frozen=True, slots=True)
class Greeted:
    """The daemon said its version."""

    protocol: int
    version: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The daemon will not talk with us."""

    problem: Problem


@dataclass(frozen=True, slots=True)
class Told:
    """A line of progress."""

    id: int
    text: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A question to the person; `Wire.answer` answers it."""

    id: int
    number: int
    text: str
    is_secret: bool


@dataclass(frozen=True, slots=True)
class Answered:
    """The result of a request: any JSON value."""

    id: int
    result: Any


@dataclass(frozen=True, slots=True)
class Failed:
    """A request's error."""

    id: int
    problem: Problem


@dataclass(frozen=True, slots=True)
class Changed:
    """What a subscription tells."""

    id: int
    event: dict[str, Any]


Event = Greeted | Refused | Told | Asked | Answered | Failed | Changed


class WireError(Exception):
    """The other end does not speak this protocol."""


class _Versions(msgspec.Struct):
    protocol: int
    version: str = ""


class _Error(msgspec.Struct):
    code: str | int = "FAILED"
    message: str = "unknown error"
    remedy: str = ""


class _Line(msgspec.Struct):
    """Any line of a daemon."""

    id: int | None = None
    hello: _Versions | None = None
    error: _Error | None = None
    progress: str | None = None
    question: str | None = None
    secret: bool = True
    number: int = 0
    part: list[Any] | None = None
    of: str = ""
    event: dict[str, Any] | None = None
    result: Any = msgspec.UNSET


_decode = msgspec.json.Decoder(_Line).decode


class _Parts:
    """Lists of one request whose ends are still to come."""

    def __init__(self) -> None:
        self._lists: dict[str, list[Any]] = {}
        self.size = 0

    def add(self, name: str, items: list[Any], size: int) -> None:
        """More items of a list."""
        self._lists.setdefault(name, []).extend(items)
        self.size += size

    def take(self, value: Any) -> Any:
        """The value with the items in front of its lists; begin anew."""
        lists, self._lists, self.size = self._lists, {}, 0
        if not lists:
            return value
        if not isinstance(value, dict):
            raise WireError("parts of a list, but no list")
        return {**value, **{name: [*part, *value.get(name, ())] for name, part in lists.items()}}


class Wire:
    """One connection's lines, in both directions."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._scanned = 0
        self._last_id = 0
        self._is_greeted = False
        self._open: dict[int, _Parts] = {}
        self._lasting: set[int] = set()

    # What we say

    def hello(self) -> bytes:
        """The first line."""
        return encode(hello())

    def request(self, method: str, params: Mapping[str, object]) -> tuple[int, bytes]:
        """The number and the line of a request. Raises ValueError if it is too long."""
        number = self._last_id + 1
        line = encode({"id": number, "method": method, "params": dict(params)})
        self._last_id = number
        self._open[number] = _Parts()
        if method == "subscribe":
            self._lasting.add(number)
        return number, line

    def answer(self, asked: Asked, text: str | None) -> bytes:
        """The line of an answer; None: nobody answers. Raises ValueError if it is too long."""
        return encode({"id": asked.id, "answer": text, "number": asked.number})

    # What the daemon says

    def receive(self, data: bytes) -> Iterator[Event]:
        """The events of these bytes and of those that waited. Raises WireError."""
        self._buffer += data
        while (line := self._line()) is not None:
            event = self._event(line)
            if event is not None:
                yield event

    def _line(self) -> bytes | None:
        end = self._buffer.find(b"\n", self._scanned)
        if end >= MAX_LINE or (end < 0 and len(self._buffer) >= MAX_LINE):
            self._buffer.clear()
            raise WireError(f"a line longer than {MAX_LINE} bytes")
        if end < 0:
            self._scanned = len(self._buffer)
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        self._scanned = 0
        return line

    def _event(self, data: bytes) -> Event | None:
        try:
            line = _decode(data)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise WireError(f"a malformed line: {error}") from error
        if line.hello is not None:
            self._is_greeted = True
            return Greeted(line.hello.protocol, line.hello.version)
        if line.id is None:
            if line.error is None:
                raise WireError("a line that says nothing")
            return Refused(_problem(line.error))
        if not self._is_greeted:
            raise WireError("no hello")
        parts = self._open.get(line.id)
        return None if parts is None else self._of_request(line.id, parts, line, len(data))

    def _of_request(self, number: int, parts: _Parts, line: _Line, size: int) -> Event | None:
        """What a line says of a request that is under way."""
        if line.part is not None:
            parts.add(line.of, line.part, size)
            if sum(each.size for each in self._open.values()) > MOST_HELD:
                raise WireError(f"an answer of more than {MOST_HELD} bytes")
            return None
        if line.progress is not None:
            return Told(number, line.progress)
        if line.question is not None:
            return Asked(number, line.number, line.question, line.secret)
        if line.event is not None:
            return Changed(number, parts.take(line.event))
        return self._end_of_request(number, parts, line)

    def _end_of_request(self, number: int, parts: _Parts, line: _Line) -> Event:
        if line.error is not None:
            del self._open[number]
            return Failed(number, _problem(line.error))
        if line.result is msgspec.UNSET:
            raise WireError("a line that says nothing")
        result = parts.take(line.result)
        if number not in self._lasting:
            del self._open[number]
        return Answered(number, result)


def _problem(error: _Error) -> Problem:
    return Problem(error.message, error.remedy, str(error.code))
