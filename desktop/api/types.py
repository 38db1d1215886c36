"""The values of the control API, and so of every `--json`: names and order as documented.

The text below a field is its sentence in docs/reference.md, which `make reference` writes.
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
    """A machine in use, and how the link with it is."""

    name: str
    """Its name, as in `samehost machine list`; empty: none is attached, chosen, or there to be."""
    kind: str
    """Which tool's it is, such as `sandbox`, `lima` or `ssh`; empty: none yet."""
    state: str
    """One of the states of a link."""
    kernel: str
    """The machine's kernel release."""
    agent_version: str
    """The version of the agent there."""
    transport: str
    """How streams get to the agent: `unix`, `tcp`, `openssh`, `paramiko`, `stdio`, …."""
    watcher: str
    """How containers' ports are found now, in words."""
    transport_limits: str = ""
    """What a person should know of the transport; empty: nothing."""
    python: str = ""
    """The version of the Python that runs the agent."""
    problem: str = ""
    """Why it is not connected; empty if it is."""
    docker_host: str = ""
    """Its engine's address, as long as it is connected."""
    connected_s: float = 0.0
    """Seconds since its link is up; 0 if it is not."""
    counters: dict[str, int] = {}
    """The counters of a machine by name."""


class EngineInfo(msgspec.Struct, frozen=True):
    """A container engine, as the agent sees it."""

    socket: str
    """Its socket in the machine."""
    trouble: str
    """Why it does not answer; empty if it does."""


class MachineCondition(msgspec.Struct, frozen=True):
    """How the agent of a connected machine is, in its own words just now."""

    name: str
    """The machine's name."""
    problem: str = ""
    """Why nothing else is known; empty if it is."""
    clock_difference_s: float = 0.0
    """Seconds by which the machine's clock is before this computer's."""
    clock_uncertainty_s: float = 0.0
    """Seconds by which that may be wrong."""
    uid: int = 0
    """The user id that the agent has there."""
    capabilities: int = 0
    """What the agent may do, as bits (capabilities(7))."""
    files_limit: int = 0
    """How many files it may have open."""
    files_open: int = 0
    """How many it has open."""
    engines: list[EngineInfo] = []
    """The container engines that it looks for."""


class TrialInfo(msgspec.Struct, frozen=True):
    """A byte that was sent through a temporary mirror."""

    origin: str
    """The side on which the asked one listened, as of a port."""
    protocol: str
    """`tcp` or `udp`."""
    problem: str
    """Why no answer came; empty if one did."""
    seconds: float
    """How long it took."""


class PortCounts(msgspec.Struct, frozen=True):
    """Rows of the port table by state."""

    active: int = 0
    """Rows that are `active`."""
    conflict: int = 0
    """Rows that are `conflict`."""
    denied: int = 0
    """Rows that are `denied`."""
    ignored: int = 0
    """Rows that are `ignored`."""
    pending: int = 0
    """Rows that are `pending`."""
    paused: int = 0
    """Rows that are `paused`."""


class FlowCounts(msgspec.Struct, frozen=True):
    """Flows open now."""

    tcp: int = 0
    """TCP connections."""
    udp: int = 0
    """UDP clients."""


class ByteCounts(msgspec.Struct, frozen=True):
    """Bytes since the daemon's start."""

    in_: int = msgspec.field(name="in", default=0)
    """Bytes to this computer's programs."""
    out: int = 0
    """Bytes from this computer's programs."""


class Status(msgspec.Struct, frozen=True):
    """`samehost status --json`."""

    version: str
    """The daemon's version."""
    protocol: int
    """The version of its protocols."""
    enabled: bool
    """True if host networking is on."""
    enabled_locked: bool
    """True if the switch is locked."""
    enabled_reason: str
    """Who or what locked it, or keeps it off; empty: nobody."""
    machine: MachineStatus
    """The current machine."""
    ports: PortCounts
    """Rows of the port table by state."""
    flows: FlowCounts
    """Flows open now."""
    bytes: ByteCounts
    """What has gone through."""
    uptime_s: float
    """Seconds since the daemon's start; 0 without a daemon."""
    machines: list[MachineStatus]
    """All attached machines, the current one first."""
    counters: dict[str, int] = {}
    """This computer's counters, and the sums of the machines', by name."""
    troubles: list[str] = []
    """What is short just now, each with its remedy; of connections, how many were refused."""
    settings_problems: list[str] = []
    """What is wrong with the files of settings, and where a broken one is kept; with remedies."""
    ending: bool = False
    """True while the daemon ends."""


class ContainerRef(msgspec.Struct, frozen=True):
    """The container of a row."""

    id: str
    """Its id, in full."""
    name: str
    """Its name; empty where no engine tells it."""
    runtime: str
    """`docker`, `podman`, `containerd`, `cri-o`, `kubernetes`, `buildkit` or `container` (any)."""


class ContainerDetails(msgspec.Struct, frozen=True):
    """All that is known of the container of a row."""

    id: str
    """Its id, in full."""
    name: str
    """Its name; empty where no engine tells it."""
    runtime: str
    """Whose it is, as in a row."""
    image: str
    """Its image; empty where no engine tells it."""
    labels: dict[str, str]
    """Its labels, bounded in number and length."""
    machine: str
    """The name of its machine."""


class PortRow(msgspec.Struct, frozen=True):
    """One row of `samehost ports --json`: a real listener, and its mirror."""

    origin: str
    """The side of the real listener: `machine` or `host`."""
    protocol: str
    """`tcp` or `udp`."""
    machine_address: str
    """Where it is in the machine."""
    machine_port: int
    """Its port there."""
    host_address: str
    """Where it is on this computer."""
    host_port: int
    """Its port here."""
    state: str
    """One of the states of a port."""
    reason: str
    """Why it is in that state, and what to do; of an `active` UDP port, what was dropped."""
    container: ContainerRef | None
    """The container that listens; null if none does."""
    process: str | None
    """The program that listens; null if nobody knows."""
    flows: int
    """Flows through it now."""
    bytes_in: int
    """Bytes to this computer's programs through it."""
    bytes_out: int
    """Bytes from this computer's programs through it."""
    since: float
    """When it came into its state: UNIX time in seconds."""
    machine: str
    """The machine whose port it is, or in which this computer's port is open."""
    guarded: bool = False
    """True if it was meant for loopback, but is open to all, who are turned away."""


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
    """What changed in the port table from one revision to the next."""

    revision: int
    """The revision that it leads to, one more than the one before."""
    added: list[PortRow]
    """Rows that are new."""
    changed: list[PortRow]
    """Rows that differ in more than their place (`row_key`)."""
    removed: list[PortRow]
    """Rows that are gone."""
    containers: list[ContainerDetails] = []
    """The containers of these rows, each once; only if asked for."""


class SettingInfo(msgspec.Struct, frozen=True):
    """One setting in force."""

    key: str
    """Its name."""
    value: object
    """Its value in force."""
    default: object
    """Its value for those who never chose."""
    locked: str
    """Who or what locked it; empty: nobody."""
    lock: str = ""
    """The kind of that: `administrator`, `isolation`, `engine`; empty: not locked."""


class MachineInfo(msgspec.Struct, frozen=True):
    """One machine of `samehost machine list --json`."""

    name: str
    """Its name."""
    kind: str
    """Which tool's it is."""
    state: str
    """One of the states of a machine."""
    current: bool
    """True for the one that commands mean."""
    docker_host: str
    """Its engine's address, where it can be reached from here."""
    reached: str = ""
    """How its agent gets in."""
    note: str = ""
    """Why it is never attached; empty: it can be."""
    attached: bool = False
    """True if there is a link with it, or the daemon is about to have one."""


class FindingInfo(msgspec.Struct, frozen=True):
    """Something that kept machines from being found."""

    message: str
    """What is wrong."""
    remedy: str
    """What to do about it; may be empty."""


class MachineList(msgspec.Struct, frozen=True):
    """All machines that were found."""

    machines: list[MachineInfo]
    """Each once, by name."""
    findings: list[FindingInfo] = []
    """What kept others from being found."""
