"""`make down`: ends all that `make up` started, and removes what it made outside the clone.

Settings that the user made stay; the file goes only if nothing but the switch is in it.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Final

from desktop.paths import Paths
from scripts.commands import LINK, StepFailedError, is_our_link, samehost, say

__all__ = ["main", "remove_files"]

SETTINGS_OF_THE_TOUR: Final = {"hostNetworkingEnabled": True}
LOGS: Final = ("samehost.log*", "machine-*.log")


def main() -> int:
    """Take everything down; the exit code."""
    try:
        samehost("down")
    except StepFailedError as error:
        return error.code
    except KeyboardInterrupt:
        say("interrupted; to go on: make down")
        return 130
    if is_our_link():
        LINK.unlink()
        say(f"removed {LINK}")
    remove_files(Paths.find())
    return 0


def remove_files(paths: Paths) -> None:
    """Remove logs, settings that hold only the switch, and then the folders that are empty."""
    if _is_of_the_tour(paths.settings_file):
        paths.settings_file.unlink()
    if paths.logs.is_dir():
        for pattern in LOGS:
            for log in paths.logs.glob(pattern):
                log.unlink()
    folders = {paths.logs, paths.runtime, paths.state / "machines", paths.state, paths.config}
    for folder in sorted(folders, key=lambda path: len(path.parts), reverse=True):
        with contextlib.suppress(OSError):  # something else is in it, or it is not there
            folder.rmdir()


def _is_of_the_tour(settings: Path) -> bool:
    try:
        return bool(json.loads(settings.read_text()) == SETTINGS_OF_THE_TOUR)
    except (OSError, ValueError):
        return False
