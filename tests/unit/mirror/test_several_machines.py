"""Several machines that want this computer's ports: who has one, what the others are told."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desktop.mirror.model import WILDCARD, Binding, Origin, State, Wish, family_of
from desktop.mirror.reconcile import GRACE_SECONDS, Close, Open, Reconciler
from desktop.mirror.rules import Rules, plan
from link.listener import Container, Listener
from tests.unit.mirror.make import (
    BUSY,
    OTHER,
    VM,
    here,
    host_binding,
    in_container,
    machine_binding,
    wish_of,
)

THIRD = "third"
OURS = machine_binding("0.0.0.0", 80)
THEIRS = machine_binding("0.0.0.0", 80, OTHER)
LAST = machine_binding("0.0.0.0", 80, THIRD)


def settle(reconciler: Reconciler, now: float = 0.0) -> list[Binding]:
    """Do all that there is to do, with success; the bindings that were opened."""
    opened = []
    while actions := reconciler.actions(now):
        for action in actions:
            if isinstance(action, Open):
                opened.append(action.binding)
                reconciler.opened(action.binding, now)
            else:
                reconciler.closed(action.binding, now)
    return opened


def wish(reconciler: Reconciler, machine: str, *bindings: Binding, now: float = 0.0) -> None:
    reconciler.wish(machine, [wish_of(binding) for binding in bindings], now)


def both(*, now: float = 0.0) -> Reconciler:
    """Two machines with one port, which ours has."""
    reconciler = Reconciler()
    wish(reconciler, VM, OURS)
    settle(reconciler)
    wish(reconciler, OTHER, THEIRS)
    assert settle(reconciler, now) == []
    return reconciler


def state_of(reconciler: Reconciler, binding: Binding) -> tuple[State, str]:
    row = reconciler.row(binding)
    assert row is not None
    return row.state, row.reason


def held_by(name: str, machine: str) -> str:
    return f"{name} on the machine {machine} has tcp port 80 of this computer: stop one of the two"


def test_whoever_came_first_has_the_port_and_the_other_is_told_whose_it_is() -> None:
    reconciler = Reconciler()
    web = Listener(1, "tcp", "0.0.0.0", 80, container=Container("ab" * 32, "web", "docker"))
    for machine in (VM, OTHER):
        reconciler.wish(machine, plan(machine, [web], [], Rules()), 0.0)
    assert settle(reconciler) == [OURS]
    assert state_of(reconciler, OURS) == (State.ACTIVE, "")
    assert state_of(reconciler, THEIRS) == (State.CONFLICT, held_by("container web", VM))


def test_the_conflict_heals_when_the_first_one_goes() -> None:
    reconciler = both()
    wish(reconciler, VM)
    assert state_of(reconciler, THEIRS)[0] is State.PENDING
    assert settle(reconciler, 1.0) == [THEIRS]
    assert state_of(reconciler, THEIRS) == (State.ACTIVE, "")


def test_who_comes_back_finds_the_port_taken() -> None:
    reconciler = both()
    wish(reconciler, VM)
    settle(reconciler)
    wish(reconciler, VM, OURS)
    assert settle(reconciler) == []
    assert state_of(reconciler, OURS) == (State.CONFLICT, held_by("another program", OTHER))


def test_the_reason_follows_the_name_of_the_container_that_has_the_port() -> None:
    reconciler = both()
    for name in ("web", "shop"):
        holder = Listener(2, "tcp", "0.0.0.0", 80, container=Container("ab", name, "docker"))
        reconciler.wish(VM, plan(VM, [holder], [], Rules()), 1.0)
        assert state_of(reconciler, THEIRS)[1] == held_by(f"container {name}", VM)


def test_a_conflict_between_machines_is_told_once() -> None:
    reconciler = both()
    assert [row.wish.binding for row in reconciler.notices()] == [THEIRS]
    wish(reconciler, OTHER, THEIRS, machine_binding("0.0.0.0", 81, OTHER))
    settle(reconciler)
    assert reconciler.notices() == []


@pytest.mark.parametrize(
    ("first", "second", "meet"),
    [
        ("0.0.0.0", "127.0.0.1", True),
        ("127.0.0.1", "0.0.0.0", True),
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "127.0.0.2", False),
        ("0.0.0.0", "::", False),
        ("::", "::1", True),
    ],
)
def test_addresses_of_two_machines_meet_as_binds_do(first: str, second: str, meet: bool) -> None:
    reconciler = Reconciler()
    wish(reconciler, VM, machine_binding(first, 80))
    settle(reconciler)
    other = machine_binding(second, 80, OTHER)
    wish(reconciler, OTHER, other)
    assert settle(reconciler) == ([] if meet else [other])
    assert state_of(reconciler, other)[0] is (State.CONFLICT if meet else State.ACTIVE)


def test_this_computers_port_is_open_in_every_machine() -> None:
    reconciler = Reconciler()
    for machine in (VM, OTHER):
        reconciler.wish(machine, plan(machine, [], [here("0.0.0.0", 80)], Rules()), 0.0)
    bindings = [host_binding("127.0.0.1", 80), host_binding("127.0.0.1", 80, OTHER)]
    assert settle(reconciler) == bindings
    assert {state_of(reconciler, binding)[0] for binding in bindings} == {State.ACTIVE}


def test_a_port_that_this_computer_and_one_machine_hold_is_still_open_in_the_other() -> None:
    ours, theirs = host_binding("127.0.0.1", 80), host_binding("127.0.0.1", 80, OTHER)
    there = {VM: [in_container("0.0.0.0", 80)], OTHER: []}
    wishes = [
        wish
        for machine, listeners in there.items()
        for wish in plan(machine, listeners, [here("0.0.0.0", 80)], Rules())
    ]
    states = {wish.binding: wish.state for wish in wishes}
    assert states == {ours: State.CONFLICT, theirs: State.PENDING, OURS: State.CONFLICT}


def test_a_lost_link_pauses_the_rows_of_its_machine_alone() -> None:
    reconciler = Reconciler()
    kept = [machine_binding("0.0.0.0", 81, OTHER), host_binding("127.0.0.1", 82, OTHER)]
    lost = [machine_binding("0.0.0.0", 80), host_binding("127.0.0.1", 82)]
    wish(reconciler, VM, *lost)
    wish(reconciler, OTHER, *kept)
    settle(reconciler)
    reconciler.pause(VM, 1.0)
    for now in (1.0, 1.0 + GRACE_SECONDS):
        settle(reconciler, now)
        assert {state_of(reconciler, binding)[0] for binding in lost} == {State.PAUSED}
        assert {state_of(reconciler, binding)[0] for binding in kept} == {State.ACTIVE}


def test_a_port_whose_machine_is_away_is_kept_for_the_grace_and_then_the_others() -> None:
    reconciler = both()
    reconciler.pause(VM, 1.0)
    assert settle(reconciler, 1.0) == []
    assert reconciler.next_deadline() == 1.0 + GRACE_SECONDS
    assert settle(reconciler, 1.0 + GRACE_SECONDS) == [THEIRS]
    reconciler.resume(VM, 20.0)
    assert settle(reconciler, 20.0) == []
    assert state_of(reconciler, OURS)[0] is State.CONFLICT


def test_of_those_that_wait_the_one_that_came_first_is_next() -> None:
    reconciler = both()
    wish(reconciler, THIRD, LAST)
    settle(reconciler)
    wish(reconciler, VM)
    assert settle(reconciler) == [THEIRS]
    assert state_of(reconciler, LAST) == (State.CONFLICT, held_by("another program", OTHER))


def test_one_that_does_not_want_it_any_more_is_passed_over() -> None:
    reconciler = both()
    wish(reconciler, THIRD, LAST)
    settle(reconciler)
    reconciler.wish(OTHER, [wish_of(THEIRS, State.IGNORED)], 0.0)
    wish(reconciler, VM)
    assert settle(reconciler) == [LAST]


def test_a_port_that_a_program_here_has_is_a_conflict_with_it_for_both() -> None:
    reconciler = Reconciler()
    wish(reconciler, VM, OURS)
    wish(reconciler, OTHER, THEIRS)
    now = 0.0
    for binding in (OURS, THEIRS):
        assert reconciler.actions(now) == [Open(wish_of(binding))]
        reconciler.failed(binding, BUSY, now)
    for binding in (OURS, THEIRS):
        assert state_of(reconciler, binding) == (BUSY.state, BUSY.reason)
    reconciler.retry_conflicts(1.0)
    assert settle(reconciler, 1.0) == [OURS]
    assert state_of(reconciler, THEIRS)[1] == held_by("another program", VM)


# Any course of events, against an oracle that looks at all there is.

PLACES = ["0.0.0.0", "127.0.0.1", "127.0.0.2"]
MACHINES = [VM, OTHER, THIRD]


def meet(one: Binding, two: Binding) -> bool:
    """True if the kernel would not let both be bound."""
    wildcard = WILDCARD[family_of(one.address)]
    same = (one.protocol, one.port, family_of(one.address))
    if same != (two.protocol, two.port, family_of(two.address)):
        return False
    return one.address == two.address or wildcard in (one.address, two.address)


@dataclass
class Oracle:
    """Who should stand here, told by brute force.

    `waiting` is in order of arrival. What goes makes room only once it has gone, so whoever comes
    at the same time waits as well.
    """

    wanted: dict[str, list[Binding]] = field(
        default_factory=lambda: {each: [] for each in MACHINES}
    )
    away: dict[str, bool] = field(default_factory=dict)
    """Machines without a link, and whether their grace is over."""
    standing: list[Binding] = field(default_factory=list)
    waiting: list[Binding] = field(default_factory=list)

    def settle(self) -> None:
        everything = [binding for machine in MACHINES for binding in self.wanted[machine]]
        self.waiting = [binding for binding in self.waiting if binding in everything]
        self.ask([binding for binding in everything if binding not in self.standing])
        self.standing = [
            binding
            for binding in self.standing
            if binding in everything and not self.away.get(binding.machine, False)
        ]
        self.ask(self.waiting)

    def ask(self, candidates: list[Binding]) -> None:
        newcomers = [binding for binding in candidates if binding not in self.waiting]
        for binding in [*self.waiting, *newcomers]:
            if binding.machine in self.away:
                continue
            if not any(meet(binding, other) for other in self.standing):
                self.standing.append(binding)
            elif binding not in self.waiting:
                self.waiting.append(binding)
        self.waiting = [binding for binding in self.waiting if binding not in self.standing]


def of_plan(machine: str, addresses: set[str]) -> list[Wish]:
    """As `plan` wishes: no two to open overlap."""
    chosen = {"0.0.0.0"} if "0.0.0.0" in addresses else addresses
    return [wish_of(machine_binding(address, 80, machine)) for address in sorted(chosen)]


EVENTS = st.one_of(
    st.tuples(st.just("wish"), st.sampled_from(MACHINES), st.sets(st.sampled_from(PLACES))),
    st.tuples(st.just("pause"), st.sampled_from(MACHINES), st.none()),
    st.tuples(st.just("resume"), st.sampled_from(MACHINES), st.none()),
    st.tuples(st.just("wait"), st.just(VM), st.none()),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(EVENTS, max_size=30))
def test_each_place_is_held_by_the_one_that_the_oracle_names(
    events: list[tuple[str, str, set[str] | None]],
) -> None:
    reconciler, oracle = Reconciler(), Oracle()
    clock = itertools.count(1)
    now = 0.0
    open_here: set[Binding] = set()
    for event, machine, addresses in events:
        if event == "wish" and addresses is not None:
            wishes = of_plan(machine, addresses)
            oracle.wanted[machine] = [wish.binding for wish in wishes]
            reconciler.wish(machine, wishes, now)
        elif event == "pause":
            oracle.away.setdefault(machine, False)
            reconciler.pause(machine, now)
        elif event == "resume":
            oracle.away.pop(machine, None)
            reconciler.resume(machine, now)
        else:
            now += next(clock) + GRACE_SECONDS
            oracle.away = dict.fromkeys(oracle.away, True)
        while actions := reconciler.actions(now):
            for action in actions:
                if isinstance(action, Close):
                    open_here.remove(action.binding)
                    reconciler.closed(action.binding, now)
            for action in actions:
                if isinstance(action, Open):
                    assert not any(meet(action.binding, other) for other in open_here)
                    open_here.add(action.binding)
                    reconciler.opened(action.binding, now)
        oracle.settle()
        assert open_here == set(oracle.standing)
        check_rows(reconciler, oracle)


def check_rows(reconciler: Reconciler, oracle: Oracle) -> None:
    """Each wish says what the oracle knows of it."""
    rows = {row.wish.binding: row for row in reconciler.rows()}
    assert sorted(rows) == sorted(binding for each in oracle.wanted.values() for binding in each)
    for binding, row in rows.items():
        assert binding.origin is Origin.MACHINE
        rivals = {each.machine for each in oracle.standing if meet(binding, each)}
        if binding.machine in oracle.away:
            assert row.state is State.PAUSED
        elif binding in oracle.standing:
            assert row.state is State.ACTIVE
        else:
            assert row.state is State.CONFLICT
            assert any(f"the machine {rival} has" in row.reason for rival in rivals)
