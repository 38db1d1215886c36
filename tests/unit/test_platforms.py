"""Everything of the desktop and the window can be imported on macOS and on Windows.

A process of its own takes away what those systems do not have (modules, and names of modules that
are there), calls itself by their name, and imports all modules one after another. Those that are
for Linux by design are listed, with why; they must not be needed by any other at import.

Limits: that a module can be imported there does not say that it works: docs/platforms.md has what
has run where.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

PROJECT: Final = Path(__file__).parents[2]
ROOMS: Final = ("desktop", "gui", "link")

LINUX_ONLY: Final = {
    "link.datagrams.clients": "control messages of UDP",
    "link.datagrams.kernel": "recvmmsg(2)",
    "link.datagrams.linux": "GRO, GSO and control messages of UDP, beside desktop.datagrams",
    "link.datagrams.unreachable": "ICMP by raw sockets",
    "link.relay.framed": "splice(2)",
    "link.relay.kernel": "splice(2)",
    "link.relay.halves": "splice(2)",
    "link.relay.splice": "splice(2)",
}
"""Modules, and rooms with all that is in them. The embedded machine (desktop.machines.sandbox) can
be imported, since the list of machines asks it for its name, and made on Linux only."""

POSIX_ONLY: Final = {
    "desktop.api.filelock_posix": "flock(2), beside filelock_windows.py",
    "desktop.daemon.files_posix": "setrlimit(2), beside files_windows.py",
}

ABSENT: Final = {
    "win32": (
        "fcntl",
        "grp",
        "pwd",
        "readline",
        "resource",
        "syslog",
        "termios",
        "tty",
        "pty",
        "uvloop",
        "asyncio.unix_events",
    ),
    "darwin": (),
}
"""Modules that are not there."""

MISSING: Final = {
    "win32": {
        "os": (
            "fork getuid geteuid getgid getegid getgroups setsid killpg mkfifo pipe2 set_blocking"
            " get_blocking splice eventfd pidfd_open sched_getaffinity chown fchown lchown"
            " fchmod uname getloadavg pread pwrite O_CLOEXEC O_NONBLOCK O_NOFOLLOW O_DIRECTORY"
            " O_PATH WNOHANG EX_OK getpgid nice sysconf statvfs initgroups sendfile"
        ),
        "select": "epoll poll kqueue EPOLLIN EPOLLOUT EPOLLERR EPOLLHUP EPOLLET EPOLLRDHUP",
        "signal": (
            "SIGKILL SIGHUP SIGCHLD SIGUSR1 SIGUSR2 SIGPIPE SIGALRM SIGQUIT pthread_sigmask"
            " sigwait setitimer pidfd_send_signal SIGSTOP SIGCONT SIGWINCH"
        ),
        "socket": (
            "AF_UNIX AF_NETLINK AF_VSOCK SO_PEERCRED SO_REUSEPORT SO_BINDTODEVICE SO_COOKIE"
            " SOCK_NONBLOCK SOCK_CLOEXEC SCM_RIGHTS TCP_CONGESTION CMSG_LEN CMSG_SPACE"
            " MSG_NOSIGNAL MSG_DONTWAIT send_fds recv_fds"
        ),
        "asyncio": (
            "start_unix_server open_unix_connection DefaultChildWatcher AbstractChildWatcher"
        ),
        "time": "CLOCK_BOOTTIME CLOCK_MONOTONIC CLOCK_REALTIME clock_gettime",
    },
    "darwin": {
        "os": (
            "pipe2 splice eventfd pidfd_open sched_getaffinity O_PATH setns unshare memfd_create"
        ),
        "select": "epoll EPOLLIN EPOLLOUT EPOLLERR EPOLLHUP EPOLLET EPOLLRDHUP",
        "signal": "pidfd_send_signal SIGRTMIN",
        "socket": (
            "AF_NETLINK AF_VSOCK SO_PEERCRED SO_BINDTODEVICE SO_COOKIE SOCK_NONBLOCK SOCK_CLOEXEC"
            " TCP_CONGESTION SO_MARK"
        ),
        "time": "CLOCK_BOOTTIME",
    },
}
"""Names of modules that are not there: docs.python.org's "Availability" of each."""

PROGRAM: Final = """
import importlib, json, sys
absent, missing, names, platform = json.load(sys.stdin)
import asyncio, ctypes, logging.handlers, msgspec, multiprocessing, paramiko, platformdirs, psutil
import asyncio_dgram, concurrent.futures, shutil, socket, subprocess, tempfile, urllib.request
try:
    import PySide6.QtNetwork, PySide6.QtSvg, PySide6.QtWidgets
except ImportError:
    pass
for module, texts in missing.items():
    for name in texts.split():
        vars(sys.modules[module]).pop(name, None)
for module in absent:
    sys.modules[module] = None
import pathlib
for module in (pathlib, sys.modules[pathlib.Path.__module__]):  # from 3.13 on a package
    module.WindowsPath = pathlib.PosixPath
sys.platform = platform
if platform == "win32":
    import os
    os.name = "nt"
failed = {}
for name in names:
    try:
        importlib.import_module(name)
    except BaseException as error:
        failed[name] = f"{type(error).__name__}: {error}"
print(json.dumps(failed))
"""
"""What others' packages need is imported before: their own affair."""


def names() -> list[str]:
    """All modules but the ones that run when they are imported."""
    found = []
    for room in ROOMS:
        for path in sorted((PROJECT / room).rglob("*.py")):
            parts = path.relative_to(PROJECT).with_suffix("").parts
            if parts[-1] != "__main__":
                found.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return found


def is_meant_for(platform: str, name: str) -> bool:
    others = {*LINUX_ONLY, *(POSIX_ONLY if platform == "win32" else ())}
    return not any(name == each or name.startswith(f"{each}.") for each in others)


def imported(platform: str, modules: list[str]) -> dict[str, str]:
    """What cannot be imported there, and why."""
    order = json.dumps([ABSENT[platform], MISSING[platform], modules, platform])
    done = subprocess.run(
        [sys.executable, "-P", "-c", PROGRAM],
        input=order,
        capture_output=True,
        text=True,
        cwd=PROJECT,
        env={"PYTHONPATH": str(PROJECT), "PATH": "", "QT_QPA_PLATFORM": "offscreen"},
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    failed: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return failed


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_every_module_can_be_imported_but_those_for_linux_alone(platform: str) -> None:
    with_window = importlib.util.find_spec("PySide6") is not None
    modules = [
        each
        for each in names()
        if is_meant_for(platform, each) and (with_window or not each.startswith("gui"))
    ]
    assert len(modules) > 200
    failed = imported(platform, modules)
    assert not failed, "\n".join(f"{name}: {why}" for name, why in failed.items())


def test_what_is_for_linux_alone_is_there() -> None:
    assert LINUX_ONLY.keys() | POSIX_ONLY.keys() <= set(names())
