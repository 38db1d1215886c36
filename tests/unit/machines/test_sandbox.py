"""What a sandbox says where it cannot be, and which Python its agent gets."""

from __future__ import annotations

import asyncio
import os
import subprocess
import threading
from pathlib import Path

import pytest

from desktop.errors import (
    ExitCode,
    MachineUnreachableError,
    PermissionDeniedError,
    SamehostError,
    UsageError,
)
from desktop.machines.doors import UnixDoor, UnixOrder
from desktop.machines.sandbox import Sandbox, machine, programs
from desktop.machines.sandbox.locks import held, is_held
from desktop.machines.sandbox.python import find_python
from desktop.machines.sandbox.traces import Traces
from desktop.paths import Paths
from tests.capabilities import LINUX_KERNEL, needs
from tests.ended import ended
from tests.until import until

SOON = 0.05


def quiet(_line: str) -> None:
    """Progress that nobody reads."""


def sandbox(home: Path) -> Sandbox:
    return Sandbox("sandbox", Paths.under(home))


def test_without_root_start_says_so_and_makes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(PermissionDeniedError) as caught:
        asyncio.run(sandbox(tmp_path).start(quiet))
    assert caught.value.code == ExitCode.PERMISSION
    assert "sudo" in caught.value.remedy
    assert list(tmp_path.iterdir()) == []


def test_without_root_stop_of_a_stopped_one_is_fine_and_of_another_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    asyncio.run(sandbox(tmp_path).stop(quiet))
    assert list(tmp_path.iterdir()) == []
    sandbox(tmp_path).folder.mkdir(parents=True)
    with pytest.raises(PermissionDeniedError):
        asyncio.run(sandbox(tmp_path).stop(quiet))


def test_without_the_docker_package_start_names_it_and_makes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(programs, "missing_programs", lambda _find: ["dockerd"])
    with pytest.raises(SamehostError) as caught:
        asyncio.run(sandbox(tmp_path).start(quiet))
    assert "dockerd" in caught.value.message
    assert "apt-get install docker.io" in caught.value.remedy
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_a_machine_is_failed_or_starting_while_somebody_works_on_it(
    tmp_path: Path,
) -> None:
    machine = sandbox(tmp_path)
    machine.folder.mkdir(parents=True)

    async def body() -> list[str]:
        states = [await machine.state()]
        async with held(machine.folder):
            states.append(await machine.state())
        return [*states, await machine.state()]

    assert asyncio.run(body()) == ["failed", "starting", "failed"]


def test_names_and_ranges_that_are_none_are_usage_errors(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        Sandbox("other", Paths.under(tmp_path))
    with pytest.raises(UsageError):
        Sandbox("sandbox", Paths.under(tmp_path), network="10.0.0.0/33")


def test_a_lock_is_waited_for_and_a_cancelled_wait_leaves_it_alone(tmp_path: Path) -> None:
    async def body() -> None:
        order: list[str] = []

        async def second() -> None:
            async with held(tmp_path):
                order.append("second")

        async with held(tmp_path):
            before = _children()
            patient = asyncio.create_task(second())
            impatient = asyncio.create_task(second())
            await until(lambda: len(_children() - before) == 2)
            impatient.cancel()
            await asyncio.wait({impatient})
            order.append("first")
        await patient
        assert order == ["first", "second"]
        assert impatient.cancelled()
        assert not is_held(tmp_path)

    asyncio.run(body())


def _children() -> set[str]:
    """Programs of this thread; those that wait for a lock are among them."""
    with open("/proc/thread-self/children") as file:
        return set(file.read().split())


def test_who_waited_for_a_folder_that_was_removed_gets_the_lock_on_a_new_one(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "machine"

    async def body() -> None:
        async with held(folder):
            before = _children()
            waiter = asyncio.create_task(_lock_and_look(folder))
            await until(lambda: _children() - before)
            folder.rmdir()
        assert await waiter

    asyncio.run(body())


async def _lock_and_look(folder: Path) -> bool:
    async with held(folder):
        return is_held(folder)


def python_that_is(version: str, folder: Path) -> str:
    program = folder / f"python-{version}"
    program.write_text(f"#!/bin/sh\necho {version.replace('.', ' ')}\n")
    program.chmod(0o755)
    return str(program)


def test_the_first_python_that_is_new_enough_runs_the_agent(tmp_path: Path) -> None:
    old, new = python_that_is("3.8", tmp_path), python_that_is("3.10", tmp_path)
    found = asyncio.run(find_python([str(tmp_path / "missing"), None, old, new]))
    assert found == new


def test_without_a_new_enough_python_the_error_names_what_was_found(tmp_path: Path) -> None:
    old = python_that_is("3.8", tmp_path)
    with pytest.raises(MachineUnreachableError, match=r"python-3\.8 is 3\.8"):
        asyncio.run(find_python([old]))


@needs(LINUX_KERNEL)
def test_what_is_run_in_one_that_has_just_ended_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ended(subprocess.Popen(["true"])) as process:
        process.wait()
    monkeypatch.setattr(Sandbox, "pid", process.pid)
    with pytest.raises(SamehostError, match=r"failed: the machine has ended, or is about to$"):
        asyncio.run(sandbox(tmp_path).run("true"))


def test_a_start_of_the_agent_that_is_cancelled_writes_nothing_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_write, written = threading.Event(), []

    async def story() -> None:
        loop, is_about_to = asyncio.get_running_loop(), asyncio.Event()

        def put(bundle: Path) -> None:
            loop.call_soon_threadsafe(is_about_to.set)
            may_write.wait()
            written.append(bundle)

        monkeypatch.setattr(machine, "_put_agent", put)
        order = UnixOrder(0, machine.STREAM_BUFFER_BYTES)
        starting = asyncio.create_task(sandbox(tmp_path).launch(bytes(32), order, UnixDoor))
        await is_about_to.wait()
        starting.cancel()
        loop.call_later(SOON, may_write.set)
        with pytest.raises(asyncio.CancelledError):
            await starting
        assert written

    asyncio.run(story())


def test_a_start_that_is_cancelled_while_it_clears_up_clears_up_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(machine, "require_programs", lambda: None)
    one = sandbox(tmp_path)
    (one.folder / "lib").mkdir(parents=True)
    may_remove, at_once, most = threading.Event(), 0, 0
    remove_files = Traces._remove_files

    async def story() -> None:
        loop, is_about_to = asyncio.get_running_loop(), asyncio.Event()

        def remove(traces: Traces) -> None:
            nonlocal at_once, most
            at_once += 1
            most = max(most, at_once)
            loop.call_soon_threadsafe(is_about_to.set)
            may_remove.wait()
            remove_files(traces)
            at_once -= 1

        monkeypatch.setattr(Traces, "_remove_files", remove)
        starting = asyncio.create_task(one.start(quiet))
        await is_about_to.wait()
        starting.cancel()
        loop.call_later(SOON, may_remove.set)
        with pytest.raises(asyncio.CancelledError):
            await starting

    asyncio.run(story())
    assert most == 1
    assert not one.folder.exists()
