"""What goes wrong in a soak, each until it is well again.

Rules: a fault ends with what the oracle expects: every mirror is there and active. Counterparts:
`scene.py` says what well is; `injuries.py` has what befalls the machine, the way to it, and what a
process may have.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping
from typing import Final

from tests.integration.samehost import until
from tests.soak.injuries import INJURIES
from tests.soak.scene import HEAL_SECONDS, Scene, listens, resumed, serves

__all__ = ["FAULTS"]


def kill_agent(scene: Scene) -> None:
    """The agent dies."""
    agent = scene.samehost.agent()
    os.kill(agent, signal.SIGKILL)
    until(lambda: scene.samehost.agent_if_any() not in (None, agent), "an agent", HEAL_SECONDS)


def kill_daemon(scene: Scene) -> None:
    """The daemon dies, and a person starts another."""
    daemon = scene.samehost.daemon()
    os.kill(daemon, signal.SIGKILL)
    until(lambda: not listens(scene.there), "its ports to be free", HEAL_SECONDS)
    scene.begin_daemon()


def stop_agent(scene: Scene) -> None:
    """The link falls silent, for longer than the grace."""
    agent = scene.samehost.agent()
    with resumed(agent):
        os.kill(agent, signal.SIGSTOP)
        until(lambda: scene.state != "connected", "the loss", HEAL_SECONDS)


def restart_container(scene: Scene) -> None:
    """The servers in the machine begin anew."""
    for server in scene.servers:
        scene.samehost.docker("restart", "-t", "0", server)
    until(lambda: serves(scene), "the servers to listen", HEAL_SECONDS)


def toggle_switch(scene: Scene) -> None:
    """Off, which closes all, and on."""
    scene.samehost.run("disable")
    until(lambda: not listens(scene.there), "the mirrors to go", HEAL_SECONDS)
    scene.samehost.run("enable")


def change_rules(scene: Scene) -> None:
    """A port is ignored for a while."""
    scene.samehost.run("settings", "set", "ignore", f'["machine:tcp:{scene.there}"]')
    until(lambda: scene.samehost.states(scene.there) == ["ignored"], "the rule", HEAL_SECONDS)
    until(lambda: not listens(scene.there), "the mirror to go", HEAL_SECONDS)
    scene.samehost.run("settings", "set", "ignore", "[]")


FAULTS: Final[Mapping[str, Callable[[Scene], None]]] = {
    "agent killed": kill_agent,
    "agent silent": stop_agent,
    "daemon killed": kill_daemon,
    "container restarted": restart_container,
    "switched off and on": toggle_switch,
    "rules changed": change_rules,
    **INJURIES,
}
