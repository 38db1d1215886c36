"""Which machines there are, by name, and which one is meant where nobody has chosen.

Rules: everything is looked up anew; nothing is held open. All finders look at once, so one that
hangs costs its own time-out and delays no other. A machine that two tools know is shown once, by
the tool that runs it. Without a choice the one machine that runs is meant; machines of other
computers never are. Counterparts: `found/` looks, `managed.py` and `sandbox/` are machines.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Iterable
from typing import Final

from desktop.errors import MachineUnreachableError, UsageError
from desktop.machines.docker_engine import DockerMachine
from desktop.machines.found.colima import ColimaFinder
from desktop.machines.found.docker_contexts import DockerContextFinder
from desktop.machines.found.finder import Finder
from desktop.machines.found.lima import LimaFinder
from desktop.machines.found.model import EngineWay, Found, Sighting, WslWay
from desktop.machines.found.podman import PodmanFinder
from desktop.machines.found.rancher import RancherFinder
from desktop.machines.found.sandboxes import DEFAULT_SANDBOX, SandboxFinder, has_namespaces
from desktop.machines.found.tools import Tools
from desktop.machines.found.wsl import WslFinder
from desktop.machines.machine import Machine, WindowsContainersError
from desktop.machines.managed import ManagedMachine
from desktop.machines.remote import RemoteMachine
from desktop.machines.sandbox import Sandbox
from desktop.machines.shell import Shell
from desktop.machines.ssh import SSH_KIND, is_ssh_name, shell_to, ssh_machine
from desktop.machines.ssh_destination import SshDestination
from desktop.machines.wsl_shell import WslShell
from desktop.paths import Paths
from desktop.settings.values import Settings

__all__ = [
    "DEFAULT_MACHINE",
    "Registry",
    "current_of",
    "default_machine",
    "meant",
    "windows_engine",
]

DEFAULT_MACHINE: Final = DEFAULT_SANDBOX

INSTALL: Final = (
    "install Lima, Colima, Podman, Rancher Desktop or WSL 2 and start its machine, or name a"
    " computer that you reach by SSH: samehost up --machine ssh:USER@HOST"
)

NO_SANDBOX: Final = (
    "a sandbox is made of Linux namespaces; attach another machine: samehost machine attach NAME"
    " (samehost machine list shows which there are)"
)

log = logging.getLogger(__name__)


class Registry:
    """The machines of one Samehost, by these settings. It holds nothing open.

    `connect` makes the machine through which an agent gets into one that was found; by default
    that is one reached by SSH, by wsl.exe, or by its engine alone.
    """

    def __init__(
        self,
        paths: Paths,
        settings: Settings | None = None,
        tools: Tools | None = None,
        connect: Callable[[Found], Machine] | None = None,
    ) -> None:
        self._paths = paths
        self._settings = settings or Settings()
        self._connect = connect or self._reached
        self._tools = tools = tools or Tools()
        self._sandboxes = SandboxFinder(tools, paths, self._chosen_names())
        self._finders: tuple[Finder, ...] = (
            ColimaFinder(tools),  # before Lima, which may know the same machines
            LimaFinder(tools),
            PodmanFinder(tools),
            RancherFinder(tools),
            WslFinder(tools),
            DockerContextFinder(tools),  # last: most contexts lead to machines of the others
        )

    async def find(self) -> Sighting:
        """All machines, sorted by name, and what kept some from being found."""
        finders = (self._sandboxes, *self._finders)
        sightings = await asyncio.gather(*(finder.find() for finder in finders))
        found = [each for seen in sightings for each in seen.machines]
        machines = _without_doubles([*self._chosen(), *found])
        return Sighting(
            tuple(sorted(machines, key=lambda each: each.name)),
            tuple(finding for seen in sightings for finding in seen.findings),
        )

    async def get(self, name: str) -> Machine:
        """The machine called `name`; a sandbox need not be there yet. Raises UsageError."""
        if is_ssh_name(name):
            return ssh_machine(name, self._paths, may_use_ebpf=self._may_use_ebpf)
        if Sandbox.is_name(name):
            if not has_namespaces():
                raise UsageError(f"there is no machine {name} on this computer", NO_SANDBOX)
            return self._sandbox(name)
        found, finder = await self._found(name)
        return ManagedMachine(found, finder, self._connect)

    async def to_attach(self, name: str) -> Machine:
        """The same, unless it is one that is never attached. Raises UsageError, which says why."""
        if is_ssh_name(name) or Sandbox.is_name(name):
            return await self.get(name)
        found, finder = await self._found(name)
        if found.has_windows_containers:
            raise WindowsContainersError(name)
        if found.declined:
            raise UsageError(f"{name} is not a machine to attach", found.declined)
        return ManagedMachine(found, finder, self._connect)

    async def _found(self, name: str) -> tuple[Found, Finder]:
        """What its finder knows of a machine. Raises UsageError."""
        finder = next((each for each in self._finders if each.owns(name)), None)
        if finder is None:
            raise await self._unknown(name, Sighting())
        sighting = await finder.find()
        for found in sighting.machines:
            if found.name == name:
                return found, finder
        raise await self._unknown(name, sighting)

    async def choose(self) -> str:
        """Which machine is meant where nobody has chosen one: its name.

        Raises UsageError if that is not clear, MachineUnreachableError if there is none, and
        WindowsContainersError if all that there is is an engine with those.
        """
        sighting = await self.find()
        for finding in sighting.findings:
            log.info("%s (%s)", finding.message, finding.remedy)
        names = meant(sighting)
        if len(names) > 1:
            raise UsageError(
                f"several machines run: {', '.join(names)}", "say which: samehost machine use NAME"
            )
        if engine := windows_engine(sighting, None):
            raise WindowsContainersError(engine)
        if not names:
            raise _none_runs(sighting)
        return names[0]

    def sandboxes(self) -> list[Sandbox]:
        """The default sandbox and all that have a state folder: machines that are ours to stop."""
        return [self._sandbox(name) for name in self._sandboxes.names()]

    def _sandbox(self, name: str) -> Sandbox:
        return Sandbox(
            name,
            self._paths,
            self._settings.sandbox_network,
            may_use_ebpf=self._may_use_ebpf,
        )

    @property
    def _may_use_ebpf(self) -> bool:
        return self._settings.ebpf == "auto"

    def _chosen(self) -> list[Found]:
        """The SSH servers that the settings name."""
        return [
            Found(name, SSH_KIND, "unknown", is_remote=True)
            for name in self._chosen_names()
            if is_ssh_name(name)
        ]

    def _chosen_names(self) -> tuple[str, ...]:
        return (self._settings.machine or "", *self._settings.also_attach)

    def _reached(self, found: Found) -> Machine:
        """See `connect`. Raises MachineUnreachableError if there is no such way."""
        way = found.way
        if isinstance(way, EngineWay):
            return DockerMachine(found.name, way.url, may_use_ebpf=self._may_use_ebpf)
        if way is None:
            declined = found.declined or "there is no way into it"
            raise MachineUnreachableError(f"samehost cannot get into {found.name}", declined)
        return RemoteMachine(
            found.name,
            found.kind,
            self._shell(way),
            found.docker_host or _engine_by(way),
            may_use_ebpf=self._may_use_ebpf,
        )

    def _shell(self, way: SshDestination | WslWay) -> Shell:
        if isinstance(way, WslWay):
            return WslShell(way.distribution, self._tools)
        return shell_to(way, self._paths)

    async def _unknown(self, name: str, sighting: Sighting) -> UsageError:
        known = ", ".join(each.name for each in (await self.find()).machines) or "none"
        remedy = (
            f"known: {known}; a further sandbox is called {DEFAULT_MACHINE}-NAME,"
            " with up to 8 letters (a-z) and digits, an SSH server ssh:USER@HOST or"
            " ssh:USER@HOST:PORT"
        )
        lines = map(str, sighting.findings)
        return UsageError(f"unknown machine: {name}", "\n".join([remedy, *lines]))


def default_machine() -> str:
    """The machine that is shown where none was ever chosen or found: the sandbox, "" if this
    computer or this user can have none."""
    return DEFAULT_MACHINE if _may_have_sandbox() else ""


def meant(sighting: Sighting) -> list[str]:
    """Which machines could be meant where nobody has chosen: those that run, or the sandbox."""
    machines = sighting.machines
    running = [each.name for each in machines if each.is_candidate and each.state == "running"]
    return running or ([DEFAULT_MACHINE] if _may_have_sandbox() else [])


def current_of(sighting: Sighting, chosen: str | None) -> str:
    """The machine that commands mean: the chosen one, or the only one that could be; else ""."""
    if chosen:
        return chosen
    names = meant(sighting)
    return names[0] if len(names) == 1 else ""


def _may_have_sandbox() -> bool:
    return has_namespaces() and os.geteuid() == 0


def windows_engine(sighting: Sighting, chosen: str | None) -> str:
    """The name of the machine that is meant, if its engine runs Windows containers; else "".

    Without a choice that is one beside which no other machine could be.
    """
    engines = [each.name for each in sighting.machines if each.has_windows_containers]
    if chosen is not None:
        return chosen if chosen in engines else ""
    others = [each for each in sighting.machines if each.is_candidate and not _is_ours(each)]
    return engines[0] if engines and not others and not meant(sighting) else ""


def _engine_by(way: SshDestination | WslWay) -> str:
    """DOCKER_HOST by SSH; "" for what the docker command cannot be told: a key, or wsl.exe."""
    if isinstance(way, WslWay) or way.config or way.identity:
        return ""
    return way.docker_host


def _without_doubles(machines: Iterable[Found]) -> list[Found]:
    """Without those that lead to where an earlier one leads."""
    seen: set[str] = set()
    kept = []
    for found in machines:
        places = _places(found)
        if not places & seen:
            kept.append(found)
        seen |= places
    return kept


def _places(found: Found) -> set[str]:
    """What tells a machine from others: its engine's socket, and its SSH configuration."""
    places = set()
    if found.docker_host:
        path = found.docker_host.removeprefix("unix://")
        places.add(os.path.realpath(path) if path.startswith("/") else path)
    if isinstance(found.way, SshDestination) and found.way.config:
        places.add(os.path.realpath(found.way.config))
    return places


def _none_runs(sighting: Sighting) -> MachineUnreachableError:
    stopped = [each.name for each in sighting.machines if each.is_candidate and not _is_ours(each)]
    advice = [f"start one: samehost machine start {name}" for name in stopped]
    advice += [f"{each.name}: {each.declined}" for each in sighting.machines if each.declined]
    advice += map(str, sighting.findings)
    if has_namespaces():
        advice.append("one can be made of this computer's namespaces, by root: sudo samehost up")
    elif not stopped:
        advice.append(INSTALL)
    return MachineUnreachableError("no machine runs", "\n".join(advice))


def _is_ours(found: Found) -> bool:
    return found.kind == Sandbox.kind
