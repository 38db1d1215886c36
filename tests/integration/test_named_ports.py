"""A port that a server opens and tells its client at once, as servers of FTP, RTSP and iperf3 do.

The client has the number a fraction of a millisecond after the server began to listen, and asks
there: by then the port must be open on its side.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from typing import Final

import pytest

from tests.integration.puppet import SYSTEM_PYTHON
from tests.integration.samehost import Samehost, quiet_ports, running_samehost, until

TURNS: Final = 25
MOST_LATE: Final = 2
"""Of those turns: whoever shares the computer may hold up a daemon for as long as that takes."""

SERVER: Final = """
import socket, sys

KINDS = {b"tcp": socket.SOCK_STREAM, b"udp": socket.SOCK_DGRAM}
port, opened = int(sys.argv[1]), []
control = socket.create_server(("127.0.0.1", port))
client, _peer = control.accept()
client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
while kind := client.recv(3):
    for _ in range(2):
        port += 1
        opened.append(socket.socket(socket.AF_INET, KINDS[kind]))
        opened[-1].bind(("127.0.0.1", port))
        if kind == b"tcp":
            opened[-1].listen()
    client.sendall(b"%5d" % port)
"""
"""port: for each name of a protocol it opens two ports, the next ones, and tells the second."""

CLIENT: Final = """
import socket, sys, time

port, kind, turns, late = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), 0

def answers(port):
    if kind == "tcp":
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", port)) == 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(0.03)
        client.connect(("127.0.0.1", port))
        try:
            client.send(b"?")
            client.recv(1)
        except socket.timeout:  # a server here says nothing: what counts is no refusal
            return True
        except ConnectionRefusedError:
            return False

with socket.create_connection(("127.0.0.1", port), timeout=10) as control:
    control.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for _ in range(turns):
        control.sendall(kind.encode())
        late += not answers(int(control.recv(5, socket.MSG_WAITALL)))
        time.sleep(0.1)  # as between what people do
print(late)
"""
"""port protocol turns: says how often a port that was named was not open yet."""

CALLED_BACK: Final = """
import socket, sys, time

port, turns, late, opened = int(sys.argv[1]), int(sys.argv[2]), 0, []
with socket.create_connection(("127.0.0.1", port), timeout=10) as control:
    for _ in range(turns):
        port += 1
        opened.append(socket.create_server(("127.0.0.1", port)))
        control.sendall(b"%5d" % port)
        late += control.recv(1) != b"y"
        time.sleep(0.1)
print(late)
"""
"""port turns: opens a port each time, names it, and says how often it was not reached there."""

CALLER: Final = """
import socket, sys

control = socket.create_server(("127.0.0.1", int(sys.argv[1])))
client, _peer = control.accept()
while words := client.recv(5, socket.MSG_WAITALL):
    with socket.socket() as back:
        client.sendall(b"n" if back.connect_ex(("127.0.0.1", int(words))) else b"y")
"""
"""port: connects to each port that its client names, and says whether somebody was there."""

both_protocols = pytest.mark.parametrize("protocol", ["tcp", "udp"])


@pytest.fixture(scope="module")
def samehost() -> Iterator[Samehost]:
    with running_samehost() as samehost:
        yield samehost


@both_protocols
def test_a_port_that_a_containers_server_names_is_open_when_its_client_hears_of_it(
    samehost: Samehost, protocol: str
) -> None:
    port = quiet_ports(2 * TURNS + 1)
    with samehost.python(SERVER, str(port)):
        until(lambda: samehost.states(port) == ["active"], "the mirror")
        command = [SYSTEM_PYTHON, "-c", CLIENT, str(port), protocol, str(TURNS)]
        late = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert int(late.stdout) <= MOST_LATE


@both_protocols
def test_a_port_that_this_computers_server_names_is_open_when_a_container_hears_of_it(
    samehost: Samehost, protocol: str
) -> None:
    port = quiet_ports(2 * TURNS + 1)
    server = subprocess.Popen([SYSTEM_PYTHON, "-c", SERVER, str(port)])
    try:
        until(lambda: samehost.states(port, "host") == ["active"], "the port in the machine")
        client = samehost.start_python(CLIENT, str(port), protocol, str(TURNS))
        assert samehost.docker("wait", client) == "0"
        assert int(samehost.docker("logs", client)) <= MOST_LATE
    finally:
        server.kill()
        server.wait()


def test_a_port_that_this_computers_client_names_is_open_when_a_container_hears_of_it(
    samehost: Samehost,
) -> None:
    """As one that FTP's server is to call, in active mode."""
    port = quiet_ports(TURNS + 1)
    with samehost.python(CALLER, str(port)):
        until(lambda: samehost.states(port) == ["active"], "the mirror")
        command = [SYSTEM_PYTHON, "-c", CALLED_BACK, str(port), str(TURNS)]
        late = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert int(late.stdout) <= MOST_LATE
