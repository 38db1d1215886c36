"""When an attachment gives up at once, when it tries again, and that it frees the machine."""

from __future__ import annotations

import asyncio
import errno
import socket

import pytest

from desktop.daemon.attachment import Attachment, _would_bear_another
from desktop.daemon.link import AgentLink
from desktop.errors import MachineUnreachableError, SamehostError
from desktop.machines.launch import AgentStartError
from desktop.machines.machine import AgentHandle, Machine, Progress
from desktop.machines.shell import ShellError, ShellTrouble
from link.messages import Message
from link.outcome import Outcome
from link.pool import StreamPool
from link.wire import OpenRequest

UNKNOWN_KEY = ShellError(ShellTrouble.UNKNOWN_HOST_KEY, "the key is not known", "look at it")
NO_PYTHON = AgentStartError("there is no python3", outcome=Outcome.NO_PYTHON)
LOST = ShellError(ShellTrouble.UNREACHABLE, "the connection was lost", "wait")


class Events:
    """Nobody who wants to know."""

    def reached_by(self, ports: frozenset[tuple[str, int]]) -> None:
        raise AssertionError(f"no machine was reached by {ports}")

    def link_up(self, link: AgentLink) -> None: ...

    def link_down(self, reason: str) -> None: ...

    def message(self, message: Message) -> None: ...

    def opened(self, stream: socket.socket, request: OpenRequest) -> None: ...


class TroubledMachine(Machine):
    """One that cannot be started, or whose agent cannot."""

    kind = "troubled"

    def __init__(self, at_start: SamehostError | None, of_agent: Exception) -> None:
        super().__init__("troubled")
        self._at_start = at_start
        self._of_agent = of_agent
        self.tries = 0
        self.closed = 0

    async def state(self) -> str:
        return "running"

    async def start(self, progress: Progress) -> None:
        progress("trying")
        if self._at_start is not None:
            raise self._at_start

    async def stop(self, progress: Progress) -> None:
        progress("stopping")

    def docker_host(self) -> str:
        return ""

    async def start_agent(self, secret: bytes) -> AgentHandle:
        assert len(secret) == 32
        self.tries += 1
        raise self._of_agent

    async def aclose(self) -> None:
        self.closed += 1


def attach(machine: TroubledMachine) -> SamehostError:
    """Why it is not attached."""

    async def story() -> SamehostError:
        attachment = Attachment(StreamPool(lambda: None), Events())
        with pytest.raises(SamehostError) as caught:
            await attachment.attach(machine, lambda _line: None)
        assert attachment.state == "failed"
        assert machine.closed == 1
        assert attachment.failed >= machine.tries - 1
        assert attachment.agents_started == attachment.links_lost == 0
        return caught.value

    return asyncio.run(story())


def test_a_machine_that_does_not_start_is_said_with_its_remedy_and_freed() -> None:
    machine = TroubledMachine(UNKNOWN_KEY, LOST)
    assert attach(machine) is UNKNOWN_KEY
    assert machine.tries == 0


@pytest.mark.parametrize("lasting", [UNKNOWN_KEY, NO_PYTHON], ids=["key", "python"])
def test_what_another_try_would_not_change_is_said_at_once(lasting: SamehostError) -> None:
    machine = TroubledMachine(None, lasting)
    assert attach(machine) is lasting
    assert lasting.remedy
    assert machine.tries == 1


def test_what_may_pass_is_tried_again_for_a_while_and_logged_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("desktop.daemon.attachment.LINK_SECONDS", 1.0)
    machine = TroubledMachine(None, LOST)
    error = attach(machine)
    assert isinstance(error, MachineUnreachableError)
    assert LOST.message in error.message
    assert machine.tries > 1
    assert caplog.text.count(LOST.message) == 1


@pytest.mark.parametrize(
    ("short", "words"),
    [
        (MemoryError(), "short of something: memory"),
        (OSError(errno.EMFILE, "Too many open files"), "Too many open files"),
        (
            OSError(errno.ENOSPC, "No space left on device"),
            "short of something: [Errno 28] No space",
        ),
        (PermissionError(errno.EACCES, "Permission denied"), "does not let it be done: [Errno 13]"),
        (TimeoutError(), "does not let it be done: TimeoutError"),
    ],
)
def test_what_this_computer_is_short_of_for_a_moment_is_said_and_no_reason_to_give_up(
    monkeypatch: pytest.MonkeyPatch, short: Exception, words: str
) -> None:
    monkeypatch.setattr("desktop.daemon.attachment.LINK_SECONDS", 1.0)
    machine = TroubledMachine(None, short)
    assert words in attach(machine).message
    assert machine.tries > 1


class AskedMachine(TroubledMachine):
    """One that says how it is: after a while, never, or with an error."""

    def __init__(self, answer: str | Exception | None) -> None:
        super().__init__(None, LOST)
        self._answer = answer

    async def state(self) -> str:
        if self._answer is None:
            await asyncio.Event().wait()
        if isinstance(self._answer, Exception):
            raise self._answer
        return str(self._answer)


@pytest.mark.parametrize(
    ("answer", "is_replaced"),
    [
        ("running", True),
        ("stopped", False),
        ("failed", False),
        (None, False),
        (LOST, False),
        (OSError(errno.EMFILE, "Too many open files"), False),
    ],
    ids=["runs", "stopped", "failed", "silent", "out of reach", "cannot be asked"],
)
def test_a_silent_agent_is_replaced_only_where_its_machine_says_that_it_runs(
    monkeypatch: pytest.MonkeyPatch, answer: str | Exception | None, is_replaced: bool
) -> None:
    monkeypatch.setattr("desktop.daemon.attachment.STATE_SECONDS", 0.01)
    assert asyncio.run(_would_bear_another(AskedMachine(answer))) is is_replaced
