"""A machine that a tool runs is started and stopped by the tool, and seen as the tool sees it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import ClassVar

import pytest

from desktop.errors import MachineUnreachableError, UsageError
from desktop.machines.examination import examine
from desktop.machines.found.docker_contexts import DockerContextFinder
from desktop.machines.found.lima import LimaFinder
from desktop.machines.found.model import Found
from desktop.machines.found.rancher import RancherFinder
from desktop.machines.machine import AgentHandle, Machine, Progress
from desktop.machines.managed import ManagedMachine
from desktop.machines.ssh_destination import SshDestination
from tests.fake_tools import FakeTools
from tests.recordings import docker, lima, rancher

STOPPED = lima.DOCKER.replace(b'"status":"Running"', b'"status":"Stopped"')


class ReachedError(MachineUnreachableError):
    """An agent would have been started by this way."""

    def __init__(self, way: object) -> None:
        super().__init__(f"reached by {way}")
        self.way = way


class Inside(Machine):
    """What an agent would get into; it notes for what it was made, and what became of it."""

    kind = "inside"
    own_ports = frozenset({("tcp", 4711)})
    made: ClassVar[list[Inside]] = []

    def __init__(self, found: Found) -> None:
        super().__init__(found.name)
        self.found = found
        self.is_closed = False
        self.made.append(self)

    async def state(self) -> str:
        return "running"

    async def start(self, progress: Progress) -> None:
        progress(f"logging in to {self.name}")

    async def aclose(self) -> None:
        self.is_closed = True

    async def stop(self, progress: Progress) -> None:
        raise NotImplementedError

    def docker_host(self) -> str:
        return f"ssh://{self.found.name}"

    async def start_agent(self, secret: bytes) -> AgentHandle:
        assert len(secret) == 32
        raise ReachedError(self.found.way)


@pytest.fixture
def fake(tmp_path: Path) -> FakeTools:
    """A limactl whose machine runs if the file `running` is there."""
    tools = FakeTools(tmp_path)
    for name, text in (("on", lima.DOCKER), ("off", STOPPED)):
        (tmp_path / name).write_bytes(text)
    tools.script(
        "limactl",
        f"""cd {tmp_path}
case "$1" in
list) if [ -e running ]; then cat on; else cat off; fi;;
start) echo 'level=info msg="booting"'; [ -e slow ] && echo > slow && sleep 1000;
    [ -e sick ] && exit 1; [ -e lying ] || touch running;;
stop) rm -f running;;
esac""",
    )
    return tools


def machine(fake: FakeTools) -> ManagedMachine:
    finder = LimaFinder(fake.tools())
    (found,) = asyncio.run(finder.find()).machines
    fake.log.unlink()
    return ManagedMachine(found, finder, Inside)


def state(of: Machine) -> str:
    return asyncio.run(of.state())


def test_it_is_started_and_stopped_with_the_words_of_the_tool(fake: FakeTools) -> None:
    made = machine(fake)
    said: list[str] = []
    assert state(made) == "stopped"
    asyncio.run(made.start(said.append))
    assert state(made) == "running"
    assert said == [
        "starting lima-docker: limactl start --tty=false docker",
        "lima-docker: booting",
        "logging in to lima-docker",
    ]
    asyncio.run(made.stop(said.append))
    assert state(made) == "stopped"
    assert said[3:] == ["stopping lima-docker: limactl stop docker"]


def test_a_running_one_is_not_started_and_a_stopped_one_not_stopped(fake: FakeTools) -> None:
    made = machine(fake)
    asyncio.run(made.stop(print))
    asyncio.run(made.start(print))
    asyncio.run(made.start(print))
    assert sum("start" in call for call in fake.calls()) == 1
    assert not any("stop" in call for call in fake.calls())


def test_a_start_that_fails_says_what_the_tool_says_and_is_undone(
    fake: FakeTools, tmp_path: Path
) -> None:
    made = machine(fake)
    (tmp_path / "sick").touch()
    with pytest.raises(MachineUnreachableError) as caught:
        asyncio.run(made.start(print))
    assert "limactl start --tty=false docker failed: booting" in caught.value.message
    assert fake.calls()[-1] == "limactl stop --force docker"


def test_a_start_after_which_it_does_not_run_has_failed(fake: FakeTools, tmp_path: Path) -> None:
    made = machine(fake)
    (tmp_path / "lying").touch()
    with pytest.raises(MachineUnreachableError, match="is stopped, though"):
        asyncio.run(made.start(print))


def test_a_start_that_is_cancelled_is_ended_and_undone(fake: FakeTools, tmp_path: Path) -> None:
    made = machine(fake)
    os.mkfifo(tmp_path / "slow")

    async def body() -> None:
        task = asyncio.create_task(made.start(print))
        await asyncio.to_thread((tmp_path / "slow").read_text)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(body())
    assert fake.calls()[-1] == "limactl stop --force docker"
    assert state(made) == "stopped"


def test_one_without_a_program_for_it_says_what_to_do_instead(fake: FakeTools) -> None:
    give = fake.home / ".local" / "share" / "rancher-desktop" / "lima" / "0"
    give.mkdir(parents=True)
    (give / "ssh.config").write_bytes(lima.SSH_CONFIG)
    fake.put("rdctl", errors=rancher.NOT_RUNNING, status=1)
    finder = RancherFinder(fake.tools())
    (found,) = asyncio.run(finder.find()).machines
    made = ManagedMachine(found, finder, Inside)
    asyncio.run(made.stop(print))
    with pytest.raises(MachineUnreachableError) as caught:
        asyncio.run(made.start(print))
    assert "by its window" in caught.value.remedy


def test_an_agent_gets_in_as_the_machine_is_now(fake: FakeTools, tmp_path: Path) -> None:
    made = machine(fake)
    asyncio.run(made.start(print))
    first = Inside.made[-1]
    new = lima.DOCKER.replace(b"60006", b"60007").replace(b"docker/ssh.config", b"new.config")
    (tmp_path / "on").write_bytes(new)
    with pytest.raises(ReachedError) as caught:
        asyncio.run(made.start_agent(bytes(32)))
    way = SshDestination("lima-docker", config="/Users/ada/.lima/new.config", is_own=True)
    assert caught.value.way == way
    assert first.is_closed
    assert made.own_ports == {("tcp", 60007), ("tcp", 4711)}


def test_what_was_connected_is_closed_with_it_and_when_it_stops(fake: FakeTools) -> None:
    made = machine(fake)
    for end in (made.aclose, lambda: made.stop(print)):
        asyncio.run(made.start(print))
        asyncio.run(end())
        assert Inside.made[-1].is_closed
    assert made.own_ports == {("tcp", 60006)}


def test_no_agent_starts_in_one_that_does_not_run(fake: FakeTools) -> None:
    with pytest.raises(MachineUnreachableError) as caught:
        asyncio.run(machine(fake).start_agent(bytes(32)))
    assert "samehost machine start lima-docker" in caught.value.remedy


def test_one_that_its_tool_has_removed_is_stopped(fake: FakeTools, tmp_path: Path) -> None:
    made = machine(fake)
    (tmp_path / "off").write_bytes(b"")
    assert state(made) == "stopped"


def test_its_state_is_stopped_while_its_tool_is_broken(fake: FakeTools) -> None:
    made = machine(fake)
    fake.broken("limactl", "exits 1")
    assert state(made) == "stopped"


def test_its_engine_is_where_the_tool_says_or_where_the_agent_gets_in(fake: FakeTools) -> None:
    assert machine(fake).docker_host() == "unix:///Users/ada/.lima/docker/sock/docker.sock"
    finder = LimaFinder(fake.tools())
    (found,) = asyncio.run(finder.find()).machines
    without = ManagedMachine(Found("lima-x", "lima", "running", found.way), finder, Inside)
    assert without.docker_host() == ""


def examined(of: Machine) -> list[tuple[str, str, str]]:
    async def body() -> list[tuple[str, str, str]]:
        return [(each.step, each.state, each.evidence) async for each in examine(of.steps())]

    return asyncio.run(body())


def test_the_doctor_begins_with_what_the_tool_says(fake: FakeTools, tmp_path: Path) -> None:
    made = machine(fake)
    assert examined(made)[0] == ("tool", "failed", "limactl says that it is stopped")
    (tmp_path / "running").touch()
    first, then, *_ = examined(made)
    assert first == ("tool", "ok", "limactl says that it runs")
    assert then[:2] == ("state", "ok")


def test_the_doctor_says_that_there_is_no_way_in(fake: FakeTools) -> None:
    finder = LimaFinder(fake.tools())
    (found,) = asyncio.run(finder.find()).machines

    def nowhere(_found: Found) -> Machine:
        raise MachineUnreachableError("no way in", "dig one")

    made = ManagedMachine(found, finder, nowhere)
    assert [step for step, *_ in examined(made)] == ["tool", "way"]


def test_another_computer_is_logged_in_to_but_neither_started_nor_stopped(fake: FakeTools) -> None:
    folder = fake.home / ".docker" / "contexts" / "meta" / "build"
    folder.mkdir(parents=True)
    (folder / "meta.json").write_bytes(docker.CONTEXTS["build"])
    finder = DockerContextFinder(fake.tools())
    (found,) = asyncio.run(finder.find()).machines
    made = ManagedMachine(found, finder, Inside)
    said: list[str] = []
    asyncio.run(made.start(said.append))
    assert said == ["logging in to docker-build"]
    assert state(made) == "running"
    assert made.docker_host() == "ssh://ci@build.example.org:2222"
    with pytest.raises(UsageError, match="was not started by Samehost"):
        asyncio.run(made.stop(print))
    with pytest.raises(ReachedError):
        asyncio.run(made.start_agent(bytes(32)))
