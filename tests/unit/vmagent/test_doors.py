"""The doors by which streams come in: who may, and that nothing of them is left."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from desktop.transports.unix import UnixTransport
from tests.stories import run
from vmagent.doors import unix
from vmagent.doors.entrance import Entrance
from vmagent.doors.select import UnknownDoorError, open_entrance
from vmagent.doors.tcp import PORTS, TcpEntrance
from vmagent.doors.unix import UnixEntrance

TCP = {"kind": "tcp", "address": "127.0.0.1", "port": 0, "peer": "", "carries_reset": True}


@pytest.fixture(autouse=True)
def folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where sockets are made, in place of /run."""
    monkeypatch.setattr(unix, "FOLDERS", (str(tmp_path / "missing"), str(tmp_path)))
    return tmp_path


@dataclass
class Begun:
    """An entrance at work: streams that come in, reasons to finish, and who writes to its input."""

    streams: asyncio.Queue[socket.socket]
    reasons: asyncio.Queue[str]
    desktop: socket.socket


@contextlib.contextmanager
def begun(entrance: Entrance, monkeypatch: pytest.MonkeyPatch) -> Iterator[Begun]:
    near, far = socket.socketpair()
    monkeypatch.setattr("sys.stdin", near)
    told = Begun(asyncio.Queue(), asyncio.Queue(), far)
    entrance.begin(told.streams.put_nowait, told.reasons.put_nowait)
    with near, far:
        yield told
        asyncio.get_running_loop().remove_reader(near.fileno())
    entrance.close()


def mode_and_owner(path: str) -> tuple[int, int]:
    status = os.stat(path)
    return stat.S_IMODE(status.st_mode), status.st_uid


def test_a_unix_door_is_its_owners_alone_and_leaves_nothing(folders: Path) -> None:
    async def story() -> None:
        entrance = open_entrance({"kind": "unix", "owner": os.getuid(), "buffer_bytes": 1 << 20})
        path = entrance.answer["path"]
        assert entrance.answer == {"kind": "unix", "path": path}
        assert mode_and_owner(path) == (0o600, os.getuid())
        assert mode_and_owner(os.path.dirname(path)) == (0o700, os.getuid())
        assert path.startswith(f"{folders}/")
        entrance.close()
        entrance.close()
        assert os.listdir(folders) == []

    run(story)


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives files away")
def test_a_unix_door_is_given_to_its_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> list[int]:
        monkeypatch.setenv("SUDO_UID", "12345")
        owners = []
        for owner in (4711, None):
            entrance = UnixEntrance(owner)
            path = entrance.answer["path"]
            _mode, of_folder = mode_and_owner(os.path.dirname(path))
            assert mode_and_owner(path) == (0o600, of_folder)
            owners.append(of_folder)
            entrance.close()
        return owners

    assert run(story) == [4711, 12345]


@pytest.mark.parametrize("kind", ["unix", "tcp"])
def test_streams_come_in_after_begin_and_the_end_of_input_is_the_end(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        door = {**TCP, "kind": kind, "owner": None, "buffer_bytes": 0}
        entrance = open_entrance(door)
        place = entrance.answer
        client = socket.socket(socket.AF_UNIX if kind == "unix" else socket.AF_INET)
        client.connect(place["path"] if kind == "unix" else ("127.0.0.1", place["ports"][-1]))
        with client, begun(entrance, monkeypatch) as told:
            with await told.streams.get() as stream:
                client.send(b"word")
                assert await asyncio.get_running_loop().sock_recv(stream, 10) == b"word"
            told.desktop.send(b"words that nobody needs")
            told.desktop.close()
            assert "ended" in await told.reasons.get()

    run(story)


@pytest.mark.skipif(os.getuid() != 0, reason="others get less than they ask for")
def test_as_much_may_wait_in_a_unix_doors_streams_as_the_order_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    size = 1 << 22

    async def story() -> None:
        entrance = open_entrance({"kind": "unix", "owner": None, "buffer_bytes": size})
        with begun(entrance, monkeypatch) as told:
            near = await UnixTransport(entrance.answer["path"], size).open()
            with near, await told.streams.get() as far:
                for end in (near, far):
                    assert end.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) >= size
            told.desktop.close()
            await told.reasons.get()

    run(story)


def test_a_tcp_door_lets_its_peer_in_and_closes_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        entrance = TcpEntrance("127.0.0.1", peer="127.0.0.2")
        place = "127.0.0.1", entrance.answer["ports"][0]
        assert len(set(entrance.answer["ports"])) == PORTS
        with begun(entrance, monkeypatch) as told:
            with socket.create_connection(place, source_address=("127.0.0.1", 0)) as client:
                client.setblocking(False)
                assert await asyncio.get_running_loop().sock_recv(client, 1) == b""
            with socket.create_connection(place, source_address=("127.0.0.2", 0)):
                (await told.streams.get()).close()
            assert told.streams.empty()

    run(story)


@pytest.mark.parametrize("carries_reset", [True, False])
def test_a_tcp_door_is_told_whether_its_streams_carry_resets(carries_reset: bool) -> None:
    async def story() -> bool:
        entrance = open_entrance({**TCP, "carries_reset": carries_reset})
        entrance.close()
        return entrance.carries_reset

    assert run(story) is carries_reset


def test_a_door_that_cannot_be_opened_is_an_error_and_leaves_nothing(folders: Path) -> None:
    async def story() -> None:
        with pytest.raises(OSError, match="assign"):
            open_entrance({**TCP, "address": "192.0.2.1"})
        with pytest.raises(UnknownDoorError):
            open_entrance({"kind": "window"})
        with pytest.raises(KeyError):
            open_entrance({})
        with pytest.raises(OverflowError):
            open_entrance({"kind": "unix", "owner": -2, "buffer_bytes": 0})
        assert os.listdir(folders) == []

    run(story)
