"""Keeps one machine attached: its agent running, its link up, again and again.

    attach(machine) ─▶ start the machine ─▶ supervise: start agent ─▶ link ─▶ lost ─▶ …

Rules: level, not edge: whatever ends (link, agent, machine), the supervisor starts over with
jittered back-off until it is told to detach. A new agent gets a new secret. While the agent's
process lives, a lost link is tried again with the same agent first, so its flows live on; for long
if the whole machine stands still.
Counterparts: `desktop.machines` for the machine, `link.py` for the session, `attachments.py`
for all machines.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import random
from collections.abc import AsyncIterator
from typing import Final, Protocol

from desktop.daemon.link import AgentLink, LinkEvents
from desktop.errors import MachineUnreachableError, SamehostError
from desktop.machines.machine import AgentHandle, Machine, Progress, end_agent
from desktop.tasks import uninterrupted
from desktop.transports.transport import TransportError, WayGoneError
from link.handshake import SECRET_SIZE, HandshakeError
from link.messages import Bye
from link.pool import StreamPool

__all__ = ["Attachment", "AttachmentEvents"]

BACKOFF_SECONDS: Final = (0.1, 5.0)
"""First and longest pause before the next try; each is multiplied by 0.5 to 1 at random."""
REATTACH_SECONDS: Final = 10.0
"""How long a lost link is tried again with the agent there is, before a new one is started."""
STATE_SECONDS: Final = 5.0
"""How long a machine whose agent is silent may take to say whether it runs."""
LINK_SECONDS: Final = 60.0
"""How long `attach` waits for the link once the machine runs: an image may have to be loaded."""
_SHORT: Final = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EDQUOT, errno.ENOMEM, errno.ENOBUFS}
)

log = logging.getLogger(__name__)


class AttachmentEvents(LinkEvents, Protocol):
    """What the owner of an attachment is told."""

    def reached_by(self, ports: frozenset[tuple[str, int]]) -> None:
        """(protocol, port) of this computer by which the machine is reached, before `link_up`."""

    def link_up(self, link: AgentLink) -> None:
        """A link is there; its agent's Welcome and snapshot follow as messages."""

    def link_down(self, reason: str) -> None:
        """The link is gone."""


class Attachment:
    """One machine in use. Owned by `Attachments`; `detach` before dropping it.

    Attributes:
        machine: the machine, None at first.
        state: stopped, starting, connecting, connected, reconnecting or failed (DESIGN 8).
        problem: why it is not connected, for a person.
        agents_started, links_lost, failed: so far; `failed` are tries to link or to start an agent.
    """

    def __init__(self, pool: StreamPool, events: AttachmentEvents) -> None:
        self.machine: Machine | None = None
        self.state = "stopped"
        self.problem = ""
        self.transport_name = ""
        self.transport_limits = ""
        self.link: AgentLink | None = None
        self._linked_at = 0.0
        self.agents_started = 0
        self.links_lost = 0
        self.failed = 0
        self._retried = 0
        self._pool = pool
        self._events = events
        self._supervisor: asyncio.Task[None] | None = None
        self._connected = asyncio.Event()
        self._changing = asyncio.Lock()

    async def attach(self, machine: Machine, progress: Progress) -> None:
        """Start `machine` if need be and connect: always the same one, by its present settings.

        Raises SamehostError if it does not start, or if no link comes about in LINK_SECONDS: then
        it is not attached. The same when cancelled.
        """
        async with self._changing:
            if self.state == "connected":
                return
            await self._start(machine, progress)
            await self._detach()
            self.machine = machine
            self._set("connecting", "")
            progress("connecting to the machine")
            try:
                await self._connect(machine)
            except BaseException as error:
                await self._detach()
                self._set("failed" if isinstance(error, Exception) else "stopped", str(error))
                raise

    @property
    def connected_s(self) -> float:
        """Seconds since the link is up; 0 if it is not."""
        if self.state != "connected":
            return 0.0
        return round(asyncio.get_running_loop().time() - self._linked_at, 3)

    @property
    def streams_retried(self) -> int:
        """Streams that could not be opened and were tried again, of all links."""
        return self._retried + (self.link.retried if self.link else 0)

    async def detach(self) -> None:
        """End the link, the agent and their supervision; the machine itself runs on."""
        async with self._changing:
            await self._detach()
            self._set("stopped", "")

    async def _start(self, machine: Machine, progress: Progress) -> None:
        is_first = self._supervisor is None
        if is_first:
            self.machine = machine
            self._set("starting", "")
        try:
            await machine.start(progress)
        except BaseException as error:
            if is_first:
                self._set("failed" if isinstance(error, Exception) else "stopped", str(error))
            await uninterrupted(machine.aclose())
            raise

    async def _connect(self, machine: Machine) -> None:
        """Begin to supervise, and wait for the first link."""
        self._connected.clear()
        self._supervisor = asyncio.get_running_loop().create_task(
            self._supervise(machine), name=f"supervisor of {machine.name}"
        )
        self._supervisor.add_done_callback(self._supervisor_ended)
        connected = asyncio.get_running_loop().create_task(
            self._connected.wait(), name="wait for the first link"
        )
        try:
            await asyncio.wait(
                [connected, self._supervisor],
                timeout=LINK_SECONDS,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            connected.cancel()
        if self._supervisor.done() and not self._supervisor.cancelled():
            self._supervisor.result()
        if not self._connected.is_set():
            raise MachineUnreachableError(
                f"the agent in {machine.name} does not answer: {self.problem or 'no link in time'}",
                "the daemon's log says more: samehost logs",
            )

    async def _detach(self) -> None:
        supervisor, self._supervisor = self._supervisor, None
        if supervisor is not None:
            supervisor.cancel()
            await asyncio.gather(supervisor, return_exceptions=True)

    def _supervisor_ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, SamehostError):
            log.error("the supervisor failed, which is a fault of Samehost", exc_info=error)
            self._set("failed", f"internal error: {error}")

    def _set(self, state: str, problem: str) -> None:
        if (self.state, self.problem) != (state, problem):
            self.state, self.problem = state, problem
            words = f"{state}: {problem}" if problem else state
            log.info("%s: %s", self.machine.name if self.machine else "", words)

    async def _supervise(self, machine: Machine) -> None:
        async with contextlib.aclosing(machine):
            await self._keep_linked(machine)

    async def _keep_linked(self, machine: Machine) -> None:
        pause = BACKOFF_SECONDS[0]
        while True:
            try:
                async with self._agent(machine) as (handle, secret):
                    await self._serve(machine, handle, secret)
                    pause = BACKOFF_SECONDS[0]
            except SamehostError as error:
                if error.is_lasting and not self._connected.is_set():
                    raise
                self._failed(machine, error.message)
            except (OSError, MemoryError) as error:  # files, room or memory: that may pass
                self._failed(machine, _words_of(error))
            await asyncio.sleep(pause * random.uniform(0.5, 1))
            pause = min(pause * 2, BACKOFF_SECONDS[1])

    def _failed(self, machine: Machine, words: str) -> None:
        """Note why there is no agent; said once, however often it is tried in vain."""
        if words != self.problem:
            log.warning("%s: %s", machine.name, words)
        self.failed += 1
        self._set("reconnecting", words)

    @contextlib.asynccontextmanager
    async def _agent(self, machine: Machine) -> AsyncIterator[tuple[AgentHandle, bytes]]:
        """A running agent, ended on leaving."""
        secret = os.urandom(SECRET_SIZE)
        handle = await machine.start_agent(secret)
        self.agents_started += 1
        self._events.reached_by(machine.own_ports)
        self.transport_name = handle.transport.name
        self.transport_limits = handle.transport.limits
        logger = asyncio.get_running_loop().create_task(
            handle.process.log_errors(log, f"agent in {machine.name}"),
            name=f"log of the agent in {machine.name}",
        )
        try:
            yield handle, secret
        finally:
            await end_agent(handle.process, handle.transport)
            logger.cancel()
            await asyncio.gather(logger, return_exceptions=True)

    async def _serve(self, machine: Machine, handle: AgentHandle, secret: bytes) -> None:
        """Serve links with one agent until it is gone, or it alone stays out of reach."""
        loop = asyncio.get_running_loop()
        give_up = loop.time() + REATTACH_SECONDS
        while handle.process.returncode is None:
            if loop.time() >= give_up:
                if await _would_bear_another(machine):
                    return
                give_up = loop.time() + REATTACH_SECONDS
            try:
                link = AgentLink(handle.transport, secret, self._pool, self._events)
                await self._serve_link(link)
                give_up = loop.time() + REATTACH_SECONDS
            except (TransportError, HandshakeError) as error:
                self.failed += 1
                self._set("reconnecting" if self._connected.is_set() else "connecting", str(error))
                if isinstance(error, WayGoneError):
                    return
            await asyncio.sleep(BACKOFF_SECONDS[0] * random.uniform(0.5, 1))

    async def _serve_link(self, link: AgentLink) -> None:
        """One link from its beginning to its end. Raises TransportError, HandshakeError."""
        await link.open()
        self.link = link
        self._linked_at = asyncio.get_running_loop().time()
        self._events.link_up(link)
        self._connected.set()
        self._set("connected", "")
        reason = "detached"
        try:
            reason = await link.run()
        except asyncio.CancelledError:
            link.send(Bye())
            link.close()
            raise
        finally:
            self.link = None
            self.links_lost += 1
            self._retried += link.retried
            self._set("reconnecting", reason)
            self._events.link_down(reason)


async def _would_bear_another(machine: Machine) -> bool:
    """False for a machine that stands still: its agent will answer when it goes on, with its flows.

    A machine that does not say in time, or cannot be asked now, stands still as well.
    """
    try:
        async with asyncio.timeout(STATE_SECONDS):
            return await machine.state() == "running"
    except (SamehostError, OSError):  # a TimeoutError is one
        return False


def _words_of(error: OSError | MemoryError) -> str:
    """What this computer has refused, for a person."""
    if isinstance(error, MemoryError):
        return "this computer is short of something: memory"
    what = "is short of something" if error.errno in _SHORT else "does not let it be done"
    return f"this computer {what}: {str(error) or type(error).__name__}"
