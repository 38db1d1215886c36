"""The files of which a VM is made, and which it was saved in.

Counterparts: `prepare` makes them, in build/vm; `qemu` runs them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["VmImage"]


@dataclass(frozen=True)
class VmImage:
    """One image: its files, by what they are for."""

    folder: Path

    @property
    def kernel(self) -> Path:
        """The kernel."""
        return self.folder / "vmlinuz"

    @property
    def first_disk(self) -> Path:
        """The disk in memory that leads to the real one."""
        return self.folder / "initrd.img"

    @property
    def disk(self) -> Path:
        """The disk, as it was when the state was saved."""
        return self.folder / "root.img"

    @property
    def memory(self) -> Path:
        """The memory, then."""
        return self.folder / "memory"

    @property
    def state(self) -> Path:
        """What was saved beside memory and disk."""
        return self.folder / "state"

    @property
    def key(self) -> Path:
        """The private key that logs in."""
        return self.folder / "key"

    @property
    def host_key_file(self) -> Path:
        """The public key by which its sshd is known."""
        return self.folder / "host_key.pub"

    @property
    def accelerator_file(self) -> Path:
        """With what it was saved (`qemu.accelerator`)."""
        return self.folder / "accelerator"

    @property
    def accelerator(self) -> str:
        """With what it was saved."""
        return self.accelerator_file.read_text()
