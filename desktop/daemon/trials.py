"""The self-test of one machine: a byte each way by TCP and by UDP, through temporary mirrors.

    ask_byte ─▶ temporary mirror here ══▶ the agent's answerer        as to a container's port
    answerer here ◀══ temporary stub in the machine ◀─ the agent      as to this computer's port

Rules: past the rules for ports, by ports of the kernel's choice and on 127.0.0.1 only, with the
sockets, streams and relays of every other flow; nothing of it is in the port table, and nothing is
left. One at a time. Counterpart: `vmagent/trials.py`.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable
from typing import Final, TypeVar

from desktop.api.types import TrialInfo
from desktop.daemon.host_mirrors import HostMirrors
from desktop.daemon.traffic import Traffic
from desktop.errors import MachineUnreachableError
from desktop.mirror.model import Binding, Origin, Target
from link.dial import error_words
from link.messages import Message, Trial, TrialEnd, TrialOpened, TrialResults
from link.one_byte import HERE, Answerer, ask_byte, free_port

__all__ = ["Trials"]

ANSWER_SECONDS: Final = 8.0
"""How long the agent may take for its part."""
PROTOCOLS: Final = ("tcp", "udp")
NO_ROW: Final = -1
"""The claimant of bindings that are not of the port table, so that they meet none of it."""

Send = Callable[[Message], None]
_Message = TypeVar("_Message", TrialOpened, TrialResults)


class Trials:
    """The self-tests of one machine. `close_udp` ends the UDP flows of a mirror of ours there."""

    def __init__(
        self,
        machine: str,
        mirrors: HostMirrors,
        traffic: Traffic,
        close_udp: Callable[[Binding], None],
    ) -> None:
        self._machine = machine
        self._mirrors = mirrors
        self._traffic = traffic
        self._close_udp = close_udp
        self._numbers = itertools.count(1)
        self._lock = asyncio.Lock()
        self._number = 0
        self._targets: dict[Binding, Target] = {}
        self._answerer: Answerer | None = None
        self._opened: asyncio.Future[TrialOpened] | None = None
        self._results: asyncio.Future[TrialResults] | None = None

    @property
    def inodes(self) -> frozenset[int]:
        """Socket inodes of what is open beside the mirrors."""
        return frozenset() if self._answerer is None else self._answerer.inodes

    def target_of(self, binding: Binding) -> Target | None:
        """Where a temporary mirror leads; None if it is none."""
        return self._targets.get(binding) if self._targets else None

    async def run(self, send: Send, *, both_ways: bool) -> list[TrialInfo]:
        """Take one. Raises MachineUnreachableError if the agent takes no part, OSError."""
        async with self._lock:
            loop = asyncio.get_running_loop()
            self._number = next(self._numbers)
            self._opened, self._results = loop.create_future(), loop.create_future()
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    return await self._run(send, both_ways=both_ways)
            except TimeoutError as error:
                raise MachineUnreachableError(
                    f"the agent in {self._machine} took no part within {ANSWER_SECONDS:.0f} s",
                    "see: samehost logs",
                ) from error
            finally:
                send(TrialEnd())
                self._close()

    def told(self, message: TrialOpened | TrialResults) -> None:
        """The agent's word. One of another trial is not heard."""
        if message.number != self._number:
            return
        if isinstance(message, TrialOpened):
            _settle(self._opened, message)
        else:
            _settle(self._results, message)

    def link_down(self, reason: str) -> None:
        """The agent takes no part any more."""
        error = MachineUnreachableError(f"the link was lost: {reason}", "try again")
        for waiting in (self._opened, self._results):
            if waiting is not None and not waiting.done():
                waiting.set_exception(error)
                waiting.exception()  # whoever waits hears it; if nobody does, that is well

    async def _run(self, send: Send, *, both_ways: bool) -> list[TrialInfo]:
        if self._opened is None or self._results is None:
            raise RuntimeError("no trial has begun")
        send(Trial(self._number, *self._answer() if both_ways else (0, 0)))
        opened = await self._opened
        if opened.problem:
            raise MachineUnreachableError(
                f"the agent in {self._machine} could not open a port: {opened.problem}",
                "see: samehost doctor capabilities",
            )
        there = {"tcp": opened.tcp_port, "udp": opened.udp_port}
        tried = [self._try(protocol, there[protocol]) for protocol in PROTOCOLS]
        results = list(await asyncio.gather(*tried))
        if both_ways:
            results += _of_agent(await self._results)
        return results

    def _answer(self) -> tuple[int, int]:
        """Be there for the agent's questions, on these ports."""
        self._answerer = Answerer()
        for protocol, port in self._answerer.ports.items():
            self._targets[self._stub(protocol, port)] = Target(HERE, port)
        return self._answerer.ports["tcp"], self._answerer.ports["udp"]

    def _stub(self, protocol: str, port: int) -> Binding:
        return Binding(Origin.HOST, protocol, HERE, port, self._machine)

    async def _try(self, protocol: str, there: int) -> TrialInfo:
        """Ask the agent's answerer through a mirror."""
        began = time.monotonic()
        port = free_port(protocol)
        binding = Binding(Origin.MACHINE, protocol, HERE, port, self._machine, NO_ROW)
        self._targets[binding] = Target(HERE, there)
        problem = ""
        try:
            number = self._mirrors.open(binding)
            if number:
                problem = error_words(number)
            else:
                await ask_byte(protocol, port)
        except OSError as error:
            problem = error.strerror or str(error)
        finally:
            self._forget(binding)
        return TrialInfo(str(Origin.MACHINE), protocol, problem, _rounded(began))

    def _forget(self, binding: Binding) -> None:
        if binding.origin is Origin.MACHINE:
            self._mirrors.close(binding)
        else:
            self._close_udp(binding)
        self._targets.pop(binding, None)
        self._traffic.forget(binding)

    def _close(self) -> None:
        if self._answerer is not None:
            self._answerer.close()
            self._answerer = None
        for binding in list(self._targets):
            self._forget(binding)
        self._opened = self._results = None
        self._number = 0


def _settle(waiting: asyncio.Future[_Message] | None, message: _Message) -> None:
    if waiting is not None and not waiting.done():
        waiting.set_result(message)


def _of_agent(results: TrialResults) -> list[TrialInfo]:
    host = str(Origin.HOST)
    return [
        TrialInfo(host, "tcp", results.tcp_problem, round(results.tcp_microseconds / 1e6, 6)),
        TrialInfo(host, "udp", results.udp_problem, round(results.udp_microseconds / 1e6, 6)),
    ]


def _rounded(began: float) -> float:
    return round(time.monotonic() - began, 6)
