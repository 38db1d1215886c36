"""Redirect where it can go wrong on a real machine, and with real containers.

What programs see is proven by `tests/contract/test_desktop_ports.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from desktop.machines.agent_bundle import build_agent
from desktop.machines.doors import TcpDoor, TcpOrder
from desktop.machines.launch import Order, launch
from desktop.machines.process import ChildProcess
from desktop.machines.sandbox.python import find_python
from desktop.transports.tcp import TcpTransport
from link.handshake import SECRET_SIZE
from link.messages import Snapshot, StubKey, StubResults, Stubs, Welcome
from tests.ended import ended
from tests.integration.both_ends import Desktop
from tests.integration.conftest import SandboxHome
from tests.integration.samehost import quiet_ports
from tests.ports_stage import PATIENCE, Program, Stage, cgroups, on_stage
from tests.private_network import private_network
from vmagent.bpf import system
from vmagent.desktop_ports import redirect as redirect_module

PROJECT: Final = Path(__file__).parents[2]
PORT: Final = 8080
V4: Final = StubKey("127.0.0.1", PORT)
V6: Final = StubKey("::1", PORT)
UDP6: Final = StubKey("::1", PORT, "udp")

BPF_LINK_DETACH: Final = 34
"""linux/bpf.h."""

AGENT: Final = """
import asyncio, socket, sys
from link.datagrams.linux import LinuxDatagramSockets
from link.messages import StubKey
from link.relay.relay import end_in_order
from vmagent.desktop_ports.redirect import Redirect

def close(key, client):
    end_in_order(client)
    client.close()

async def main():
    sockets = LinuxDatagramSockets()
    ports = Redirect(
        close,
        lambda key, sockets: None,
        sockets,
        lambda results: None,
        sys.argv[1],
        set,
    )
    ports.open([StubKey("127.0.0.1", int(sys.argv[2]))])
    print("ready", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""

redirected = pytest.mark.parametrize("way", ["redirect"])


@private_network
def test_an_agent_that_is_killed_leaves_nothing_attached() -> None:
    with cgroups() as (inner, _), Program.running(inner) as container:
        command = [sys.executable, "-c", AGENT, str(inner.parent), str(PORT)]
        with ended(subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE)) as agent:
            assert agent.stdout is not None
            assert agent.stdout.readline() == b"ready\n"
            container.call("tcp", "127.0.0.1", PORT, "")
            with pytest.raises(OSError, match="in use"):
                container.call("bind", "127.0.0.1", PORT)
        with pytest.raises(ConnectionRefusedError):
            container.call("tcp", "127.0.0.1", PORT)
        container.call("bind", "127.0.0.1", PORT)


@redirected
@on_stage
async def test_containers_with_a_network_of_their_own_are_left_alone(stage: Stage) -> None:
    stage.open(V4, V6)
    await stage.container.tell("leave_network")
    for address in ("127.0.0.1", "::1"):
        assert await stage.container.error_of("tcp", address, PORT) == "ECONNREFUSED"
        assert await stage.container.error_of("bind", address, PORT) == ""


@redirected
@on_stage
async def test_a_program_that_somebody_detaches_is_attached_again(stage: Stage) -> None:
    stage.open(V4)
    assert isinstance(stage.ports, redirect_module.Redirect)
    for link in stage.ports._redirection._programs._links:
        system._bpf(BPF_LINK_DETACH, struct.pack("=I", link))
    assert await stage.container.error_of("tcp", "127.0.0.1", PORT) == "ECONNREFUSED"
    stage.ports._timer.cancel()
    stage.ports._tend()
    assert await stage.container.error_of("tcp", "127.0.0.1", PORT) == ""
    assert await stage.outsider.error_of("tcp", "127.0.0.1", PORT) == "ECONNREFUSED"


@redirected
@on_stage
async def test_multipath_tcp_is_led_too(stage: Stage) -> None:
    stage.open(V4)
    if error := await stage.container.error_of("mptcp", "127.0.0.1", PORT):
        pytest.skip(f"no multipath TCP here: {error}")
    assert stage.served == [V4]


def test_where_ipv6_cannot_be_redirected_it_has_stubs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redirect_module, "_renew_route", lambda: False)

    @on_stage
    async def story(stage: Stage) -> None:
        assert len(stage.ports.inodes) == 2
        stage.open(V4, V6, UDP6)
        assert len(stage.ports.inodes) == 4, "two of redirection, and two stubs"
        for address in ("127.0.0.1", "::1"):
            heard, *peer = await stage.container.tell("tcp", address, PORT)
            assert heard.startswith(f"{address} {PORT} ")
            assert peer == [address, PORT]
        assert (await stage.container.tell("udp", "::1", PORT))[1:] == ["::1", PORT]
        stage.close(V4, V6, UDP6)
        assert len(stage.ports.inodes) == 2

    story("redirect")


def test_if_the_agents_port_is_taken_another_one_serves() -> None:
    @private_network
    def run() -> None:
        with (
            cgroups() as (inner, own),
            Program.running(inner) as container,
            Program.running(own) as other,
        ):
            other.call("serve", "taken", "0.0.0.0", redirect_module.PORT)

            async def story() -> None:
                stage = Stage("redirect", container, other, inner)
                try:
                    stage.open(V4)
                    heard, *peer = await container.tell("tcp", "127.0.0.1", PORT)
                    assert heard.startswith(f"127.0.0.1 {PORT} ")
                    assert peer == ["127.0.0.1", PORT]
                finally:
                    await stage.aclose()

            asyncio.run(story())

    run()


# ---- real containers


@pytest.fixture
def echo() -> Iterator[int]:
    """This computer's server: an echo, by its port."""

    def serve(server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = server.accept()
                with client:
                    while data := client.recv(65536):
                        client.sendall(data)

    server = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=serve, args=(server,))
    thread.start()
    yield int(server.getsockname()[1])
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join()


def _ask(home: SandboxHome, address: str, port: int, network: str = "host") -> str:
    """What a container hears."""
    script = f"echo hello | nc -w 5 {address} {port}"
    command = ["run", "--rm", f"--network={network}", home.image, "busybox", "sh", "-c", script]
    return home.docker(*command, check=False).stdout.strip()


def test_real_containers_reach_this_computer(
    sandbox_home: SandboxHome, echo: int, tmp_path: Path
) -> None:
    port = quiet_ports(1)
    secret = os.urandom(SECRET_SIZE)
    build_agent(tmp_path / "agent.pyz")

    async def story() -> None:
        sandbox = sandbox_home.sandbox
        machine, here = sandbox.addresses()
        argv = sandbox.command(
            *("setpriv", "--pdeathsig", "KILL", await find_python(), "-I"),
            str(tmp_path / "agent.pyz"),
        )
        order = Order(secret.hex(), TcpOrder(machine, peer=here), ["/run/docker.sock"])
        process = await ChildProcess.start(argv)
        door = await launch(process, order, TcpDoor)
        desktop = Desktop(TcpTransport(machine, *door.ports), secret)
        desktop.target = "127.0.0.1", echo
        try:
            await desktop.start()
            welcome = await desktop.next()
            assert isinstance(welcome, Welcome)
            assert welcome.watcher.endswith("; the desktop's ports by redirect")
            assert isinstance(await desktop.next(), Snapshot)
            keys = StubKey("127.0.0.1", port), StubKey("::1", port)
            desktop.link.send(Stubs(keys, ()))
            results = await desktop.next()
            assert isinstance(results, StubResults)
            assert [(each.stub, each.is_open) for each in results.results] == [
                (key, True) for key in keys
            ]
            await _prove(sandbox_home, port)
            desktop.link.send(Stubs((), keys))
            assert isinstance(await desktop.next(), StubResults)
            assert await asyncio.to_thread(_ask, sandbox_home, "127.0.0.1", port) == ""
        finally:
            await desktop.stop()
            process.end_input()
            await asyncio.wait_for(process.wait(), PATIENCE)

    asyncio.run(story())


async def _prove(home: SandboxHome, port: int) -> None:
    for address in ("127.0.0.1", "::1", "localhost"):
        assert await asyncio.to_thread(_ask, home, address, port) == "hello"
    assert await asyncio.to_thread(_ask, home, "127.0.0.1", port, "bridge") == ""
    program = f"import socket; socket.create_connection(('127.0.0.1', {port}))"
    own = await home.sandbox.run(await find_python(), "-c", program, check=False)
    assert "ConnectionRefusedError" in own.stderr, "the machine's own keep the machine's loopback"
    script = f"nc -l -p {port} 2>&1"
    command = ["run", "--rm", "--network=host", home.image, "busybox", "timeout", "5", "sh", "-c"]
    bound = await asyncio.to_thread(home.docker, *command, script, check=False)
    assert "in use" in bound.stdout + bound.stderr
