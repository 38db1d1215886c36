"""Whoever is cut off because daemon or agent was killed sees a reset, never an end-of-file."""

from __future__ import annotations

import os
import signal
import socket
from typing import Final

import pytest

from tests.integration.samehost import PATIENCE, free_port, quiet_ports, running_samehost, until

ASKER: Final = """
import socket, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as client:
    client.sendall(b"x")
    print("heard", client.recv(1).decode())
    try:
        print("more" if client.recv(1) else "end")
    except ConnectionResetError:
        print("reset")
"""
"""port: says one byte, prints what comes back, and how it ends."""

SERVER: Final = """
import socket, sys
with socket.create_server(("0.0.0.0", int(sys.argv[1]))) as server:
    client, _ = server.accept()
    client.sendall(client.recv(1))
    try:
        print("more" if client.recv(1) else "end")
    except ConnectionResetError:
        print("reset")
"""
"""port: gives one byte back, and prints how its client ends."""


@pytest.mark.parametrize(("who", "ebpf"), [("daemon", "auto"), ("agent", "off")])
def test_all_four_ends_of_flows_both_ways_are_reset(who: str, ebpf: str) -> None:
    there, here = free_port(), quiet_ports(1)
    with (
        running_samehost(ebpf=ebpf) as samehost,
        socket.create_server(("127.0.0.1", here)) as listener,
        samehost.python(SERVER, str(there)) as server,
    ):
        until(lambda: samehost.states(there) == ["active"], "the mirror")
        until(lambda: samehost.states(here, "host") == ["active"], "the stub")
        with (
            samehost.python(ASKER, str(here)) as asker,
            socket.create_connection(("127.0.0.1", there), timeout=PATIENCE) as client,
        ):
            asked = listener.accept()[0]
            asked.settimeout(PATIENCE)
            asked.sendall(asked.recv(1))
            client.sendall(b"x")
            assert client.recv(1) == b"x"
            until(lambda: "heard x" in samehost.docker("logs", asker), "the asker to be answered")
            os.kill(samehost.daemon() if who == "daemon" else samehost.agent(), signal.SIGKILL)
            for sock in (client, asked):
                with sock, pytest.raises(ConnectionResetError):
                    sock.recv(1)
            samehost.run("up")
            until(lambda: "reset" in samehost.docker("logs", asker), "the asker to be cut off")
            until(lambda: "reset" in samehost.docker("logs", server), "the server to be cut off")
