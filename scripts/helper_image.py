"""Makes the image of the helper container: Debian's Python and nothing else, for `docker load`.

    python3.N-minimal, libpython3.N-stdlib ─▶ one layer ─▶ build/samehost-helper-ARCH.tar

Made where a package of Samehost is built, for the architecture of that computer: the package puts
it into share/samehost, where `desktop/machines/helper_image.py` looks for it. The form is that of
`docker save` (moby/docker-image-spec v1.2), which Docker, Podman and nerdctl load. The same Python
gives the same bytes; the image's tag is the hash of its layer.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import platform
import sys
import tarfile
from pathlib import Path
from typing import Any, Final

from desktop.machines.helper_image import ARCHIVE_NAME, REPOSITORY
from scripts import root_archive
from scripts.root_archive import RootArchive, output

__all__ = ["build_helper_image", "fill_with_python"]

SYSTEM_PYTHON: Final = Path("/usr/bin/python3")
BUILD_FOLDER: Final = Path(__file__).resolve().parent.parent / "build"
FOLDERS: Final = ("dev", "etc", "proc", "run", "sys", "tmp")
NOT_NEEDED: Final = frozenset(
    {
        *(
            "__pycache__",
            "curses",
            "dbm",
            "distutils",
            "ensurepip",
            "idlelib",
            "lib2to3",
            "pydoc_data",
        ),
        *("sqlite3", "test", "tkinter", "turtledemo", "unittest", "venv", "wsgiref", "xmlrpc"),
    }
)
"""Folders of Python's library that the agent does without."""
COMPRESSION: Final = 6
MACHINES: Final = {"x86_64": "amd64", "aarch64": "arm64"}
"""What Linux calls an architecture, and what images do."""


def build_helper_image(folder: Path = BUILD_FOLDER) -> Path:
    """The image in `folder`, made now unless it is there.

    Raises subprocess.CalledProcessError where Python is not Debian's.
    """
    target = folder / ARCHIVE_NAME.format(platform.machine())
    key = _key()
    if key in _key_of(target):
        return target
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        root = RootArchive(archive)
        for name in FOLDERS:
            root.folder(name)
        fill_with_python(root, NOT_NEEDED)
    image = _image(layer.getvalue(), MACHINES[platform.machine()], key)
    folder.mkdir(parents=True, exist_ok=True)
    new = target.with_suffix(f".{os.getpid()}")
    new.write_bytes(image)
    new.rename(target)
    return target


def _key() -> str:
    """The versions of the packages, and the text of what makes the image, as one hash."""
    made = hashlib.sha256(
        output("dpkg-query", "--show", *_packages(), "libc6", "libssl3*", "zlib1g").encode()
    )
    for source in (__file__, root_archive.__file__):
        made.update(Path(source).read_bytes())
    return made.hexdigest()


def _key_of(image: Path) -> str:
    """What an image was made of; "" if there is none."""
    try:
        with tarfile.open(image) as archive:
            config = archive.extractfile("config.json")
            return config.read().decode() if config else ""
    except (OSError, tarfile.TarError, KeyError):
        return ""


def _packages() -> list[str]:
    python = SYSTEM_PYTHON.resolve().name
    return [f"{python}-minimal", f"lib{python}-minimal", f"lib{python}-stdlib"]


def fill_with_python(root: RootArchive, without: frozenset[str] = frozenset()) -> None:
    """Add the system's Python and its library, but for folders of these names."""
    python = SYSTEM_PYTHON.resolve()
    library = Path("/usr/lib") / python.name
    listed = output("dpkg-query", "--listfiles", *_packages())
    files = [Path(line) for line in listed.splitlines()]
    wanted = sorted({python, *(file for file in files if library in file.parents)})
    wanted = [file for file in wanted if file.is_file() and not without & set(file.parts)]
    root.link(str(SYSTEM_PYTHON)[1:], python.name)
    for file in wanted:
        root.file(str(file)[1:], file.read_bytes())
    root.libraries(str(file) for file in wanted if file == python or file.suffix == ".so")


def _image(layer: bytes, architecture: str, key: str) -> bytes:
    """A tar file as of `docker save`; its manifest comes first, so that it is quickly read.

    The layer is compressed, which all engines take, and not the whole, which Podman 4 does not.
    """
    digest = hashlib.sha256(layer).hexdigest()
    config = {
        "architecture": architecture,
        "os": "linux",
        "config": {"Env": ["PATH=/usr/local/bin:/usr/bin:/bin"], "Entrypoint": ["python3"]},
        "comment": key,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        "history": [{"created_by": "samehost"}],
    }
    tags = [f"{REPOSITORY}:{digest[:12]}"]
    manifest = [{"Config": "config.json", "RepoTags": tags, "Layers": ["layer.tar"]}]
    image = io.BytesIO()
    with tarfile.open(fileobj=image, mode="w") as archive:
        root = RootArchive(archive)
        root.file("manifest.json", _json(manifest), 0o644)
        root.file("config.json", _json(config), 0o644)
        root.file("layer.tar", gzip.compress(layer, COMPRESSION, mtime=0), 0o644)
    return image.getvalue()


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True).encode()


if __name__ == "__main__":
    made = build_helper_image()
    sys.stdout.write(f"{made}: {made.stat().st_size / (1 << 20):.1f} MiB\n")
