"""Images and labels of containers, from the real engines to `samehost ports --wide`.

Compose and Swarm: `test_runtimes.py`.
"""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

from link.labels import ALL_LETTERS, VALUE_LETTERS
from scripts import demo_image
from tests.ended import ended
from tests.integration.engines import Podman
from tests.integration.runtimes_stage import Place, open_place, serving
from tests.integration.samehost import IMAGE, PATIENCE, quiet_ports, until
from tests.integration.stage import hears

PROJECT = {"com.docker.compose.project": "shop", "com.docker.compose.service": "web"}
ESCAPES = "\x1b]0;owned\x07\x1b[2J\nx\r\u202e\u2028"


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with open_place() as place:
        yield place


@contextlib.contextmanager
def labelled(place: Place, name: str, labels: dict[str, str], *command: str) -> Iterator[str]:
    """A host-networked container of the machine's Docker with these labels; its id.

    Made as programs make one: the docker command has limits of its own.
    """
    wanted = {
        "Image": IMAGE,
        "Cmd": command,
        "Labels": {"samehost.key": "", **labels},
        "HostConfig": {"NetworkMode": "host"},
    }
    path = urlsplit(place.docker_host).path
    connection = HTTPConnection("localhost", timeout=PATIENCE)
    with closing(connection), socket.socket(socket.AF_UNIX) as connection.sock:
        connection.sock.connect(path)
        kind = {"Content-Type": "application/json"}
        connection.request("POST", f"/containers/create?name={name}", json.dumps(wanted), kind)
        answer = json.load(connection.getresponse())
    identity = str(answer["Id"])
    try:
        place.docker("start", identity)
        yield identity
    finally:
        place.docker("rm", "-f", identity)


def test_image_and_labels_of_a_container_are_shown_to_whoever_asks(place: Place) -> None:
    port = quiet_ports(1)
    labels = {**PROJECT, "note": "a=b, c"}
    with labelled(place, "shop-web-1", labels, *serving(port)) as identity:
        place.until_mirrored(port)
        until(lambda: place.details(port).get("labels"), "its labels")
        place.until_named(port, "shop-web-1")
        assert place.details(port) == {
            "id": identity,
            "name": "shop-web-1",
            "runtime": "docker",
            "image": IMAGE,
            "labels": {"samehost.key": "", **labels},
        }
        (row,) = place.stage.table.rows("tcp", port)
        assert list(row["container"]) == ["id", "name", "runtime"]
        (line,) = [
            line
            for line in place.samehost.run("ports", "--wide").splitlines()
            if f":{port} " in line
        ]
        # Columns are as wide as their longest cell, which may be of any program here.
        assert line.split()[5:8] == ["shop-web-1", IMAGE, "shop/web"]
    place.until_gone(port)


def test_hostile_labels_break_neither_the_table_nor_the_mirror(place: Place) -> None:
    port = quiet_ports(1)
    hostile = {
        "huge": "x" * (1 << 20),
        "escapes": ESCAPES,
        **{f"many{number:04}": "y" * 300 for number in range(300)},
        "com.docker.compose.project": ESCAPES * 10,
        "com.docker.compose.service": "web",
    }
    with labelled(place, "hostile", hostile, *serving(port)):
        place.until_mirrored(port)
        until(lambda: place.details(port).get("labels"), "its labels")
        labels = place.details(port)["labels"]
        assert labels["escapes"] == ESCAPES
        assert labels["huge"] == "x" * (VALUE_LETTERS - 1) + "…"
        assert labels["com.docker.compose.service"] == "web"
        assert sum(len(key) + len(value) for key, value in labels.items()) <= ALL_LETTERS
        text = place.samehost.run("ports", "--wide")
        assert all(letter.isprintable() or letter == "\n" for letter in text)
        beginnings = [line.split()[0] for line in text.splitlines()]
        assert beginnings[0] == "FROM"
        assert set(beginnings[1:]) <= {"machine", "host"}
        agent = place.agent()
        with place.docker_container("beside", *serving(other := quiet_ports(1), "beside")):
            place.until_mirrored(other, "beside")
            place.until_named(other, "beside")
        assert place.agent() == agent
    place.until_gone(port)


def test_changes_are_followed_with_image_and_labels(place: Place) -> None:
    port = quiet_ports(1)
    command = place.samehost.command("ports", "--wide", "--watch", "--json")
    with ended(
        subprocess.Popen(command, env=place.samehost.environment, stdout=subprocess.PIPE, text=True)
    ) as watching:
        assert watching.stdout is not None
        assert json.loads(watching.stdout.readline())["type"] == "snapshot"
        with labelled(place, "followed", PROJECT, *serving(port)):
            place.until_mirrored(port)
            changes = map(json.loads, watching.stdout)
            rows = (row for each in changes for row in [*each["added"], *each["changed"]])
            containers = (row["container"] for row in rows if row["machine_port"] == port)
            told = next(each for each in containers if each["labels"])
            assert (told["image"], told["labels"]) == (IMAGE, {"samehost.key": "", **PROJECT})
        watching.send_signal(signal.SIGINT)
        assert watching.wait() == 130


def podman_of(place: Place) -> Podman:
    podman = place.others.get("podman")
    if not isinstance(podman, Podman):
        pytest.skip("podman is not installed: scripts/setup engines")
    return podman


@contextlib.contextmanager
def podman_container(
    podman: Podman, name: str, labels: dict[str, str], *command: str
) -> Iterator[str]:
    """A host-networked container of Podman's, of the demonstration's image; its id."""
    options = ["--detach", "--network=host", "--pids-limit=-1", f"--name={name}"]
    options += [f"--label={key}={value}" for key, value in labels.items()]
    identity = podman.run("run", *options, IMAGE, *command)
    try:
        yield identity
    finally:
        podman.run("rm", "--force", "--time=0", identity)


def test_podmans_labels_are_known_and_learned_anew_when_its_service_is_back(place: Place) -> None:
    podman = podman_of(place)
    podman.run(*demo_image.import_arguments(demo_image.build()))
    ports = [quiet_ports(1), quiet_ports(1), quiet_ports(1)]
    labels = {"io.podman.compose.project": "shop", "com.docker.compose.service": "web"}
    with contextlib.ExitStack() as stack:
        with podman.serving():
            stack.enter_context(podman_container(podman, "first", labels, *serving(ports[0])))
            place.until_mirrored(ports[0])
            until(lambda: place.service(ports[0]) == "shop/web", "its service")
            assert place.details(ports[0])["image"].endswith(IMAGE)
            assert place.details(ports[0])["name"] == "first"
        stack.enter_context(podman_container(podman, "second", labels, *serving(ports[1])))
        place.until_mirrored(ports[1])
        assert place.service(ports[0]) == "shop/web"
        assert place.details(ports[1])["labels"] == {}
        with podman.serving():
            until(lambda: place.service(ports[1]) == "shop/web", "the service of the second")
            place.until_named(ports[1], "second")
            stack.enter_context(podman_container(podman, "third", labels, *serving(ports[2])))
            place.until_mirrored(ports[2])
            until(lambda: place.service(ports[2]) == "shop/web", "the service of the third")
            assert place.service(ports[0]) == "shop/web"


def test_containerds_labels_are_known(place: Place) -> None:
    port = quiet_ports(1)
    with place.container("containerd", "labelled", *serving(port)):
        place.until_mirrored(port)
        labels = [f"{key}={value}" for key, value in PROJECT.items()]
        place.command("containerd", "container", "label", "labelled", *labels)
        until(lambda: place.service(port) == "shop/web", "its service")


def test_an_engine_that_hangs_leaves_details_as_they_were_and_delays_no_mirror(
    place: Place,
) -> None:
    ports = [quiet_ports(1), quiet_ports(1)]
    with contextlib.ExitStack() as stack:
        stack.enter_context(labelled(place, "before", PROJECT, *serving(ports[0])))
        place.until_mirrored(ports[0])
        until(lambda: place.service(ports[0]) == "shop/web", "its service")
        pid = place.inside.run("cat", "/run/docker.pid")
        place.inside.run("kill", "-STOP", pid)
        try:
            with place.container("containerd", "lively", *serving(ports[1])):
                place.until_mirrored(ports[1])
                assert place.service(ports[0]) == "shop/web"
                assert hears("tcp", "127.0.0.1", ports[0])
        finally:
            place.inside.run("kill", "-CONT", pid)
