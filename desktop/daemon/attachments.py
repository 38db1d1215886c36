"""The machines in use: an attachment and a link for each, and which of them commands mean.

Rules: one machine's trouble is its own: each is attached, supervised and detached by itself. What
is attached beside the current machine is the daemon's to say. Counterparts: `attachment.py` for
one of them, `mirroring.py` for the ports of all.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

from desktop.api.counters import machine_counters
from desktop.api.types import (
    EngineInfo,
    MachineCondition,
    MachineInfo,
    MachineStatus,
    TrialInfo,
)
from desktop.daemon.attachment import Attachment
from desktop.daemon.inquiries import ANSWER_SECONDS
from desktop.daemon.machine_ports import MachinePorts
from desktop.daemon.mirroring import Mirroring
from desktop.errors import UsageError
from desktop.machines.machine import Machine, Progress

__all__ = ["Attachments"]

NOT_ATTACHED: Final = frozenset({"stopped", "failed"})
"""States of an attachment that nothing is done about."""


@dataclass(frozen=True, slots=True)
class _Known:
    """A machine that was attached at some time; kept, since it may be again."""

    attachment: Attachment
    ports: MachinePorts


class Attachments:
    """See the module. Owned by the daemon; `keep` nothing before dropping it.

    Attributes:
        current: the name of the machine that commands mean; "" as long as there was none.
    """

    def __init__(self, mirroring: Mirroring) -> None:
        self.current = ""
        self._mirroring = mirroring
        self._known: dict[str, _Known] = {}

    def names(self) -> list[str]:
        """Machines that are attached, or meant to be, in the order in which they first were."""
        return [name for name, each in self._known.items() if each.attachment.state != "stopped"]

    async def info(self, name: str) -> MachineInfo | None:
        """What is known of a machine that is attached, or was."""
        known = self._known.get(name)
        machine = known.attachment.machine if known else None
        if known is None or machine is None:
            return None
        # One that is connected need not be asked, nor logged in to once more.
        is_connected = known.attachment.state == "connected"
        state = "running" if is_connected else await machine.state()
        host = machine.docker_host() if state == "running" else ""
        return MachineInfo(
            *(name, machine.kind, state, name == self.current, host),
            attached=known.attachment.state not in NOT_ATTACHED,
        )

    async def attach(self, machine: Machine, progress: Progress) -> None:
        """Start `machine` if need be and connect.

        Raises as `Attachment.attach` does; whatever else is attached is left alone.
        """
        known = self._known.get(machine.name)
        if known is None:
            ports = self._mirroring.machine(machine.name)
            known = self._known[machine.name] = _Known(Attachment(ports.pool, ports), ports)
        try:
            await known.attachment.attach(machine, progress)
        finally:
            if known.attachment.state in ("stopped", "failed"):
                known.ports.detached()

    async def try_links(self) -> None:
        """Ask every agent; end the link of one that does not answer, so that it is made anew."""
        await asyncio.gather(*(self._try_link(each) for each in list(self._known.values())))

    async def _try_link(self, known: _Known) -> None:
        link = known.attachment.link
        try:
            await known.ports.ask()
        except TimeoutError:
            if link is not None and link is known.attachment.link:
                link.give_up("no answer after this computer slept")

    @contextlib.contextmanager
    def held_back(self, name: str) -> Iterator[None]:
        """Open no port of a machine that is being attached until the block ends.

        So a machine whose place it takes can go first, and they have no conflict.
        """
        ports = self._mirroring.machine(name)
        ports.is_held = name not in self.names()
        try:
            yield
        finally:
            ports.is_held = False
            ports.replan()

    async def detach(self, name: str) -> None:
        """End the machine's link, agent and mirrors, if it has any; it runs on itself."""
        known = self._known.get(name)
        if known is not None:
            await known.attachment.detach()
            known.ports.detached()

    async def keep(self, names: Collection[str]) -> None:
        """Detach all but these."""
        for name in self.names():
            if name not in names:
                await self.detach(name)

    def statuses(self, default: str) -> list[MachineStatus]:
        """The current one, which may be stopped, then the others that are attached.

        `default` is the current one's name as long as there was none, "" if nobody can say.
        """
        current = self.current or default
        others = [name for name in self.names() if name != current]
        return [self._status(name) for name in (current, *others)]

    def _status(self, name: str) -> MachineStatus:
        known = self._known.get(name)
        if known is None:
            nothing = machine_counters({})
            return MachineStatus(name, "", "stopped", "", "", "", "", counters=nothing)
        attachment, welcome = known.attachment, known.ports.welcome
        is_connected = attachment.state == "connected"
        host = attachment.machine.docker_host() if attachment.machine and is_connected else ""
        return MachineStatus(
            name=name,
            kind=attachment.machine.kind if attachment.machine else "",
            state=attachment.state,
            kernel=welcome.kernel if welcome else "",
            agent_version=welcome.agent_version if welcome else "",
            transport=attachment.transport_name if welcome else "",
            watcher=welcome.watcher if welcome else "",
            transport_limits=attachment.transport_limits if welcome else "",
            python=welcome.python if welcome else "",
            problem="" if is_connected else attachment.problem,
            docker_host=host,
            connected_s=attachment.connected_s,
            counters=_counters(known),
        )

    def counters(self) -> list[dict[str, int]]:
        """What was counted of each machine that is attached, or was."""
        return list(self.counters_by_name().values())

    def counters_by_name(self) -> dict[str, dict[str, int]]:
        """The same, by the machine's name."""
        return {name: _counters(known) for name, known in self._known.items()}

    async def conditions(self) -> list[MachineCondition]:
        """How the agents of the machines are that are connected, all asked at once."""
        names = [name for name in self.names() if self._known[name].attachment.link is not None]
        return list(await asyncio.gather(*map(self._condition, names)))

    async def self_test(self, name: str, *, both_ways: bool) -> list[TrialInfo]:
        """See `Backend.self_test`."""
        if name not in self.names():
            attached = ", ".join(self.names()) or "no machine"
            raise UsageError(f"not attached: {name or 'a machine'}", f"attached: {attached}")
        return await self._known[name].ports.self_test(both_ways=both_ways)

    async def _condition(self, name: str) -> MachineCondition:
        try:
            told = await self._known[name].ports.ask()
        except TimeoutError:
            words = f"the agent has not answered within {ANSWER_SECONDS:.0f} s"
            return MachineCondition(name, problem=words)
        if told is None:
            return MachineCondition(name, problem="the link was lost")
        condition = told.condition
        return MachineCondition(
            name=name,
            clock_difference_s=round(told.clock_difference, 3),
            clock_uncertainty_s=round(told.clock_uncertainty, 3),
            uid=condition.uid,
            capabilities=condition.capabilities,
            files_limit=condition.files_limit,
            files_open=condition.files_open,
            engines=[EngineInfo(each.socket, each.trouble) for each in condition.engines],
        )


def _counters(known: _Known) -> dict[str, int]:
    attachment = known.attachment
    return machine_counters(
        {
            "agents_started": attachment.agents_started,
            "links_lost": attachment.links_lost,
            "link_attempts_failed": attachment.failed,
            "streams_retried": attachment.streams_retried,
            **known.ports.counters(),
        }
    )
