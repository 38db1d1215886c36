"""Rows of the port table as a busy computer has them, for tests and for looking at."""

from __future__ import annotations

import msgspec

from desktop.api.types import ContainerRef, PortDelta, PortRow, row_key
from gui.deltas import RowKey

__all__ = ["delta", "make_row", "realistic", "table"]

NOW = 1_790_000_000.0
"""UNIX time of these rows, in seconds."""

_STATES = (
    *("active",) * 9,
    *("conflict", "ignored", "active", "denied", "pending", "paused", "ignored"),
)
_REASONS = {
    "conflict": "nginx (pid 4711) on this computer has tcp port {port}: stop it, or remap the port",
    "denied": "ports below 1024 need a privilege on this computer: run "
    "`sysctl net.ipv4.ip_unprivileged_port_start={port}` as root, or remap the port",
    "ignored": "ignored by default: multicast DNS",
}
_NAMES = ("web", "api", "postgres", "redis", "shop-frontend-1", "mailhog", "prometheus", "dns")
_PROGRAMS = ("nginx", "node", "postgres", "redis-server", "python3", "MailHog", "prometheus")
_PORTS = (80, 443, 3000, 5000, 5432, 6379, 8000, 8080)
_ADDRESSES = ("0.0.0.0", "127.0.0.1", "::", "::1")
_AGES = (4, 70, 340, 4000, 90_000, 500_000)


def make_row(port: int = 8000, **fields: object) -> PortRow:
    """A container's TCP port, but for what is said."""
    row = PortRow(
        origin="machine",
        protocol="tcp",
        machine_address="0.0.0.0",
        machine_port=port,
        host_address="0.0.0.0",
        host_port=port,
        state="active",
        reason="",
        container=ContainerRef("c0ffee", "web", "docker"),
        process="nginx",
        flows=0,
        bytes_in=0,
        bytes_out=0,
        since=NOW - 200,
        machine="sandbox",
    )
    return msgspec.structs.replace(row, **fields)


def realistic(count: int, machines: tuple[str, ...] = ("sandbox",)) -> list[PortRow]:
    """So many rows in every state, of both directions and protocols."""
    return [_realistic(number, machines[number % len(machines)]) for number in range(count)]


def _realistic(number: int, machine: str) -> PortRow:
    port = _PORTS[number] if number < len(_PORTS) else 1025 + number * 7
    state = _STATES[number * 7 % len(_STATES)]
    is_host = number % 5 == 3
    name = _NAMES[number * 3 % len(_NAMES)]
    return make_row(
        port,
        origin="host" if is_host else "machine",
        protocol="udp" if number % 6 == 4 else "tcp",
        host_address=_ADDRESSES[number % 4],
        machine_address=_ADDRESSES[number % 4],
        state=state,
        reason=_REASONS.get(state, "").format(port=port),
        container=None if is_host else ContainerRef(f"{number:064x}", name, "docker"),
        process=_PROGRAMS[number * 5 % len(_PROGRAMS)],
        flows=number % 4 if state == "active" else 0,
        since=NOW - _AGES[number % len(_AGES)],
        machine=machine,
    )


def table(*rows: PortRow) -> dict[RowKey, PortRow]:
    """Rows by key."""
    return {row_key(row): row for row in rows}


def delta(
    added: tuple[PortRow, ...] = (),
    changed: tuple[PortRow, ...] = (),
    removed: tuple[PortRow, ...] = (),
) -> PortDelta:
    """A change of the table."""
    return PortDelta(2, list(added), list(changed), list(removed))
