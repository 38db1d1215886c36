"""The control session without I/O: framing, heartbeats and the lease, on either end.

    now ─┐
    bytes┴─▶ receive() ─▶ messages            send(message) ─▶ bytes
                          timers(now) ─▶ bytes to send (a beat), `deadline()` when to ask next
                          is_expired(now) ─▶ the other end has been silent for too long

Rules: no clock and no sockets; `now` is a monotonic time in seconds. Beats received are used up
here; the caller sees every other message. The desktop beats; the agent answers each beat, so a
silent link is noticed by both ends. The agent's lease and the desktop's patience are the same
`LEASE_SECONDS`: mirrors on either side live only while the link does.

Counterpart: `control.py` gives it a socket and a clock.
"""

from __future__ import annotations

from typing import Final

from link.messages import Beat, Message, decode, encode
from link.wire import FrameReader, encode_frame

__all__ = ["BEAT_SECONDS", "LEASE_SECONDS", "ControlSession"]

BEAT_SECONDS: Final = 1.0
"""The desktop says that it lives this often."""
LEASE_SECONDS: Final = 5.0
"""Silence after which the link counts as lost: five beats."""


class ControlSession:
    """One end of a control session. `beats` is True on the desktop's end."""

    def __init__(self, *, beats: bool, now: float) -> None:
        self._reader = FrameReader()
        self._beats = beats
        self._next_beat = now + BEAT_SECONDS
        self._heard = now
        self._owed_beats = 0

    def receive(self, data: bytes, now: float) -> list[Message]:
        """What came. Raises WireError, after which the session must be ended."""
        self._heard = now
        messages = [decode(raw) for raw in self._reader.feed(data)]
        if not self._beats:
            self._owed_beats += sum(isinstance(message, Beat) for message in messages)
        return [message for message in messages if not isinstance(message, Beat)]

    def send(self, message: Message) -> bytes:
        """The bytes of a message. Raises WireError if it is too long."""
        return encode_frame(encode(message))

    def timers(self, now: float) -> bytes:
        """Bytes that are due by now: our beat, or answers to the other end's."""
        if self._beats and now >= self._next_beat:
            self._next_beat = now + BEAT_SECONDS
            return self.send(Beat())
        owed, self._owed_beats = self._owed_beats, 0
        return self.send(Beat()) if owed else b""

    def deadline(self) -> float:
        """When `timers` or `is_expired` has to be asked again at the latest."""
        lease_end = self._heard + LEASE_SECONDS
        return min(lease_end, self._next_beat) if self._beats else lease_end

    def is_expired(self, now: float) -> bool:
        """True once the other end has been silent for LEASE_SECONDS."""
        return now >= self._heard + LEASE_SECONDS
