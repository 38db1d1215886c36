"""The emulated computer that the stories are played on is what they take it for."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.emulator import EMULATED
from tests.e2e.vm import qemu
from tests.e2e.vm.files import VmImage
from tests.e2e.vm.furnish import GATEWAY, USER
from tests.e2e.vm.machine import Vm
from tests.e2e.vm.ssh import HOST, USER_ALIAS
from tests.ended import ended
from tests.integration.samehost import IMAGE, free_port, until

pytestmark = pytest.mark.timeout(900)
"""The first that needs the image may have to make it."""

REACH = """timeout 3 python3 -c '
import socket, sys
socket.create_connection((sys.argv[1], sys.argv[2]))
print("reached")
' {address} {port} 2> /dev/null || echo no"""

VICTIM = """
import sys
from tests.e2e.vm.machine import restored
from tests.e2e.vm.prepare import prepared
with restored(prepared()) as vm:
    print(vm.pid, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """One whose name is short enough for sockets."""
    folder = Path(tempfile.mkdtemp(prefix="samehost-"))
    yield folder
    shutil.rmtree(folder)


def test_it_has_a_kernel_of_its_own_with_cgroup_v2_and_systemd(vm: Vm) -> None:
    assert vm.run("uname --kernel-release").endswith("-cloud-amd64")
    assert vm.run("stat --file-system --format=%T /sys/fs/cgroup") == "cgroup2fs"
    assert vm.run("systemctl is-system-running") == "running"
    assert vm.run("cat /proc/1/comm") == "systemd"


def test_it_was_restored_with_both_engines_ready_and_its_clock_is_right(vm: Vm) -> None:
    assert vm.run("docker version --format '{{.Server.Os}}'") == "linux"
    for engine in ("docker", "podman"):
        assert vm.run(f"{engine} run --rm --net=host {IMAGE} echo it runs") == "it runs"
    assert abs(float(vm.run("date +%s.%N")) - time.time()) < 10


def test_its_clock_is_read_and_not_guessed_from_how_fast_its_processor_counts(vm: Vm) -> None:
    assert vm.run("cat /sys/devices/system/clocksource/clocksource0/current_clocksource") == "hpet"


def test_an_ordinary_user_logs_in_and_becomes_root_without_a_password(vm: Vm) -> None:
    assert vm.run("id --user --name", user=USER_ALIAS) == USER
    assert vm.run("sudo -n id --user", user=USER_ALIAS) == "0"


def test_it_does_not_know_where_its_packages_came_from(vm: Vm) -> None:
    assert vm.run("ls --almost-all /etc/apt /etc/apt/apt.conf.d /var/lib/apt").split() == [
        *("/etc/apt:", "apt.conf.d", "preferences.d"),
        *("/etc/apt/apt.conf.d:", "70debconf", "/var/lib/apt:", "extended_states"),
    ]
    assert vm.run("apt-config dump | grep -ci proxy || true") == "0"


def test_it_reaches_nothing_by_its_own_network(vm: Vm) -> None:
    assert vm.run(REACH.format(address=HOST, port=22)) == "reached"
    with socket.create_server((HOST, free_port())) as server:
        port = server.getsockname()[1]
        assert vm.run(REACH.format(address=GATEWAY, port=port)) == "no"


def test_what_one_writes_another_restored_one_does_not_see(vm: Vm, own_vm: Vm) -> None:
    vm.run("echo written > /root/note; sync")
    assert own_vm.run("cat /root/note 2> /dev/null || echo nothing") == "nothing"
    vm.run("rm /root/note")


def test_it_ends_with_the_program_that_started_it_even_when_that_is_killed(
    vm_image: VmImage, short_folder: Path
) -> None:
    assert vm_image.folder.exists()
    victim = subprocess.Popen(
        [sys.executable, "-c", VICTIM],
        env={**os.environ, "TMPDIR": str(short_folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with ended(victim):
        assert victim.stdout is not None
        assert victim.stdout.readline().strip() in _processes_of(short_folder)
    until(lambda: _processes_of(short_folder) == [], "the computer and its log-ins to end")


def _processes_of(folder: Path) -> list[str]:
    """The processes whose command lines name a folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if str(folder).encode() in (entry / "cmdline").read_bytes():
                found.append(entry.name)
    return found


@pytest.mark.parametrize(("accelerated", "works"), [(EMULATED, True), ("no-such-thing", False)])
def test_what_runs_a_guest_is_found_by_running_one(
    vm_image: VmImage, accelerated: str, works: bool
) -> None:
    assert qemu.starts(vm_image.kernel, accelerated) is works
