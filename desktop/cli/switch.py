"""`samehost enable` and `samehost disable`: the switch, live if the daemon runs."""

from __future__ import annotations

import argparse

from desktop.cli.daemon import await_daemon, offline_store, problems_of, report
from desktop.errors import ExitCode
from desktop.paths import Paths
from desktop.settings.keys import SWITCH

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """See `main.VerbModule`."""


def run(arguments: argparse.Namespace, paths: Paths) -> int:
    """See `main.VerbModule`."""
    enabled = arguments.verb == "enable"
    word = "on" if enabled else "off"
    client = await_daemon(paths)
    if client is not None:
        with client:
            client.call("set_enabled", {"enabled": enabled})
            report(problems_of(client))
        print(f"Host networking is {word}.")
        return ExitCode.DONE
    with offline_store(paths) as store:
        store.set(SWITCH, enabled)
        report(problems_of(store))
    print(f"Host networking is {word}; this applies at the next: samehost up")
    return ExitCode.DONE
