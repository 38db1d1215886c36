"""A machine that was found: its name, what it does now, and how it is got into.

Rules: pure values. Names follow from the tool's own and never change: `lima-NAME`, `colima`,
`colima-NAME`, `podman`, `podman-NAME`, `rancher`, `wsl-NAME`, `docker-NAME`, `sandbox`,
`sandbox-NAME`. Counterparts: the finders make them, `registry.py` makes machines of them.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass, field
from typing import Final

from desktop.findings import Finding
from desktop.machines.machine import MachineState
from desktop.machines.ssh_destination import SshDestination
from desktop.printable import printable

__all__ = [
    "EngineWay",
    "Found",
    "Lifecycle",
    "Sighting",
    "Way",
    "WslWay",
    "describe",
    "is_name",
    "one_line",
    "text_of",
]

LONGEST_LINE: Final = 200
"""Characters of what a tool said that a person is shown."""

NAME_PATTERN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,75}")
"""Names of Lima instances, Colima profiles, Podman machines, WSL distributions and Docker contexts
are all of this form (lima `pkg/identifiers`, podman `define.NameRegex`, docker/cli
`cli/context/store`), so none can be taken for an option or a path."""


@dataclass(frozen=True, slots=True)
class WslWay:
    """Into a WSL distribution, by `wsl.exe`."""

    distribution: str


@dataclass(frozen=True, slots=True)
class EngineWay:
    """Into the machine by its container engine alone: `url` is as in DOCKER_HOST."""

    url: str


Way = SshDestination | WslWay | EngineWay


def describe(way: Way) -> str:
    """How a machine is got into, for a person."""
    if isinstance(way, SshDestination):
        return f"ssh {way}"
    return f"wsl {way.distribution}" if isinstance(way, WslWay) else f"engine {way.url}"


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """How a tool starts and stops one machine: programs with their arguments.

    `abandon` ends a machine of which a start was interrupted. An empty one means that there is
    no such program, and `advice` says what to do instead.
    """

    start: tuple[str, ...] = ()
    stop: tuple[str, ...] = ()
    abandon: tuple[str, ...] = ()
    advice: str = ""
    environment: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """One machine.

    Attributes:
        name: what Samehost calls it.
        kind: "lima", "colima", "podman", "rancher", "wsl", "docker", "docker-ssh" or "sandbox".
        state: what it does now.
        way: how it is got into; None for a sandbox, and where there is none.
        docker_host: where its engine answers on this computer, as in DOCKER_HOST; "" if nowhere.
        own_ports: (protocol, port) of this computer that lead into the machine for its tool's own
            use, and are never mirrored.
        has_windows_containers: its engine runs such containers at present, and is declined for it.
        declined: why it is never attached, and what to do instead; "" if it may be.
        is_remote: some other computer, which is attached only if a person names it.
        lifecycle: how it is started and stopped.
    """

    name: str
    kind: str
    state: MachineState
    way: Way | None = None
    docker_host: str = ""
    own_ports: frozenset[tuple[str, int]] = field(default_factory=frozenset)
    declined: str = ""
    has_windows_containers: bool = False
    is_remote: bool = False
    lifecycle: Lifecycle = Lifecycle()

    @property
    def is_candidate(self) -> bool:
        """True if it may be attached without a choice, provided that it runs."""
        return not self.declined and not self.is_remote


@dataclass(frozen=True, slots=True)
class Sighting:
    """What one look has shown."""

    machines: tuple[Found, ...] = ()
    findings: tuple[Finding, ...] = ()


def is_name(text: object) -> bool:
    """True if a tool's name for a machine can be used: see NAME_PATTERN."""
    return isinstance(text, str) and NAME_PATTERN.fullmatch(text) is not None


def text_of(said: bytes) -> str:
    """What a program printed: UTF-16LE by its mark or its zero bytes (`wsl.exe`), else UTF-8."""
    is_wide = said.startswith(codecs.BOM_UTF16_LE) or b"\0" in said
    return said.decode("utf-16-le" if is_wide else "utf-8", "replace").lstrip("\ufeff")


def one_line(said: str) -> str:
    """The last line of what a program said, fit to be shown."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    if not lines:
        return ""
    shown = printable(lines[-1])
    return shown if len(shown) <= LONGEST_LINE else shown[: LONGEST_LINE - 1] + "…"
