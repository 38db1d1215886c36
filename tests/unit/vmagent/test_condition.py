"""What an agent tells of itself."""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path

from link.messages import MAX_ENGINES, MAX_TEXT, EngineState, decode, encode
from vmagent.condition import condition


def test_it_tells_who_it_is_what_it_may_and_what_time_it_is() -> None:
    before = time.time()
    told = condition(3, [EngineState("/run/docker.sock", "")])
    assert (told.number, told.uid) == (3, os.geteuid())
    assert before - 0.001 <= told.clock_ms / 1000 <= time.time()
    assert told.files_limit == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert 3 <= told.files_open <= told.files_limit
    assert f"{told.capabilities:016x}" in Path("/proc/self/status").read_text()
    assert told.engines == (EngineState("/run/docker.sock", ""),)


def test_whatever_engines_say_it_can_be_sent() -> None:
    told = condition(1, [EngineState("/run/" + "x" * 999, "half \ud83d")] * (MAX_ENGINES + 1))
    assert len(told.engines) == MAX_ENGINES
    assert told.engines[0] == EngineState("/run/" + "x" * (MAX_TEXT - 5), "half ?")
    assert decode(encode(told)) == told


def test_what_the_system_does_not_tell_is_nothing(tmp_path: Path) -> None:
    told = condition(1, (), str(tmp_path))
    assert (told.capabilities, told.files_open) == (0, 0)
