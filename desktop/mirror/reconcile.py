"""Wishes against what is open: says what to open and close, and what became of each wish.

    rules.plan ── wish() ──▶ Reconciler ── actions() ──▶ the openers (host_mirrors, stubs)
                                 ▲                              │
                                 └── opened failed closed lost ─┘

Rules: pure; every method that needs the time is given `now` (seconds, one monotonic clock). An
action is given once and then waited for. A mirror is not opened while one of ours that it would
meet (the same place, or a wildcard over it) is open or about to be or to go. Answers that fit
nothing asked are ignored, so duplicates are harmless. After each call that changes something,
call `actions` until it gives none, and again at `next_deadline`.

Machines are wished for, paused and resumed one by one. Where two want the same place here, the
mirror that stands is never closed for the other's sake: the other is a `conflict` until that has
gone, then whoever waited longest comes, and of those that come at once the one wished first.

Limits: wishes of one machine to open that overlap wait for one another for ever; `rules.plan`
makes none.
Counterparts: `rules.py`, `ledger.py` (rows, changes, notices).
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from desktop.mirror.conflicts import describe_rival
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

DENIED_RETRY_SECONDS: Final = (1.0, 5.0)
"""First and longest wait after a refusal, which only a person's doing heals: whoever has done it
looks at once whether it was right."""

LINK_DOWN: Final = "the link to the machine is down"


@dataclass(frozen=True, slots=True)
class Open:
    """Open a mirror for this wish. Answer with `opened` or `failed`."""

    wish: Wish

    @property
    def binding(self) -> Binding:
        """Where."""
        return self.wish.binding


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


@dataclass(slots=True)
class _Link:
    """Whether a machine can be reached, and if not, how long its mirrors may stand."""

    is_up: bool = True
    grace_ends: float | None = None
    is_expired: bool = False


class _Mirror:
    """One binding: what is wished, and what is."""

    __slots__ = ("delay", "due", "failure", "link", "note", "phase", "wish")

    def __init__(self, link: _Link) -> None:
        self.link = link
        self.wish: Wish | None = None
        self.phase = _Phase.CLOSED
        self.failure: Failure | None = None
        self.note = ""
        self.delay = 0.0
        self.due = 0.0

    @property
    def is_wanted(self) -> bool:
        return self.wish is not None and self.wish.state is State.PENDING

    @property
    def should_close(self) -> bool:
        may_stand = self.is_wanted and not self.link.is_expired
        return self.phase is _Phase.OPEN and not may_stand

    def may_open(self, now: float) -> bool:
        """True if it should be open and is not, unless another one is in the way."""
        is_ready = self.phase is _Phase.CLOSED and self.due <= now
        return is_ready and self.is_wanted and self.link.is_up

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
    """Desired mirrors against actual ones. Starts with all links up and nothing wished."""

    def __init__(self) -> None:
        self._mirrors: dict[Binding, _Mirror] = {}
        self._ledger = Ledger()
        self._agenda: dict[Binding, None] = {}
        self._retries: list[tuple[float, Binding]] = []
        self._crowd = Crowd()
        self._latest = 0.0
        self._links: defaultdict[str, _Link] = defaultdict(_Link)

    def wish(self, machine: str, wishes: Iterable[Wish], now: float) -> None:
        """Replace all that is wished for a machine. Of wishes with one binding the first counts."""
        self._latest = now
        wanted: dict[Binding, Wish] = {}
        for wish in wishes:
            wanted.setdefault(wish.binding, wish)
        for binding, mirror in self._mirrors_of(machine):
            if mirror.wish and binding not in wanted:
                self._set_wish(binding, mirror, None, now)
        for binding, wish in wanted.items():
            known = self._mirrors.get(binding)
            if known is None:
                known = self._mirrors[binding] = _Mirror(self._links[machine])
            if known.wish != wish:
                self._set_wish(binding, known, wish, now)
        self._ledger.forget_disputes(now)

    def actions(self, now: float) -> list[Action]:
        """What to do now, closes first. Nothing is given again before it was answered."""
        self._latest = now
        self._expire(now)
        self._take_due(now)
        agenda, self._agenda = self._agenda, {}
        closes: list[Action] = []
        opens: list[Action] = []
        for binding in self._crowd.in_order(agenda):
            mirror = self._mirrors.get(binding)
            if mirror is None:
                continue
            if mirror.should_close:
                mirror.phase = _Phase.CLOSING
                closes.append(Close(binding))
            elif mirror.wish and mirror.may_open(now):
                if self._crowd.enter(binding):
                    mirror.phase = _Phase.OPENING
                    opens.append(Open(mirror.wish))
                else:
                    self._show(mirror, mirror.wish, now)
        return closes + opens

    @property
    def is_waiting(self) -> bool:
        """True while an action that was given has not been answered."""
        under_way = (_Phase.OPENING, _Phase.CLOSING)
        return any(mirror.phase in under_way for mirror in self._mirrors.values())

    def next_deadline(self) -> float | None:
        """When `actions` may next have something to give; None if only events will tell."""
        if self._agenda:
            return self._latest
        while self._retries and not self._is_current(*self._retries[0]):
            heapq.heappop(self._retries)
        times = [due for due, _binding in self._retries[:1]]
        times += [link.grace_ends for link in self._links.values() if link.grace_ends is not None]
        return min(times, default=None)

    def opened(self, binding: Binding, now: float, note: str = "") -> None:
        """An Open succeeded; `note` is what a person should know of the mirror."""
        mirror = self._mirrors.get(binding)
        if mirror is None or mirror.phase is not _Phase.OPENING:
            return
        mirror.phase = _Phase.OPEN
        mirror.note = note
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
            self._gone(binding, mirror, now)
            self._look_at(binding, mirror, now)

    def retry_conflicts(self, now: float) -> None:
        """Some listener has gone: every port that was in use may be free, so all are due."""
        self._latest = now
        for binding in self._ledger.conflicts:
            mirror = self._mirrors[binding]
            if mirror.is_wanted and self._crowd.obstacle(binding) is None:
                mirror.due = now
                self._agenda[binding] = None

    def pause(self, machine: str, now: float) -> None:
        """A link is lost. Its mirrors here stay bound for GRACE_SECONDS, those there are gone."""
        link = self._links[machine]
        if not link.is_up:
            return
        link.is_up = False
        link.grace_ends = now + GRACE_SECONDS
        for binding, mirror in self._mirrors_of(machine):
            if binding.origin is Origin.HOST and mirror.phase is not _Phase.CLOSED:
                self._gone(binding, mirror, now)
            self._look_at(binding, mirror, now)

    def resume(self, machine: str, now: float) -> None:
        """A link is back and the wishes are again the truth: call it with a fresh `wish`."""
        link = self._links[machine]
        if link.is_up:
            return
        link.is_up = True
        link.is_expired = False
        link.grace_ends = None
        for binding, mirror in self._mirrors_of(machine):
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
            self._crowd.forget(binding)
        self._look_at(binding, mirror, now)
        for waiter in self._crowd.waiters(binding):
            self._look_at(waiter, self._mirrors[waiter], now)

    def _gone(self, binding: Binding, mirror: _Mirror, now: float) -> None:
        mirror.phase = _Phase.CLOSED
        for waiter in self._crowd.leave(binding):
            self._look_at(waiter, self._mirrors[waiter], now)

    def _fell(self, binding: Binding, mirror: _Mirror, failure: Failure, now: float) -> None:
        self._gone(binding, mirror, now)
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
            self._show(mirror, mirror.wish, now)
        is_waiting = self._crowd.obstacle(binding) is not None
        if mirror.should_close or (mirror.may_open(now) and not is_waiting):
            self._agenda[binding] = None

    def _show(self, mirror: _Mirror, wish: Wish, now: float) -> None:
        self._ledger.show(wish, *self._outcome(mirror, wish), now)

    def _outcome(self, mirror: _Mirror, wish: Wish) -> tuple[State, str]:
        if wish.state is not State.PENDING:
            return wish.state, wish.reason
        rival = self._rival(wish.binding) if mirror.link.is_up else None
        if rival is not None:
            return State.CONFLICT, describe_rival(rival)
        if mirror.failure is not None:
            return mirror.failure.state, mirror.failure.reason
        if not mirror.link.is_up:
            return State.PAUSED, LINK_DOWN
        if mirror.phase is _Phase.OPEN:
            return State.ACTIVE, mirror.note
        return State.PENDING, ""

    def _rival(self, binding: Binding) -> Wish | None:
        """Another machine's wish that has the place of this one, and means to keep it."""
        obstacle = self._crowd.obstacle(binding)
        if obstacle is None or obstacle.machine == binding.machine:
            return None
        return self.wish_for(obstacle)

    def _mirrors_of(self, machine: str) -> list[tuple[Binding, _Mirror]]:
        return [each for each in self._mirrors.items() if each[0].machine == machine]

    def _expire(self, now: float) -> None:
        """After the grace without a link, none of its mirrors may stand."""
        for machine, link in self._links.items():
            if link.grace_ends is not None and link.grace_ends <= now:
                link.grace_ends = None
                link.is_expired = True
                self._agenda.update((binding, None) for binding, _ in self._mirrors_of(machine))

    def _take_due(self, now: float) -> None:
        while self._retries and self._retries[0][0] <= now:
            due, binding = heapq.heappop(self._retries)
            if self._is_current(due, binding):
                self._agenda[binding] = None

    def _is_current(self, due: float, binding: Binding) -> bool:
        mirror = self._mirrors.get(binding)
        if mirror is None or not mirror.link.is_up:
            return False
        return mirror.phase is _Phase.CLOSED and mirror.due == due
