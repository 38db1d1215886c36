"""Which machine is the current one, and how its engine is reached; with a daemon or without."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from desktop.api.stream import is_answered
from desktop.cli.daemon import connect_if_running
from desktop.errors import MachineUnreachableError
from desktop.paths import Paths
from desktop.settings.store import SettingsStore

if TYPE_CHECKING:
    from desktop.machines.registry import Registry

__all__ = ["Engine", "check_answers", "current_engine", "open_registry"]

ANSWER_SECONDS: Final = 5.0


class Engine(NamedTuple):
    """The container engine of a machine; `enabled`: host networking is on."""

    machine: str
    docker_host: str
    enabled: bool


def current_engine(paths: Paths) -> Engine:
    """The engine of the machine in use. Raises MachineUnreachableError, UsageError."""
    client = connect_if_running(paths)
    if client is None:
        return _offline(paths)
    with client:
        enabled = bool(client.call("status")["enabled"])
        machine = client.call("current_machine")
    if machine is not None:
        return Engine(machine["name"], machine["docker_host"], enabled)
    raise MachineUnreachableError("there is no current machine", "choose one: samehost up")


def check_answers(engine: Engine) -> None:
    """Raise MachineUnreachableError if nobody listens where the engine should."""
    if not engine.docker_host:
        raise MachineUnreachableError(
            f"the engine of the machine {engine.machine} cannot be reached from here",
            "if the machine does not run: samehost up; else its tool gives its engine no socket on"
            " this computer",
        )
    if not is_answered(engine.docker_host, ANSWER_SECONDS):
        raise MachineUnreachableError(
            f"the machine {engine.machine} is not running", "start it: samehost up"
        )


def open_registry(paths: Paths) -> Registry:
    """The machines there are, for use without a daemon."""
    from desktop.machines.registry import Registry

    return Registry(paths, SettingsStore(paths).settings)


def _offline(paths: Paths) -> Engine:
    import asyncio

    settings = SettingsStore(paths).settings
    registry = open_registry(paths)

    async def look() -> Engine:
        machine = await registry.get(settings.machine or await registry.choose())
        return Engine(machine.name, machine.docker_host(), settings.host_networking_enabled)

    return asyncio.run(look())
