"""A process that is killed resets its flows: nobody takes what was cut for what had ended.

The kernel closes a killed process's sockets as close(2) does: with end-of-file where nothing is
left to read, which is what the other side's end looks like, too.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Final

import pytest

PATIENCE: Final = 30.0
SIZE: Final = 3 << 20
"""More than the half a MiB after which a stream may be RAW."""


class Flow:
    """A client and a server, and between them a process that can be killed."""

    def __init__(self, how: str) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        port = str(self._listener.getsockname()[1])
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.contract.sudden_end", port, how], stdout=subprocess.PIPE
        )
        assert self._process.stdout is not None
        address = ("127.0.0.1", int(self._process.stdout.readline()))
        self.client = socket.create_connection(address, timeout=PATIENCE)
        self.client.sendall(b"x")
        self.server, _ = self._listener.accept()
        self.server.settimeout(PATIENCE)
        assert self.server.recv(1) == b"x"

    def kill(self) -> None:
        """SIGKILL; returns once it is dead."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """End everything."""
        self.kill()
        assert self._process.stdout is not None
        self._process.stdout.close()
        for sock in (self.client, self.server, self._listener):
            sock.close()


@pytest.fixture(params=["raw", "in frames"])
def flow(request: pytest.FixtureRequest) -> Iterator[Flow]:
    """One over which a byte has gone, in streams that may be RAW, or may not."""
    flow = Flow(request.param)
    try:
        yield flow
    finally:
        flow.close()


def receive(sock: socket.socket, size: int) -> bytes:
    """So many bytes."""
    data = bytearray()
    while len(data) < size:
        part = sock.recv(size - len(data))
        assert part, f"end-of-file after {len(data)} of {size} bytes"
        data += part
    return bytes(data)


def move(source: socket.socket, sink: socket.socket) -> None:
    """Send SIZE bytes through the flow, and see that they arrive."""
    sending = threading.Thread(target=source.sendall, args=(bytes(SIZE),))
    sending.start()
    receive(sink, SIZE)
    sending.join()


def test_both_sides_of_a_flow_at_rest_see_a_reset(flow: Flow) -> None:
    flow.server.sendall(b"y")
    receive(flow.client, 1)
    flow.kill()
    for sock in (flow.client, flow.server):
        with pytest.raises(ConnectionResetError):
            sock.recv(1)


def test_a_client_that_has_said_all_does_not_take_the_cut_for_the_answers_end(flow: Flow) -> None:
    move(flow.client, flow.server)
    flow.client.shutdown(socket.SHUT_WR)
    assert flow.server.recv(1) == b""
    flow.server.sendall(b"half of the ans")
    receive(flow.client, 15)
    flow.kill()
    with pytest.raises(ConnectionResetError):
        flow.client.recv(1)


def test_a_server_does_not_take_the_cut_for_the_end_of_an_upload(flow: Flow) -> None:
    move(flow.client, flow.server)
    flow.kill()
    with pytest.raises(ConnectionResetError):
        flow.server.recv(1)


def test_a_client_does_not_take_the_cut_for_the_end_of_a_download(flow: Flow) -> None:
    move(flow.server, flow.client)
    flow.kill()
    with pytest.raises(ConnectionResetError):
        flow.client.recv(1)


def test_what_had_ended_is_delivered_to_its_end_whoever_dies_then(flow: Flow) -> None:
    flow.server.sendall(b"the answer")
    flow.server.shutdown(socket.SHUT_WR)
    receive(flow.client, 10)
    assert flow.client.recv(1) == b""
    flow.kill()
    assert flow.client.recv(1) == b""
    with pytest.raises(ConnectionResetError):
        flow.server.recv(1)


def test_who_still_waits_for_a_stream_sees_a_reset(flow: Flow) -> None:
    address = flow.client.getpeername()
    with socket.create_connection(address, timeout=PATIENCE) as silent:
        flow.kill()
        with pytest.raises(ConnectionResetError):
            silent.recv(1)
