"""The main job over SSH: a real sshd in the sandbox, a real client, nothing else known of it."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import shutil
import signal
import socket
import struct
import threading
from collections.abc import Iterator

import pytest

from desktop.machines.openssh import OpenSshShell
from desktop.machines.remote import RemoteMachine
from desktop.transports.openssh import OpenSshTransport
from link.relay.relay import LINGER_NOW
from tests.integration.conftest import SandboxHome
from tests.integration.samehost import IMAGE, free_port, talk, until
from tests.integration.servers import ECHO, GREETER
from tests.integration.ssh_server import SshServer
from tests.integration.ssh_stage import SshSamehost, attached_over_ssh, server_in
from tests.integration.test_main_job import refuses, says, web_server

PATIENCE = 20.0
MEGABYTES = 48

HASHER = """
import hashlib, socket, sys
server = socket.create_server(("0.0.0.0", int(sys.argv[1])))
while True:
    client, _ = server.accept()
    digest = hashlib.sha256()
    while data := client.recv(1 << 18):
        digest.update(data)
    client.sendall(digest.digest())
    client.close()
"""
"""port: takes everything until end-of-file, then says its hash: a half-close has to be carried."""

RESETTER = """
import socket, struct, sys
server = socket.create_server(("0.0.0.0", int(sys.argv[1])))
while True:
    client, _ = server.accept()
    said = client.recv(100)
    if said == b"reset yourself":
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        continue
    client.sendall(b"go on")
    try:
        end = client.recv(100)
        print("end-of-file" if not end else end, flush=True)
    except ConnectionResetError:
        print("reset", flush=True)
    client.close()
"""
"""port: resets its client, or prints how its client ends."""

UDP_ECHO = """
import socket, sys
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("0.0.0.0", int(sys.argv[1])))
while True:
    data, peer = server.recvfrom(65536)
    server.sendto(data, peer)
"""


@pytest.fixture(scope="module")
def server(sandbox_home: SandboxHome) -> Iterator[SshServer]:
    """One for all tests of this module."""
    with server_in(sandbox_home) as server:
        yield server


@pytest.fixture(scope="module")
def samehost(sandbox_home: SandboxHome, server: SshServer) -> Iterator[SshSamehost]:
    """The same for the Samehost that is attached to it."""
    with attached_over_ssh(sandbox_home, server) as samehost:
        yield samehost


@contextlib.contextmanager
def serving(samehost: SshSamehost, code: str, *arguments: str) -> Iterator[int]:
    """A container that serves, mirrored; its port."""
    port = free_port()
    with samehost.python(code, str(port), *arguments):
        until(lambda: samehost.states(port) == ["active"], "the mirror")
        yield port


def exactly(client: socket.socket, size: int) -> bytes:
    """So many bytes, or all until the end."""
    received = b""
    while len(received) < size and (part := client.recv(size - len(received))):
        received += part
    return received


def test_status_says_how_the_machine_is_reached(samehost: SshSamehost) -> None:
    machine = samehost.status()["machine"]
    assert (machine["name"], machine["kind"]) == (samehost.machine, "ssh")
    assert (machine["state"], machine["transport"]) == ("connected", "openssh")
    listed = json.loads(samehost.run("machine", "list", "--json"))
    [ours] = [each for each in listed if each["name"] == samehost.machine]
    assert ours["state"] == "running"
    assert ours["docker_host"] == samehost.machine.replace("ssh:", "ssh://")


def test_both_documented_examples_work_by_the_docker_command_over_ssh(
    samehost: SshSamehost,
) -> None:
    port = free_port()
    nc = ("nc", "-lkv", "0.0.0.0", str(port))
    container = samehost.run("docker", "run", "-d", "--net=host", IMAGE, *nc).strip()
    until(lambda: samehost.states(port) == ["active"], "the mirror")
    talk("localhost", port, b"typed on the desktop\n")
    until(lambda: "typed on the desktop" in samehost.run("docker", "logs", container), "the words")
    samehost.docker("rm", "-f", container)
    until(lambda: refuses("127.0.0.1", port), "the mirror to go")
    with web_server() as web:
        get = ("busybox", "wget", "-q", "-O", "-", f"http://localhost:{web}/")
        run = ("docker", "run", "--rm", "--net=host", IMAGE, *get)
        until(lambda: "page of the desktop" in samehost.try_run(*run).stdout, "the page", PATIENCE)


def test_what_is_sent_arrives_whole_with_its_end_and_the_answer_comes_after_it(
    samehost: SshSamehost,
) -> None:
    block = os.urandom(1 << 20)
    digest = hashlib.sha256()
    with serving(samehost, HASHER) as port, socket.create_connection(("localhost", port)) as client:
        client.settimeout(60)
        for _ in range(MEGABYTES):
            digest.update(block)
            client.sendall(block)
        client.shutdown(socket.SHUT_WR)
        assert exactly(client, digest.digest_size) == digest.digest()


def test_both_directions_are_carried_at_once_and_whole(samehost: SshSamehost) -> None:
    data = os.urandom(1 << 20) * 8
    with serving(samehost, ECHO) as port, socket.create_connection(("localhost", port)) as client:
        client.settimeout(60)
        sending = threading.Thread(target=client.sendall, args=(data,))
        sending.start()
        received = exactly(client, len(data))
        sending.join()
    assert hashlib.sha256(received).digest() == hashlib.sha256(data).digest()


def test_two_hundred_flows_at_once_each_get_their_own(samehost: SshSamehost) -> None:
    with serving(samehost, ECHO) as port, contextlib.ExitStack() as stack:
        clients = [
            stack.enter_context(socket.create_connection(("localhost", port), timeout=30))
            for _ in range(200)
        ]
        for number, client in enumerate(clients):
            client.sendall(struct.pack("!I", number) * 1000)
        until(lambda: samehost.streams() >= 200, "a stream for each")
        for number, client in enumerate(clients):
            assert exactly(client, 4000) == struct.pack("!I", number) * 1000
    until(lambda: samehost.streams() < 3 * OpenSshTransport.most_idle, "what is too much to go")


def test_a_reset_stays_a_reset_though_ssh_knows_none(samehost: SshSamehost) -> None:
    with serving(samehost, RESETTER) as port:
        with socket.create_connection(("localhost", port), timeout=PATIENCE) as client:
            client.sendall(b"reset yourself")
            with pytest.raises(ConnectionResetError):
                client.recv(100)
        [name] = samehost.docker("ps", "-q", "-l").split()
        for how in ("reset", "end-of-file"):
            with socket.create_connection(("localhost", port), timeout=PATIENCE) as client:
                client.sendall(b"hello")
                assert client.recv(100) == b"go on"
                if how == "reset":
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOW)
            until(lambda: samehost.docker("logs", name).split()[-1:] == [how], how)  # noqa: B023


def test_a_container_is_refused_where_the_desktop_has_no_server(samehost: SshSamehost) -> None:
    port = free_port()
    ask = ("run", "--rm", "--net=host", IMAGE, "nc", "-zv", "127.0.0.1", str(port))
    with web_server(port=port):
        until(lambda: samehost.rows(port, "host"), "the row")
    until(lambda: samehost.rows(port, "host") == [], "the row to go")
    with pytest.raises(AssertionError, match="refused"):
        samehost.docker(*ask)


def test_datagrams_go_there_and_back(samehost: SshSamehost) -> None:
    with serving(samehost, UDP_ECHO) as port:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(PATIENCE)
            client.connect(("127.0.0.1", port))
            for size in (0, 1, 1400, 65507):
                client.send(b"x" * size)
                assert len(client.recv(65536)) == size


def test_an_agent_of_a_lost_desktop_disturbs_nobody(
    samehost: SshSamehost, server: SshServer
) -> None:
    """It has no session, as one whose desktop went away, and watches and listens all the same."""

    async def story() -> None:
        shell = OpenSshShell(server.destination(), samehost.home / "other")
        other = RemoteMachine("other", "ssh", shell, "")
        handle = await other.start_agent(os.urandom(32))
        assert len(samehost.agents()) == 2
        await asyncio.to_thread(_main_job, samehost)
        await handle.transport.aclose()
        handle.process.end_input()
        assert await handle.process.wait() == 0
        await other.aclose()

    asyncio.run(story())
    until(lambda: len(samehost.agents()) == 1, "the other agent to end")


def _main_job(samehost: SshSamehost) -> None:
    with serving(samehost, ECHO) as port:
        assert talk("localhost", port, b"words") == b"words"


def test_a_killed_connection_heals(samehost: SshSamehost) -> None:
    port = free_port()
    with samehost.python(GREETER, "0.0.0.0", str(port), "v6only", "still me"):
        until(lambda: says("127.0.0.1", port) == b"still me", "the mirror")
        [old] = samehost.agents()
        for process in samehost.connections():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        until(lambda: samehost.agents() not in ([old], []), "another agent", PATIENCE)
        until(lambda: says("127.0.0.1", port) == b"still me", "the mirror to return", PATIENCE)
        until(lambda: len(samehost.agents()) == 1, "the old agent to end")


def test_a_connection_that_hangs_is_given_up_and_replaced(samehost: SshSamehost) -> None:
    port = free_port()
    with samehost.python(GREETER, "0.0.0.0", str(port), "v6only", "still me"):
        until(lambda: says("127.0.0.1", port) == b"still me", "the mirror")
        before = samehost.connections()
        for process in before:
            os.kill(process, signal.SIGSTOP)
        until(lambda: samehost.status()["machine"]["state"] != "connected", "the loss", PATIENCE)
        until(
            lambda: samehost.status()["machine"]["state"] == "connected" and says_so(port),
            "the mirror to return",
            90,
        )
        until(lambda: not set(before) & set(samehost.connections()), "the old one to end")


def says_so(port: int) -> bool:
    return says("127.0.0.1", port) == b"still me"


def test_a_removed_runtime_folder_costs_a_new_connection_and_no_more(
    samehost: SshSamehost,
) -> None:
    with serving(samehost, ECHO) as port, contextlib.ExitStack() as stack:
        before = samehost.connections()
        shutil.rmtree(samehost.paths.runtime)
        # As many as cannot be served by the streams that were dialled ahead.
        for _ in range(2 * OpenSshTransport.most_idle):
            client = socket.create_connection(("localhost", port), timeout=PATIENCE)
            stack.enter_context(client)
            until(lambda: is_answered(port), "an answer")
        until(lambda: samehost.try_run("status").returncode == 0, "the status")
        assert samehost.status()["machine"]["state"] == "connected"
        until(lambda: not set(before) & set(samehost.connections()), "the old one to end")
        until(lambda: len(samehost.agents()) == 1, "the old agent to end")


def is_answered(port: int) -> bool:
    try:
        return talk("localhost", port, b"words") == b"words"
    except OSError:
        return False


def test_a_killed_agent_is_replaced(samehost: SshSamehost) -> None:
    port = free_port()
    with samehost.python(GREETER, "0.0.0.0", str(port), "v6only", "still me"):
        until(lambda: says_so(port), "the mirror")
        [agent] = samehost.agents()
        os.kill(agent, signal.SIGKILL)
        until(lambda: samehost.agents() not in ([agent], []), "another agent", PATIENCE)
        until(lambda: says_so(port), "the mirror to return", PATIENCE)


def test_a_killed_daemon_leaves_no_process_and_the_next_no_socket(
    sandbox_home: SandboxHome, server: SshServer
) -> None:
    with attached_over_ssh(sandbox_home, server, "admin") as samehost:
        daemon = samehost.daemon()
        os.kill(daemon, signal.SIGKILL)
        until(lambda: samehost.connections() == [], "its connections to end")
        samehost.run("up", "--machine", samehost.machine)
        assert len(list((samehost.paths.runtime / "ssh").iterdir())) == 1
        os.kill(samehost.daemon(), signal.SIGKILL)
        until(lambda: samehost.connections() == [], "its connections to end")
        samehost.run("down")
        assert not samehost.paths.runtime.exists()


def test_a_machine_that_asks_for_what_nobody_can_answer_is_an_error_at_once(
    sandbox_home: SandboxHome, server: SshServer
) -> None:
    samehost = SshSamehost(sandbox_home, server, "person")
    try:
        done = samehost.try_run("up", "--machine", samehost.machine)
        assert done.returncode == 4
        assert "sudo" in done.stderr
        assert "NOPASSWD" in done.stderr
        server.known_hosts.rename(server.folder / "aside")
        done = samehost.try_run("up", "--machine", samehost.machine)
        assert done.returncode == 4
        assert "not known yet" in done.stderr
        assert f"ssh-keyscan -p {server.port}" in done.stderr
        assert samehost.connections() == []
    finally:
        (server.folder / "aside").rename(server.known_hosts)
        samehost.remove()


STEPS = ["ssh", "name", "connection", "host key", "log-in", "system", "python", "root", "engine"]


def test_doctor_shows_each_step_with_its_evidence_beside_a_running_daemon(
    samehost: SshSamehost,
) -> None:
    before = set(samehost.agents())
    findings = json.loads(samehost.run("machine", "doctor", samehost.machine, "--json"))
    assert [each["step"] for each in findings] == [*STEPS, "agent", "handshake"]
    assert {each["state"] for each in findings} == {"ok"}
    told = {each["step"]: each["evidence"] for each in findings}
    assert told["connection"].startswith("SSH-2.0-")
    assert "/run/docker.sock" in told["engine"]
    assert told["agent"] == "starts; streams by openssh"
    assert all(each["seconds"] >= 0 for each in findings)
    until(lambda: set(samehost.agents()) <= before, "its agent to end")
    lines = samehost.run("machine", "doctor", samehost.machine).splitlines()
    assert len(lines) == len(findings)


def test_doctor_stops_at_what_is_wrong_and_says_what_to_do(
    sandbox_home: SandboxHome, server: SshServer
) -> None:
    samehost = SshSamehost(sandbox_home, server, "person")
    try:
        done = samehost.try_run("machine", "doctor", samehost.machine, "--json")
        assert done.returncode == 1
        states = {each["step"]: each["state"] for each in json.loads(done.stdout)}
        assert states["log-in"] == states["python"] == "ok"
        assert states["root"] == "failed"
        assert states["agent"] == "not reached"
        done = samehost.try_run("machine", "doctor", server.name("stranger"))
        assert done.returncode == 4
        assert "ssh-copy-id" in done.stdout
        assert samehost.connections() == []
    finally:
        samehost.remove()
