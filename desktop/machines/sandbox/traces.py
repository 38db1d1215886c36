"""All that one sandbox leaves on the computer, and its removal.

Rules: everything is found by name, not by memory, so what a killed Samehost left half-made goes
as well. The names that the kernel sees carry a hash of (state folder, name): sandboxes of other
names and of other SAMEHOST_HOMEs are never touched. Removal may be repeated.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import shutil
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from desktop.errors import SamehostError
from desktop.machines.sandbox import record
from desktop.machines.sandbox.processes import end, end_members, members
from desktop.machines.sandbox.programs import run

__all__ = ["BOOT_SCRIPT", "NO_CGROUP2", "Traces", "cgroup2_mount", "mounts_below"]

BOOT_SCRIPT: Final = Path(__file__).with_name("boot.sh")
NO_CGROUP2: Final = "-"
MADE_FOLDERS: Final = "made-folders"
"""In the state folder: one path a line; a folder that `boot.sh` made outside it."""

HASH_LENGTH: Final = 8
REMOVE_TIMEOUT_S: Final = 10.0
CGROUP_RETRY_S: Final = 0.02
"""The kernel frees a cgroup's last process a moment after its end is announced."""


@dataclass(frozen=True, slots=True)
class Traces:
    """One sandbox's names on this computer.

    Attributes:
        folder: its state folder, without symbolic links.
        name: its own name, and host name.
        interface: the network interface on this side (at most 15 bytes, netdevice(7)).
        cgroup: its cgroup v2, below the root.
    """

    folder: Path
    name: str
    interface: str
    cgroup: str

    @classmethod
    def of(cls, folder: Path, name: str) -> Traces:
        """The names of sandbox `name` with the state folder `folder`."""
        real = Path(os.path.realpath(folder))
        digest = hashlib.sha256(os.fsencode(real) + b"\0" + name.encode()).hexdigest()
        suffix = digest[:HASH_LENGTH]
        return cls(real, name, f"same-{suffix}", f"samehost-{suffix}")

    def exist(self) -> bool:
        """True if anything of the sandbox is there."""
        return self.folder.exists() or self._has_interface() or bool(members(self.cgroup))

    async def remove(self) -> None:
        """End and remove all but the state folder itself, which then is empty.

        Raises SamehostError if something does not go.
        """
        try:
            async with asyncio.timeout(REMOVE_TIMEOUT_S):
                await self._end_processes()
                await self._remove_interface()
                await self._remove_cgroup()
        except TimeoutError as error:
            raise SamehostError(
                f"{self.name}: its processes {members(self.cgroup)} do not end",
                "look for a process in state D with `ps`; try again, or restart this computer",
            ) from error
        await self._unmount()
        await asyncio.to_thread(self._remove_files)

    async def _end_processes(self) -> None:
        known = record.load(self.folder)
        if known is None:
            await end_members(self.cgroup)
        else:
            await asyncio.gather(end(known.pid, known.is_alive), end_members(self.cgroup))

    async def _remove_interface(self) -> None:
        if self._has_interface():
            await run("ip", "link", "delete", self.interface, check=False)
        if self._has_interface():
            raise SamehostError(
                f"the network interface {self.interface} cannot be removed",
                f"try: ip link delete {self.interface}",
            )

    def _has_interface(self) -> bool:
        return any(name == self.interface for _, name in socket.if_nameindex())

    async def _remove_cgroup(self) -> None:
        mount = cgroup2_mount()
        enter = ["unshare", "--mount"] if mount == NO_CGROUP2 else []
        if not enter and not (Path(mount) / self.cgroup).exists():
            return
        while True:
            command = [*enter, "sh", str(BOOT_SCRIPT), "remove-cgroup", mount, self.cgroup]
            if (await run(*command, check=False)).returncode == 0:
                return
            await asyncio.sleep(CGROUP_RETRY_S)
            await end_members(self.cgroup)

    async def _unmount(self) -> None:
        for point in reversed(mounts_below(self.folder, _mount_table())):
            await run("umount", "--no-mtab", "--lazy", point)

    def _remove_files(self) -> None:
        if not self.folder.exists():
            return
        self._remove_made_folders()
        for entry in self.folder.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()

    def _remove_made_folders(self) -> None:
        note = self.folder / MADE_FOLDERS
        for line in note.read_text().splitlines() if note.exists() else []:
            with contextlib.suppress(OSError):  # somebody put a file there, or removed it
                Path(line).rmdir()


def cgroup2_mount(table: Iterable[str] | None = None) -> str:
    """Where this computer has cgroup v2 mounted for writing; NO_CGROUP2 if nowhere.

    `table` is /proc/self/mountinfo (proc(5)).
    """
    for line in table if table is not None else _mount_table():
        fields, _, rest = line.partition(" - ")
        _, _, _, root, point, options, *_ = fields.split(" ")
        kind, _, filesystem_options = rest.split(" ", 2)
        writable = "rw" in options.split(",") and "rw" in filesystem_options.split(",")
        if kind == "cgroup2" and root == "/" and writable:
            return _unescape(point)
    return NO_CGROUP2


def mounts_below(folder: Path, table: Iterable[str]) -> list[str]:
    """Mount points in or below `folder`, in the order of `table` (/proc/self/mountinfo)."""
    points = (_unescape(line.split(" ")[4]) for line in table)
    return [point for point in points if Path(point).is_relative_to(folder)]


def _mount_table() -> list[str]:
    return Path("/proc/self/mountinfo").read_text().splitlines()


def _unescape(field: str) -> str:
    """A field of a mount table: blanks and the like are octal escapes there (proc(5))."""
    if "\\" not in field:
        return field
    head, *parts = field.split("\\")
    return head + "".join(chr(int(part[:3], 8)) + part[3:] for part in parts)
