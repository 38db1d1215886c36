"""Parsers of what engines, kernel and /proc say in the machine, and of the agent's order.

Counterparts: `of_link.py`, `of_desktop.py`; `parser.py` says what must hold.
"""

from __future__ import annotations

import asyncio
import json
import struct
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

from link.labels import are_within_limits
from link.messages import MAX_TEXT
from tests import fake_containerd as grpc
from tests.fuzz.parser import Parser
from vmagent.__main__ import configuration
from vmagent.bpf.events import EVENT, read_event
from vmagent.bpf.ring import HEADER_BYTES, RingReader
from vmagent.containers import Namespaces, container_by_namespaces, container_of_path
from vmagent.desktop_ports.loopback_route import check_answer
from vmagent.engines.containerd import ContainerdFollower
from vmagent.engines.docker import DockerFollower
from vmagent.engines.follower import MOST_CONTAINERS, Follower, Listed
from vmagent.engines.protobuf import fields
from vmagent.unix_http import HttpError
from vmagent.watch.cgroups import CgroupTree, find_mounts
from vmagent.watch.vantage import container_ids, process_cgroups

__all__ = ["OF_MACHINE"]

_FOLLOWERS: Final = (OSError, HttpError, ValueError, RecursionError)
"""See `Follower.list_containers`."""


class _Writer:
    """The writing half of a connection that nobody reads: what is written is counted."""

    written = 0

    @property
    def transport(self) -> _Writer:
        return self

    def get_write_buffer_size(self) -> int:
        return self.written

    def write(self, data: bytes) -> None:
        self.written += len(data)

    async def drain(self) -> None:
        """There is always room."""

    def close(self) -> None:
        """Nothing is left."""

    abort = close


@contextmanager
def _engine_that_says(data: bytes) -> Iterator[None]:
    """Every connection brings `data`, and then its end."""

    async def connect(_path: str, limit: int = 1 << 16) -> tuple[asyncio.StreamReader, _Writer]:
        reader = asyncio.StreamReader(limit=limit)
        reader.feed_data(data)
        reader.feed_eof()
        return reader, _Writer()

    with patch("asyncio.open_unix_connection", connect):
        yield


def _follow(
    kind: type[Follower], ask: Callable[[Follower], Awaitable[Listed | None]]
) -> Callable[[bytes], None]:
    async def run(data: bytes) -> None:
        follower = kind("/run/engine.sock", lambda: None)
        with _engine_that_says(data):
            _check_listed(await ask(follower) or follower.listed)

    return lambda data: asyncio.run(run(data))


def _check_listed(listed: Listed) -> None:
    """What is kept of an engine's words can be told to the desktop."""
    assert len(listed.containers) <= MOST_CONTAINERS
    for details in listed.containers.values():
        assert are_within_limits(dict(details.labels))
        for text in (details.name, details.image):
            assert text.isprintable()
            assert len(text) <= MAX_TEXT


async def _list(follower: Follower) -> Listed:
    return await follower.list_containers()


async def _events(follower: Follower) -> None:
    await follower.read_events(asyncio.Event())


_HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
_LISTED: Final = json.dumps(
    [
        {
            "Id": "ab" * 32,
            "Names": ["/web"],
            "Image": "nginx:1",
            "Labels": {"com.docker.compose.project": "shop", "note": "é"},
            "HostConfig": {"NetworkMode": "host"},
        }
    ]
).encode()
_EVENT: Final = (
    json.dumps(
        {
            "Type": "container",
            "Action": "start",
            "Actor": {"ID": "ab" * 32, "Attributes": {"name": "web", "image": "x", "tier": "1"}},
        }
    ).encode()
    + b"\n"
)


def _chunked(*parts: bytes) -> bytes:
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)
    return _HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"


_LIST_ANSWERS: Final = (
    _HEAD + b"Content-Length: %d\r\n\r\n" % len(_LISTED) + _LISTED,
    _chunked(_LISTED[:50], _LISTED[50:]),
    _HEAD + b"\r\n" + _LISTED,
)
_CONTAINER: Final = grpc.container("web", True, "nginx", {"nerdctl/name": "web"})
_CONTAINERS_ANSWER: Final = (
    grpc.frame(grpc.SETTINGS, stream=0)
    + grpc.frame(grpc.PING, b"12345678", stream=0)
    + grpc.frame(grpc.HEADERS, b"\x88")
    + grpc.frame(grpc.DATA, b"\x02" + grpc.message(grpc.field(1, _CONTAINER)) + b"\0\0", 8)
    + grpc.frame(grpc.HEADERS, b"\x88", grpc.END_STREAM)
)
_ENVELOPE: Final = grpc.frame(grpc.DATA, grpc.message(grpc.field(3, "/containers/create")))


def _event_record(data: bytes) -> None:
    event = read_event(data)
    assert event is None or event.port < 1 << 16


RING: Final = 256


def _ring(data: bytes) -> None:
    """Memory as the kernel might never leave it: a position, then records."""
    memory = bytearray(data[8 : 8 + RING].ljust(RING, b"\0"))
    producer = bytearray(data[:8].ljust(8, b"\0"))
    producer[2:] = bytes(6)  # a position of two bytes: records of one turn
    reader = RingReader(
        memoryview(bytearray(8)), memoryview(producer), memoryview(memory * 2), lambda: None
    )
    for record in reader.read(512):
        assert len(record) <= 2 * RING
        read_event(record)
    reader.release()


@contextmanager
def _proc(files: dict[str, bytes]) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        yield folder


def _cgroup_file(data: bytes) -> None:
    with _proc({"7/cgroup": data}) as proc:
        paths = process_cgroups("7", proc)
        assert len(process_cgroups("7", proc, of_version_2=True)) <= len(paths)
        container_ids(paths)
        seen = Namespaces("mnt:[1]", "pid:[2]", "net:[3]")
        machine = [Namespaces("mnt:[9]", "pid:[9]", "net:[3]")]
        container = container_by_namespaces(paths, "sh", seen, machine)
        assert container is None or 0 < len(container.id) <= MAX_TEXT
        for path in paths:
            found = container_of_path(path)
            assert found is None or found.id.isascii()


def _mountinfo(data: bytes) -> None:
    mounts = find_mounts(data.decode("utf-8", "surrogateescape"))
    assert all(mount.version in (1, 2) for mount in mounts)


def _machines_mounts(data: bytes) -> None:
    with _proc({"self/mountinfo": data, "self/cgroup": b"0::/\n"}) as proc:
        assert CgroupTree(proc).path_of(1) is None


def _cgroup_procs(data: bytes) -> None:
    with _proc({"self/mountinfo": b"", "self/cgroup": b"", "a/cgroup.procs": data}) as proc:
        tree = CgroupTree(proc)
        with patch.object(tree, "_mount", proc):
            assert all(pid > 0 for pid in tree.process_ids("/a"))


def _protobuf(data: bytes) -> None:
    assert sum(len(content) for _, content in fields(data)) <= len(data)


def _order(data: bytes) -> None:
    config, door = configuration(data)
    assert len(config.secret) == 32
    assert isinstance(door, dict)


_ORDER: Final[dict[str, Any]] = {
    "secret": "ab" * 32,
    "door": {"kind": "stdio"},
    "engine_sockets": ["/run/docker.sock"],
}

_MOUNTS: Final = b"""\
22 28 0:21 / /proc rw,nosuid shared:12 - proc proc rw
34 24 0:29 / /sys/fs/cgroup rw,nosuid,nodev shared:9 - cgroup2 cgroup2 rw,nsdelegate
35 25 0:30 /../.. /sys/fs/cg\\040roup/cpu\\134x rw shared:10 master:3 - cgroup cgroup rw,cpu
"""
_CGROUPS: Final = b"""\
12:pids:/system.slice/docker-%(id)s.scope
1:name=systemd:/kubepods/burstable/podab/%(id)s
0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-%(id)s.scope/container
""" % {b"id": b"ab" * 32}

OF_MACHINE: Final = (
    Parser(
        "vmagent.engines.docker: the list",
        _follow(DockerFollower, _list),
        _FOLLOWERS,
        _LIST_ANSWERS,
    ),
    Parser(
        "vmagent.engines.docker: events",
        _follow(DockerFollower, _events),
        _FOLLOWERS,
        (_chunked(_EVENT[:30], _EVENT[30:] + _EVENT), _HEAD + b"\r\n" + _EVENT * 2),
        refuses=True,  # the end of the events is an error, too
    ),
    Parser(
        "vmagent.engines.containerd: the list",
        _follow(ContainerdFollower, _list),
        _FOLLOWERS,
        (_CONTAINERS_ANSWER,),
    ),
    Parser(
        "vmagent.engines.containerd: events",
        _follow(ContainerdFollower, _events),
        _FOLLOWERS,
        (_ENVELOPE + grpc.frame(grpc.HEADERS, b"\x88", grpc.END_STREAM), _ENVELOPE * 3),
        refuses=True,
    ),
    Parser("vmagent.engines.protobuf.fields", _protobuf, ValueError, (_CONTAINER,), longest=60_000),
    Parser(
        "vmagent.desktop_ports.loopback_route.check_answer",
        check_answer,
        OSError,
        (
            struct.pack("=IHHIIi", 36, 2, 0x100, 1, 0, 0) + bytes(16),
            struct.pack("=IHHIIi", 36, 2, 0x100, 1, 0, -17) + bytes(16),
            struct.pack("=IHHIIi", 36, 2, 0, 1, 0, -101) + bytes(16),
        ),
    ),
    Parser(
        "vmagent.bpf.events.read_event",
        _event_record,
        (),
        (EVENT.pack(1 << 40, 8000, 6, 2), EVENT.pack(7, 53, 17, 3), EVENT.pack(7, 53, 132, 1)),
    ),
    Parser(
        "vmagent.bpf.ring.RingReader.read",
        _ring,
        (),
        (
            struct.pack("=Q", 2 * (HEADER_BYTES + EVENT.size))
            + (struct.pack("=II", EVENT.size, 0) + EVENT.pack(7, 53, 17, 3)) * 2,
        ),
    ),
    Parser("vmagent.watch.vantage.process_cgroups", _cgroup_file, (), (_CGROUPS,), longest=4096),
    Parser("vmagent.watch.cgroups.find_mounts", _mountinfo, (), (_MOUNTS,)),
    Parser("vmagent.watch.cgroups.CgroupTree", _machines_mounts, OSError, (_MOUNTS,)),
    Parser("vmagent.watch.cgroups.CgroupTree.process_ids", _cgroup_procs, (), (b"1\n0\n4711\n",)),
    Parser(
        "vmagent.__main__.configuration",
        _order,
        (ValueError, KeyError, TypeError),
        (json.dumps(_ORDER).encode() + b"\n",),
    ),
)
