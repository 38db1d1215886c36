"""The emulated computer as QEMU is told of it, and whether the processor can do it itself.

Rules: every computer made of one image has the same devices, so that a saved state fits. It reaches
nothing: its network ends at QEMU (`restrict`), but for one port of this computer's loopback that
leads to its sshd.

Limits of QEMU's user-mode network: it takes a connection before the guest is asked, and has a
backlog of one.

Counterpart: `emulator` in the folder above is what all emulated computers have in common.
"""

from __future__ import annotations

import functools
import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.e2e.emulator import EMULATED, EMULATOR, PROCESSOR, STARTED, booted
from tests.e2e.vm.files import VmImage

__all__ = ["BY_PROCESSOR", "accelerator", "command", "starts", "version"]

BY_PROCESSOR: Final = "kvm"

WORDS: Final = "apparmor=0 selinux=0 net.ifnames=0"
"""To its kernel. net.ifnames=0: the network is eth0. There are no policies of AppArmor."""

MEMORY_MIB: Final = 1536
PROCESSORS: Final = 2

PROBE_SECONDS: Final = 10
"""For a kernel to start and find no disk; it takes one where the processor can do it."""

NO_DISK: Final = b"Unable to mount root fs"
"""What the kernel says then."""


@functools.cache
def version() -> str:
    """What the emulator says of itself: a saved state fits that one only."""
    done = subprocess.run([EMULATOR, "--version"], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[0]


def accelerator(kernel: Path) -> str:
    """KVM if a kernel runs with it, tried now; emulation otherwise.

    That /dev/kvm can be opened proves nothing: there are computers where a guest then stands still.
    """
    works = os.access("/dev/kvm", os.R_OK | os.W_OK) and starts(kernel, BY_PROCESSOR)
    return BY_PROCESSOR if works else EMULATED


def starts(kernel: Path, accelerated: str) -> bool:
    """True if a kernel comes as far as it can without a disk, in PROBE_SECONDS."""
    with tempfile.TemporaryFile() as console:
        trial = subprocess.Popen(
            [
                *(*STARTED, "-no-reboot", "-accel", accelerated, "-machine", "q35"),
                *("-cpu", f"{PROCESSOR},enforce"),
                *("-m", "256", "-kernel", str(kernel), "-append", "console=ttyS0 panic=-1"),
                *("-serial", "stdio"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=subprocess.DEVNULL,
        )
        try:
            trial.wait(PROBE_SECONDS)
        except subprocess.TimeoutExpired:
            trial.kill()
            trial.wait()
        console.seek(0)
        return NO_DISK in console.read()


def command(
    image: VmImage, port: int, monitor: int, console: Path, *, is_restored: bool
) -> Sequence[str]:
    """The command for a computer.

    Args:
        port: of this computer's loopback that leads to sshd.
        monitor: descriptor of a connected socket, for `Qmp`.
        console: file for what the kernel says.
        is_restored: it awaits the state that was saved, and keeps nothing of what it writes; else
            it boots, and writes to the image's disk and memory.
    """
    size, memory = f"{MEMORY_MIB}M", f"mem-path={image.memory},share={_switch(not is_restored)}"
    disk = f"file={image.disk},format=raw,cache=unsafe,snapshot={_switch(is_restored)}"
    return [
        *(*STARTED, "-accel", image.accelerator, "-machine", "q35,memory-backend=memory"),
        *("-cpu", PROCESSOR, "-smp", str(PROCESSORS), "-m", size),
        *("-object", f"memory-backend-file,id=memory,size={size},{memory}"),
        *booted(image.kernel, image.first_disk, WORDS),
        *("-drive", f"if=none,id=disk,{disk}", "-device", "virtio-blk-pci,drive=disk"),
        *("-netdev", f"user,id=network,restrict=on,hostfwd=tcp:127.0.0.1:{port}-:22"),
        *("-device", "virtio-net-pci,netdev=network,romfile="),
        *("-device", "virtio-rng-pci"),
        *("-chardev", f"socket,id=monitor,fd={monitor}", "-mon", "chardev=monitor,mode=control"),
        *("-chardev", f"file,id=console,path={console}", "-serial", "chardev:console"),
        *(("-incoming", "defer") if is_restored else ()),
    ]


def _switch(value: bool) -> str:
    return "on" if value else "off"
