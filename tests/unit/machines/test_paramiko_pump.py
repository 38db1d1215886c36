"""What the pump says on a channel comes in its order, whoever else has something to say on it.

Counterpart: `tests/contract/test_shells.py` has the whole way, to a real server.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from typing import NamedTuple

import paramiko
import pytest
from paramiko.common import (
    AUTH_SUCCESSFUL,
    MSG_CHANNEL_CLOSE,
    MSG_CHANNEL_DATA,
    MSG_CHANNEL_EOF,
    MSG_CHANNEL_OPEN,
    OPEN_SUCCEEDED,
)

from desktop.machines.paramiko.pump import Pump

PUMP = "the pump"
PATIENCE = 30.0


class Server(paramiko.ServerInterface):
    """One that lets everybody in."""

    def check_auth_none(self, _username: str) -> int:
        return AUTH_SUCCESSFUL

    def check_channel_request(self, _kind: str, _chanid: int) -> int:
        return OPEN_SUCCEEDED


class Ends(NamedTuple):
    """Of a connection."""

    client: paramiko.Transport
    server: paramiko.Transport


@pytest.fixture
def ends() -> Iterator[Ends]:
    """A connection within this process."""
    near, far = socket.socketpair()
    ends = Ends(paramiko.Transport(near), paramiko.Transport(far))
    ends.server.add_server_key(paramiko.ECDSAKey.generate())
    try:
        ends.server.start_server(event=threading.Event(), server=Server())
        ends.client.start_client(timeout=PATIENCE)
        ends.client.auth_none("root")
        yield ends
    finally:
        for end in ends:
            end.close()
            end.join()
            end.packetizer.complete_handshake()  # ends a timer of its own


class Said:
    """What a client says, by kind; `meanwhile` happens while the pump is about to say one kind."""

    def __init__(
        self, client: paramiko.Transport, kind: int, meanwhile: Callable[[], None]
    ) -> None:
        self.kinds: list[int] = []
        self.is_closed = threading.Event()
        self._send = client._send_user_message  # type: ignore[attr-defined]
        self._kind, self._meanwhile = kind, meanwhile
        client._send_user_message = self.say  # type: ignore[attr-defined]

    def say(self, message: paramiko.Message) -> None:
        kind = message.asbytes()[0]
        if kind == self._kind and threading.current_thread().name == PUMP:
            self._meanwhile()
        self.kinds.append(kind)
        self._send(message)
        if kind == MSG_CHANNEL_CLOSE:
            self.is_closed.set()


@pytest.mark.parametrize(
    ("kind", "act"),
    [
        (MSG_CHANNEL_DATA, lambda near: near.send(b"more")),
        (MSG_CHANNEL_EOF, lambda near: near.shutdown(socket.SHUT_WR)),
    ],
    ids=["data", "end-of-file"],
)
@pytest.mark.parametrize("closes", ["machine", "kill"])
def test_nothing_is_said_on_a_channel_after_its_close(
    ends: Ends, kind: int, act: Callable[[socket.socket], object], closes: str
) -> None:
    channel = ends.client.open_session()
    far = ends.server.accept(PATIENCE)
    assert far is not None
    others: list[paramiko.Channel] = []

    def close() -> None:
        if closes == "kill":
            closing = threading.Thread(target=channel.close)
            closing.start()
            closing.join()
            return
        far.close()
        others.append(ends.client.open_session())  # what came before has been dealt with then
        assert channel.closed

    said = Said(ends.client, kind, close)
    pump = Pump(PUMP)
    try:
        with pump.carry(channel, on_end=lambda: None) as near:
            act(near)
            assert said.is_closed.wait(PATIENCE)
    finally:
        pump.close()
    assert [each for each in said.kinds if each != MSG_CHANNEL_OPEN][-1] == MSG_CHANNEL_CLOSE
