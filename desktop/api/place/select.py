"""The place of the control API on this computer: chosen once, here and nowhere else."""

from __future__ import annotations

import os
from pathlib import Path

from desktop.api.place.interface import Place

__all__ = ["open_place"]


def open_place(path: Path, name: str = os.name) -> Place:
    """The place of a path, by `os.name`."""
    if name == "nt":
        from desktop.api.place.pipe import PipePlace

        return PipePlace(path)
    from desktop.api.place.unix import UnixPlace

    return UnixPlace(path)
