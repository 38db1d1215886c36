"""macOS: an agent of launchd for this user (launchd.plist(5), launchctl(1)).

    ~/Library/LaunchAgents/org.samehost.daemon.plist

Rules: launchd reads that folder at a log-in, so the file alone turns it on; a person may have
disabled it in System Settings (Login Items), which is undone by `launchctl enable`. ProcessType is
Interactive since all flows go through the daemon: any other is slowed down while nobody looks. The
PATH has Homebrew's folders, for launchd's own lacks them.

Limits: has never run on a Mac. Inside the signed app SMAppService would be asked instead.
Counterpart: `interface.py`.
"""

from __future__ import annotations

import os
import plistlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from desktop.autostart.interface import (
    MARK,
    Autostart,
    Run,
    Service,
    Status,
    put_file,
    run_program,
    take_file_away,
)
from desktop.errors import SamehostError

__all__ = ["LABEL", "LaunchdAutostart", "plist_of"]

LABEL: Final = "org.samehost.daemon"
BY: Final = "launchd agent"
RESTART_SECONDS: Final = 30
SEARCHED: Final = "/opt/homebrew/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"


def plist_of(service: Service) -> bytes:
    """The agent. The mark is a key that launchd does not know, which it passes over."""
    return plistlib.dumps(
        {
            "Label": LABEL,
            "Comment": MARK,
            "ProgramArguments": list(service.command),
            "EnvironmentVariables": {"PATH": SEARCHED, **service.environment},
            "RunAtLoad": True,
            "KeepAlive": {"SuccessfulExit": False},
            "ThrottleInterval": RESTART_SECONDS,
            "ProcessType": "Interactive",
        },
        sort_keys=False,
    )


class LaunchdAutostart(Autostart):
    """See the module."""

    def __init__(
        self,
        run: Run = run_program,
        environment: Mapping[str, str] = os.environ,
        uid: int | None = None,
    ) -> None:
        self._run = run
        home = environment.get("HOME") or Path.home()
        self._plist = Path(home, "Library/LaunchAgents", f"{LABEL}.plist")
        self._domain = f"gui/{os.getuid() if uid is None else uid}"

    def status(self) -> Status:
        """See `Autostart.status`."""
        if not self._plist.exists():
            return Status(False, BY)
        return Status(not self._is_disabled(), BY, str(self._plist))

    def turn_on(self, service: Service) -> None:
        """See `Autostart.turn_on`."""
        put_file(self._plist, plist_of(service))
        self._launchctl("enable", f"{self._domain}/{LABEL}")

    def turn_off(self) -> None:
        """See `Autostart.turn_off`."""
        take_file_away(self._plist)

    def _is_disabled(self) -> bool:
        """By the lines `"LABEL" => disabled` that launchctl prints; `=> true` before macOS 13."""
        for line in self._launchctl("print-disabled", self._domain).splitlines():
            name, _, state = line.partition("=>")
            if name.strip().strip('"') == LABEL:
                return state.strip() in ("disabled", "true")
        return False

    def _launchctl(self, *arguments: str) -> str:
        code, said = self._run(("launchctl", *arguments))
        if code:
            words = said.splitlines()[-1] if said else f"launchctl ended with code {code}"
            raise SamehostError(
                f"launchd does not do it: {words}", "log in to this Mac's desktop as this user"
            )
        return said
