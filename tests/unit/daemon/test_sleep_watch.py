"""After a sleep every link is tried, and one whose agent does not answer is made anew."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from desktop.daemon import wall_clock
from desktop.daemon.attachments import Attachments, _Known
from desktop.daemon.link import AgentLink
from desktop.daemon.sleep_watch import GAP_SECONDS, LOOK_SECONDS, watch_sleep
from tests.capabilities import BOOT_CLOCK, needs
from tests.daemon_world import DaemonWorld, machines, say_nothing
from tests.fake_machine import FakeRegistry

__all__ = ["machines"]


class Clock:
    """A clock, and looks at it that take as long as a test says."""

    def __init__(self, *takes: float) -> None:
        self.now = 500.0
        self.takes = list(takes)
        self.woken: list[float] = []

    async def look(self, seconds: float) -> None:
        assert seconds == LOOK_SECONDS
        if not self.takes:
            raise asyncio.CancelledError
        self.now += self.takes.pop(0)

    async def wake(self) -> None:
        self.woken.append(self.now)
        self.now += 100  # to try the links takes time, which is no sleep

    def watch(self) -> list[float]:
        with pytest.raises(asyncio.CancelledError):
            asyncio.run(watch_sleep(self.wake, lambda: self.now, self.look))
        return self.woken


def test_a_busy_computer_is_not_taken_for_one_that_slept() -> None:
    assert Clock(1.0, 1.1, 2.5, LOOK_SECONDS + GAP_SECONDS - 0.01, 1.0).watch() == []


def test_each_sleep_is_noticed_once_and_what_follows_is_no_sleep() -> None:
    assert Clock(1.0, 3600.0, 1.0, 1.0, LOOK_SECONDS + GAP_SECONDS, 1.0).watch() == [
        4101.0,
        4207.0,
    ]


@pytest.mark.parametrize(
    ("system", "clock"),
    [
        ({"CLOCK_MONOTONIC": 1, "CLOCK_MONOTONIC_RAW": 4, "CLOCK_BOOTTIME": 7}, 7),
        ({"CLOCK_MONOTONIC": 6, "CLOCK_MONOTONIC_RAW": 4}, 4),
        ({}, None),
    ],
    ids=["linux", "macos", "windows"],
)
def test_the_clock_is_one_that_goes_on_during_sleep(
    system: dict[str, int], clock: int | None
) -> None:
    assert wall_clock._clock_of(SimpleNamespace(**system)) == clock


@needs(BOOT_CLOCK)
def test_the_clock_of_this_computer_is_that_since_its_boot() -> None:
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    assert before <= wall_clock.since_boot() <= time.clock_gettime(time.CLOCK_BOOTTIME)


class Link:
    """A link that notes why it was given up."""

    def __init__(self) -> None:
        self.given_up: list[str] = []

    def give_up(self, reason: str) -> None:
        self.given_up.append(reason)


def known(link: Link | None, *, answers: bool, then: Link | None) -> Any:
    attachment = SimpleNamespace(link=link)

    async def ask() -> None:
        attachment.link = then
        if not answers:
            raise TimeoutError

    return _Known(attachment, SimpleNamespace(ask=ask))  # type: ignore[arg-type]


def test_the_link_of_an_agent_that_does_not_answer_is_given_up_and_no_other() -> None:
    silent, well, replaced, new = Link(), Link(), Link(), Link()
    attachments = Attachments(SimpleNamespace())  # type: ignore[arg-type]
    attachments._known = {
        "silent": known(silent, answers=False, then=silent),
        "well": known(well, answers=True, then=well),
        "replaced meanwhile": known(replaced, answers=False, then=new),
        "not linked": known(None, answers=True, then=None),
    }
    asyncio.run(attachments.try_links())
    assert silent.given_up == ["no answer after this computer slept"]
    assert well.given_up == replaced.given_up == new.given_up == []


def test_a_link_that_is_given_up_ends_with_the_reason() -> None:
    async def story() -> str:
        pool = SimpleNamespace(most_idle=0, enough=0, idle=0, waiting=0, clear=lambda: None)
        transport = SimpleNamespace(most_idle=4)
        link = AgentLink(transport, b"", pool, SimpleNamespace())  # type: ignore[arg-type]
        link.give_up("it slept")
        link.give_up("again")
        return await link.run()

    assert asyncio.run(story()) == "it slept"


def test_a_daemon_that_slept_links_anew_with_the_agent_that_does_not_answer(
    tmp_path: Path, machines: FakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept = 0.0
    watch = partial(watch_sleep, clock=lambda: wall_clock.since_boot() + slept)
    monkeypatch.setattr("desktop.daemon.daemon.watch_sleep", watch)
    monkeypatch.setattr("desktop.daemon.sleep_watch.LOOK_SECONDS", 0.01)
    monkeypatch.setattr("desktop.daemon.inquiries.ANSWER_SECONDS", 0.1)

    async def story() -> None:
        nonlocal slept
        async with DaemonWorld(tmp_path, machines) as world:
            await world.daemon.attach("sandbox", say_nothing)
            world.machine("sandbox").is_deaf = True
            slept = 3600.0
            await world.until(lambda: world.daemon.status().counters["links_lost"] >= 1)
            await world.until(lambda: world.attached() == {"sandbox": "connected"})
            assert world.daemon.status().counters["agents_started"] == 1

    asyncio.run(story())
