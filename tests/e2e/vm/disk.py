"""What QEMU boots: a first disk in memory that finds the real one, and the real one.

    kernel ─▶ /init of the first disk ─▶ modules ─▶ mount /dev/vda ─▶ systemd

Counterparts: `debian` and `furnish` make the files; `tests.e2e.image` packs the first disk.
"""

from __future__ import annotations

import lzma
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.e2e.image import Image
from tests.e2e.vm.debian import run

__all__ = ["first_disk", "make_disk"]

SIZE: Final = "4G"
"""Of the file system; its file holds only what is used."""

MODULES: Final = ("virtio_pci", "virtio_blk")
"""That lead to the disk. ext4 is part of Debian's kernel."""

BUSYBOX: Final = Path("/bin/busybox")

INIT: Final = """\
#!/busybox sh
/busybox mount -t devtmpfs dev /dev
for module in {modules}; do /busybox insmod "/modules/$module"; done
until /busybox mount -t ext4 -o noatime /dev/vda /root 2> /dev/null; do /busybox sleep 0.1; done
/busybox mount --move /dev /root/dev
exec /busybox switch_root /root /sbin/init
"""


def first_disk(modules: Path) -> bytes:
    """The first disk, with modules of that folder: /lib/modules/VERSION."""
    image = Image()
    for folder in ("/dev", "/root", "/modules"):
        image.put_folder(folder)
    image.put("/busybox", BUSYBOX.read_bytes(), 0o755)
    files = list(dict.fromkeys(file for name in MODULES for file in _needed(modules, name)))
    for file in files:
        content = (modules / file).read_bytes()
        is_packed = file.endswith(".xz")
        image.put(f"/modules/{_name(file)}", lzma.decompress(content) if is_packed else content)
    names = " ".join(map(_name, files))
    image.put("/init", INIT.format(modules=names).encode(), 0o755)
    return image.pack()


def _name(file: str) -> str:
    return Path(file).name.split(".")[0]


def _needed(modules: Path, name: str) -> Iterator[str]:
    """The files of a module and of those that it needs, these first; modules.dep(5)."""
    for line in (modules / "modules.dep").read_text().splitlines():
        file, _, needs = line.partition(":")
        if _name(file) == name:
            yield from reversed([file, *needs.split()])


def make_disk(root: Path, target: Path) -> None:
    """Make a file system of all that is below `root`."""
    run(
        *("mke2fs", "-q", "-t", "ext4", "-m", "0", "-L", "root", "-d", root),
        # The kernel has the checksum's code in a module, which would have to be on the first disk.
        *("-O", "^metadata_csum", "-E", "lazy_itable_init=0,nodiscard", target, SIZE),
    )
