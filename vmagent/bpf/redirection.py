"""Redirection at work: which ports are the desktop's, and whose programs are led there.

Rules: what the kernel does is said in `redirect.bpf.c`; here its tables are kept. A change counts
for the next connect, datagram or bind, and for none before.

Limits: Linux 5.18. Sees the network namespace of the thread that makes it.

Cost (6.18 kernel): 6 to 11 ms to attach ten programs, 5 to 8 µs a port. What programs pay for a
connect, led away or not, is less than 2 µs: the spread of measuring one that is refused (17 µs).

Counterparts: `redirect.bpf.c` acts, `vmagent.desktop_ports.redirect` decides.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
from collections.abc import Iterable
from typing import Final

from vmagent.bpf.hierarchy import open_cgroup
from vmagent.bpf.programs import AttachedPrograms
from vmagent.bpf.redirect_bytecode import LICENCE, MAPS, PROGRAMS
from vmagent.bpf.system import BpfError, Bytecode, delete_element, update_element

__all__ = ["Redirection"]

REDIRECT: Final = Bytecode("5.18", LICENCE, MAPS, PROGRAMS)
"""The programs of `redirect.bpf.c`."""

CONFIG: Final = struct.Struct("=Q2s6x")
"""struct config, redirect.bpf.c: cookie of the network namespace, port as on the network."""

PLACE: Final = struct.Struct("!BBH")
"""struct place, redirect.bpf.c: protocol, is IPv6, port as on the network."""

CGROUP_ID: Final = struct.Struct("=Q")
PRESENT: Final = b"\1"

NUMBERS: Final = {"tcp": int(socket.IPPROTO_TCP), "udp": int(socket.IPPROTO_UDP)}

SO_NETNS_COOKIE: Final = 71
"""asm-generic/socket.h; since Linux 5.14."""

TOO_OLD: Final = f"this kernel is older than Linux {REDIRECT.oldest_kernel}"


class Redirection:
    """The programs, attached, and their tables.

    Args:
        cgroup: as `BindEvents` takes it.
        port: the agent's own, where what is led away arrives.

    Construction raises OSError, BpfError if the kernel is the reason; nothing stays attached then,
    nor after this process's end.
    """

    def __init__(self, cgroup: str | None, port: int) -> None:
        config = CONFIG.pack(_network_namespace(), port.to_bytes(2, "big"))
        wanted = [(name,) for name in PROGRAMS]
        descriptor = open_cgroup(cgroup)
        try:
            self._programs = AttachedPrograms(
                descriptor, wanted, {"samehost_config": config}, REDIRECT
            )
        finally:
            os.close(descriptor)
        self._own: set[int] = set()

    @property
    def attached(self) -> bool:
        """See `BindEvents.attached`."""
        return self._programs.attached

    def add(self, protocol: str, address: str, port: int) -> None:
        """From now on this place on loopback is the desktop's. Raises BpfError: E2BIG if full."""
        update_element(
            self._programs.maps["samehost_ports"], _place(protocol, address, port), PRESENT
        )

    def remove(self, protocol: str, address: str, port: int) -> None:
        """It is so no more; it need not have been."""
        _discard(self._programs.maps["samehost_ports"], _place(protocol, address, port))

    def leave_alone(self, cgroups: Iterable[int]) -> None:
        """Programs in just these cgroups, by id, are the machine's own. Raises BpfError."""
        table, wanted = self._programs.maps["samehost_own"], set(cgroups)
        for each in wanted - self._own:
            update_element(table, CGROUP_ID.pack(each), PRESENT)
        for each in self._own - wanted:
            _discard(table, CGROUP_ID.pack(each))
        self._own = wanted

    def close(self) -> None:
        """Detach and free. May be called twice."""
        self._programs.close()


def _place(protocol: str, address: str, port: int) -> bytes:
    return PLACE.pack(NUMBERS[protocol], ":" in address, port)


def _discard(table: int, key: bytes) -> None:
    try:
        delete_element(table, key)
    except BpfError as error:
        if error.errno != errno.ENOENT:
            raise


def _network_namespace() -> int:
    """The cookie of this thread's network namespace. Raises BpfError before Linux 5.14."""
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sock:
        try:
            cookie = sock.getsockopt(socket.SOL_SOCKET, SO_NETNS_COOKIE, CGROUP_ID.size)
        except OSError as error:
            raise BpfError(error.errno, f"{TOO_OLD}: {error.strerror}") from error
    return int(CGROUP_ID.unpack(cookie)[0])
