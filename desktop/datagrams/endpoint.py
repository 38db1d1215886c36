"""One UDP socket in the event loop, by asyncio-dgram, held to what `DatagramSockets` promises.

    socket ─▶ asyncio-dgram ─▶ reader task ─▶ DatagramQueue ─▶ on_datagrams, a batch per turn
    socket ◀─ send, at once

What asyncio-dgram 3.0 leaves to its user, and where it is seen to here:

- its queue is unbounded: a task reads it whenever there is something, into one that is not;
- an error (ICMP) neither wakes a reader nor ends anything, and is told to the next call: it is
  asked for a moment after each sending, and told to `on_error`;
- its `send` may wait, drops empty datagrams without a word, and tells of its failure with a later
  call: datagrams go to the kernel's socket directly, which says at once what it does not take;
- its stream closes when it is forgotten, by when the loop may be gone: it is closed before.

Rules: the socket was made and bound by the caller, who thereby learned at once what was wrong
with the address, and belongs to the endpoint from then on. `close` frees its port at once, though
an event loop closes the descriptor only in its next turn; the call-backs come no more. Tasks
belong to the `EndpointGroup`, which forgets each when it has ended.

Limits: one datagram per system call. A socket connected before its stream is made is more than
asyncio-dgram can take on uvloop: connect it in `on_start`. A loop of uvloop that ends in the very
turn in which a stream is made closes that itself, with a ResourceWarning. On Windows the proactor
loop may stop receiving after an ICMP error (CPython's gh-127057, mended in the newest releases
only), and takes no empty datagrams: `desktop/daemon/windows_loop.py` serves UDP there.

Counterparts: `portable.py` uses it; `queue.py` is the bound.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
from collections.abc import Callable, Iterator
from typing import Final

from asyncio_dgram import TransportClosed, from_socket
from asyncio_dgram.aio import DatagramStream

from desktop.datagrams.queue import MOST_DATAGRAMS, Address, Datagram, DatagramQueue
from desktop.sockets.interface import HostSockets
from link.datagrams.sockets import LARGEST_DATAGRAM

__all__ = ["STALE", "Endpoint", "EndpointGroup", "datagrams_in"]

ERROR_SECONDS: Final = (0.005, 0.1, 1.0)
"""From a sending to a look whether it met an error, and from that to the next. On loopback an error
has come by the first; where the processors have more to do, what reads it may be late."""
STALE: Final = frozenset(
    {errno.ECONNREFUSED, errno.ECONNRESET, errno.EHOSTUNREACH, errno.ENETUNREACH}
)
"""An earlier datagram's fate, told to the next call, whose own has not been sent (udp(7)). Windows
says ECONNRESET for ECONNREFUSED."""

log = logging.getLogger(__name__)


def datagrams_in(size: int, segment: int) -> int:
    """How many datagrams a payload is."""
    return -(-size // segment) if segment else 1


class EndpointGroup:
    """What the endpoints of a loop share: their tasks, and a socket that leads nowhere.

    Make it inside the running loop; `close` ends the endpoints that are left.
    """

    def __init__(self, sockets: HostSockets) -> None:
        self.loop = asyncio.get_running_loop()
        self.sockets = sockets
        self.endpoints: set[Endpoint] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        self._nowhere: socket.socket | None = None
        if os.name == "posix":
            self._nowhere = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)

    def vacate(self, sock: socket.socket) -> None:
        """Free the port of a socket whose descriptor the event loop will close later.

        The descriptor must keep its number until then, so it is made to lead elsewhere (dup2(2)).
        """
        if self._nowhere is None:
            sock.close()
        elif sock.fileno() >= 0:
            os.dup2(self._nowhere.fileno(), sock.fileno(), inheritable=False)

    def close(self) -> None:
        """May be called twice."""
        for endpoint in list(self.endpoints):
            endpoint.close()
        if self._nowhere is not None:
            self._nowhere.close()


class Endpoint:
    """See the module. `on_start` is called once, when datagrams begin to be received.

    Attributes:
        inode: the socket's, where there are such things.
    """

    def __init__(
        self,
        group: EndpointGroup,
        sock: socket.socket,
        name: str,
        *,
        on_datagrams: Callable[[list[Datagram]], None],
        on_error: Callable[[OSError], None],
        on_start: Callable[[], None] = lambda: None,
    ) -> None:
        self._group = group
        self._loop = group.loop
        self._sock = sock
        self._name = name
        self._on_datagrams = on_datagrams
        self._on_error = on_error
        self._on_start = on_start
        self._queue = DatagramQueue()
        self._stream: DatagramStream | None = None
        self._is_with_loop = False
        self._is_closed = False
        self._delivery: asyncio.Handle | None = None
        self._error_look: asyncio.TimerHandle | None = None
        self._error_looks = 0  # since something was sent
        self.inode = os.fstat(sock.fileno()).st_ino if os.name == "posix" else None
        self._task = self._loop.create_task(self._serve(), name=f"UDP endpoint {name}")
        group.endpoints.add(self)
        group.tasks.add(self._task)
        self._task.add_done_callback(self._ended)

    @property
    def dropped(self) -> int:
        """Datagrams received so far that nobody took in time."""
        return self._queue.dropped

    @property
    def is_started(self) -> bool:
        """True from `on_start` on."""
        return self._stream is not None

    def send(self, payload: memoryview, segment: int, address: Address | None = None) -> int:
        """Send datagrams, to `address` unless the socket is connected; the number not sent."""
        if self._is_closed:
            return datagrams_in(len(payload), segment)
        unsent = sum(not self._attempt(piece, address) for piece in _cut(payload, segment))
        if self._error_look is None or self._error_looks:
            self._look_later(0)
        return unsent

    def drain(self) -> None:
        """Hand on, now, what has arrived, wherever it is."""
        if self._stream is not None:
            self._read_ahead(self._stream)
        if not self._is_closed:
            self._read_socket()
        self._deliver()

    def close(self) -> None:
        """Free the port. No call-back comes any more. May be called twice."""
        if self._is_closed:
            return
        self._is_closed = True
        self._group.endpoints.discard(self)
        for handle in (self._delivery, self._error_look):
            if handle is not None:
                handle.cancel()
        self._queue.clear()
        if not self._is_with_loop:
            self._sock.close()
            self._task.cancel()
            return
        # A stream that is being made is not cancelled, for on uvloop its transport would stay
        # open: the task closes it.
        if self._stream is not None:
            self._stream.close()
        self._group.vacate(self._sock)

    # ---- in

    async def _serve(self) -> None:
        self._is_with_loop = True
        try:
            stream = await from_socket(self._sock)
        except OSError:
            self._sock.close()
            raise
        if self._is_closed:
            stream.close()
            return
        self._stream = stream
        self._group.sockets.unshare(self._sock)
        self._on_start()
        await self._receive(stream)

    async def _receive(self, stream: DatagramStream) -> None:
        """Until the stream is closed, which raises TransportClosed."""
        while True:
            try:
                payload, sender = await stream.recv()
            except OSError as error:
                self._failed(error)
            else:
                self._put(payload, sender)

    def _put(self, payload: bytes, sender: object) -> None:
        if self._is_closed:
            return
        # Both loops give the address as a tuple; the types of asyncio-dgram allow more.
        self._queue.put(Datagram(payload, sender))  # type: ignore[arg-type]
        if self._delivery is None:
            self._delivery = self._loop.call_soon(self._deliver)

    def _deliver(self) -> None:
        if self._delivery is not None:
            self._delivery.cancel()
            self._delivery = None
        if len(self._queue):
            self._on_datagrams(self._queue.take_all())

    def _read_ahead(self, stream: DatagramStream) -> None:
        """Take what asyncio-dgram has received and its reader was not woken for yet."""
        while not self._is_closed:
            reading = stream.recv()
            try:
                reading.send(None)
            except StopIteration as done:
                self._put(*done.value)
            except OSError as error:
                self._failed(error)
            except TransportClosed:
                return
            else:
                reading.close()  # it would wait
                return

    def _read_socket(self) -> None:
        """Take what the kernel has."""
        for _ in range(MOST_DATAGRAMS):
            try:
                payload, sender = self._sock.recvfrom(LARGEST_DATAGRAM)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                self._failed(error)
                if error.errno not in STALE or self._is_closed:
                    return
            else:
                self._put(payload, sender)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """The task has ended: as it should when closed, or cancelled with the whole loop."""
        self._group.tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not self._is_closed:
            log.error("UDP %s broke, by a fault of ours or the loop's", self._name, exc_info=error)
        self.close()

    # ---- out

    def _attempt(self, payload: memoryview, address: Address | None) -> bool:
        """Send one datagram, once more if the call only told of an earlier one's fate."""
        for _ in range(2):
            try:
                if address is None:
                    self._sock.send(payload)
                else:
                    self._sock.sendto(payload, address)
            except OSError as error:
                if error.errno not in STALE:
                    return False
                self._failed(error)
                if self._is_closed:
                    return False
            else:
                return True
        return False

    def _look_later(self, looks: int) -> None:
        """Look for errors in time; there were so many looks since something was sent."""
        if self._error_look is not None:
            self._error_look.cancel()
            self._error_look = None
        if not self._is_closed and looks < len(ERROR_SECONDS):
            self._error_looks = looks
            self._error_look = self._loop.call_later(ERROR_SECONDS[looks], self._look_for_errors)

    def _look_for_errors(self) -> None:
        self._look_later(self._error_looks + 1)
        while self._stream is not None and not self._is_closed:
            try:
                _ = self._stream.exception
            except OSError as error:
                self._failed(error)
            else:
                return

    def _failed(self, error: OSError) -> None:
        if not self._is_closed:
            self._on_error(error)


def _cut(payload: memoryview, segment: int) -> Iterator[memoryview]:
    """The datagrams that a payload is."""
    if len(payload) <= segment or not segment:
        yield payload
        return
    for start in range(0, len(payload), segment):
        yield payload[start : start + segment]
