"""Which system this computer has, as `desktop/mirror/systems.py` knows it, and what it reserves.

Rules: only Windows reserves ranges of ports. They are asked for when a port is denied, in a thread,
and are known by the next try, which a denial has anyway. Nothing is changed.
Counterparts: `mirroring.py` asks; `desktop/mirror/failures.py` has the words.
"""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from desktop.mirror.systems import LINUX, MACOS, WINDOWS, ExcludedRange, System, parse_excluded
from desktop.programs import program_file

__all__ = ["HostSystem", "show_excluded", "system_of"]

FRESH_SECONDS: Final = 30.0
"""For which an answer is good: a person may have freed a range meanwhile."""
NETSH_SECONDS: Final = 10.0
_SYSTEMS: Final = {"darwin": MACOS, "win32": WINDOWS}

log = logging.getLogger(__name__)


def system_of(platform: str = sys.platform) -> System:
    """The system of a platform."""
    return _SYSTEMS.get(platform, LINUX)


def show_excluded(protocol: str) -> str:
    """What netsh prints of a protocol's reserved ranges. Raises OSError."""
    words = ["interface", "ipv4", "show", "excludedportrange", f"protocol={protocol}"]
    try:
        done = subprocess.run(
            [program_file("netsh"), *words],
            capture_output=True,
            check=True,
            timeout=NETSH_SECONDS,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.SubprocessError as error:
        raise OSError(f"netsh failed: {error}") from error
    return done.stdout.decode("ascii", "replace")


class HostSystem:
    """This computer's. `show` prints its reserved ranges; `close` it."""

    def __init__(
        self, system: System | None = None, show: Callable[[str], str] = show_excluded
    ) -> None:
        self.system = system or system_of()
        self._show = show
        self._executor: ThreadPoolExecutor | None = None
        self._asked: dict[str, Future[str]] = {}
        self._known: dict[str, list[ExcludedRange]] = {}
        self._good_until: dict[str, float] = {}

    def excluded(self, protocol: str) -> list[ExcludedRange]:
        """What is known of the ranges reserved; asks anew if that is old."""
        if not self.system.reserves:
            return []
        asked = self._asked.get(protocol)
        if asked is not None and asked.done():
            del self._asked[protocol]
            self._learn(protocol, asked)
        elif asked is None and time.monotonic() >= self._good_until.get(protocol, 0.0):
            self._executor = self._executor or ThreadPoolExecutor(1, thread_name_prefix="netsh")
            self._asked[protocol] = self._executor.submit(self._show, protocol)
        return self._known.get(protocol, [])

    def _learn(self, protocol: str, asked: Future[str]) -> None:
        self._good_until[protocol] = time.monotonic() + FRESH_SECONDS
        try:
            self._known[protocol] = parse_excluded(asked.result())
        except OSError as error:
            log.info("which ports Windows reserves cannot be read: %s", error)

    def close(self) -> None:
        """Wait for what was asked. May be called twice."""
        if self._executor is not None:
            self._executor.shutdown()
