"""Statuses of machines for tests of what is said of them."""

from __future__ import annotations

from typing import Any

import msgspec

from desktop.api.types import ByteCounts, FlowCounts, MachineStatus, PortCounts, Status

__all__ = ["machine", "status"]


def machine(name: str, state: str = "connected", **changes: Any) -> MachineStatus:
    """A machine in use."""
    usual = MachineStatus(name, "colima", state, "6.1.0", "0.1.0", "unix", "eBPF")
    return msgspec.structs.replace(usual, **changes)


def status(*machines: MachineStatus) -> Status:
    """A status with these machines, the current one first."""
    return Status(
        version="0.1.0",
        protocol=1,
        enabled=True,
        enabled_locked=False,
        enabled_reason="",
        machine=machines[0],
        ports=PortCounts(),
        flows=FlowCounts(),
        bytes=ByteCounts(),
        uptime_s=1.0,
        machines=list(machines),
    )
