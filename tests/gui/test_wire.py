"""The lines of the control API as the window reads them: whole, cut anywhere, and nonsense."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desktop.api.messages import MAX_LINE, encode, hello
from gui.wire import (
    Answered,
    Asked,
    Changed,
    Event,
    Failed,
    Greeted,
    Problem,
    Refused,
    Told,
    Wire,
    WireError,
)
from link.version import PROTOCOL, VERSION

ERROR = {"code": "USAGE", "message": "no", "remedy": "yes"}


def events(wire: Wire, *messages: object) -> list[Event]:
    return list(wire.receive(b"".join(map(encode, messages))))


def asked(*methods: str) -> Wire:
    """A wire that is greeted, with these requests under way: 1, 2, …"""
    wire = Wire()
    assert events(wire, hello()) == [Greeted(PROTOCOL, VERSION)]
    for number, method in enumerate(methods, 1):
        assert wire.request(method, {})[0] == number
    return wire


def test_a_request_is_a_line_with_a_number_of_its_own() -> None:
    wire = Wire()
    assert json.loads(wire.hello()) == {"hello": {"protocol": PROTOCOL, "version": VERSION}}
    first, line = wire.request("attach", {"machine": None})
    assert json.loads(line) == {"id": first, "method": "attach", "params": {"machine": None}}
    second, _ = wire.request("status", {})
    assert first != second


@pytest.mark.parametrize("line", [{"id": 1, "result": 1}, {"id": 1, "progress": "x"}, {"id": 9}])
def test_before_hello_nothing_else_may_be_said(line: object) -> None:
    wire = Wire()
    wire.request("status", {})
    with pytest.raises(WireError, match="no hello"):
        events(wire, line)
    assert events(Wire(), {"error": ERROR}) == [Refused(Problem("no", "yes", "USAGE"))]


def test_a_request_that_is_too_long_is_not_made() -> None:
    wire = Wire()
    with pytest.raises(ValueError, match="longer than"):
        wire.request("set_setting", {"key": "ignore", "value": "x" * MAX_LINE})
    assert wire.request("status", {})[0] == 1


def test_each_kind_of_line_is_an_event() -> None:
    wire = asked("attach", "status", "subscribe")
    delta = {"revision": 2, "added": [], "changed": [], "removed": []}
    assert events(
        wire,
        hello(),
        {"id": 1, "progress": "starting"},
        {"id": 1, "question": "Password:", "secret": True, "number": 1},
        {"id": 1, "error": ERROR},
        {"id": 2, "result": None},
        {"id": 3, "result": {"revision": 1, "ports": []}},
        {"id": 3, "event": delta},
        {"error": ERROR},
    ) == [
        Greeted(PROTOCOL, VERSION),
        Told(1, "starting"),
        Asked(1, 1, "Password:", True),
        Failed(1, Problem("no", "yes", "USAGE")),
        Answered(2, None),
        Answered(3, {"revision": 1, "ports": []}),
        Changed(3, delta),
        Refused(Problem("no", "yes", "USAGE")),
    ]


def test_an_answer_to_a_question_names_it() -> None:
    wire = asked("attach")
    (question,) = events(wire, {"id": 1, "question": "Who?", "secret": False, "number": 7})
    assert isinstance(question, Asked)
    assert json.loads(wire.answer(question, "me")) == {"id": 1, "answer": "me", "number": 7}
    assert json.loads(wire.answer(question, None))["answer"] is None


def test_the_parts_of_a_list_come_before_its_end() -> None:
    wire = asked("subscribe", "ports")
    assert events(
        wire,
        {"id": 1, "part": [1, 2], "of": "ports"},
        {"id": 2, "part": [7], "of": "ports"},
        {"id": 1, "part": [3], "of": "ports"},
        {"id": 1, "part": [9], "of": "containers"},
        {"id": 1, "result": {"revision": 5, "ports": [4], "containers": []}},
        {"id": 2, "result": {"revision": 6, "ports": []}},
        {"id": 1, "part": [8], "of": "added"},
        {"id": 1, "event": {"revision": 6, "added": [], "changed": [], "removed": []}},
        {"id": 1, "event": {"revision": 7, "added": [], "changed": [], "removed": []}},
    ) == [
        Answered(1, {"revision": 5, "ports": [1, 2, 3, 4], "containers": [9]}),
        Answered(2, {"revision": 6, "ports": [7]}),
        Changed(1, {"revision": 6, "added": [8], "changed": [], "removed": []}),
        Changed(1, {"revision": 7, "added": [], "changed": [], "removed": []}),
    ]


def test_what_is_said_of_no_request_under_way_is_not_heard() -> None:
    wire = asked("status")
    lines = [{"id": 1, "result": 1}, {"id": 1, "result": 2}, {"id": 9, "progress": "x"}]
    assert events(wire, *lines) == [Answered(1, 1)]


@pytest.mark.parametrize(
    "line",
    [
        b"\xff\xfe\n",
        b"\n",
        b"[]\n",
        b"3\n",
        b"null\n",
        b"{}\n",
        b'{"id": "one"}\n',
        b'{"id": 1}\n',
        b'{"id": 1, "part": {}, "of": "ports"}\n',
        b'{"id": 1, "progress": 5}\n',
        b'{"hello": {"protocol": "new"}}\n',
        b'{"error": "no"}\n',
        b'{"id":' + b"[" * 100_000 + b"\n",
        b"x" * MAX_LINE,
        b" " * MAX_LINE + b"\n",
    ],
)
def test_nonsense_is_told(line: bytes) -> None:
    wire = asked("status")
    with pytest.raises(WireError):
        list(wire.receive(line))


def test_what_came_before_nonsense_counts() -> None:
    happened = Wire().receive(encode(hello()) + b"nonsense\n")
    assert next(happened) == Greeted(PROTOCOL, VERSION)
    with pytest.raises(WireError):
        next(happened)


def test_parts_of_what_is_no_list_are_nonsense() -> None:
    wire = asked("status")
    lines = encode({"id": 1, "part": [1], "of": "ports"}) + encode({"id": 1, "result": None})
    with pytest.raises(WireError, match="no list"):
        list(wire.receive(lines))


def test_parts_without_end_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gui.wire.MOST_HELD", 10_000)
    wire = asked("ports", "subscribe")
    part = {"part": ["x" * 1000], "of": "ports"}
    for number in (1, 2) * 4:
        assert events(wire, {"id": number, **part}) == []
    with pytest.raises(WireError, match="more than 10000 bytes"):
        events(wire, {"id": 1, **part}, {"id": 2, **part})


def test_a_line_of_the_greatest_length_is_read() -> None:
    wire = asked("status")
    filling = MAX_LINE - len(encode({"id": 1, "result": ""}))
    assert events(wire, {"id": 1, "result": "x" * filling}) == [Answered(1, "x" * filling)]


json_values: st.SearchStrategy[object] = st.sampled_from(
    [
        None,
        True,
        7,
        "text \n \u2603",
        [],
        [1, "two"],
        {},
        {"ports": [5]},
        {"ports": {}, "deep": [[{}]]},
    ]
)
objects = st.sampled_from([{}, {"revision": 3}, {"added": [1], "changed": []}])
lines_of_requests = st.fixed_dictionaries(
    {"id": st.integers(1, 4)},
    optional={
        "progress": st.sampled_from(["", "starting", "\u2603" * 9]),
        "result": json_values,
        "part": st.lists(json_values, max_size=3),
        "of": st.sampled_from(["ports", "added"]),
        "event": objects,
        "error": st.just(ERROR),
    },
)


def read(wire: Wire, pieces: Sequence[bytes]) -> tuple[list[Event], str]:
    """All events up to the first nonsense, and what that is."""
    heard: list[Event] = []
    try:
        for piece in pieces:
            for event in wire.receive(piece):
                heard.append(event)  # noqa: PERF402 - what came before nonsense counts
    except WireError as error:
        return heard, str(error)
    return heard, ""


@given(st.lists(lines_of_requests, max_size=8), st.lists(st.integers(0, 500), max_size=8))
def test_where_the_bytes_are_cut_makes_no_difference(
    messages: list[dict[str, Any]], cuts: list[int]
) -> None:
    data = b"".join(map(encode, messages))
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    pieces = [data[start:end] for start, end in itertools.pairwise(places)]
    methods = ("status", "ports", "subscribe")
    by_line = [encode(message) for message in messages]
    assert read(asked(*methods), pieces) == read(asked(*methods), by_line)


@given(st.lists(st.binary(max_size=200)))
def test_bytes_at_random_never_raise_anything_else(pieces: list[bytes]) -> None:
    heard, why = read(asked("status", "subscribe"), pieces)
    assert isinstance(why, str)
    assert all(isinstance(event, Greeted | Told | Answered | Changed | Failed) for event in heard)
