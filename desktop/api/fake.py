"""A daemon without a machine, for tests of the control API and of whoever uses it.

Rules: passes the same contract tests as the daemon. Ports appear when a test says so; attaching
waits on a gate that a test may close.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import msgspec

from desktop.api.backend import ClientCounts, Progress
from desktop.api.counters import all_counters, machine_counters
from desktop.api.subscription import PortFeed, Subscription
from desktop.api.types import (
    ByteCounts,
    ContainerDetails,
    ContainerRef,
    EngineInfo,
    FindingInfo,
    FlowCounts,
    MachineCondition,
    MachineInfo,
    MachineList,
    MachineStatus,
    PortCounts,
    PortDelta,
    PortRow,
    SettingInfo,
    Status,
    TrialInfo,
    row_key,
    row_order,
)
from desktop.errors import (
    MachineUnreachableError,
    NotRunningError,
    PermissionDeniedError,
    SamehostError,
    UsageError,
)
from desktop.prompter import NobodyToAskError, ask
from desktop.settings.effective import BY_ADMINISTRATOR, Entry, resolve, switch_of
from desktop.settings.keys import KEYS, SWITCH, find_key
from desktop.settings.machines import MachineChoice
from desktop.settings.policy import Policy
from link.version import PROTOCOL, VERSION

__all__ = ["FakeBackend", "FakeMachine", "fake_row"]


def fake_row(
    port: int,
    origin: str = "machine",
    state: str = "active",
    reason: str = "",
    machine: str = "sandbox",
) -> PortRow:
    """A row of the port table: a container's listener, or this computer's."""
    container = ContainerRef("c0ffee", "web", "docker") if origin == "machine" else None
    return PortRow(
        origin=origin,
        protocol="tcp",
        machine_address="127.0.0.1",
        machine_port=port,
        host_address="127.0.0.1",
        host_port=port,
        state=state,
        reason=reason,
        container=container,
        process="nc",
        flows=0,
        bytes_in=0,
        bytes_out=0,
        since=1_700_000_000.0,
        machine=machine,
    )


@dataclass
class FakeMachine:
    """A machine that is a word.

    `link` is how far it is attached, `problem` why it cannot be started ("" if it can). The last
    ones are what status and list say of it.
    """

    name: str
    state: str = "stopped"
    link: str = "stopped"
    docker_host: str = "unix:///nowhere/docker.sock"
    problem: str = ""
    linked_at: float = field(default_factory=time.monotonic)
    kind: str = "fake"
    agent_version: str = VERSION
    limits: str = ""
    reached: str = ""
    note: str = ""
    kernel: str = "6.1"
    transport: str = "memory"
    watcher: str = "poll"


@dataclass
class FakeBackend:
    """See the module. `calls` lists what was asked; `locked` names keys by who locked them.

    `details` are image and labels of containers, by id; `question` is asked when a machine starts;
    `engine` says why the machine's engine cannot have host networking, as of Windows containers;
    `troubles` are what status says is short, `settings_problems` what is wrong with the files of
    settings, `is_ending` that the daemon ends; `searches` counts how often machines were looked
    for.
    """

    machine_states: dict[str, FakeMachine] = field(
        default_factory=lambda: {"sandbox": FakeMachine("sandbox")}
    )
    current: str = "sandbox"
    locked: dict[str, str] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    details: dict[str, tuple[str, dict[str, str]]] = field(default_factory=dict)
    findings: list[FindingInfo] = field(default_factory=list)
    question: str = ""
    engine: str = ""
    troubles: list[str] = field(default_factory=list)
    settings_problems: list[str] = field(default_factory=list)
    is_ending: bool = False

    def __post_init__(self) -> None:
        self._values: dict[str, object] = {name: key.default for name, key in KEYS.items()}
        self._rows: dict[object, PortRow] = {}
        self._revision = 1
        self._started = time.monotonic()
        self.feed = PortFeed()
        self.clients = ClientCounts()
        self.gate = asyncio.Event()
        self.gate.set()
        self.sight = asyncio.Event()
        self.sight.set()
        self.searches = 0
        self.waiting = asyncio.Event()
        self.stopped = asyncio.Event()

    # What a test does

    def change(self, added: list[PortRow], removed: list[PortRow] | None = None) -> None:
        """Let rows come (or change, if they are there) and go: one revision."""
        gone = [self._rows.pop(row_key(row)) for row in removed or []]
        changed = [row for row in added if row_key(row) in self._rows]
        new = [row for row in added if row_key(row) not in self._rows]
        self._rows.update({row_key(row): row for row in added})
        self._revision += 1
        containers = self._containers_of([*gone, *changed, *new])
        delta = PortDelta(self._revision, new, changed, gone, containers)
        self.feed.publish(delta)

    # What a client asks

    def status(self) -> Status:
        """See `Backend.status`."""
        machines = [self._machine_status(name) for name in (self.current, *self._beside())]
        switch = switch_of(self._entries())
        states = [row.state for row in self._rows.values()]
        counts = {name: states.count(name) for name in PortCounts.__struct_fields__}
        return Status(
            version=VERSION,
            protocol=PROTOCOL,
            enabled=switch.enabled,
            enabled_locked=switch.locked,
            enabled_reason=switch.reason,
            machine=machines[0],
            ports=msgspec.convert(counts, PortCounts),
            flows=FlowCounts(*(self._sum("flows", protocol) for protocol in ("tcp", "udp"))),
            bytes=ByteCounts(self._sum("bytes_in"), self._sum("bytes_out")),
            uptime_s=time.monotonic() - self._started,
            machines=machines,
            counters=self._counters(),
            troubles=list(self.troubles),
            settings_problems=list(self.settings_problems),
            ending=self.is_ending,
        )

    def _counters(self) -> dict[str, int]:
        counted = {
            **self.clients.counters(),
            "api_subscribers_dropped": self.feed.dropped,
        }
        return all_counters(counted, map(self._machine_counters, self.machine_states))

    def _machine_counters(self, name: str) -> dict[str, int]:
        return machine_counters({"agents_started": self.calls.count(f"start {name}")})

    def _sum(self, field: str, protocol: str = "") -> int:
        rows = (row for row in self._rows.values() if protocol in ("", row.protocol))
        return sum(getattr(row, field) for row in rows)

    def _machine_status(self, name: str) -> MachineStatus:
        machine = self._find(name)
        is_connected = machine.link == "connected"
        return MachineStatus(
            *(name, machine.kind, machine.link, machine.kernel, machine.agent_version),
            *(machine.transport, machine.watcher),
            transport_limits=machine.limits,
            problem="" if is_connected else machine.problem,
            docker_host=machine.docker_host if is_connected else "",
            python="3.11",
            connected_s=time.monotonic() - machine.linked_at if is_connected else 0.0,
            counters=self._machine_counters(name),
        )

    def _beside(self) -> list[str]:
        """The machines that are attached, but for the current one."""
        attached = [each.name for each in self.machine_states.values() if each.link != "stopped"]
        return [name for name in attached if name != self.current]

    def ports(self) -> tuple[int, list[PortRow]]:
        """See `Backend.ports`."""
        return self._revision, sorted(self._rows.values(), key=row_order)

    def containers(self) -> list[ContainerDetails]:
        """See `Backend.containers`."""
        return self._containers_of(self._rows.values())

    def _containers_of(self, rows: Iterable[PortRow]) -> list[ContainerDetails]:
        found = {(row.machine, row.container.id): row.container for row in rows if row.container}
        return [
            ContainerDetails(
                *(each.id, each.name, each.runtime),
                *self.details.get(each.id, ("", {})),
                machine=machine,
            )
            for (machine, _), each in found.items()
        ]

    def subscribe(self) -> Subscription:
        """See `Backend.subscribe`."""
        return self.feed.subscribe()

    async def set_enabled(self, enabled: bool) -> None:
        """See `Backend.set_enabled`."""
        await self.set_setting(SWITCH, enabled)

    def settings(self) -> list[SettingInfo]:
        """See `Backend.settings`."""
        return [
            SettingInfo(each.key, each.value, each.default, each.locked, each.lock)
            for each in self._entries().values()
        ]

    def _entries(self) -> dict[str, Entry]:
        entries = resolve(self._values, Policy({}), self.engine)
        for key, reason in self.locked.items():
            entries[key] = replace(
                entries[key], locked=reason, lock=BY_ADMINISTRATOR, remedy="ask the administrator"
            )
        return entries

    async def check_setting(self, key: str, value: object) -> None:
        """See `Backend.check_setting`."""
        find_key(key).check(value)
        entry = self._entries()[key]
        if entry.locked:
            raise PermissionDeniedError(f"{key} cannot be changed: {entry.locked}", entry.remedy)

    async def set_setting(self, key: str, value: object) -> None:
        """See `Backend.set_setting`."""
        await self.check_setting(key, value)
        self.calls.append(f"set {key}")
        self._values[key] = value

    async def attach(self, machine: str | None, progress: Progress) -> list[str]:
        """See `Backend.attach`. Waits until `gate` is set."""
        name = self._default() if machine is None else machine
        self.current = await self._attach(name, progress)
        choice, findings = self._choice(), []
        self._keep(choice)
        for name in choice.others:
            try:
                await self._attach(name, progress)
            except SamehostError as error:
                findings.append(f"{name}: {error.message}")
        return findings

    async def attach_also(self, name: str, progress: Progress) -> None:
        """See `Backend.attach_also`. Waits until `gate` is set."""
        is_first = not any(each.link != "stopped" for each in self.machine_states.values())
        await self._attach(name, progress)
        choice = self._choice()
        await self._choose(choice.using(name) if is_first else choice.adding(name))

    async def detach(self, name: str, progress: Progress) -> None:
        """See `Backend.detach`."""
        choice = self._choice()
        known = self.machine_states.get(name)
        if name not in choice.others and (known is None or known.link == "stopped"):
            raise UsageError(f"not attached: {name}", "see: samehost status")
        progress(f"detaching {name}")
        self.calls.append(f"detach {name}")
        await self._choose(choice.removing(name))
        if known is not None:
            known.link = "stopped"

    async def conditions(self) -> list[MachineCondition]:
        """See `Backend.conditions`."""
        engines = [EngineInfo("/run/docker.sock", "")]
        return [
            MachineCondition(name, capabilities=(1 << 41) - 1, files_limit=1 << 20, engines=engines)
            for name in (self.current, *self._beside())
            if self._find(name).link == "connected"
        ]

    async def self_test(self, machine: str | None) -> list[TrialInfo]:
        """See `Backend.self_test`."""
        if not self._values[SWITCH]:
            raise NotRunningError("host networking is off", "turn it on: samehost enable")
        name = machine or self.current
        known = self.machine_states.get(name)
        if known is None or known.link == "stopped":
            raise UsageError(f"not attached: {name}", "see: samehost status")
        origins = ("machine", "host") if self._values["reachHost"] else ("machine",)
        return [
            TrialInfo(origin, protocol, "", 0.001)
            for origin in origins
            for protocol in ("tcp", "udp")
        ]

    async def current_machine(self) -> MachineInfo | None:
        """See `Backend.current_machine`."""
        machine = self.machine_states.get(self.current)
        return None if machine is None else self._info(machine)

    async def machines(self) -> MachineList:
        """See `Backend.machines`. Waits until `sight` is set."""
        self.searches += 1
        try:
            await self.sight.wait()
        except asyncio.CancelledError:
            self.calls.append("cancelled search")
            raise
        return MachineList(list(map(self._info, self.machine_states.values())), self.findings)

    def _info(self, machine: FakeMachine) -> MachineInfo:
        return MachineInfo(
            *(machine.name, machine.kind, machine.state),
            current=machine.name == self.current,
            docker_host=machine.docker_host,
            reached=machine.reached,
            note=machine.note,
            attached=machine.link not in ("stopped", "failed"),
        )

    async def use(self, name: str, progress: Progress) -> None:
        """See `Backend.use`."""
        choice = self._choice().using(self._find(name).name)
        await self._attach(name, progress)
        await self._choose(choice)
        self._keep(choice)

    async def start(self, name: str, progress: Progress) -> None:
        """See `Backend.start`. Waits until `gate` is set."""
        machine = self._find(name)
        if machine.problem:
            raise MachineUnreachableError(f"{name} does not start: {machine.problem}", "wait")
        self.calls.append(f"start {name}")
        progress(f"starting {name}")
        if self.question:
            self.calls.append(f"answered {await self.ask()}")
        self.waiting.set()
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.calls.append(f"cancelled {name}")
            raise
        finally:
            self.waiting.clear()
        machine.state = "running"

    async def ask(self) -> str:
        """Ask `question`."""
        try:
            return await ask(self.question)
        except NobodyToAskError as error:
            raise PermissionDeniedError("nobody answers", "ask in a terminal") from error

    async def stop(self, name: str, progress: Progress) -> None:
        """See `Backend.stop`."""
        machine = self._find(name)
        self.calls.append(f"stop {name}")
        progress(f"stopping {name}")
        machine.state = machine.link = "stopped"

    async def shutdown(self, progress: Progress) -> None:
        """See `Backend.shutdown`. Waits until `gate` is set, then sets `stopped`."""
        self.calls.append("shutdown")
        progress("closing every mirror")
        await self.gate.wait()
        for machine in self.machine_states.values():
            machine.link = "stopped"
        self.feed.close()
        self.stopped.set()

    def _default(self) -> str:
        return str(self._values["machine"] or next(iter(self.machine_states)))

    def _choice(self) -> MachineChoice:
        also = self._values["alsoAttach"]
        return MachineChoice.of(self.current, tuple(msgspec.convert(also, list[str])))

    async def _choose(self, choice: MachineChoice) -> None:
        wanted = {"machine": choice.current, "alsoAttach": list(choice.others)}
        for key, value in wanted.items():
            if self._values[key] != value:
                await self.set_setting(key, value)
        self.current = choice.current

    def _keep(self, choice: MachineChoice) -> None:
        for machine in self.machine_states.values():
            if machine.name not in choice.names:
                machine.link = "stopped"

    async def _attach(self, name: str, progress: Progress) -> str:
        machine = self._find(name)
        try:
            await self.start(name, progress)
        except SamehostError:
            machine.link = "failed" if name in self._choice().names else "stopped"
            raise
        machine.link, machine.linked_at = "connected", time.monotonic()
        return name

    def _find(self, name: str) -> FakeMachine:
        if name not in self.machine_states:
            raise UsageError(f"unknown machine: {name}", f"known: {', '.join(self.machine_states)}")
        return self.machine_states[name]
