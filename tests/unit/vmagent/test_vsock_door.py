"""The agent's door on a vsock port: the host may come in, and nobody else."""

from __future__ import annotations

import asyncio
import socket

import pytest

from tests.contract.transport_ways import VMADDR_CID_LOCAL, require_vsock_loopback
from vmagent.doors import vsock
from vmagent.doors.select import open_entrance
from vmagent.doors.vsock import VsockEntrance


def enter(entrance: VsockEntrance) -> tuple[list[socket.socket], bytes]:
    """Come from this machine itself: who was let in, and what was said to whoever was not."""
    came: list[socket.socket] = []

    async def story() -> bytes:
        entrance.begin(came.append, lambda _reason: None)
        with socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as client:
            client.settimeout(10)
            await asyncio.to_thread(client.connect, (VMADDR_CID_LOCAL, entrance.answer["port"]))
            while not came:
                client.setblocking(False)
                try:
                    return client.recv(1) or b"the end"
                except BlockingIOError:
                    await asyncio.sleep(0.01)  # either it is let in, or it is told
        return b""

    heard = asyncio.run(story())
    entrance.close()
    entrance.close()
    return came, heard


@pytest.fixture
def standing_input(monkeypatch: pytest.MonkeyPatch) -> None:
    """The desktop keeps the agent's standard input open."""
    monkeypatch.setattr(vsock, "watch_input", lambda _finish: None)


@pytest.mark.usefixtures("standing_input")
def test_a_container_that_shares_the_machines_network_is_not_let_in() -> None:
    require_vsock_loopback()
    entrance = open_entrance({"kind": "vsock", "port": 0})
    assert isinstance(entrance, VsockEntrance)
    assert enter(entrance) == ([], b"the end")


@pytest.mark.usefixtures("standing_input")
def test_whoever_is_told_to_be_let_in_is() -> None:
    require_vsock_loopback()
    [came], heard = enter(VsockEntrance(peer=VMADDR_CID_LOCAL))
    assert heard == b""
    assert not came.getblocking()
    came.close()


def test_a_python_without_vsock_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socket, "AF_VSOCK")
    with pytest.raises(OSError, match="knows no vsock"):
        open_entrance({"kind": "vsock", "port": 5000})
