"""Tools are asked within limits, told what to do with progress, and ended when nobody waits."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from desktop.machines.found.tools import ToolError, Tools, ToolTrouble
from tests.fake_tools import FakeTools

SPEAKS = r"""
echo 'time="2026-11-27T08:00:00Z" level=info msg="Starting \"docker\" (hint: see the log)"' >&2
printf 'pulling 1%%\rpulling 50%%\r\033[32mpulling 100%%\033[0m\n'
printf 'no end of line'
"""


def ask(tools: Tools, *argv: str) -> bytes:
    return asyncio.run(tools.ask(*argv))


def tell(tools: Tools, *argv: str) -> list[str]:
    """What is said meanwhile."""
    said: list[str] = []
    asyncio.run(tools.tell(*argv, progress=said.append))
    return said


# Where they are


def test_the_path_comes_before_the_usual_places_and_the_home(
    fake: FakeTools, tmp_path: Path
) -> None:
    tools = Tools(fake.environment, installed=(str(tmp_path / "opt"),))
    assert tools.where("rdctl") is None
    places = [fake.home / ".rd" / "bin", tmp_path / "opt", fake.folder]
    for place in places:
        place.mkdir(parents=True, exist_ok=True)
        (place / "rdctl").write_text("#!/bin/sh\n")
        (place / "rdctl").chmod(0o755)
        assert tools.where("rdctl") == str(place / "rdctl")


@pytest.mark.parametrize(
    ("environment", "home"),
    [({"HOME": "/home/ada"}, "/home/ada"), ({"USERPROFILE": "/c/ada", "PATH": ""}, "/c/ada")],
)
def test_the_home_is_that_of_the_environment(environment: dict[str, str], home: str) -> None:
    assert Tools(environment).home == Path(home)


def test_without_a_home_in_the_environment_the_system_knows_one() -> None:
    assert Tools({}).home == Path.home()


# Asking


def test_what_a_tool_prints_is_the_answer_and_its_complaints_are_not(fake: FakeTools) -> None:
    fake.put("limactl", b"answer\n", errors=b"a warning\n")
    assert ask(fake.tools(), "limactl", "list") == b"answer\n"
    assert fake.calls() == ["limactl list"]


def test_a_tool_gets_the_persons_environment_with_what_is_added_and_no_input(
    fake: FakeTools,
) -> None:
    fake.script("wsl.exe", 'echo "$LIMA_HOME $WSL_UTF8 $(cat)"')
    tools = fake.tools(LIMA_HOME="/lima")
    answer = asyncio.run(tools.ask("wsl.exe", environment={"WSL_UTF8": "1"}))
    assert answer == b"/lima 1 \n"


@pytest.mark.parametrize(
    ("script", "trouble", "words"),
    [
        ("echo one; echo two >&2; echo three >&2; exit 4", ToolTrouble.FAILED, "failed: three"),
        ("echo only this; exit 4", ToolTrouble.FAILED, "failed: only this"),
        ("exit 4", ToolTrouble.FAILED, "failed: exit status 4"),
        ("kill -TERM $$", ToolTrouble.FAILED, "failed: signal 15"),
        ("printf 'a\\033[31mb\\n' >&2; exit 1", ToolTrouble.FAILED, "failed: a [31mb"),
        ("head -c 9000000 /dev/zero", ToolTrouble.FLOODS, "more than 8 MiB"),
    ],
)
def test_a_tool_that_gives_no_answer_says_why(
    fake: FakeTools, script: str, trouble: ToolTrouble, words: str
) -> None:
    fake.script("colima", script)
    with pytest.raises(ToolError) as caught:
        ask(fake.tools(), "colima", "list")
    assert caught.value.trouble is trouble
    assert words in caught.value.message
    assert "colima list" in caught.value.remedy


def test_a_tool_that_takes_too_long_is_told_apart(fake: FakeTools) -> None:
    fake.broken("colima", "hangs")
    tools = Tools(fake.environment, installed=(), ask_seconds=0.1)
    with pytest.raises(ToolError) as caught:
        ask(tools, "colima", "list")
    assert caught.value.trouble is ToolTrouble.HANGS
    assert fake.survivors() == []


def test_the_answer_of_a_tool_whose_child_holds_its_output_is_taken(fake: FakeTools) -> None:
    fake.broken("colima", "leaves a child that holds its output")
    assert ask(fake.tools(), "colima", "list") == b"[]\n"
    assert fake.survivors() == []


# Telling


def test_each_line_is_progress_without_what_is_only_for_terminals(fake: FakeTools) -> None:
    fake.script("limactl", SPEAKS)
    assert tell(fake.tools(), "limactl", "start", "docker") == [
        'Starting "docker" (hint: see the log)',
        "pulling 1%",
        "pulling 50%",
        "pulling 100%",
        "no end of line",
    ]


def test_a_line_without_end_is_told_in_parts(fake: FakeTools) -> None:
    fake.script("limactl", "head -c 20000 /dev/zero | tr '\\0' x")
    said = tell(fake.tools(), "limactl")
    assert said
    assert all(len(line) <= 200 for line in said)


def test_a_tool_that_fails_is_named_with_its_last_words(fake: FakeTools) -> None:
    fake.script("limactl", "echo first; echo 'level=fatal msg=\"no such instance\"' >&2; exit 1")
    with pytest.raises(ToolError) as caught:
        tell(fake.tools(), "limactl", "start", "x")
    assert caught.value.message == "limactl start x failed: no such instance"
    assert caught.value.remedy


def test_what_a_tool_leaves_running_runs_on(fake: FakeTools) -> None:
    fake.script("limactl", f"sleep 1000 & echo $! >> {fake.pids}; echo started")
    assert tell(fake.tools(), "limactl", "start", "x") == ["started"]
    (pid,) = fake.alive()
    os.kill(pid, signal.SIGKILL)
    assert fake.survivors() == []


def cancel(tools: Tools, fake: FakeTools, ready: Callable[[], object]) -> None:
    """Tell limactl something and cancel that once it is ready."""

    async def body() -> None:
        task = asyncio.create_task(tools.tell("limactl", "start", progress=lambda _: None))
        await asyncio.to_thread(ready)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(body())
    assert fake.survivors() == []


def test_cancelled_it_is_told_to_end_so_that_it_can_clean_up(fake: FakeTools) -> None:
    fifo = fake.home / "fifo"
    os.mkfifo(fifo)
    fake.script(
        "limactl",
        f"trap 'echo cleaned > {fake.home}/cleaned; exit 1' TERM; echo $$ >> {fake.pids};"
        f" echo ready > {fifo}; while :; do sleep 0.01; done",
    )
    cancel(fake.tools(), fake, fifo.read_text)
    assert (fake.home / "cleaned").read_text() == "cleaned\n"


def test_cancelled_it_is_killed_if_it_does_not_end(
    fake: FakeTools, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("desktop.machines.found.tools.POLITE_SECONDS", 0.1)
    fake.broken("limactl", "hangs though told to end")
    cancel(fake.tools(), fake, fake.await_call)
