"""What there is to say when there is nothing to show, or something is wrong: words and one action.

    what is known ─▶ state_of ─▶ State(name, title, explanation, action, …), or None: all is well

Rules: pure, but for translating. The first thing in the way is told, and only that: no daemon
before no machine, no machine before no ports. What the daemon itself says stays in its own words.
Counterparts: `state_view.py` shows one; `tests/gui/test_states.py` has a row for each.
"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from PySide6.QtCore import QCoreApplication

from desktop.api.types import MachineStatus, Status
from gui.session import Link, Problem

__all__ = ["Action", "Known", "State", "action_text", "state_of"]

EXAMPLE: Final = "samehost docker run --rm -it --net=host {image} nc -lkv 0.0.0.0 8000"
"""The README's first command, by whatever docker the machine has."""

IMAGE: Final = "nicolaka/netshoot"
SANDBOX_IMAGE: Final = "samehost/netshoot"
"""What has `nc`: on Docker Hub, and in the demonstration's machine."""

COUNT: Final = re.compile(r" \(\d+\)$")
"""At the end of a trouble (`desktop.daemon.troubles`)."""

SHOWN_LINES: Final = 6
"""The last so many lines of progress."""

translate = QCoreApplication.translate


class Action(Enum):
    """What a button may do about it."""

    NONE = ""
    START = "start the daemon"
    ENABLE = "turn the switch on"
    ATTACH = "attach to the machine of the settings, or one that is found"
    MACHINES = "show the machine page"
    SWITCH = "show the page with the switch, which says who locked it and what to do"
    RETRY = "look again"


@dataclass(frozen=True, slots=True)
class Known:
    """All that a state depends on.

    Attributes:
        lines: what a start under way has said.
        machines: how many machines were found; None while nobody has looked.
        is_attaching: a machine is being looked for, started and attached.
        rows: how many rows the port table has.
        platform: `sys.platform`.
    """

    link: Link
    problem: Problem | None = None
    status: Status | None = None
    lines: Sequence[str] = ()
    machines: int | None = None
    rows: int = 0
    is_attaching: bool = False
    platform: str = sys.platform


@dataclass(frozen=True, slots=True)
class State:
    """What to show. `name` is for tests and object names; `busy` says that it passes by itself."""

    name: str
    title: str
    explanation: str
    action: Action = Action.NONE
    command: str = ""
    icon: str = "info"
    busy: bool = field(default=False)


def action_text(action: Action) -> str:
    """What the button says, with its mnemonic."""
    return {
        Action.NONE: "",
        Action.START: translate("states", "&Start Samehost"),
        Action.ENABLE: translate("states", "&Enable host networking"),
        Action.ATTACH: translate("states", "&Connect to the machine"),
        Action.MACHINES: translate("states", "Choose a &machine"),
        Action.SWITCH: translate("states", "Show the &switch"),
        Action.RETRY: translate("states", "&Try again"),
    }[action]


def state_of(known: Known) -> State | None:
    """What is to be said first; None if all is well and there are rows to show."""
    if known.link is not Link.READY or known.status is None:
        return _of_the_daemon(known)
    status = known.status
    is_attached = any(machine.state != "stopped" for machine in status.machines)
    if known.machines == 0 and not is_attached and not known.is_attaching:
        return _no_machine_found(known.platform)
    if not status.enabled:
        return _switched_off(status)
    state = _of_the_machine(status.machine, known) or _of_what_is_short(status)
    if state is None and known.rows == 0:
        return _no_ports(status.machine)
    return state


def _of_the_daemon(known: Known) -> State:
    words = {
        Link.ABSENT: _absent,
        Link.STARTING: _starting,
        Link.HUNG: _hung,
        Link.FOREIGN: _foreign,
        Link.REFUSED: _refused,
    }.get(known.link, _connecting)
    return words(known)


def _absent(known: Known) -> State:
    if known.problem is not None and known.problem.code != "NOT_RUNNING":
        return State(
            "start-failed",
            translate("states", "Samehost could not be started"),
            _said(known.problem),
            Action.START,
            icon="warning",
        )
    return State(
        "daemon-down",
        translate("states", "Samehost is not running"),
        translate(
            "states",
            "Ports of containers are on this computer's localhost only while Samehost runs in the "
            "background. It goes on when this window is closed.",
        ),
        Action.START,
        "samehost up",
        "tray-off",
    )


def _progress(known: Known) -> str:
    """The last of what a start says."""
    return "\n".join(known.lines[-SHOWN_LINES:])


def _starting(known: Known) -> State:
    usual = translate("states", "This takes a moment.")
    return State(
        "starting",
        translate("states", "Samehost is starting"),
        _progress(known) or usual,
        icon="pending",
        busy=True,
    )


def _connecting(known: Known) -> State:
    explanation = translate("states", "Asking the Samehost that runs in the background.")
    return State(
        "connecting",
        translate("states", "Connecting to Samehost"),
        _said(known.problem) or explanation,
        icon="pending",
        busy=True,
    )


def _hung(known: Known) -> State:
    explanation = translate(
        "states",
        "It runs, but says nothing. Perhaps this computer is very busy; if it lasts, stop it and "
        "start it again.",
    )
    return State(
        "hung",
        translate("states", "Samehost does not answer"),
        _said(known.problem) or explanation,
        Action.RETRY,
        "samehost down; samehost up",
        "warning",
    )


def _foreign(known: Known) -> State:
    explanation = translate(
        "states",
        "What runs in the background is of another version than this window. Stop it, and start "
        "the one that is installed now.",
    )
    return State(
        "other-version",
        translate("states", "Another version of Samehost is running"),
        "\n".join(filter(None, [_message(known.problem), explanation])),
        Action.RETRY,
        "samehost down; samehost up",
        "warning",
    )


def _refused(known: Known) -> State:
    explanation = translate(
        "states", "It belongs to another user, and only that user and root may change it."
    )
    return State(
        "refused",
        translate("states", "This Samehost is not yours"),
        _said(known.problem) or explanation,
        Action.RETRY,
        icon="lock",
    )


def _no_machine_found(platform: str) -> State:
    return State(
        "no-machine-found",
        translate("states", "No machine was found"),
        _what_to_install(platform),
        Action.MACHINES,
        "samehost machine list",
        "machine",
    )


def _what_to_install(platform: str) -> str:
    if platform == "darwin":
        return translate(
            "states",
            "Containers run in a Linux machine. Install Lima, Colima, Podman or Rancher Desktop "
            "and start its machine: it is found by itself.",
        )
    if platform == "win32":
        return translate(
            "states",
            "Containers run in a Linux machine. Install a distribution of WSL 2, Podman or Rancher "
            "Desktop and start it: it is found by itself.",
        )
    return translate(
        "states",
        "Containers run in a Linux machine. Install Lima, Colima or Podman and start its machine: "
        "it is found by itself. Or, as root and with the package docker.io installed, let "
        "“samehost up” make a sandbox with a Docker Engine of its own.",
    )


def _switched_off(status: Status) -> State:
    title = translate("states", "Host networking is off")
    if status.enabled_locked or status.enabled_reason:
        locked = translate("states", "It is locked, and cannot be turned on here.")
        return State("locked", title, status.enabled_reason or locked, Action.SWITCH, icon="lock")
    return State(
        "switched-off",
        title,
        translate(
            "states",
            "Turned on, every port that a container started with --net=host opens is open on this "
            "computer's localhost, and the container reaches this computer's localhost. No "
            "container is restarted.",
        ),
        Action.ENABLE,
        "samehost enable",
        "network",
    )


def _of_the_machine(machine: MachineStatus, known: Known) -> State | None:
    if machine.state == "connected":
        return None
    if machine.state in ("starting", "connecting"):
        return _attaching(machine.name, known)
    if known.is_attaching and machine.state in ("stopped", "failed"):
        return _attaching("", known)
    if machine.state == "reconnecting":
        return State(
            "machine-gone",
            translate("states", "The machine {name} has gone").format(name=machine.name),
            translate(
                "states",
                "It does not answer any more: perhaps it sleeps, or was stopped; then start it on "
                "the page Machine. Samehost goes on trying, and its ports come back with it.",
            ),
            Action.MACHINES,
            icon="warning",
            busy=True,
        )
    if machine.state == "failed":
        return _failed(machine)
    return _not_attached()


def _attaching(name: str, known: Known) -> State:
    """`name` is "" while it is not known which machine is found."""
    return State(
        "machine-starting",
        translate("states", "Connecting to the machine {name}").format(name=name).rstrip(),
        _progress(known) or translate("states", "Ports appear as soon as it answers."),
        icon="pending",
        busy=True,
    )


def _of_what_is_short(status: Status) -> State | None:
    """What the daemon says, but not how often it refused somebody: that grows all the time."""
    if not status.troubles:
        return None
    return State(
        "short",
        translate("states", "Something has run short"),
        "\n".join(COUNT.sub("", trouble) for trouble in status.troubles),
        command="samehost status",
        icon="warning",
    )


def _failed(machine: MachineStatus) -> State:
    return State(
        "machine-failed",
        translate("states", "The machine {name} cannot be reached").format(name=machine.name),
        translate("states", "See whether it runs, and what keeps Samehost from it."),
        Action.ATTACH,
        f"samehost machine doctor {shlex.quote(machine.name)}",
        "warning",
    )


def _not_attached() -> State:
    return State(
        "no-machine",
        translate("states", "No machine is connected"),
        translate(
            "states",
            "Containers run in a Linux machine, and Samehost is connected to none. Connect to the "
            "one of the settings or one that runs, or choose on the page Machine.",
        ),
        Action.ATTACH,
        icon="machine",
    )


def _no_ports(machine: MachineStatus) -> State:
    return State(
        "no-ports",
        translate("states", "No ports yet"),
        translate(
            "states",
            "Start a container with --net=host that listens on a port, and it appears here at "
            "once. For example, this one, which then answers on localhost:8000:",
        ),
        command=EXAMPLE.format(image=SANDBOX_IMAGE if machine.kind == "sandbox" else IMAGE),
        icon="ports",
    )


def _message(problem: Problem | None) -> str:
    return problem.message if problem else ""


def _said(problem: Problem | None) -> str:
    """What somebody else says, and what they advise."""
    return "\n".join(filter(None, [problem.message, problem.remedy])) if problem else ""
