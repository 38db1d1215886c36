"""A machine that is reached by a shell: Lima, Colima, Podman, WSL, an SSH server, …

    start_agent ─▶ shell.start(START_SCRIPT) ─▶ agent ─▶ its door ─▶ shell.forward ─▶ streams

Rules: of the doors that the shell knows, the best that works is used; which that is shows only when
it is tried, since a server may forbid any of them, and is remembered. The connection lives until
`aclose`. Such a machine is not ours: it is started and stopped by whoever made it, if anybody has
said how (`Power`). Where the machine cannot run the agent, a container of it may
(`helper_container.py`).

Counterparts: `bootstrap.py` has the script, `launch.py` the order, `desktop/daemon/attachment.py`
holds the agent.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final, Protocol

from desktop.errors import MachineUnreachableError, UsageError
from desktop.machines.bootstrap import START_SCRIPT, agent_feed, own_agent
from desktop.machines.doors import DoorOrder, OpenDoor, StdioDoor, UnixOrder, opened_by
from desktop.machines.examination import Step
from desktop.machines.facts import Facts, ask
from desktop.machines.helper_container import HELPED, Helper, find_helper
from desktop.machines.launch import AgentStartError, Order, launch
from desktop.machines.machine import AgentHandle, Machine, MachineState, Progress, end_agent
from desktop.machines.process import Process
from desktop.machines.shell import Shell, ShellError
from desktop.tasks import uninterrupted
from desktop.transports.probe import probe
from desktop.transports.stdio import StdioTransport
from desktop.transports.transport import Transport, TransportError

__all__ = ["Power", "RemoteMachine", "start_agent"]

LAUNCH_SECONDS: Final = 50.0
"""How long the agent may take to start. On an emulated machine of a busy computer its imports alone
have taken 28 s; longer than this nobody waits for the first link (`Attachment`)."""
STATE_SECONDS: Final = 5.0
"""How long a machine may take to say that it is there."""
CHECK_SECONDS: Final = 5.0
"""How long a connection that stood a while ago may take to run a program that does nothing."""

log = logging.getLogger(__name__)


class Power(Protocol):
    """How a machine is started and stopped. Methods as those of `Machine`."""

    async def state(self) -> MachineState:
        """What the machine does now; never raises."""

    async def start(self, progress: Progress) -> None:
        """Boot it. Raises SamehostError."""

    async def stop(self, progress: Progress) -> None:
        """End it. Raises SamehostError."""


class RemoteMachine(Machine):
    """See the module. `docker_host` is as in DOCKER_HOST; `own_ports` as in `Machine`."""

    def __init__(
        self,
        name: str,
        kind: str,
        shell: Shell,
        docker_host: str,
        *,
        power: Power | None = None,
        own_ports: frozenset[tuple[str, int]] = frozenset(),
        may_use_ebpf: bool = True,
    ) -> None:
        super().__init__(name)
        self.kind = kind
        self._own_ports = own_ports
        self.shell = shell
        self._docker_host = docker_host
        self._power = power
        self._may_use_ebpf = may_use_ebpf
        self._doors = list(shell.doors)
        self._had_agent = False
        self._helper: tuple[Helper, AgentStartError] | None = None

    @property
    def own_ports(self) -> frozenset[tuple[str, int]]:  # type: ignore[override]
        """See `Machine`."""
        return self._own_ports | self.shell.own_ports

    def docker_host(self) -> str:
        """See `Machine`."""
        return self._docker_host

    async def state(self) -> MachineState:
        """See `Machine`. Without a `Power`, one that cannot be got into counts as stopped."""
        if self._power is not None:
            return await self._power.state()
        try:
            async with asyncio.timeout(STATE_SECONDS):
                await self.shell.connect()
        except (ShellError, TimeoutError):
            return "stopped"
        return "running"

    async def start(self, progress: Progress) -> None:
        """See `Machine`. Raises ShellError if it cannot be got into."""
        if self._power is not None:
            await self._power.start(progress)
        progress(f"logging in to {self.name}")
        # The agent is built meanwhile, since it will be wanted next.
        await asyncio.gather(self.shell.connect(), asyncio.to_thread(own_agent))

    async def stop(self, progress: Progress) -> None:
        """See `Machine`. Raises UsageError where nobody has said how."""
        await self.aclose()
        if self._power is None:
            raise UsageError(
                f"{self.name} was not started by Samehost", "stop it as it was started"
            )
        await self._power.stop(progress)

    def steps(self) -> list[Step]:
        """See `Machine`."""
        facts = Facts()

        async def system() -> str:
            nonlocal facts
            facts = await ask(self.shell)
            return facts.linux()

        async def python() -> str:
            return await self._or_helper(facts.python)

        async def root() -> str:
            return await self._or_helper(facts.becomes_root)

        async def engine() -> str:
            return facts.engine()

        own = {"system": system, "python": python, "root": root, "engine": engine}
        looks = [Step(name, look) for name, look in own.items()]
        return [*self.shell.steps(), *looks, *self.agent_steps()]

    async def _or_helper(self, look: Callable[[], str]) -> str:
        """What the machine has of that which the agent needs, or how it does without."""
        try:
            return look()
        except AgentStartError as error:
            return f"{error.message}, but {await self._find_helper(error)} will do"

    async def aclose(self) -> None:
        """See `Machine`."""
        await self.shell.aclose()

    async def start_agent(self, secret: bytes) -> AgentHandle:
        """See `Machine`."""
        if self._had_agent:
            await self._check_connection()
        while True:
            try:
                handle = await self._start_agent(secret, self._doors[0])
            except AgentStartError as error:
                if error.outcome is None:
                    await self.shell.aclose()  # it may be the connection that hangs
                raise
            except TransportError as error:
                log.info("%s: no streams by %s: %s", self.name, self._doors[0], error)
                if len(self._doors) == 1:
                    raise MachineUnreachableError(
                        f"the agent in {self.name} runs, but no stream reaches it: {error}",
                        f"see its way step by step: samehost machine doctor {self.name}",
                    ) from error
                await self.shell.connect()  # a connection that was lost says nothing of a door
                del self._doors[0]
            else:
                self._had_agent = True
                return handle

    async def _start_agent(self, secret: bytes, order: DoorOrder) -> AgentHandle:
        """On the machine itself, or where that cannot be in a container of it."""
        if self._helper is None:
            try:
                return await start_agent(self.shell, order, secret, self._may_use_ebpf)
            except AgentStartError as error:
                if error.outcome not in HELPED:
                    raise
                self._helper = (await self._find_helper(error), error)
        helper, why = self._helper
        if isinstance(order, UnixOrder):
            raise TransportError("a socket in the helper container is not one of the machine")
        script = helper.script()
        try:
            return await start_agent(self.shell, order, secret, self._may_use_ebpf, script=script)
        except AgentStartError as error:
            self._helper = None  # it may have lost its image: what there is is looked at anew
            raise _neither(why, error) from error

    async def _find_helper(self, why: AgentStartError) -> Helper:
        """Raises `why`, with what there is to do about the helper, if there is none."""
        try:
            helper = await find_helper(self.shell)
        except MachineUnreachableError as error:
            raise _neither(why, error) from error
        log.info("%s: %s; so the agent runs in %s", self.name, why.message, helper)
        return helper

    async def _check_connection(self) -> None:
        """An agent was lost, perhaps with the connection: one that hangs is made anew."""
        try:
            await self.shell.run("true", seconds=CHECK_SECONDS)
        except ShellError as error:
            log.info("%s: %s", self.name, error.message)
            await self.shell.aclose()


async def start_agent(
    shell: Shell,
    order: DoorOrder,
    secret: bytes,
    may_use_ebpf: bool = True,
    *,
    script: str = START_SCRIPT,
) -> AgentHandle:
    """Start an agent by `script` and see that streams reach it by the door it is told.

    Raises AgentStartError, ShellError, and TransportError if none does. No agent is left then.
    """
    feed = agent_feed(await asyncio.to_thread(own_agent))
    process = await shell.start(script)
    words = Order(secret.hex(), order, [], may_use_ebpf)
    door = await launch(process, words, opened_by(order), feed=feed, seconds=LAUNCH_SECONDS)
    transport: Transport | None = None
    try:
        transport = await _transport(shell, process, door)
        await probe(transport)
    except BaseException:
        await uninterrupted(end_agent(process, transport))
        raise
    return AgentHandle(process, transport)


def _neither(why: AgentStartError, helper: MachineUnreachableError) -> AgentStartError:
    """Why there is no agent on the machine itself, and what to do about that, or about a helper."""
    remedy = f"{why.remedy}\nor, for a helper container ({helper.message}): {helper.remedy}"
    return AgentStartError(why.message, remedy, why.outcome)


async def _transport(shell: Shell, process: Process, door: OpenDoor) -> Transport:
    return StdioTransport(process) if isinstance(door, StdioDoor) else await shell.forward(door)
