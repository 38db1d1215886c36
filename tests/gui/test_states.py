"""Every empty and broken state: what is known, and which words and which action come of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from gui.session import Link, Problem
from gui.states import Action, Known, action_text, state_of
from tests.gui.told import machine_status
from tests.gui.told import status_of as status

PROJECT = Path(__file__).parents[2]


PROBLEM = Problem("it went wrong", "do that", "FAILED")

TABLE = {
    "daemon-down": Known(Link.ABSENT),
    "start-failed": Known(Link.ABSENT, PROBLEM),
    "starting": Known(Link.STARTING, lines=("starting the daemon",)),
    "connecting": Known(Link.CONNECTING),
    "hung": Known(Link.HUNG),
    "other-version": Known(Link.FOREIGN, PROBLEM),
    "refused": Known(Link.REFUSED, PROBLEM),
    "no-machine-found": Known(Link.READY, status=status("stopped"), machines=0),
    "locked": Known(
        Link.READY, status=status(enabled=False, enabled_locked=True, enabled_reason="by law")
    ),
    "switched-off": Known(Link.READY, status=status(enabled=False)),
    "no-machine": Known(Link.READY, status=status("stopped"), machines=2),
    "machine-starting": Known(Link.READY, status=status("connecting"), rows=3),
    "machine-gone": Known(Link.READY, status=status("reconnecting"), rows=3),
    "machine-failed": Known(Link.READY, status=status("failed"), rows=3),
    "short": Known(Link.READY, status=status(troubles=["memory is short: end it (7)"]), rows=3),
    "no-ports": Known(Link.READY, status=status()),
}
"""Each state, and what there is to know that leads to it."""

ACTIONS = {
    "daemon-down": Action.START,
    "start-failed": Action.START,
    "hung": Action.RETRY,
    "other-version": Action.RETRY,
    "refused": Action.RETRY,
    "no-machine-found": Action.MACHINES,
    "locked": Action.SWITCH,
    "switched-off": Action.ENABLE,
    "no-machine": Action.ATTACH,
    "machine-gone": Action.MACHINES,
    "machine-failed": Action.ATTACH,
}
"""Those states that something can be done about."""


@pytest.mark.parametrize("name", TABLE)
def test_every_state_has_words_and_its_action(name: str) -> None:
    state = state_of(TABLE[name])
    assert state is not None
    assert state.name == name
    assert state.title
    assert not state.title.endswith(".")
    assert state.explanation
    assert state.action is ACTIONS.get(name, Action.NONE)


def test_no_two_states_have_the_same_title_but_those_of_the_switch() -> None:
    states = [state_of(known) for known in TABLE.values()]
    titles = [state.title for state in states if state is not None]
    assert len(titles) == len(TABLE)
    assert len(set(titles)) == len(TABLE) - 1


@pytest.mark.parametrize("action", set(Action) - {Action.NONE})
def test_every_action_has_a_button_with_a_mnemonic(action: Action) -> None:
    assert "&" in action_text(action)


@pytest.mark.parametrize(
    "known",
    [
        Known(Link.READY, status=status(), rows=1),
        Known(Link.READY, status=status("connected", "failed"), rows=1),
        Known(Link.READY, status=status(enabled_locked=True, enabled_reason="by law"), rows=1),
        Known(Link.READY, status=status(), rows=1, machines=0),
    ],
    ids=["usual", "another machine is in trouble", "locked, but on", "attached, but not found"],
)
def test_nothing_is_said_when_all_is_well(known: Known) -> None:
    assert state_of(known) is None


@pytest.mark.parametrize("link", [link for link in Link if link is not Link.READY])
def test_without_a_daemon_nothing_else_is_told(link: Link) -> None:
    old = Known(link, status=status("failed", enabled=False), machines=0)
    assert state_of(old) == state_of(Known(link))


def test_a_daemon_of_which_nothing_is_known_yet_is_being_asked() -> None:
    state = state_of(Known(Link.READY))
    assert state is not None
    assert (state.name, state.busy) == ("connecting", True)


@pytest.mark.parametrize("name", ["start-failed", "other-version", "refused"])
def test_what_the_daemon_says_is_passed_on(name: str) -> None:
    state = state_of(TABLE[name])
    assert state is not None
    assert PROBLEM.message in state.explanation


def test_what_is_short_is_told_line_by_line_but_not_how_often() -> None:
    told = ["memory is short in vm (1): end it (41)", "the disk of /home is full; make room"]
    state = state_of(Known(Link.READY, status=status(troubles=told)))
    assert state is not None
    assert state.explanation.splitlines() == ["memory is short in vm (1): end it", told[1]]


def test_a_start_shows_the_last_lines_of_what_it_says() -> None:
    state = state_of(Known(Link.STARTING, lines=[f"step {number}" for number in range(20)]))
    assert state is not None
    assert state.explanation.splitlines()[-1] == "step 19"
    assert len(state.explanation.splitlines()) == 6


@pytest.mark.parametrize("machine", ["stopped", "failed"])
@pytest.mark.parametrize("machines", [None, 0, 1])
def test_a_machine_that_is_being_attached_is_not_offered_again(
    machine: str, machines: int | None
) -> None:
    known = Known(
        Link.READY,
        status=status(machine),
        machines=machines,
        lines=("starting lima-dev",),
        is_attaching=True,
    )
    state = state_of(known)
    assert state is not None
    assert (state.name, state.busy, state.action) == ("machine-starting", True, Action.NONE)
    assert state.explanation == "starting lima-dev"


def test_a_machine_that_has_gone_is_said_to_be_started_where_it_can_be() -> None:
    state = state_of(TABLE["machine-gone"])
    assert state is not None
    assert "start it on the page Machine" in state.explanation


def test_that_no_daemon_runs_is_no_failed_start() -> None:
    state = state_of(Known(Link.ABSENT, Problem("not running", "samehost up", "NOT_RUNNING")))
    assert state is not None
    assert state.name == "daemon-down"


@pytest.mark.parametrize(
    ("platform", "words"),
    [
        ("linux", ["Lima", "Colima", "Podman", "samehost up", "docker.io", "root"]),
        ("darwin", ["Lima", "Colima", "Podman", "Rancher Desktop"]),
        ("win32", ["WSL 2", "Podman", "Rancher Desktop"]),
    ],
)
def test_what_to_install_depends_on_the_computer(platform: str, words: list[str]) -> None:
    known = Known(Link.READY, status=status("stopped"), machines=0, platform=platform)
    state = state_of(known)
    assert state is not None
    assert [word for word in words if word not in state.explanation] == []


def test_nobody_is_told_to_install_a_machine_before_somebody_has_looked() -> None:
    state = state_of(Known(Link.READY, status=status("stopped"), machines=None))
    assert state is not None
    assert state.name == "no-machine"


def test_the_machine_is_told_by_its_name() -> None:
    state = state_of(Known(Link.READY, status=status("failed")))
    assert state is not None
    assert "colima" in state.title
    assert state.command == "samehost machine doctor colima"


def test_a_machines_name_is_one_word_of_a_command_whatever_it_is() -> None:
    evil = machine_status("failed", name="x; rm -rf ~")
    state = state_of(Known(Link.READY, status=status(machine=evil, machines=[evil])))
    assert state is not None
    assert state.command == "samehost machine doctor 'x; rm -rf ~'"


@pytest.mark.parametrize(
    ("kind", "image"), [("sandbox", "samehost/netshoot"), ("colima", "nicolaka/netshoot")]
)
def test_the_example_is_that_of_the_readme_with_an_image_that_the_machine_can_have(
    kind: str, image: str
) -> None:
    machine = machine_status("connected", kind=kind)
    state = state_of(Known(Link.READY, status=status(machine=machine, machines=[machine]), rows=0))
    assert state is not None
    of_the_readme = state.command.replace(image, "samehost/netshoot")
    assert image in state.command
    assert of_the_readme in (PROJECT / "README.md").read_text()
