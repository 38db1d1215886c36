"""Two sandboxes attached at once: whose port it is, and that one's end is not the other's."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from desktop.machines.sandbox import Sandbox
from tests.integration.samehost import (
    IMAGE,
    PATIENCE,
    Samehost,
    free_port,
    quiet_ports,
    running_samehost,
    talk,
    until,
)
from tests.integration.servers import ECHO, GREETER, UDP_ECHO

BOTH = {"sandbox": "connected", "sandbox-b": "connected"}
PIECE = os.urandom(1 << 20)
PIECES = 64


class There(Samehost):
    """The same Samehost, but its containers run in a certain machine."""

    def __init__(self, samehost: Samehost, machine: str) -> None:
        self.home, self.paths, self.environment = (
            samehost.home,
            samehost.paths,
            samehost.environment,
        )
        self.machine = machine

    def docker(self, *arguments: str, text: str = "") -> str:
        """The docker command on that machine's engine, stripped."""
        host = Sandbox(self.machine, self.paths).docker_host()
        command = ["docker", "--host", host, *arguments]
        done = subprocess.run(
            command, input=text, capture_output=True, text=True, timeout=90, check=False
        )
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def hears(self, port: int) -> str:
        """What a container there hears from its own localhost; "" if it is refused."""
        run = ("run", "--rm", "--network=host", IMAGE)
        with contextlib.suppress(AssertionError):
            return self.docker(*run, "nc", "-w", "2", "127.0.0.1", str(port))
        return ""


@pytest.fixture(scope="module")
def one() -> Iterator[There]:
    """The first machine of a Samehost, with the second one attached beside it."""
    with running_samehost() as samehost:
        samehost.run("machine", "attach", "sandbox-b")
        There(samehost, "sandbox-b").load_image()
        yield There(samehost, "sandbox")


@pytest.fixture
def two(one: There) -> There:
    """The second machine. Both are attached when a test begins."""
    one.run("up")
    if attached(one) != BOTH:
        one.run("machine", "attach", "sandbox-b")
    two = There(one, "sandbox-b")
    if IMAGE not in two.docker("images", "--format={{.Repository}}"):
        two.load_image()
    return two


def attached(samehost: Samehost) -> dict[str, str]:
    return {machine["name"]: machine["state"] for machine in samehost.status()["machines"]}


def states(samehost: Samehost, port: int) -> dict[str, str]:
    """The states of the rows of a containers' port, by machine."""
    return {row["machine"]: row["state"] for row in samehost.rows(port)}


def reason(samehost: Samehost, port: int, machine: str) -> str:
    (row,) = [row for row in samehost.rows(port) if row["machine"] == machine]
    return str(row["reason"])


def greeter(there: There, port: int) -> Any:
    """A container there that says the machine's name."""
    return there.python(GREETER, "0.0.0.0", str(port), "v6only", there.machine)


def says(port: int) -> str:
    try:
        return talk("127.0.0.1", port).decode()
    except OSError:
        return ""


def test_both_are_attached_and_docker_is_the_current_ones(one: There, two: There) -> None:
    assert attached(one) == BOTH
    status = one.status()
    assert status["machine"] == status["machines"][0]
    assert all(machine["watcher"] for machine in status["machines"])
    names = {there.machine: there.docker("info", "--format={{.Name}}") for there in (one, two)}
    assert len(set(names.values())) == 2
    assert one.run("docker", "info", "--format={{.Name}}").strip() == names["sandbox"]


def test_the_same_port_in_both_is_the_firsts_and_the_seconds_when_that_has_gone(
    one: There, two: There
) -> None:
    port = free_port()
    first = two.start_python(GREETER, "0.0.0.0", str(port), "v6only", two.machine)
    name = two.docker("inspect", "-f", "{{.Name}}", first).removeprefix("/")
    until(lambda: states(one, port) == {"sandbox-b": "active"}, "the first mirror")
    with greeter(one, port):
        until(lambda: states(one, port).get("sandbox") == "conflict", "a conflict")
        holder = f"container {name} on the machine sandbox-b has tcp port {port}"
        until(lambda: holder in reason(one, port, "sandbox"), holder)
        assert "MACHINE" in one.run("ports").splitlines()[0]
        assert (says(port), one.hears(port)) == ("sandbox-b", "sandbox")
        two.docker("rm", "-f", first)
        until(lambda: states(one, port) == {"sandbox": "active"}, "it to heal")
        assert says(port) == "sandbox"


def test_this_computers_port_is_open_in_both_but_a_machines_is_not_in_the_other(
    one: There, two: There
) -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", port)) as server, serving(server, b"from here\n"):
        for there in (one, two):
            until(lambda: there.hears(port) == "from here", there.machine)  # noqa: B023
        rows = one.rows(port, "host")
        assert {row["machine"]: row["state"] for row in rows} == dict.fromkeys(BOTH, "active")
    port = free_port()
    with greeter(one, port):
        until(lambda: says(port) == "sandbox", "the mirror")
        assert one.hears(port) == "sandbox"
        assert two.hears(port) == ""


@contextlib.contextmanager
def serving(server: socket.socket, words: bytes) -> Iterator[None]:
    """Say `words` to each client until the block ends."""

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = server.accept()
                with client:
                    client.sendall(words)

    thread = threading.Thread(target=serve, name="server")
    thread.start()
    try:
        yield
    finally:
        server.shutdown(socket.SHUT_RDWR)
        thread.join(PATIENCE)


def test_when_one_machine_is_killed_the_flows_of_the_other_go_on_with_every_byte(
    one: There, two: There
) -> None:
    port = quiet_ports(3)
    two.start_python(GREETER, "0.0.0.0", str(port + 2), "v6only", two.machine)
    with one.python(ECHO, str(port)), one.python(UDP_ECHO, "0.0.0.0", str(port + 1)):
        for each in range(port, port + 3):
            until(lambda: "active" in states(one, each).values(), f"port {each}")  # noqa: B023
        with (
            socket.create_connection(("127.0.0.1", port), PATIENCE) as flow,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
        ):
            datagrams.settimeout(PATIENCE)
            datagrams.connect(("127.0.0.1", port + 1))
            echoed = Echoed(flow)
            for number in range(PIECES):
                if number == PIECES // 3:
                    kill_machine(two)
                flow.sendall(PIECE)
                datagrams.send(b"%d" % number)
                assert datagrams.recv(100) == b"%d" % number
            flow.shutdown(socket.SHUT_WR)
            assert echoed.digest() == hashlib.sha256(PIECE * PIECES).hexdigest()
        until(lambda: states(one, port + 2) == {"sandbox-b": "paused"}, "a paused row")
        assert states(one, port) == {"sandbox": "active"}
        assert attached(one)["sandbox"] == "connected"
        one.run("machine", "stop", "sandbox-b")
        assert attached(one) == {"sandbox": "connected"}


class Echoed:
    """The sum of all that a connection says until its end, heard in a thread."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._sum = hashlib.sha256()
        self._thread = threading.Thread(target=self._hear, name="echo")
        self._thread.start()

    def _hear(self) -> None:
        while data := self._sock.recv(1 << 16):
            self._sum.update(data)

    def digest(self) -> str:
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        return self._sum.hexdigest()


def kill_machine(there: There) -> None:
    """End the machine's first process, and so all of it."""
    os.kill(Sandbox(there.machine, there.paths)._record().pid, signal.SIGKILL)


def test_to_detach_a_machine_closes_its_ports_only_and_it_runs_on(one: There, two: There) -> None:
    port = quiet_ports(2)
    with greeter(one, port), greeter(two, port + 1) as container:
        until(lambda: (says(port), says(port + 1)) == ("sandbox", "sandbox-b"), "both mirrors")
        one.run("machine", "detach", "sandbox-b")
        until(lambda: not says(port + 1), "its port to close")
        assert says(port) == "sandbox"
        assert attached(one) == {"sandbox": "connected"}
        assert {row["machine"] for row in one.ports()} == {"sandbox"}
        assert two.docker("inspect", "-f", "{{.State.Running}}", container) == "true"
        one.run("machine", "attach", "sandbox-b")
        until(lambda: says(port + 1) == "sandbox-b", "its port to come back")


def test_the_next_daemon_attaches_both_again(one: There, two: There) -> None:
    port = quiet_ports(2)
    with greeter(one, port), greeter(two, port + 1):
        until(lambda: (says(port), says(port + 1)) == ("sandbox", "sandbox-b"), "both mirrors")
        os.kill(one.daemon(), signal.SIGKILL)
        until(lambda: (says(port), says(port + 1)) == ("", ""), "both ports to close")
        assert "sandbox is connected, sandbox-b is connected" in one.run("up")
        until(lambda: (says(port), says(port + 1)) == ("sandbox", "sandbox-b"), "both mirrors")


def test_another_machine_becomes_the_current_one_and_both_stay(one: There, two: There) -> None:
    try:
        one.run("machine", "use", "sandbox-b")
        assert attached(one) == BOTH
        assert one.status()["machine"]["name"] == "sandbox-b"
        name = two.docker("info", "--format={{.Name}}")
        assert one.run("docker", "info", "--format={{.Name}}").strip() == name
        assert json.loads(one.run("settings", "get", "alsoAttach", "--json"))["value"] == [
            "sandbox"
        ]
    finally:
        one.run("machine", "use", "sandbox")
