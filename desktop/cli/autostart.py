"""`samehost autostart on|off|status`: whether the daemon starts when its user logs in.

Rules: nothing starts or ends now. The exit code of `status` is 0, be it on or off: that is what was
asked. Counterpart: `desktop/autostart/` has each system's way.
"""

from __future__ import annotations

import argparse
import sys

from desktop.autostart.interface import Service, Status
from desktop.autostart.select import open_autostart
from desktop.cli.output import clean, paint, print_json
from desktop.errors import ExitCode
from desktop.paths import Paths

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """See `main.VerbModule`."""
    parser.add_argument(
        "what",
        choices=("on", "off", "status"),
        metavar="on|off|status",
        help="start it with you, do not, or say how it is",
    )
    parser.add_argument("--json", action="store_true", help="as JSON")


def run(arguments: argparse.Namespace, paths: Paths) -> int:  # noqa: ARG001 - as all verbs
    """See `main.VerbModule`."""
    autostart = open_autostart()
    if arguments.what == "on":
        autostart.turn_on(Service.of_samehost())
    elif arguments.what == "off":
        autostart.turn_off()
    status = autostart.status()
    if arguments.json:
        print_json(
            {
                "on": status.is_on,
                "by": status.by,
                "place": status.place,
                "packaged": status.is_packaged,
            }
        )
    else:
        print(_words(status))
    return ExitCode.DONE


def _words(status: Status) -> str:
    word = paint("on" if status.is_on else "off", sys.stdout)
    place = f": {clean(status.place)}" if status.place else ""
    end = "starts when you log in" if status.is_on else "does not start by itself"
    return f"Autostart is {word}: Samehost {end} ({status.by}{place})"
