"""The values of the control API, and so of every `--json`: names and order as documented.

Counterparts: `server.py` encodes them, `client.py` and the command line pass them on.
"""

from __future__ import annotations

import msgspec

__all__ = [
    "ByteCounts",
    "ContainerDetails",
    "ContainerRef",
    "EngineInfo",
    "FindingInfo",
    "FlowCounts",
    "MachineCondition",
    "MachineInfo",
    "MachineList",
    "MachineStatus",
    "PortCounts",
    "PortDelta",
    "PortRow",
    "SettingInfo",
    "Status",
    "TrialInfo",
    "row_key",
    "row_order",
]


class MachineStatus(msgspec.Struct, frozen=True):
    """A machine in use. `state`: stopped starting connecting connected reconnecting failed.

    `transport_limits` is what a person should know of the transport, "" for nothing; `python` is
    the agent's; `problem` says why it is not connected. `docker_host` is its engine's address as
    long as it is connected, `connected_s` the seconds since its link is up, 0 if it is not.
    `counters` are those of `counters.MACHINE_COUNTERS`.
    """

    name: str
    kind: str
    state: str
    kernel: str
    agent_version: str
    transport: str
    watcher: str
    transport_limits: str = ""
    python: str = ""
    problem: str = ""
    docker_host: str = ""
    connected_s: float = 0.0
    counters: dict[str, int] = {}


class EngineInfo(msgspec.Struct, frozen=True):
    """A container engine, as the agent sees it: `trouble` is why it does not answer, or ""."""

    socket: str
    trouble: str


class MachineCondition(msgspec.Struct, frozen=True):
    """How the agent of a connected machine is, in its own words just now.

    `problem` says why nothing else is known. `clock_difference_s` is the machine's clock minus this
    computer's, give or take the uncertainty; `capabilities` are bits (capabilities(7)).
    """

    name: str
    problem: str = ""
    clock_difference_s: float = 0.0
    clock_uncertainty_s: float = 0.0
    uid: int = 0
    capabilities: int = 0
    files_limit: int = 0
    files_open: int = 0
    engines: list[EngineInfo] = []


class TrialInfo(msgspec.Struct, frozen=True):
    """A byte that was sent through a temporary mirror: `problem` is why no answer came, or "".

    `origin` is the side on which the asked one listened, as of a port.
    """

    origin: str
    protocol: str
    problem: str
    seconds: float


class PortCounts(msgspec.Struct, frozen=True):
    """Rows by state."""

    active: int = 0
    conflict: int = 0
    denied: int = 0
    ignored: int = 0
    pending: int = 0
    paused: int = 0


class FlowCounts(msgspec.Struct, frozen=True):
    """Flows open now."""

    tcp: int = 0
    udp: int = 0


class ByteCounts(msgspec.Struct, frozen=True):
    """Bytes since the daemon's start: `in` to the desktop's programs, `out` from them."""

    in_: int = msgspec.field(name="in", default=0)
    out: int = 0


class Status(msgspec.Struct, frozen=True):
    """`samehost status --json`. `machines` begins with `machine`, the current one.

    `counters` are those of `counters.COUNTERS`, and the machines' together.
    """

    version: str
    protocol: int
    enabled: bool
    enabled_locked: bool
    enabled_reason: str
    machine: MachineStatus
    ports: PortCounts
    flows: FlowCounts
    bytes: ByteCounts
    uptime_s: float
    machines: list[MachineStatus]
    counters: dict[str, int] = {}


class ContainerRef(msgspec.Struct, frozen=True):
    """The container of a row."""

    id: str
    name: str
    runtime: str


class ContainerDetails(msgspec.Struct, frozen=True):
    """All that is known of the container of a row; `image` is "" if nobody tells it."""

    id: str
    name: str
    runtime: str
    image: str
    labels: dict[str, str]
    machine: str


class PortRow(msgspec.Struct, frozen=True):
    """One row of `samehost ports --json`. `since` is a UNIX time in seconds.

    `machine` is the name of the machine whose port it is, or in which the desktop's port is open.
    """

    origin: str
    protocol: str
    machine_address: str
    machine_port: int
    host_address: str
    host_port: int
    state: str
    reason: str
    container: ContainerRef | None
    process: str | None
    flows: int
    bytes_in: int
    bytes_out: int
    since: float
    machine: str


def row_order(row: PortRow) -> tuple[str, str, int, str, str, str]:
    """Rows sort by origin, protocol, port, address: those of the real listener; then machine."""
    if row.origin == "machine":
        port, address, other = row.machine_port, row.machine_address, row.host_address
    else:
        port, address, other = row.host_port, row.host_address, row.machine_address
    return (row.origin, row.protocol, port, address, other, row.machine)


def row_key(row: PortRow) -> tuple[str, str, str, str, int, str, int]:
    """Which row it is: a row with another key is another row, not a changed one."""
    return (
        row.machine,
        row.origin,
        row.protocol,
        row.machine_address,
        row.machine_port,
        row.host_address,
        row.host_port,
    )


class PortDelta(msgspec.Struct, frozen=True):
    """What changed in the table up to `revision` from the one before it; rows by `row_key`.

    `containers` are those of the rows, each once.
    """

    revision: int
    added: list[PortRow]
    changed: list[PortRow]
    removed: list[PortRow]
    containers: list[ContainerDetails] = []


class SettingInfo(msgspec.Struct, frozen=True):
    """One setting: its value in force, its default, and who locked it ("" if nobody).

    `lock` is the kind of that: "administrator", "isolation" (Enhanced Container Isolation),
    "engine" (it runs Windows containers), or "".
    """

    key: str
    value: object
    default: object
    locked: str
    lock: str = ""


class MachineInfo(msgspec.Struct, frozen=True):
    """One machine. `reached` says how its agent gets in; `note` why it is never attached.

    `attached`: there is a link with it, or the daemon is about to have one.
    """

    name: str
    kind: str
    state: str
    current: bool
    docker_host: str
    reached: str = ""
    note: str = ""
    attached: bool = False


class FindingInfo(msgspec.Struct, frozen=True):
    """Something that kept machines from being found, and what to do about it."""

    message: str
    remedy: str


class MachineList(msgspec.Struct, frozen=True):
    """All machines that were found."""

    machines: list[MachineInfo]
    findings: list[FindingInfo] = []
