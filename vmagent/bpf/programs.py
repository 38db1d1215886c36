"""Loads programs and attaches them to a cgroup, or says why that is impossible.

Rules: all or nothing: what was made before a failure is closed. Programs are attached by links,
beside those of others, so nothing outlives this process. Where kernels differ there are several
programs for one hook, tried in order; that a program is refused is then no error.

Limits: Linux 5.9 (ring buffer 5.8, the hook of closing sockets 5.9), for redirection 5.18. Needs
CAP_BPF and CAP_NET_ADMIN, before Linux 5.8 CAP_SYS_ADMIN; a container's seccomp profile may forbid
bpf(2) even so. Verifiers of some kernels refuse programs without CAP_PERFMON (seen with Debian's
6.1), though they trace nothing: no BTF is needed, and `lockdown=integrity` is no hindrance.

Cost: 2 to 4 ms to load and attach six programs.

Counterparts: `system` has the calls, `watch.bpf.c` and `redirect.bpf.c` the programs, `events` and
`redirection` use this.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Final, NoReturn

from vmagent.bpf.bytecode import LICENCE, MAPS, PROGRAMS
from vmagent.bpf.system import (
    BpfError,
    Bytecode,
    Program,
    create_link,
    create_map,
    is_attached,
    load_program,
    raise_memlock_limit,
    update_element,
)

__all__ = ["WATCH", "AttachedPrograms", "link_maps"]

WATCH: Final = Bytecode("5.9", LICENCE, MAPS, PROGRAMS)
"""The programs of `watch.bpf.c`."""

PROG_TYPE_CGROUP_SOCK: Final = 9
PROG_TYPE_SOCK_OPS: Final = 13
PROG_TYPE_CGROUP_SOCK_ADDR: Final = 18
"""enum bpf_prog_type, linux/bpf.h."""

HOOKS: Final = {
    "sockops": (PROG_TYPE_SOCK_OPS, 3),
    "cgroup/bind4": (PROG_TYPE_CGROUP_SOCK_ADDR, 8),
    "cgroup/bind6": (PROG_TYPE_CGROUP_SOCK_ADDR, 9),
    "cgroup/connect4": (PROG_TYPE_CGROUP_SOCK_ADDR, 10),
    "cgroup/connect6": (PROG_TYPE_CGROUP_SOCK_ADDR, 11),
    "cgroup/post_bind4": (PROG_TYPE_CGROUP_SOCK, 12),
    "cgroup/post_bind6": (PROG_TYPE_CGROUP_SOCK, 13),
    "cgroup/sendmsg4": (PROG_TYPE_CGROUP_SOCK_ADDR, 14),
    "cgroup/sendmsg6": (PROG_TYPE_CGROUP_SOCK_ADDR, 15),
    "cgroup/recvmsg4": (PROG_TYPE_CGROUP_SOCK_ADDR, 19),
    "cgroup/recvmsg6": (PROG_TYPE_CGROUP_SOCK_ADDR, 20),
    "cgroup/getpeername4": (PROG_TYPE_CGROUP_SOCK_ADDR, 29),
    "cgroup/getpeername6": (PROG_TYPE_CGROUP_SOCK_ADDR, 30),
    "cgroup/sock_release": (PROG_TYPE_CGROUP_SOCK, 34),
}
"""By section: type of the program, and where it is attached (enum bpf_attach_type)."""

LOAD_MAP_ADDRESS: Final = 0x18
"""Opcode of an instruction with a 64-bit constant: BPF_LD | BPF_IMM | BPF_DW."""

PSEUDO_MAP_FD: Final = 0x10
"""BPF_PSEUDO_MAP_FD (1) as the source register: the constant is a map's descriptor."""

INSTRUCTION: Final = struct.Struct("<BBhi")
"""struct bpf_insn: opcode, destination and source register, offset, constant."""

FIRST: Final = bytes(4)
"""The key of an array's first element."""

NOT_PERMITTED: Final = (
    "not permitted; the agent needs CAP_BPF and CAP_NET_ADMIN, "
    "and in a container a seccomp profile that allows bpf(2)"
)
TOO_OLD: Final = "this kernel is older than Linux {oldest}, or built without CONFIG_CGROUP_BPF"
EXCLUSIVE: Final = "another program has the cgroup for itself; `bpftool cgroup tree` shows which"

REASONS: Final[Mapping[tuple[str, int], str]] = {
    ("map", errno.ENOSYS): "this kernel is built without bpf(2)",
    ("map", errno.EPERM): NOT_PERMITTED,
    ("map", errno.EINVAL): TOO_OLD,
    ("program", errno.EPERM): NOT_PERMITTED,
    ("program", errno.EINVAL): TOO_OLD,
    ("link", errno.EPERM): EXCLUSIVE,
    ("link", errno.EBADF): "this is not a cgroup v2 directory",
    ("link", errno.EINVAL): TOO_OLD,
    ("link", errno.E2BIG): "too many programs are attached there already",
}
"""What an error means, by what was tried; {oldest} is the kernel that the bytecode is for."""


class AttachedPrograms:
    """Programs at work, and their maps.

    Args:
        cgroup: a descriptor of the cgroup whose sockets count; may be closed afterwards.
        wanted: names of programs; of each group the first that the kernel takes.
        constants: what the first element of an array is before any program runs, by map.
        bytecode: where they are.

    Attributes:
        maps: descriptors by name.
        names: of the programs that were taken, one of each group.

    Construction raises BpfError with the reason.
    """

    def __init__(
        self,
        cgroup: int,
        wanted: Sequence[Sequence[str]],
        constants: Mapping[str, bytes],
        bytecode: Bytecode = WATCH,
    ) -> None:
        self._bytecode = bytecode
        self.maps: dict[str, int] = {}
        self.names: list[str] = []
        self._links: list[int] = []
        with ExitStack() as stack:
            self.maps.update(self._create_maps(stack))
            for name, value in constants.items():
                update_element(self.maps[name], FIRST, value)
            with ExitStack() as loaded:
                programs = [self._load_one(group, loaded) for group in wanted]
                for name, program in zip(self.names, programs):
                    hook = HOOKS[bytecode.programs[name].section]
                    self._links.append(self._attach(name, program, cgroup, hook[1], stack))
            self._resources = stack.pop_all()

    @property
    def attached(self) -> bool:
        """False if somebody has detached one of them. Costs 3 µs a program. Raises BpfError."""
        return all(is_attached(link) for link in self._links)

    def close(self) -> None:
        """Detach, and free the maps. May be called twice."""
        self._links.clear()
        self.maps.clear()
        self._resources.close()

    def _create_maps(self, stack: ExitStack) -> dict[str, int]:
        created: dict[str, int] = {}
        for name, definition in self._bytecode.maps.items():
            try:
                try:
                    created[name] = create_map(name, definition)
                except BpfError as error:
                    # Before Linux 5.11 this may be the limit of locked memory.
                    if error.errno != errno.EPERM or not raise_memlock_limit():
                        raise
                    created[name] = create_map(name, definition)
            except BpfError as error:
                self._fail("map", name, error)
            stack.callback(os.close, created[name])
        return created

    def _load_one(self, group: Sequence[str], stack: ExitStack) -> int:
        for name in group:
            try:
                program = self._load(name)
            except BpfError as error:
                if name == group[-1] or error.errno not in (errno.EINVAL, errno.EACCES):
                    self._fail("program", name, error)
            else:
                stack.callback(os.close, program)
                self.names.append(name)
                return program
        raise ValueError("a group of programs without a program")

    def _load(self, name: str) -> int:
        program = self._bytecode.programs[name]
        kind, attach_type = HOOKS[program.section]
        code = link_maps(program, self.maps)
        return load_program(name, kind, attach_type, code, self._bytecode.licence)

    def _attach(
        self, name: str, program: int, cgroup: int, attach_type: int, stack: ExitStack
    ) -> int:
        try:
            link = create_link(program, cgroup, attach_type)
        except BpfError as error:
            self._fail("link", name, error)
        stack.callback(os.close, link)
        return link

    def _fail(self, step: str, name: str, error: BpfError) -> NoReturn:
        code = error.errno or errno.EIO
        told = f"{step} {name}: {error.strerror}"
        if reason := REASONS.get((step, code)):
            told = f"{reason.format(oldest=self._bytecode.oldest_kernel)} ({told})"
        raise BpfError(code, told) from error


def link_maps(program: Program, descriptors: Mapping[str, int]) -> bytes:
    """The program's code with the maps' descriptors in it.

    Raises ValueError if an instruction that should load a map does not.
    """
    code = bytearray(program.code)
    for index, name in program.maps:
        place = index * INSTRUCTION.size
        opcode, registers, offset, _ = INSTRUCTION.unpack_from(code, place)
        if opcode != LOAD_MAP_ADDRESS:
            raise ValueError(f"instruction {index} of {program.section} does not load a map")
        registers = registers & 0x0F | PSEUDO_MAP_FD
        INSTRUCTION.pack_into(code, place, opcode, registers, offset, descriptors[name])
    return bytes(code)
