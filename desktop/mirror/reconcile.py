"""Wishes against what is open: says what to open and close, and what became of each wish.

    rules.plan ── wish() ──▶ Reconciler ── actions() ──▶ the openers (host_mirrors, stubs)
                                 ▲                              │
                                 └── opened failed closed lost ─┘

Rules: pure; every method that needs the time is given `now` (seconds, one monotonic clock). An
action is given once and then waited for. A mirror is not opened while one of ours that it would
meet (the same place, or a wildcard over it) is open or about to be or to go. Answers that fit
nothing asked are ignored, so duplicates are harmless. After each call that changes something,
call `actions` until it gives none, and again at `next_deadline`.

Limits: wishes to open that overlap wait for one another for ever; `rules.plan` makes none.
Counterparts: `rules.py`, `ledger.py` (rows, changes, notices).
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from desktop.mirror.crowd import Crowd
from desktop.mirror.ledger import Changes, Ledger
from desktop.mirror.model import Binding, Failure, Origin, Row, State, Wish

__all__ = [
    "CONFLICT_RETRY_SECONDS",
    "DENIED_RETRY_SECONDS",
    "GRACE_SECONDS",
    "Action",
    "Close",
    "Open",
    "Reconciler",
]

GRACE_SECONDS: Final = 5.0
"""How long mirrors stay bound without a link (DESIGN 5)."""

CONFLICT_RETRY_SECONDS: Final = (0.25, 1.0)
"""First and longest wait before a port in use is tried again; the wait doubles."""

DENIED_RETRY_SECONDS: Final = (1.0, 30.0)
"""First and longest wait after a refusal, which only a person's doing heals."""

LINK_DOWN: Final = "the link to the machine is down"


@dataclass(frozen=True, slots=True)
class Open:
    """Open a mirror for this wish. Answer with `opened` or `failed`."""

    wish: Wish


@dataclass(frozen=True, slots=True)
class Close:
    """Close this mirror, its flows aside. Answer with `closed`."""

    binding: Binding


Action = Open | Close


class _Phase(Enum):
    """What the opener does with a binding, as far as has been answered."""

    CLOSED = auto()
    OPENING = auto()
    OPEN = auto()
    CLOSING = auto()


class _Mirror:
    """One binding: what is wished, and what is."""

    __slots__ = ("delay", "due", "failure", "phase", "wish")

    def __init__(self) -> None:
        self.wish: Wish | None = None
        self.phase = _Phase.CLOSED
        self.failure: Failure | None = None
        self.delay = 0.0
        self.due = 0.0

    @property
    def is_wanted(self) -> bool:
        return self.wish is not None and self.wish.state is State.PENDING

    def fail(self, failure: Failure, now: float) -> None:
        """Note a failure and when to try again."""
        conflict = failure.state is State.CONFLICT
        first, longest = CONFLICT_RETRY_SECONDS if conflict else DENIED_RETRY_SECONDS
        again = self.failure is not None and self.failure.state is failure.state
        self.delay = min(self.delay * 2, longest) if again else first
        self.due = now + self.delay
        self.failure = failure

    def forgive(self) -> None:
        """Forget a failure: the next try is the first."""
        self.failure = None
        self.delay = self.due = 0.0


class Reconciler:
    """Desired mirrors against actual ones. Starts with the link up and nothing wished."""

    def __init__(self) -> None:
        self._mirrors: dict[Binding, _Mirror] = {}
        self._ledger = Ledger()
        self._agenda: dict[Binding, None] = {}
        self._retries: list[tuple[float, Binding]] = []
        self._crowd = Crowd()
        self._latest = 0.0
        self._is_linked = True
        self._grace_ends: float | None = None
        self._is_expired = False

    def wish(self, wishes: Iterable[Wish], now: float) -> None:
        """Replace all that is wished. Of wishes with one binding the first counts."""
        self._latest = now
        wanted: dict[Binding, Wish] = {}
        for wish in wishes:
            wanted.setdefault(wish.binding, wish)
        for binding in [b for b, m in self._mirrors.items() if m.wish and b not in wanted]:
            self._set_wish(binding, self._mirrors[binding], None, now)
        for binding, wish in wanted.items():
            mirror = self._mirrors.get(binding)
            if mirror is None:
                mirror = self._mirrors[binding] = _Mirror()
            if mirror.wish != wish:
                self._set_wish(binding, mirror, wish, now)
        self._ledger.forget_disputes(now)

    def clear(self, now: float) -> None:
        """Wish nothing: every mirror closes."""
        self.wish((), now)

    def actions(self, now: float) -> list[Action]:
        """What to do now, closes first. Nothing is given again before it was answered."""
        self._latest = now
        self._expire(now)
        self._take_due(now)
        agenda, self._agenda = self._agenda, {}
        closes: list[Action] = []
        opens: list[Action] = []
        for binding in agenda:
            mirror = self._mirrors.get(binding)
            if mirror is None:
                continue
            if self._should_close(mirror):
                mirror.phase = _Phase.CLOSING
                closes.append(Close(binding))
            elif mirror.wish and self._may_open(mirror, now) and self._crowd.enter(binding):
                mirror.phase = _Phase.OPENING
                opens.append(Open(mirror.wish))
        return closes + opens

    def next_deadline(self) -> float | None:
        """When `actions` may next have something to give; None if only events will tell."""
        if self._agenda:
            return self._latest
        times = [self._grace_ends] if self._grace_ends is not None else []
        if self._is_linked:
            while self._retries and not self._is_current(*self._retries[0]):
                heapq.heappop(self._retries)
            times += [due for due, _binding in self._retries[:1]]
        return min(times, default=None)

    def opened(self, binding: Binding, now: float) -> None:
        """An Open succeeded."""
        mirror = self._mirrors.get(binding)
        if mirror is None or mirror.phase is not _Phase.OPENING:
            return
        mirror.phase = _Phase.OPEN
        mirror.forgive()
        self._look_at(binding, mirror, now)

    def failed(self, binding: Binding, failure: Failure, now: float) -> None:
        """An Open failed; it is tried again after a while."""
        mirror = self._mirrors.get(binding)
        if mirror is not None and mirror.phase is _Phase.OPENING:
            self._fell(binding, mirror, failure, now)

    def lost(self, binding: Binding, failure: Failure, now: float) -> None:
        """An open mirror went away by itself; it is opened again after a while."""
        mirror = self._mirrors.get(binding)
        if mirror is not None and mirror.phase is _Phase.OPEN:
            self._fell(binding, mirror, failure, now)

    def closed(self, binding: Binding, now: float) -> None:
        """A Close is done."""
        mirror = self._mirrors.get(binding)
        if mirror is not None and mirror.phase is _Phase.CLOSING:
            self._gone(binding, mirror)
            self._look_at(binding, mirror, now)

    def retry_conflicts(self, now: float) -> None:
        """Some listener has gone: every port that was in use may be free, so all are due."""
        self._latest = now
        for binding in self._ledger.conflicts:
            mirror = self._mirrors[binding]
            if mirror.is_wanted:
                mirror.due = now
                self._agenda[binding] = None

    def pause(self, now: float) -> None:
        """The link is lost. Mirrors here stay bound for GRACE_SECONDS, those there are gone."""
        if not self._is_linked:
            return
        self._is_linked = False
        self._grace_ends = now + GRACE_SECONDS
        for binding, mirror in list(self._mirrors.items()):
            if binding.origin is Origin.HOST and mirror.phase is not _Phase.CLOSED:
                self._gone(binding, mirror)
            self._look_at(binding, mirror, now)

    def resume(self, now: float) -> None:
        """The link is back and the wishes are again the truth: call it with a fresh `wish`."""
        if self._is_linked:
            return
        self._is_linked = True
        self._is_expired = False
        self._grace_ends = None
        for binding, mirror in list(self._mirrors.items()):
            mirror.due = now
            self._look_at(binding, mirror, now)

    def rows(self) -> list[Row]:
        """All rows, sorted by origin, protocol, port and address."""
        return self._ledger.rows()

    def row(self, binding: Binding) -> Row | None:
        """The row of a binding, if it is wished."""
        return self._ledger.row(binding)

    def wish_for(self, binding: Binding) -> Wish | None:
        """What a flow that came in at `binding` is for; None if nothing is mirrored there now."""
        mirror = self._mirrors.get(binding)
        return mirror.wish if mirror is not None and mirror.is_wanted else None

    def take_changes(self) -> Changes:
        """What differs from the time of the last call; the first call gives all rows."""
        return self._ledger.take_changes()

    def notices(self) -> list[Row]:
        """Conflicts to tell a person about, each once (see `ledger.py`)."""
        return self._ledger.take_notices()

    def _set_wish(self, binding: Binding, mirror: _Mirror, wish: Wish | None, now: float) -> None:
        was_wanted = mirror.is_wanted
        mirror.wish = wish
        if not (was_wanted and mirror.is_wanted):
            mirror.forgive()
        self._look_at(binding, mirror, now)

    def _gone(self, binding: Binding, mirror: _Mirror) -> None:
        mirror.phase = _Phase.CLOSED
        for other in self._crowd.leave(binding):
            self._agenda[other] = None

    def _fell(self, binding: Binding, mirror: _Mirror, failure: Failure, now: float) -> None:
        self._gone(binding, mirror)
        if mirror.is_wanted:
            mirror.fail(failure, now)
            heapq.heappush(self._retries, (mirror.due, binding))
        self._look_at(binding, mirror, now)

    def _look_at(self, binding: Binding, mirror: _Mirror, now: float) -> None:
        """Show what became of a mirror, and see to it at the next `actions`."""
        self._latest = now
        if mirror.wish is None:
            self._ledger.remove(binding, now)
            if mirror.phase is _Phase.CLOSED:
                self._crowd.forget(binding)
                del self._mirrors[binding]
                return
        else:
            self._ledger.show(mirror.wish, *self._outcome(mirror, mirror.wish), now)
        if self._should_close(mirror) or self._may_open(mirror, now):
            self._agenda[binding] = None

    def _outcome(self, mirror: _Mirror, wish: Wish) -> tuple[State, str]:
        if wish.state is not State.PENDING:
            return wish.state, wish.reason
        if mirror.failure is not None:
            return mirror.failure.state, mirror.failure.reason
        if not self._is_linked:
            return State.PAUSED, LINK_DOWN
        return (State.ACTIVE if mirror.phase is _Phase.OPEN else State.PENDING), ""

    def _should_close(self, mirror: _Mirror) -> bool:
        may_stand = mirror.is_wanted and not self._is_expired
        return mirror.phase is _Phase.OPEN and not may_stand

    def _may_open(self, mirror: _Mirror, now: float) -> bool:
        is_ready = mirror.phase is _Phase.CLOSED and mirror.due <= now
        return is_ready and mirror.is_wanted and self._is_linked

    def _expire(self, now: float) -> None:
        """After the grace without a link, no mirror may stand."""
        if self._grace_ends is None or now < self._grace_ends:
            return
        self._grace_ends = None
        self._is_expired = True
        self._agenda.update(dict.fromkeys(self._mirrors))

    def _take_due(self, now: float) -> None:
        while self._retries and self._retries[0][0] <= now:
            due, binding = heapq.heappop(self._retries)
            if self._is_current(due, binding):
                self._agenda[binding] = None

    def _is_current(self, due: float, binding: Binding) -> bool:
        mirror = self._mirrors.get(binding)
        return mirror is not None and mirror.phase is _Phase.CLOSED and mirror.due == due
