"""What bpf(2) is given, byte by byte, and what is made of its answers; the kernel is the test's."""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import struct
from collections.abc import Callable

import pytest

from vmagent.bpf import system
from vmagent.bpf.system import BpfError, MapDefinition

Answer = Callable[[int, bytes], int]


class Kernel:
    """Stands for bpf(2): takes what it is given apart, and answers as the test wants."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[tuple[int, bytes]] = []
        self.answer: Answer = lambda _command, _attributes: 42
        monkeypatch.setattr(system, "call_number", lambda _machine, _pointer_bytes: 321)
        monkeypatch.setattr(system, "system_call", self._take)

    def _take(self, number: int, *arguments: object) -> int:
        command, buffer, size = arguments
        assert number == 321
        assert isinstance(command, ctypes.c_int)
        assert isinstance(size, ctypes.c_uint)
        assert isinstance(buffer, ctypes.Array)
        assert size.value == len(buffer)
        self.calls.append((command.value, bytes(buffer)))
        return self.answer(command.value, bytes(buffer))


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    return Kernel(monkeypatch)


def at(place: int, size: int) -> bytes:
    """The memory that a pointer leads to."""
    return ctypes.string_at(place, size)


def test_a_map_is_asked_for_with_its_definition_and_name(kernel: Kernel) -> None:
    assert system.create_map("samehost_events", MapDefinition(27, 1, 2, 4096, 3)) == 42
    ((command, attributes),) = kernel.calls
    assert command == 0
    fields = struct.unpack("=IIIIIII16s", attributes)
    assert fields == (27, 1, 2, 4096, 3, 0, 0, b"samehost_events\0")


def test_a_name_that_the_kernel_would_not_take_is_an_error_of_ours(kernel: Kernel) -> None:
    with pytest.raises(ValueError, match="longer than 15"):
        system.create_map("samehost_events_", MapDefinition(27, 0, 0, 4096, 0))
    assert kernel.calls == []


def test_an_element_is_set_by_pointers_to_key_and_value(kernel: Kernel) -> None:
    def answer(command: int, attributes: bytes) -> int:
        fd, key, value, flags = struct.unpack("=I4xQQQ", attributes)
        assert (command, fd, flags) == (2, 7, 0)
        assert (at(key, 4), at(value, 8)) == (b"key\0", b"value\0\0\0")
        return 0

    kernel.answer = answer
    system.update_element(7, b"key\0", b"value\0\0\0")
    assert len(kernel.calls) == 1


def test_a_program_is_loaded_without_a_log(kernel: Kernel) -> None:
    code = bytes(range(24))

    def answer(command: int, attributes: bytes) -> int:
        fields = struct.unpack("=IIQQIIQII16sII", attributes)
        kind, count, place, licence, level, size, log, _, flags, name, _, attach = fields
        assert (command, kind, count, at(place, 24)) == (5, 18, 3, code)
        assert at(licence, 11) == b"Apache-2.0\0"
        assert (level, size, log, flags) == (0, 0, 0, 0)
        assert (name.rstrip(b"\0"), attach) == (b"samehost_bind4", 8)
        return 5

    kernel.answer = answer
    assert system.load_program("samehost_bind4", 18, 8, code, "Apache-2.0") == 5


def refuse(log: bytes, number: int = errno.EINVAL) -> Answer:
    """A verifier that says why not, if it is given room for it."""

    def answer(_: int, attributes: bytes) -> int:
        level, size, place = struct.unpack_from("=IIQ", attributes, 24)
        if level:
            assert len(log) < size
            ctypes.memmove(place, log, len(log))
        raise BpfError(number, os.strerror(number))

    return answer


def test_a_refused_program_is_loaded_again_for_the_verifiers_reason(kernel: Kernel) -> None:
    kernel.answer = refuse(b"0: (85) call\nunknown func#122\nprocessed 1 insns\n\n")
    with pytest.raises(BpfError, match=r"Invalid argument \(unknown func#122\)") as caught:
        system.load_program("name", 9, 12, bytes(8), "")
    assert caught.value.errno == errno.EINVAL
    assert len(kernel.calls) == 2


def test_of_what_a_newer_verifier_says_at_length_the_reason_is_the_short_line(
    kernel: Kernel,
) -> None:
    kernel.answer = refuse(
        b"0: (85) call\nunknown func#122\n\nVerification failed: Policy\n\nReason:\n  The helper\n"
        b"\nSuggestion:\n  Use another\n\nprocessed 1 insns\n\n"
    )
    with pytest.raises(BpfError, match=r"Invalid argument \(unknown func#122\)"):
        system.load_program("name", 9, 12, bytes(8), "")


def test_a_verifier_that_says_nothing_is_quoted_so(kernel: Kernel) -> None:
    kernel.answer = refuse(b"", errno.EACCES)
    with pytest.raises(BpfError, match=r"Permission denied \(no reason given\)"):
        system.load_program("name", 9, 12, bytes(8), "")


def test_who_may_not_load_programs_is_not_asked_twice(kernel: Kernel) -> None:
    kernel.answer = refuse(b"", errno.EPERM)
    with pytest.raises(BpfError, match="Operation not permitted"):
        system.load_program("name", 9, 12, bytes(8), "")
    assert len(kernel.calls) == 1


def test_a_link_names_program_cgroup_and_hook(kernel: Kernel) -> None:
    assert system.create_link(3, 4, 34) == 42
    assert kernel.calls == [(28, struct.pack("=IIII", 3, 4, 34, 0))]


@pytest.mark.parametrize(("cgroup", "expected"), [(77, True), (0, False)])
def test_a_link_without_a_cgroup_is_detached(kernel: Kernel, cgroup: int, expected: bool) -> None:
    def answer(command: int, attributes: bytes) -> int:
        link, size, place = struct.unpack("=IIQ", attributes)
        assert (command, link) == (15, 9)
        info = struct.pack("=III4xQI4x", 3, 1, 2, cgroup, 34)
        ctypes.memmove(place, info, min(size, len(info)))
        return 0

    kernel.answer = answer
    assert system.is_attached(9) is expected


@pytest.mark.parametrize(("machine", "number"), [("x86_64", 321), ("aarch64", 280)])
def test_the_number_of_the_call_is_the_machines(machine: str, number: int) -> None:
    assert system.call_number(machine, 8) == number


@pytest.mark.parametrize(("machine", "pointer_bytes"), [("s390x", 8), ("x86_64", 4)])
def test_a_machine_that_the_bytecode_is_not_for_is_refused(
    machine: str, pointer_bytes: int
) -> None:
    words = f"not supported for {pointer_bytes * 8}-bit Python on {machine}"
    with pytest.raises(BpfError, match=words) as caught:
        system.call_number(machine, pointer_bytes)
    assert caught.value.errno == errno.ENOSYS


def test_a_failed_call_is_an_error_with_its_number() -> None:
    no_such_call = 0x7FFFFFFF
    with pytest.raises(BpfError, match=os.strerror(errno.ENOSYS)) as caught:
        system.system_call(no_such_call)
    assert caught.value.errno == errno.ENOSYS


@pytest.mark.parametrize("failure", [None, ValueError(), PermissionError()])
def test_the_limit_of_locked_memory_is_lifted_if_that_is_allowed(
    monkeypatch: pytest.MonkeyPatch, failure: Exception | None
) -> None:
    limits = []

    def set_limit(which: int, limit: tuple[int, int]) -> None:
        limits.append((which, limit))
        if failure:
            raise failure

    monkeypatch.setattr(resource, "setrlimit", set_limit)
    assert system.raise_memlock_limit() is (failure is None)
    assert limits == [(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY,) * 2)]
