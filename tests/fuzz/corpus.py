"""Inputs that reach something that no other does, one a line in hexadecimal digits.

Kept by `python -m tests.fuzz`, small and few; replayed by `test_corpus`, which needs no fuzzer.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import FrameType
from typing import Any, Final

from tests.fuzz.parser import Parser, check
from tests.fuzz.table import PARSERS

__all__ = ["TARGETS", "file_of", "load", "save", "smallest"]

TARGETS: Final = {
    short: next(parser for parser in PARSERS if parser.name == name)
    for short, name in (
        ("wire", "link.session.ControlSession.receive"),
        ("relay", "link.relay.frames.Unframer.feed"),
        ("datagrams", "link.datagrams.frames.cut"),
        ("mux", "link.mux.session.MuxSession.receive"),
        ("netlink", "link.sockdiag_wire.parse_batch (tcp)"),
    )
}
"""What is fuzzed by coverage, by the name of its file."""

FOLDER: Final = Path(__file__).with_name("corpus")
PRODUCT: Final = str(Path(__file__).parents[2] / "link")
LONGEST: Final = 2048
"""Bytes of an input that is kept."""

_Arc = tuple[str, int, int]
"""A file, and two lines of it, one run after the other."""


def file_of(target: str) -> Path:
    """Where the inputs for a target are kept."""
    return FOLDER / f"{target}.hex"


def load(target: str) -> list[bytes]:
    """The inputs for a target."""
    path = file_of(target)
    return [bytes.fromhex(line) for line in path.read_text().split("\n")] if path.exists() else []


def save(target: str, inputs: Iterable[bytes]) -> None:
    """Keep these, in place of those that were there."""
    FOLDER.mkdir(exist_ok=True)
    file_of(target).write_text("\n".join(each.hex() for each in inputs))


def smallest(parser: Parser, inputs: Iterable[bytes]) -> list[bytes]:
    """Few of these that reach all that they reach together; the shortest come first."""
    kept, reached = [], set[_Arc]()
    for data in sorted(set(inputs), key=lambda each: (len(each), each)):
        if len(data) <= LONGEST and (new := _arcs(parser, data) - reached):
            reached |= new
            kept.append(data)
    return kept


def _arcs(parser: Parser, data: bytes) -> set[_Arc]:
    arcs: set[_Arc] = set()

    def enter(frame: FrameType, _event: str, _arg: Any) -> Callable[..., Any] | None:
        file = frame.f_code.co_filename
        if not file.startswith(PRODUCT):
            return None
        last = 0

        def step(inner: FrameType, event: str, _arg: Any) -> Any:
            nonlocal last
            if event == "line":
                arcs.add((file, last, inner.f_lineno))
                last = inner.f_lineno
            return step

        return step

    sys.settrace(enter)
    try:
        check(parser, data)
    finally:
        sys.settrace(None)
    return arcs
