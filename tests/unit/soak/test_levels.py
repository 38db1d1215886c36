"""What is more than it may be is said, by kind; what is kept on purpose has its limit."""

from __future__ import annotations

import itertools
import os
import socket
from dataclasses import replace
from typing import Final

import pytest

from link.pool import MAX_IDLE
from link.relay.kernel import MAX_SPARE_PIPES
from tests.soak import levels as of_soak
from tests.soak.levels import MORE_BYTES, MOST_THREADS, Level, beyond, level_of

START: Final = Level(
    kinds={"file": 6, "pipe": 1, "stream": 37, "udp": 1},
    memory=20 << 20,
    threads=3,
    forgotten=0,
    tasks=("dialler 1", "tick"),
)


@pytest.mark.parametrize(
    ("kind", "most"), [("pipe", 2 * MAX_SPARE_PIPES), ("stream", 2 * MAX_IDLE), ("raw", 2)]
)
def test_what_is_kept_on_purpose_may_be_more_up_to_its_limit(kind: str, most: int) -> None:
    limit = START.kinds.get(kind, 0) + most
    assert replace(START, kinds={**START.kinds, kind: limit}).beyond(START) == ""
    assert kind in replace(START, kinds={**START.kinds, kind: limit + 1}).beyond(START)


@pytest.mark.parametrize("kind", ["file", "udp", "bpf-link"])
def test_of_anything_else_one_more_is_too_many(kind: str) -> None:
    more = replace(START, kinds={**START.kinds, kind: START.kinds.get(kind, 0) + 1})
    assert f"of {kind}," in more.beyond(START)


def test_memory_threads_and_tasks_have_their_limits() -> None:
    assert replace(START, memory=START.memory + MORE_BYTES).beyond(START) == ""
    assert "MiB" in replace(START, memory=START.memory + MORE_BYTES + 1).beyond(START)
    assert "threads" in replace(START, threads=START.threads + MOST_THREADS + 1).beyond(START)
    assert replace(START, tasks=("tick",)).beyond(START) == ""
    twice = replace(START, tasks=("dialler 1", "tick", "tick"))
    assert twice.beyond(START) == "task 'tick' is too many"


def test_a_stream_that_only_one_end_has_is_found() -> None:
    start = {"daemon": START, "agent": START}
    more = replace(START, kinds={**START.kinds, "stream": 38})
    assert beyond({"daemon": more, "agent": more}, start) == []
    assert beyond({"daemon": START, "agent": more}, start) == [
        "the daemon has -1 streams more than the agent"
    ]


def test_a_connection_whose_end_nobody_noticed_is_seen() -> None:
    before = level_of(os.getpid())
    with socket.create_server(("127.0.0.1", 0)) as server:
        with socket.create_connection(server.getsockname()) as client:
            server.accept()[0].close()
            assert client.recv(1) == b""
            after = level_of(os.getpid())
    assert after.forgotten == before.forgotten + 1
    assert "CLOSE_WAIT" in after.beyond(before)


def test_a_level_is_taken_once_nothing_changes_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    dialling = replace(START, kinds={**START.kinds, "stream": 41})
    told = iter([dialling, START, dialling, START, START, dialling])
    monkeypatch.setattr(of_soak, "LOOK_SECONDS", 0)
    monkeypatch.setattr(of_soak, "levels", lambda *_: {"daemon": next(told)})
    assert of_soak.at_rest(None, "tcp") == {"daemon": START}  # type: ignore[arg-type]
    assert list(told) == [dialling]


def test_who_never_comes_to_rest_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = itertools.count()
    monkeypatch.setattr(of_soak, "LOOK_SECONDS", 0)
    monkeypatch.setattr(of_soak, "REST_SECONDS", 0)
    monkeypatch.setattr(
        of_soak, "levels", lambda *_: {"agent": replace(START, kinds={"tcp": next(counts)})}
    )
    with pytest.raises(TimeoutError, match="no rest"):
        of_soak.at_rest(None, "tcp")  # type: ignore[arg-type]
