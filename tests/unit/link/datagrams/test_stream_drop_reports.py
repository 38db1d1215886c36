"""What one end of a stream of datagrams has dropped is told to the other, and not too often.

Rules: a report is not handed on as a frame; counts go on over streams that are lost.

Counterparts: `stream_world.py`; `link/datagrams/stream.py` is tested.
"""

from __future__ import annotations

import asyncio

import pytest

from link.datagrams import stream as stream_module
from link.datagrams.frames import Kind, header
from tests.unit.link.datagrams.stream_world import frame, join, run, world
from tests.until import until


def test_what_one_end_dropped_is_told_to_the_other_and_not_handed_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stream_module, "REPORT_SECONDS", 0.01)

    async def story() -> None:
        async with world() as one, world() as other:
            one.stream.lose(5)
            join(one, other)
            other.stream.lose(3)
            await until(lambda: one.stream.dropped_there and other.stream.dropped_there)
            assert (one.stream.dropped_there, other.stream.dropped_there) == (3, 5)
            one.stream.lose(4)
            await until(lambda: other.stream.dropped_there == 9)
            assert one.received == other.received == []

    run(story())


def test_what_was_dropped_is_counted_on_over_another_stream(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stream_module, "REPORT_SECONDS", 0.01)

    async def story() -> None:
        async with world() as one, world() as second:
            first = one.attach()
            one.stream.lose(4)
            first.sock.send(header(Kind.DROPPED, 10) + header(Kind.DROPPED, 12) + frame(1))
            await until(lambda: one.received)
            assert one.received == [(Kind.DATA, 1, 0, b"")]
            one.stream.detach()
            join(one, second)
            second.stream.lose(3)
            await until(lambda: one.stream.dropped_there == 15)
            await until(lambda: second.stream.dropped_there == 4)

    run(story())


def test_drops_are_told_no_more_often_than_they_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_module, "REPORT_SECONDS", 0.05)

    async def story() -> None:
        async with world() as one:
            peer = one.attach()
            start = asyncio.get_running_loop().time()
            while asyncio.get_running_loop().time() < start + 0.2:
                one.stream.lose(1)
                peer.take_all()
                await asyncio.sleep(0)
            await until(lambda: one.stream._report is None)
            peer.take_all()
            passed = asyncio.get_running_loop().time() - start
            told = peer.reports
            assert told == sorted(set(told))
            assert told[-1] == one.stream.dropped_here
            assert 1 <= len(told) <= passed / 0.05 + 0.1

    run(story())
