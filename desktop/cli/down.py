"""`samehost down`: end everything, also what a daemon that was killed has left."""

from __future__ import annotations

import argparse

from desktop.cli.output import Progress
from desktop.cli.stopping import clean_up, stop_daemon
from desktop.errors import ExitCode
from desktop.paths import Paths

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """See `main.VerbModule`."""


def run(arguments: argparse.Namespace, paths: Paths) -> int:  # noqa: ARG001 - as all verbs
    """See `main.VerbModule`."""
    with Progress() as progress:
        was_running = stop_daemon(paths, progress)
        leftovers = clean_up(paths, progress)
    if leftovers and not was_running:
        print(f"Samehost was not running; stopped what was left: {', '.join(leftovers)}")
    elif was_running:
        print("Samehost has stopped.")
    else:
        print("Samehost was not running.")
    return ExitCode.DONE
