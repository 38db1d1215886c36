"""How the events of the eBPF programs are read: bounded, upon a wake-up, none lost uncounted.

Rules: a burst may be more than ring and table hold; each event is then told or counted as lost.

Counterparts: `bpf_stage.py`; `vmagent/bpf/events.py` is what reads.
"""

from __future__ import annotations

import asyncio
import contextlib
import select
from typing import Final

import pytest

from tests.integration.bpf_stage import (
    ANY_PORT,
    IPPROTO_UDPLITE,
    PATIENCE,
    UDP,
    Stage,
    bound,
    on_stage,
    open_stage,
)
from tests.private_network import private_network
from vmagent.bpf.bytecode import MAPS
from vmagent.bpf.events import MOST_EVENTS, BindEvent

RECORD_BYTES: Final = 24
"""Of one event in the ring buffer: header and struct event."""


@pytest.mark.parametrize("is_read", [True, False], ids=["read", "not read"])
@private_network
def test_of_a_burst_of_binds_each_event_is_told_or_counted_as_lost(is_read: bool) -> None:
    # More than the table of sockets holds, and three times what the ring does.
    binds, each_time = 33_000, 500
    with open_stage() as stage:
        told = lost = 0
        for _ in range(binds // each_time):
            stage.program.call("bind_and_close", 5000, each_time)
            while is_read:
                drained = stage.events.drain()
                told, lost = told + len(drained.events), lost + drained.lost
                if not drained.events:
                    break
        if is_read:
            assert (told, lost) == (2 * binds, 0)
        first = stage.events.drain()
        told, lost = told + len(first.events), lost + first.lost
        told += len(stage.told())
        assert told + lost == 2 * binds
        assert is_read or told == MAPS["samehost_events"].entries // RECORD_BYTES
        assert stage.events.lost == lost
        sock = stage.program.udp("127.0.0.1", 5000)
        assert stage.told() == [bound(sock, 5000)]


@on_stage
def test_a_read_is_bounded_and_the_rest_is_still_to_be_read(stage: Stage) -> None:
    stage.program.call("bind_and_close", 5000, MOST_EVENTS)
    assert len(stage.events.drain().events) == MOST_EVENTS
    assert select.select([stage.events], [], [], 0)[0] == [stage.events]
    assert len(stage.events.drain().events) == MOST_EVENTS
    assert select.select([stage.events], [], [], 0)[0] == []


class Known:
    """A socket that a dump might have shown."""

    protocol = "udp"
    port = 5000

    def __init__(self, cookie: int) -> None:
        self.cookie = cookie


@on_stage
def test_a_bind_that_the_table_has_no_room_for_wakes_and_counts_as_lost(stage: Stage) -> None:
    room = MAPS["samehost_binds"].entries
    assert stage.events.follow(Known(1 << 40 | each) for each in range(room))
    assert not stage.events.follow([Known(1 << 50)])
    stage.program.udp("127.0.0.1", ANY_PORT)  # needs no room, as little as
    with contextlib.suppress(OSError):  # where there is no UDP-Lite
        stage.program.open(UDP, protocol=IPPROTO_UDPLITE).bind("127.0.0.1", 5000)
    assert stage.told() == []
    assert select.select([stage.events], [], [], 0)[0] == []
    stage.program.udp("127.0.0.1", 5000)
    assert select.select([stage.events], [], [], 0)[0] == [stage.events]
    drained = stage.events.drain()
    assert (drained.events, drained.lost) == ([], 1)


@on_stage
def test_an_event_loop_is_woken(stage: Stage) -> None:
    async def scenario() -> list[BindEvent]:
        loop = asyncio.get_running_loop()
        woken = asyncio.Event()
        loop.add_reader(stage.events, woken.set)
        try:
            await loop.run_in_executor(None, stage.program.tcp, "127.0.0.1", 5000)
            await asyncio.wait_for(woken.wait(), PATIENCE)
        finally:
            loop.remove_reader(stage.events)
        return stage.told()

    assert [each.kind for each in asyncio.run(scenario())] == ["listening"]
