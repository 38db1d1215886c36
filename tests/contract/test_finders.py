"""What every finder of machines guarantees, whatever its tool does (`found/finder.py`)."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from desktop.machines.found.colima import ColimaFinder
from desktop.machines.found.docker_contexts import DockerContextFinder
from desktop.machines.found.finder import Finder
from desktop.machines.found.lima import LimaFinder
from desktop.machines.found.model import Sighting, is_name
from desktop.machines.found.podman import PodmanFinder
from desktop.machines.found.rancher import RancherFinder
from desktop.machines.found.sandboxes import SandboxFinder
from desktop.machines.found.tools import Tools
from desktop.machines.found.wsl import WslFinder
from desktop.paths import Paths
from tests.fake_tools import BROKEN, FakeTools
from tests.recordings import colima, docker, lima, podman, rancher, wsl

IMPATIENT = 0.4
"""Seconds that a tool gets in these tests."""

TOOLS: dict[str, Callable[[Tools], Finder]] = {
    "limactl": LimaFinder,
    "colima": ColimaFinder,
    "podman": PodmanFinder,
    "rdctl": RancherFinder,
    "wsl.exe": WslFinder,
}
"""Finders by the program that they ask."""

UNDERSTOOD = {
    ("podman", "leaves a child that holds its output"),  # [] are no machines
    ("rdctl", "has names of other types"),  # a Rancher Desktop with settings not known here
}
"""What happens to be an answer of that tool."""


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeTools]:
    """Fake tools, of which nothing is left even if the test fails."""
    tools = FakeTools(tmp_path, ask_seconds=IMPATIENT)
    yield tools
    for pid in tools.alive():
        os.kill(pid, signal.SIGKILL)


def find(finder: Finder) -> Sighting:
    return asyncio.run(finder.find())


@pytest.mark.parametrize("program", TOOLS)
def test_a_tool_that_is_not_installed_has_no_machines(fake: FakeTools, program: str) -> None:
    assert find(TOOLS[program](fake.tools())) == Sighting()


@pytest.mark.parametrize("how", BROKEN)
@pytest.mark.parametrize("program", TOOLS)
def test_a_broken_tool_is_skipped_with_a_finding(fake: FakeTools, program: str, how: str) -> None:
    fake.broken(program, how)
    sighting = find(TOOLS[program](fake.tools()))
    assert not any(each.is_candidate for each in sighting.machines)
    if (program, how) not in UNDERSTOOD:
        assert sighting.findings
        assert all(program in each.message for each in sighting.findings)
        assert any(each.remedy for each in sighting.findings)
    for finding in sighting.findings:
        assert (finding.message + finding.remedy).isprintable()
        assert len(finding.message) < 400


@pytest.mark.parametrize("how", [how for how in BROKEN if "{pids}" in BROKEN[how]])
@pytest.mark.parametrize("program", TOOLS)
def test_no_process_of_a_broken_tool_is_left(fake: FakeTools, program: str, how: str) -> None:
    fake.broken(program, how)
    find(TOOLS[program](fake.tools()))
    assert fake.pids.read_text()
    assert fake.survivors() == []


@pytest.mark.parametrize("program", TOOLS)
def test_no_process_is_left_of_one_that_is_cancelled(fake: FakeTools, program: str) -> None:
    fake.script(program, f"echo $$ >> {fake.pids}; sleep 1000")

    async def body() -> None:
        tools = Tools(fake.environment, installed=(), ask_seconds=60)
        task = asyncio.create_task(TOOLS[program](tools).find())
        await asyncio.to_thread(fake.await_call)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(body())
    assert fake.survivors() == []


@pytest.mark.parametrize("program", TOOLS)
def test_a_finder_that_never_ends_is_ended(
    fake: FakeTools, program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("desktop.machines.found.finder.FIND_SECONDS", 0.05)
    fake.broken(program, "hangs")
    (finding,) = find(TOOLS[program](fake.tools())).findings
    assert program in finding.message
    assert fake.survivors() == []


ANSWERS = {
    "limactl": lima.LIST,
    "colima": colima.LIST,
    "podman": podman.LIST_5,
    "rdctl": rancher.SETTINGS,
    "wsl.exe": wsl.ENGLISH.encode(),
}


def healthy(fake: FakeTools, paths: Paths) -> list[Finder]:
    """All finders, each with machines to find."""
    for program, answer in ANSWERS.items():
        fake.put(program, answer)
    for name, text in docker.CONTEXTS.items():
        folder = fake.home / ".docker" / "contexts" / "meta" / name
        folder.mkdir(parents=True)
        (folder / "meta.json").write_bytes(text)
    tools = fake.tools()
    finders = [make(tools) for make in TOOLS.values()]
    return [*finders, DockerContextFinder(tools), SandboxFinder(tools, paths)]


def test_names_are_each_one_finders_and_fit_to_be_typed(
    fake: FakeTools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("desktop.machines.found.sandboxes.has_namespaces", lambda: True)
    finders = healthy(fake, Paths.under(tmp_path / "samehost"))
    seen: set[str] = set()
    for finder in finders:
        names = [each.name for each in find(finder).machines]
        assert names
        assert seen.isdisjoint(names)
        seen.update(names)
        for name in names:
            assert is_name(name)
            assert [each for each in finders if each.owns(name)] == [finder]


def test_states_are_of_the_vocabulary(fake: FakeTools, tmp_path: Path) -> None:
    for finder in healthy(fake, Paths.under(tmp_path / "samehost")):
        for found in find(finder).machines:
            assert found.state in ("running", "stopped", "starting", "failed", "unknown")
            assert found.kind


@pytest.mark.parametrize("name", ["../x", "-rf", "a b", "a\nb", "", "x" * 200, "ä"])
def test_a_machine_whose_name_could_mean_something_else_is_left_out(
    fake: FakeTools, name: str
) -> None:
    quoted = name.replace("\n", "\\n")
    fake.put("limactl", lima.DOCKER.replace(b'"name":"docker"', f'"name":"{quoted}"'.encode()))
    fake.put("podman", podman.LIST_4.replace(b'"Name": "lab"', f'"Name": "{quoted}"'.encode()))
    for finder in (LimaFinder(fake.tools()), PodmanFinder(fake.tools())):
        sighting = find(finder)
        assert all(is_name(each.name) for each in sighting.machines)
        assert sighting.findings


def test_of_too_many_machines_some_are_shown(fake: FakeTools) -> None:
    many = b"".join(lima.DOCKER.replace(b"docker", b"vm%d" % number) for number in range(150))
    fake.put("limactl", many)
    sighting = find(LimaFinder(fake.tools()))
    assert len(sighting.machines) == 100
    assert "only 100" in sighting.findings[0].message
