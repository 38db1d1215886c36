"""Tier 1 kept alive: tried, retried, made anew; with events that a test makes."""

from __future__ import annotations

import asyncio
import errno
import functools
import os
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

import pytest

from link.maturity import Seen
from vmagent.bpf.events import BOUND, GONE, LISTENING, BindEvent, Drained
from vmagent.watch import binds as binds_module
from vmagent.watch.binds import HEALTH_SECONDS, MOST_AT_ONCE, RETRY_SECONDS, Binds

PATIENCE = 30.0
UDP_SERVER = BindEvent(7, 53, "udp", BOUND)
"""Has what a socket of a dump has: cookie, port and protocol."""


class Events:
    """What `BindEvents` would be, told by a pipe. `refusal` is raised by the next ones made."""

    refusal: OSError | None = None
    made: list[Events]

    def __init__(self, cgroup: str | None) -> None:
        assert cgroup == "/sys/fs/cgroup"
        if Events.refusal is not None:
            raise Events.refusal
        self._reader, self._writer = os.pipe()
        self._waiting: list[BindEvent] = []
        self._lost = 0
        self.variant = "eBPF"
        self.attached = True
        self.is_closed = False
        self.followed: list[int] = []
        Events.made.append(self)

    def tell(self, *events: BindEvent, lost: int = 0) -> None:
        self._waiting += events
        self._lost += lost
        os.write(self._writer, b"x")

    def fileno(self) -> int:
        return self._reader

    def drain(self) -> Drained:
        os.read(self._reader, 4096)
        events, self._waiting = self._waiting, []
        lost, self._lost = self._lost, 0
        return Drained(events, lost)

    def follow(self, sockets: Iterable[Seen]) -> bool:
        if Events.refusal is not None:
            raise Events.refusal
        self.followed += [each.cookie for each in sockets]
        return True

    def close(self) -> None:
        assert not self.is_closed
        self.is_closed = True
        os.close(self._reader)
        os.close(self._writer)


class Told:
    """What a watcher was told, and a way to wait for it."""

    def __init__(self) -> None:
        self.began: list[list[int]] = []
        self.ended: list[set[int]] = []
        self._news = asyncio.Event()
        self.binds = Binds(self._begin, self._end, lambda: "/sys/fs/cgroup")

    def _begin(self, cookies: list[int]) -> None:
        self.began.append(cookies)
        self._news.set()

    def _end(self, cookies: set[int]) -> None:
        self.ended.append(cookies)
        self._news.set()

    async def wait(self) -> None:
        await asyncio.wait_for(self._news.wait(), PATIENCE)
        self._news.clear()


@pytest.fixture(autouse=True)
def events(monkeypatch: pytest.MonkeyPatch) -> None:
    Events.refusal = None
    Events.made = []
    monkeypatch.setattr(binds_module, "BindEvents", Events)


def story(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    @functools.wraps(test)
    def run(**fixtures: object) -> None:
        asyncio.run(test(**fixtures))

    return run


@story
async def test_a_bind_is_told_with_the_udp_sockets_whose_port_was_named() -> None:
    told = Told()
    told.binds.start()
    (one,) = Events.made
    one.tell(BindEvent(7, 53, "udp", BOUND), BindEvent(8, 80, "tcp", LISTENING))
    await told.wait()
    assert told.began == [[7]]
    one.tell(BindEvent(7, 53, "udp", GONE))
    await told.wait()
    assert (told.began, told.ended) == ([[7]], [{7}])
    told.binds.stop()


@story
async def test_of_one_that_ended_and_began_again_the_end_is_not_told() -> None:
    told = Told()
    told.binds.start()
    again, for_good = (BindEvent(cookie, 80, "tcp", GONE) for cookie in (8, 9))
    Events.made[0].tell(again, for_good, again._replace(kind=LISTENING))
    await told.wait()
    assert (told.began, told.ended) == ([[]], [{9}])
    told.binds.stop()


@story
async def test_some_binds_in_a_row_are_told_at_once_and_many_with_pauses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(binds_module, "PAUSE_SECONDS", PATIENCE)
    told = Told()
    told.binds.start()
    for _ in range(MOST_AT_ONCE):
        Events.made[0].tell(UDP_SERVER)
        await told.wait()
    assert len(told.began) == MOST_AT_ONCE
    Events.made[0].tell(UDP_SERVER)
    await told.wait()
    Events.made[0].tell(UDP_SERVER)
    await asyncio.sleep(0.01)
    assert len(told.began) == MOST_AT_ONCE + 1
    told.binds.stop()


@story
async def test_lost_events_are_a_reason_to_look_and_are_counted() -> None:
    told = Told()
    told.binds.start()
    Events.made[0].tell(lost=3)
    await told.wait()
    assert (told.began, told.binds.lost) == ([[]], 3)
    assert told.binds.mishaps == "3 events lost and made up for"
    told.binds.stop()


@story
async def test_programs_that_cannot_be_attached_anew_are_not_said_to_be_healed() -> None:
    told = Told()
    told.binds.start()
    Events.made[0].tell(lost=1)
    await told.wait()
    Events.made[0].attached = False
    Events.refusal = OSError(errno.EPERM, "not any more")
    now = asyncio.get_running_loop().time()
    assert not told.binds.heal(now + 2 * HEALTH_SECONDS)
    assert told.binds.description == "no eBPF: not any more"
    assert told.binds.mishaps == "detached once, 1 event lost and made up for"
    Events.refusal = None
    assert told.binds.heal(now + 2 * HEALTH_SECONDS + RETRY_SECONDS)
    Events.made[1].attached = False
    assert told.binds.heal(now + 2 * HEALTH_SECONDS + 2 * RETRY_SECONDS)
    assert told.binds.mishaps == "detached and healed 2 times, 1 event lost and made up for"
    told.binds.stop()


@story
async def test_what_comes_during_the_pause_is_told_after_it() -> None:
    told = Told()
    told.binds.start()
    (one,) = Events.made
    for cookie in range(3):
        one.tell(BindEvent(cookie, 53, "udp", BOUND))
        await told.wait()
    assert told.began == [[0], [1], [2]]
    told.binds.stop()


@story
async def test_without_events_the_reason_is_said_and_it_is_tried_again() -> None:
    Events.refusal = OSError(errno.EPERM, "eBPF is not allowed")
    told = Told()
    told.binds.start()
    assert not told.binds.is_on
    assert told.binds.description == "no eBPF: eBPF is not allowed"
    Events.refusal = None
    now = asyncio.get_running_loop().time()
    assert not told.binds.heal(now)
    assert told.binds.heal(now + RETRY_SECONDS)
    assert told.binds.description == "eBPF"
    told.binds.stop()
    assert Events.made[0].is_closed


@story
async def test_programs_that_somebody_detached_are_attached_anew_and_counted() -> None:
    told = Told()
    told.binds.start()
    now = asyncio.get_running_loop().time()
    assert not told.binds.heal(now + 2 * HEALTH_SECONDS)
    Events.made[0].attached = False
    assert told.binds.mishaps == ""
    assert told.binds.heal(now + 4 * HEALTH_SECONDS)
    assert Events.made[0].is_closed
    assert told.binds.healed == 1
    assert told.binds.mishaps == "detached and healed once"
    Events.made[1].tell(BindEvent(9, 53, "udp", BOUND))
    await told.wait()
    assert told.began == [[9]]
    told.binds.stop()


@story
async def test_what_a_dump_found_is_followed_as_far_as_that_goes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    told = Told()
    assert not told.binds.follow([UDP_SERVER])
    told.binds.start()
    assert told.binds.follow([UDP_SERVER])
    assert Events.made[0].followed == [UDP_SERVER.cookie]
    Events.refusal = OSError(errno.EPERM, "not any more")
    assert not told.binds.follow([UDP_SERVER])
    assert "seen late" in caplog.text
    told.binds.stop()


@story
async def test_stopping_frees_everything_and_may_be_done_twice() -> None:
    told = Told()
    before = len(os.listdir("/proc/self/fd"))
    told.binds.start()
    Events.made[0].tell(BindEvent(1, 53, "udp", BOUND))
    await told.wait()
    told.binds.stop()
    told.binds.stop()
    assert len(os.listdir("/proc/self/fd")) == before
    assert not told.binds.is_on
