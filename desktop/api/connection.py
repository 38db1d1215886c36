"""One client of the control API, from its hello to its end.

Rules: a client costs bounded memory: its lines, its requests at once and what waits to be
written to it are limited, and one that does not read for `slow_client_seconds` is dropped, as is
one that takes longer for a line that it has begun.
What a client sends can end its own connection only. The form of the lines: `messages.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn, TypeVar

import msgspec

from desktop.api.asking import Asker
from desktop.api.backend import Backend, Progress
from desktop.api.messages import MAX_LINE, PART_BYTES, REQUEST_SECONDS, error_to_wire, hello
from desktop.api.metrics import render
from desktop.api.types import PortDelta
from desktop.errors import SamehostError, UsageError, VersionMismatchError
from link.version import PROTOCOL, VERSION

__all__ = ["Connection", "Limits"]

LONGEST_PROGRESS: Final = 1000
"""Characters of a progress line."""

MOST_UNREAD_PROGRESS: Final = 1 << 18
"""Bytes waiting to be written, beyond which progress is not worth telling."""

HANG_UP_SECONDS: Final = 2.0
"""Time for a client to read the last lines."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a client may cost. Times in seconds."""

    clients: int = 64
    requests_per_client: int = 16
    first_message_seconds: float = 5.0
    slow_client_seconds: float = 10.0
    idle_seconds: float = 5.0
    """After so long without a request a client may have to make room for another."""


class _Versions(msgspec.Struct):
    protocol: int
    version: str = ""


class _Hello(msgspec.Struct):
    hello: _Versions


class _Request(msgspec.Struct):
    id: int
    method: str = ""
    params: msgspec.Raw = msgspec.Raw(b"{}")
    answer: str | msgspec.UnsetType | None = msgspec.UNSET
    number: int = 0


class _Nothing(msgspec.Struct):
    pass


class _Rows(msgspec.Struct):
    wide: bool = False


class _Enabled(msgspec.Struct):
    enabled: bool


class _Setting(msgspec.Struct):
    key: str
    value: Any


class _MaybeMachine(msgspec.Struct):
    machine: str | None = None


class _Name(msgspec.Struct):
    name: str


_Message = TypeVar("_Message")


class _HangUpError(Exception):
    """The connection is over; nothing is wrong with us."""


Shutdown = Callable[[Progress], Awaitable[None]]
Handler = Callable[[int, Any], Awaitable[object]]
Lists = dict[str, Sequence[msgspec.Struct]]


class Connection:
    """Serves one client. `shutdown` is the server's, since it outlives the client."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        backend: Backend,
        shutdown: Shutdown,
        limits: Limits,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._backend = backend
        self._shutdown = shutdown
        self._limits = limits
        self._open_requests = 0
        self._last_busy = asyncio.get_running_loop().time()
        self._askers: dict[int, Asker] = {}
        self._methods: dict[str, tuple[type, Handler]] = {
            "status": (_Nothing, self._status),
            "ports": (_Rows, self._ports),
            "metrics": (_Nothing, self._metrics),
            "subscribe": (_Rows, self._subscribe),
            "set_enabled": (_Enabled, self._set_enabled),
            "settings": (_Nothing, self._settings),
            "set_setting": (_Setting, self._set_setting),
            "check_setting": (_Setting, self._check_setting),
            "attach": (_MaybeMachine, self._attach),
            "attach_also": (_Name, self._attach_also),
            "detach": (_Name, self._detach),
            "current_machine": (_Nothing, self._current_machine),
            "conditions": (_Nothing, self._conditions),
            "self_test": (_MaybeMachine, self._self_test),
            "machines": (_Nothing, self._machines),
            "use": (_Name, self._use),
            "start": (_Name, self._start),
            "stop": (_Name, self._stop),
            "shutdown": (_Nothing, self._shut_down),
        }

    async def serve(self) -> None:
        """Serve the client until it goes; cancelled, hang up on it."""
        try:
            async with asyncio.TaskGroup() as group:
                await self._greet()
                while True:
                    request = await self._read_request()
                    if request.answer is not msgspec.UNSET:
                        self._answered(request.id, request.number, request.answer)
                        continue
                    self._open_requests += 1
                    group.create_task(self._answer(request), name=f"api {request.method}")
        except* (_HangUpError, ConnectionError):
            _log.debug("a client of the control API has gone")
        finally:
            await self._hang_up()

    @property
    def idle_seconds(self) -> float:
        """How long it has asked for nothing; 0.0 while something is being done for it."""
        if self._open_requests:
            return 0.0
        return asyncio.get_running_loop().time() - self._last_busy

    async def refuse(self, error: SamehostError) -> None:
        """Tell the client why it is not served, and hang up."""
        with contextlib.suppress(_HangUpError, ConnectionError):
            await self._send({"error": error_to_wire(error)})
        await self._hang_up()

    # The dialogue

    async def _greet(self) -> None:
        try:
            async with asyncio.timeout(self._limits.first_message_seconds):
                line = await self._read_line()
        except TimeoutError:
            await self._end(UsageError("no hello came", "send hello first"))
        theirs = (await self._decode(line, _Hello)).hello
        if theirs.protocol != PROTOCOL:
            await self._end(
                VersionMismatchError(
                    f"the daemon is version {VERSION} (protocol {PROTOCOL}), this program is"
                    f" {theirs.version or 'unknown'} (protocol {theirs.protocol})",
                    "restart the daemon: samehost down, then samehost up",
                )
            )
        await self._send(hello())

    async def _read_request(self) -> _Request:
        request = await self._decode(await self._read_line(), _Request)
        is_answer = request.answer is not msgspec.UNSET
        if not is_answer and self._open_requests >= self._limits.requests_per_client:
            most = self._limits.requests_per_client
            await self._end(UsageError(f"more than {most} requests at once", "await answers"))
        return request

    def _answered(self, request_id: int, number: int, answer: str | None) -> None:
        """The client has answered a question of ours."""
        asker = self._askers.get(request_id)
        if asker is not None:
            asker.answer(number, answer)

    async def _read_line(self) -> bytes:
        try:
            first = await self._reader.readexactly(1)
            if first == b"\n":
                return first
            async with asyncio.timeout(self._limits.slow_client_seconds):
                return first + await self._reader.readuntil(b"\n")
        except asyncio.IncompleteReadError as error:
            raise _HangUpError from error
        except TimeoutError:
            seconds = self._limits.slow_client_seconds
            await self._end(UsageError(f"a line took longer than {seconds:.0f} s", "send faster"))
        except asyncio.LimitOverrunError:
            await self._end(UsageError(f"a line is longer than {MAX_LINE} bytes", "send less"))

    async def _decode(self, line: bytes, kind: type[_Message]) -> _Message:
        try:
            return msgspec.json.decode(line, type=kind)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            await self._end(UsageError(f"a malformed line: {error}", "see desktop/api/messages.py"))

    async def _answer(self, request: _Request) -> None:
        try:
            result = await self._perform(request)
        except SamehostError as error:
            await self._send({"id": request.id, "error": error_to_wire(error)})
        else:
            await self._send({"id": request.id, "result": result})
        finally:
            self._open_requests -= 1
            self._last_busy = asyncio.get_running_loop().time()

    async def _perform(self, request: _Request) -> object:
        if request.method not in self._methods:
            raise UsageError(
                f'there is no method "{request.method}"', f"methods: {', '.join(self._methods)}"
            )
        kind, handler = self._methods[request.method]
        try:
            parameters: Any = msgspec.json.decode(request.params, type=kind)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise UsageError(
                f"wrong parameters of {request.method}: {error}", "see desktop/api/messages.py"
            ) from error
        return await handler(request.id, parameters)

    # The methods

    async def _status(self, _id: int, _: _Nothing) -> object:
        return self._backend.status()

    async def _metrics(self, _id: int, _: _Nothing) -> object:
        return render(self._backend.status())

    async def _ports(self, request_id: int, wanted: _Rows) -> object:
        revision, lists = self._table(wide=wanted.wide)
        return await self._send_lists(request_id, {"revision": revision}, lists)

    async def _subscribe(self, request_id: int, wanted: _Rows) -> object:
        async with self._backend.subscribe() as changes:
            revision, lists = self._table(wide=wanted.wide)
            result = await self._send_lists(request_id, {"revision": revision}, lists)
            await self._send({"id": request_id, "result": result})
            async for delta in changes:
                if delta.revision > revision:
                    await self._send_delta(request_id, delta, wide=wanted.wide)
        raise _HangUpError

    async def _set_enabled(self, _id: int, wanted: _Enabled) -> object:
        return await self._timed("set_enabled", self._backend.set_enabled(wanted.enabled))

    async def _settings(self, _id: int, _: _Nothing) -> object:
        return self._backend.settings()

    async def _set_setting(self, _id: int, wanted: _Setting) -> object:
        change = self._backend.set_setting(wanted.key, wanted.value)
        return await self._timed("set_setting", change)

    async def _check_setting(self, _id: int, wanted: _Setting) -> object:
        check = self._backend.check_setting(wanted.key, wanted.value)
        return await self._timed("check_setting", check)

    async def _attach(self, request_id: int, wanted: _MaybeMachine) -> object:
        progress = self._progress(request_id)
        with self._asking(request_id):
            return await self._timed("attach", self._backend.attach(wanted.machine, progress))

    async def _attach_also(self, request_id: int, wanted: _Name) -> object:
        progress = self._progress(request_id)
        with self._asking(request_id):
            change = self._backend.attach_also(wanted.name, progress)
            return await self._timed("attach_also", change)

    async def _detach(self, request_id: int, wanted: _Name) -> object:
        progress = self._progress(request_id)
        return await self._timed("detach", self._backend.detach(wanted.name, progress))

    async def _current_machine(self, _id: int, _: _Nothing) -> object:
        return await self._timed("current_machine", self._backend.current_machine())

    async def _conditions(self, _id: int, _: _Nothing) -> object:
        return await self._timed("conditions", self._backend.conditions())

    async def _self_test(self, _id: int, wanted: _MaybeMachine) -> object:
        return await self._timed("self_test", self._backend.self_test(wanted.machine))

    async def _machines(self, _id: int, _: _Nothing) -> object:
        return await self._timed("machines", self._backend.machines())

    async def _use(self, request_id: int, wanted: _Name) -> object:
        progress = self._progress(request_id)
        with self._asking(request_id):
            return await self._timed("use", self._backend.use(wanted.name, progress))

    async def _start(self, request_id: int, wanted: _Name) -> object:
        progress = self._progress(request_id)
        with self._asking(request_id):
            return await self._timed("start", self._backend.start(wanted.name, progress))

    async def _stop(self, request_id: int, wanted: _Name) -> object:
        progress = self._progress(request_id)
        return await self._timed("stop", self._backend.stop(wanted.name, progress))

    async def _shut_down(self, request_id: int, _: _Nothing) -> object:
        await self._timed("shutdown", self._shutdown(self._progress(request_id)))
        return None

    @contextlib.contextmanager
    def _asking(self, request_id: int) -> Iterator[None]:
        """Meanwhile the client can be asked for what only a person knows."""
        with Asker(request_id, self._send) as asker:
            self._askers[request_id] = asker
            try:
                yield
            finally:
                self._askers.pop(request_id, None)

    async def _timed(self, method: str, work: Awaitable[object]) -> object:
        seconds = REQUEST_SECONDS[method]
        try:
            async with asyncio.timeout(seconds):
                return await work
        except TimeoutError as error:
            raise SamehostError(
                f"{method} took longer than {seconds:.0f} seconds", "see: samehost logs"
            ) from error

    def _table(self, *, wide: bool) -> tuple[int, Lists]:
        revision, rows = self._backend.ports()
        lists: Lists = {"ports": rows}
        if wide:
            lists["containers"] = self._backend.containers()
        return revision, lists

    # Writing

    async def _send(self, message: object) -> None:
        line = _line(message)
        if len(line) > MAX_LINE:
            # Lists go in parts, so only a single item can be this long.
            await self._end(SamehostError("an answer is too long to send", "see: samehost logs"))
        await self._write(line)

    async def _write(self, line: bytes) -> None:
        self._writer.write(line)
        try:
            async with asyncio.timeout(self._limits.slow_client_seconds):
                await self._writer.drain()
        except TimeoutError as error:
            self._backend.clients.dropped += 1
            self._writer.transport.abort()
            raise _HangUpError from error

    async def _send_delta(self, request_id: int, delta: PortDelta, *, wide: bool) -> None:
        lists: Lists = {"added": delta.added, "changed": delta.changed, "removed": delta.removed}
        if wide:
            lists["containers"] = delta.containers
        event = await self._send_lists(request_id, {"revision": delta.revision}, lists)
        await self._send({"id": request_id, "event": event})

    async def _send_lists(
        self, request_id: int, head: dict[str, object], lists: Lists
    ) -> dict[str, object]:
        """Send what is too long for one line; return the message that ends the answer."""
        encoded = {name: [_encode(row) for row in rows] for name, rows in lists.items()}
        if sum(len(row) + 1 for rows in encoded.values() for row in rows) <= PART_BYTES:
            return {**head, **lists}
        for name, rows in encoded.items():
            for part in _parts(rows):
                items = msgspec.Raw(b"[" + b",".join(part) + b"]")
                await self._send({"id": request_id, "part": items, "of": name})
        return {**head, **{name: [] for name in lists}}

    def _progress(self, request_id: int) -> Progress:
        def tell(text: str) -> None:
            transport = self._writer.transport
            waiting = transport.get_write_buffer_size()
            if not transport.is_closing() and waiting <= MOST_UNREAD_PROGRESS:
                progress = text[:LONGEST_PROGRESS]
                self._writer.write(_line({"id": request_id, "progress": progress}))

        return tell

    async def _end(self, error: SamehostError) -> NoReturn:
        """Tell the client what is wrong with it, and be done with it."""
        self._backend.clients.faulty += 1
        await self._write(_line({"error": error_to_wire(error)}))
        raise _HangUpError

    async def _hang_up(self) -> None:
        self._writer.close()
        try:
            async with asyncio.timeout(HANG_UP_SECONDS):
                await self._writer.wait_closed()
        except (TimeoutError, ConnectionError):
            self._writer.transport.abort()


_encode = msgspec.json.Encoder().encode


def _line(message: object) -> bytes:
    return _encode(message) + b"\n"


def _parts(rows: list[bytes]) -> Iterator[list[bytes]]:
    part: list[bytes] = []
    size = 0
    for row in rows:
        if part and size + len(row) > PART_BYTES:
            yield part
            part, size = [], 0
        part.append(row)
        size += len(row) + 1
    if part:
        yield part
