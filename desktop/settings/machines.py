"""Which machines are attached: the current one, which commands mean, and others beside it.

Rules: pure; no name twice. Counterparts: the settings `machine` and `alsoAttach`; the daemon and,
without one, the command line.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["MachineChoice"]


@dataclass(frozen=True, slots=True)
class MachineChoice:
    """The current machine, "" if there is none yet, and those beside it in the order in which they
    were added."""

    current: str
    others: tuple[str, ...] = ()

    @classmethod
    def of(cls, current: str, also: tuple[str, ...]) -> MachineChoice:
        """What the settings say; they may name the current one twice."""
        return cls(current, tuple(name for name in also if name != current))

    @property
    def names(self) -> tuple[str, ...]:
        """All, the current one first."""
        return (self.current, *self.others) if self.current else self.others

    def using(self, name: str) -> MachineChoice:
        """`name` takes the place of the current one; if it was beside it, they change places."""
        others = (self.current if other == name else other for other in self.others)
        return MachineChoice(name, tuple(filter(None, others)))

    def adding(self, name: str) -> MachineChoice:
        """`name` is attached, too; the first one there is is the current one."""
        if not self.current:
            return self.using(name)
        return self if name in self.names else MachineChoice(self.current, (*self.others, name))

    def removing(self, name: str) -> MachineChoice:
        """Without `name`. Another becomes the current one in its place; the last one stays."""
        first, *rest = [other for other in self.names if other != name] or [self.current]
        return MachineChoice(first, tuple(rest))
