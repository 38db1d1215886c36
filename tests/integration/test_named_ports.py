"""A port that a server opens and tells its client at once, as servers of FTP, RTSP and iperf3 do.

The client has the number a fraction of a millisecond after the server began to listen, and asks
there: the mirror must stand by then.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Final

import pytest

from tests.integration.samehost import Samehost, quiet_ports, running_samehost, until

TURNS: Final = 50
MOST_LATE: Final = 2
"""Of those turns: whoever shares the computer may hold up a daemon for as long as that takes."""

SERVER: Final = """
import socket, sys

KINDS = {b"t": socket.SOCK_STREAM, b"u": socket.SOCK_DGRAM}
control, port, opened = socket.create_server(("127.0.0.1", int(sys.argv[1]))), 0, []
client, _peer = control.accept()
client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
while word := client.recv(1):
    while opened:
        opened.pop().close()
    port = port % 500 + 2
    for each in (port, port + 1):
        opened.append(socket.socket(socket.AF_INET, KINDS[word]))
        opened[-1].bind(("127.0.0.1", int(sys.argv[1]) + each))
        if word == b"t":
            opened[-1].listen()
    client.sendall(b"%5d" % opened[-1].getsockname()[1])
"""
"""port: closes what it had opened, opens two ports of the protocol it hears, tells the second."""


@pytest.fixture(scope="module")
def samehost() -> Iterator[Samehost]:
    with running_samehost() as samehost:
        yield samehost


def _answers(kind: str, port: int) -> bool:
    """Whether somebody is there. A UDP server here says nothing: what counts is no refusal."""
    if kind == "t":
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", port)) == 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(0.02)
        client.connect(("127.0.0.1", port))
        try:
            client.send(b"?")
            client.recv(1)
        except TimeoutError:
            return True
        except ConnectionRefusedError:
            return False
    raise AssertionError("the server does not answer")


@pytest.mark.parametrize("kind", ["t", "u"])
def test_a_port_that_a_server_names_is_open_when_its_client_hears_of_it(
    samehost: Samehost, kind: str
) -> None:
    port = quiet_ports(510)
    with samehost.python(SERVER, str(port)):
        until(lambda: samehost.states(port) == ["active"], "the mirror")
        with socket.create_connection(("127.0.0.1", port), timeout=10) as control:
            control.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            late = 0
            for _ in range(TURNS):
                control.sendall(kind.encode())
                late += not _answers(kind, int(control.recv(5, socket.MSG_WAITALL)))
    assert late <= MOST_LATE
