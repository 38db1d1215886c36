"""Asking an agent how it is, and what that tells of its clock."""

from __future__ import annotations

import asyncio

import pytest

from desktop.daemon import inquiries
from desktop.daemon.inquiries import Inquiries, Told
from link.messages import Condition, Inquiry


def condition(number: int, clock_ms: int) -> Condition:
    return Condition(number, clock_ms, 0, 0, 0, 0, ())


def ask(times: list[float], clock_ms: int) -> Told:
    """Ask an agent whose clock says so, with these times of sending and hearing."""

    async def story() -> Told:
        asked = Inquiries(iter(times).__next__)

        def send(inquiry: Inquiry) -> None:
            asked.answered(condition(inquiry.number + 1, 0))
            asked.answered(condition(inquiry.number, clock_ms))

        return await asked.ask(send)

    return asyncio.run(story())


def test_the_clock_of_the_machine_is_compared_with_the_middle_of_the_question() -> None:
    told = ask([100.0, 100.5], 107_250)
    assert (told.clock_difference, told.clock_uncertainty) == (7.0, 0.25)


def test_an_agent_that_says_nothing_is_not_waited_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(inquiries, "ANSWER_SECONDS", 0.01)
    said: list[Inquiry] = []
    asked = Inquiries()
    with pytest.raises(TimeoutError):
        asyncio.run(asked.ask(said.append))
    asked.answered(condition(said[0].number, 0))
    assert said == [Inquiry(1)]
