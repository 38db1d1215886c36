"""The machines that were found, in the form of the control API; with the daemon and without."""

from __future__ import annotations

from desktop.api.types import FindingInfo, MachineInfo, MachineList
from desktop.machines.found.model import Found, Sighting, describe

__all__ = ["machine_list"]


def machine_list(sighting: Sighting, current: str) -> MachineList:
    """What front-ends are shown; `current` is the name of the machine in use."""
    return MachineList(
        [_info(found, is_current=found.name == current) for found in sighting.machines],
        [FindingInfo(each.message, each.remedy) for each in sighting.findings],
    )


def _info(found: Found, *, is_current: bool) -> MachineInfo:
    return MachineInfo(
        name=found.name,
        kind=found.kind,
        state=found.state,
        current=is_current,
        docker_host=found.docker_host if found.state == "running" else "",
        reached=describe(found.way) if found.way is not None else "",
        note=found.declined,
    )
