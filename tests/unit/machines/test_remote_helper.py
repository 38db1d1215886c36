"""When a machine that is reached by a shell gets its agent by a helper container, and when not."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from desktop.errors import MachineUnreachableError
from desktop.machines import remote
from desktop.machines.bootstrap import START_SCRIPT
from desktop.machines.helper_container import Helper
from desktop.machines.launch import AgentStartError
from desktop.machines.local_shell import LocalShell
from desktop.machines.remote import RemoteMachine
from link.outcome import Outcome

HELPER = Helper("docker", "samehost/helper:x")


class World:
    """What starting an agent comes to, by itself and in a container; `tried` is what was."""

    def __init__(self, itself: Exception, container: Exception, helper: Exception | None) -> None:
        self.tried: list[str] = []
        self._itself, self._container, self._helper = itself, container, helper

    async def start_agent(self, *_: Any, script: str = START_SCRIPT) -> Any:
        is_container = script != START_SCRIPT
        self.tried.append("container" if is_container else "itself")
        raise self._container if is_container else self._itself

    async def find_helper(self, _shell: object) -> Helper:
        self.tried.append("find")
        if self._helper is not None:
            raise self._helper
        return HELPER


def error_of(world: World, monkeypatch: pytest.MonkeyPatch) -> AgentStartError:
    monkeypatch.setattr(remote, "start_agent", world.start_agent)
    monkeypatch.setattr(remote, "find_helper", world.find_helper)
    machine = RemoteMachine("machine", "ssh", LocalShell(), "")
    with pytest.raises(AgentStartError) as caught:
        asyncio.run(machine.start_agent(bytes(32)))
    return caught.value


@pytest.mark.parametrize("outcome", [Outcome.NO_PYTHON, Outcome.OLD_PYTHON, Outcome.NO_PERMISSION])
@pytest.mark.parametrize("is_there", [True, False])
def test_where_a_container_does_no_better_the_reason_is_that_of_the_machine(
    monkeypatch: pytest.MonkeyPatch, outcome: Outcome, is_there: bool
) -> None:
    itself = AgentStartError("not by itself", outcome=outcome)
    no_helper = None if is_there else MachineUnreachableError("no engine", "install one")
    container = AgentStartError("not in a container", "see there")
    world = World(itself, container, no_helper)
    error = error_of(world, monkeypatch)
    assert (error.message, error.outcome) == ("not by itself", outcome)
    assert itself.remedy in error.remedy
    assert ("see there" if is_there else "install one") in error.remedy
    assert world.tried == ["itself", "find", *(["container"] if is_there else [])]


@pytest.mark.parametrize("outcome", [None, Outcome.NOT_LINUX, Outcome.DAMAGED, Outcome.NO_DOOR])
def test_for_other_reasons_no_container_is_tried(
    monkeypatch: pytest.MonkeyPatch, outcome: Outcome | None
) -> None:
    world = World(AgentStartError("no", outcome=outcome), OSError(), None)
    assert error_of(world, monkeypatch).outcome is outcome
    assert world.tried == ["itself"]
