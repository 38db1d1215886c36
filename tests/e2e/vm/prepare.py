"""Makes the image of the VM, unless it is there: from packages to a saved state in two minutes.

    packages ─▶ disk ─▶ first boot ─▶ engines up, images loaded ─▶ saved

One at a time makes it, others wait. It appears whole or not at all; what an interrupted run left
and older images go when the next is made.
"""

from __future__ import annotations

import fcntl
import hashlib
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from scripts import demo_image
from tests.e2e import emulator
from tests.e2e import image as first_disks
from tests.e2e.vm import debian, qemu
from tests.e2e.vm.disk import first_disk, make_disk
from tests.e2e.vm.files import VmImage
from tests.e2e.vm.furnish import furnish, make_key
from tests.e2e.vm.machine import Vm

__all__ = ["missing", "prepared"]

IMAGES: Final = Path(__file__).parents[3] / "build" / "vm"

MADE_BY: Final = ("debian.py", "disk.py", "files.py", "furnish.py", "prepare.py", "qemu.py")
"""The modules of this folder that an image depends on."""

Progress = Callable[[str], None]


def missing() -> str:
    """Why there can be no VM here; "" if there can."""
    if shutil.which(emulator.EMULATOR) is None:
        return f"{emulator.EMULATOR} is not installed: scripts/setup vm"
    return debian.missing()


def tell(line: str) -> None:
    """Progress on standard error."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201


def prepared(progress: Progress = tell) -> VmImage:
    """The image, made now unless it is there. Raises BuildError, VmError, SshError, QmpError."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with _alone():
        image = VmImage(IMAGES / _key())
        if not _is_usable(image):
            for old in IMAGES.glob("*/"):
                shutil.rmtree(old)
            progress("Making the VM, from Debian's packages: for tests, in build/vm only")
            new = VmImage(image.folder.with_suffix(".part"))
            _build(new, progress)
            _save(new, progress)
            new.folder.rename(image.folder)
    return image


def _is_usable(image: VmImage) -> bool:
    """True if it is there, and what it was saved with still works."""
    if not image.folder.exists():
        return False
    return image.accelerator == emulator.EMULATED or qemu.starts(image.kernel, image.accelerator)


def _key() -> str:
    """A name for what an image is made of. Packages come as they are offered when it is made.

    Raises RuntimeError if the demonstration's image cannot be made here.
    """
    sources = [Path(__file__).with_name(name) for name in MADE_BY]
    sources += [Path(str(module.__file__)) for module in (emulator, first_disks)]
    content = b"".join(each.read_bytes() for each in sources)
    words = "\n".join([debian.release(), qemu.version(), demo_image.cache_key()])
    return hashlib.sha256(content + words.encode()).hexdigest()[:12]


@contextmanager
def _alone() -> Iterator[None]:
    with open(IMAGES / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build(image: VmImage, progress: Progress) -> None:
    begin = time.monotonic()
    work = image.folder / "work"
    work.mkdir(parents=True)
    unpacked, root = work / "kernel", work / "root"
    version = debian.unpack_kernel(unpacked)
    shutil.copy(unpacked / "boot" / f"vmlinuz-{version}", image.kernel)
    image.accelerator_file.write_text(qemu.accelerator(image.kernel))
    debian.install(root, work)
    make_key(image.key)
    image.host_key_file.write_text(furnish(root, image.key, unpacked / "lib/modules", version))
    image.first_disk.write_bytes(first_disk(root / "lib/modules" / version))
    make_disk(root, image.disk)
    shutil.rmtree(work)
    progress(f"  Debian {debian.release()}, Linux {version}: {time.monotonic() - begin:.0f} s")


def _save(image: VmImage, progress: Progress) -> None:
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="samehost-vm-") as folder:
        vm = Vm(image, Path(folder))
        try:
            vm.start()
            progress(f"  its first boot: {time.monotonic() - begin:.0f} s")
            vm.await_engine()
            _load(vm)
            vm.save()
        finally:
            vm.kill()
    progress(f"  its engines up, images loaded, saved: {time.monotonic() - begin:.0f} s")


def _load(vm: Vm) -> None:
    """Put the demonstration's image into both engines, and run it there."""
    archive = demo_image.build().read_bytes()
    there = Path("/tmp/image.tar")
    vm.run(f"cat > {there}", archive)
    arguments = shlex.join(demo_image.import_arguments(there))
    for engine in ("docker", "podman"):
        vm.run(f"{engine} {arguments}")
        vm.run(f"{engine} run --rm --net=host {demo_image.IMAGE} true")
    vm.run(f"rm {there}")
