"""An emulated computer with another kernel, in which a part of this project runs.

    pytest ─▶ qemu ─▶ kernel ─▶ /init (`guest_init`) ─▶ the command ─▶ pytest

Nothing of the guest is on a disk, and it has no network: what goes in is an image (`image`), what
comes out is written to serial ports, which are files here. The processor is emulated, so that it
needs no rights and runs anywhere: some twenty times slower than this computer.

Limits: x86-64. KERNELS is filled by `scripts/setup kernels`.
"""

from __future__ import annotations

import json
import lzma
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from tests.e2e import guest_init
from tests.e2e.emulator import EMULATED, EMULATOR, PROCESSOR, STARTED, booted
from tests.e2e.image import Image, add_packages, add_python, add_tree

__all__ = [
    "KERNELS",
    "MEMORY_MIB",
    "VIRTIO",
    "VSOCK",
    "Ended",
    "GuestError",
    "missing",
    "project_image",
    "run_in_guest",
]

PROJECT: Final = Path(__file__).parents[2]
KERNELS: Final = PROJECT / "build" / "kernels"
"""By name: `vmlinuz`, and the modules that are needed."""

MODULES: Final = ("inet_diag", "tcp_diag", "udp_diag")
"""In the order in which they need each other. They are in Debian's kernels as modules."""
VIRTIO: Final = (
    *("virtio", "virtio_ring", "virtio_pci_modern_dev", "virtio_pci_legacy_dev", "virtio_pci"),
)
"""The same; newer kernels have them built in."""
VSOCK: Final = (
    *("vsock", "vmw_vsock_virtio_transport_common", "vmw_vsock_virtio_transport", "vsock_loopback"),
)

MEMORY_MIB: Final = 1024
MACHINE: Final = (
    *("-no-reboot", "-machine", "q35", "-accel", EMULATED, "-cpu", f"{PROCESSOR},+rdrand"),
    *("-smp", "2", "-m", str(MEMORY_MIB)),
)

ROOMS: Final = ("link", "vmagent", "desktop", "tests", "scripts")
PACKAGES: Final = ("pytest", "pytest-timeout", "hypothesis", "samehost")

REPORT: Final = "/report"

BOOTS: Final = 3
"""Of a kernel that panics before the command begins: it patches its own code while it starts, and
an emulated processor may run into the breakpoint that it sets meanwhile (`Oops: int3`)."""
PANIC: Final = "Kernel panic"


class GuestError(Exception):
    """The guest did not come to an end of its own; the text is what its kernel said last."""


class Ended(NamedTuple):
    """How a command ended: exit status, what it said, what it wrote to REPORT."""

    status: int
    output: str
    report: str


def missing(kernel: Path) -> str:
    """Why there can be no guest with that kernel; "" if there can."""
    if shutil.which(EMULATOR) is None:
        return f"{EMULATOR} is not installed: scripts/setup kernels"
    if not (kernel / "vmlinuz").exists():
        return f"there is no kernel {kernel.name}: scripts/setup kernels, or kernels-between"
    return ""


def project_image(tests: Sequence[str] = ()) -> bytes:
    """This project, its tests, and the Python that runs them.

    All of it is compiled here, some twenty times faster: `tests` in pytest's own way.
    """
    _compile(tests)
    image = Image()
    add_python(image)
    add_packages(image, PACKAGES)
    for room in ROOMS:
        add_tree(image, PROJECT / room)
    image.add(PROJECT / "pyproject.toml")
    source = Path(guest_init.__file__).read_bytes()
    image.put("/init", f"#!{sys.executable} -I\n".encode() + source, 0o755)
    return image.pack()


def _compile(tests: Sequence[str]) -> None:
    commands = [["compileall", "-q", *ROOMS]]
    if tests:
        commands.append(["pytest", "-q", "--collect-only", "-p", "no:cacheprovider", *tests])
    for command in commands:
        subprocess.run(
            [sys.executable, "-m", *command], cwd=PROJECT, check=True, stdout=subprocess.DEVNULL
        )


def run_in_guest(
    kernel: Path,
    image: bytes,
    command: Sequence[str],
    seconds: float,
    *,
    modules: Sequence[str] = MODULES,
    options: Sequence[str] = (),
) -> Ended:
    """Boot, run one command in the project's folder, and end.

    The image is one that has `guest_init` as /init; of the modules those are loaded that are not
    built in; `options` are more of the emulator's. Raises GuestError, also after so many seconds.
    """
    orders = _orders(kernel, command, modules)
    for boot in range(1, BOOTS + 1):
        with tempfile.TemporaryDirectory(prefix="samehost-guest-") as name:
            files = _Files.of(Path(name))
            files.initrd.write_bytes(image + orders)
            said = _boot(kernel, files, options, seconds)
            if result := _text(files.result):
                ended = json.loads(result)
                return Ended(ended["status"], _text(files.output), ended["report"])
            words = f"{said}{_text(files.console)}{_text(files.output)}"
            if boot == BOOTS or PANIC not in words or _text(files.output):
                raise GuestError(words)
    raise AssertionError("the last boot returns or raises")


class _Files(NamedTuple):
    """What a guest is given, and what it writes by its serial ports, in their order."""

    initrd: Path
    console: Path
    output: Path
    result: Path

    @classmethod
    def of(cls, folder: Path) -> _Files:
        return cls(*(folder / name for name in cls._fields))


def _boot(kernel: Path, files: _Files, options: Sequence[str], seconds: float) -> str:
    """Run the emulator to its end; what it said itself."""
    serial = [word for each in files[1:] for word in ("-serial", f"file:{each}")]
    try:
        done = subprocess.run(
            [
                *(*STARTED, *MACHINE, *options, *serial),
                *booted(kernel / "vmlinuz", files.initrd),
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds,
        )
    except subprocess.TimeoutExpired:
        last = f"{_text(files.console)}{_text(files.output)}"
        raise GuestError(f"after {seconds:.0f} s:\n{last}") from None
    return done.stderr


def _orders(kernel: Path, command: Sequence[str], modules: Sequence[str]) -> bytes:
    """An image for one boot, which the kernel unpacks after the other."""
    image = Image()
    image.put_folder(guest_init.MODULES)
    found = {name: module for name in modules if (module := _module(kernel, name)) is not None}
    for name, module in found.items():
        image.put(f"{guest_init.MODULES}/{name}", module)
    order = {
        "command": list(command),
        "environment": {
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": sysconfig.get_path("purelib"),
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        "folder": str(PROJECT),
        "modules": list(found),
        "report": REPORT,
        "time": time.time(),
    }
    image.put(guest_init.ORDER, json.dumps(order).encode())
    return image.pack()


def _module(kernel: Path, name: str) -> bytes | None:
    packed, plain = kernel / f"{name}.ko.xz", kernel / f"{name}.ko"
    if packed.exists():
        return lzma.decompress(packed.read_bytes())
    return plain.read_bytes() if plain.exists() else None


def _text(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""
