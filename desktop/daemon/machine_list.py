"""The machines that there are, in the form of the control API; with the daemon and without."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from desktop.api.types import FindingInfo, MachineInfo, MachineList
from desktop.machines.found.model import Found, Sighting, describe

__all__ = ["machine_list"]


def machine_list(
    sighting: Sighting, current: str, attached: Sequence[MachineInfo] = ()
) -> MachineList:
    """What front-ends are shown: what was found, and what is attached whether it was found or not.

    `current` is the name of the machine in use. An attached machine knows best what it does.
    """
    infos = {
        each.name: _found_info(each, is_current=each.name == current) for each in sighting.machines
    }
    for info in attached:
        seen = infos.get(info.name)
        infos[info.name] = info if seen is None else _joined(seen, info)
    return MachineList(
        [infos[name] for name in sorted(infos)],
        [FindingInfo(each.message, each.remedy) for each in sighting.findings],
    )


def _joined(seen: MachineInfo, info: MachineInfo) -> MachineInfo:
    return msgspec.structs.replace(info, reached=seen.reached, note=seen.note)


def _found_info(found: Found, *, is_current: bool) -> MachineInfo:
    return MachineInfo(
        name=found.name,
        kind=found.kind,
        state=found.state,
        current=is_current,
        docker_host=found.docker_host if found.state == "running" else "",
        reached=describe(found.way) if found.way is not None else "",
        note=found.declined,
    )
