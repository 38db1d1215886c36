"""Hands a started agent its order and waits for its one answer.

    order    {"secret": hex, "door": {"kind", …}, "engine_sockets": [path…], "ebpf": bool}
    answer   {"ready": true, "door": {"kind", …}}
             {"ready": false, "error": words, "code": word of `link.outcome`}

Each is one JSON line, on the agent's standard input and output; standard error is its log. What a
log-in prints before the answer is skipped. The end of its standard input ends the agent. The secret
is on standard input and nowhere else. With a door on standard input and output, what follows the
two lines are streams: not a byte of it is taken here. Counterparts: `doors.py` has the words of
doors, `vmagent/__main__.py` answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Final, TypeVar

import msgspec

from desktop.errors import MachineUnreachableError
from desktop.machines.advice import advice_for
from desktop.machines.doors import DoorOrder, OpenDoor, TcpDoor, UnixDoor
from desktop.machines.found.model import text_of
from desktop.machines.process import Process
from desktop.tasks import uninterrupted
from link.outcome import Outcome

__all__ = ["READY_SECONDS", "AgentStartError", "Order", "launch", "parse_answer", "read_line"]

READY_SECONDS: Final = 10.0
"""How long an agent on this computer may take to answer."""
OWN_END_SECONDS: Final = 2.0
"""How long one that gives no answer may take to end by itself, which tells its exit status."""
BANNER_LIMIT: Final = 1 << 16
"""Bytes that may come before the answer, and of the answer itself."""
KILLED_IN_SHELL: Final = 128 + 9
"""Exit status of sh(1) for a program that was killed (POSIX 2.8.2)."""
SHOWN_BYTES: Final = 4096
"""Most of what a failed agent printed that is shown."""

_AnyDoor = TypeVar("_AnyDoor", bound=OpenDoor)


class Order(msgspec.Struct, frozen=True):
    """What the agent is told; `secret` is hexadecimal."""

    secret: str
    door: DoorOrder
    engine_sockets: list[str]
    ebpf: bool = True

    def __repr__(self) -> str:
        """Without the secret, wherever it may be shown."""
        return f"Order(door={self.door!r}, engine_sockets={self.engine_sockets!r})"


class _Answer(msgspec.Struct, frozen=True):
    ready: bool
    door: OpenDoor | None = None
    error: str = ""
    code: str = ""


class AgentStartError(MachineUnreachableError):
    """There is no agent; `outcome` says why if it is one of the usual reasons."""

    def __init__(self, message: str, remedy: str = "", outcome: Outcome | None = None) -> None:
        super().__init__(message, remedy or advice_for(outcome))
        self.outcome = outcome
        self.is_lasting = outcome not in (None, Outcome.KILLED)


async def launch(
    process: Process,
    order: Order,
    kind: type[_AnyDoor],
    *,
    feed: bytes = b"",
    seconds: float = READY_SECONDS,
) -> _AnyDoor:
    """Hand `feed` and then the order to the agent that `process` is, or becomes: its door.

    Raises AgentStartError with what it printed; the process has ended then, also if cancelled.
    """
    try:
        async with asyncio.timeout(seconds):
            return _door(await _ask(process, feed + msgspec.json.encode(order) + b"\n"), kind)
    except TimeoutError as error:
        process.kill()
        said = await _last_words(process)
        raise AgentStartError(f"the agent did not answer in {seconds:.0f} s: {said}") from error
    except _NoAnswerError as error:
        said = await _last_words(process, error.printed)
        outcome = _outcome(process.returncode, error.printed)
        raise AgentStartError(f"the agent did not start: {said}", outcome=outcome) from error
    except BaseException:
        await uninterrupted(_end(process))
        raise


def _outcome(status: int | None, printed: bytes) -> Outcome | None:
    if status is not None and (status < 0 or status == KILLED_IN_SHELL):
        return Outcome.KILLED
    if status == 0 and printed:
        return Outcome.BANNER_ONLY
    return Outcome.of_status(status)


class _NoAnswerError(Exception):
    """The output ended, or went on and on, without an answer."""

    def __init__(self, printed: bytes) -> None:
        super().__init__("no answer")
        self.printed = printed


async def _ask(process: Process, said: bytes) -> _Answer:
    """Write while reading, so that neither end ever waits for the other."""
    writer = asyncio.get_running_loop().create_task(_write(process.stream, said), name="order")
    try:
        return await _answer(process.stream)
    finally:
        writer.cancel()
        await asyncio.gather(writer, return_exceptions=True)


async def _write(stream: socket.socket, said: bytes) -> None:
    with contextlib.suppress(ConnectionError):  # it ended: its output says why
        await asyncio.get_running_loop().sock_sendall(stream, said)


async def _answer(stream: socket.socket) -> _Answer:
    """The first line that is one. Raises _NoAnswerError."""
    banner = b""
    while len(banner) < BANNER_LIMIT:
        line = await read_line(stream)
        if (answer := parse_answer(line)) is not None:
            return answer
        banner += line
        if not line.endswith(b"\n"):
            break
    raise _NoAnswerError(banner)


def parse_answer(line: bytes) -> _Answer | None:
    """The agent's answer that a line is; None for a line that is none."""
    try:
        return msgspec.json.decode(line, type=_Answer)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None


async def read_line(stream: socket.socket) -> bytes:
    """Up to and with the next line feed, and no byte more; less at the end of the stream."""
    taken = bytearray()
    while len(taken) < BANNER_LIMIT:
        await _readable(stream)
        try:
            seen = stream.recv(BANNER_LIMIT, socket.MSG_PEEK)
            end = seen.find(b"\n") + 1
            taken += stream.recv(end or len(seen)) if seen else b""
        except BlockingIOError:
            continue
        except ConnectionError:
            seen, end = b"", 0
        if end or not seen:
            break
    return bytes(taken)


async def _readable(stream: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(stream.fileno(), readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(stream.fileno())


def _door(answer: _Answer, kind: type[_AnyDoor]) -> _AnyDoor:
    """The door it has opened. Raises AgentStartError."""
    if not answer.ready:
        outcome = Outcome.of_word(answer.code)
        raise AgentStartError(f"the agent cannot work: {answer.error}", outcome=outcome)
    if not isinstance(answer.door, kind) or not _is_usable(answer.door):
        raise AgentStartError(f"the agent opened another door than it was told: {answer.door}")
    return answer.door


def _is_usable(door: OpenDoor) -> bool:
    if isinstance(door, TcpDoor):
        return bool(door.ports) and all(0 < port < 1 << 16 for port in door.ports)
    return not isinstance(door, UnixDoor) or door.path.startswith("/")


async def _last_words(process: Process, printed: bytes = b"") -> str:
    """See it end, by itself if it can; all it printed, for a person."""
    process.end_input()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(OWN_END_SECONDS):
            await process.wait()
    await uninterrupted(_end(process))
    errors = await process.errors.read(SHOWN_BYTES)
    said = text_of(printed) + text_of(errors)  # each as it comes: wsl.exe and Linux differ
    return said[-SHOWN_BYTES:].strip() or "it said nothing"


async def _end(process: Process) -> None:
    process.kill()
    await process.wait()
