"""What following an engine guarantees, whichever interface it has: containers and their details.

Counterparts: `vmagent.engines`; `tests/integration/test_runtimes.py` has the real engines.
"""

from __future__ import annotations

import abc
import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from link.labels import ALL_LETTERS, MOST_LABELS, VALUE_LETTERS, Labels, service_of
from link.listener import Container, Listener
from link.messages import Snapshot, decode, encode
from link.wire import FrameReader, encode_frame
from tests import fake_containerd, fake_docker
from tests.fake_docker import ID
from tests.fake_engine import running
from tests.until import until
from vmagent.engine import EngineWatcher
from vmagent.engines import follower
from vmagent.engines.follower import UNKNOWN, Details
from vmagent.told import Told

COMPOSE = {"com.docker.compose.project": "shop", "com.docker.compose.service": "web"}
OTHER = "cd" * 32


class World(abc.ABC):
    """An engine of one kind, and the hand that makes containers in it."""

    socket: str
    """Name of its socket's file."""

    @abc.abstractmethod
    async def start(self) -> None: ...

    @abc.abstractmethod
    async def stop(self) -> None: ...

    @abc.abstractmethod
    def have(self, identity: str, name: str, image: str, labels: dict[str, str]) -> None:
        """There is this container from now on; nothing is told."""

    @abc.abstractmethod
    def tell(self, identity: str) -> None:
        """Say that it has begun, to whoever listens."""

    @abc.abstractmethod
    def hang(self, does_hang: bool) -> None:
        """Answer nobody, or again."""

    @property
    @abc.abstractmethod
    def is_heard(self) -> bool:
        """True while its events are listened to."""

    @property
    @abc.abstractmethod
    def asked(self) -> int:
        """Requests so far."""


class DockerWorld(World):
    """The Docker Engine API."""

    socket = "docker.sock"

    def __init__(self, folder: Path) -> None:
        self.engine = fake_docker.Engine(folder / self.socket)
        self._containers: dict[str, object] = {}
        self._attributes: dict[str, dict[str, str]] = {}

    async def start(self) -> None:
        await self.engine.start()

    async def stop(self) -> None:
        await self.engine.stop()

    def have(self, identity: str, name: str, image: str, labels: dict[str, str]) -> None:
        self._containers[identity] = fake_docker.container(
            name, container_id=identity, Image=image, Labels=labels
        )
        self._attributes[identity] = {**labels, "name": name, "image": image}
        self.engine.listed = list(self._containers.values())

    def tell(self, identity: str) -> None:
        actor = {"ID": identity, "Attributes": self._attributes[identity]}
        self.engine.write({"Type": "container", "Action": "start", "Actor": actor})

    def hang(self, does_hang: bool) -> None:
        self.engine.hang = does_hang

    @property
    def is_heard(self) -> bool:
        return bool(self.engine.followers)

    @property
    def asked(self) -> int:
        return self.engine.requests


class ContainerdWorld(World):
    """containerd's own interface."""

    socket = "containerd.sock"

    def __init__(self, folder: Path) -> None:
        self.engine = fake_containerd.Containerd(folder)
        self._containers: dict[str, bytes] = {}

    async def start(self) -> None:
        await self.engine.start()

    async def stop(self) -> None:
        await self.engine.stop()

    def have(self, identity: str, name: str, image: str, labels: dict[str, str]) -> None:
        all_labels = {**labels, "nerdctl/name": name}
        self._containers[identity] = fake_containerd.container(
            identity, image=image, labels=all_labels
        )
        self.engine.containers = {"default": b"".join(self._containers.values())}

    def tell(self, identity: str) -> None:
        assert identity in self._containers
        self.engine.emit("/containers/create")

    def hang(self, does_hang: bool) -> None:
        self.engine.hang = does_hang

    @property
    def is_heard(self) -> bool:
        return bool(self.engine.subscribers)

    @property
    def asked(self) -> int:
        return self.engine.calls


Kind = Callable[[Path], World]
kinds = pytest.mark.parametrize(
    "kind", [DockerWorld, ContainerdWorld], ids=["docker", "containerd"]
)


def follow(
    kind: Kind, folder: Path, scenario: Callable[[World, EngineWatcher], Awaitable[None]]
) -> None:
    """Run a scenario with a watcher that runs."""

    async def main() -> None:
        world = kind(folder)
        path = str(folder / world.socket)
        watcher = EngineWatcher([path], lambda: None, usual=())
        try:
            async with running(watcher):
                await scenario(world, watcher)
        finally:
            await world.stop()

    asyncio.run(main())


def without_name(labels: Labels) -> dict[str, str]:
    """Labels but the one in which containerd's clients keep a container's name."""
    return {name: value for name, value in labels if name != "nerdctl/name"}


@kinds
def test_name_image_and_labels_are_known(kind: Kind, tmp_path: Path) -> None:
    async def scenario(world: World, watcher: EngineWatcher) -> None:
        world.have(ID, "web", "nginx:1.29", COMPOSE)
        world.have(OTHER, "db", "postgres", {})
        await world.start()
        await until(lambda: watcher.details_of(ID) is not UNKNOWN)
        details = watcher.details_of(ID)
        assert details[:2] == ("web", "nginx:1.29")
        assert without_name(details.labels) == COMPOSE
        assert service_of(dict(details.labels)) == "shop/web"
        assert watcher.details_of(OTHER)[:2] == ("db", "postgres")
        assert watcher.details_of("unknown") is UNKNOWN

    follow(kind, tmp_path, scenario)


@kinds
def test_a_new_containers_details_come_with_an_event_not_by_the_clock(
    kind: Kind, tmp_path: Path
) -> None:
    async def scenario(world: World, watcher: EngineWatcher) -> None:
        await world.start()
        await until(lambda: world.is_heard)
        labels = {**COMPOSE, "note": "one\ntwo"}
        world.have(ID, "web", "nginx", labels)
        world.tell(ID)
        began = asyncio.get_running_loop().time()
        await until(lambda: watcher.details_of(ID).labels)
        assert asyncio.get_running_loop().time() - began < follower.RESYNC
        assert without_name(watcher.details_of(ID).labels) == labels

    follow(kind, tmp_path, scenario)


HOSTILE: dict[str, dict[str, str]] = {
    "1 MiB in one": {"huge": "x" * (1 << 20), **COMPOSE},
    "a name of 1 MiB": {"x" * (1 << 20): "huge", **COMPOSE},
    "thousands": {**{f"a{number}": "v" * 200 for number in range(5000)}, **COMPOSE},
    "escapes": {"note": "\x1b]0;owned\x07\x1b[2J\r\n\x00\x7f\u202e\u2028", "\x1b[31m": "red"},
    "no Latin": {"\u540d\u524d": "\U0001f40b" * 5000},
    "the same service twice": {**COMPOSE, "com.docker.swarm.service.name": "\n" * 300},
}


@kinds
@pytest.mark.parametrize("labels", HOSTILE.values(), ids=HOSTILE)
def test_what_strangers_write_into_labels_is_bounded_and_survives_the_link(
    kind: Kind, tmp_path: Path, labels: dict[str, str]
) -> None:
    async def scenario(world: World, watcher: EngineWatcher) -> None:
        await world.start()
        await until(lambda: world.is_heard)
        for each in (ID, OTHER):
            world.have(each, "web", "i" * 100_000, labels)
            world.tell(each)
        await until(lambda: all(watcher.details_of(each).name for each in (ID, OTHER)))
        await until(lambda: watcher.details_of(OTHER).labels)
        details = watcher.details_of(OTHER)
        assert len(details.labels) <= MOST_LABELS
        assert sum(len(name) + len(value) for name, value in details.labels) <= ALL_LETTERS
        assert all(name.isprintable() for name, _ in details.labels)
        assert all(len(value) <= VALUE_LETTERS for _, value in details.labels)
        if COMPOSE.items() <= labels.items():
            assert service_of(dict(details.labels)) == "shop/web"
        assert crossed(details) == Container(OTHER, runtime="docker", **details._asdict())

    follow(kind, tmp_path, scenario)


def crossed(details: Details) -> Container:
    """The container as it comes out at the other end of a link."""
    container = Container(OTHER, runtime="docker", **details._asdict())
    listeners = [Listener(1, "tcp", "127.0.0.1", 80, container=container)]
    (snapshot,) = Told().snapshot(1, listeners)
    (raw,) = FrameReader().feed(encode_frame(encode(snapshot)))
    received = decode(raw)
    assert isinstance(received, Snapshot)
    return received.containers[0]


@kinds
def test_what_is_known_stands_while_the_engine_is_away_and_is_learned_anew(
    kind: Kind, tmp_path: Path
) -> None:
    async def scenario(world: World, watcher: EngineWatcher) -> None:
        world.have(ID, "web", "nginx", COMPOSE)
        await world.start()
        await until(lambda: world.is_heard and watcher.details_of(ID) is not UNKNOWN)
        before = watcher.details_of(ID)
        await world.stop()
        await until(lambda: watcher.has_host_networked is None)
        assert watcher.details_of(ID) == before
        world.have(ID, "web", "nginx", {"com.docker.swarm.service.name": "front"})
        await world.start()
        await until(lambda: service_of(dict(watcher.details_of(ID).labels)) == "front")

    follow(kind, tmp_path, scenario)


@kinds
def test_one_that_hangs_is_tried_again_and_then_tells(
    kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower, "REQUEST_SECONDS", 0.05)

    async def scenario(world: World, watcher: EngineWatcher) -> None:
        world.have(ID, "web", "nginx", COMPOSE)
        world.hang(True)
        await world.start()
        await until(lambda: world.asked >= 4)
        assert watcher.details_of(ID) is UNKNOWN
        world.hang(False)
        await until(lambda: watcher.details_of(ID).image == "nginx")

    follow(kind, tmp_path, scenario)


@kinds
def test_labels_of_all_containers_together_are_bounded_and_names_are_not_lost(
    kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower, "MOST_LABEL_LETTERS", 1000)

    async def scenario(world: World, watcher: EngineWatcher) -> None:
        ids = [f"{number:064x}" for number in range(250)]
        for each in ids:
            world.have(each, "web", "nginx", {"note": "x" * 200})
        await world.start()
        await until(lambda: watcher.details_of(ids[-1]) is not UNKNOWN)
        known = [watcher.details_of(each) for each in ids]
        assert {each[:2] for each in known} == {("web", "nginx")}
        assert 0 < sum(bool(each.labels) for each in known) <= 4

    follow(kind, tmp_path, scenario)
