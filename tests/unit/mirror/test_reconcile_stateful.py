"""The reconciler against an opener that fails, loses and is slow, in any order of events.

The oracle is plain: whatever happened, once all is answered and time has passed, what is open is
what is wished and can be opened, but for what meets another machine's; and nothing is ever opened
twice, closed twice, beside a mirror that it meets, or closed for another machine's sake.
"""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from desktop.mirror.model import Binding, Failure, Origin, Row, State
from desktop.mirror.reconcile import DENIED_RETRY_SECONDS, GRACE_SECONDS, Action, Open, Reconciler
from tests.unit.mirror.make import BUSY, OTHER, REFUSED, VM, host_binding, machine_binding, wish_of

PLACES = [
    machine_binding("0.0.0.0", 80),
    machine_binding("127.0.0.1", 80),
    machine_binding("127.0.0.2", 80),
    machine_binding("::1", 80),
    machine_binding("0.0.0.0", 81),
    host_binding("127.0.0.1", 82),
    host_binding("::1", 82),
    machine_binding("0.0.0.0", 80, OTHER),
    machine_binding("127.0.0.1", 80, OTHER),
    machine_binding("0.0.0.0", 81, OTHER),
    host_binding("127.0.0.1", 82, OTHER),
]
MACHINES = st.sampled_from([VM, OTHER])
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
        self.cut: dict[str, float] = {}
        """Machines without a link, and since when."""

    # What the world does.

    @rule(seconds=SECONDS)
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(
        machine=MACHINES,
        wished=st.dictionaries(
            st.sampled_from(PLACES),
            st.sampled_from([State.PENDING, State.PENDING, State.CONFLICT, State.IGNORED]),
        ),
        cookie=st.integers(1, 3),
    )
    def wish(self, machine: str, wished: dict[Binding, State], cookie: int) -> None:
        wished = {place: state for place, state in wished.items() if place.machine == machine}
        wildcards = [place for place in wanted_of(wished) if place.address == "0.0.0.0"]
        covered = {
            place
            for place in wanted_of(wished)
            if any(place != wildcard and meet(place, wildcard) for wildcard in wildcards)
        }
        self.clear(machine)
        self.wished |= wished | dict.fromkeys(covered, State.IGNORED)
        wishes = [
            wish_of(place, state, cookie=cookie)
            for place, state in self.wished.items()
            if place.machine == machine
        ]
        self.reconciler.wish(machine, [*wishes, *wishes], self.now)

    @rule(machine=MACHINES)
    def wish_nothing(self, machine: str) -> None:
        self.clear(machine)
        self.reconciler.wish(machine, (), self.now)

    def clear(self, machine: str) -> None:
        self.wished = {
            place: state for place, state in self.wished.items() if place.machine != machine
        }

    @rule(
        place=st.sampled_from(PLACES),
        failure=st.sampled_from([BUSY, REFUSED]),
        is_barred=st.booleans(),
    )
    def bar(self, place: Binding, failure: Failure, is_barred: bool) -> None:
        self.barred.pop(place, None)
        if is_barred and place not in self.open:
            self.barred[place] = failure

    @rule(machine=MACHINES, seconds=SECONDS)
    def pause(self, machine: str, seconds: float) -> None:
        self.cut.setdefault(machine, self.now)
        self.open = {place for place in self.open if not is_in(machine, place)}
        self.told = [action for action in self.told if not is_in(machine, action.binding)]
        self.reconciler.pause(machine, self.now)
        self.now += seconds
        self.ask()

    @rule(machine=MACHINES)
    def resume(self, machine: str) -> None:
        self.cut.pop(machine, None)
        self.reconciler.resume(machine, self.now)

    @rule()
    def retry_conflicts(self) -> None:
        self.reconciler.retry_conflicts(self.now)

    @rule(place=st.sampled_from(PLACES))
    def lose(self, place: Binding) -> None:
        if place in self.open and not any(action.binding == place for action in self.told):
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
            place = action.binding
            assert place not in {earlier.binding for earlier in self.told}
            if isinstance(action, Open):
                assert self.wished.get(place) is State.PENDING
                assert place not in self.open
                self.check_room(place)
            else:
                assert place in self.open
                is_wanted = self.wished.get(place) is State.PENDING
                is_away = self.now >= self.cut.get(place.machine, self.now) + GRACE_SECONDS
                assert not is_wanted or is_away
            self.told.append(action)

    def check_room(self, place: Binding) -> None:
        near = self.open | {action.binding for action in self.told}
        assert not any(meet(place, other) for other in near)

    @precondition(lambda self: self.told)
    @rule(data=st.data(), twice=st.booleans())
    def answer(self, data: st.DataObject, twice: bool) -> None:
        index = data.draw(st.integers(0, len(self.told) - 1))
        reply = self.carry_out(self.told.pop(index))
        for _ in range(1 + twice):
            reply()

    def carry_out(self, action: Action) -> Callable[[], None]:
        place, now = action.binding, self.now
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
        for machine in (VM, OTHER):
            self.resume(machine)
        for _ in range(ROUNDS):
            deadline = self.reconciler.next_deadline()
            self.now += DENIED_RETRY_SECONDS[1]
            assert deadline is None or deadline <= self.now
            self.ask()
            while self.told:
                self.carry_out(self.told.pop(0))()
        wanted = wanted_of(self.wished)
        assert self.open <= wanted - set(self.barred)
        for place in wanted:
            row = self.reconciler.row(place)
            assert row is not None
            failure = self.barred.get(place)
            rivals = [other for other in self.open if other != place and meet(place, other)]
            if place in self.open:
                assert row.state is State.ACTIVE
                assert not rivals
            elif rivals:
                assert row.state is State.CONFLICT
                assert all(rival.machine in row.reason for rival in rivals)
            else:
                assert failure is not None
                assert (row.state, row.reason) == (failure.state, failure.reason)

    @invariant()
    def every_wish_has_its_row(self) -> None:
        rows = {row.wish.binding: row for row in self.reconciler.rows()}
        assert rows.keys() == self.wished.keys()
        for place, state in self.wished.items():
            if state is not State.PENDING:
                assert rows[place].state is state
            if rows[place].state is State.ACTIVE:
                assert place.machine not in self.cut
                assert place in self.open


def wanted_of(wished: dict[Binding, State]) -> set[Binding]:
    return {place for place, state in wished.items() if state is State.PENDING}


def is_in(machine: str, place: Binding) -> bool:
    """True if the mirror stands in that machine."""
    return place.origin is Origin.HOST and place.machine == machine


def meet(one: Binding, two: Binding) -> bool:
    """True for two mirrors on one computer which the kernel would not let both be bound."""
    if one.origin is not two.origin or (one.protocol, one.port) != (two.protocol, two.port):
        return False
    if one.origin is Origin.HOST and one.machine != two.machine:
        return False
    has_wildcard = "0.0.0.0" in (one.address, two.address)
    is_old = "::1" not in (one.address, two.address)
    return one.address == two.address or (has_wildcard and is_old)


TestReconciler = ReconcilerMachine.TestCase
TestReconciler.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
