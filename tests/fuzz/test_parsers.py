"""Every parser returns or raises its one documented error, in bounded time and memory."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from link.messages import Message
from tests.effort import EFFORT
from tests.fuzz.parser import SPARE_LINES, Parser, check, check_bounds, inputs, lines_run
from tests.fuzz.table import PARSERS
from tests.link_messages import MESSAGES

every_parser = pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.name)


@every_parser
def test_what_the_other_end_really_says_is_understood(parser: Parser) -> None:
    assert any(check(parser, seed) for seed in parser.seeds) is not parser.refuses


def test_every_kind_of_message_of_the_link_is_damaged() -> None:
    assert {type(each) for each in MESSAGES} == set(get_args(Message))


@every_parser
@settings(
    max_examples=60 * EFFORT, deadline=None, suppress_health_check=list(HealthCheck), database=None
)
@given(data=st.data())
def test_anything_is_understood_or_refused_within_bounds(
    parser: Parser, data: st.DataObject
) -> None:
    check_bounds(parser, data.draw(inputs(parser)))


def dear(parser: Parser, size: int) -> list[bytes]:
    """What is long, deep, or claims to be."""
    general = [
        b"[" * size,
        b'{"a":' * (size // 5),
        b'{"kind":' + b"[" * 900 + b"]" * 900 + b"}",
        b"9" * size,
        b"\0" * size,
        b"\xff" * size,
        b"\n" * size,
        b" " * size,
        b"a:" * (size // 2),
        b"%" * size,
    ]
    repeated = [seed * (size // len(seed)) for seed in parser.seeds if seed]
    begun = [seed[: len(seed) // 2] + b"9" * size for seed in parser.seeds]
    return general + repeated + begun


@every_parser
def test_what_is_long_or_deep_costs_in_proportion(parser: Parser) -> None:
    for data in dear(parser, parser.longest):
        check_bounds(parser, data)


GROWTH = 2.1
"""By how much more work twice as much is: a square makes it four times as much."""


@every_parser
def test_twice_as_much_is_twice_as_much_work(parser: Parser) -> None:
    size = min(parser.longest, 40_000)
    for half, whole in zip(dear(parser, size // 2), dear(parser, size), strict=True):
        assert lines_run(parser, whole) <= SPARE_LINES + GROWTH * lines_run(parser, half)
