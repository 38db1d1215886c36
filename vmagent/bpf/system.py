"""bpf(2) by ctypes: maps, programs and links, as far as the agent needs them.

Rules: standard library only: no libbpf, no ELF, no BTF. Each function is one call to the kernel
and raises BpfError; descriptors are plain numbers that the caller closes (the kernel makes them
close-on-exec). Layouts of the arguments are those of union bpf_attr in linux/bpf.h; the kernel
takes missing fields at the end as zero.

Limits: 64-bit x86 and ARM, little-endian: bytecode and numbers of system calls are theirs.

Counterpart: `programs` knows which calls in which order, and explains what their errors mean.
"""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import struct
from collections.abc import Mapping
from typing import Final, NamedTuple

__all__ = [
    "BpfError",
    "Bytecode",
    "MapDefinition",
    "Program",
    "call_number",
    "create_link",
    "create_map",
    "delete_element",
    "is_attached",
    "load_program",
    "raise_memlock_limit",
    "system_call",
    "update_element",
]

CALL_NUMBERS: Final = {"x86_64": 321, "aarch64": 280}
"""bpf(2) by uname(2)'s name of the machine: asm/unistd_64.h, asm-generic/unistd.h."""

BPF_MAP_CREATE: Final = 0
BPF_MAP_UPDATE_ELEM: Final = 2
BPF_MAP_DELETE_ELEM: Final = 3
BPF_PROG_LOAD: Final = 5
BPF_OBJ_GET_INFO_BY_FD: Final = 15
BPF_LINK_CREATE: Final = 28
"""enum bpf_cmd, linux/bpf.h."""

NAME_BYTES: Final = 15
"""Longest name of a map or program; BPF_OBJ_NAME_LEN less the final zero."""

INSTRUCTION_BYTES: Final = 8
"""sizeof(struct bpf_insn)."""

LOG_BYTES: Final = 1 << 18
"""Room for the verifier's words about a program that it refuses; ours are short."""

MAP_CREATE: Final = struct.Struct("=IIIII 8x 16s")
"""Type, key size, value size, entries, flags; inner map and NUMA node are 0; name."""

UPDATE_ELEM: Final = struct.Struct("=I4x QQQ")
"""Map, key, value, flags (0: BPF_ANY)."""

DELETE_ELEM: Final = struct.Struct("=I4x Q")
"""Map, key."""

PROG_LOAD: Final = struct.Struct("=II QQ II Q 8x 16s 4x I")
"""Type, number of instructions, instructions, licence, level, size and place of the verifier's
log, name, expected attach type."""

LINK_CREATE: Final = struct.Struct("=IIII")
"""Program, cgroup, attach type, flags."""

GET_INFO: Final = struct.Struct("=IIQ")
"""Descriptor, size and place of the answer."""

CGROUP_LINK_INFO: Final = struct.Struct("=III4x QI4x")
"""struct bpf_link_info: type, id, program; of a cgroup's link: cgroup id, attach type."""

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


class BpfError(OSError):
    """The kernel, its age or its rules do not allow eBPF here; `errno` and why, in words."""


class MapDefinition(NamedTuple):
    """What a map is made of: type and flags (linux/bpf.h), sizes in bytes, most entries."""

    type: int
    key_size: int
    value_size: int
    entries: int
    flags: int


class Program(NamedTuple):
    """A program: the hook it is for, its code, and which instructions load which map.

    `maps` has the index of each instruction (of 8 bytes) that loads a map's address, by name.
    """

    section: str
    code: bytes
    maps: tuple[tuple[int, str], ...]


class Bytecode(NamedTuple):
    """What one source file is compiled to, and the oldest Linux that takes it ("5.9")."""

    oldest_kernel: str
    licence: str
    maps: Mapping[str, MapDefinition]
    programs: Mapping[str, Program]


def call_number(machine: str, pointer_bytes: int) -> int:
    """The number of bpf(2) for a program whose pointers have that size, on that machine.

    Raises BpfError if it is not one that the bytecode is for.
    """
    number = CALL_NUMBERS.get(machine)
    if number is None or pointer_bytes != 8:
        words = f"eBPF is not supported for {pointer_bytes * 8}-bit Python on {machine}"
        raise BpfError(errno.ENOSYS, words)
    return number


def system_call(number: int, *arguments: object) -> int:
    """syscall(2): the result. Raises BpfError with the call's errno.

    Each argument is a ctypes object, bytes, or None.
    """
    result = int(_libc.syscall(ctypes.c_long(number), *arguments))
    if result < 0:
        code = ctypes.get_errno()
        raise BpfError(code, os.strerror(code))
    return result


def create_map(name: str, definition: MapDefinition) -> int:
    """A new map's descriptor. Raises BpfError."""
    return _bpf(BPF_MAP_CREATE, MAP_CREATE.pack(*definition, _name(name)))


def update_element(map_fd: int, key: bytes, value: bytes) -> None:
    """Set an element of a map. Raises BpfError: E2BIG if it is full."""
    key_buffer = ctypes.create_string_buffer(key, len(key))
    value_buffer = ctypes.create_string_buffer(value, len(value))
    places = ctypes.addressof(key_buffer), ctypes.addressof(value_buffer)
    _bpf(BPF_MAP_UPDATE_ELEM, UPDATE_ELEM.pack(map_fd, *places, 0))


def delete_element(map_fd: int, key: bytes) -> None:
    """Remove an element of a map. Raises BpfError: ENOENT if it is not there."""
    buffer = ctypes.create_string_buffer(key, len(key))
    _bpf(BPF_MAP_DELETE_ELEM, DELETE_ELEM.pack(map_fd, ctypes.addressof(buffer)))


def load_program(name: str, kind: int, attach_type: int, code: bytes, licence: str) -> int:
    """A program's descriptor, once the kernel has proved it harmless.

    `kind` and `attach_type` are of enum bpf_prog_type and bpf_attach_type. Raises BpfError; if
    the verifier has refused the program, with the reason it gave.
    """
    try:
        return _load(name, kind, attach_type, code, licence, None)
    except BpfError as error:
        if error.errno not in (errno.EINVAL, errno.EACCES):
            raise
    # Once more, with a log: without one a program is loaded faster.
    log = ctypes.create_string_buffer(LOG_BYTES)
    try:
        return _load(name, kind, attach_type, code, licence, log)
    except BpfError as error:
        words = log.value.decode(errors="replace")
        raise BpfError(error.errno, f"{error.strerror} ({_refusal(words)})") from None


def create_link(program_fd: int, cgroup_fd: int, attach_type: int) -> int:
    """Attach a program to a cgroup, beside others' and until the link's descriptor is closed.

    The kernel closes it when the process dies, however it dies. Raises BpfError.
    """
    return _bpf(BPF_LINK_CREATE, LINK_CREATE.pack(program_fd, cgroup_fd, attach_type, 0))


def is_attached(link_fd: int) -> bool:
    """False if the link of a program to a cgroup was undone by others. Raises BpfError.

    It is when the cgroup is removed, or somebody detaches it (`bpftool link detach`).
    """
    info = ctypes.create_string_buffer(CGROUP_LINK_INFO.size)
    place = ctypes.addressof(info)
    _bpf(BPF_OBJ_GET_INFO_BY_FD, GET_INFO.pack(link_fd, CGROUP_LINK_INFO.size, place))
    cgroup_id = CGROUP_LINK_INFO.unpack(info.raw)[3]
    return bool(cgroup_id)


def raise_memlock_limit() -> bool:
    """Lift RLIMIT_MEMLOCK, which bounds maps before Linux 5.11; False if that is not allowed."""
    try:
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY,) * 2)
    except (OSError, ValueError):
        return False
    return True


def _bpf(command: int, attributes: bytes) -> int:
    number = call_number(os.uname().machine, ctypes.sizeof(ctypes.c_void_p))
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    size = ctypes.c_uint(len(attributes))
    return system_call(number, ctypes.c_int(command), buffer, size)


def _load(
    name: str,
    kind: int,
    attach_type: int,
    code: bytes,
    licence: str,
    log: ctypes.Array[ctypes.c_char] | None,
) -> int:
    code_buffer = ctypes.create_string_buffer(code, len(code))
    licence_buffer = ctypes.create_string_buffer(licence.encode())
    attributes = PROG_LOAD.pack(
        kind,
        len(code) // INSTRUCTION_BYTES,
        ctypes.addressof(code_buffer),
        ctypes.addressof(licence_buffer),
        1 if log else 0,
        len(log) if log else 0,
        ctypes.addressof(log) if log else 0,
        _name(name),
        attach_type,
    )
    return _bpf(BPF_PROG_LOAD, attributes)


def _name(name: str) -> bytes:
    encoded = name.encode("ascii")
    if len(encoded) > NAME_BYTES:
        raise ValueError(f"{name} is longer than {NAME_BYTES} characters")
    return encoded


def _refusal(log: str) -> str:
    """The verifier's reason: its last line but for the figures ("processed 12 insns").

    Newer kernels (seen with 7.3) say it again at length, with advice.
    """
    short = log.partition("\nVerification failed:")[0]
    lines = [line for line in short.splitlines() if line and not line.startswith("processed ")]
    return lines[-1] if lines else "no reason given"
