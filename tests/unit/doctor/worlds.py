"""A patient in words: what each check is shown is what a test says."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from desktop.api.fake import fake_row
from desktop.api.types import (
    ByteCounts,
    FlowCounts,
    MachineCondition,
    MachineStatus,
    PortCounts,
    Status,
)
from desktop.doctor.patient import DaemonView, MachineView, Patient
from desktop.doctor.verdict import Verdict
from desktop.errors import NotRunningError, SamehostError
from desktop.paths import Paths
from link.listener import Listener
from link.version import PROTOCOL, VERSION

__all__ = ["ALL", "Words", "condition", "row", "status", "verdict"]

ALL = (1 << 41) - 1
"""Every capability."""


def status(**changes: object) -> dict[str, Any]:
    """What a daemon says whose sandbox is connected; `changes` are its machine's."""
    machine = MachineStatus(
        *("sandbox", "fake", "connected", "6.1", VERSION, "memory", "eBPF"), python="3.11"
    )
    said: dict[str, Any] = msgspec.to_builtins(
        Status(
            version=VERSION,
            protocol=PROTOCOL,
            enabled=True,
            enabled_locked=False,
            enabled_reason="",
            machine=machine,
            ports=PortCounts(),
            flows=FlowCounts(),
            bytes=ByteCounts(),
            uptime_s=7.0,
            machines=[machine],
        )
    )
    said["machines"][0].update(changes)
    return said


def condition(**changes: Any) -> dict[str, Any]:
    """What is known of an agent that is well."""
    told = MachineCondition("sandbox", capabilities=ALL, files_limit=1 << 20)
    said: dict[str, Any] = msgspec.to_builtins(told)
    return {**said, **changes}


def row(port: int, **changes: Any) -> dict[str, Any]:
    """A row of the port table."""
    said: dict[str, Any] = msgspec.to_builtins(fake_row(port))
    return {**said, **changes}


class Words(Patient):
    """See the module. `failure` is what becomes of asking the daemon; None if it answers."""

    def __init__(self, home: Path = Path("/nowhere"), failure: SamehostError | None = None) -> None:
        super().__init__(Paths.under(home))
        self.failure = failure
        self.version = VERSION
        self.pid = 7
        self.said = status()
        self.table: list[dict[str, Any]] = []
        self.told: list[dict[str, Any]] = [condition()]
        self.views: Sequence[MachineView] | None = None
        self.holders: list[Listener] = []

    @classmethod
    def without_daemon(cls) -> Words:
        """Nobody runs."""
        return cls(failure=NotRunningError("Samehost is not running", "start it: samehost up"))

    async def daemon(self) -> DaemonView:
        """See `Patient`."""
        if self.failure is not None:
            raise self.failure
        return DaemonView(self.version, self.pid, self.said)

    async def rows(self) -> list[dict[str, Any]]:
        """See `Patient`."""
        await self.status()
        return self.table

    async def conditions(self) -> list[dict[str, Any]]:
        """See `Patient`."""
        await self.status()
        return self.told

    async def machines(self) -> list[MachineView]:
        """See `Patient`."""
        if self.views is not None:
            return list(self.views)
        return [MachineView(each["name"], each) for each in (await self.status())["machines"]]

    async def listeners(self) -> list[Listener]:
        """See `Patient`."""
        return self.holders

    async def ask(self, method: str, _seconds: float = 0, /, **_parameters: object) -> Any:
        """See `Patient`."""
        return {"current_machine": None}[method]


def verdict(check: Callable[[Patient], Awaitable[Verdict]], patient: Patient) -> Verdict:
    """What a check says of a patient."""

    async def look() -> Verdict:
        return await check(patient)

    return asyncio.run(look())
