"""The daemon: what the parts are, how they hang together, and what the control API may ask.

    SettingsStore ─▶ Mirroring ◀─ Attachments ◀─ Registry
                         │
                     PortTable ─▶ control API

Rules: one writer of settings, one owner of every task. The settings name the machines that are
attached, so that the next daemon attaches them again. Counterparts: `main.py` runs it,
`desktop.api.backend.Backend` is what it implements.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from typing import Final

from desktop.api.backend import ClientCounts, Progress
from desktop.api.counters import all_counters
from desktop.api.subscription import Subscription
from desktop.api.types import (
    ByteCounts,
    ContainerDetails,
    FlowCounts,
    MachineCondition,
    MachineInfo,
    MachineList,
    PortRow,
    SettingInfo,
    Status,
    TrialInfo,
)
from desktop.daemon.attachments import Attachments
from desktop.daemon.logind import watch_logind
from desktop.daemon.machine_list import machine_list
from desktop.daemon.mirroring import Mirroring
from desktop.daemon.sleep_watch import watch_sleep
from desktop.daemon.strokes import sleep_to_stroke
from desktop.daemon.table import PortTable
from desktop.daemon.troubles import Troubles
from desktop.daemon.wall_clock import WallClock
from desktop.disk import full_disks
from desktop.errors import NotRunningError, SamehostError, UsageError
from desktop.findings import Finding
from desktop.listeners.source import ListenerSource
from desktop.machines.machine import WindowsContainersError
from desktop.machines.registry import Registry, current_of, default_machine, windows_engine
from desktop.mirror.model import Row
from desktop.mirror.rules import Rules
from desktop.paths import Paths
from desktop.settings.keys import SWITCH
from desktop.settings.machines import MachineChoice
from desktop.settings.store import SettingsStore
from link.datagrams.sockets import DatagramSockets
from link.relay.relay import Relay
from link.version import PROTOCOL, VERSION

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
        self._table = PortTable(self._mirroring.traffic, WallClock(loop.time))
        self._attachments = Attachments(self._mirroring)
        self._troubles = Troubles()
        self.clients = ClientCounts()
        self._choosing = asyncio.Lock()
        self._is_ending = False
        self._logged: set[Finding] = set()
        self._apply()

    async def run(self) -> None:
        """Serve until `shutdown` has been asked for. Mirrors are closed afterwards."""
        try:
            async with asyncio.TaskGroup() as tasks:
                wake = self._attachments.try_links
                work = [
                    tasks.create_task(self._mirroring.run(), name="listeners of this computer"),
                    tasks.create_task(self._tick(), name="counts and settings"),
                    tasks.create_task(watch_sleep(wake), name="sleep, by the clock"),
                    tasks.create_task(watch_logind(wake), name="sleep, by logind"),
                ]
                await self._stopped.wait()
                for task in work:
                    task.cancel()
        finally:
            self._mirroring.close()
            await self._attachments.keep(())
            await self._relay.aclose()
            self._table.feed.close()

    # What front-ends ask (Backend).

    def status(self) -> Status:
        """See `Backend.status`."""
        switch = self._store.switch
        total = self._mirroring.traffic.total()
        machines = self._attachments.statuses(self._choice().current)
        return Status(
            version=VERSION,
            protocol=PROTOCOL,
            enabled=switch.enabled,
            enabled_locked=switch.locked,
            enabled_reason=switch.reason,
            machine=machines[0],
            ports=self._table.states(),
            flows=FlowCounts(self._relay.count, self._mirroring.traffic.flows("udp")),
            bytes=ByteCounts(total.bytes_in, total.bytes_out),
            uptime_s=round(asyncio.get_running_loop().time() - self._started, 3),
            machines=machines,
            counters=all_counters(self._counted(), self._attachments.counters()),
            troubles=[*self._look_for_troubles(), *full_disks(self._paths)],
            settings_problems=list(map(str, self._store.findings)),
            ending=self._is_ending,
        )

    def _counted(self) -> dict[str, int]:
        return {
            **self._mirroring.counters(),
            **self.clients.counters(),
            "api_subscribers_dropped": self._table.feed.dropped,
        }

    def _look_for_troubles(self) -> list[str]:
        now = asyncio.get_running_loop().time()
        machines = self._attachments.counters_by_name()
        return self._troubles.look(self._mirroring.counters(), machines, now)

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
            SettingInfo(entry.key, entry.value, entry.default, entry.locked, entry.lock)
            for entry in self._store.entries()
        ]

    async def set_setting(self, key: str, value: object) -> None:
        """See `Backend.set_setting`."""
        self._store.set(key, value)
        self._apply()
        await self._mirroring.settled()

    async def check_setting(self, key: str, value: object) -> None:
        """See `Backend.check_setting`."""
        self._store.check(key, value)

    async def attach(self, machine: str | None, progress: Progress) -> list[str]:
        """See `Backend.attach`."""
        async with self._choosing:
            settings = self._store.settings
            if machine is not None and machine != settings.machine:
                self._store.check_unlocked("machine")
            name = settings.machine if machine is None else machine
            if name is None:
                name = await self._found()
            choice = MachineChoice.of(name, settings.also_attach)
            before = self._attachments.current
            self._attachments.current = before or choice.current
            with self._attachments.held_back(choice.current):
                try:
                    await self._attach_current(choice.current, progress)
                except UsageError:  # there is no such machine
                    self._attachments.current = before
                    raise
                self._attachments.current = choice.current
                await self._attachments.keep(choice.names)
            others = [await self._try(name, progress) for name in choice.others]
        await self._mirroring.settled()
        return [words for words in others if words]

    async def attach_also(self, name: str, progress: Progress) -> None:
        """See `Backend.attach_also`. The first one there is becomes the current one."""
        async with self._choosing:
            choice = self._choice()
            is_first = not self._attachments.names()
            choice = choice.using(name) if is_first else choice.adding(name)
            await self._choose(name, choice, progress)
        await self._mirroring.settled()

    async def detach(self, name: str, progress: Progress) -> None:
        """See `Backend.detach`."""
        async with self._choosing:
            choice, attached = self._choice(), self._attachments.names()
            if name not in (*choice.others, *attached):
                there = ", ".join(attached) or "no machine"
                raise UsageError(f"not attached: {name}", f"attached: {there}")
            if choice.removing(name) != choice:
                choice = choice.removing(name)
                self._remember(choice)
            progress(f"detaching {name}")
            await self._attachments.detach(name)
            self._attachments.current = choice.current
        await self._mirroring.settled()

    async def conditions(self) -> list[MachineCondition]:
        """See `Backend.conditions`."""
        current = self._attachments.current
        found = await self._attachments.conditions()
        return sorted(found, key=lambda each: each.name != current)

    async def self_test(self, machine: str | None) -> list[TrialInfo]:
        """See `Backend.self_test`."""
        switch = self._store.switch
        if not switch.enabled:
            why = f": {switch.reason}" if switch.reason else ""
            raise NotRunningError(f"host networking is off{why}", "turn it on: samehost enable")
        name = machine or self._attachments.current or self._default()
        return await self._attachments.self_test(name, both_ways=self._store.settings.reach_host)

    async def current_machine(self) -> MachineInfo | None:
        """See `Backend.current_machine`."""
        return await self._attachments.info(self._attachments.current)

    async def machines(self) -> MachineList:
        """See `Backend.machines`."""
        known = [await self._attachments.info(name) for name in self._attachments.names()]
        attached = [info for info in known if info is not None]
        sighting = await self._registry().find()
        chosen = self._attachments.current or self._store.settings.machine
        engine = windows_engine(sighting, chosen)
        self._restrict(WindowsContainersError(engine).message if engine else "")
        return machine_list(sighting, current_of(sighting, chosen), attached)

    async def use(self, name: str, progress: Progress) -> None:
        """See `Backend.use`."""
        async with self._choosing:
            choice = self._choice().using(name)
            with self._attachments.held_back(name):
                await self._choose(name, choice, progress)
                await self._attachments.keep(choice.names)
        await self._mirroring.settled()

    async def start(self, name: str, progress: Progress) -> None:
        """See `Backend.start`."""
        async with contextlib.aclosing(await self._registry().get(name)) as machine:
            await machine.start(progress)

    async def stop(self, name: str, progress: Progress) -> None:
        """See `Backend.stop`."""
        async with contextlib.aclosing(await self._registry().get(name)) as machine:
            await self._attachments.detach(name)
            await machine.stop(progress)

    async def shutdown(self, progress: Progress) -> None:
        """See `Backend.shutdown`."""
        progress("closing the mirrors")
        self._is_ending = True
        self._mirroring.configure(None)
        await self._attachments.keep(())
        try:
            for machine in self._registry().sandboxes():
                if await machine.state() != "stopped":
                    await machine.stop(progress)
        finally:
            self._stopped.set()

    def leave(self) -> None:
        """End, and leave machines as they are for another daemon."""
        self._is_ending = True
        self._mirroring.configure(None)
        self._stopped.set()

    def _registry(self) -> Registry:
        return Registry(self._paths, self._store.settings)

    def _default(self) -> str:
        return self._store.settings.machine or default_machine()

    async def _found(self) -> str:
        """The machine that is meant where none was named: the current one, or the one that runs."""
        current = self._attachments.current
        if current in self._attachments.names():
            return current
        with self._restricting():
            return await self._registry().choose()

    def _choice(self) -> MachineChoice:
        """The machines that are in use, or would be."""
        current = self._attachments.current or self._default()
        return MachineChoice.of(current, self._store.settings.also_attach)

    async def _choose(self, name: str, choice: MachineChoice, progress: Progress) -> None:
        """Attach a machine by which `choice` comes true, and remember that. Or change nothing."""
        for key in self._store.differing(_wanted(choice)):
            self._store.check_unlocked(key)
        try:
            await self._attach(name, progress)
            if choice.current == name:
                self._restrict("")
        except BaseException:
            if name not in self._choice().names:
                await self._attachments.detach(name)
            raise
        self._remember(choice)
        self._attachments.current = choice.current

    async def _attach_current(self, name: str, progress: Progress) -> None:
        """Attach a machine, on whose engine it depends whether there is host networking."""
        with self._restricting():
            await self._attach(name, progress)
        self._restrict("")

    @contextlib.contextmanager
    def _restricting(self) -> Iterator[None]:
        """What goes on is about the current machine, or the one that is to be it."""
        try:
            yield
        except WindowsContainersError as error:
            if not self._attachments.names():
                self._restrict(error.message)
            raise

    def _restrict(self, engine: str) -> None:
        """Say why the current machine's engine cannot have host networking, "" if it can."""
        if self._store.restrict(engine):
            self._apply()

    async def _attach(self, name: str, progress: Progress) -> None:
        if self._is_ending:
            raise NotRunningError("Samehost is ending", "start it again: samehost up")
        await self._attachments.attach(await self._registry().to_attach(name), progress)

    async def _try(self, name: str, progress: Progress) -> str:
        """Attach a machine; why that is not possible, or ""."""
        try:
            await self._attach(name, progress)
        except SamehostError as error:
            words = f"{name} is not attached: {error.message} ({error.remedy})"
            log.warning("%s", words)
            return words
        return ""

    def _remember(self, choice: MachineChoice) -> None:
        """Let the settings name these machines, for the next daemon."""
        self._store.set_differing(_wanted(choice))
        self._apply()

    def _apply(self) -> None:
        """Mirror by the settings as they are now."""
        settings = self._store.settings
        for finding in set(self._store.findings) - self._logged:
            log.warning("%s", finding)
        self._logged = set(self._store.findings)
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
            await sleep_to_stroke(TICK_SECONDS)
            self._table.count()
            self._look_for_troubles()
            if self._store.has_changed_on_disk():
                self._store.reload()
                self._apply()


def _wanted(choice: MachineChoice) -> dict[str, object]:
    """What the settings say if these machines are chosen."""
    return {"machine": choice.current or None, "alsoAttach": list(choice.others)}
