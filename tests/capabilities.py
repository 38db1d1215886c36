"""What tests need of the system they run on: each with a probe, and the reason for skipping them.

    @needs(UNIX_SOCKETS)
    def test_…

Rules: the system is asked for the thing itself, never for its name. A test that can do without is
written so that it does. Modules that cannot be imported where something is missing, or have nothing
to test there, are listed in `WHOLE`: they are skipped when they are collected, and pytest reports
that as any other skip. Linux has everything, but for what a test says of its own.

Counterparts: `conftest.py`, which skips modules; `windows/wine.py`, of what Wine alone lacks.
"""

from __future__ import annotations

import importlib.util
import os
import select
import shutil
import signal
import socket
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

__all__ = [
    "AS_ROOT",
    "BOOT_CLOCK",
    "INTERFACES",
    "LINUX_KERNEL",
    "POSIX_FILES",
    "POSIX_PROCESSES",
    "SYMLINKS",
    "UNIX_SOCKETS",
    "USER_IDS",
    "UVLOOP",
    "WHOLE",
    "Capability",
    "missing_for",
    "needs",
    "require",
]

TESTS: Final = Path(__file__).parent


@dataclass(frozen=True)
class Capability:
    """Something of the system.

    Attributes:
        is_there: whether this computer has it.
        reason: what to say where it has not.
    """

    is_there: bool
    reason: str


LINUX_KERNEL: Final = Capability(
    hasattr(select, "epoll"), "epoll, splice, namespaces and /proc are Linux's"
)
"""For the agent, the data plane of Linux, and what measures and injures the two."""

INTERFACES: Final = Capability(
    LINUX_KERNEL.is_there and shutil.which("ip") is not None,
    "network interfaces are made by ip (iproute2), which is not here",
)
"""Small emulated computers, with nothing but a kernel and Python, lack it."""

BOOT_CLOCK: Final = Capability(hasattr(time, "CLOCK_BOOTTIME"), "CLOCK_BOOTTIME is Linux's")

UVLOOP: Final = Capability(importlib.util.find_spec("uvloop") is not None, "uvloop is not here")

UNIX_SOCKETS: Final = Capability(hasattr(socket, "AF_UNIX"), "Python has no Unix sockets here")

USER_IDS: Final = Capability(
    hasattr(os, "geteuid"), "users have no numbers here, and files no modes"
)

AS_ROOT: Final = Capability(USER_IDS.is_there and os.geteuid() == 0, "root alone may do that")


def _are_there_links() -> bool:
    with tempfile.TemporaryDirectory(prefix="sh-") as folder:
        link = Path(folder, "link")
        try:
            link.symlink_to("target")
        except OSError:  # on Windows that is a privilege
            return False
        return link.is_symlink()


SYMLINKS: Final = Capability(_are_there_links(), "this user may make no symbolic links")


POSIX_FILES: Final = Capability(
    importlib.util.find_spec("fcntl") is not None,
    "descriptors of any kind, fcntl and limits are POSIX's",
)

POSIX_PROCESSES: Final = Capability(
    hasattr(signal, "SIGKILL") and hasattr(os, "fork"), "signals and sessions are POSIX's"
)
"""For shells, too, and for files that are programs by their first line."""

WHOLE: Final = {
    "contract/test_costs.py": LINUX_KERNEL,
    "contract/test_desktop_ports.py": LINUX_KERNEL,
    "contract/test_engines.py": POSIX_PROCESSES,
    "contract/test_relay_pipes.py": LINUX_KERNEL,
    "contract/test_relay_streams.py": POSIX_PROCESSES,
    "contract/test_shells.py": POSIX_PROCESSES,
    "contract/test_sudden_end.py": LINUX_KERNEL,
    "unit/bench": LINUX_KERNEL,
    "unit/daemon/test_parked_streams.py": LINUX_KERNEL,
    "unit/link/datagrams/test_clients.py": LINUX_KERNEL,
    "unit/link/datagrams/test_kernel.py": LINUX_KERNEL,
    "unit/link/datagrams/test_linux.py": LINUX_KERNEL,
    "unit/link/datagrams/test_system_calls.py": LINUX_KERNEL,
    "unit/link/datagrams/test_unreachable.py": LINUX_KERNEL,
    "unit/link/datagrams/test_work.py": LINUX_KERNEL,
    "unit/link/mux/test_pump.py": LINUX_KERNEL,
    "unit/link/test_connected_servers.py": LINUX_KERNEL,
    "unit/link/test_loop.py": LINUX_KERNEL,
    "unit/link/test_opening.py": LINUX_KERNEL,
    "unit/link/test_processes.py": LINUX_KERNEL,
    "unit/link/test_sockdiag.py": LINUX_KERNEL,
    "unit/link/test_udp_table.py": LINUX_KERNEL,
    "unit/listeners/test_linux.py": LINUX_KERNEL,
    "unit/machines/test_record.py": LINUX_KERNEL,
    "unit/machines/test_sandbox.py": LINUX_KERNEL,
    "unit/machines/test_traces.py": LINUX_KERNEL,
    "unit/scripts/test_bytecode.py": LINUX_KERNEL,
    "unit/scripts/test_elf.py": LINUX_KERNEL,
    "unit/soak": LINUX_KERNEL,
    "unit/test_guest.py": LINUX_KERNEL,
    "unit/vmagent": LINUX_KERNEL,
}
"""Modules and folders, in `tests`, that are not imported without."""


def needs(*wanted: Capability) -> pytest.MarkDecorator:
    """For a test, or a module of tests, that is skipped if one of these is not here."""
    reasons = [each.reason for each in wanted if not each.is_there]
    return pytest.mark.skipif(bool(reasons), reason=", ".join(reasons) or "-")


def require(*wanted: Capability) -> None:
    """Skip the test that runs if one of these is not here: for fixtures and stand-ins."""
    for each in wanted:
        if not each.is_there:
            pytest.skip(each.reason)


def missing_for(module: Path) -> str:
    """Why this module of tests cannot be imported here; "" if it can."""
    if not module.is_relative_to(TESTS):
        return ""
    inside = module.relative_to(TESTS)
    for each in (inside, *inside.parents):
        capability = WHOLE.get(each.as_posix())
        if capability is not None and not capability.is_there:
            return capability.reason
    return ""
