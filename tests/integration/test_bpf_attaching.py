"""How the eBPF programs are attached and go, and what is said where they cannot be.

Rules: nothing stays attached or open, whoever closes, is killed or is refused; every refusal
names its reason; a kernel that gives less is found out by trying.

Counterparts: `bpf_stage.py`, `bpf_links.py`; `vmagent/bpf/events.py` and `vmagent/bpf/system.py`.
"""

from __future__ import annotations

import contextlib
import os
import platform
import struct
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest

from tests.ended import ended
from tests.integration.bpf_links import bpf, detach, links_of
from tests.integration.bpf_stage import (
    PATIENCE,
    Stage,
    bound,
    listening,
    new_cgroup,
    on_stage,
    open_stage,
    require_bpf,
)
from tests.private_network import private_network
from vmagent.bpf import events as events_module
from vmagent.bpf import system
from vmagent.bpf.bytecode import PROGRAMS
from vmagent.bpf.events import ALWAYS, BindEvents
from vmagent.bpf.hierarchy import open_cgroup
from vmagent.bpf.programs import HOOKS
from vmagent.bpf.redirection import Redirection
from vmagent.bpf.system import BpfError
from vmagent.capabilities import keep_only

PROJECT: Final = Path(__file__).parents[2]

OURS: Final = len(ALWAYS) + 1
"""Programs at work; of those for TCP one is chosen."""

BPF_PROG_ATTACH: Final = 8
BPF_PROG_DETACH: Final = 9
BPF_PROG_QUERY: Final = 16
"""linux/bpf.h."""

SYS_CAPSET: Final = {"x86_64": 126, "aarch64": 91}
CAPABILITY_VERSION_3: Final = 0x20080522
"""asm/unistd_64.h, asm-generic/unistd.h, linux/capability.h."""

# ---- attaching and detaching


def programs_at(cgroup: Path) -> int:
    """How many programs the kernel says are attached to the cgroup, at our hooks."""
    directory = open_cgroup(str(cgroup))
    try:
        query = [
            bpf(BPF_PROG_QUERY, struct.pack("=IIIIQI", directory, attach_type, 0, 0, 0, 0))[1]
            for _, attach_type in HOOKS.values()
        ]
    finally:
        os.close(directory)
    return sum(struct.unpack_from("=24xI", answer)[0] for answer in query)


LOADER: Final = """
import sys
sys.path.insert(0, sys.argv[1])
from vmagent.bpf.events import BindEvents
events = BindEvents(sys.argv[2])
print(events.variant, flush=True)
sys.stdin.read()
"""


@private_network
def test_nothing_stays_attached_when_the_process_that_attached_is_killed() -> None:
    require_bpf()
    with new_cgroup() as cgroup:
        command = [sys.executable, "-I", "-c", LOADER, str(PROJECT), str(cgroup)]
        pipe = subprocess.PIPE
        with ended(subprocess.Popen(command, stdin=pipe, stdout=pipe)) as loader:
            assert loader.stdout is not None
            assert loader.stdout.readline().startswith(b"eBPF")
            assert (len(links_of(cgroup)), programs_at(cgroup)) == (OURS, OURS)
        deadline = time.monotonic() + PATIENCE
        while links_of(cgroup) or programs_at(cgroup):
            assert time.monotonic() < deadline
            time.sleep(0.001)


@private_network
def test_nothing_stays_attached_or_open_after_close() -> None:
    require_bpf()
    with new_cgroup() as cgroup:
        before = os.listdir("/proc/self/fd")
        for _ in range(2):
            first, second = BindEvents(str(cgroup)), BindEvents(str(cgroup))
            assert programs_at(cgroup) == 2 * OURS
            assert first.attached
            for events in (first, first, second):
                events.close()
            assert first.fileno() == -1
            assert (links_of(cgroup), programs_at(cgroup)) == ([], 0)
        assert os.listdir("/proc/self/fd") == before


@on_stage
def test_a_program_that_somebody_detaches_is_noticed(stage: Stage) -> None:
    assert stage.events.attached
    detach(links_of(stage.cgroup)[0])
    assert not stage.events.attached


# ---- where it cannot be


def refused(cgroup: str) -> str:
    """The reason, after nothing was left open."""
    before = os.listdir("/proc/self/fd")
    with pytest.raises(BpfError) as caught:
        BindEvents(cgroup)
    assert os.listdir("/proc/self/fd") == before
    return str(caught.value)


@private_network
def test_a_directory_that_is_no_cgroup_is_refused_with_the_reason(tmp_path: Path) -> None:
    require_bpf()
    assert "not a cgroup v2 directory" in refused(str(tmp_path))
    assert f"there is no cgroup {tmp_path}/none" in refused(f"{tmp_path}/none")


@private_network
def test_who_may_not_is_told_what_is_needed() -> None:
    require_bpf()

    def refused_without_capabilities(cgroup: str) -> str:
        # Those of a thread, which ends here.
        none = struct.pack("=6I", 0, 0, 0, 0, 0, 0)
        header = struct.pack("=Ii", CAPABILITY_VERSION_3, 0)
        system.system_call(SYS_CAPSET[platform.machine()], header, none)
        return refused(cgroup)

    with new_cgroup() as cgroup, ThreadPoolExecutor(1) as executor:
        reason = executor.submit(refused_without_capabilities, str(cgroup)).result()
    assert "CAP_BPF and CAP_NET_ADMIN" in reason


@private_network
def test_what_the_agent_keeps_is_enough_for_its_programs() -> None:
    require_bpf()

    def attach_with_what_is_kept(cgroup: str) -> tuple[bool, bool]:
        # Those of a thread, which ends here.
        keep_only()
        with contextlib.closing(BindEvents(cgroup)) as events:
            try:
                with contextlib.closing(Redirection(cgroup, 1)) as redirection:
                    return events.attached, redirection.attached
            except BpfError as error:
                if "older than Linux" in str(error):
                    return events.attached, True
                raise

    with new_cgroup() as cgroup, ThreadPoolExecutor(1) as executor:
        attached = executor.submit(attach_with_what_is_kept, str(cgroup)).result()
    assert attached == (True, True)


@private_network
def test_a_foreign_program_that_wants_the_cgroup_for_itself_is_said_to_be_the_reason() -> None:
    require_bpf()
    with new_cgroup() as cgroup:
        kind, attach_type = HOOKS["cgroup/post_bind6"]
        go_on = bytes.fromhex("b700000001000000 9500000000000000")
        foreign = system.load_program("foreign", kind, attach_type, go_on, "")
        directory = open_cgroup(str(cgroup))
        attributes = struct.pack("=IIII", directory, foreign, attach_type, 0)
        try:
            bpf(BPF_PROG_ATTACH, attributes)
            assert "another program has the cgroup for itself" in refused(str(cgroup))
            assert links_of(cgroup) == []
            bpf(BPF_PROG_DETACH, attributes)
        finally:
            os.close(directory)
            os.close(foreign)
        BindEvents(str(cgroup)).close()


# ---- older kernels


def break_program(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Make it call a helper that no kernel has."""
    program = PROGRAMS[name]
    unknown = struct.pack("<BBhi", 0x85, 0, 0, 9999)
    broken = program._replace(code=unknown + program.code[8:])
    monkeypatch.setitem(PROGRAMS, name, broken)


@private_network
def test_a_kernel_without_the_newest_helper_tells_of_all_networks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    break_program(monkeypatch, "samehost_tcp_ns")
    with open_stage() as stage:
        assert stage.events.variant == "eBPF of all network namespaces"
        first = stage.program.tcp(port=5000)
        stage.program.call("leave_network")
        second = stage.program.tcp(port=5001)
        assert stage.told() == [listening(first, 5000), listening(second, 5001)]


@private_network
def test_a_program_that_the_kernel_refuses_is_named_with_the_kernels_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    require_bpf()
    break_program(monkeypatch, "samehost_close")
    with new_cgroup() as cgroup:
        reason = refused(str(cgroup))
    assert "older than Linux 5.9" in reason
    assert "samehost_close" in reason
    assert "invalid func" in reason


@private_network
def test_a_kernel_that_does_not_tell_the_network_lets_through_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    unknown_option = 0x7FFF
    monkeypatch.setattr(events_module, "SO_NETNS_COOKIE", unknown_option)
    with open_stage() as stage:
        stage.program.call("leave_network")
        sock = stage.program.udp("127.0.0.1", 5000)
        assert stage.told() == [bound(sock, 5000)]
