"""Loading and attaching, with a kernel that the test makes: order, errors, nothing left open."""

from __future__ import annotations

import errno
import os
import struct
from types import SimpleNamespace

import pytest

from vmagent.bpf import programs
from vmagent.bpf.bytecode import MAPS, PROGRAMS
from vmagent.bpf.programs import HOOKS, AttachedPrograms, link_maps
from vmagent.bpf.system import BpfError, MapDefinition, Program

CGROUP = 1000
WANTED = (("samehost_close",), ("samehost_tcp_ns", "samehost_tcp"))


class Kernel:
    """Gives out descriptors, and fails at what the test says: (step, name) to errnos, in order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.failures: dict[tuple[str, str], list[int]] = {}
        self.open: dict[int, str] = {}
        self.set: list[tuple[str, bytes, bytes]] = []
        self.detached: set[int] = set()
        self.may_lift = False
        self._next = 2000
        for name in ("create_map", "load_program", "create_link", "is_attached", "update_element"):
            monkeypatch.setattr(programs, name, getattr(self, name))
        monkeypatch.setattr(programs, "raise_memlock_limit", lambda: self.may_lift)
        monkeypatch.setattr(programs, "os", SimpleNamespace(close=self.close))

    def _do(self, step: str, name: str) -> int:
        codes = self.failures.get((step, name))
        if codes:
            code = codes.pop(0)
            raise BpfError(code, os.strerror(code))
        self._next += 1
        self.open[self._next] = f"{step} {name}"
        return self._next

    def create_map(self, name: str, definition: MapDefinition) -> int:
        assert definition == MAPS[name]
        return self._do("map", name)

    def load_program(self, name: str, kind: int, attach_type: int, code: bytes, _: str) -> int:
        assert (kind, attach_type) == HOOKS[PROGRAMS[name].section]
        assert len(code) == len(PROGRAMS[name].code)
        return self._do("program", name)

    def create_link(self, program: int, cgroup: int, attach_type: int) -> int:
        name = self.open[program].partition(" ")[2]
        assert (cgroup, attach_type) == (CGROUP, HOOKS[PROGRAMS[name].section][1])
        return self._do("link", name)

    def is_attached(self, link: int) -> bool:
        return link not in self.detached

    def update_element(self, descriptor: int, key: bytes, value: bytes) -> None:
        self.set.append((self.open[descriptor], key, value))

    def close(self, descriptor: int) -> None:
        del self.open[descriptor]

    def opened(self, step: str) -> list[str]:
        return [text.partition(" ")[2] for text in self.open.values() if text.startswith(step)]


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    return Kernel(monkeypatch)


def attach() -> AttachedPrograms:
    return AttachedPrograms(CGROUP, WANTED, {"samehost_netns": b"\x05" * 8})


def refused(kernel: Kernel) -> BpfError:
    """The error; nothing is left open."""
    with pytest.raises(BpfError) as caught:
        attach()
    assert kernel.open == {}
    return caught.value


def test_maps_and_links_stay_open_and_programs_need_not(kernel: Kernel) -> None:
    attached = attach()
    assert kernel.opened("map") == list(MAPS)
    assert kernel.opened("link") == attached.names == ["samehost_close", "samehost_tcp_ns"]
    assert kernel.opened("program") == []
    assert kernel.set == [("map samehost_netns", bytes(4), b"\x05" * 8)]
    attached.close()
    attached.close()
    assert kernel.open == {}


def test_of_a_group_the_first_that_the_kernel_takes_is_attached(kernel: Kernel) -> None:
    kernel.failures["program", "samehost_tcp_ns"] = [errno.EINVAL]
    assert attach().names == ["samehost_close", "samehost_tcp"]


def test_who_may_not_load_is_not_offered_another(kernel: Kernel) -> None:
    kernel.failures["program", "samehost_tcp_ns"] = [errno.EPERM]
    assert "CAP_NET_ADMIN" in str(refused(kernel))


def test_the_last_of_a_group_tells_why(kernel: Kernel) -> None:
    kernel.failures["program", "samehost_tcp_ns"] = [errno.EINVAL]
    kernel.failures["program", "samehost_tcp"] = [errno.EINVAL]
    error = refused(kernel)
    assert error.errno == errno.EINVAL
    assert "older than Linux 5.9" in str(error)
    assert "program samehost_tcp: Invalid argument" in str(error)


@pytest.mark.parametrize(
    ("step", "code", "words"),
    [
        ("map", errno.ENOSYS, "without bpf"),
        ("map", errno.EPERM, "CAP_BPF"),
        ("map", errno.EINVAL, "older than Linux 5.9"),
        ("program", errno.EPERM, "CAP_BPF"),
        ("program", errno.EINVAL, "older than Linux 5.9"),
        ("link", errno.EPERM, "has the cgroup for itself"),
        ("link", errno.EBADF, "not a cgroup v2 directory"),
        ("link", errno.EINVAL, "older than Linux 5.9"),
        ("link", errno.E2BIG, "too many programs"),
        ("link", errno.ENOMEM, "link samehost_close: Cannot allocate memory"),
    ],
)
def test_an_error_is_told_in_words_and_nothing_is_left_open(
    kernel: Kernel, step: str, code: int, words: str
) -> None:
    name = "samehost_binds" if step == "map" else "samehost_close"
    kernel.failures[step, name] = [code]
    error = refused(kernel)
    assert error.errno == code
    assert words in str(error)


def test_a_map_beyond_the_limit_of_locked_memory_is_made_once_that_is_lifted(
    kernel: Kernel,
) -> None:
    kernel.failures["map", "samehost_events"] = [errno.EPERM]
    kernel.may_lift = True
    assert list(attach().maps) == list(MAPS)


def test_a_map_that_is_still_refused_then_is_an_error(kernel: Kernel) -> None:
    kernel.failures["map", "samehost_events"] = [errno.EPERM, errno.EPERM]
    kernel.may_lift = True
    assert refused(kernel).errno == errno.EPERM


def test_one_detached_program_is_enough_to_say_so(kernel: Kernel) -> None:
    attached = attach()
    assert attached.attached
    kernel.detached.add(max(kernel.open))
    assert not attached.attached


LOAD = struct.pack("<BBhi", 0x18, 0x01, 0, 0) + bytes(8)
EXIT = struct.pack("<BBhi", 0x95, 0, 0, 0)


def test_a_maps_descriptor_is_put_where_the_program_loads_it() -> None:
    program = Program("sockops", LOAD + EXIT + LOAD, ((0, "a"), (3, "b")))
    code = link_maps(program, {"a": 7, "b": 8})
    # Destination register 1 stays, source register 1 says that the constant is a descriptor.
    assert code[:8] == struct.pack("<BBhi", 0x18, 0x11, 0, 7)
    assert code[24:32] == struct.pack("<BBhi", 0x18, 0x11, 0, 8)
    assert code[8:24] == program.code[8:24]


def test_a_reference_to_something_else_is_an_error() -> None:
    with pytest.raises(ValueError, match="instruction 0 of sockops does not load a map"):
        link_maps(Program("sockops", EXIT, ((0, "a"),)), {"a": 7})


def test_every_program_is_for_a_known_hook_and_loads_known_maps() -> None:
    for name, program in PROGRAMS.items():
        assert program.section in HOOKS, name
        link_maps(program, dict.fromkeys(MAPS, 3))


def test_a_group_without_a_program_is_an_error_of_ours(kernel: Kernel) -> None:
    with pytest.raises(ValueError, match="without a program"):
        AttachedPrograms(CGROUP, ((),), {})
    assert kernel.open == {}


def test_bytecode_for_newer_kernels_says_so(kernel: Kernel) -> None:
    kernel.failures["program", "samehost_close"] = [errno.EINVAL]
    newer = programs.WATCH._replace(oldest_kernel="5.18")
    with pytest.raises(BpfError, match=r"older than Linux 5\.18"):
        AttachedPrograms(CGROUP, WANTED, {}, newer)
