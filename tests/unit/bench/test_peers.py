"""The table of peers, and starting one."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from desktop.errors import SamehostError
from tests.bench import peers
from tests.bench.load import free_port
from tests.bench.others import processes
from tests.bench.peers import ADDRESS, DOCKER_PROXY, PEERS, Peer, Route, started

LISTENING = """
import signal, socket, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
listener = socket.create_server((sys.argv[1], int(sys.argv[2])))
while True:
    listener.accept()
"""


@pytest.fixture
def route(tmp_path: Path) -> Route:
    folder = tmp_path / "peer"
    folder.mkdir()
    ends = free_port(), "127.0.0.1", "127.0.0.3"
    return Route(folder, *ends, 5001, 5002, tmp_path / "load", os.getpid())


def listening(route: Route) -> Iterator[list[str]]:
    yield [sys.executable, "-c", LISTENING, ADDRESS, str(route.port)]


def is_reached(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex((ADDRESS, port)) == 0


def test_a_peer_listens_while_it_is_wanted_and_is_forced_to_end(
    route: Route, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "END_SECONDS", 0.2)
    with started(Peer("deaf", (), listening), route) as running:
        assert is_reached(running.port)
        (pid,) = running.pids
        assert pid in processes()
    assert pid not in processes()
    assert not is_reached(route.port)
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_a_peer_that_is_not_installed_is_named_with_the_remedy(route: Route) -> None:
    with pytest.raises(SamehostError, match="nobody needs no-such-program") as caught:
        with started(Peer("nobody", ("sh", "no-such-program"), listening), route):
            pass
    assert caught.value.remedy == "scripts/setup peers"


def test_what_a_peer_said_is_told_if_it_does_not_listen(
    route: Route, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.bench.load.READY_SECONDS", 2.0)
    mute = Peer("mute", (), lambda _: [["sh", "-c", "echo no licence >&2"]])
    with pytest.raises(SamehostError, match="mute does not carry") as caught:
        with started(mute, route):
            pass
    assert caught.value.remedy == "no licence"


@pytest.mark.parametrize(
    "peer", [peer for peer in PEERS if peer.name != "ssh -L"], ids=lambda peer: peer.name
)
def test_every_peer_is_told_where_to_listen_and_where_to_lead(peer: Peer, route: Route) -> None:
    words = " ".join(word for command in peer.commands(route) for word in command)
    words += " ".join(path.read_text() for path in sorted(route.folder.iterdir()))
    assert peer.address(route) in words
    assert str(route.port) in words
    if peer.is_own_namespace:
        assert str(route.orders) in words
    else:
        assert route.server in words
        assert str(route.tcp_port) in words
        assert (str(route.udp_port) in words) == peer.has_udp


def test_what_is_on_the_cable_listens_on_the_desktops_address_there(route: Route) -> None:
    on_cable = Peer("tap", (), listening, is_on_cable=True)
    assert on_cable.address(route) == route.desktop
    assert Peer("spliced", (), listening).address(route) == ADDRESS


def test_the_first_peer_is_the_one_that_all_are_compared_with() -> None:
    assert PEERS[0] is DOCKER_PROXY
    assert len({peer.name for peer in PEERS}) == len(PEERS)
