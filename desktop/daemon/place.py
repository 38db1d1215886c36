"""Lock and socket of a daemon are where others look for them, for as long as it lives.

Rules: whoever removes the runtime folder (a cleaner of old files, the end of a session) ends no
daemon and no mirror; both files are made anew within a second. If another daemon has begun
meanwhile, that one stays and this one has to go, since settings have one writer.
Counterparts: `lock.py`, `desktop/api/server.py`; `main.py` ends the daemon.
"""

from __future__ import annotations

import logging
from typing import Final

from desktop.api.server import ApiServer
from desktop.daemon.lock import DaemonLock
from desktop.daemon.strokes import sleep_to_stroke
from desktop.errors import ConflictError, SamehostError

__all__ = ["LOOK_SECONDS", "keep_place"]

LOOK_SECONDS: Final = 0.8
"""How often somebody looks whether the files are still there: two stat(2)."""

log = logging.getLogger(__name__)


async def keep_place(lock: DaemonLock, server: ApiServer) -> str:
    """Keep both where they are.

    Returns once another daemon has the lock and we are not reached, with who that is.
    """
    told = ""
    while True:
        await sleep_to_stroke(LOOK_SECONDS)
        try:
            is_new = lock.renew()
        except ConflictError as error:
            if server.is_in_place:
                continue  # whoever has the lock finds us there, and ends
            return error.message
        except (SamehostError, OSError) as error:
            told = _tell(told, error)
            continue
        try:
            is_new = await server.renew() or is_new
        except (SamehostError, OSError) as error:
            told = _tell(told, error)
            continue
        if is_new:
            log.warning("somebody removed the runtime folder or what is in it; it is made anew")
        told = ""


def _tell(told: str, error: SamehostError | OSError) -> str:
    """Say once for each reason that nobody can ask this daemon for anything; the reason."""
    remedy = f" ({error.remedy})" if isinstance(error, SamehostError) else ""
    words = f"no command can reach this daemon, which mirrors on: {error}{remedy}"
    if words != told:
        log.warning("%s", words)
    return words
