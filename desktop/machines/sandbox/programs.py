"""The programs a sandbox is made with, and how they are run.

Rules: programs are found on PATH and in the administrator's folders, which the PATH of a
desktop session often lacks. A program that is cancelled is killed and awaited.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from subprocess import DEVNULL, PIPE, CompletedProcess
from typing import Final

from desktop.errors import SamehostError
from desktop.programs import find_program
from desktop.tasks import uninterrupted

__all__ = ["environment", "missing_programs", "require_programs", "run"]

REQUIRED: Final = {
    "dockerd": "docker.io",
    "containerd": "docker.io",
    "runc": "docker.io",
    "tini": "tini",
    "ip": "iproute2",
    "iptables": "iptables",
    "flock": "util-linux",
    "mount": "mount",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
    "setsid": "util-linux",
    "unshare": "util-linux",
}
"""Program: the Debian package that brings it (Debian 12)."""

ADMINISTRATOR_FOLDERS: Final = ("/usr/local/sbin", "/usr/sbin", "/sbin")
FALLBACK_PATH: Final = "/usr/local/bin:/usr/bin:/bin"


def environment() -> dict[str, str]:
    """The environment of all programs here: nothing of the user's but PATH."""
    path = os.environ.get("PATH", FALLBACK_PATH)
    return {"PATH": ":".join([path, *ADMINISTRATOR_FOLDERS]), "LC_ALL": "C.UTF-8"}


def missing_programs(find: Callable[[str], str | None] | None = None) -> list[str]:
    """Names of required programs that are not installed; `find` is as `find_program`."""
    path = environment()["PATH"]
    look_up = find or (lambda name: find_program(name, path))
    return [name for name in REQUIRED if look_up(name) is None]


def require_programs(find: Callable[[str], str | None] | None = None) -> None:
    """Raise SamehostError, with what to install, unless all programs are there."""
    missing = missing_programs(find)
    if not missing:
        return
    packages = sorted({REQUIRED[name] for name in missing} | {"docker.io", "iproute2"})
    raise SamehostError(
        "the sandbox needs programs that are not installed: " + ", ".join(missing),
        "sudo apt-get install " + " ".join(packages),
    )


async def run(
    *argv: str, feed: str = "", check: bool = True, pass_fds: Sequence[int] = ()
) -> CompletedProcess[str]:
    """Run a program to its end, with `feed` on its standard input.

    Raises SamehostError with what the program said if `check` and its exit status is not 0.
    """
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=PIPE if feed else DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
        env=environment(),
        pass_fds=tuple(pass_fds),
    )
    try:
        output, errors = await process.communicate(feed.encode() if feed else None)
    except BaseException:
        if process.returncode is None:
            process.kill()
        await uninterrupted(process.wait())
        raise
    status = process.returncode or 0
    result = CompletedProcess(list(argv), status, output.decode(), errors.decode(errors="replace"))
    if check and status:
        said = result.stderr.strip() or f"exit status {status}"
        raise SamehostError(f"{argv[0]} failed: {said}")
    return result
