"""A daemon without a machine, for tests of the control API and of whoever uses it.

Rules: passes the same contract tests as the daemon. Ports appear when a test says so; attaching
waits on a gate that a test may close.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from desktop.api.backend import Progress
from desktop.api.subscription import PortFeed, Subscription
from desktop.api.types import (
    ByteCounts,
    ContainerDetails,
    ContainerRef,
    FlowCounts,
    MachineInfo,
    MachineStatus,
    PortCounts,
    PortDelta,
    PortRow,
    SettingInfo,
    Status,
    row_key,
    row_order,
)
from desktop.errors import PermissionDeniedError, UsageError
from desktop.settings.keys import KEYS, SWITCH, find_key
from link.version import PROTOCOL, VERSION

__all__ = ["FakeBackend", "FakeMachine", "fake_row"]


def fake_row(
    port: int, origin: str = "machine", state: str = "active", reason: str = ""
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
    )


@dataclass
class FakeMachine:
    """A machine that is a word."""

    name: str
    state: str = "stopped"
    docker_host: str = "unix:///nowhere/docker.sock"


@dataclass
class FakeBackend:
    """See the module. `calls` lists what was asked; `locked` names keys by who locked them.

    `details` are image and labels of containers, by id.
    """

    machine_states: dict[str, FakeMachine] = field(
        default_factory=lambda: {"sandbox": FakeMachine("sandbox")}
    )
    current: str = "sandbox"
    link: str = "stopped"
    locked: dict[str, str] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    details: dict[str, tuple[str, dict[str, str]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._values: dict[str, object] = {name: key.default for name, key in KEYS.items()}
        self._rows: dict[object, PortRow] = {}
        self._revision = 1
        self._started = time.monotonic()
        self.feed = PortFeed()
        self.gate = asyncio.Event()
        self.gate.set()
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
        machine = MachineStatus(self.current, "fake", self.link, "6.1", VERSION, "memory", "poll")
        states = [row.state for row in self._rows.values()]
        counts = {name: states.count(name) for name in PortCounts.__struct_fields__}
        return Status(
            version=VERSION,
            protocol=PROTOCOL,
            enabled=bool(self._values[SWITCH]),
            enabled_locked=SWITCH in self.locked,
            enabled_reason=self.locked.get(SWITCH, ""),
            machine=machine,
            ports=msgspec.convert(counts, PortCounts),
            flows=FlowCounts(),
            bytes=ByteCounts(),
            uptime_s=time.monotonic() - self._started,
        )

    def ports(self) -> tuple[int, list[PortRow]]:
        """See `Backend.ports`."""
        return self._revision, sorted(self._rows.values(), key=row_order)

    def containers(self) -> list[ContainerDetails]:
        """See `Backend.containers`."""
        return self._containers_of(self._rows.values())

    def _containers_of(self, rows: Iterable[PortRow]) -> list[ContainerDetails]:
        found = {row.container.id: row.container for row in rows if row.container}
        return [
            ContainerDetails(each.id, each.name, each.runtime, *self.details.get(each.id, ("", {})))
            for each in found.values()
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
            SettingInfo(name, self._values[name], key.default, self.locked.get(name, ""))
            for name, key in KEYS.items()
        ]

    async def set_setting(self, key: str, value: object) -> None:
        """See `Backend.set_setting`."""
        find_key(key).check(value)
        if key in self.locked:
            raise PermissionDeniedError(f"{key} cannot be changed: {self.locked[key]}", "ask")
        self.calls.append(f"set {key}")
        self._values[key] = value

    async def attach(self, machine: str | None, progress: Progress) -> None:
        """See `Backend.attach`. Waits until `gate` is set."""
        name = machine or self.current
        await self.start(name, progress)
        self.current = name
        self.link = "connected"

    async def machines(self) -> list[MachineInfo]:
        """See `Backend.machines`."""
        return [
            MachineInfo(each.name, "fake", each.state, each.name == self.current, each.docker_host)
            for each in self.machine_states.values()
        ]

    async def use(self, name: str, progress: Progress) -> None:
        """See `Backend.use`."""
        self._find(name)
        await self.set_setting("machine", name)
        await self.attach(name, progress)

    async def start(self, name: str, progress: Progress) -> None:
        """See `Backend.start`. Waits until `gate` is set."""
        machine = self._find(name)
        self.calls.append(f"start {name}")
        progress(f"starting {name}")
        self.waiting.set()
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.calls.append(f"cancelled {name}")
            raise
        finally:
            self.waiting.clear()
        machine.state = "running"

    async def stop(self, name: str, progress: Progress) -> None:
        """See `Backend.stop`."""
        machine = self._find(name)
        self.calls.append(f"stop {name}")
        progress(f"stopping {name}")
        machine.state = "stopped"
        if name == self.current:
            self.link = "stopped"

    async def shutdown(self, progress: Progress) -> None:
        """See `Backend.shutdown`. Waits until `gate` is set, then sets `stopped`."""
        self.calls.append("shutdown")
        progress("closing every mirror")
        await self.gate.wait()
        self.link = "stopped"
        self.feed.close()
        self.stopped.set()

    def _find(self, name: str) -> FakeMachine:
        if name not in self.machine_states:
            raise UsageError(f"unknown machine: {name}", f"known: {', '.join(self.machine_states)}")
        return self.machine_states[name]
