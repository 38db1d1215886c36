"""The table of flows: who is silent, who makes room, and limits that change under it."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from link.datagrams.flow import DatagramFlow
from link.datagrams.flows import FlowTable, Limits


def table_of(count: int, limits: Limits) -> FlowTable[int, DatagramFlow]:
    """A table of flows 0, 1, … which were last heard at second 0, 1, …"""
    table: FlowTable[int, DatagramFlow] = FlowTable(limits)
    for number in range(count):
        assert table.add(number, DatagramFlow(number), float(number)) == []
    return table


def numbers(flows: list[DatagramFlow]) -> list[int]:
    return [flow.number for flow in flows]


@pytest.mark.parametrize(("most", "expected"), [(16, 4), (1024, 256), (10, 2), (3, 1), (1, 1)])
def test_a_full_table_gives_up_the_quarter_that_has_been_silent_longest(
    most: int, expected: int
) -> None:
    table = table_of(most, Limits(most_flows=most))
    evicted = table.add(most, DatagramFlow(most), 2000.0)
    assert numbers(evicted) == list(range(expected))
    assert len(table) == most - expected + 1
    assert all(table.get(number) is None for number in range(expected))


def test_a_flow_that_speaks_is_not_among_the_oldest() -> None:
    table = table_of(16, Limits(most_flows=16))
    table.heard(0, 100.0)
    table.heard(2, 101.0)
    assert numbers(table.add(16, DatagramFlow(16), 102.0)) == [1, 3, 4, 5]


def test_a_flood_costs_one_eviction_for_many_newcomers() -> None:
    table = table_of(1024, Limits())
    evictions = [
        len(table.add(number, DatagramFlow(number), 2000.0)) for number in range(1024, 2048)
    ]
    assert [count for count in evictions if count] == [256] * 4


def test_a_lower_limit_holds_with_the_next_flow() -> None:
    limits = Limits(most_flows=100)
    table = table_of(100, limits)
    limits.most_flows = 10
    assert numbers(table.add(100, DatagramFlow(100), 200.0)) == list(range(91))
    assert len(table) == 10


def test_a_higher_limit_holds_at_once() -> None:
    limits = Limits(most_flows=4)
    table = table_of(4, limits)
    limits.most_flows = 5
    assert table.add(4, DatagramFlow(4), 5.0) == []
    assert numbers(table.add(5, DatagramFlow(5), 6.0)) == [0]


def test_a_shorter_silence_holds_at_once() -> None:
    limits = Limits(idle_seconds=90)
    table = table_of(3, limits)
    assert table.take_silent(89.9) == []
    limits.idle_seconds = 1
    assert table.deadline() == 1.0
    assert numbers(table.take_silent(2.0)) == [0, 1]
    assert table.deadline() == 3.0


def test_silence_ends_a_flow_at_its_limit_and_not_before() -> None:
    table = table_of(1, Limits(idle_seconds=90))
    table.heard(0, 10.0)
    assert table.deadline() == 100.0
    assert table.take_silent(99.999) == []
    assert numbers(table.take_silent(100.0)) == [0]
    assert table.deadline() is None


def test_all_flows_are_taken_at_once() -> None:
    table = table_of(3, Limits())
    assert numbers(table.all()) == [0, 1, 2]
    assert numbers(table.take_all()) == [0, 1, 2]
    assert (len(table), table.all(), table.take_all(), table.deadline()) == (0, [], [], None)


class AgainstAModel(RuleBasedStateMachine):
    """Any use of a table, beside a list of (number, last heard) that is kept in order by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.limits = Limits(idle_seconds=10.0, most_flows=8)
        self.table: FlowTable[int, DatagramFlow] = FlowTable(self.limits)
        self.model: list[tuple[int, float]] = []
        self.now = 0.0
        self.made = 0

    def model_without(self, number: int) -> list[tuple[int, float]]:
        return [each for each in self.model if each[0] != number]

    @rule(seconds=st.integers(0, 6))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds

    @rule()
    def a_flow_begins(self) -> None:
        before = [number for number, _ in self.model]
        evicted = numbers(self.table.add(self.made, DatagramFlow(self.made), self.now))
        most = self.limits.most_flows
        assert evicted == before[: len(evicted)], "not the oldest made room"
        if len(before) < most:
            assert not evicted
        else:
            least = max(len(before) // 4, 1)
            assert len(evicted) == max(least, len(before) + 1 - most)
        self.model = [*self.model[len(evicted) :], (self.made, self.now)]
        assert len(self.model) <= most
        self.made += 1

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def a_datagram_passes(self, data: st.DataObject) -> None:
        number, _ = data.draw(st.sampled_from(self.model))
        flow = self.table.heard(number, self.now)
        assert flow is not None
        assert (flow.number, flow.last_heard) == (number, self.now)
        self.model = [*self.model_without(number), (number, self.now)]

    @rule()
    def a_datagram_of_no_flow_finds_none(self) -> None:
        assert self.table.heard(self.made, self.now) is None

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def a_flow_is_removed(self, data: st.DataObject) -> None:
        number, _ = data.draw(st.sampled_from(self.model))
        removed = self.table.remove(number)
        assert removed is not None
        assert removed.number == number
        assert self.table.remove(number) is None
        self.model = self.model_without(number)

    @rule()
    def the_silent_are_taken(self) -> None:
        silent = [each for each in self.model if each[1] + self.limits.idle_seconds <= self.now]
        assert numbers(self.table.take_silent(self.now)) == [number for number, _ in silent]
        self.model = [each for each in self.model if each not in silent]

    @rule(idle=st.integers(1, 20), most=st.integers(1, 12))
    def the_limits_change(self, idle: int, most: int) -> None:
        self.limits.idle_seconds = float(idle)
        self.limits.most_flows = most

    @invariant()
    def the_table_is_as_the_model(self) -> None:
        flows = self.table.all()
        assert [(flow.number, flow.last_heard) for flow in flows] == self.model
        assert len(self.table) == len(self.model)
        assert all(self.table.get(flow.number) is flow for flow in flows)
        assert self.table.get(self.made) is None

    @invariant()
    def nothing_is_due_before_the_deadline(self) -> None:
        oldest = min((heard for _, heard in self.model), default=None)
        expected = None if oldest is None else oldest + self.limits.idle_seconds
        assert self.table.deadline() == expected


TestAgainstAModel = AgainstAModel.TestCase
