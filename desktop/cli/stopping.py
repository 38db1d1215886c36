"""Ending the daemon, or what a killed one has left; used by `down` and by an `up` that failed.

Rules: the daemon has ended when its lock is free. A daemon of another version understands no
request, and one that has too many clients takes none, but every daemon understands SIGTERM; on
Windows, where nobody can be told to end, that ends it at once, and `clean_up` removes what it
leaves. One that answers nothing may not understand even that: it is killed, since who says `down`
has no other way to be rid of it.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from typing import Final

from desktop.api.client import ApiClient, ConnectionLostError, NoAnswerError
from desktop.api.stream import connect, listener_of
from desktop.cli.daemon import STOP_SECONDS, has_daemon, holder, remove_empty_folders
from desktop.daemon.lock import DaemonLock
from desktop.errors import NotRunningError, PermissionDeniedError, SamehostError
from desktop.paths import Paths
from desktop.processes import KILL, TERMINATE, let_go_on

__all__ = ["clean_up", "remove_leftovers", "stop_daemon"]

HANG_SECONDS: Final = 10.0
"""What a daemon that answers nothing may take to end by itself, once a signal has told it to."""

CONNECT_SECONDS: Final = 10.0
"""As long as a daemon may take to greet."""

POLL_SECONDS: Final = 0.02
"""flock(2) has no time limit of its own."""

Progress = Callable[[str], None]


def stop_daemon(paths: Paths, progress: Progress) -> bool:
    """End the daemon and wait until it has ended; False if there was none.

    One that begins afterwards is left alone. Raises SamehostError if it does not end. Interrupted,
    the daemon goes on with ending.
    """
    deadline = time.monotonic() + STOP_SECONDS
    was_running = has_heard = False
    told = ""
    while (process := holder(paths)) and (not has_heard or process == told):
        was_running = True
        if not has_heard:
            told, has_heard = process, _ask_to_stop(paths, progress)
        if time.monotonic() > deadline:
            raise SamehostError(
                f"the daemon has not ended within {STOP_SECONDS:.0f} seconds",
                "see: samehost logs; then try again",
            )
        time.sleep(POLL_SECONDS)
    return was_running


def clean_up(paths: Paths, progress: Progress) -> list[str]:
    """Remove what a killed daemon has left; the names of the machines that were stopped.

    Raises ConflictError if a daemon runs.
    """
    import asyncio

    from desktop.api.socketfile import remove_stale
    from desktop.cli.current import open_registry

    registry = open_registry(paths)

    async def stop_all() -> list[str]:
        stopped = []
        for machine in registry.sandboxes():
            if await machine.state() != "stopped":
                stopped.append(machine.name)
            await machine.stop(progress)
        return stopped

    with DaemonLock(paths.lock_file):
        remove_stale(paths.api_socket)
        names = asyncio.run(stop_all())
    remove_empty_folders(paths)
    return names


def remove_leftovers(paths: Paths) -> None:
    """Remove what a daemon has left that ended as it started: its machines are not touched.

    Nothing is, if there is a daemon.
    """
    from desktop.api.socketfile import remove_stale

    if paths.lock_file.exists():
        with contextlib.suppress(SamehostError):  # why it did not start is said already
            with DaemonLock(paths.lock_file):
                remove_stale(paths.api_socket)
    remove_empty_folders(paths)


def _ask_to_stop(paths: Paths, progress: Progress) -> bool:
    """True if the daemon has been told; False if it does not listen, as when it starts."""
    try:
        client = ApiClient.connect(paths.api_socket)
    except NotRunningError as error:
        return isinstance(error, ConnectionLostError)
    except PermissionDeniedError:
        raise
    except NoAnswerError as error:
        progress(f"{error.message}: ending it by a signal")
        _end_deaf(paths, progress)
    except SamehostError as error:  # of another version, or with too many others to talk to
        progress(f"{error.message}: ending it by a signal")
        os.kill(_listener(paths), TERMINATE)
    else:
        with client, contextlib.suppress(NotRunningError):
            client.call("shutdown", None, progress)
    return True


def _end_deaf(paths: Paths, progress: Progress) -> None:
    """End a daemon that hangs, or that a signal has stopped: kindly at first."""
    process = _listener(paths)
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, TERMINATE)
        let_go_on(process)
        deadline = time.monotonic() + HANG_SECONDS
        while has_daemon(paths):
            if time.monotonic() > deadline:
                progress("it does not end by itself: killing it")
                os.kill(process, KILL)
                return
            time.sleep(POLL_SECONDS)


def _listener(paths: Paths) -> int:
    with contextlib.closing(connect(paths.api_socket, CONNECT_SECONDS)) as stream:
        return listener_of(stream)
