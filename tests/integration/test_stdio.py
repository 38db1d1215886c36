"""A machine that offers nothing but the agent's standard input and output: all in one pipe."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import socket
import threading
from collections.abc import Iterator

import pytest

from tests.integration.samehost import PATIENCE, free_port, until
from tests.integration.servers import ECHO
from tests.integration.stage import Stage, hears, open_stage
from tests.integration.udp import in_container

BULK = 24 << 20
"""Bytes: far more than fits into the pipe and all windows."""

CONVERSATIONS = 3

BULK_CLIENT = """
import hashlib, os, socket, sys, threading
data = os.urandom(int(sys.argv[2]))
client = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
def say():
    client.sendall(data)
    client.shutdown(socket.SHUT_WR)
threading.Thread(target=say).start()
heard = hashlib.sha256()
while part := client.recv(1 << 16):
    heard.update(part)
print(heard.digest() == hashlib.sha256(data).digest())
"""


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with open_stage("tests.integration.stdio_daemon") as one:
        yield one


def mirrored(stage: Stage, protocol: str, port: int, origin: str = "machine") -> None:
    stage.table.until(
        lambda: stage.table.states(protocol, port, origin) == ["active"], f"{protocol} {port}"
    )


def there_and_back(port: int, size: int) -> bool:
    """Send so much to an echo server while listening to it; True if it came back."""
    data = os.urandom(size)
    with socket.create_connection(("127.0.0.1", port), timeout=60) as client:

        def say() -> None:
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)

        speaker = threading.Thread(target=say)
        speaker.start()
        heard = hashlib.sha256()
        while part := client.recv(1 << 16):
            heard.update(part)
        speaker.join()
    return heard.digest() == hashlib.sha256(data).digest()


def test_status_names_the_way(stage: Stage) -> None:
    machine = stage.samehost.status()["machine"]
    assert (machine["state"], machine["transport"]) == ("connected", "stdio")


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_servers_of_either_side_answer_the_other(stage: Stage, protocol: str) -> None:
    port = free_port()
    with stage.inside.serving(protocol, "0.0.0.0", port, "in the machine"):
        mirrored(stage, protocol, port)
        assert hears(protocol, "127.0.0.1", port) == "in the machine"
    other = free_port()
    with stage.here.serving(protocol, "127.0.0.1", other, "on the desktop"):
        mirrored(stage, protocol, other, "host")
        assert stage.inside.hears(protocol, "127.0.0.1", other) == "on the desktop"


@pytest.mark.timeout(180)
def test_bulk_of_several_flows_crosses_whole_both_ways_at_once(stage: Stage) -> None:
    port, other = free_port(), free_port()
    results: list[bool] = []
    with stage.samehost.python(ECHO, str(port)), EchoHere(other):
        mirrored(stage, "tcp", port)
        mirrored(stage, "tcp", other, "host")
        threads = [
            threading.Thread(target=lambda: results.append(there_and_back(port, BULK)))
            for _ in range(CONVERSATIONS)
        ]
        for thread in threads:
            thread.start()
        inside = in_container(stage.samehost, BULK_CLIENT, str(other), str(BULK))
        for thread in threads:
            thread.join()
    assert results == [True] * CONVERSATIONS
    assert inside == ["True"]


class EchoHere:
    """An echo server of this computer, in a thread."""

    def __init__(self, port: int) -> None:
        self._server = socket.create_server(("127.0.0.1", port))
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._server.close()
        self._thread.join()

    def _serve(self) -> None:
        client, _ = self._server.accept()
        with client:
            while data := client.recv(1 << 16):
                client.sendall(data)


def fill(sock: socket.socket) -> int:
    """Send until nothing has been taken for a second; how many bytes were."""
    sent = 0
    sock.settimeout(1)
    with contextlib.suppress(TimeoutError):
        while True:
            sent += sock.send(b"x" * (1 << 16))
    return sent


def test_who_does_not_read_stops_nobody_and_gets_all_later(stage: Stage) -> None:
    port = free_port()
    with stage.samehost.python(ECHO, str(port)):
        mirrored(stage, "tcp", port)
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as stalled:
            sent = fill(stalled)
            for _ in range(3):
                assert there_and_back(port, 1 << 20)
            stalled.shutdown(socket.SHUT_WR)
            stalled.settimeout(PATIENCE)
            heard = 0
            while part := stalled.recv(1 << 16):
                heard += len(part)
            assert heard == sent


def test_a_reset_crosses_the_pipe_as_what_it_is(stage: Stage) -> None:
    port = free_port()
    with stage.samehost.python(ONE_RESET, str(port)):
        mirrored(stage, "tcp", port)
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as client:
            client.sendall(b"hello")
            with pytest.raises(ConnectionResetError):
                client.recv(1)


ONE_RESET = """
import socket, struct, sys
server = socket.create_server(("0.0.0.0", int(sys.argv[1])))
while True:
    client, peer = server.accept()
    client.recv(1)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
"""


def test_a_killed_agent_is_replaced_and_all_works_again(stage: Stage) -> None:
    port = free_port()
    with stage.inside.serving("tcp", "0.0.0.0", port, "still me"):
        mirrored(stage, "tcp", port)
        agent = stage.samehost.agent()
        os.kill(agent, signal.SIGKILL)
        until(lambda: stage.samehost.agent() != agent, "another agent")
        until(lambda: hears("tcp", "127.0.0.1", port) == "still me", "the mirror to return")
