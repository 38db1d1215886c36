"""A folder that looks like a machine: its /proc, and its tree of cgroups.

Counterparts: `test_owners.py`, `test_vantage.py`.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Final

from link.sockdiag import ListeningSocket
from vmagent.containers import Namespaces
from vmagent.watch.cgroups import CgroupTree
from vmagent.watch.owners import Owner, Owners

__all__ = ["ID", "MACHINE", "OWN_ID", "Machine", "find_one", "listening"]

ID: Final = "ab" * 32
OWN_ID: Final = "cd" * 32
MACHINE: Final = Namespaces("mnt:[1]", "pid:[1]", "net:[1]")


class Machine:
    """A folder that looks like /proc, and one like a cgroup v2 mount."""

    def __init__(self, folder: Path) -> None:
        self.proc = folder / "proc"
        self.cgroups = folder / "cgroup"
        self.cgroups.mkdir(parents=True)
        (self.proc / "self").mkdir(parents=True)
        (self.proc / "self" / "cgroup").write_text("0::/agent\n")
        for pid in ("1", "thread-self"):
            self.namespaces(pid, MACHINE)
        self.mount(f"40 1 {self.device} / {self.cgroups} rw - cgroup2 none rw")

    @property
    def device(self) -> str:
        number = os.stat(self.cgroups).st_dev
        return f"{os.major(number)}:{os.minor(number)}"

    def mount(self, *lines: str) -> None:
        (self.proc / "self" / "mountinfo").write_text("".join(line + "\n" for line in lines))

    def cgroup(self, path: str, *pids: int) -> int:
        """Make a cgroup; its id."""
        directory = self.cgroups / path.strip("/")
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "cgroup.procs").write_text("".join(f"{pid}\n" for pid in pids))
        return directory.stat().st_ino

    def process(self, pid: int, name: str, inode: int, *cgroups: str) -> None:
        directory = self.proc / str(pid)
        (directory / "fd").mkdir(parents=True)
        (directory / "fd" / "3").symlink_to(f"socket:[{inode}]")
        (directory / "comm").write_text(name + "\n")
        (directory / "cgroup").write_text("".join(line + "\n" for line in cgroups))

    def namespaces(self, pid: str, namespaces: Namespaces) -> None:
        """Put a process into these, or into others than before."""
        directory = self.proc / pid / "ns"
        directory.mkdir(parents=True, exist_ok=True)
        for name, namespace in zip(("mnt", "pid", "net"), namespaces, strict=True):
            (directory / name).unlink(missing_ok=True)
            (directory / name).symlink_to(namespace)

    def owners(self) -> Owners:
        return Owners(str(self.proc))

    def tree(self) -> CgroupTree:
        return CgroupTree(str(self.proc))


def listening(
    cgroup_id: int, inode: int = 500, cookie: int = 1, protocol: str = "tcp"
) -> ListeningSocket:
    return ListeningSocket(
        protocol, socket.AF_INET, b"\x7f\0\0\1", 8000, 0, cookie, 0, inode, False, cgroup_id
    )


def find_one(owners: Owners, sock: ListeningSocket) -> Owner:
    return owners.find([sock])[sock.cookie]
