"""How the agent gets into a machine that is only a shell: over standard input, into memory.

    START_SCRIPT ─▶ which Python, root how ─▶ loader ─▶ takes the feed into a memfd(2) ─▶ the agent

Nothing is written to the machine's disk. Where systemd runs the machine, the agent is a transient
unit of it (systemd-run(1)), on the same standard input and output, with less to break: see
UNIT_PROPERTIES; where such a unit cannot be had, as is tried first, it is a program of the log-in.
Every reason why it does not start has its exit status (`link.outcome`). The order follows on the
same standard input (`launch.py`). With the agent comes its hash: what a log-in's own scripts have
eaten, or added, is noticed.

Limits: Linux 3.17 for memfd_create(2), or a /tmp that knows O_TMPFILE (open(2)); root by a root
log-in, or by sudo(8) without a password.
"""

from __future__ import annotations

import hashlib
import shlex
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Final

from desktop.machines.agent_bundle import build_agent

__all__ = [
    "AGENT_WORD",
    "LOADER",
    "PYTHONS",
    "START_SCRIPT",
    "UNIT_PROPERTIES",
    "agent_feed",
    "own_agent",
]

AGENT_WORD: Final = "samehost-agent"
"""Stands on the agent's command line, for whoever looks at the machine's processes."""

PYTHONS: Final = (
    "python3",
    "/usr/bin/python3",
    "/usr/local/bin/python3",
    *(f"python3.{minor}" for minor in range(14, 8, -1)),
    "/usr/libexec/platform-python",
)
"""Where a Python may be, first choice first; the last is the system's own on RHEL and its kin."""

LOADER: Final = """\
import sys
if sys.version_info < (3, 9):
    sys.exit(82)
import hashlib, os
def take(size):
    taken = b""
    while len(taken) < size:
        part = os.read(0, size - len(taken))
        if not part:
            sys.exit(87)
        taken += part
    return taken
def place():
    for flags in (0, 8):
        try:
            return os.memfd_create("samehost-agent", flags)
        except (OSError, AttributeError):
            pass
    return os.open("/tmp", os.O_TMPFILE | os.O_RDWR, 0o600)
if take(8) != b"samehost":
    sys.exit(87)
size, digest = int(take(8), 16), take(64)
agent = take(size)
if hashlib.sha256(agent).hexdigest().encode() != digest:
    sys.exit(87)
file = place()
os.set_inheritable(file, True)
while agent:
    agent = agent[os.write(file, agent):]
program = [sys.executable, "-I", "/proc/self/fd/%d" % file, "samehost-agent"]
os.execv(sys.executable, program)
"""
"""For `python3 -I -c`: takes the feed and becomes the agent. Parses on any Python 3.

The second flag is MFD_NOEXEC_SEAL, which a machine may demand (kernel documentation,
userspace-api/mfd_noexec).
"""

UNIT_PROPERTIES: Final = (
    "ProtectSystem=strict",
    "ReadWritePaths=/run",
    "ProtectHome=read-only",
    "TemporaryFileSystem=/tmp",
    "TemporaryFileSystem=/var/tmp",
    "ProtectKernelTunables=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelLogs=yes",
    "ProtectControlGroups=yes",
    "LockPersonality=yes",
    "NoNewPrivileges=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "SystemCallArchitectures=native",
    "MemoryMax=50%",
    "TasksMax=64",
    "LimitNOFILE=524288",
    "LimitMEMLOCK=infinity",
    "TimeoutStopSec=5",
)
"""systemd.exec(5), systemd.resource-control(5). What the agent looks at stays in sight: processes,
network and cgroups of the machine. /run is where its socket is."""

_SCRIPT: Final = """\
LC_ALL=C
export LC_ALL
PATH=$PATH:/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin
[ "$(uname -s)" = Linux ] || exit 84
root=
if [ "$(id -u)" != 0 ]; then
    root='sudo -n --'
    sudo -n true || exit 83
fi
unit=
if [ -d /run/systemd/system ]; then
    unit='systemd-run --pipe --quiet --collect --description=samehost-agent @PROPERTIES@'
    owner=${SUDO_UID:-$(id -u)}
    unit="$unit --setenv=SUDO_UID=$owner"
    $root $unit true </dev/null >/dev/null 2>&1 || unit=
fi
found=81
for python in @PYTHONS@; do
    python=$(command -v "$python") || continue
    $root $unit "$python" -I -c @LOADER@
    status=$?
    case $status in
        82) found=82; echo "$python is older than Python 3.9" >&2 ;;
        126|127|203) ;;
        *) exit $status ;;
    esac
done
[ $found = 82 ] || echo 'there is no python3' >&2
exit $found
"""

START_SCRIPT: Final = (
    _SCRIPT.replace("@PYTHONS@", " ".join(PYTHONS))
    .replace("@PROPERTIES@", " ".join(f"--property={each}" for each in UNIT_PROPERTIES))
    .replace("@LOADER@", shlex.quote(LOADER))
)
"""Becomes the agent; for a POSIX sh(1), with `agent_feed` and the order on standard input."""


def agent_feed(agent: bytes) -> bytes:
    """What START_SCRIPT reads before the order: the agent's zipapp, with its size and hash."""
    digest = hashlib.sha256(agent).hexdigest()
    return b"samehost%08x%s%s" % (len(agent), digest.encode(), agent)


@lru_cache(maxsize=1)
def own_agent() -> bytes:
    """The agent of this very version, as a zipapp. Raises SamehostError."""
    with tempfile.TemporaryDirectory(prefix="samehost-") as folder:
        bundle = Path(folder) / "agent.pyz"
        build_agent(bundle)
        return bundle.read_bytes()
