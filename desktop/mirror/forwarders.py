"""Other programs that make a machine's ports appear on this computer, and how they are told not to.

Rules: pure. A forwarder is known by the name of its process, as systems shorten it, and by the
machine it serves: Colima and Rancher Desktop forward with Lima's programs. The words that switch it
off are those of its tool's documentation: Lima `templates/default.yaml` (portForwards) and its FAQ
(override.yaml), Colima `colima start --help`, WSL's .wslconfig (localhostForwarding). Where there
is no switch, what helps instead is said.

Limit: `ssh` may be a person's own; where Lima's machines forward by it, that is said as a guess.
Counterparts: `conflicts.py` names them as holders, `defaults.py` leaves their ports alone.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Final

from link.listener import Listener

__all__ = ["Forwarder", "find_forwarder"]

SHORTENED: Final = 15
"""Letters of a process's name that Linux keeps (TASK_COMM_LEN without the final zero)."""

IGNORE_ALL: Final = (
    "`portForwards: [{guestIP: 0.0.0.0, guestIPMustBeZero: false, proto: any, ignore: true}]`"
)
"""Lima's rule by which it forwards no port at all; it goes before all others."""

LIMA_EDIT: Final = (
    f"{IGNORE_ALL} in its lima.yaml leaves all ports to Samehost:"
    " limactl stop <name>, limactl edit <name>, limactl start <name>"
)

REMAP: Final = (
    "samehost settings set remap '{\"<protocol>:<port>\": OTHER}' gives it another port here"
)


@dataclass(frozen=True, slots=True)
class Forwarder:
    """One tool's forwarder.

    Attributes:
        tool: whose it is.
        processes: names of its processes.
        machines: how the names of machines begin that it serves; "" is any.
        advice: what switches it off.
        is_sure: False if somebody else's process may be called so.
    """

    tool: str
    processes: tuple[str, ...]
    machines: tuple[str, ...]
    advice: str
    is_sure: bool = True

    def serves(self, machine: str) -> bool:
        """True if it forwards ports of that machine."""
        return machine.startswith(self.machines)

    def has(self, process: str) -> bool:
        """True if a process of that name is its own."""
        name = process.removesuffix(".exe").lower()
        known = (each.lower() for each in self.processes)
        return any(name in (each, each[:SHORTENED]) for each in known)

    def words(self, holder: Listener, machine: str) -> str:
        """What it is and what to do about it, for a person."""
        advice = self.advice.replace("<name>", _own_name(machine))
        advice = advice.replace("<protocol>", holder.protocol).replace("<port>", str(holder.port))
        if self.is_sure:
            return f"{self.tool} forwards it already; {advice}"
        return f"if {self.tool} forwards it by that, {advice}"


_COLIMA: Final = (
    "`colima start <name> --port-forwarder none` (Colima 0.10), after colima stop <name>, leaves"
    " all ports to Samehost"
)
_RANCHER: Final = (
    f"{IGNORE_ALL} in lima/_config/override.yaml of its folder leaves all ports to Samehost"
)

_FORWARDERS: Final = (
    Forwarder("Lima", ("limactl",), ("lima-",), LIMA_EDIT),
    Forwarder("Lima", ("ssh",), ("lima-",), LIMA_EDIT, is_sure=False),
    Forwarder("Colima", ("limactl",), ("colima",), _COLIMA),
    Forwarder("Colima", ("ssh",), ("colima",), _COLIMA, is_sure=False),
    Forwarder("Rancher Desktop", ("limactl",), ("rancher",), _RANCHER),
    Forwarder("Rancher Desktop", ("ssh",), ("rancher",), _RANCHER, is_sure=False),
    Forwarder("Rancher Desktop", ("host-switch",), ("rancher", "wsl-"), REMAP),
    Forwarder(
        "Podman",
        ("gvproxy", "win-sshproxy"),
        ("podman",),
        "a container publishes it: run that one without -p",
    ),
    Forwarder(
        "WSL",
        ("wslrelay",),
        ("wsl-", "rancher", "podman"),
        "`localhostForwarding=false` below [wsl2] in .wslconfig, then wsl --shutdown, leaves all"
        " ports to Samehost",
    ),
    Forwarder(
        "Docker Desktop",
        ("com.docker.backend", "com.docker.vpnkit", "vpnkit"),
        ("docker-desktop",),
        "a container of Docker Desktop has it: stop that one",
    ),
    Forwarder(
        "OrbStack",
        ("OrbStack Helper", "OrbStack"),
        ("docker-orbstack",),
        "a container or machine of OrbStack has it: stop that one",
    ),
)


def find_forwarder(holder: Listener, machine: str) -> Forwarder | None:
    """Whose forwarder has a port of this computer: the machine's own if it may be, or another's."""
    if not holder.process or holder.container is not None:
        return None
    return _find(holder.process, machine)


@functools.lru_cache(maxsize=1024)
def _find(process: str, machine: str) -> Forwarder | None:
    fitting = [each for each in _FORWARDERS if each.has(process)]
    own = next((each for each in fitting if each.serves(machine)), None)
    return own or next((each for each in fitting if each.is_sure), None)


def _own_name(machine: str) -> str:
    """What the tool calls the machine."""
    if machine == "colima":
        return "default"
    for prefix in ("lima-", "colima-"):
        if machine.startswith(prefix):
            return machine.removeprefix(prefix)
    return "NAME"
