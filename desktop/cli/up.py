"""`samehost up`: start the daemon if need be, and attach to a machine.

Rules: an `up` that fails or is interrupted stops what it started, and only that. A daemon that
ends is waited for, and another one is started then. A second Ctrl-C leaves at once; the daemon,
told to stop already, goes on with it. With `--no-machine` it is done when the daemon serves: the
window starts one so, and attaches by itself.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from desktop.api.client import ApiClient
from desktop.cli.asking import asking
from desktop.cli.daemon import (
    await_lasting_daemon,
    hint_if_no_machine,
    link_state,
    problems_of,
    remove_empty_folders,
    report,
)
from desktop.cli.launch import start_daemon
from desktop.cli.output import Progress, clean, paint, print_error, warn
from desktop.cli.stopping import remove_leftovers, stop_daemon
from desktop.errors import ConflictError, ExitCode, SamehostError
from desktop.paths import Paths
from desktop.settings.store import SettingsStore
from link.version import VERSION

__all__ = ["add_arguments", "run"]

ATTEMPTS: Final = 5
"""So often is a daemon started, should others hold its lock at the same moment."""

Attach = Callable[[ApiClient], dict[str, Any]]
"""Does what `up` is to do with a daemon, and tells its status."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """See `main.VerbModule`."""
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--machine", metavar="NAME", help="which machine, if not that of settings")
    which.add_argument(
        "--no-machine", action="store_true", help="start the daemon only, attach to no machine"
    )
    parser.add_argument(
        "--foreground", action="store_true", help="be the daemon, instead of starting one"
    )


def run(arguments: argparse.Namespace, paths: Paths) -> int:
    """See `main.VerbModule`."""
    report(problems_of(SettingsStore(paths)))
    attach = _no_attach if arguments.no_machine else partial(_attach, machine=arguments.machine)
    if arguments.foreground:
        return _foreground(paths, arguments)
    status = _join_or_start(paths, attach)
    print(_summary(status))
    hint_if_no_machine(status)
    return ExitCode.DONE


def _foreground(paths: Paths, arguments: argparse.Namespace) -> int:
    client = await_lasting_daemon(paths)
    if client is not None:
        client.close()
        raise ConflictError("the daemon runs already", "to end it: samehost down")
    from desktop.daemon.main import Foreground
    from desktop.daemon.main import run as run_daemon

    if arguments.no_machine:
        return run_daemon(paths, lambda: warn("ready; Ctrl-C ends it"))
    return run_daemon(paths, None, Foreground(arguments.machine, warn))


def _join(paths: Paths, attach: Attach) -> dict[str, Any] | None:
    """Attach by a daemon that another has started; None if there is none."""
    client = await_lasting_daemon(paths)
    if client is None:
        return None
    with client:
        warn("the daemon runs already")
        if client.version != VERSION:
            warn(
                f"it is version {client.version}, this command {VERSION};"
                " to restart it: samehost down, then samehost up"
            )
        return attach(client)


def _join_or_start(paths: Paths, attach: Attach) -> dict[str, Any]:
    for left in reversed(range(ATTEMPTS)):
        status = _join(paths, attach)
        if status is not None:
            return status
        try:
            start_daemon(paths)
        except ConflictError:  # another `up` was a moment faster, or a `down` cleans up
            if not left:
                raise
        except BaseException:
            remove_leftovers(paths)
            raise
        else:
            return _attach_first(paths, attach)
    raise AssertionError


def _attach_first(paths: Paths, attach: Attach) -> dict[str, Any]:
    """Attach by a daemon that was started for that, or end it again."""
    try:
        with ApiClient.connect(paths.api_socket) as client:
            return attach(client)
    except KeyboardInterrupt:
        warn("interrupted; stopping what was started")
        _undo(paths)
        raise
    except SamehostError:
        _undo(paths)
        raise


def _attach(client: ApiClient, machine: str | None) -> dict[str, Any]:
    with Progress() as progress:
        findings = client.call("attach", {"machine": machine}, progress, asking(progress))
    for finding in findings:
        warn(finding)
    return _no_attach(client)


def _no_attach(client: ApiClient) -> dict[str, Any]:
    status: dict[str, Any] = client.call("status")
    return status


def _undo(paths: Paths) -> None:
    try:
        with Progress() as progress:
            stop_daemon(paths, progress)
    except SamehostError as error:
        print_error(error)
    remove_empty_folders(paths)


def _summary(status: dict[str, Any]) -> str:
    first = ", ".join(
        f"{clean(machine['name'])} is {paint(link_state(machine), sys.stdout)}"
        for machine in status["machines"]
        if machine["name"]
    )
    first = first or "no machine is attached"
    if status["enabled"]:
        return f"{first}; host networking is {paint('on', sys.stdout)}"
    way = clean(status["enabled_reason"]) or "turn it on: samehost enable"
    return f"{first}; host networking is {paint('off', sys.stdout)} ({way})"
