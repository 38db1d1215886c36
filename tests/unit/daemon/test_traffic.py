"""Counts per mirror, and the table that front-ends see."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from desktop.api.types import ContainerDetails
from desktop.daemon.table import PortTable
from desktop.daemon.traffic import Counts, Traffic
from desktop.daemon.wall_clock import WallClock
from desktop.mirror.model import Binding, Origin, Row, State, Target, Wish
from link.listener import Container, Listener
from link.relay.relay import Flow

MIRROR = Binding(Origin.MACHINE, "tcp", "0.0.0.0", 80, "vm")
STUB = Binding(Origin.HOST, "tcp", "127.0.0.1", 81, "vm")


class Counted(Flow):
    """A flow of so many bytes."""

    def __init__(self, from_first: int, from_second: int) -> None:
        self._counts = from_first, from_second

    @property
    def from_first(self) -> int:
        return self._counts[0]

    @property
    def from_second(self) -> int:
        return self._counts[1]

    def abort(self) -> None:
        raise AssertionError("nobody aborts a flow that is only counted")


def row(binding: Binding, listener: Listener, state: State = State.ACTIVE) -> Row:
    return Row(Wish(binding, Target("127.0.0.1", 80), listener), state, "", since=5.0)


STOPPED = WallClock(lambda: 0.0, lambda: 0.0, lambda: 1000.0)
WEB = Listener(1, "tcp", "0.0.0.0", 80, container=Container("ab", "web", "docker"), process="nc")


def test_in_is_towards_the_desktops_programs_on_either_side() -> None:
    traffic = Traffic()
    traffic.started(MIRROR, Counted(from_first=1, from_second=20))
    traffic.started(STUB, Counted(from_first=300, from_second=4000))
    assert traffic.of(MIRROR) == Counts(1, bytes_in=20, bytes_out=1)
    assert traffic.of(STUB) == Counts(1, bytes_in=300, bytes_out=4000)
    assert traffic.total() == Counts(2, 320, 4001)


def test_totals_remember_flows_that_ended_and_mirrors_that_went() -> None:
    traffic = Traffic()
    flow, longer = Counted(1, 2), Counted(10, 20)
    for one in (flow, longer):
        traffic.started(MIRROR, one)
    traffic.ended(MIRROR, flow)
    assert traffic.of(MIRROR) == Counts(1, 22, 11)
    traffic.forget(MIRROR)
    assert traffic.total() == Counts(1, 22, 11)
    traffic.ended(MIRROR, longer)
    assert traffic.total() == Counts(0, 22, 11)
    assert traffic.of(MIRROR) == Counts()


def test_a_flow_that_came_and_went_between_two_looks_is_not_missed() -> None:
    traffic = Traffic()
    flow = Counted(1, 2)
    traffic.started(MIRROR, flow)
    traffic.ended(MIRROR, flow)
    assert traffic.take_busy() == {MIRROR}
    assert traffic.take_busy() == set()


def test_the_containers_of_all_rows_and_of_each_change_are_known_once() -> None:
    table = PortTable(Traffic(), STOPPED)
    labels = (("a", "1"), ("b", "\x1b[31m"))
    container = Container("ab", "web", "docker", "nginx", labels)
    web = replace(WEB, container=container)
    known = ContainerDetails("ab", "web", "docker", "nginx", {"a": "1", "b": "\x1b[31m"}, "vm")
    other = Binding(Origin.MACHINE, "tcp", "0.0.0.0", 443, "vm")
    desktop = Listener(2, "tcp", "0.0.0.0", 81, process="nginx")
    subscription = table.feed.subscribe()
    table.update([row(MIRROR, web), row(other, web), row(STUB, desktop)], [], [])
    assert table.containers() == [known]
    renamed = replace(web, container=replace(container, image="nginx:2"))
    table.update([], [row(MIRROR, renamed)], [])
    table.update([], [], [row(STUB, desktop)])
    table.update([], [], [row(other, web)])
    deltas = list(subscription._queue)
    assert [delta.containers for delta in deltas] == [
        [known],
        [msgspec.structs.replace(known, image="nginx:2")],
        [],
        [known],
    ]


def test_counts_that_changed_come_with_their_container() -> None:
    traffic = Traffic()
    table = PortTable(traffic, STOPPED)
    table.update([row(MIRROR, WEB)], [], [])
    subscription = table.feed.subscribe()
    traffic.started(MIRROR, Counted(1, 2))
    table.count()
    (delta,) = subscription._queue
    assert [each.name for each in delta.containers] == ["web"]


def test_a_row_tells_both_ends_whichever_is_the_real_one() -> None:
    table = PortTable(Traffic(), STOPPED)
    desktop = Listener(2, "tcp", "0.0.0.0", 81, process="nginx")
    remapped = Binding(Origin.MACHINE, "tcp", "127.0.0.1", 18080, "vm")
    table.update([row(remapped, WEB), row(STUB, desktop)], [], [])
    of_host, of_machine = table.rows()
    assert (of_host.machine_address, of_host.machine_port) == ("127.0.0.1", 81)
    assert (of_host.host_address, of_host.host_port) == ("0.0.0.0", 81)
    assert (of_machine.machine_address, of_machine.machine_port) == ("0.0.0.0", 80)
    assert (of_machine.host_address, of_machine.host_port) == ("127.0.0.1", 18080)
    assert of_machine.since == 1005.0
    assert of_machine.container is not None
    assert of_machine.container.name == "web"
    assert of_host.container is None


def test_each_difference_is_one_revision_and_none_is_no_revision() -> None:
    traffic = Traffic()
    table = PortTable(traffic, STOPPED)
    table.update([row(MIRROR, WEB)], [], [])
    assert table.revision == 1
    table.count()
    assert table.revision == 1
    traffic.started(MIRROR, Counted(1, 2))
    table.count()
    assert table.revision == 2
    assert table.rows()[0].bytes_in == 2
    table.update([], [], [row(MIRROR, WEB)])
    assert table.revision == 3
    assert table.rows() == []


def test_a_row_whose_real_listener_moved_is_another_row() -> None:
    table = PortTable(Traffic(), STOPPED)
    table.update([row(MIRROR, WEB)], [], [])
    moved = Listener(3, "tcp", "::", 80, v6only=False)
    subscription = table.feed.subscribe()
    table.update([], [row(MIRROR, moved)], [])
    delta = subscription._queue.popleft()
    assert [r.machine_address for r in delta.added] == ["::"]
    assert [r.machine_address for r in delta.removed] == ["0.0.0.0"]
    assert delta.changed == []
    table.feed.close()


def test_rows_are_counted_by_state() -> None:
    table = PortTable(Traffic(), STOPPED)
    table.update([row(MIRROR, WEB), row(STUB, WEB, State.CONFLICT)], [], [])
    assert (table.states().active, table.states().conflict, table.states().denied) == (1, 1, 0)


UDP = Binding(Origin.MACHINE, "udp", "0.0.0.0", 53, "vm")


def test_flows_are_counted_by_protocol() -> None:
    traffic = Traffic()
    traffic.started(MIRROR, Counted(0, 0))
    watch = traffic.watch(UDP)
    flow = Counted(10, 20)
    watch.started(flow)
    watch.started(Counted(0, 0))
    assert (traffic.flows("tcp"), traffic.flows("udp")) == (1, 2)
    watch.ended(flow)
    assert traffic.flows("udp") == 1
    assert traffic.of(UDP) == Counts(1, bytes_in=20, bytes_out=10)


def test_what_a_udp_mirror_drops_or_evicts_is_said_in_its_row() -> None:
    traffic = Traffic()
    table = PortTable(traffic, STOPPED)
    dns = Listener(1, "udp", "0.0.0.0", 53)
    table.update([row(UDP, dns)], [], [])
    assert table.rows()[0].reason == ""
    dropped = 7
    watch = traffic.watch(UDP)
    watch.evicted(3)
    traffic.meter(UDP, lambda: dropped)
    watch.started(Counted(0, 0))
    reason = table.rows()[0].reason
    assert "3 flows evicted" in reason
    assert "maxUdpFlows" in reason
    assert "7 datagrams dropped" in reason


def test_what_happened_once_to_a_udp_mirror_is_said_as_one() -> None:
    traffic = Traffic()
    table = PortTable(traffic, STOPPED)
    table.update([row(UDP, Listener(1, "udp", "0.0.0.0", 53))], [], [])
    traffic.watch(UDP).evicted(1)
    traffic.meter(UDP, lambda: 1)
    traffic.watch(UDP).started(Counted(0, 0))
    assert {"1 flow evicted", "1 datagram dropped"} == {
        part.partition(":")[0] for part in table.rows()[0].reason.split("; ")
    }


def test_who_watches_a_mirror_that_went_and_came_again_counts_for_the_new_one() -> None:
    traffic = Traffic()
    watch = traffic.watch(MIRROR)
    first, second = Counted(1, 2), Counted(10, 20)
    watch.started(first)
    watch.ended(first)
    traffic.forget(MIRROR)
    assert traffic.of(MIRROR) == Counts()
    watch.started(second)
    assert traffic.of(MIRROR) == Counts(1, bytes_in=20, bytes_out=10)
    watch.ended(second)
    assert traffic.of(MIRROR) == Counts(0, bytes_in=20, bytes_out=10)
    assert traffic.total() == Counts(0, bytes_in=22, bytes_out=11)


def test_totals_of_what_was_dropped_and_evicted_never_get_smaller() -> None:
    traffic = Traffic()
    first = second = 0
    traffic.meter(UDP, lambda: first)
    traffic.watch(UDP).evicted(3)
    first = 7
    assert (traffic.total().dropped, traffic.total().evicted) == (7, 3)
    traffic.meter(UDP, lambda: second)  # the mirror was closed and opened again
    second = 2
    assert traffic.total().dropped == 9
    traffic.forget(UDP)
    assert (traffic.total().dropped, traffic.total().evicted) == (9, 3)


def test_a_meter_that_is_named_again_is_counted_once() -> None:
    traffic = Traffic()
    losses = [5]
    for _ in range(3):
        traffic.meter(UDP, losses.__len__)
    assert traffic.total().dropped == 1


def test_the_time_of_a_state_is_right_though_the_clock_jumps_and_the_computer_sleeps() -> None:
    loop, boot, wall = 5.0, 5.0, 1005.0
    clock = WallClock(lambda: loop, lambda: boot, lambda: wall)
    table = PortTable(Traffic(), clock)
    table.update([row(MIRROR, WEB)], [], [])  # at 5.0 of the loop: just now
    subscription = table.feed.subscribe()
    ages = []
    for seconds, asleep, jump in ((1, 0, 0), (1, 0, 86400), (1, 0, -172800), (1, 28800, 0)):
        loop += seconds
        boot += seconds + asleep
        wall += seconds + asleep + jump
        (shown,) = table.rows()
        ages.append(wall - shown.since)
    assert ages == pytest.approx([1, 2, 3, 28804])
    # What was shown is put right for whoever watches, and only when the clock was set.
    assert [delta.changed[0].since for delta in subscription._queue] == [87405, -85395]


def test_what_begins_after_a_sleep_began_then() -> None:
    loop, boot, wall = 5.0, 5.0, 1005.0
    table = PortTable(Traffic(), WallClock(lambda: loop, lambda: boot, lambda: wall))
    boot, wall = boot + 3600, wall + 3600
    table.update([row(MIRROR, WEB)], [], [])
    assert table.rows()[0].since == wall


def test_a_wall_clock_that_drifts_changes_nothing_for_each_millisecond() -> None:
    wall = 1000.0
    clock = WallClock(lambda: 0.0, lambda: 0.0, lambda: wall)
    for _ in range(9):
        wall += 0.1
        assert not clock.has_jumped()
    wall += 0.2
    assert clock.has_jumped()
    assert not clock.has_jumped()
