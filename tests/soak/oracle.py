"""What must be true at every moment of a soak, and what was not.

Rules: a byte that is wrong, or one too many, is never excused. A client that is cut off is, if a
fault was going on at some time of its life; so is one that was refused. But it has to be told: what
was cut and looks as if it had ended (end-of-file before the answer was whole) is excused only where
the server itself was killed, whose kernel says just that. Some faults excuse nothing at all. Times
are monotonic, and the same in containers. Thread-safe.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

__all__ = ["Oracle", "Told"]


@dataclass(frozen=True)
class Told:
    """How one exchange of one client went: `outcome` is whole, wrong, or why it broke off."""

    kind: str
    begin: float
    end: float
    outcome: str
    size: int = 0


@dataclass
class Oracle:
    """Collects what clients tell, and the times of faults; judges at the end."""

    told: list[Told] = field(default_factory=list)
    faults: list[tuple[float, float, str]] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def tell(self, told: Told) -> None:
        """An exchange has ended."""
        with self._lock:
            self.told.append(told)

    def fault(self, begin: float, name: str) -> None:
        """A fault that began then is healed now."""
        self.faults.append((begin, time.monotonic(), name))

    def quiet(self, words: Iterable[str]) -> None:
        """What was not as it should be after a fault was healed."""
        after = self.faults[-1][2] if self.faults else "the start"
        self.broken += [f"after {after}: {each}" for each in words]

    def judge(self) -> list[str]:
        """What was not as it must be, one line each; nothing if all was well."""
        found = list(self.broken)
        for told in self.told:
            if told.outcome == "wrong":
                found.append(f"{told.kind}: wrong bytes of {told.size} at {told.end:.1f}")
            elif told.outcome != "whole" and not self._excuse(told):
                seconds = told.end - told.begin
                found.append(
                    f"{told.kind}: {told.outcome} after {seconds:.2f} s {self._during(told)}"
                )
        kinds = {told.kind for told in self.told if told.outcome == "whole"}
        found += [f"no exchange of {kind} succeeded" for kind in sorted(KINDS - kinds)]
        return found

    def names(self) -> list[str]:
        """The faults there were."""
        return [name for _, _, name in self.faults]

    def figures(self) -> tuple[int, int]:
        """Exchanges that were whole, and their bytes."""
        sizes = [told.size for told in self.told if told.outcome == "whole"]
        return len(sizes), sum(sizes)

    def summary(self) -> str:
        """How many exchanges went how, in words."""
        counts = Counter((told.kind, told.outcome) for told in self.told)
        size = sum(told.size for told in self.told if told.outcome == "whole")
        parts = [f"{kind} {what} {count}" for (kind, what), count in sorted(counts.items())]
        faults = Counter(name for _, _, name in self.faults)
        lines = [f"{name}: {count}" for name, count in sorted(faults.items())]
        excused = Counter(
            f"{told.kind}: {told.outcome} while {self._excuse(told)}"
            for told in self.told
            if told.outcome not in ("whole", "wrong") and self._excuse(told)
        )
        losses = [f"{what}: {count}" for what, count in sorted(excused.items())]
        return "\n".join(
            [f"{'; '.join(parts)}; {size >> 20} MiB", f"faults: {', '.join(lines)}", *losses]
        )

    def _excuse(self, told: Told) -> str:
        """The fault that was going on and may have had that effect; "" if there was none."""
        return next((name for name in self._going_on(told) if _may_cause(name, told)), "")

    def _going_on(self, told: Told) -> list[str]:
        return [name for begin, end, name in self.faults if begin <= told.end and told.begin <= end]

    def _during(self, told: Told) -> str:
        if names := self._going_on(told):
            return f"while {' and '.join(names)}"
        earlier = [(end, name) for _, end, name in self.faults if end < told.begin]
        if not earlier:
            return "without a fault"
        end, name = max(earlier)
        return f"without a fault, begun {told.begin - end:.1f} s after {name}"


def _may_cause(fault: str, told: Told) -> bool:
    """True if an exchange may break off like that because of a fault."""
    if told.outcome in ENDS:
        return told.kind == "tcp here" and fault in KILLS_SERVERS
    return fault not in HARMLESS


ENDS: Final = frozenset({"cut short", "ended at once"})
"""Outcomes in which a client heard end-of-file before the answer was whole."""
KILLS_SERVERS: Final = frozenset({"container restarted"})
"""Faults that kill a server of clients here; servers of containers' clients are never killed."""
HARMLESS: Final = frozenset({"disk full", "engine stands still"})
"""Faults that no client may notice."""
KINDS = frozenset({"tcp here", "udp here", "tcp there", "udp there"})
"""Clients on this computer, and in a container; each with TCP and UDP."""
