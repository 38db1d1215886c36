"""The image of the helper container, as it comes with a package of Samehost.

    share/samehost/samehost-helper-ARCH.tar ─▶ tag and bytes ─▶ `docker load` in the machine

Rules: which architecture is meant is the machine's own word for it (uname(1)); a computer may have
images for several. Where a package has none, that is told, and nothing is fetched. Counterparts:
`scripts/helper_image.py` makes it, `helper_container.py` uses it.
"""

from __future__ import annotations

import json
import sysconfig
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

__all__ = ["ARCHIVE_NAME", "REPOSITORY", "HelperImage", "find_image", "usual_folders"]

REPOSITORY: Final = "samehost/helper"
"""Under this name a machine's engine keeps the image; its tag is the hash of its content."""
ARCHIVE_NAME: Final = "samehost-helper-{}.tar"

SAME: Final = {"amd64": "x86_64", "arm64": "aarch64"}
"""What images call an architecture, and what Linux does."""


@dataclass(frozen=True, slots=True)
class HelperImage:
    """One that can be loaded; `tag` is its name in an engine."""

    tag: str
    file: Path

    def read(self) -> bytes:
        """What `load` takes. Raises OSError."""
        return self.file.read_bytes()


def usual_folders() -> list[Path]:
    """Where packages put it, and where a checkout has it after `make helper`."""
    folders = [Path(sysconfig.get_path("data")), Path("/usr/local"), Path("/usr")]
    return [
        *(folder / "share/samehost" for folder in folders),
        Path(__file__).resolve().parents[2] / "build",
    ]


def find_image(architecture: str, folders: Iterable[Path] | None = None) -> HelperImage | None:
    """The image for a machine; None if there is none, or it cannot be read."""
    name = ARCHIVE_NAME.format(SAME.get(architecture, architecture))
    for folder in usual_folders() if folders is None else folders:
        if (folder / name).is_file():
            return _image(folder / name)
    return None


def _image(file: Path) -> HelperImage | None:
    try:
        with tarfile.open(file) as archive:
            member = archive.extractfile("manifest.json")
            manifest: Any = json.load(member) if member else []
        tag = manifest[0]["RepoTags"][0]
    except (OSError, tarfile.TarError, ValueError, LookupError, TypeError):
        return None
    is_ours = isinstance(tag, str) and tag.startswith(f"{REPOSITORY}:")
    return HelperImage(tag, file) if is_ours else None
