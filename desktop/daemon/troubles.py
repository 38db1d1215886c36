"""What is short, on this computer or in a machine, in words for a person: each said once.

    counters ─▶ look() ─▶ one line in `status`, as long as it goes on; one in the log

Rules: no I/O but the log. A trouble begins when its counter grows, and is over once that has stood
still for OVER_SECONDS, however often it grew meanwhile. Counterparts: `desktop.api.counters` has
the names, `link/shortages.py` counts.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from desktop.daemon.host_system import system_of
from desktop.mirror.systems import LINUX, System

__all__ = ["OVER_SECONDS", "Troubles"]

OVER_SECONDS: Final = 30.0
"""Long enough that a person who tries once more sees why it has failed."""

_FILES: Final = "too many files are open {where}; connections are refused: {how}"
_MEMORY: Final = "memory is short {where}; connections are refused: end what takes it{how}"
_PORTS: Final = (
    "no port is free {where} for connections to servers there; they are refused: end some, or {how}"
)
_WORDS: Final[Mapping[str, str]] = {
    "connections_refused_files": _FILES.format(
        where="on this computer", how="{files} and start Samehost again"
    ),
    "connections_refused_memory": _MEMORY.format(
        where="for Samehost", how=", or raise its limit (ulimit -v) and start it again"
    ),
    "connections_refused_ports": _PORTS.format(where="on this computer", how="{ports}"),
    "agent_connections_refused_files": _FILES.format(
        where="for the agent in {machine}", how="raise the limit"
    ),
    "agent_connections_refused_memory": _MEMORY.format(where="in {machine}", how=""),
    "agent_connections_refused_ports": _PORTS.format(where="in {machine}", how=LINUX.client_ports),
    "clients_timed_out": "connections waited in vain for a stream to {machine}: "
    "samehost doctor machine",
}
"""By the counter that grows meanwhile; what depends on this computer's system is put in."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Trouble:
    words: str
    before: int
    """The counter when it began."""
    count: int
    seen: float
    """When it last grew."""


class Troubles:
    """See the module. `look` every now and then; `system` is this computer's."""

    def __init__(self, system: System | None = None) -> None:
        self._system = system or system_of()
        self._counts: dict[tuple[str, str], int] = {}
        self._troubles: dict[tuple[str, str], _Trouble] = {}

    def look(
        self, here: Mapping[str, int], machines: Mapping[str, Mapping[str, int]], now: float
    ) -> list[str]:
        """What is wrong just now, given this computer's counters and each machine's."""
        for key, count in _watched(here, machines):
            before = self._counts.get(key, 0)
            self._counts[key] = count
            if count > before:
                self._grew(key, before, count, now)
        for key, trouble in list(self._troubles.items()):
            if now >= trouble.seen + OVER_SECONDS:
                del self._troubles[key]
                log.info("over, after %d: %s", trouble.count - trouble.before, trouble.words)
        return [f"{each.words} ({each.count - each.before})" for each in self._troubles.values()]

    def _grew(self, key: tuple[str, str], before: int, count: int, now: float) -> None:
        trouble = self._troubles.get(key)
        if trouble is None:
            machine, name = key
            here = self._system
            words = _WORDS[name].format(machine=machine, files=here.files, ports=here.client_ports)
            log.warning("%s", words)
            trouble = self._troubles[key] = _Trouble(words, before, count, now)
        trouble.count, trouble.seen = count, now


def _watched(
    here: Mapping[str, int], machines: Mapping[str, Mapping[str, int]]
) -> Iterator[tuple[tuple[str, str], int]]:
    """Of each machine and, as "", of this computer: those counters that mean a trouble."""
    for machine, counters in {"": here, **machines}.items():
        for name in _WORDS:
            if name in counters:
                yield (machine, name), counters[name]
