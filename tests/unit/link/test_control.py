"""The words in which a control session's end is told to a person."""

from __future__ import annotations

import asyncio

import pytest

from link.control import ControlConnection


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (None, "the other end closed the link"),
        (BrokenPipeError(32, "Broken pipe"), "the link broke: Broken pipe"),
        (ValueError("a fault"), "the link broke: a fault"),
    ],
)
def test_a_lost_link_is_told_in_words_without_an_error_number(
    error: Exception | None, reason: str
) -> None:
    async def story() -> None:
        told: list[str] = []
        connection = ControlConnection(beats=False, on_message=lambda _: None, on_end=told.append)
        connection.connection_lost(error)
        assert told == [reason]

    asyncio.run(story())
