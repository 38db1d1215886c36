"""What of root's power the agent keeps: what it uses; the rest is gone for good (capabilities(7)).

    DAC_OVERRIDE      descriptors of other users' processes, sockets of other users' engines
    NET_BIND_SERVICE  this computer's ports below 1024
    NET_ADMIN, BPF    news of sockets that close, eBPF programs, the route of redirected IPv6
    PERFMON           eBPF programs, which some kernels' verifiers refuse without (seen with 6.1)
    SYS_PTRACE        whose a socket is, and the machine as its process 1 sees it
    SYS_RESOURCE      large pipes, also if root's containers have many (pipe(7)); locked memory
    NET_RAW           refusals for UDP clients; before Linux 5.7 also keeping ports to `lo`
    SYS_ADMIN         only where cgroup v2 has to be mounted for eBPF, or instead of BPF, PERFMON

Rules: for the calling thread and those that it starts, so before any is. No program that the agent
might start gets more, whoever owns it. Never raises; a failure is logged, and `samehost doctor`
shows what is left. What stays is more than engines give a container, so one that sees the machine's
processes cannot look into this one, as it could with none (ptrace(2)). For the same reason an agent
without SYS_PTRACE, as in a container, keeps all it has: it may look into those with no more.
"""

from __future__ import annotations

import ctypes
import logging
import os
import struct
from collections.abc import Iterable
from typing import Final

__all__ = ["FOWNER", "KEPT", "SYS_ADMIN", "keep_only", "kept"]

DAC_OVERRIDE: Final = 1
FOWNER: Final = 3
NET_BIND_SERVICE: Final = 10
NET_ADMIN: Final = 12
NET_RAW: Final = 13
SYS_PTRACE: Final = 19
SYS_ADMIN: Final = 21
SYS_RESOURCE: Final = 24
PERFMON: Final = 38
BPF: Final = 39
"""Bits, linux/capability.h; the last two since Linux 5.8."""

KEPT: Final = (
    *(DAC_OVERRIDE, NET_BIND_SERVICE, NET_ADMIN, NET_RAW),
    *(SYS_PTRACE, SYS_RESOURCE, PERFMON, BPF),
)
"""What is kept everywhere."""

MOST: Final = 64
"""Bits that the calls have room for."""

_VERSION_3: Final = 0x20080522
_HEADER: Final = struct.Struct("=Ii")
_DATA: Final = struct.Struct("=IIIIII")
"""struct __user_cap_header_struct (version, thread: 0 is this one), and twice
__user_cap_data_struct (effective, permitted, inheritable), linux/capability.h."""

_PR_CAPBSET_DROP: Final = 24
_PR_SET_NO_NEW_PRIVS: Final = 38
"""linux/prctl.h."""

_log = logging.getLogger(__name__)
_libc = ctypes.CDLL(None, use_errno=True)


def kept(had: int, also: Iterable[int] = ()) -> int:
    """What of `had` is kept, as bits; `also` are bits that are needed here."""
    if not had >> SYS_PTRACE & 1:
        return had
    wanted = {*KEPT, *also}
    if not had >> BPF & had >> PERFMON & 1:  # an old engine's privileged container knows neither
        wanted.add(SYS_ADMIN)
    return had & sum(1 << bit for bit in wanted)


def keep_only(also: Iterable[int] = ()) -> None:
    """Give up everything else, for ever. See the module."""
    header = _HEADER.pack(_VERSION_3, 0)
    data = ctypes.create_string_buffer(_DATA.size)
    try:
        _check("capget", _libc.capget(header, data))
        _, low, _, _, high, _ = _DATA.unpack(data.raw)
        remains = kept(low | high << 32, also)
        _bound(remains)
        low, high = remains & 0xFFFFFFFF, remains >> 32
        _check("capset", _libc.capset(header, _DATA.pack(low, low, 0, high, high, 0)))
        _check("no_new_privs", _prctl(_PR_SET_NO_NEW_PRIVS, 1))
    except OSError as error:
        _log.warning("the agent keeps more of root's power than it uses: %s", error)


def _bound(remains: int) -> None:
    """Not to be had again by exec(2). Without CAP_SETPCAP no_new_privs has to do."""
    for bit in range(MOST):
        if not remains >> bit & 1 and _prctl(_PR_CAPBSET_DROP, bit) != 0:
            return  # the kernel knows no more bits, or nobody may


def _prctl(option: int, value: int) -> int:
    zero = ctypes.c_ulong(0)
    return int(_libc.prctl(ctypes.c_int(option), ctypes.c_ulong(value), zero, zero, zero))


def _check(call: str, result: int) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{call}: {os.strerror(code)}")
