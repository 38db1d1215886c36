"""`samehost version`: which version this command is. Asks nobody."""

from __future__ import annotations

import argparse

from desktop.cli.output import print_json
from desktop.errors import ExitCode
from desktop.paths import Paths
from link.version import PROTOCOL, VERSION

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """See `main.VerbModule`."""
    parser.add_argument("--json", action="store_true", help="as JSON")


def run(arguments: argparse.Namespace, paths: Paths) -> int:  # noqa: ARG001 - as all verbs
    """See `main.VerbModule`."""
    if arguments.json:
        print_json({"version": VERSION, "protocol": PROTOCOL})
    else:
        print(f"samehost {VERSION} (protocol {PROTOCOL})")
    return ExitCode.DONE
