"""`samehost down`: end everything, also what a daemon that was killed has left."""

from __future__ import annotations

import argparse
from typing import Final

from desktop.cli.output import Progress
from desktop.cli.stopping import clean_up, stop_daemon
from desktop.errors import ConflictError, ExitCode
from desktop.paths import Paths

__all__ = ["add_arguments", "run"]

ATTEMPTS: Final = 5
"""So many daemons in turn are ended, should others begin one at the same moment."""


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
        was_running = stop_daemon(paths, progress) or was_running
        try:
            return was_running, clean_up(paths, progress)
        except ConflictError:  # one has begun since
            if not left:
                raise
    raise AssertionError
