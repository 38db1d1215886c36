"""Checks are taken one after the other, whatever becomes of one, and each look once."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from desktop.api.fake import FakeMachine
from desktop.doctor import patient as patients
from desktop.doctor.blocking import in_thread
from desktop.doctor.checks import CHECKS, Check, chosen
from desktop.doctor.patient import Patient
from desktop.doctor.run import exit_code, take
from desktop.doctor.verdict import NotSeenError, Verdict, note, ok, skipped, warning, worst
from desktop.errors import ExitCode, MachineUnreachableError, SamehostError, UsageError
from desktop.machines.examination import Finding, State
from desktop.paths import Paths
from tests.capabilities import UNIX_SOCKETS, needs
from tests.fake_machine import FakeRegistry
from tests.served_backend import ServedBackend
from tests.unit.doctor.worlds import Words


class Scripted(Check):
    """A check that a test has written."""

    __slots__ = ("_act",)
    _act: Callable[[], Verdict]

    @classmethod
    def of(cls, act: Callable[[], Verdict], seconds: float = 5.0) -> Scripted:
        made = cls("scripted", "", "", seconds)
        object.__setattr__(made, "_act", act)
        return made

    async def look(self, _patient: Patient) -> Verdict:
        return self._act()


class Hanging(Check):
    """A check that never ends."""

    async def look(self, _patient: Patient) -> Verdict:
        await asyncio.Event().wait()
        return ok("never")


def failing(error: Exception) -> Check:
    def fail() -> NoReturn:
        raise error

    return Scripted.of(fail)


def take_all(*checks: Check) -> list[Finding]:
    async def body() -> list[Finding]:
        return [finding async for finding in take(checks, Words(), lambda _check: None)]

    return asyncio.run(body())


@pytest.mark.parametrize(
    ("error", "state", "evidence"),
    [
        (NotSeenError("no daemon"), "skipped", "no daemon"),
        (MachineUnreachableError("it is away", "fetch it"), "error", "it is away"),
        (PermissionError(13, "Permission denied", "/x"), "error", "/x: Permission denied"),
        (ValueError("a fault of ours"), "error", "the check is broken: ValueError"),
    ],
)
def test_whatever_a_check_raises_is_a_finding_and_the_next_is_taken(
    error: Exception, state: State, evidence: str
) -> None:
    first, second = take_all(failing(error), Scripted.of(lambda: ok("well")))
    assert (first.state, evidence in first.evidence) == (state, True)
    assert bool(first.remedy) == (state == "error")
    assert second.evidence == "well"


def test_a_check_that_hangs_ends_with_its_time() -> None:
    first, second = take_all(Hanging("x", "", "", 0.01), Scripted.of(lambda: ok("well")))
    assert (first.state, first.evidence) == ("error", "the check took longer than 0 s")
    assert second.state == "ok"


def test_only_an_error_makes_the_command_fail() -> None:
    states: tuple[State, ...] = ("ok", "note", "warning", "skipped")
    well = [Finding("x", state) for state in states]
    assert exit_code(well) == ExitCode.DONE
    assert exit_code([*well, Finding("y", "error")]) == ExitCode.FAILED


def test_the_worst_of_several_counts() -> None:
    found = worst([("a", ok("fine")), ("b", warning("bad", "mend")), ("c", note("so so", "mend"))])
    assert found == Verdict("warning", "a: fine; b: bad; c: so so", "mend")
    assert worst([("a", skipped("x")), ("b", ok("y"))]).state == "ok"
    assert worst([("a", note("alone"))]) == note("alone")
    assert worst([]).state == "skipped"


def test_checks_are_chosen_by_name_in_their_own_order() -> None:
    assert chosen([]) == list(CHECKS)
    assert [each.name for each in chosen(["clock", "daemon"])] == ["daemon", "clock"]
    with pytest.raises(UsageError, match="nonsense"):
        chosen(["clock", "nonsense"])


def test_every_check_has_an_implementation_a_name_of_its_own_and_words() -> None:
    names = [check.name for check in CHECKS]
    assert len(set(names)) == len(names)
    for check in CHECKS:
        assert check.implementation.__doc__
        assert check.description[0].islower()
        assert check.description[-1] != "."


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home whose machines are made up."""
    monkeypatch.setattr("desktop.machines.registry.Registry", FakeRegistry("sandbox"))
    return tmp_path


def look(home: Path, *names: str) -> dict[str, Finding]:
    """What these checks find there."""

    async def body() -> dict[str, Finding]:
        async with contextlib.aclosing(Patient(Paths.under(home))) as patient:
            taken = take(chosen(names), patient, lambda _check: None)
            return {finding.step: finding async for finding in taken}

    return asyncio.run(body())


def test_without_a_daemon_the_way_to_the_machine_is_gone_and_the_rest_is_left_out(
    home: Path,
) -> None:
    found = look(home)
    states = {name: finding.state for name, finding in found.items()}
    assert {"daemon", "machine"} == {name for name, state in states.items() if state == "error"}
    assert found["daemon"].remedy == "start it: samehost up"
    assert found["machine"].evidence == "sandbox: state: it is stopped"
    for name in ("watcher", "capabilities", "clock", "ports"):
        assert found[name].evidence == "Samehost is not running: see the check daemon"


@needs(UNIX_SOCKETS)
def test_a_daemon_that_hangs_is_waited_for_once(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patients, "ANSWER_SECONDS", 0.2)
    paths = Paths.under(home)
    paths.runtime.mkdir(mode=0o700)
    connections = []
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(paths.api_socket))
        silent.listen()
        found = look(home, "daemon", "ports", "watcher", "clock")
        silent.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                connections.append(silent.accept()[0])
    for connection in connections:
        connection.close()
    assert found["daemon"].state == "error"
    assert f"process {os.getpid()} hangs" in found["daemon"].evidence
    assert {found[name].state for name in ("ports", "watcher", "clock")} == {"skipped"}
    asked = len(connections) - 1  # one asks for nothing but who is there
    assert asked == 1


def test_a_daemon_that_is_well_is_seen_as_it_is(home: Path) -> None:
    with ServedBackend(home) as served:
        served.run(served.backend.attach(None, lambda _line: None))
        found = look(home, "daemon", "protocol", "machine", "python", "capabilities", "ports")
    assert {finding.state for finding in found.values()} == {"ok"}


def test_a_machine_that_cannot_be_told_is_a_finding_too(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class NoMachine(FakeRegistry):
        async def choose(self) -> str:
            raise MachineUnreachableError("no machine runs", "start one")

    monkeypatch.setattr("desktop.machines.registry.Registry", NoMachine())
    found = look(home, "machine", "python", "engine")
    assert (found["machine"].state, found["machine"].remedy) == ("error", "start one")
    for name in ("python", "engine"):
        assert (found[name].state, found[name].evidence) == (
            "skipped",
            "no machine runs: see the check machine",
        )


def test_where_the_daemon_knows_of_no_machine_it_is_said_what_there_could_be(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class NoMachine(FakeRegistry):
        async def choose(self) -> str:
            raise MachineUnreachableError("no machine runs", "start one")

    monkeypatch.setattr("desktop.machines.registry.Registry", NoMachine())
    nothing = FakeMachine("", "stopped", "stopped", kind="")
    with ServedBackend(home) as served:
        served.backend.machine_states, served.backend.current = {"": nothing}, ""
        found = look(home, "machine")
    assert (found["machine"].evidence, found["machine"].remedy) == ("no machine runs", "start one")


def test_a_call_that_hangs_is_left_alone() -> None:
    gate = threading.Event()

    async def body() -> None:
        async with asyncio.timeout(0.01):
            await in_thread(gate.wait)

    with pytest.raises(TimeoutError):
        asyncio.run(body())
    gate.set()


def test_what_a_call_gives_or_raises_is_handed_on() -> None:
    def fail() -> NoReturn:
        raise SamehostError("no")

    assert asyncio.run(in_thread(lambda: 7)) == 7
    with pytest.raises(SamehostError, match="no"):
        asyncio.run(in_thread(fail))
