"""What is done now and then is done in one wake-up."""

from __future__ import annotations

import asyncio
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desktop.daemon.strokes import next_stroke, sleep_to_stroke, stroke_before

PERIODS = st.sampled_from([0.2, 0.5, 1.0, 2.0])
MOMENTS = st.floats(0, 1e7)
LEAST = 1e-6
"""Seconds; what is nearer than this is one moment."""


@given(MOMENTS, PERIODS)
def test_a_moment_lies_between_two_strokes_one_period_apart(moment: float, period: float) -> None:
    before, after = stroke_before(moment, period), next_stroke(moment, period)
    assert before <= moment + LEAST
    assert after >= moment - LEAST
    assert math.isclose(after - before, period, abs_tol=LEAST)


@given(MOMENTS)
def test_strokes_of_a_second_are_strokes_of_its_parts(moment: float) -> None:
    second = next_stroke(moment, 1.0)
    assert abs(stroke_before(second + LEAST, 0.2) - second) < LEAST


def test_who_sleeps_to_a_stroke_wakes_at_one(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    async def note(pause: float) -> None:
        pauses.append(pause)

    async def story() -> tuple[float, float]:
        before = asyncio.get_running_loop().time()
        await sleep_to_stroke(0.5)
        return before, asyncio.get_running_loop().time()

    monkeypatch.setattr("desktop.daemon.strokes.asyncio.sleep", note)
    before, after = asyncio.run(story())
    (pause,) = pauses
    assert 0 < pause <= 0.5
    assert stroke_before(after + pause + LEAST, 0.5) >= before + pause - LEAST
