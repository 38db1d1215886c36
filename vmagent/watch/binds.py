"""Tier 1 of detection, kept alive: the eBPF events of `vmagent.bpf`, or why there are none.

Rules: chosen by trying, at `start` and again every RETRY_SECONDS; what somebody detached is made
anew, and counted. Never raises: the watcher does without as well, only later. After MOST_AT_ONCE
looks in a row the descriptor is left alone for PAUSE_SECONDS after each, so that a storm of binds
costs a bounded part of a core: what comes meanwhile is read at one go.

Counterparts: `vmagent.bpf.events` has the events, `watcher.py` is kicked.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from typing import Final

from link.maturity import Seen
from vmagent.bpf.events import GONE, BindEvents

__all__ = ["HEALTH_SECONDS", "PAUSE_SECONDS", "RETRY_SECONDS", "Binds"]

RETRY_SECONDS: Final = 30.0
"""Between two tries to have events where there are none."""

HEALTH_SECONDS: Final = 5.0
"""Between two looks whether the programs are still attached; one takes 20 µs."""

PAUSE_SECONDS: Final = 0.001

MOST_AT_ONCE: Final = 8
"""Looks in a row without a pause, after a quiet time: news of a port is then ahead of what its
server says, also where several are opened one after the other."""

_log = logging.getLogger(__name__)


class Binds:
    """Bind events, while they can be had.

    Args:
        on_begin: told the cookies of UDP sockets that were bound to a port their caller named,
            none for TCP; something began to listen, or events were lost.
        on_end: told the cookies of sockets that ceased to listen.
        find_cgroup: asked, at each try, below which cgroup of version 2 all containers are; None
            for the root of what this process sees.

    Attributes:
        reason: why there are no events; "" while there are.
        healed: how often programs that were detached were attached anew.
        lost: events that found no room.
    """

    def __init__(
        self,
        on_begin: Callable[[list[int]], None],
        on_end: Callable[[set[int]], None],
        find_cgroup: Callable[[], str | None],
    ) -> None:
        self._on_begin = on_begin
        self._on_end = on_end
        self._find_cgroup = find_cgroup
        self._loop: asyncio.AbstractEventLoop | None = None
        self._events: BindEvents | None = None
        self._pause: asyncio.TimerHandle | None = None
        self._paid_until = 0.0
        self._next_look = 0.0
        self.reason = ""
        self.healed = 0
        self.lost = 0

    @property
    def is_on(self) -> bool:
        """True while events come."""
        return self._events is not None

    @property
    def description(self) -> str:
        """What is at work, or why nothing is, in words for a person."""
        if self._events is not None:
            return self._events.variant
        return f"no eBPF: {self.reason}" if self.reason else ""

    @property
    def mishaps(self) -> str:
        """What went wrong since the start, each with its count, for a person; "" for nothing."""
        words = []
        if self.healed:
            times = "once" if self.healed == 1 else f"{self.healed} times"
            words.append(f"detached {'and healed ' if self.is_on else ''}{times}")
        if self.lost:
            words.append(f"{self.lost} event{'s' if self.lost > 1 else ''} lost and made up for")
        return ", ".join(words)

    def start(self) -> None:
        """Attach, and begin to be woken, in the running loop. What listens already is not told."""
        self._loop = asyncio.get_running_loop()
        self._next_look = time.monotonic() + HEALTH_SECONDS
        self._try()
        self._watch()

    def stop(self) -> None:
        """Detach and free. May be called twice."""
        self._let_go()
        self._loop = None

    def heal(self, now: float) -> bool:
        """Look now and then whether all is well; True if events begin anew, so a scan is due."""
        if now < self._next_look or self._loop is None:
            return False
        if self._events is not None:
            if self._is_attached(self._events):
                self._next_look = now + HEALTH_SECONDS
                return False
            self.healed += 1
            _log.warning("somebody detached the eBPF programs; they are attached anew")
            self._let_go()
        self._try()
        self._next_look = now + (HEALTH_SECONDS if self.is_on else RETRY_SECONDS)
        self._watch()
        return self.is_on

    def follow(self, sockets: Iterable[Seen]) -> bool:
        """Have the end of these told, too, which a dump has found. False if it may not be."""
        try:
            return self._events is not None and self._events.follow(sockets)
        except OSError as error:
            _log.warning("the end of some listeners will be seen late: %s", error)
            return False

    def _try(self) -> None:
        try:
            self._events = BindEvents(self._find_cgroup())
        except OSError as error:
            reason = error.strerror or str(error)
            if reason != self.reason:
                _log.info("no events of sockets that are bound: %s", reason)
            self.reason = reason
        else:
            self.reason = ""

    def _is_attached(self, events: BindEvents) -> bool:
        try:
            return events.attached
        except OSError as error:
            _log.warning("the eBPF programs cannot be looked at: %s", error)
            return False

    def _watch(self) -> None:
        self._pause = None
        if self._loop is not None and self._events is not None:
            self._loop.add_reader(self._events.fileno(), self._read)

    def _let_go(self) -> None:
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
        if self._events is not None:
            if self._loop is not None:
                self._loop.remove_reader(self._events.fileno())
            self._events.close()
            self._events = None

    def _read(self) -> None:
        if self._events is None or self._loop is None:
            return
        drained = self._events.drain()
        self._pause_if_many(self._loop, self._events)
        self.lost += drained.lost
        began = {each.cookie: each.protocol for each in drained.events if each.kind != GONE}
        ended = {each.cookie for each in drained.events} - began.keys()
        if ended:
            self._on_end(ended)
        if began or drained.lost:
            self._on_begin([cookie for cookie, protocol in began.items() if protocol == "udp"])

    def _pause_if_many(self, loop: asyncio.AbstractEventLoop, events: BindEvents) -> None:
        """Each look takes PAUSE_SECONDS of time, of which a quiet while saves up some."""
        now = loop.time()
        self._paid_until = max(self._paid_until, now - MOST_AT_ONCE * PAUSE_SECONDS) + PAUSE_SECONDS
        if self._paid_until > now:
            loop.remove_reader(events.fileno())
            self._pause = loop.call_at(self._paid_until, self._watch)
