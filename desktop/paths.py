"""Where files are. One place; everything else is handed a `Paths`.

`SAMEHOST_HOME=DIR` moves all of it under DIR (tests, several users, several sandboxes side by
side); what the administrator of this computer says is heeded there, too. Limits: a Unix socket's
path must fit `sockaddr_un` (unix(7): 108 bytes with the final zero on Linux, 104 on macOS);
`Paths.find` refuses a home that is too deep.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, NamedTuple

from desktop.errors import UsageError

__all__ = ["HOME_VARIABLE", "SOCKET_PATH_LIMIT", "Paths", "PolicyPlace", "admin_directory"]

HOME_VARIABLE: Final = "SAMEHOST_HOME"
SOCKET_PATH_LIMIT: Final = 103
"""Longest Unix socket path in bytes that every platform takes (macOS: 104 with the zero)."""

ADMIN_DIRECTORIES: Final = {
    "darwin": "/Library/Application Support/Samehost",
    "win32": r"C:\ProgramData\Samehost",
}
"""Where macOS and Windows let only administrators write. On Windows %ProgramData% may say another
place, but anybody can set a variable of their own: the policy stays where it is by default."""
ADMIN_DIRECTORY_ELSEWHERE: Final = "/etc/samehost"
POLICY_NAME: Final = "admin-settings.json"
ROOT_RUNTIME: Final = Path("/run/samehost")
"""Root has no session's runtime folder; /run is root's own (hier(7))."""


def admin_directory(platform: str = sys.platform) -> Path:
    """The folder of a computer's administrator."""
    return Path(ADMIN_DIRECTORIES.get(platform, ADMIN_DIRECTORY_ELSEWHERE))


class PolicyPlace(NamedTuple):
    """Where an administrator's settings may be. `may_be_users`: the user may own the file."""

    file: Path
    may_be_users: bool


@dataclass(frozen=True, slots=True)
class Paths:
    """The folders of one Samehost. None of them need exist; who writes creates them.

    `system_admin` is the folder of this computer's administrator where `admin` is another.
    """

    config: Path
    admin: Path
    state: Path
    logs: Path
    runtime: Path
    system_admin: Path | None = None

    @classmethod
    def find(cls) -> Paths:
        """The folders of this user, or those under SAMEHOST_HOME. Raises UsageError."""
        home = os.environ.get(HOME_VARIABLE)
        if home:
            paths = replace(cls.under(Path(home).absolute()), system_admin=admin_directory())
        else:
            paths = cls.of_user()
        paths.check_lengths()
        return paths

    @classmethod
    def under(cls, home: Path) -> Paths:
        """All folders below `home`."""
        return cls(home, home / "admin", home / "state", home / "logs", home / "run")

    @classmethod
    def of_user(cls) -> Paths:
        """The platform's usual folders of the current user."""
        import platformdirs

        directories = platformdirs.PlatformDirs("samehost", appauthor=False)
        return cls(
            directories.user_config_path,
            admin_directory(),
            directories.user_state_path,
            directories.user_log_path,
            _runtime_folder(directories.user_state_path, sys.platform),
        )

    @property
    def settings_file(self) -> Path:
        """The user's settings."""
        return self.config / "settings.json"

    @property
    def policy_file(self) -> Path:
        """The administrator's settings."""
        return self.admin / POLICY_NAME

    @property
    def policy_places(self) -> tuple[PolicyPlace, ...]:
        """All files of administrators that count here, the strongest first."""
        if self.system_admin is not None:
            of_system = PolicyPlace(self.system_admin / POLICY_NAME, may_be_users=False)
            return of_system, PolicyPlace(self.policy_file, may_be_users=True)
        is_system = self.admin == admin_directory()
        return (PolicyPlace(self.policy_file, may_be_users=not is_system),)

    @property
    def log_file(self) -> Path:
        """The daemon's log."""
        return self.logs / "samehost.log"

    @property
    def api_socket(self) -> Path:
        """The daemon's control socket."""
        return self.runtime / "api.sock"

    @property
    def lock_file(self) -> Path:
        """Held (flock) by the one daemon of these folders."""
        return self.runtime / "daemon.lock"

    def machine(self, name: str) -> Path:
        """State folder of one machine that Samehost itself runs."""
        return self.state / "machines" / name

    def check_lengths(self) -> None:
        """Raise UsageError if a socket below these folders could not be bound."""
        ours = [self.api_socket]
        if sys.platform == "linux":
            ours.append(self.machine("sandbox-" + "x" * 8) / "docker.sock")
        longest = max(ours, key=lambda path: len(os.fsencode(path)))
        if len(os.fsencode(longest)) > SOCKET_PATH_LIMIT:
            raise UsageError(
                f"the folder is too deep for a Unix socket: {longest}",
                f"set {HOME_VARIABLE} to a shorter path, such as /tmp/samehost",
            )


def _runtime_folder(state: Path, platform: str) -> Path:
    """Where sockets go: the session's runtime folder, root's, or one beside the state.

    On macOS that would be ~/Library/Application Support/…, too long a way for a socket of somebody
    with a long name (104 bytes in all): it is ~/.samehost there.

    Never a name in /tmp that somebody else could make first, as platformdirs falls back to.
    """
    session = os.environ.get("XDG_RUNTIME_DIR")
    if session:
        return Path(session) / "samehost"
    if platform == "darwin":
        return Path.home() / ".samehost"
    is_root = getattr(os, "geteuid", lambda: None)() == 0
    return ROOT_RUNTIME if is_root and ROOT_RUNTIME.parent.is_dir() else state / "run"
