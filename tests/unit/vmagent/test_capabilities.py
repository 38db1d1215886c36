"""What of root's power the agent keeps, in a child of the test."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from vmagent.capabilities import BPF, FOWNER, KEPT, SYS_ADMIN, SYS_PTRACE, kept

ALL = (1 << 41) - 1

PROGRAM = """
import json, logging, os, sys, threading
logging.basicConfig(stream=sys.stderr)
from vmagent.capabilities import keep_only
keep_only(json.loads(sys.argv[1]))

def look(place):
    with open(place + "/status") as file:
        lines = [line.split() for line in file if line.startswith(("Cap", "NoNew"))]
    found.append({name.rstrip(":"): value for name, value in lines})

found = []
look("/proc/self")
thread = threading.Thread(target=look, args=("/proc/thread-self",))
thread.start()
thread.join()
pid = os.fork()
if pid == 0:
    os.execv("/bin/cat", ["cat", "/proc/self/status"])
os.waitpid(pid, 0)
print(json.dumps(found))
"""


def bits(number: int) -> set[int]:
    return {bit for bit in range(64) if number >> bit & 1}


def own() -> int:
    line = next(x for x in Path("/proc/self/status").read_text().splitlines() if "CapPrm" in x)
    return int(line.split()[1], 16)


def left(*also: int) -> tuple[list[dict[str, str]], str, str]:
    """What a child has in its threads, what it starts has, and what was logged."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(also)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[3],
    )
    *started, found = done.stdout.splitlines()
    return json.loads(found), "\n".join(started), done.stderr


def test_all_that_is_kept_is_of_use_and_nothing_else() -> None:
    assert bits(kept(ALL)) == set(KEPT)
    assert bits(kept(ALL, [FOWNER])) == {*KEPT, FOWNER}


def test_whoever_may_not_look_into_all_processes_keeps_what_lets_it_look_into_some() -> None:
    of_a_container = 0x00000000A80425FB  # as Docker gives it
    assert kept(of_a_container) == of_a_container
    assert kept(ALL & ~(1 << SYS_PTRACE)) == ALL & ~(1 << SYS_PTRACE)


def test_what_was_never_had_is_not_kept() -> None:
    assert kept(0, [FOWNER]) == 0
    assert bits(kept(ALL & ~(1 << BPF))) == {*KEPT, SYS_ADMIN} - {BPF}


@pytest.mark.skipif(os.geteuid() != 0, reason="gives up what only root has")
@pytest.mark.parametrize("also", [(), (FOWNER,)])
def test_the_rest_is_gone_for_threads_and_for_what_is_started(also: tuple[int, ...]) -> None:
    wanted = kept(own(), also)
    threads, started, logged = left(*also)
    assert logged == ""
    assert len(threads) == 2
    for each in threads:
        assert each["CapEff"] == each["CapPrm"] == f"{wanted:016x}"
        assert int(each["CapBnd"], 16) & ~wanted == 0
        assert (int(each["CapInh"], 16), int(each["CapAmb"], 16)) == (0, 0)
        assert each["NoNewPrivs"] == "1"
    effective = next(line for line in started.splitlines() if line.startswith("CapEff"))
    assert int(effective.split()[1], 16) & ~wanted == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_whoever_has_nothing_keeps_nothing_and_that_is_no_error() -> None:
    done = subprocess.run(
        ["setpriv", "--bounding-set=-all", "--inh-caps=-all", sys.executable, "-c", PROGRAM, "[]"],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[3],
    )
    threads = json.loads(done.stdout.splitlines()[-1])
    assert {int(each["CapEff"], 16) for each in threads} == {0}
    assert done.stderr == ""
