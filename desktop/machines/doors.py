"""How an agent takes streams: what it is told to open, and what it says it has opened.

Rules: the words of the order and of the answer (`launch.py`), nothing more. A kind that this agent
cannot open is an answer with its reason, never a silence. Counterpart: `vmagent/doors/`.
"""

from __future__ import annotations

from typing import Final

import msgspec

__all__ = [
    "DoorOrder",
    "OpenDoor",
    "StdioDoor",
    "StdioOrder",
    "TcpDoor",
    "TcpOrder",
    "UnixDoor",
    "UnixOrder",
    "VsockDoor",
    "VsockOrder",
    "opened_by",
]


class TcpOrder(msgspec.Struct, frozen=True, tag_field="kind", tag="tcp"):
    """Listen on an address of the machine; on ports of the agent's choice if `port` is 0.

    `peer` is the only address that may connect, "" for any. `carries_reset` is False where streams
    come in through something that makes an end of a reset, such as SSH's forwarding: both ends have
    to know, since both keep a flow's frames there for ever (`Stream.may_be_raw`).
    """

    address: str
    port: int = 0
    peer: str = ""
    carries_reset: bool = True


class UnixOrder(msgspec.Struct, frozen=True, tag_field="kind", tag="unix"):
    """Listen on a Unix socket that only user `owner` of the machine, and root, may connect to.

    None means the user of the log-in, whoever that is. `buffer_bytes` is as `UnixTransport` has it.
    """

    owner: int | None = None
    buffer_bytes: int = 0


class VsockOrder(msgspec.Struct, frozen=True, tag_field="kind", tag="vsock"):
    """Listen on a vsock port (vsock(7)), 0 for one of the kernel's choice."""

    port: int = 0


class StdioOrder(msgspec.Struct, frozen=True, tag_field="kind", tag="stdio"):
    """Carry all streams in standard input and output (`link/mux`)."""


DoorOrder = TcpOrder | UnixOrder | VsockOrder | StdioOrder


class TcpDoor(msgspec.Struct, frozen=True, tag_field="kind", tag="tcp"):
    """It listens on these ports, of the address that it was told, and which the desktop knows."""

    ports: tuple[int, ...]


class UnixDoor(msgspec.Struct, frozen=True, tag_field="kind", tag="unix"):
    """It listens on this socket of the machine."""

    path: str


class VsockDoor(msgspec.Struct, frozen=True, tag_field="kind", tag="vsock"):
    """It listens on this vsock port."""

    port: int


class StdioDoor(msgspec.Struct, frozen=True, tag_field="kind", tag="stdio"):
    """From the answer on, its standard input and output carry streams."""


OpenDoor = TcpDoor | UnixDoor | VsockDoor | StdioDoor

_OPENED: Final[dict[type[DoorOrder], type[OpenDoor]]] = {
    TcpOrder: TcpDoor,
    UnixOrder: UnixDoor,
    VsockOrder: VsockDoor,
    StdioOrder: StdioDoor,
}


def opened_by(order: DoorOrder) -> type[OpenDoor]:
    """The kind of door that an order opens."""
    return _OPENED[type(order)]
