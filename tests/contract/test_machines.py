"""What every kind of machine promises the daemon (`desktop/machines/machine.py`)."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from desktop.errors import MachineUnreachableError
from desktop.machines.machine import Machine
from desktop.machines.sandbox import Sandbox
from desktop.paths import Paths
from tests.capabilities import AS_ROOT

KINDS: dict[str, Callable[[Paths], Machine]] = {
    "sandbox": lambda paths: Sandbox("sandbox-kind", paths),
}


def quiet(_line: str) -> None:
    """Progress that nobody reads."""


@pytest.fixture(params=sorted(KINDS))
def machine(request: pytest.FixtureRequest) -> Iterator[Machine]:
    """A machine that is stopped, and is again afterwards."""
    if not AS_ROOT.is_there:
        pytest.skip("a sandbox needs root")
    home = Path(tempfile.mkdtemp(prefix="samehost-"))
    made = KINDS[request.param](Paths.under(home))
    yield made
    asyncio.run(made.stop(quiet))
    shutil.rmtree(home)


def test_it_knows_its_kind(machine: Machine) -> None:
    assert machine.kind in KINDS


def test_a_stopped_machine_may_be_stopped(machine: Machine) -> None:
    async def body() -> list[str]:
        await machine.stop(quiet)
        return [await machine.state()]

    assert asyncio.run(body()) == ["stopped"]


def test_its_life_is_stopped_running_running_stopped(machine: Machine) -> None:
    async def body() -> list[str]:
        states = [await machine.state()]
        for work in (machine.start, machine.start, machine.stop, machine.stop):
            await work(quiet)
            states.append(await machine.state())
        return states

    assert asyncio.run(body()) == ["stopped", "running", "running", "stopped", "stopped"]


def test_its_engine_answers_where_it_says(machine: Machine) -> None:
    asyncio.run(machine.start(quiet))
    command = ["docker", "--host", machine.docker_host(), "version", "-f", "{{.Server.Os}}"]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert result.stdout == "linux\n"


def test_progress_is_told_in_single_short_lines(machine: Machine) -> None:
    lines: list[str] = []
    asyncio.run(machine.start(lines.append))
    assert lines
    assert all(line and "\n" not in line and len(line) < 80 for line in lines)


def test_a_start_that_is_cancelled_ends_stopped(machine: Machine) -> None:
    async def body() -> str:
        begun = asyncio.Event()
        task = asyncio.create_task(machine.start(lambda _line: begun.set()))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return await machine.state()

    assert asyncio.run(body()) == "stopped"


def test_no_agent_starts_in_a_machine_that_does_not_run(machine: Machine) -> None:
    with pytest.raises(MachineUnreachableError) as caught:
        asyncio.run(machine.start_agent(bytes(32)))
    assert caught.value.remedy
