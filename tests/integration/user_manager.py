"""A user's log-in, for tests: systemd's own user manager, as user@.service starts it at a log-in.

    account = Account(folder)
    with account.session():     # systemd --user, until default.target is reached
        account.properties("samehost.service", "ActiveState")

It runs in a mount and a cgroup namespace of its own, with a cgroup v2 that it may divide and a
/run in which this computer was booted by systemd (sd_booted(3)), be that so or not. Its home and
its runtime folder (XDG_RUNTIME_DIR) are the test's, so that others' units are not found there; the
system's units for every user are.

Rules: a session ends as at a log-out, by SIGTERM to the manager, which ends its units. What is left
in the cgroup afterwards is an error, and is killed.
Limits: root, whose manager it is; Linux with cgroup v2 at some place, and systemd installed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from desktop.autostart.interface import Done
from desktop.machines.sandbox.traces import NO_CGROUP2, cgroup2_mount
from tests.cgroup_program import remove_cgroup
from tests.ended import ended
from tests.integration.samehost import until

__all__ = ["Account", "missing"]

MANAGER: Final = "/usr/lib/systemd/systemd"
LOG_OUT_SECONDS: Final = 60.0
"""A sandbox that ends gives its containers 10 s (`docker stop`)."""

ENTER: Final = """
set -e
echo $$ > "$0/cgroup.procs"
exec unshare --mount --cgroup sh -c '
    set -e
    if mountpoint --quiet /sys/fs/cgroup; then umount --no-mtab --lazy /sys/fs/cgroup; fi
    mount --no-mtab --types cgroup2 cgroup2 /sys/fs/cgroup
    mount --no-mtab --types tmpfs tmpfs /run
    mkdir --parents /run/systemd/system
    exec "$@"' sh "$@"
"""


def missing() -> str:
    """Why nobody can log in here; "" if somebody can."""
    absent = [name for name in ("systemctl", MANAGER, "unshare") if shutil.which(name) is None]
    if absent:
        return f"not installed: {', '.join(absent)}"
    if os.geteuid() != 0:
        return "only root can make namespaces"
    return "no cgroup v2 here" if cgroup2_mount() == NO_CGROUP2 else ""


class Account:
    """A user with a home in `folder`. Its path must be short enough for sockets."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self._runtime = folder / "run"
        self._cgroup = Path(cgroup2_mount(), f"samehost-test-{folder.name}")
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "XDG_RUNTIME_DIR": str(self._runtime),
            "LC_ALL": "C.UTF-8",
        }

    @contextlib.contextmanager
    def session(self) -> Iterator[None]:
        """From a log-in to the log-out."""
        for folder in (self.home, self._runtime, self._cgroup):
            folder.mkdir(mode=0o700, exist_ok=folder == self.home)
        command = ["sh", "-c", ENTER, str(self._cgroup), MANAGER, "--user", "--log-target=console"]
        with ended(subprocess.Popen(command, env=self.environment)) as manager:
            try:
                until(self._is_logged_in, "the log-in")
                yield
                manager.send_signal(signal.SIGTERM)
                assert manager.wait(LOG_OUT_SECONDS) == 0
                until(lambda: not self._left(), "the end of all that was started")
            finally:
                self._clear()

    def systemctl(self, *arguments: str) -> Done:
        """Run `systemctl --user`."""
        done = subprocess.run(
            ["systemctl", "--user", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return Done(done.returncode, (done.stdout + done.stderr).strip())

    def properties(self, unit: str, *names: str) -> dict[str, str]:
        """Some of what the manager knows of a unit."""
        done = self.systemctl("show", unit, *(f"--property={name}" for name in names))
        return dict(line.partition("=")[::2] for line in done.said.splitlines())

    def _is_logged_in(self) -> bool:
        return self.systemctl("is-active", "default.target").said == "active"

    def _left(self) -> list[int]:
        found: list[int] = []
        for folder, _, _ in os.walk(self._cgroup):
            with contextlib.suppress(OSError):  # one that is removed meanwhile
                found += map(int, Path(folder, "cgroup.procs").read_text().split())
        return found

    def _clear(self) -> None:
        for process in self._left():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        inner = sorted(self._cgroup.rglob("*/"), key=lambda each: -len(each.parts))
        for cgroup in (*inner, self._cgroup):
            if cgroup.is_dir():
                remove_cgroup(cgroup)
        shutil.rmtree(self._runtime)
