"""A daemon with something to show: rows of every state, as they come in real life.

Rules: reasons are in the words of `desktop.mirror`. Ages are counted from now.

Counterparts: `conftest.py` (`served`), `tests/served_backend.py`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from desktop.api.fake import FakeBackend
from desktop.api.types import ContainerRef, PortRow, row_key
from desktop.settings.keys import SWITCH

__all__ = ["MACHINE", "furnish", "is_data", "many_rows", "realistic_rows"]

MACHINE: Final = "colima"
HOUR: Final = 3600.0

WEB: Final = ContainerRef("3f2c9a41d0aa", "shop-web-1", "docker")
API: Final = ContainerRef("b7710ce51d2f", "shop-api-1", "docker")
QUEUE: Final = ContainerRef("04ab53e8c1f0", "shop-queue-1", "docker")
DNS: Final = ContainerRef("90cc1e7b5a66", "resolver", "podman")
RADIO: Final = ContainerRef("5be01177aa90", "speaker", "docker")
NAMES: Final = frozenset(
    {"TCP", "UDP", "localhost", "Samehost", "Lima", "Colima", "Podman", "Rancher", "Desktop", "SSH"}
    | {"ssh", "ada", "build.example.org"}
)
"""Words that are the same in every language."""
TRANSLATED: Final = frozenset({"state", "origin", "lock"})
"""What the daemon says in words that the window has its own for."""

DETAILS: Final = {
    WEB.id: ("nginx:1.29", {"com.docker.compose.project": "shop"}),
    API.id: ("shop/api:2026.11", {"com.docker.compose.project": "shop"}),
    QUEUE.id: ("rabbitmq:4.2-management", {"com.docker.compose.project": "shop"}),
    DNS.id: ("docker.io/library/coredns:1.13", {}),
    RADIO.id: ("speaker:latest", {}),
}


def _row(port: int, container: ContainerRef | None = None, **other: Any) -> PortRow:
    """An open port of a container, or, without one, of this computer."""
    row = PortRow(
        origin="machine" if container else "host",
        protocol="tcp",
        machine_address="0.0.0.0" if container else "127.0.0.1",
        machine_port=port,
        host_address="0.0.0.0" if container else "127.0.0.1",
        host_port=port,
        state="active",
        reason="",
        container=container,
        process=None,
        flows=0,
        bytes_in=0,
        bytes_out=0,
        since=time.time() - 2 * HOUR,
        machine=MACHINE,
    )
    return msgspec.structs.replace(row, **other)


def realistic_rows() -> list[PortRow]:
    """Some twenty rows: every state, both origins and protocols, and what is odd."""
    now = time.time()
    return [
        _row(8000, WEB, process="nginx", flows=12, bytes_in=48_210_331, bytes_out=2_310_877),
        _row(8443, WEB, process="nginx", flows=3, bytes_in=9_120_400, bytes_out=411_020),
        _row(9090, API, process="node", host_port=19090, flows=1, bytes_in=88_100, bytes_out=9012),
        _row(9229, API, process="node", machine_address="127.0.0.1", host_address="127.0.0.1"),
        *_queue(),
        _row(
            *(53, DNS),
            protocol="udp",
            process="coredns",
            host_port=1053,
            flows=4,
            bytes_in=61_000,
            bytes_out=32_500,
            since=now - 40 * HOUR,
        ),
        _row(3000, None, process="vite", flows=2, bytes_in=700, bytes_out=120_033, since=now - 90),
        _row(5432, None, process="postgres", flows=5, bytes_in=5_100_000, bytes_out=88_000_000),
        _row(11434, None, process="ollama", machine_address="::1", host_address="::1"),
        *_troubled(now),
    ]


def _queue() -> list[PortRow]:
    """A listener on `::` that takes IPv4 as well has a row for each family."""
    return [
        _row(5672, QUEUE, process="beam.smp", flows=7, bytes_in=812_000, bytes_out=790_300),
        _row(
            *(5672, QUEUE),
            process="beam.smp",
            machine_address="::",
            host_address="::",
        ),
        _row(15672, QUEUE, process="beam.smp", machine_address="::", host_address="::"),
    ]


def _troubled(now: float) -> list[PortRow]:
    """Rows that are not open, and why."""
    airplay = (
        "ControlCenter (pid 431) on this computer has tcp port 5000: this is AirPlay Receiver: "
        "System Settings, General, AirDrop & Handoff turns it off"
    )
    privilege = (
        "ports below 1024 need a privilege on this computer: run "
        "`sysctl net.ipv4.ip_unprivileged_port_start=80` as root, or remap the port"
    )
    both = "redis-server (pid 2214) on this computer has tcp port 6379: stop it, or remap the port"
    far = "listens only on 172.17.0.1, an address of the machine; listen on 0.0.0.0 or 127.0.0.1"
    return [
        _row(5000, API, process="node", state="conflict", reason=airplay, since=now - 75),
        _row(6379, QUEUE, process="redis", state="conflict", reason=both, since=now - 4 * HOUR),
        _row(80, WEB, process="nginx", state="denied", reason=privilege),
        _row(
            *(5353, RADIO),
            protocol="udp",
            process="avahi-daemon",
            state="ignored",
            reason="ignored by default: multicast DNS",
        ),
        _row(7001, API, process="node", state="ignored", reason="ignored by the setting tcp:7000"),
        _row(4000, API, machine_address="172.17.0.1", state="ignored", reason=far),
        _row(22, None, process="sshd", host_address="0.0.0.0", state="conflict", reason=_SSHD),
        _row(8081, API, process="node", state="pending", since=now - 1),
        _row(
            *(7777, RADIO),
            process="speaker",
            state="paused",
            machine="lima-old",
            reason="the machine is not connected",
        ),
    ]


_SSHD: Final = "sshd (pid 702) on the machine has tcp port 22: stop one of the two"


def furnish(backend: FakeBackend) -> None:
    """Let it be as on a busy day: machine connected, switch on, rows of every state."""
    first = next(iter(backend.machine_states.values()))
    backend.machine_states = {MACHINE: first}
    first.name, first.state, first.link, first.kind = MACHINE, "running", "connected", "colima"
    first.kernel, first.transport, first.watcher = "6.8.0-64-generic", "openssh", "eBPF"
    first.docker_host = "unix:///home/ada/.colima/default/docker.sock"
    first.linked_at = time.monotonic() - 2 * HOUR
    backend._started = time.monotonic() - 26 * HOUR
    backend.current = MACHINE
    backend.details |= DETAILS
    backend._values[SWITCH] = True
    backend.change(realistic_rows())


def many_rows(count: int) -> list[PortRow]:
    """So many open ports, each another row."""
    rows = [_row(1024 + index % 60_000, WEB, process="nginx") for index in range(count)]
    assert len(set(map(row_key, rows))) == count
    return rows


OF_THE_FAKE: Final = "wait"
"""The remedy of a machine that does not start."""


def is_data(text: str, backend: FakeBackend) -> bool:
    """Whether a text is not the window's: made of the daemon's words, or of no language at all."""
    machines = list(map(vars, backend.machine_states.values()))
    values = [backend.status(), backend.ports(), backend.containers(), backend.findings]
    values += [machines, backend.question, OF_THE_FAKE]
    told = "\n".join(_told(values))
    words = re.findall(r"[^\W\d_][\w.]*", re.sub(r"<[^>]*>", " ", text))
    return all(word in told or word in NAMES for word in words)


def _told(value: object) -> Iterator[str]:
    """All texts in there that are shown as they are."""
    match value:
        case str():
            yield value
        case dict():
            for key, member in value.items():
                if "." in key:
                    yield key  # of a label
                if key not in TRANSLATED:
                    yield from _told(member)
        case list() | tuple():
            for member in value:
                yield from _told(member)
        case msgspec.Struct():
            yield from _told(msgspec.to_builtins(value))
