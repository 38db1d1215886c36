"""The daemon: what the parts are, how they hang together, and what the control API may ask.

    SettingsStore ─▶ Mirroring ◀─ Attachment ◀─ Registry
                         │
                     PortTable ─▶ control API

Rules: one writer of settings, one owner of every task. Counterparts: `main.py` runs it,
`desktop.api.backend.Backend` is what it implements.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time
from typing import Final

from desktop.api.backend import Progress
from desktop.api.subscription import Subscription
from desktop.api.types import (
    ByteCounts,
    ContainerDetails,
    FlowCounts,
    MachineInfo,
    MachineStatus,
    PortRow,
    SettingInfo,
    Status,
)
from desktop.daemon.attachment import Attachment
from desktop.daemon.link import AgentLink
from desktop.daemon.mirroring import Mirroring
from desktop.daemon.table import PortTable
from desktop.listeners.source import ListenerSource
from desktop.machines.machine import Machine
from desktop.machines.registry import DEFAULT_MACHINE, Registry
from desktop.mirror.model import Row
from desktop.mirror.rules import Rules
from desktop.paths import Paths
from desktop.settings.keys import SWITCH
from desktop.settings.store import SettingsStore
from link.datagrams.sockets import DatagramSockets
from link.messages import Message
from link.relay.relay import Relay
from link.version import PROTOCOL, VERSION
from link.wire import OpenRequest

__all__ = ["Daemon"]

TICK_SECONDS: Final = 1.0
"""How often counts are looked at, and whether somebody changed the settings' files."""

log = logging.getLogger(__name__)


class Daemon:
    """One daemon, in the running loop. `run` it until it is shut down."""

    def __init__(
        self,
        paths: Paths,
        relay: Relay,
        sockets: DatagramSockets,
        source: ListenerSource,
        store: SettingsStore,
    ) -> None:
        loop = asyncio.get_running_loop()
        self._paths = paths
        self._relay = relay
        self._store = store
        self._started = loop.time()
        self._stopped = asyncio.Event()
        self._mirroring = Mirroring(relay, sockets, source, self._rows_changed)
        self._table = PortTable(self._mirroring.traffic, time.time() - loop.time())
        self._attachment = Attachment(self._mirroring.pool, self)
        self._apply()

    async def run(self) -> None:
        """Serve until `shutdown` has been asked for. Mirrors are closed afterwards."""
        try:
            async with asyncio.TaskGroup() as tasks:
                work = [
                    tasks.create_task(self._mirroring.run(), name="listeners of this computer"),
                    tasks.create_task(self._tick(), name="counts and settings"),
                ]
                await self._stopped.wait()
                for task in work:
                    task.cancel()
        finally:
            self._mirroring.close()
            await self._attachment.detach()
            await self._relay.aclose()
            self._table.feed.close()

    # What the attachment tells (AttachmentEvents).

    def link_up(self, link: AgentLink) -> None:
        """See `AttachmentEvents`."""
        self._mirroring.link_up(link)

    def link_down(self, reason: str) -> None:
        """See `AttachmentEvents`."""
        self._mirroring.link_down(reason)

    def state_changed(self) -> None:
        """See `AttachmentEvents`."""
        log.info("machine: %s %s", self._attachment.state, self._attachment.problem)

    def message(self, message: Message) -> None:
        """See `LinkEvents`."""
        self._mirroring.message(message)

    def opened(self, stream: socket.socket, request: OpenRequest) -> None:
        """See `LinkEvents`."""
        self._mirroring.opened(stream, request)

    # What front-ends ask (Backend).

    def status(self) -> Status:
        """See `Backend.status`."""
        switch = self._store.switch
        total = self._mirroring.traffic.total()
        return Status(
            version=VERSION,
            protocol=PROTOCOL,
            enabled=switch.enabled,
            enabled_locked=switch.locked,
            enabled_reason=switch.reason,
            machine=self._machine_status(),
            ports=self._table.states(),
            flows=FlowCounts(self._relay.count, self._mirroring.traffic.flows("udp")),
            bytes=ByteCounts(total.bytes_in, total.bytes_out),
            uptime_s=round(asyncio.get_running_loop().time() - self._started, 3),
        )

    def ports(self) -> tuple[int, list[PortRow]]:
        """See `Backend.ports`."""
        rows = self._table.rows()
        return self._table.revision, rows

    def containers(self) -> list[ContainerDetails]:
        """See `Backend.containers`."""
        return self._table.containers()

    def subscribe(self) -> Subscription:
        """See `Backend.subscribe`."""
        return self._table.feed.subscribe()

    async def set_enabled(self, enabled: bool) -> None:
        """See `Backend.set_enabled`."""
        await self.set_setting(SWITCH, enabled)

    def settings(self) -> list[SettingInfo]:
        """See `Backend.settings`."""
        return [
            SettingInfo(entry.key, entry.value, entry.default, entry.locked)
            for entry in self._store.entries()
        ]

    async def set_setting(self, key: str, value: object) -> None:
        """See `Backend.set_setting`."""
        self._store.set(key, value)
        self._apply()

    async def attach(self, machine: str | None, progress: Progress) -> None:
        """See `Backend.attach`."""
        name = machine or self._store.settings.machine or DEFAULT_MACHINE
        await self._attachment.attach(self._registry().get(name), progress)

    async def machines(self) -> list[MachineInfo]:
        """See `Backend.machines`."""
        registry = self._registry()
        names = sorted({*registry.names(), *filter(None, [self._current()])})
        return [await self._machine_info(registry.get(name)) for name in names]

    async def use(self, name: str, progress: Progress) -> None:
        """See `Backend.use`."""
        self._registry().get(name)
        before = self._store.settings.machine
        await self.set_setting("machine", name)
        try:
            await self.attach(name, progress)
        except BaseException:
            await self.set_setting("machine", before)
            raise

    async def start(self, name: str, progress: Progress) -> None:
        """See `Backend.start`."""
        async with contextlib.aclosing(self._registry().get(name)) as machine:
            await machine.start(progress)

    async def stop(self, name: str, progress: Progress) -> None:
        """See `Backend.stop`."""
        machine = self._registry().get(name)
        if self._current() == name:
            await self._attachment.detach()
            self._mirroring.detached()
        await machine.stop(progress)

    async def shutdown(self, progress: Progress) -> None:
        """See `Backend.shutdown`."""
        progress("closing the mirrors")
        self._mirroring.configure(None)
        await self._attachment.detach()
        self._mirroring.detached()
        registry = self._registry()
        try:
            for name in registry.names():
                machine = registry.get(name)
                if machine.is_ours and await machine.state() != "stopped":
                    await machine.stop(progress)
        finally:
            self._stopped.set()

    def _registry(self) -> Registry:
        return Registry(self._paths, self._store.settings)

    def _current(self) -> str:
        machine = self._attachment.machine
        return "" if machine is None else machine.name

    def _machine_status(self) -> MachineStatus:
        machine = self._attachment.machine
        welcome = self._mirroring.welcome
        return MachineStatus(
            name=self._current() or self._store.settings.machine or DEFAULT_MACHINE,
            kind=machine.kind if machine else "",
            state=self._attachment.state,
            kernel=welcome.kernel if welcome else "",
            agent_version=welcome.agent_version if welcome else "",
            transport=self._attachment.transport_name if welcome else "",
            watcher=welcome.watcher if welcome else "",
        )

    async def _machine_info(self, machine: Machine) -> MachineInfo:
        is_current = machine.name == self._current()
        if is_current and self._attachment.state == "connected":
            state = "running"  # no need to log in again to know
        else:
            async with contextlib.aclosing(machine):
                state = await machine.state()
        host = machine.docker_host() if state == "running" else ""
        return MachineInfo(machine.name, machine.kind, state, is_current, host)

    def _apply(self) -> None:
        """Mirror by the settings as they are now."""
        settings = self._store.settings
        for finding in self._store.findings:
            log.warning("%s", finding)
        self._mirroring.limit_udp(settings.udp_idle_seconds, settings.max_udp_flows)
        if not self._store.switch.enabled:
            self._mirroring.configure(None)
            return
        self._mirroring.configure(
            Rules(
                port_binding=settings.port_binding,
                reach_host=settings.reach_host,
                ignore=settings.ignore,
                remap=settings.remap,
            )
        )

    def _rows_changed(self, added: list[Row], changed: list[Row], removed: list[Row]) -> None:
        self._table.update(added, changed, removed)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            self._table.count()
            if self._store.has_changed_on_disk():
                self._store.reload()
                self._apply()
