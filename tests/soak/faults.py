"""What goes wrong in a soak, each until it is well again.

Rules: a fault ends with what the oracle expects: every mirror is there and active. One that does
not heal within HEAL_SECONDS fails the soak.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from tests.integration.samehost import Samehost, ports_of, resume, until

__all__ = ["FAULTS", "Scene", "heal"]

HEAL_SECONDS: Final = 30.0
"""On a computer that does other things as well."""


@dataclass(frozen=True)
class Scene:
    """What there is: ports of containers and of this computer, each TCP and, next, UDP."""

    samehost: Samehost
    there: int
    here: int
    servers: tuple[str, ...]

    @property
    def mirrors(self) -> set[tuple[str, str, int]]:
        """The ports that the daemon must have, and no others."""
        return {("tcp", "0.0.0.0", self.there), ("udp", "0.0.0.0", self.there + 1)}


def is_well(scene: Scene) -> bool:
    """Every row of ours is active, and the daemon listens where it must."""
    samehost = scene.samehost
    states = [
        *(samehost.states(scene.there), samehost.states(scene.there + 1)),
        *(samehost.states(scene.here, "host"), samehost.states(scene.here + 1, "host")),
    ]
    return states == [["active"]] * 4 and scene.mirrors <= ports_of(samehost.daemon())


def heal(scene: Scene) -> None:
    """Wait until all is well."""
    until(lambda: is_well(scene), "all to be well", HEAL_SECONDS)


def kill_agent(scene: Scene) -> None:
    """The agent dies."""
    agent = scene.samehost.agent()
    os.kill(agent, signal.SIGKILL)
    until(lambda: scene.samehost.agent_if_any() not in (None, agent), "an agent", HEAL_SECONDS)


def kill_daemon(scene: Scene) -> None:
    """The daemon dies, and a person starts another."""
    daemon = scene.samehost.daemon()
    os.kill(daemon, signal.SIGKILL)
    until(lambda: not _listens(scene.there), "its ports to be free", HEAL_SECONDS)
    scene.samehost.run("up")


def stop_agent(scene: Scene) -> None:
    """The link falls silent, for longer than the grace."""
    agent = scene.samehost.agent()
    os.kill(agent, signal.SIGSTOP)
    try:
        until(lambda: _state(scene) != "connected", "the loss", HEAL_SECONDS)
    finally:
        with contextlib.suppress(ProcessLookupError, FileNotFoundError):
            resume(agent)


def restart_container(scene: Scene) -> None:
    """The servers in the machine begin anew."""
    for server in scene.servers:
        scene.samehost.docker("restart", "-t", "0", server)


def toggle_switch(scene: Scene) -> None:
    """Off, which closes all, and on."""
    scene.samehost.run("disable")
    until(lambda: not _listens(scene.there), "the mirrors to go", HEAL_SECONDS)
    scene.samehost.run("enable")


def change_rules(scene: Scene) -> None:
    """A port is ignored for a while."""
    scene.samehost.run("settings", "set", "ignore", f'["machine:tcp:{scene.there}"]')
    until(lambda: scene.samehost.states(scene.there) == ["ignored"], "the rule", HEAL_SECONDS)
    until(lambda: not _listens(scene.there), "the mirror to go", HEAL_SECONDS)
    scene.samehost.run("settings", "set", "ignore", "[]")


def _listens(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as client:
        client.settimeout(1.0)
        return client.connect_ex(("127.0.0.1", port)) == 0


def _state(scene: Scene) -> str:
    return str(scene.samehost.status()["machine"]["state"])


FAULTS: Final[Mapping[str, Callable[[Scene], None]]] = {
    "agent killed": kill_agent,
    "agent silent": stop_agent,
    "daemon killed": kill_daemon,
    "container restarted": restart_container,
    "switched off and on": toggle_switch,
    "rules changed": change_rules,
}
