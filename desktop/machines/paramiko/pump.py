"""Moves bytes between the channels of one SSH connection and sockets, in one thread for all.

    near ═ socket pair ═ far ◀── pump's thread ──▶ paramiko.Channel ◀─ paramiko's thread ─▶ machine

Rules: the thread waits for sockets only, and is kicked by paramiko's when a channel has something
to read, has room to write, or has ended; a kick says nothing but "look", and what there is to do is
seen anew each time. Nothing waits for one channel: it is written to only while its window has room,
and read only while its socket takes what was read before, so that a window stays closed, at the
machine too, behind whoever does not read. End-of-file is carried both ways, and ends one way only;
a closed channel ends both. A lost connection closes all. Whatever is said on a channel is said by
this thread, its close last (`_Close`).

Limits: a reset is not carried: SSH knows none (RFC 4254, 5.3). The connection itself is one stream:
while the machine takes nothing of it, no channel's bytes leave.

Counterparts: `shell.py`, `process.py`, `desktop/transports/paramiko.py`.
"""

from __future__ import annotations

import contextlib
import errno
import selectors
import socket
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Final, cast

import paramiko

__all__ = ["CONNECTION_ENDED", "Cable", "Pump"]

UP_BYTES: Final = 1 << 16
"""Taken from a socket at once: two of SSH's packets."""
DOWN_BYTES: Final = 1 << 18
"""Taken from a channel at once."""
TURNS: Final = 8
"""Reads of one channel, and of its socket, before others have their turn."""

CONNECTION_ENDED: Final = (OSError, EOFError, paramiko.SSHException)
"""What paramiko raises when a channel or its connection ends under a call."""


class Pump:
    """The thread of one connection, which runs from the first channel on until `close`."""

    def __init__(self, name: str) -> None:
        self._selector = selectors.DefaultSelector()
        self._wake, self._woken = socket.socketpair()
        for end in (self._wake, self._woken):
            end.setblocking(False)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._due: deque[Cable] = deque()
        self._is_awake = False
        self._is_closing = False
        self._cables: set[Cable] = set()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def carry(
        self,
        channel: paramiko.Channel,
        *,
        errors: socket.socket | None = None,
        on_end: Callable[[], None] | None = None,
    ) -> socket.socket:
        """A non-blocking socket that is one with `channel` from now on. Raises OSError.

        `errors` is given what comes on its standard error, and is owned by the pump then. `on_end`
        is called, in some thread, when the channel has ended; without it both ends of data end
        the channel.
        """
        if self._is_closing:
            raise OSError(errno.ENOTCONN, "the connection has ended")
        near, far = socket.socketpair()
        for end in (near, far):
            end.setblocking(False)
        cable = Cable(self, channel, far, errors, on_end)
        self._cables.add(cable)
        self.kick(cable)
        return near

    def kick(self, cable: Cable) -> None:
        """Have a look at `cable` soon. Called from any thread, also while it holds locks."""
        self._mark(cable)
        if not self._is_awake:
            self._is_awake = True
            self._ring()

    def close(self) -> None:
        """End the thread and wait for it; what it carried is closed. May be called twice.

        Blocks for as long as paramiko does: close the connection first.
        """
        self._is_closing = True
        self._ring()
        self._thread.join()

    def _mark(self, cable: Cable) -> None:
        if not cable.is_due:
            cable.is_due = True
            self._due.append(cable)

    def _ring(self) -> None:
        # Full means that it is rung already; closed, that the thread has ended.
        with contextlib.suppress(OSError):
            self._wake.send(b"!")

    def _run(self) -> None:
        try:
            while not self._is_closing:
                self._wait()
                for _ in range(len(self._due)):
                    cable = self._due.popleft()
                    cable.is_due = False
                    self._look(cable)
        finally:
            for cable in list(self._cables):
                cable.close()
            self._selector.close()
            self._wake.close()
            self._woken.close()

    def _wait(self) -> None:
        for key, _ in self._selector.select(0 if self._due else None):
            if key.fileobj is self._woken:
                with contextlib.suppress(BlockingIOError):
                    self._woken.recv(UP_BYTES)
                self._is_awake = False
            else:
                self._mark(key.data)

    def _look(self, cable: Cable) -> None:
        if cable not in self._cables:
            return
        cable.look()
        for sock, interest in cable.interests():
            self._watch(sock, interest, cable)
        if cable.is_over:
            self._cables.discard(cable)
            cable.close()

    def _watch(self, sock: socket.socket, interest: int, cable: Cable) -> None:
        known = self._selector.get_map().get(sock)
        if known is None:
            if interest:
                self._selector.register(sock, interest, cable)
        elif not interest:
            self._selector.unregister(sock)
        elif known.events != interest:
            self._selector.modify(sock, interest, cable)


class Cable:
    """One channel and its socket, as the pump's thread sees them."""

    def __init__(
        self,
        pump: Pump,
        channel: paramiko.Channel,
        sock: socket.socket,
        errors: socket.socket | None,
        on_end: Callable[[], None] | None,
    ) -> None:
        self.is_due = False
        self.is_over = False
        self._channel = channel
        self._socket = sock
        self._is_session = on_end is not None
        self._on_end = on_end
        self._up = _Up(sock, channel)
        self._downs = [_Down(sock, channel, channel.recv_ready, channel.recv)]
        if errors is not None:
            errors.setblocking(False)
            error_down = _Down(errors, channel, channel.recv_stderr_ready, channel.recv_stderr)
            self._downs.append(error_down)
        self._close = _Close(channel, lambda: pump.kick(self))
        channel.settimeout(0.0)
        kick = _Kick(lambda: pump.kick(self))
        channel.out_buffer_cv = _Room(channel.lock, kick)
        channel.in_buffer.set_event(kick)
        channel.in_stderr_buffer.set_event(kick)

    def look(self) -> None:
        """Move what can be moved now."""
        has_ended = self._channel.closed
        try:
            for down in self._downs:
                down.move(has_ended=has_ended or bool(self._channel.eof_received))
            if not has_ended:
                self._up.move()
        except CONNECTION_ENDED:
            has_ended = self._end()
        if self._downs[0].is_broken or (self._is_done and not self._is_session):
            has_ended = self._end()
        self._close.say()
        if has_ended:
            self._tell_end()
            self.is_over = all(down.is_done for down in self._downs)

    @property
    def _is_done(self) -> bool:
        return self._up.is_done and all(down.is_done for down in self._downs)

    def interests(self) -> list[tuple[socket.socket, int]]:
        """The sockets, and what to wait for on each."""
        interests = [
            (down.socket, selectors.EVENT_WRITE if down.is_blocked and not self.is_over else 0)
            for down in self._downs
        ]
        if self._up.is_waiting and not self.is_over and not self._channel.closed:
            interests[0] = (self._socket, interests[0][1] | selectors.EVENT_READ)
        return interests

    def close(self) -> None:
        """Close the sockets; for the channel that is the end."""
        for down in self._downs:
            down.socket.close()
        self._end()
        self._close.say()
        self._tell_end()

    def _end(self) -> bool:
        with contextlib.suppress(*CONNECTION_ENDED):
            self._channel.close()
        return True

    def _tell_end(self) -> None:
        tell, self._on_end = self._on_end, None
        if tell is not None:
            tell()


class _Down:
    """From the machine: what a channel has been sent goes into a socket."""

    def __init__(
        self,
        sock: socket.socket,
        channel: paramiko.Channel,
        is_ready: Callable[[], bool],
        receive: Callable[[int], bytes],
    ) -> None:
        self.socket = sock
        self.is_blocked = False
        self.is_done = False
        self.is_broken = False
        self._channel = channel
        self._is_ready = is_ready
        self._receive = receive
        self._rest = memoryview(b"")

    def move(self, *, has_ended: bool) -> None:
        """Move until there is nothing, or the socket is full; `has_ended`: no more will come."""
        if self.is_done:
            self._discard()
            return
        self.is_blocked = False
        try:
            for _ in range(TURNS):
                if not self._rest and not self._is_ready():
                    break
                self._rest = self._rest or memoryview(self._receive(DOWN_BYTES))
                self._rest = self._rest[self.socket.send(self._rest) :]
            else:
                self.is_blocked = True  # for others: this goes on at once
                return
            if has_ended:
                self.socket.shutdown(socket.SHUT_WR)
                self.is_done = True
        except BlockingIOError:
            self.is_blocked = True
        except OSError:  # nobody reads any more
            self.is_done = self.is_broken = True

    def _discard(self) -> None:
        """What nobody reads would fill the window that all output of a program shares."""
        while self._is_ready():
            self._receive(DOWN_BYTES)


class _Up:
    """To the machine: what is read from a socket goes into a channel."""

    def __init__(self, sock: socket.socket, channel: paramiko.Channel) -> None:
        self.is_waiting = False
        self.is_done = False
        self._socket = sock
        self._channel = channel
        self._rest = memoryview(b"")

    def move(self) -> None:
        """Move until there is nothing, or the channel's window is closed; see CONNECTION_ENDED."""
        self.is_waiting = False
        for _ in range(TURNS):
            if self.is_done or not self._has_room() or not self._read():
                return
        self.is_waiting = self._has_room()

    def _has_room(self) -> bool:
        """Send what was read before; whether more can be sent."""
        while self._rest and self._channel.send_ready():
            sent = self._channel.send(bytes(self._rest))
            if not sent:
                raise EOFError
            self._rest = self._rest[sent:]
        return not self._rest and self._channel.send_ready()

    def _read(self) -> bool:
        """Whether something was read."""
        try:
            self._rest = memoryview(self._socket.recv(UP_BYTES))
        except BlockingIOError:
            self.is_waiting = True
            return False
        except ConnectionError:  # closed with something unread
            self._rest = memoryview(b"")
        if not self._rest:
            self.is_done = True
            self._channel.shutdown_write()
        return not self.is_done


class _Close:
    """The last words on a channel: any thread may come to them, the pump's says them.

    paramiko decides under the channel's lock what is to be said, and says it afterwards: its answer
    to a close of the machine's would overtake the data, or the end of it, that the pump is about to
    send. OpenSSH's server ends the whole connection then, with all other channels: there is no such
    channel any more (RFC 4254, 5.3: whoever has sent and received a close may use its number anew).
    """

    def __init__(self, channel: paramiko.Channel, kick: Callable[[], None]) -> None:
        self._channel = cast("Any", channel)  # paramiko has no public name for what is needed here
        self._kick = kick
        self._unsaid: deque[paramiko.Message] = deque()
        self._decided = self._channel._close_internal  # noqa: SLF001
        self._channel._close_internal = self._decide  # noqa: SLF001

    def say(self) -> None:
        """Say them, if there are any; called by the pump's thread when it says nothing else."""
        while self._unsaid:
            with contextlib.suppress(*CONNECTION_ENDED):
                self._channel.transport._send_user_message(self._unsaid.popleft())  # noqa: SLF001

    def _decide(self) -> tuple[None, None]:
        """In place of paramiko's own, which its callers send; the channel's lock is held."""
        self._unsaid.extend(each for each in self._decided() if each is not None)
        self._kick()
        return None, None


class _Kick(threading.Event):
    """What paramiko sets when a channel has something, for the pump to look."""

    def __init__(self, kick: Callable[[], None]) -> None:
        super().__init__()
        self._kick = kick

    def set(self) -> None:
        """See the class."""
        self._kick()


class _Room(threading.Condition):
    """What paramiko notifies when a channel's window opens: it tells threads, not descriptors."""

    def __init__(self, lock: threading.Lock, kick: threading.Event) -> None:
        super().__init__(lock)
        self._kick = kick

    def notify_all(self) -> None:
        """See the class."""
        super().notify_all()
        self._kick.set()
