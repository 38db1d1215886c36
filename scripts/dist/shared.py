"""What every package lays below share/: the manual page and the completions."""

from __future__ import annotations

from scripts.dist import manual
from scripts.dist.completions import PLACES, completion

__all__ = ["shared_files"]


def shared_files() -> dict[str, str]:
    """Text by path below share/."""
    completions = {place: completion(shell) for shell, place in PLACES.items()}
    return {manual.PLACE: manual.manual(), **completions}
