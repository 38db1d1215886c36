"""What a machine has of that which the agent needs, asked with one script.

Rules: the script changes nothing. What a log-in prints before it is skipped. Counterparts:
`bootstrap.py` starts the agent by the same rules.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import Final

from desktop.machines.bootstrap import PYTHONS
from desktop.machines.launch import AgentStartError
from desktop.machines.shell import Shell
from link.outcome import Outcome

__all__ = ["Facts", "ask"]

OLDEST_PYTHON: Final = (3, 9)
MARK: Final = "samehost-facts"
ENGINE_SOCKETS: Final = (
    "/run/docker.sock",
    "/run/podman/podman.sock",
    "/run/user/*/docker.sock",
    "/run/user/*/podman/podman.sock",
    "/run/containerd/containerd.sock",
    "/run/k3s/containerd/containerd.sock",
)
"""Where container engines listen by default; patterns of sh(1)."""

_SCRIPT: Final = """\
LC_ALL=C
export LC_ALL
PATH=$PATH:/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin
echo @MARK@
echo "system $(uname -s) $(uname -r) $(uname -m)"
echo "user $(id -u) $(id -un)"
for python in @PYTHONS@; do
    python=$(command -v "$python") || continue
    "$python" -I -c @VERSION@ && break
done 2>/dev/null
if [ "$(id -u)" = 0 ]; then echo 'root by log-in'
elif words=$(sudo -n true 2>&1); then echo 'root by sudo'
else echo "noroot $words"; fi
for socket in @SOCKETS@; do
    [ ! -S "$socket" ] || echo "engine $socket"
done
"""

_VERSION: Final = """\
import sys
print("python", "%d.%d.%d" % sys.version_info[:3], sys.executable)
sys.exit(sys.version_info < (3, 9))
"""
"""Ends well if that is new enough."""

_VERSION_NUMBER: Final = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})(?:\.| |$)")
"""At the beginning of what that printed; a machine may say anything."""

SCRIPT: Final = (
    _SCRIPT.replace("@MARK@", MARK)
    .replace("@VERSION@", shlex.quote(_VERSION))
    .replace("@PYTHONS@", " ".join(PYTHONS))
    .replace("@SOCKETS@", " ".join(ENGINE_SOCKETS))
)


@dataclass(frozen=True, slots=True)
class Facts:
    """Each is text for a person. Methods raise AgentStartError where the agent could not be."""

    system: str = ""
    user: str = ""
    pythons: tuple[str, ...] = ()
    root: str = ""
    no_root: str = ""
    engines: tuple[str, ...] = ()

    @classmethod
    def read(cls, said: str) -> Facts:
        """What the script has printed means."""
        told: dict[str, list[str]] = {}
        for line in said.partition(f"{MARK}\n")[2].splitlines():
            name, _, value = line.partition(" ")
            told.setdefault(name, []).append(value)

        def first(name: str) -> str:
            return told.get(name, [""])[0]

        return cls(
            first("system"),
            first("user"),
            tuple(dict.fromkeys(told.get("python", ()))),
            first("root"),
            first("noroot"),
            tuple(told.get("engine", ())),
        )

    def linux(self) -> str:
        """The kernel."""
        if not self.system.startswith("Linux "):
            raise AgentStartError(f"it is {self.system or 'no Linux'}", outcome=Outcome.NOT_LINUX)
        return self.system

    def python(self) -> str:
        """The Python that the agent gets."""
        for each in self.pythons:
            version = _VERSION_NUMBER.match(each)
            if version and (int(version[1]), int(version[2])) >= OLDEST_PYTHON:
                return each
        if self.pythons:
            found = ", ".join(self.pythons)
            raise AgentStartError(f"only Python {found}", outcome=Outcome.OLD_PYTHON)
        raise AgentStartError("there is no python3", outcome=Outcome.NO_PYTHON)

    def becomes_root(self) -> str:
        """How the agent becomes root."""
        if not self.root:
            said = f": {self.no_root}" if self.no_root else ""
            raise AgentStartError(f"{self.user} is not root{said}", outcome=Outcome.NO_PERMISSION)
        return f"{self.root}; user {self.user}"

    def engine(self) -> str:
        """The engines' sockets; that there are none is no fault."""
        return ", ".join(self.engines) or "none found: containers are told without their names"


async def ask(shell: Shell) -> Facts:
    """Ask a machine. Raises ShellError."""
    done = await shell.run(SCRIPT)
    return Facts.read(done.output.decode(errors="replace"))
