"""Whose socket is it, with the real engines: Docker, Swarm, Compose, Podman and containerd."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.engines import Podman, SecondDocker
from tests.integration.runtimes_stage import Place, open_place, serving
from tests.integration.samehost import IMAGE, quiet_ports, until
from tests.integration.stage import hears
from tests.integration.test_several_machines import serving as words_to_all

ENGINES = ["docker", "podman", "containerd"]
PACKAGED_DOCKER = "/usr/bin/docker"
"""Of the engine's own version, so that it knows both builders (docker(1), DOCKER_BUILDKIT)."""
BUILD_SECONDS = 90.0
SWARM_PORTS = [("tcp", 2377), ("tcp", 7946), ("udp", 7946), ("udp", 4789)]


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with open_place() as place, contextlib.ExitStack() as stack:
        if isinstance(podman := place.others.get("podman"), Podman):
            stack.enter_context(podman.serving())
        yield place


@pytest.mark.parametrize("engine", ENGINES)
def test_a_host_networked_container_is_mirrored_under_its_name(place: Place, engine: str) -> None:
    port = quiet_ports(1)
    runtime = "container" if engine == "containerd" else engine
    with place.container(engine, f"web-of-{engine}", *serving(port)) as identity:
        expected = (identity, f"web-of-{engine}", runtime)
        place.stage.table.until(lambda: place.owner(port) == expected, "its name")
        place.until_mirrored(port)
    place.until_gone(port)


def test_a_rootless_container_without_a_cgroup_of_its_own_is_mirrored(place: Place) -> None:
    if "podman" not in place.others:
        pytest.skip("podman is not installed: scripts/setup engines")
    port = quiet_ports(1)
    with Podman.rootless(place.inside).container("rootless", *serving(port)):
        place.until_mirrored(port)
        owner = place.owner(port)
        assert owner is not None
        assert owner[0].startswith("ns")
        assert owner[1:] == ("", "container")
    place.until_gone(port)


def test_a_program_started_in_a_container_is_that_containers(place: Place) -> None:
    port = quiet_ports(1)
    place.docker("exec", "-d", "inside", *serving(port))
    place.until_mirrored(port)
    place.until_named(port, "inside")
    place.docker("exec", "inside", "sh", "-c", "kill $(pidof socat)")
    place.until_gone(port)


@pytest.mark.parametrize(("builder", "buildkit"), [("classic", "0"), ("BuildKit", "1")])
def test_a_step_of_a_build_with_host_networking_reaches_a_server_of_this_computer(
    place: Place, builder: str, buildkit: str
) -> None:
    if not os.path.exists(PACKAGED_DOCKER):
        pytest.skip("docker.io is not installed: scripts/setup engines")
    environment = os.environ | {
        "DOCKER_HOST": place.docker_host,
        "DOCKER_BUILDKIT": buildkit,
        "BUILDKIT_PROGRESS": "plain",
    }
    with socket.create_server(("127.0.0.1", 0)) as server, words_to_all(server, b"from here\n"):
        port = server.getsockname()[1]
        table = place.stage.table
        table.until(lambda: table.states("tcp", port, "host") == ["active"], "the port")
        done = subprocess.run(
            [PACKAGED_DOCKER, "build", "--no-cache", "--network=host", "-"],
            input=f"FROM {IMAGE}\nRUN socat -u TCP:localhost:{port} -\n",
            env=environment,
            capture_output=True,
            text=True,
            timeout=BUILD_SECONDS,
            check=False,
        )
    assert "from here" in done.stdout + done.stderr, f"{builder}: {done.stderr}"


def test_a_container_in_the_network_of_a_host_networked_one_is_mirrored(place: Place) -> None:
    port = quiet_ports(1)
    with place.docker_container("joined", *serving(port), network="container:inside"):
        place.until_mirrored(port)
        place.until_named(port, "joined")
    place.until_gone(port)


def test_a_bridged_container_is_never_mirrored_not_even_its_published_port(place: Place) -> None:
    port = quiet_ports(1)
    command = ["run", "-d", "--name=bridged", f"--publish={port}:{port}", IMAGE]
    place.docker(*command, *serving(port, "bridged"))
    try:
        until(lambda: hears("tcp", place.inside.address, port).strip() == "bridged", "the server")
        with place.docker_container("beside", *serving(port), network="container:bridged"):
            place.see_another()
            assert place.stage.table.rows("tcp", port) == []
    finally:
        place.docker("rm", "-f", "bridged")


def test_of_two_containers_on_one_port_the_host_networked_one_is_mirrored(place: Place) -> None:
    port = quiet_ports(1)
    with place.docker_container("bridged", *serving(port, "bridged"), network="bridge"):
        with place.docker_container("hosted", *serving(port, "hosted")):
            place.until_mirrored(port, "hosted")
            place.until_named(port, "hosted")
        place.until_gone(port)
        place.see_another()
        assert place.stage.table.rows("tcp", port) == []


def test_containers_that_were_there_before_the_agent_are_found(place: Place) -> None:
    ports = dict(zip(place.engines, range(quiet_ports(3), 65536), strict=False))
    daemon = int(place.samehost.paths.lock_file.read_text())
    with contextlib.ExitStack() as stack:
        os.kill(daemon, signal.SIGSTOP)
        try:
            place.inside.run("kill", "-KILL", place.agent())
            for engine, port in ports.items():
                stack.enter_context(place.container(engine, f"early-{engine}", *serving(port)))
        finally:
            os.kill(daemon, signal.SIGCONT)
        for engine, port in ports.items():
            place.until_named(port, f"early-{engine}")
            place.until_mirrored(port)


@pytest.mark.parametrize("engine", ["docker", "podman"])
def test_a_paused_container_keeps_its_mirror(place: Place, engine: str) -> None:
    port = quiet_ports(1)
    with place.container(engine, "paused", *serving(port)):
        place.until_mirrored(port)
        since = place.since(port)
        place.command(engine, "pause", "paused")
        place.see_another()
        assert place.since(port) == since
        place.command(engine, "unpause", "paused")
        place.until_mirrored(port)
        assert place.since(port) == since


@pytest.mark.parametrize("engine", ["docker", "podman"])
def test_the_mirror_of_a_container_that_is_stopped_returns_with_it(
    place: Place, engine: str
) -> None:
    port = quiet_ports(1)
    with place.container(engine, "restarted", *serving(port)) as identity:
        place.until_mirrored(port)
        place.command(engine, "stop", "--time=0", "restarted")
        place.until_gone(port)
        place.command(engine, "start", "restarted")
        place.until_mirrored(port)
        place.command(engine, "restart", "--time=0", "restarted")
        until(lambda: hears("tcp", "127.0.0.1", port), "it again")
        place.stage.table.until(lambda: place.owner(port) == (identity, "restarted", engine), "it")


def test_a_new_name_is_shown(place: Place) -> None:
    ports = dict(zip(place.engines, range(quiet_ports(3), 65536), strict=False))
    with contextlib.ExitStack() as stack:
        for engine, port in ports.items():
            stack.enter_context(place.container(engine, f"old-{engine}", *serving(port)))
            place.until_mirrored(port)
            if engine == "containerd":
                label = "nerdctl/name=new-containerd"
                place.command(engine, "container", "label", "old-containerd", label)
            else:
                place.command(engine, "rename", f"old-{engine}", f"new-{engine}")
            place.until_named(port, f"new-{engine}")


def test_a_task_of_a_swarm_service_is_mirrored_and_the_swarms_own_ports_are_not(
    place: Place,
) -> None:
    port = quiet_ports(1)
    docker = place.docker
    docker("swarm", "init", "--advertise-addr", place.inside.address)
    try:
        options = ["--detach", "--no-resolve-image", "--network=host", "--name=served"]
        docker("service", "create", *options, IMAGE, *serving(port))
        place.until_mirrored(port)
        place.stage.table.until(lambda: place.name(port).startswith("served.1."), "its name")
        until(lambda: place.service(port) == "served", "its service")
        place.see_another()
        listening = place.inside.run("ss", "-Hltun")
        for protocol, number in SWARM_PORTS:
            assert f":{number} " in listening
            assert place.stage.table.rows(protocol, number) == []
    finally:
        docker("swarm", "leave", "--force")
    place.until_gone(port)


def test_a_service_of_compose_with_host_networking_is_mirrored(
    place: Place, tmp_path: Path
) -> None:
    if not shutil.which("docker-compose"):
        pytest.skip("docker-compose is not installed: scripts/setup engines")
    port = quiet_ports(1)
    service = {"image": IMAGE, "network_mode": "host", "command": serving(port), "init": True}
    file = tmp_path / "docker-compose.yml"
    file.write_text(json.dumps({"version": "3.7", "services": {"web": service}}))
    compose = ["docker-compose", "--file", str(file), "--project-name", "composed"]
    environment = {**os.environ, "DOCKER_HOST": place.docker_host}

    def run(*arguments: str) -> None:
        done = subprocess.run(
            [*compose, *arguments], env=environment, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stdout + done.stderr

    run("up", "--detach")
    try:
        place.until_mirrored(port)
        place.stage.table.until(
            lambda: place.name(port) in ("composed_web_1", "composed-web-1"), "its name"
        )
        until(lambda: place.service(port) == "composed/web", "its service")
        assert f"  {IMAGE}  composed/web  " in place.samehost.run("ports", "--wide")
    finally:
        run("down", "--timeout", "0")
    place.until_gone(port)


@pytest.fixture(scope="module")
def second(place: Place) -> SecondDocker:
    """A second Docker Engine with the image; tests start and stop it."""
    engine = SecondDocker(place.inside)
    engine.start()
    engine.load_image()
    engine.stop("TERM")
    return engine


@pytest.mark.parametrize("ending", ["TERM", "KILL"])
def test_an_engine_that_restarts_under_live_containers_changes_nothing(
    place: Place, second: SecondDocker, ending: str
) -> None:
    port = quiet_ports(1)
    second.start("--live-restore")
    try:
        with second.container(*serving(port)) as identity:
            place.until_mirrored(port)
            since = place.since(port)
            second.stop(ending)
            place.until_mirrored(port)
            second.start("--live-restore")
            place.see_another()
            assert place.since(port) == since
            assert place.owner(port) == (identity, "", "docker")
    finally:
        second.stop("TERM")


def test_an_engine_that_ends_its_containers_takes_the_mirror_and_brings_it_back(
    place: Place, second: SecondDocker
) -> None:
    port = quiet_ports(1)
    second.start()
    try:
        with second.container(*serving(port)) as identity:
            place.until_mirrored(port)
            second.stop("TERM")
            place.until_gone(port)
            second.start()
            place.until_mirrored(port)
            owner = place.owner(port)
            assert owner is not None
            assert owner[0] == identity
    finally:
        second.stop("TERM")


def test_an_engine_that_hangs_delays_no_mirror_of_another(place: Place) -> None:
    port = quiet_ports(1)
    pid = place.inside.run("cat", "/run/docker.pid")
    place.inside.run("kill", "-STOP", pid)
    try:
        with place.container("podman", "lively", *serving(port)):
            place.until_mirrored(port)
            place.until_named(port, "lively")
        place.until_gone(port)
    finally:
        place.inside.run("kill", "-CONT", pid)


def test_a_socket_stays_with_the_container_in_which_it_was_made(place: Place) -> None:
    port = quiet_ports(1)
    with place.docker_container("maker", *serving(port)) as identity:
        place.until_mirrored(port)
        pid = place.docker("inspect", "-f", "{{.State.Pid}}", identity)
        place.inside.sh('echo "$1" > /sys/fs/cgroup/init/cgroup.procs', pid)
        agent = place.agent()
        place.inside.run("kill", "-KILL", agent)
        until(lambda: place.agent() not in ("", agent), "another agent")
        place.see_another()
        place.stage.table.until(lambda: place.owner(port) == (identity, "maker", "docker"), "it")
        place.until_mirrored(port)


@pytest.mark.parametrize(
    ("cgroup", "is_mirrored"),
    [("system.slice/hardened.service", False), ("pods/unheard-of", True)],
    ids=["a hardened service", "a container of an unknown engine"],
)
def test_a_mount_namespace_makes_a_container_but_not_of_a_service(
    place: Place, cgroup: str, is_mirrored: bool
) -> None:
    port = quiet_ports(1)
    enter = 'mkdir -p "$1"; echo $$ > "$1/cgroup.procs"; shift; exec unshare --mount "$@"'
    directory = f"/sys/fs/cgroup/{cgroup}"
    with place.inside.running("sh", "-euc", enter, "sh", directory, *serving(port)):
        until(lambda: hears("tcp", place.inside.address, port), "the server")
        place.see_another()
        if is_mirrored:
            owner = ("unheard-of", "", "container")
            place.stage.table.until(lambda: place.owner(port) == owner, "its owner")
        else:
            assert place.stage.table.rows("tcp", port) == []
