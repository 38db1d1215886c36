"""Linux: a unit of systemd's user manager (systemd.service(5), systemctl(1)).

    ~/.config/systemd/user/samehost.service       ours
    /usr/lib/systemd/user/samehost.service        the package's, if that is installed

Rules: where the package has brought a unit, that is enabled and nothing is written, unless other
folders than usual are in use, which only a unit of ours can say. The user manager need not run for
that a unit is written; `systemctl` says what is in its way.

Limits: starts with the first session of the user, and ends with the last one, unless an
administrator lets it linger (loginctl(1), enable-linger). Counterpart: `interface.py`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from desktop.autostart.interface import (
    MARK,
    Autostart,
    Run,
    Service,
    Status,
    put_file,
    read_ours,
    run_program,
    take_file_away,
)
from desktop.errors import ExitCode, SamehostError

__all__ = ["PACKAGED", "SystemdAutostart", "unit_text"]

NAME: Final = "samehost.service"
PACKAGED: Final = tuple(
    Path(folder, NAME) for folder in ("/usr/local/lib/systemd/user", "/usr/lib/systemd/user")
)
BY: Final = "systemd user unit"
ENABLED: Final = frozenset({"enabled", "enabled-runtime", "linked", "static", "alias"})
UNKNOWN: Final = frozenset({"disabled", "not-found", "masked", "masked-runtime", "transient"})
RESTART_SECONDS: Final = 30
"""A machine that is not there yet at the log-in is tried again after so long."""
USELESS: Final = (ExitCode.USAGE, ExitCode.PERMISSION, ExitCode.CONFLICT)
"""After these it is not tried again; the package's unit says so, too."""

_UNIT: Final = """\
# {mark}
[Unit]
Description=Samehost: containers' --net=host is this computer
Documentation=man:samehost(1)

[Service]
Type=exec
{environment}ExecStart={command}
# A daemon that runs already, settings or a folder that are not right: to try again is of no use.
RestartPreventExitStatus={useless}
Restart=on-failure
RestartSec={seconds}

[Install]
WantedBy=default.target
"""


def unit_text(service: Service) -> str:
    """The unit."""
    environment = "".join(
        f"Environment={_quoted(f'{name}={value}', is_command=False)}\n"
        for name, value in service.environment.items()
    )
    command = " ".join(_quoted(word, is_command=True) for word in service.command)
    return _UNIT.format(
        mark=MARK,
        environment=environment,
        command=command,
        useless=" ".join(str(int(code)) for code in USELESS),
        seconds=RESTART_SECONDS,
    )


def _quoted(word: str, *, is_command: bool) -> str:
    """As systemd.syntax(7) reads it: specifiers doubled, and in commands variables, too."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("%", "%%")
    return f'"{escaped.replace("$", "$$") if is_command else escaped}"'


class SystemdAutostart(Autostart):
    """See the module."""

    def __init__(
        self,
        run: Run = run_program,
        environment: Mapping[str, str] = os.environ,
        packaged: Sequence[Path] = PACKAGED,
    ) -> None:
        self._run = run
        home = environment.get("HOME") or Path.home()
        config = environment.get("XDG_CONFIG_HOME") or Path(home, ".config")
        self._unit = Path(config, "systemd/user", NAME)
        self._packaged = packaged

    def status(self) -> Status:
        """See `Autostart.status`."""
        packaged = next((path for path in self._packaged if path.exists()), None)
        place = self._unit if self._unit.exists() else packaged
        is_packaged = place is not None and place == packaged
        is_on = place is not None and self._is_enabled()
        return Status(is_on, BY, str(place or ""), is_packaged)

    def turn_on(self, service: Service) -> None:
        """See `Autostart.turn_on`."""
        is_packaged = any(path.exists() for path in self._packaged)
        if service.environment or not is_packaged:
            put_file(self._unit, unit_text(service).encode())
        elif self._unit.exists():
            self.turn_off()  # or its link would lead to a unit that is not there
        self._systemctl("enable", NAME)

    def turn_off(self) -> None:
        """See `Autostart.turn_off`."""
        read_ours(self._unit)  # somebody else's is not disabled, either
        if self.status().is_on:
            self._systemctl("disable", NAME)
        take_file_away(self._unit)

    def _is_enabled(self) -> bool:
        code, said = self._run(("systemctl", "--user", "is-enabled", NAME))
        words = said.split()
        if words and words[-1] in ENABLED | UNKNOWN:
            return words[-1] in ENABLED
        raise self._failed(code, said)

    def _systemctl(self, verb: str, *names: str) -> None:
        code, said = self._run(("systemctl", "--user", verb, *names))
        if code:
            raise self._failed(code, said)

    def _failed(self, code: int, said: str) -> SamehostError:
        words = said.splitlines()[-1] if said else f"systemctl ended with code {code}"
        return SamehostError(
            f"systemd's user manager does not do it: {words}",
            "log in as this user, not by su or sudo; a system without systemd starts it by"
            " something else: samehost up",
        )
