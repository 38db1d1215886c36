"""Words and icons for machines: kinds, states, durations, the lines of one that is in use.

Rules: pure, but for the translations. What the daemon and machines say stays as it comes, cut to a
bearable length; whoever shows it takes out what steers (`gui.parts.plain`).
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Final

from PySide6.QtCore import QCoreApplication, QLocale

from desktop.api.types import MachineStatus

__all__ = [
    "Fact",
    "cut",
    "duration",
    "engine_command",
    "facts",
    "kind_word",
    "state_icon",
    "state_word",
]

translate = QCoreApplication.translate

LONGEST_WORDS: Final = 1000
"""Letters of what a stranger says that are shown; more is no message, but a nuisance."""

_KINDS: Final = {
    "colima": "Colima",
    "docker": "Docker",
    "lima": "Lima",
    "podman": "Podman",
    "rancher": "Rancher Desktop",
    "wsl": "WSL 2",
}
"""Names of products, which are the same in all languages."""

_ICONS: Final = {
    "connected": "active",
    "starting": "pending",
    "connecting": "pending",
    "reconnecting": "pending",
    "failed": "conflict",
    "running": "start",
    "stopped": "stop",
}


@dataclass(frozen=True)
class Fact:
    """Something about a machine in use, and what to know with it.

    `is_wrong`: it should not be so. `is_wide`: it takes a line of its own.
    """

    key: str
    label: str
    text: str
    hint: str = ""
    is_wrong: bool = False
    is_wide: bool = False


def cut(text: str, most: int = LONGEST_WORDS) -> str:
    """The text, or as much of it as is worth showing."""
    return text if len(text) <= most else text[: most - 1] + "…"


def state_word(state: str) -> str:
    """A state for people; one that is not known here as it came."""
    words = {
        "connected": translate("MachineWords", "Connected"),
        "starting": translate("MachineWords", "Starting"),
        "connecting": translate("MachineWords", "Connecting"),
        "reconnecting": translate("MachineWords", "Reconnecting"),
        "failed": translate("MachineWords", "Failed"),
        "running": translate("MachineWords", "Running"),
        "stopped": translate("MachineWords", "Stopped"),
        "unknown": translate("MachineWords", "Not known"),
    }
    return words.get(state, cut(state, 40))


def state_icon(state: str) -> str:
    """The name of the icon beside that word."""
    return _ICONS.get(state, "ignored")


def kind_word(kind: str) -> str:
    """What sort of machine it is."""
    words = {
        "docker-ssh": translate("MachineWords", "Docker over SSH"),
        "sandbox": translate("MachineWords", "Sandbox"),
        "ssh": translate("MachineWords", "SSH server"),
    }
    return words.get(kind) or _KINDS.get(kind) or cut(kind, 40)


def duration(seconds: float) -> str:
    """A time that has gone by, in its two largest units."""
    locale = QLocale()
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    shown = {
        key: locale.toString(value)
        for key, value in {"d": days, "h": hours, "min": minutes, "s": rest}.items()
    }
    if days:
        return translate("MachineWords", "{d} d {h} h").format(**shown)
    if hours:
        return translate("MachineWords", "{h} h {min} min").format(**shown)
    if minutes:
        return translate("MachineWords", "{min} min").format(**shown)
    return translate("MachineWords", "{s} s").format(**shown)


def facts(machine: MachineStatus, daemon_version: str) -> list[Fact]:
    """What there is to say of a machine, in the order in which it is shown."""
    warning = _version_warning(machine.agent_version, daemon_version)
    told = [
        Fact("connected-for", translate("MachineWords", "Connected for"), _connected_for(machine)),
        Fact("kernel", translate("MachineWords", "Kernel"), cut(machine.kernel)),
        Fact(
            "transport",
            translate("MachineWords", "Reached over"),
            cut(machine.transport),
            cut(machine.transport_limits),
        ),
        Fact(
            "agent",
            translate("MachineWords", "Agent"),
            _agent(machine),
            warning,
            is_wrong=bool(warning),
        ),
        Fact(
            "watcher",
            translate("MachineWords", "Watched by"),
            cut(machine.watcher),
            is_wide=True,
        ),
    ]
    return [fact for fact in told if fact.text]


def engine_command(docker_host: str) -> str:
    """The line that leads the docker command to a machine; "" if there is no way."""
    return f"export DOCKER_HOST={shlex.quote(docker_host)}" if docker_host else ""


def _connected_for(machine: MachineStatus) -> str:
    return duration(machine.connected_s) if machine.state == "connected" else ""


def _agent(machine: MachineStatus) -> str:
    if not machine.python:
        return cut(machine.agent_version)
    with_python = translate("MachineWords", "{version}, on Python {python}")
    return with_python.format(version=cut(machine.agent_version), python=cut(machine.python, 40))


def _version_warning(agent: str, daemon: str) -> str:
    if not agent or not daemon or agent == daemon:
        return ""
    return translate(
        "MachineWords",
        "The daemon is version {}. The agent is renewed when the machine is attached anew.",
    ).format(cut(daemon, 40))
