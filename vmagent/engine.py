"""What the container engines know: names, images and labels of containers, who has host
networking, and when.

Rules: follows the engines behind the sockets it is given, and those behind the usual sockets as
soon as they are there. An engine is a help, never a need: absent, hanging or talking nonsense it
delays nothing, neither mirroring nor another engine. Of two engines that know the same
container, the one given first counts.

Limits: `MOST_ENGINES`. An engine that is started on demand by its socket (podman.socket) is
kept running by being followed.

Counterparts: `vmagent.engines` speaks with each kind; `watch.watcher` asks for details and is
kicked.
"""

from __future__ import annotations

import asyncio
import glob
import os
from collections.abc import Callable, Collection, Sequence
from typing import Final

from link.messages import EngineState
from vmagent.engines.containerd import ContainerdFollower
from vmagent.engines.docker import DockerFollower
from vmagent.engines.follower import UNKNOWN, Details, Follower, end
from vmagent.watch.vantage import machines_path

__all__ = ["ENGINE_SOCKETS", "EngineWatcher"]

ENGINE_SOCKETS: Final = (
    "/run/docker.sock",
    "/run/podman/podman.sock",
    "/run/user/*/podman/podman.sock",
    "/run/containerd/containerd.sock",
    "/run/k3s/containerd/containerd.sock",
)
"""Where engines listen by default; the third are users' own Podmans (podman-system-service(1))."""

CONTAINERD_SOCKET: Final = "containerd.sock"

LOOK_SECONDS: Final = 5.0
"""How often usual sockets are looked for; costs 0.1 ms."""

MOST_ENGINES: Final = 16


class EngineWatcher:
    """Follows the engines behind some sockets.

    `on_change` is called, often and cheaply, whenever something happened that may mean new
    listeners, or more to say of a container. `usual` are patterns (glob(7)) of sockets that may
    appear. Paths are the machine's, which begin with `root` here (`vmagent.watch.vantage`).
    """

    def __init__(
        self,
        socket_paths: Sequence[str],
        on_change: Callable[[], None],
        usual: Sequence[str] = ENGINE_SOCKETS,
        root: str = "",
    ) -> None:
        self._on_change = on_change
        self._root = root
        self._usual = usual
        self._engines: dict[str, Follower] = {}
        for path in socket_paths:
            self._add(path)

    async def run(self) -> None:
        """Follow until cancelled."""
        tasks: dict[str, asyncio.Task[None]] = {}
        try:
            while True:
                self._look()
                for path, engine in self._engines.items():
                    if path not in tasks:
                        tasks[path] = asyncio.create_task(engine.run(), name=path)
                await _watch(tasks.values(), LOOK_SECONDS)
        finally:
            await end(*tasks.values())

    def _look(self) -> None:
        for pattern in self._usual:
            for path in sorted(glob.glob(self._root + pattern)):
                self._add(path[len(self._root) :])

    def _add(self, path: str) -> None:
        # /var/run is mostly /run: the same engine is followed once.
        path = machines_path(self._root, path)
        if path not in self._engines and len(self._engines) < MOST_ENGINES:
            is_containerd = os.path.basename(path) == CONTAINERD_SOCKET
            kind = ContainerdFollower if is_containerd else DockerFollower
            self._engines[path] = kind(path, self._on_change)

    def details_of(self, container_id: str) -> Details:
        """What is known of a container; `UNKNOWN` if no engine has told of it."""
        engines = (each.listed.containers for each in self._engines.values())
        known = [each[container_id] for each in engines if container_id in each]
        named = (each for each in known if each.name)
        return next(named, known[0] if known else UNKNOWN)

    def states(self) -> list[EngineState]:
        """The engines that are followed, by the machine's paths, and why one does not answer."""
        return [
            EngineState(path.removeprefix(self._root), engine.trouble)
            for path, engine in self._engines.items()
        ]

    @property
    def failures(self) -> int:
        """Tries to follow one of them that failed."""
        return sum(engine.failures for engine in self._engines.values())

    @property
    def has_host_networked(self) -> bool | None:
        """Whether a running container shares the machine's network; None while nobody says."""
        known = [each.host_networked for each in self._engines.values()]
        if True in known:
            return True
        return False if False in known else None


async def _watch(tasks: Collection[asyncio.Task[None]], seconds: float) -> None:
    """Wait for a time. Raises what ends one of the tasks, which should not end."""
    if not tasks:
        await asyncio.sleep(seconds)
        return
    done, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()
