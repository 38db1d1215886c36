"""The reconciler against an opener that fails, loses and is slow, in any order of events.

The oracle is plain: whatever happened, once all is answered and time has passed, what is open is
what is wished and can be opened; and nothing is ever opened twice, closed twice, or beside a
mirror that it meets.
"""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from desktop.mirror.model import Binding, Failure, Origin, Row, State
from desktop.mirror.reconcile import DENIED_RETRY_SECONDS, GRACE_SECONDS, Action, Open, Reconciler
from tests.unit.mirror.make import BUSY, REFUSED, VM, host_binding, machine_binding, wish_of

PLACES = [
    machine_binding("0.0.0.0", 80),
    machine_binding("127.0.0.1", 80),
    machine_binding("127.0.0.2", 80),
    machine_binding("::1", 80),
    machine_binding("0.0.0.0", 81),
    host_binding("127.0.0.1", 82),
    host_binding("::1", 82),
]
WILDCARD, NARROW = PLACES[0], set(PLACES[1:3])
SECONDS = st.sampled_from([0.0, 0.1, 0.3, 1.0, GRACE_SECONDS, 40.0])
ROUNDS = 4
"""Enough to come to rest: close, open, fail, open again."""


class ReconcilerMachine(RuleBasedStateMachine):
    """One reconciler, the time, and an opener with what it was told and has not done yet."""

    def __init__(self) -> None:
        super().__init__()
        self.reconciler = Reconciler()
        self.now = 0.0
        self.wished: dict[Binding, State] = {}
        self.barred: dict[Binding, Failure] = {}
        self.told: list[Action] = []
        self.open: set[Binding] = set()
        self.told_rows: dict[Binding, Row] = {}
        self.is_linked = True

    # What the world does.

    @rule(seconds=SECONDS)
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(
        wished=st.dictionaries(
            st.sampled_from(PLACES),
            st.sampled_from([State.PENDING, State.PENDING, State.CONFLICT, State.IGNORED]),
        ),
        cookie=st.integers(1, 3),
    )
    def wish(self, wished: dict[Binding, State], cookie: int) -> None:
        if wished.get(WILDCARD) is State.PENDING:
            covered = {place for place in NARROW if wished.get(place) is State.PENDING}
            wished = wished | dict.fromkeys(covered, State.IGNORED)
        self.wished = wished
        wishes = [wish_of(place, state, cookie=cookie) for place, state in wished.items()]
        self.reconciler.wish(VM, [*wishes, *wishes], self.now)

    @rule()
    def clear(self) -> None:
        self.wished = {}
        self.reconciler.wish(VM, (), self.now)

    @rule(
        place=st.sampled_from(PLACES),
        failure=st.sampled_from([BUSY, REFUSED]),
        is_barred=st.booleans(),
    )
    def bar(self, place: Binding, failure: Failure, is_barred: bool) -> None:
        self.barred.pop(place, None)
        if is_barred and place not in self.open:
            self.barred[place] = failure

    @rule(seconds=SECONDS)
    def pause(self, seconds: float) -> None:
        self.is_linked = False
        self.open = {place for place in self.open if place.origin is Origin.MACHINE}
        self.told = [action for action in self.told if origin_of(action) is Origin.MACHINE]
        self.reconciler.pause(VM, self.now)
        self.now += seconds
        self.ask()

    @rule()
    def resume(self) -> None:
        self.is_linked = True
        self.reconciler.resume(VM, self.now)

    @rule()
    def retry_conflicts(self) -> None:
        self.reconciler.retry_conflicts(self.now)

    @rule(place=st.sampled_from(PLACES))
    def lose(self, place: Binding) -> None:
        if place in self.open and not any(binding_of(action) == place for action in self.told):
            self.open.remove(place)
            self.reconciler.lost(place, REFUSED, self.now)

    # What the reconciler says, and how it is answered.

    @rule()
    def ask(self) -> None:
        deadline = self.reconciler.next_deadline()
        actions = self.reconciler.actions(self.now)
        assert not actions or (deadline is not None and deadline <= self.now)
        assert self.reconciler.actions(self.now) == []
        for action in actions:
            place = binding_of(action)
            assert place not in {binding_of(earlier) for earlier in self.told}
            if isinstance(action, Open):
                assert self.wished.get(place) is State.PENDING
                assert place not in self.open
                self.check_room(place)
            else:
                assert place in self.open
            self.told.append(action)

    def check_room(self, place: Binding) -> None:
        near = self.open | {binding_of(action) for action in self.told}
        if place == WILDCARD:
            assert not near & NARROW
        if place in NARROW:
            assert WILDCARD not in near

    @precondition(lambda self: self.told)
    @rule(data=st.data(), twice=st.booleans())
    def answer(self, data: st.DataObject, twice: bool) -> None:
        index = data.draw(st.integers(0, len(self.told) - 1))
        reply = self.carry_out(self.told.pop(index))
        for _ in range(1 + twice):
            reply()

    def carry_out(self, action: Action) -> Callable[[], None]:
        place, now = binding_of(action), self.now
        if not isinstance(action, Open):
            self.open.remove(place)
            return lambda: self.reconciler.closed(place, now)
        failure = self.barred.get(place)
        if failure is not None:
            return lambda: self.reconciler.failed(place, failure, now)
        self.open.add(place)
        return lambda: self.reconciler.opened(place, now)

    @rule()
    def tell_changes(self) -> None:
        added, changed, removed = self.reconciler.take_changes()
        for row in removed:
            assert self.told_rows.pop(row.wish.binding) == row
        for row in added:
            assert row.wish.binding not in self.told_rows
        for row in changed:
            assert self.told_rows[row.wish.binding] != row
        self.told_rows.update({row.wish.binding: row for row in added + changed})
        assert {*self.told_rows.values()} == {*self.reconciler.rows()}

    @rule()
    def come_to_rest(self) -> None:
        """Everything is answered and time passes until nothing is due: the oracle."""
        self.resume()
        for _ in range(ROUNDS):
            deadline = self.reconciler.next_deadline()
            self.now += DENIED_RETRY_SECONDS[1]
            assert deadline is None or deadline <= self.now
            self.ask()
            while self.told:
                self.carry_out(self.told.pop(0))()
        wanted = {place for place, state in self.wished.items() if state is State.PENDING}
        assert self.open == wanted - set(self.barred)
        for place in wanted:
            row = self.reconciler.row(place)
            assert row is not None
            failure = self.barred.get(place)
            assert row.state is (failure.state if failure else State.ACTIVE)

    @invariant()
    def every_wish_has_its_row(self) -> None:
        rows = {row.wish.binding: row for row in self.reconciler.rows()}
        assert rows.keys() == self.wished.keys()
        for place, state in self.wished.items():
            if state is not State.PENDING:
                assert rows[place].state is state
            if rows[place].state is State.ACTIVE:
                assert self.is_linked
                assert place in self.open


def binding_of(action: Action) -> Binding:
    return action.wish.binding if isinstance(action, Open) else action.binding


def origin_of(action: Action) -> Origin:
    return binding_of(action).origin


TestReconciler = ReconcilerMachine.TestCase
TestReconciler.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
