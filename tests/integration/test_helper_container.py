"""Machines that cannot run the agent themselves, but have an engine that can."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from desktop.errors import MachineUnreachableError, UsageError
from desktop.machines.docker_engine import DockerMachine
from desktop.machines.doors import StdioOrder
from desktop.machines.helper_container import CONTAINER_PREFIX, IS_ROOT, Helper, find_helper
from desktop.machines.helper_image import REPOSITORY, find_image
from desktop.machines.launch import AgentStartError
from desktop.machines.local_shell import LocalShell
from desktop.machines.machine import AgentHandle, end_agent
from desktop.machines.remote import start_agent
from desktop.transports.probe import probe
from link.outcome import Outcome
from scripts.helper_image import build_helper_image
from tests.integration.conftest import SandboxHome
from tests.integration.engines import ROOT, Inside, Podman
from tests.integration.privileged import allow_privileged
from tests.integration.python_image import PYTHON_IMAGE, build_python_image
from tests.integration.samehost import IMAGE, Samehost, free_port, talk, until
from tests.integration.ssh_server import SshServer, replaced_pythons, ssh_server
from tests.integration.ssh_stage import PID_FOLLOWS, attached_over_ssh
from tests.integration.test_main_job import web_server

NO_PYTHON = "#!/bin/sh\nexit 127\n"
OFFICIAL = "python:3-slim"


@pytest.fixture(scope="module", autouse=True)
def sandbox(sandbox_home: SandboxHome) -> Iterator[SandboxHome]:
    """One whose engine may start privileged containers; the image is built as a package has it."""
    build_helper_image()
    with allow_privileged(Inside(sandbox_home)):
        yield sandbox_home
        for image in images(sandbox_home):
            sandbox_home.docker("image", "rm", image)


@pytest.fixture(scope="module")
def server(sandbox: SandboxHome) -> Iterator[SshServer]:
    """A machine whose log-ins find no Python."""
    machine, _here = sandbox.sandbox.addresses()
    inside = sandbox.sandbox.command(*PID_FOLLOWS)
    with ssh_server(machine, inside=inside, replaced=replaced_pythons(NO_PYTHON)) as server:
        yield server


def images(sandbox: SandboxHome) -> list[str]:
    """What its engine has of the helper container's."""
    form = "{{.Repository}}:{{.Tag}}"
    return sandbox.docker("image", "ls", "--format", form, REPOSITORY).stdout.split()


def containers(sandbox: SandboxHome) -> list[str]:
    """Helper containers, running or not."""
    form, filtered = "{{.Names}}", f"name=^{CONTAINER_PREFIX}"
    return sandbox.docker("ps", "-a", "--filter", filtered, "--format", form).stdout.split()


def both_examples_work(samehost: Samehost) -> None:
    port = free_port()
    with samehost.container("nc", "-lkv", "0.0.0.0", str(port)) as container:
        until(lambda: samehost.states(port) == ["active"], "the mirror")
        talk("localhost", port, b"typed on the desktop\n")
        until(lambda: "typed on the desktop" in samehost.docker("logs", container), "the words")
    with web_server() as web:
        until(lambda: "active" in samehost.states(web, "host"), "the stub")
        get = ("busybox", "wget", "-q", "-O", "-", f"http://localhost:{web}/")
        samehost_says = samehost.docker("run", "--rm", "--net=host", IMAGE, *get)
        assert samehost_says == "page of the desktop"


def test_a_machine_without_python_is_attached_by_a_container_which_goes_with_the_desktop(
    sandbox: SandboxHome, server: SshServer
) -> None:
    with attached_over_ssh(sandbox, server) as samehost:
        [name] = containers(sandbox)
        running = json.loads(sandbox.docker("inspect", name).stdout)[0]
        assert running["HostConfig"]["Privileged"]
        assert running["HostConfig"]["AutoRemove"]
        assert running["HostConfig"]["LogConfig"]["Type"] == "none"
        both_examples_work(samehost)
        doctor = samehost.run("machine", "doctor", samehost.machine)
        assert f"there is no python3, but a helper container of docker, image {REPOSITORY}:" in (
            " ".join(doctor.split())
        )
    until(lambda: containers(sandbox) == [], "its container to go")
    assert len(images(sandbox)) == 1


def test_a_killed_desktop_leaves_no_container(sandbox: SandboxHome, server: SshServer) -> None:
    with attached_over_ssh(sandbox, server) as samehost:
        assert containers(sandbox)
        os.kill(samehost.daemon(), signal.SIGKILL)
        until(lambda: containers(sandbox) == [], "its container to go")


# The engine alone.


class ContextSamehost(Samehost):
    """One that knows the sandbox as a context of the docker command."""

    machine = "docker-sandbox"

    def __init__(self, sandbox: SandboxHome) -> None:
        super().__init__()
        self._sandbox = sandbox
        folder = self.home / "docker"
        context = folder / "contexts" / "meta" / "0" / "meta.json"
        context.parent.mkdir(parents=True)
        endpoint = {"Host": sandbox.sandbox.docker_host()}
        context.write_text(json.dumps({"Name": "sandbox", "Endpoints": {"docker": endpoint}}))
        self.environment["DOCKER_CONFIG"] = str(folder)
        (self.home / "settings.json").write_text(json.dumps({"hostNetworkingEnabled": True}))


def test_a_docker_context_is_found_and_attached(sandbox: SandboxHome) -> None:
    samehost = ContextSamehost(sandbox)
    try:
        samehost.run("up", "--machine", samehost.machine)
        machine = samehost.status()["machine"]
        assert (machine["kind"], machine["state"]) == ("docker", "connected")
        assert machine["transport"] == "stdio"
        both_examples_work(samehost)
    finally:
        samehost.remove()
    until(lambda: containers(sandbox) == [], "its container to go")


def with_agent(machine: DockerMachine, story: Callable[[AgentHandle], Awaitable[None]]) -> None:
    """Start an agent, hear from it, tell a story, end it."""

    async def body() -> None:
        await machine.start(lambda _line: None)
        handle = await machine.start_agent(os.urandom(32))
        try:
            await probe(handle.transport)
            await story(handle)
        finally:
            await end_agent(handle.process, handle.transport)

    asyncio.run(body())


def test_an_engine_alone_is_enough(sandbox: SandboxHome) -> None:
    machine = DockerMachine("docker-sandbox", sandbox.sandbox.docker_host())

    async def story(handle: AgentHandle) -> None:
        assert handle.transport.name == "stdio"
        assert len(containers(sandbox)) == 1

    with_agent(machine, story)
    until(lambda: containers(sandbox) == [], "its container to go")
    with pytest.raises(UsageError, match="not started by Samehost"):
        asyncio.run(machine.stop(lambda _line: None))


def test_a_killed_docker_command_leaves_no_container(sandbox: SandboxHome) -> None:
    machine = DockerMachine("docker-sandbox", sandbox.sandbox.docker_host())

    async def story(handle: AgentHandle) -> None:
        handle.process.kill()
        await handle.process.wait()

    with_agent(machine, story)
    until(lambda: containers(sandbox) == [], "its container to go")


def test_an_engine_that_does_not_answer_is_told(tmp_path: Path) -> None:
    machine = DockerMachine("docker-gone", f"unix://{tmp_path}/docker.sock")
    assert asyncio.run(machine.state()) == "stopped"
    for work in (machine.start(lambda _line: None), machine.start_agent(bytes(32))):
        with pytest.raises(MachineUnreachableError) as caught:
            asyncio.run(work)
        assert caught.value.remedy


def find(sandbox: SandboxHome, *folders: Path) -> Helper:
    engine = f"docker --host {sandbox.sandbox.docker_host()}"
    return asyncio.run(find_helper(LocalShell(), (engine,), folders))


def test_of_our_images_the_newest_stays(sandbox: SandboxHome) -> None:
    newest = find_image(os.uname().machine)
    assert newest is not None
    sandbox.docker("tag", sandbox.image, f"{REPOSITORY}:older")
    if newest.tag in images(sandbox):
        sandbox.docker("image", "rm", newest.tag)
    assert find(sandbox, newest.file.parent).image == newest.tag
    assert images(sandbox) == [newest.tag]


def test_without_ours_that_of_the_makers_of_python_will_do(
    sandbox: SandboxHome, tmp_path: Path
) -> None:
    build_python_image(tmp_path / "python.tar")
    sandbox.docker("import", str(tmp_path / "python.tar"), OFFICIAL)
    sandbox.docker("tag", sandbox.image, "python:2.7")
    try:
        assert find(sandbox).image == OFFICIAL
    finally:
        sandbox.docker("image", "rm", OFFICIAL, "python:2.7")


def test_no_other_image_gets_such_rights(sandbox: SandboxHome, tmp_path: Path) -> None:
    build_python_image(tmp_path / "python.tar")
    sandbox.docker("import", str(tmp_path / "python.tar"), PYTHON_IMAGE)
    try:
        with pytest.raises(MachineUnreachableError) as caught:
            find(sandbox)
        assert "has no image with Python" in caught.value.message
        assert "pull python:3-slim" in caught.value.remedy
    finally:
        sandbox.docker("image", "rm", PYTHON_IMAGE)


@pytest.fixture
def podman(sandbox: SandboxHome) -> Iterator[Podman]:
    """It has no images, and has none afterwards."""
    if shutil.which("podman") is None:
        pytest.skip("needs podman: scripts/setup engines")
    podman = Podman(Inside(sandbox))
    yield podman
    podman.run("image", "rm", "--all", "--force")


def podman_of(sandbox: SandboxHome, podman: Podman) -> str:
    """Its command as one of this computer's."""
    return shlex.join(Inside(sandbox).command(*podman._command))


def test_podman_takes_our_image(sandbox: SandboxHome, podman: Podman) -> None:
    engine = podman_of(sandbox, podman)
    for _ in range(2):
        helper = asyncio.run(find_helper(LocalShell(), ("no-such-engine", engine)))
        assert helper.engine == engine
        listed = podman.run("image", "ls", "--format", "{{.Repository}}:{{.Tag}}").split()
        assert [each.partition("/")[2] for each in listed] == [helper.image]


def test_podman_runs_the_agent_in_it(sandbox: SandboxHome, podman: Podman) -> None:
    inside = Inside(sandbox)
    inside.run("tee", "/run/containers.conf", text="[containers]\npids_limit = 0\n")
    command = [*podman._command, "--runtime=runc"]
    engine = inside.command("env", "CONTAINERS_CONF=/run/containers.conf", *command)

    async def body() -> None:
        helper = await find_helper(LocalShell(), (shlex.join(engine),))
        handle = await start_agent(
            LocalShell(), StdioOrder(), os.urandom(32), script=helper.script()
        )
        await probe(handle.transport)
        assert podman.run("ps", "--format", "{{.Names}}").startswith(CONTAINER_PREFIX)
        await end_agent(handle.process, handle.transport)

    asyncio.run(body())
    until(lambda: podman.run("ps", "-a", "--format", "{{.Names}}") == "", "its container to go")


@pytest.mark.usefixtures("podman")
def test_an_engine_without_root_is_passed_over_and_told(sandbox: SandboxHome) -> None:
    inside = Inside(sandbox)
    inside.run("mkdir", "-p", ROOT)
    engine = podman_of(sandbox, Podman.rootless(inside))
    with pytest.raises(MachineUnreachableError, match=r"only one without root: .*podman"):
        asyncio.run(find_helper(LocalShell(), (engine,)))


def test_without_an_engine_there_is_no_helper() -> None:
    async def body() -> None:
        with pytest.raises(MachineUnreachableError) as caught:
            await find_helper(LocalShell(), ("no-such-engine", "sudo -n -- no-such-engine"))
        assert "usermod -aG docker" in caught.value.remedy

    asyncio.run(body())


def test_an_engine_that_is_not_root_in_the_machine_is_of_no_use() -> None:
    """A shell is process 1 of a machine, and what is tried an engine's container of it."""
    machine = ["unshare", "--fork", "--pid", "--mount-proc", "sh", "-c", '"$@"; exit $?', "sh"]
    program = [sys.executable, "-I", "-c", IS_ROOT]
    assert subprocess.run([*machine, *program], check=False).returncode == 0
    rootless = [*machine, "unshare", "--user", "--map-root-user", *program]
    done = subprocess.run(rootless, check=False, capture_output=True, text=True)
    assert done.returncode == Outcome.NO_PERMISSION
    assert "rootless" in done.stderr
    assert AgentStartError("", outcome=Outcome.NO_PERMISSION).remedy
