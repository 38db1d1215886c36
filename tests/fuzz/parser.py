"""What every parser must hold to: it returns, or raises its one documented error, within bounds.

Rules: a `Parser` takes bytes and nothing else, so one table serves Hypothesis (`test_parsers`),
the corpus (`test_corpus`) and the coverage-guided fuzzer (`python -m tests.fuzz`). What a header
claims is never allocated: memory is bounded by what was really given.

Limits: work is counted in lines of Python that run, which no other load of the computer changes.
What one call of C takes is not in it: the limit of time of a test, or of libFuzzer, has to do.
"""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Any, Final

from hypothesis import strategies as st

__all__ = ["Parser", "check", "check_bounds", "inputs", "lines_run", "pieces"]

SPARE_MEMORY: Final = 4 << 20
"""Bytes that any parser may take: buffers, and what it remembers."""
MEMORY_PER_BYTE: Final = 200
"""Bytes for each one given: `{"":{"":…` in JSON makes a dictionary of four letters."""
SPARE_LINES: Final = 20_000
"""Lines that any parser may run: an event loop, a store of settings."""
LINES_PER_BYTE: Final = 120
"""Lines for each one given: `/proc/PID/cgroup` has one path in two bytes."""

LONGEST_INPUT: Final = 400
MOST_CHANGES: Final = 6


@dataclass(frozen=True)
class Parser:
    """One parser.

    Attributes:
        name: module and function, for people.
        parse: the parser, with what it returns checked for sense by `assert`.
        error: the only thing that it may raise.
        seeds: what the other end really says.
        refuses: what it says is refused all the same, as a handshake that was recorded.
        longest: bytes of the inputs that are made to be dear; what says more is not read whole.
    """

    name: str
    parse: Callable[[bytes], object]
    error: type[Exception] | tuple[type[Exception], ...] = ()
    seeds: tuple[bytes, ...] = ()
    refuses: bool = False
    longest: int = 200_000


def check(parser: Parser, data: bytes) -> bool:
    """Parse; True if it was understood. Any other error than the documented one comes out."""
    try:
        parser.parse(data)
    except parser.error:
        return False
    return True


def lines_run(parser: Parser, data: bytes) -> int:
    """Parse; how many lines of Python that took."""
    count = 0

    def step(_frame: FrameType, event: str, _arg: Any) -> Callable[..., Any]:
        nonlocal count
        count += event == "line"
        return step

    before = sys.gettrace()
    sys.settrace(step)
    try:
        check(parser, data)
    finally:
        sys.settrace(before)
    return count


def check_bounds(parser: Parser, data: bytes) -> None:
    """Parse, and fail if that takes more work or memory than what was given may cost."""
    lines = lines_run(parser, data)
    assert lines <= SPARE_LINES + LINES_PER_BYTE * len(data), f"{lines} lines for {len(data)} B"
    tracemalloc.start()
    try:
        check(parser, data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    most = SPARE_MEMORY + MEMORY_PER_BYTE * len(data)
    assert peak <= most, f"{peak} bytes of memory for {len(data)}"


def inputs(parser: Parser) -> st.SearchStrategy[bytes]:
    """Noise, and what the other end really says, damaged in a few places."""
    noise = st.binary(max_size=LONGEST_INPUT)
    if not parser.seeds:
        return noise
    return _damaged(parser.seeds) | noise


@st.composite
def _damaged(draw: st.DrawFn, seeds: tuple[bytes, ...]) -> bytes:
    data = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(0, MOST_CHANGES))):
        start = draw(st.integers(0, len(data)))
        change = draw(
            st.sampled_from(["cut off", "remove", "insert", "overwrite", "repeat", "join"])
        )
        size = draw(st.integers(0, 12))
        if change == "cut off":
            data = data[:start]
        elif change == "remove":
            data = data[:start] + data[start + size :]
        elif change == "insert":
            data = data[:start] + draw(_TELLING) + data[start:]
        elif change == "overwrite":
            new = draw(_TELLING)
            data = data[:start] + new + data[start + len(new) :]
        elif change == "repeat":
            part = data[start : start + size * 8]
            data = data[:start] + part * draw(st.integers(2, 20)) + data[start:]
        else:
            data = data[:start] + draw(st.sampled_from(seeds))
    return data


_TELLING: Final = st.sampled_from(
    [
        *(b"\0", b"\xff", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80", b"\0\0\0\0", b"\n"),
        *(b"9" * 30, b"9" * 5000, b"-1", b"1e999", b"NaN", b"null", b"true", b"[]", b"{}", b'""'),
        *(b"[" * 60, b'{"a":' * 60, b'"\\ud800"', b'"\\u0000"', b"\xc3\x28", b"\xed\xa0\x80"),
        *(b" ", b":", b"/", b"..", b"%s", b"\r\n", b"\r\n\r\n", b"\x1b[31m", b"\xe2\x80\xae"),
    ]
) | st.binary(min_size=1, max_size=8)
"""What parsers stumble over: ends of ranges, nesting, half characters, other types."""


def pieces(data: bytes) -> list[bytes]:
    """`data` as a stream may bring it: the first byte says in pieces of what size."""
    size = data[0] if data else 0
    rest = data[1:]
    return [rest] if not size else [rest[at : at + size] for at in range(0, len(rest), size)]
