"""Streams over Hyper-V sockets to the agent in a virtual machine of this computer, on Windows.

The other end is a vsock port in the machine: Linux makes service ids of ports by the template of
`hyperv_transport.c`. A service of this computer's registry, below Virtualization\\
GuestCommunicationServices, has to name that id (Microsoft, "Make your own integration services").

Limits: the loop of Windows cannot connect such a socket without waiting, so a thread does; from
then on it is a socket like any other. A reset is seen as the end. Needs Python 3.12 (AF_HYPERV).
Counterpart: `vmagent/doors/vsock.py`.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Final, Protocol, cast

from desktop.transports.connecting import CONNECT_SECONDS
from desktop.transports.transport import Transport, TransportError

__all__ = ["HypervTransport", "Sockets", "service_id"]

SERVICE_TEMPLATE: Final = "{port:08x}-facb-11e6-bd58-64006a7986d3"
"""srv_id_template of linux/net/vmw_vsock/hyperv_transport.c"""
HIGHEST_PORT: Final = 0x7FFFFFFF
"""MAX_VM_LISTEN_PORT, there as well: ports above are those of connections."""


class Sockets(Protocol):
    """What is needed of the module `socket` on Windows."""

    AF_HYPERV: int
    HV_PROTOCOL_RAW: int
    SOCK_STREAM: int

    def socket(self, family: int, kind: int, protocol: int) -> socket.socket:
        """A new socket. Raises OSError."""


def service_id(port: int) -> str:
    """The service that stands for a vsock port of a machine. Raises ValueError."""
    if not 0 <= port <= HIGHEST_PORT:
        raise ValueError(f"vsock port {port} has no Hyper-V service")
    return SERVICE_TEMPLATE.format(port=port)


class HypervTransport(Transport):
    """Dials `port` of the machine with the Hyper-V id `machine` (a GUID)."""

    name = "hyperv"
    carries_reset = False

    def __init__(self, machine: str, port: int, sockets: Sockets | None = None) -> None:
        self.machine = machine
        self.service = service_id(port)
        self._sockets = sockets or cast("Sockets", socket)

    async def open(self) -> socket.socket:
        """See `Transport.open`."""
        connecting = asyncio.get_running_loop().run_in_executor(None, self._connect)
        try:
            return await asyncio.shield(connecting)
        except asyncio.CancelledError:
            connecting.add_done_callback(_close)
            raise
        except TimeoutError as error:
            raise TransportError(f"machine {self.machine} does not answer") from error
        except (OSError, AttributeError) as error:
            raise TransportError(f"machine {self.machine}: {error}") from error

    async def aclose(self) -> None:
        """See `Transport.aclose`; there is nothing to free."""

    def _connect(self) -> socket.socket:
        """In a thread. Raises OSError, or AttributeError where there are no such sockets."""
        hyperv = self._sockets
        sock = hyperv.socket(hyperv.AF_HYPERV, hyperv.SOCK_STREAM, hyperv.HV_PROTOCOL_RAW)
        try:
            sock.settimeout(CONNECT_SECONDS)
            sock.connect((self.machine, self.service))
            sock.setblocking(False)
        except OSError:
            sock.close()
            raise
        return sock


def _close(connecting: asyncio.Future[socket.socket]) -> None:
    """Nobody wants it any more."""
    if not connecting.cancelled() and connecting.exception() is None:
        connecting.result().close()
