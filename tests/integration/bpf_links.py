"""The kernel's view of eBPF links to a cgroup, of whatever process: list them, detach one.

Counterparts: `test_bpf_attaching.py`, `test_status_live.py`; `vmagent/bpf/system.py` makes links.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from pathlib import Path
from typing import Final

from vmagent.bpf import system
from vmagent.bpf.system import BpfError

__all__ = ["bpf", "detach", "links_of"]

BPF_LINK_GET_FD_BY_ID: Final = 30
BPF_LINK_GET_NEXT_ID: Final = 31
BPF_LINK_DETACH: Final = 34
"""linux/bpf.h."""


def bpf(command: int, attributes: bytes, size: int = 64) -> tuple[int, bytes]:
    """The result of bpf(2), and the attributes as the kernel left them."""
    buffer = ctypes.create_string_buffer(attributes, size)
    number = system.call_number(platform.machine(), 8)
    result = system.system_call(number, ctypes.c_int(command), buffer, ctypes.c_uint(size))
    return result, buffer.raw


def links_of(cgroup: Path) -> list[int]:
    """The ids of all links to that cgroup, of whatever process."""
    found: list[int] = []
    link = 0
    while True:
        try:
            _, answer = bpf(BPF_LINK_GET_NEXT_ID, struct.pack("=I", link))
        except BpfError as error:
            if error.errno == errno.ENOENT:
                return found
            raise
        (link,) = struct.unpack_from("=4xI", answer)
        try:
            descriptor, _ = bpf(BPF_LINK_GET_FD_BY_ID, struct.pack("=I", link))
        except BpfError as error:
            if error.errno == errno.ENOENT:  # gone in the meantime
                continue
            raise
        if _cgroup_of(descriptor) == cgroup.stat().st_ino:
            found.append(link)
        os.close(descriptor)


def detach(link: int) -> None:
    """Detach a link's program, as anybody with the capabilities may."""
    descriptor, _ = bpf(BPF_LINK_GET_FD_BY_ID, struct.pack("=I", link))
    try:
        bpf(BPF_LINK_DETACH, struct.pack("=I", descriptor))
    finally:
        os.close(descriptor)


def _cgroup_of(descriptor: int) -> int:
    info = ctypes.create_string_buffer(64)
    bpf(system.BPF_OBJ_GET_INFO_BY_FD, struct.pack("=IIQ", descriptor, 64, ctypes.addressof(info)))
    return int(struct.unpack_from("=16xQ", info)[0])
