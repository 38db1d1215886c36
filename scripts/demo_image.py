"""Makes `samehost/netshoot`, the demonstration's image, from installed Debian packages.

There is no image registry to rely on, so the root file system is put together on the spot:
OpenBSD's netcat as `nc`, socat, busybox for everything else, and the shared libraries they name
(`root_archive`). The archive is kept in build/, under a name that tells the packages' versions; the
image carries the same key as a label, so that an image already loaded is recognised.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Final

from scripts import root_archive
from scripts.root_archive import EXECUTABLE, RootArchive, output

__all__ = ["IMAGE", "KEY_LABEL", "build", "cache_key", "import_arguments"]

IMAGE: Final = "samehost/netshoot:latest"
KEY_LABEL: Final = "samehost.key"
PACKAGES: Final = ("netcat-openbsd", "socat", "busybox-static", "libc6")
SEARCH_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

PROGRAMS: Final = {"bin/nc": "/bin/nc.openbsd", "usr/bin/socat": "/usr/bin/socat"}
BUSYBOX: Final = "bin/busybox"
FOLDERS: Final = ("bin", "dev", "etc", "proc", "root", "run", "sys", "tmp", "usr", "usr/bin", "var")
FILES: Final = {
    "etc/group": "root:x:0:\nnogroup:x:65534:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
}
STICKY: Final = 0o1777
BUILD_FOLDER: Final = Path(__file__).resolve().parent.parent / "build"


def cache_key() -> str:
    """A name for this content: the versions of the packages, and the text of what makes it.

    Raises RuntimeError if a package is not installed.
    """
    query = ["dpkg-query", "--show", "--showformat", "${Package} ${Version} ${Status}\n"]
    result = subprocess.run([*query, *PACKAGES], capture_output=True, text=True, check=False)
    installed = [line for line in result.stdout.splitlines() if line.endswith(" installed")]
    if len(installed) < len(PACKAGES):
        raise RuntimeError("not installed, all of: sudo apt-get install " + " ".join(PACKAGES[:-1]))
    content = "\n".join(sorted(installed)).encode()
    for source in (__file__, root_archive.__file__):
        content += Path(source).read_bytes()
    return hashlib.sha256(content).hexdigest()[:12]


def build(folder: Path = BUILD_FOLDER) -> Path:
    """The archive of the root file system in `folder`, made now unless it is there."""
    target = folder / f"netshoot-{cache_key()}.tar"
    if target.exists():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("netshoot-*.tar"):  # not what another process is about to make
        old.unlink(missing_ok=True)
    new = target.with_suffix(f".{os.getpid()}")
    try:
        with tarfile.open(new, "w", format=tarfile.PAX_FORMAT) as archive:
            _fill(RootArchive(archive))
        new.rename(target)
    finally:
        new.unlink(missing_ok=True)
    return target


def import_arguments(archive: Path) -> list[str]:
    """What to say to `docker` to load `archive`."""
    key = archive.stem.removeprefix("netshoot-")
    changes = ['CMD ["/bin/sh"]', f"ENV PATH={SEARCH_PATH}", f"LABEL {KEY_LABEL}={key}"]
    options = [word for change in changes for word in ("--change", change)]
    return ["import", *options, str(archive), IMAGE]


def _fill(root: RootArchive) -> None:
    for folder in FOLDERS:
        root.folder(folder, STICKY if folder == "tmp" else EXECUTABLE)
    for name, text in FILES.items():
        root.file(name, text.encode(), 0o644)
    for name, source in PROGRAMS.items():
        root.file(name, Path(source).read_bytes())
    busybox = "/bin/busybox"
    root.file(BUSYBOX, Path(busybox).read_bytes())
    taken = {Path(name).name for name in PROGRAMS} | {"busybox"}
    for applet in sorted(set(output(busybox, "--list").split()) - taken):
        root.link(f"bin/{applet}", "busybox")
    root.libraries(PROGRAMS.values())


if __name__ == "__main__":
    try:
        print(build())
    except RuntimeError as error:
        sys.exit(str(error))
