"""How tests injure a sandbox, and count what a process takes meanwhile.

Counterparts: `samehost.py`, `servers.py`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from desktop.machines.sandbox import Sandbox
from desktop.machines.sandbox.processes import members
from desktop.machines.sandbox.traces import NO_CGROUP2, cgroup2_mount
from link.sockdiag import SockDiag
from tests.cgroup_program import remove_cgroup
from tests.integration.samehost import PATIENCE, Samehost, until

__all__ = [
    "cpu_seconds",
    "disk",
    "echo",
    "echoing",
    "fill",
    "is_served",
    "listeners_here",
    "little_memory",
    "memory_of",
    "mirrored",
    "say",
    "standing_still",
]

MOST_CLIENTS: Final = 200
"""Somebody must have been refused before."""
TICKS: Final = os.sysconf("SC_CLK_TCK")


def cpu_seconds(process: int) -> float:
    """What a process has taken of processors so far (proc(5), stat: utime and stime)."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory_of(process: int) -> int:
    """Resident bytes of a process (proc(5), statm)."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def listeners_here(port: int) -> int:
    """How many TCP sockets of this computer listen on a port."""
    with contextlib.closing(SockDiag()) as diag:
        return sum((each.protocol, each.port) == ("tcp", port) for each in diag.listeners())


@contextlib.contextmanager
def disk(folder: Path, size: str) -> Iterator[None]:
    """A folder is on a disk of that size, whose content is gone afterwards."""
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"mode=700,size={size}", "test", folder], check=True
    )
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@contextlib.contextmanager
def standing_still(samehost: Samehost) -> Iterator[None]:
    """No process of the sandbox runs meanwhile (cgroup v2's freezer; without it, SIGSTOP)."""
    cgroup = Sandbox("sandbox", samehost.paths)._traces.cgroup
    mount = cgroup2_mount()
    switch = Path(mount) / cgroup / "cgroup.freeze"
    if mount != NO_CGROUP2 and switch.exists():
        switch.write_text("1")
        events = switch.with_name("cgroup.events")
        try:
            until(lambda: "frozen 1" in events.read_text(), "the machine to stand still")
            yield
        finally:
            switch.write_text("0")
        return
    _tell(cgroup, signal.SIGSTOP)
    try:
        yield
    finally:
        _tell(cgroup, signal.SIGCONT)


@contextlib.contextmanager
def little_memory(process: int, size: int) -> Iterator[None]:
    """Of what a process takes from now on the kernel gives it no more than `size` bytes.

    It is ended if it takes more: nothing is swapped out, as a test sees to. Skips where no memory
    controller is mounted (cgroups(7), v1 or v2), or is not ours to use.
    """
    folder, limit = _memory_folder()
    try:
        folder.mkdir()
        (folder / limit).write_text(str(size))
        (folder / "cgroup.procs").write_text(str(process))
    except OSError as error:
        with contextlib.suppress(FileNotFoundError):
            folder.rmdir()
        pytest.skip(f"no memory cgroup can be made: {error}")
    try:
        yield
    finally:
        until(lambda: not (folder / "cgroup.procs").read_text(), "its processes to be gone")
        remove_cgroup(folder)


def _memory_folder() -> tuple[Path, str]:
    """A cgroup that is not there yet, and the name of its limit."""
    name = f"samehost-test-{os.getpid()}"
    for line in Path("/proc/mounts").read_text().splitlines():
        _, mount, kind, options = line.split()[:4]
        if kind == "cgroup" and "memory" in options.split(","):
            return Path(mount) / name, "memory.limit_in_bytes"
        if kind == "cgroup2" and "memory" in (Path(mount) / "cgroup.subtree_control").read_text():
            return Path(mount) / name, "memory.max"
    pytest.skip("no memory controller is mounted")


def _tell(cgroup: str, what: signal.Signals) -> None:
    for process in members(cgroup):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, what)


@contextlib.contextmanager
def mirrored(samehost: Samehost, code: str, port: int, *arguments: str) -> Iterator[str]:
    """A container whose server, of that code, this computer reaches at `port`; its id."""
    with samehost.python(code, str(port), *arguments) as container:
        until(lambda: samehost.states(port) == ["active"], "the mirror")
        yield container


@contextlib.contextmanager
def echoing(port: int) -> Iterator[socket.socket]:
    """A client of this computer that an echo has answered."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
        assert echo(client, b"before") == b"before"
        yield client


def echo(client: socket.socket, words: bytes) -> bytes:
    """What comes back; less if the connection ends."""
    client.sendall(words)
    heard = b""
    while len(heard) < len(words) and (part := client.recv(1 << 16)):
        heard += part
    return heard


def fill(port: int, clients: contextlib.ExitStack) -> None:
    """Connect until somebody is reset. Who was served stays until `clients` ends."""
    for _ in range(MOST_CLIENTS):
        try:
            clients.enter_context(echoing(port))
        except ConnectionResetError:
            return
    raise AssertionError("nobody was refused")


def is_served(port: int) -> bool:
    """True if a new client is answered."""
    try:
        with echoing(port):
            return True
    except (OSError, AssertionError):
        return False


def say(capsys: pytest.CaptureFixture[str], words: str) -> None:
    """Show a figure, whatever pytest hides."""
    with capsys.disabled():
        sys.stdout.write(f"\n{words}\n")
