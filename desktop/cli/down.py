"""`samehost down`: end everything, also what a daemon that was killed has left."""

from __future__ import annotations

import argparse
from typing import Final

from desktop.cli.daemon import await_daemon
from desktop.cli.output import Progress, warn
from desktop.cli.stopping import clean_up, stop_daemon
from desktop.errors import ConflictError, ExitCode
from desktop.paths import Paths

__all__ = ["add_arguments", "run"]

ATTEMPTS: Final = 5
"""So often is begun anew, should others begin a daemon, or hold the lock, at the same moment."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """See `main.VerbModule`."""


def run(arguments: argparse.Namespace, paths: Paths) -> int:  # noqa: ARG001 - as all verbs
    """See `main.VerbModule`."""
    with Progress() as progress:
        was_running, leftovers = _stop_all(paths, progress)
    if leftovers and not was_running:
        print(f"Samehost was not running; stopped what was left: {', '.join(leftovers)}")
    elif was_running:
        print("Samehost has stopped.")
    else:
        print("Samehost was not running.")
    return ExitCode.DONE


def _stop_all(paths: Paths, progress: Progress) -> tuple[bool, list[str]]:
    """Whether a daemon ran, and the machines that a killed one had left."""
    was_running = False
    for left in reversed(range(ATTEMPTS)):
        was_running = was_running or stop_daemon(paths, progress)
        try:
            return was_running, clean_up(paths, progress)
        except ConflictError:  # one has begun since
            if was_running and _is_served(paths):
                warn("another has been started since")
                return True, []
            if not left:
                raise
    raise AssertionError


def _is_served(paths: Paths) -> bool:
    """True if a daemon serves these folders, or is about to."""
    client = await_daemon(paths)
    if client is None:
        return False
    client.close()
    return True
