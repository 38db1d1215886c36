"""What several verbs need of the daemon: is it there, and what to do if it is not.

Rules: without a daemon, settings are written under its lock, so there is only one writer.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from desktop.api.client import ApiClient
from desktop.cli.output import warn
from desktop.errors import NotRunningError
from desktop.paths import Paths
from desktop.settings.store import SettingsStore

__all__ = [
    "connect_if_running",
    "hint_if_no_machine",
    "hint_if_off",
    "offline_store",
    "remove_empty_folders",
    "report_findings",
]


def connect_if_running(paths: Paths) -> ApiClient | None:
    """The daemon's client; None if there is no daemon. Raises other SamehostErrors."""
    try:
        return ApiClient.connect(paths.api_socket)
    except NotRunningError:
        return None


@contextlib.contextmanager
def offline_store(paths: Paths) -> Iterator[SettingsStore]:
    """The settings, for writing without a daemon. Raises ConflictError if one holds the lock."""
    from desktop.daemon.lock import DaemonLock

    try:
        with DaemonLock(paths.lock_file):
            yield SettingsStore(paths)
    finally:
        remove_empty_folders(paths)


def report_findings(store: SettingsStore) -> None:
    """Say what is wrong with the settings files."""
    for finding in store.findings:
        warn(f"{finding.message} ({finding.remedy})")


def hint_if_off(enabled: bool, reason: str) -> None:
    """Say how to turn host networking on, if it is off and that is possible."""
    if not enabled:
        warn(f"host networking is off; {reason or 'turn it on: samehost enable'}")


def hint_if_no_machine(status: Mapping[str, Any]) -> None:
    """Say how to attach one, if none is and the daemon knows of none to name."""
    if not status["machine"]["name"]:
        warn(
            "no machine is attached; start one that `samehost machine list` shows, then:"
            " samehost machine attach NAME"
        )


def remove_empty_folders(paths: Paths) -> None:
    """Remove the folders that nothing is in, and sockets that a killed daemon has left."""
    from desktop.machines.openssh import RUNTIME_NAME, sweep

    sweep(paths.runtime / RUNTIME_NAME)
    for folder in (paths.runtime, paths.state / "machines", paths.state):
        with contextlib.suppress(OSError):  # not empty, not there, not ours: it stays
            folder.rmdir()
