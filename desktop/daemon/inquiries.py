"""Asks an agent how it is, and tells how far its machine's clock is from this computer's.

    ask ─▶ Inquiry(number) ══▶ agent            sent and heard by this computer's clock; the
    answer ◀─ Condition(number) ◀══ agent       machine's lies between, so it is known that well

Rules: any number of questions at once; an answer that nobody waits for is not heard. Counterpart:
`vmagent/condition.py`.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from link.messages import Condition, Inquiry

__all__ = ["ANSWER_SECONDS", "Inquiries", "Told"]

ANSWER_SECONDS: Final = 3.0
"""How long an agent may take to answer."""


@dataclass(frozen=True, slots=True)
class Told:
    """What an agent has answered.

    `clock_difference` is the machine's clock minus this computer's, in seconds, give or take
    `clock_uncertainty`.
    """

    condition: Condition
    clock_difference: float
    clock_uncertainty: float


class Inquiries:
    """The questions to one agent. `clock` gives the UNIX time in seconds."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[tuple[Condition, float]]] = {}

    async def ask(self, send: Callable[[Inquiry], None]) -> Told:
        """Ask. Raises TimeoutError."""
        number = next(self._numbers)
        answer = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            sent = self._clock()
            send(Inquiry(number))
            async with asyncio.timeout(ANSWER_SECONDS):
                condition, heard = await answer
        finally:
            del self._waiting[number]
        between = (sent + heard) / 2
        return Told(condition, condition.clock_ms / 1000 - between, abs(heard - sent) / 2)

    def answered(self, condition: Condition) -> None:
        """The agent says how it is."""
        answer = self._waiting.get(condition.number)
        if answer is not None and not answer.done():
            answer.set_result((condition, self._clock()))
