"""An agent gets its order and its answer is understood; one that does not start says why."""

from __future__ import annotations

import asyncio
import json
import sys

import pytest

from desktop.errors import MachineUnreachableError
from desktop.machines.doors import OpenDoor, StdioDoor, StdioOrder, TcpDoor, TcpOrder, UnixOrder
from desktop.machines.launch import AgentStartError, Order, launch
from desktop.machines.process import ChildProcess
from link.outcome import Outcome
from tests.capabilities import LINUX_KERNEL, needs
from tests.streams import receive_all

ORDER = Order("00ff", TcpOrder("10.213.0.2", peer="10.213.0.1"), ["/run/docker.sock"])
DOOR = '{"ready": true, "door": {"kind": "tcp", "ports": [4711]}}'


def start(program: str, feed: bytes = b"", seconds: float = 10) -> tuple[TcpDoor, bytes]:
    """Start a stand-in for the agent: its door, and what it says until its input ends."""

    async def body() -> tuple[TcpDoor, bytes]:
        process = await ChildProcess.start([sys.executable, "-I", "-c", program])
        door = await launch(process, ORDER, TcpDoor, feed=feed, seconds=seconds)
        process.end_input()
        output = await receive_all(process.stream)
        await process.wait()
        return door, output

    return asyncio.run(body())


def test_the_agent_gets_its_order_and_its_door_is_returned() -> None:
    door, output = start(f"print({DOOR!r}, flush=True); print(input())")
    assert door == TcpDoor((4711,))
    place = {"address": "10.213.0.2", "port": 0, "peer": "10.213.0.1"}
    told = {"kind": "tcp", **place, "carries_reset": True}
    assert json.loads(output) == {
        "secret": "00ff",
        "door": told,
        "engine_sockets": ["/run/docker.sock"],
        "ebpf": True,
    }


@pytest.mark.parametrize(
    ("order", "told"),
    [
        (UnixOrder(1000, 9), {"kind": "unix", "owner": 1000, "buffer_bytes": 9}),
        (StdioOrder(), {"kind": "stdio"}),
    ],
)
def test_each_kind_of_door_has_its_words(order: UnixOrder, told: dict[str, object]) -> None:
    program = f"import json; print(json.loads(input())['door'] == {told!r})"

    async def body() -> str:
        process = await ChildProcess.start([sys.executable, "-I", "-c", program])
        with pytest.raises(AgentStartError) as caught:
            await launch(process, Order("00", order, []), StdioDoor)
        return caught.value.message

    assert asyncio.run(body()).endswith("True")


def test_what_comes_before_the_order_is_fed_first_and_whole() -> None:
    size = 300_000
    program = (
        f"import sys; fed = sys.stdin.buffer.read({size}); assert fed == bytes(fed[:1]) * {size};"
        f"sys.stdin.buffer.readline(); print({DOOR!r})"
    )
    assert start(program, feed=b"x" * size)[0] == TcpDoor((4711,))


def test_what_a_log_in_prints_before_the_answer_is_skipped() -> None:
    banner = 'Welcome!\n{"some": "json"}\n[1]\n\n' + "x" * 1000
    assert start(f"print({banner!r}); input(); print({DOOR!r})")[0] == TcpDoor((4711,))


def test_not_a_byte_after_the_answer_is_taken() -> None:
    program = f"input(); print({DOOR!r}, 'a stream', sep=chr(10), end='')"
    assert start(program)[1] == b"a stream"


@pytest.mark.parametrize(
    ("program", "words", "outcome"),
    [
        ("import sys; sys.exit('some trouble')", "some trouble", None),
        ("print('hello')", "hello", Outcome.BANNER_ONLY),
        ("print('hello' * 20_000)", "hello", Outcome.BANNER_ONLY),
        ("import os; os.kill(os.getpid(), 9)", "nothing", Outcome.KILLED),
        ("import sys; sys.exit(137)", "nothing", Outcome.KILLED),
        ("import sys; sys.exit(81)", "nothing", Outcome.NO_PYTHON),
        ("print('{\"ready\": true}')", "another door", None),
        ('print(\'{"ready": true, "door": {"kind": "stdio"}}\')', "another door", None),
        ('print(\'{"ready": true, "door": {"kind": "tcp", "ports": []}}\')', "another door", None),
        ('print(\'{"ready": true, "door": {"kind": "tcp", "ports": [0]}}\')', "another", None),
        ('print(\'{"ready": false, "error": "no luck"}\'); input()', "no luck", None),
        ("print('{\"x\":' + '[' * 60_000)", r"\[\[", Outcome.BANNER_ONLY),
        (
            'print(\'{"ready": false, "error": "so", "code": "no_permission"}\')',
            "so",
            Outcome.NO_PERMISSION,
        ),
    ],
    ids=str,
)
def test_an_agent_that_does_not_start_is_an_error_with_what_it_printed(
    program: str, words: str, outcome: Outcome | None
) -> None:
    with pytest.raises(AgentStartError, match=words) as caught:
        start(program)
    assert caught.value.outcome == outcome
    assert caught.value.remedy


def test_an_agent_that_says_nothing_is_given_up() -> None:
    with pytest.raises(MachineUnreachableError, match="nothing"):
        start("import time; time.sleep(1000)", seconds=0.2)


def test_a_start_that_is_cancelled_leaves_no_process() -> None:
    async def body() -> ChildProcess:
        process = await ChildProcess.start(["sleep", "1000"])
        task = asyncio.create_task(launch(process, ORDER, TcpDoor))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return process

    assert asyncio.run(body()).returncode == -9


def test_every_outcome_has_its_word_its_status_and_its_advice() -> None:
    from desktop.machines.advice import advice_for

    for outcome in Outcome:
        assert Outcome.of_word(outcome.word) is outcome
        assert Outcome.of_status(int(outcome)) is outcome
        assert advice_for(outcome)
    assert Outcome.of_word("fine") is Outcome.of_status(0) is None


def test_doors_of_an_answer_are_one_type() -> None:
    assert isinstance(StdioDoor(), OpenDoor)


def test_neither_end_shows_the_secret_where_it_shows_itself() -> None:
    assert "00ff" not in repr(ORDER)
    assert "TcpOrder" in repr(ORDER)


@needs(LINUX_KERNEL)
def test_neither_does_what_the_agent_makes_of_the_order() -> None:
    from vmagent.agent import AgentConfig

    assert "sesame" not in repr(AgentConfig(b"sesame", ("/run/docker.sock",)))
