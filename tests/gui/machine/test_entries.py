"""Which machines a person can choose from, and what makes no sense to ask for."""

from __future__ import annotations

import pytest

from desktop.api.types import MachineInfo, MachineList, SettingInfo
from gui.machine.entries import Action, Entry, attached_machines, entries, obstacle, typed_name
from tests.gui.machine.words_of import machine, status

FOUND = MachineList(
    [
        MachineInfo("docker-z", "docker", "running", False, "", note="it shares localhost itself"),
        MachineInfo("lima-a", "lima", "stopped", False, "", "ssh lima-a"),
        MachineInfo("lima-b", "lima", "running", True, "unix:///b", "ssh lima-b", attached=True),
    ]
)


def names(machines: list[Entry]) -> list[str]:
    return [each.name for each in machines]


def test_without_a_search_the_machines_in_use_are_known() -> None:
    shown = entries(status(machine("colima"), machine("podman", "reconnecting")), None)
    assert [(each.name, each.state) for each in shown] == [
        ("colima", "connected"),
        ("podman", "reconnecting"),
    ]
    assert [(each.is_current, each.is_attached) for each in shown] == [(True, True), (False, True)]


def test_the_current_one_comes_first_then_those_in_use_and_last_those_that_never_are() -> None:
    shown = entries(status(machine("lima-b"), machine("ssh:vm")), FOUND)
    assert names(shown) == ["lima-b", "ssh:vm", "lima-a", "docker-z"]
    assert (shown[0].kind, shown[0].reached) == ("colima", "ssh lima-b")


def test_a_machine_in_use_shows_its_links_state_and_another_one_its_own() -> None:
    shown = {each.name: each for each in entries(status(machine("lima-b", "failed")), FOUND)}
    assert (shown["lima-b"].state, shown["lima-b"].is_attached) == ("failed", False)
    assert shown["lima-a"].state == "stopped"


def test_the_current_machine_that_is_not_linked_shows_what_it_does_itself() -> None:
    (first, *_) = entries(status(machine("lima-b", "stopped")), FOUND)
    assert (first.name, first.state, first.is_current, first.is_attached) == (
        "lima-b",
        "running",
        True,
        False,
    )


def test_a_machine_that_was_let_go_since_the_search_is_not_in_use() -> None:
    shown = {each.name: each for each in entries(status(machine("lima-a")), FOUND)}
    assert (shown["lima-b"].is_current, shown["lima-b"].is_attached) == (False, False)
    assert shown["lima-b"].state == "running"


def test_the_name_of_a_machine_that_there_is_not_is_not_shown() -> None:
    unchosen = status(machine("sandbox", "stopped"))
    assert names(entries(unchosen, None)) == ["sandbox"]
    assert entries(unchosen, MachineList([])) == []
    assert attached_machines(unchosen, FOUND) == []


def test_nothing_is_known_without_a_status() -> None:
    assert entries(None, None) == []
    assert names(entries(None, FOUND)) == ["lima-b", "lima-a", "docker-z"]


CURRENT = Entry("a", "lima", "connected", is_current=True, is_attached=True)
BESIDE = Entry("b", "lima", "connected", is_attached=True)
STOPPED = Entry("c", "lima", "stopped")
RUNNING = Entry("d", "lima", "running")
NEVER = Entry("e", "docker", "running", note="it does it itself")
LOST = Entry("f", "lima", "failed", is_current=True)
GONE = Entry("g", "lima", "reconnecting", is_current=True, is_attached=True)


@pytest.mark.parametrize(
    ("entry", "possible"),
    [
        (CURRENT, {Action.DETACH, Action.STOP}),
        (BESIDE, {Action.USE, Action.DETACH, Action.STOP}),
        (STOPPED, {Action.USE, Action.ATTACH, Action.START}),
        (RUNNING, {Action.USE, Action.ATTACH, Action.STOP}),
        (NEVER, {Action.STOP}),
        (LOST, {Action.USE, Action.START, Action.STOP}),
        (GONE, {Action.DETACH, Action.START, Action.STOP}),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_what_makes_sense_depends_on_what_the_machine_does(
    entry: Entry, possible: set[Action]
) -> None:
    offered = {action for action in Action if not obstacle(action, entry)}
    assert offered == possible | {Action.EXAMINE}


def test_a_machine_that_is_never_attached_says_why() -> None:
    assert obstacle(Action.USE, NEVER) == "it does it itself"
    assert obstacle(Action.ATTACH, NEVER) == "it does it itself"


def test_what_the_administrator_has_locked_cannot_be_chosen() -> None:
    locked = {
        "machine": SettingInfo("machine", None, None, "locked by the administrator"),
        "alsoAttach": SettingInfo("alsoAttach", [], [], ""),
    }
    assert obstacle(Action.USE, STOPPED, locked) == "locked by the administrator"
    assert obstacle(Action.DETACH, CURRENT, locked) == "locked by the administrator"
    assert obstacle(Action.ATTACH, STOPPED, locked) == ""
    assert obstacle(Action.DETACH, BESIDE, locked) == ""
    assert obstacle(Action.START, STOPPED, locked) == ""


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("ada@build.example.org", "ssh:ada@build.example.org"),
        (" ssh:build:2222 ", "ssh:build:2222"),
        ("ada@[fe80::1%eth0]:22", "ssh:ada@[fe80::1%eth0]:22"),
        ("sandbox-b", "sandbox-b"),
        ("sandbox", "sandbox"),
        ("", ""),
    ],
)
def test_a_computer_can_be_named_with_its_kind_or_without(text: str, name: str) -> None:
    assert typed_name(text) == (name, "")


@pytest.mark.parametrize(
    "text",
    ["a b", "@host", "host:", "host:port", "-oProxyCommand=x", "ssh:", "u@h@i", "h/x", "fe80::1"],
)
def test_what_is_no_computer_is_told_while_it_is_typed(text: str) -> None:
    assert "user@host" in typed_name(text)[1]


@pytest.mark.parametrize("port", ["0", "65536", "99999999999"])
def test_a_port_that_there_is_not_is_told_while_it_is_typed(port: str) -> None:
    assert "65535" in typed_name(f"host:{port}")[1]
