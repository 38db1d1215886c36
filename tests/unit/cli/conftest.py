"""A home of its own for each test, a fake daemon in it if wanted, and machines that are words."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import pytest

from desktop.api.fake import FakeMachine
from desktop.cli.main import main
from desktop.errors import UsageError
from desktop.findings import Finding
from desktop.machines.found.model import Found, Sighting
from desktop.machines.machine import AgentHandle, Machine, Progress
from desktop.paths import HOME_VARIABLE, Paths
from tests.capabilities import POSIX_FILES
from tests.served_backend import ServedBackend

ARE_BUSY: Final = not POSIX_FILES.is_there
"""Files that another process has open cannot be removed, and a daemon may be about to end."""


@pytest.fixture
def paths(monkeypatch: pytest.MonkeyPatch) -> Iterator[Paths]:
    """Folders with names short enough for sockets; the command finds them."""
    with tempfile.TemporaryDirectory(prefix="sh-", ignore_cleanup_errors=ARE_BUSY) as home:
        monkeypatch.setenv(HOME_VARIABLE, home)
        monkeypatch.delenv("NO_COLOR", raising=False)
        yield Paths.find()


@pytest.fixture
def served(paths: Paths) -> Iterator[ServedBackend]:
    """A fake daemon that runs."""
    with ServedBackend(paths.config) as daemon:
        yield daemon


@pytest.fixture
def without_machine(served: ServedBackend) -> ServedBackend:
    """The daemon of a computer that can have no sandbox, before a machine was attached."""
    nothing = FakeMachine("", "stopped", "stopped", kind="", kernel="", transport="", watcher="")
    served.backend.machine_states, served.backend.current = {"": nothing}, ""
    return served


@dataclass
class Result:
    """What a command said and how it ended."""

    code: int
    out: str
    err: str


Command = Callable[..., Result]


@pytest.fixture
def samehost(capfd: pytest.CaptureFixture[str], paths: Paths) -> Command:  # noqa: ARG001
    """Runs a command in this process."""

    def run(*arguments: str) -> Result:
        capfd.readouterr()
        code = main(arguments)
        return Result(code, *capfd.readouterr())

    return run


class WordMachine(Machine):
    """A machine that notes what it is told."""

    kind = "word"

    def __init__(self, name: str, registry: WordRegistry) -> None:
        super().__init__(name)
        self._registry = registry

    async def state(self) -> str:
        await asyncio.sleep(0)
        return "running" if self.name in self._registry.running else "stopped"

    async def start(self, progress: Progress) -> None:
        progress(f"starting {self.name}")
        self._registry.running.add(self.name)

    async def stop(self, progress: Progress) -> None:
        progress(f"stopping {self.name}")
        self._registry.running.discard(self.name)
        self._registry.stopped.append(self.name)

    def docker_host(self) -> str:
        return f"unix:///nowhere/{self.name} 1/docker.sock"

    async def start_agent(self, secret: bytes) -> AgentHandle:
        raise NotImplementedError


class WordRegistry:
    """Two machines, both stopped at first, and whatever a test has `found` beside them."""

    def __init__(self) -> None:
        self.running: set[str] = set()
        self.stopped: list[str] = []
        self.found: list[Found] = []
        self.findings: list[Finding] = []

    def __call__(self, *_: object) -> WordRegistry:
        return self

    def names(self) -> list[str]:
        return ["sandbox", "sandbox-b"]

    async def find(self) -> Sighting:
        machines = [
            Found(name, "word", await (await self.get(name)).state(), docker_host="unix:///nowhere")
            for name in self.names()
        ]
        return Sighting((*machines, *self.found), tuple(self.findings))

    async def choose(self) -> str:
        return self.names()[0]

    async def get(self, name: str) -> Machine:
        if name not in self.names():
            raise UsageError(f"unknown machine: {name}", "known: sandbox, sandbox-b")
        return WordMachine(name, self)

    async def to_attach(self, name: str) -> Machine:
        return await self.get(name)

    def sandboxes(self) -> list[WordMachine]:
        return [WordMachine(name, self) for name in self.names()]


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> WordRegistry:
    """In place of the real machines."""
    words = WordRegistry()
    monkeypatch.setattr("desktop.machines.registry.Registry", words)
    return words
