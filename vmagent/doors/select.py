"""Opens the door that an order asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vmagent.doors.entrance import Entrance
from vmagent.doors.stdio import StdioEntrance
from vmagent.doors.tcp import TcpEntrance
from vmagent.doors.unix import UnixEntrance
from vmagent.doors.vsock import VsockEntrance

__all__ = ["UnknownDoorError", "open_entrance"]


class UnknownDoorError(ValueError):
    """The order is of a desktop that knows other doors."""


def open_entrance(door: Mapping[str, Any]) -> Entrance:
    """The door of an order, open, in the running loop.

    Raises UnknownDoorError, OSError, and ValueError or KeyError for what is no order.
    """
    kind = door["kind"]
    if kind == "tcp":
        return TcpEntrance(
            str(door["address"]),
            int(door["port"]),
            str(door["peer"]),
            carries_reset=bool(door["carries_reset"]),
        )
    if kind == "unix":
        owner = door["owner"]
        return UnixEntrance(None if owner is None else int(owner), int(door["buffer_bytes"]))
    if kind == "vsock":
        return VsockEntrance(int(door["port"]))
    if kind == "stdio":
        return StdioEntrance()
    raise UnknownDoorError(f"an agent of this version has no door of the kind {kind!r}")
