"""What several verbs need of the daemon: is it there, and what to do if it is not.

Rules: without a daemon, settings are written under its lock, so there is only one writer. Who needs
either waits for a daemon that is about to begin, or to end: neither is there a moment later.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from desktop.api.client import ApiClient, ConnectionLostError
from desktop.cli.output import clean, warn
from desktop.errors import ConflictError, NotRunningError, SamehostError
from desktop.paths import Paths
from desktop.settings.store import SettingsStore

if TYPE_CHECKING:
    from desktop.daemon.lock import DaemonLock

__all__ = [
    "STOP_SECONDS",
    "await_daemon",
    "await_lasting_daemon",
    "connect_if_running",
    "has_daemon",
    "hint_if_no_machine",
    "hint_if_not_attached",
    "hint_if_off",
    "holder",
    "link_state",
    "offline_store",
    "problems_of",
    "remove_empty_folders",
    "report",
]

TURN_SECONDS: Final = 10.0
"""How long a daemon is waited for that neither serves nor has ended."""

STOP_SECONDS: Final = 60.0
"""How long a daemon may take to end: the engine gives containers 10 s, and several stop at once."""

POLL_SECONDS: Final = 0.02
"""flock(2) has no time limit of its own."""


def connect_if_running(paths: Paths) -> ApiClient | None:
    """The daemon's client; None if there is no daemon. Raises other SamehostErrors."""
    try:
        return ApiClient.connect(paths.api_socket)
    except NotRunningError:
        return None


def await_daemon(paths: Paths) -> ApiClient | None:
    """As `connect_if_running`, but one that begins or ends is waited for."""
    deadline = time.monotonic() + TURN_SECONDS
    while True:
        client = connect_if_running(paths)
        if client is not None or not has_daemon(paths) or time.monotonic() > deadline:
            return client
        time.sleep(POLL_SECONDS)


def await_lasting_daemon(paths: Paths) -> ApiClient | None:
    """As `await_daemon`, but of one that still serves while it ends the end is waited for."""
    is_told = False
    deadline = time.monotonic() + STOP_SECONDS
    while True:
        client = await_daemon(paths)
        if client is None or not _is_ending(client):
            return client
        client.close()
        if not is_told:
            warn("Samehost is ending; waiting for that")
            is_told = True
        if time.monotonic() > deadline:
            raise SamehostError(
                f"the daemon has not ended within {STOP_SECONDS:.0f} seconds",
                "see: samehost logs; to end it: samehost down",
            )
        time.sleep(POLL_SECONDS)


def _is_ending(client: ApiClient) -> bool:
    try:
        return bool(client.call("status").get("ending", False))
    except ConnectionLostError:
        return True


def has_daemon(paths: Paths) -> bool:
    """True while a daemon holds these folders, whether or not it serves anybody."""
    return bool(holder(paths))


def holder(paths: Paths) -> str:
    """Which process holds these folders, as it says itself; "" if none does."""
    from desktop.daemon.lock import DaemonLock, HeldError

    if not paths.lock_file.exists():
        return ""
    try:
        with DaemonLock(paths.lock_file):
            return ""
    except HeldError as error:
        return error.holder


@contextlib.contextmanager
def offline_store(paths: Paths) -> Iterator[SettingsStore]:
    """The settings, for writing without a daemon.

    Another command that writes is waited for. Raises ConflictError if a daemon holds the lock.
    """
    from desktop.daemon.lock import DaemonLock

    lock = DaemonLock(paths.lock_file)
    try:
        _take(lock, paths)
        with lock:
            yield SettingsStore(paths)
    finally:
        remove_empty_folders(paths)


def _take(lock: DaemonLock, paths: Paths) -> None:
    """Take the lock as soon as nobody has it. Raises ConflictError if a daemon has."""
    deadline = time.monotonic() + TURN_SECONDS
    while True:
        try:
            lock.acquire()
        except ConflictError:
            client = connect_if_running(paths)
            if client is not None:
                client.close()
            if client is not None or time.monotonic() > deadline:
                raise
            time.sleep(POLL_SECONDS)
        else:
            return


def problems_of(settings: SettingsStore | ApiClient) -> list[str]:
    """What is wrong with the settings files, as read here or by the daemon."""
    if isinstance(settings, SettingsStore):
        return list(map(str, settings.findings))
    return list(settings.call("status").get("settings_problems", ()))


def report(problems: Iterable[str]) -> None:
    """Say what is wrong, and stops nothing."""
    for problem in problems:
        warn(problem)


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


def hint_if_not_attached(status: Mapping[str, Any]) -> None:
    """Say how to attach the machine that the daemon would name, if none is attached."""
    name = status["machine"]["name"]
    if name and all(machine["state"] == "stopped" for machine in status["machines"]):
        warn(f"{clean(name)} is not attached; attach it: samehost up")


def link_state(machine: Mapping[str, Any]) -> str:
    """The state of the link with a machine, in a word that cannot be taken for the machine's."""
    return "not attached" if machine["state"] == "stopped" else str(machine["state"])


def remove_empty_folders(paths: Paths) -> None:
    """Remove the folders that nothing is in, and sockets that a killed daemon has left."""
    from desktop.machines.openssh import RUNTIME_NAME, sweep

    sweep(paths.runtime / RUNTIME_NAME)
    for folder in (paths.runtime, paths.state / "machines", paths.state):
        with contextlib.suppress(OSError):  # not empty, not there, not ours: it stays
            folder.rmdir()
