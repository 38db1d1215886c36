"""Which machine is the current one, and which are beside it, whatever is chosen."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from desktop.settings.machines import MachineChoice

NAMES = st.sampled_from(["a", "b", "c", "d"])
CHOICES = st.builds(MachineChoice.of, NAMES, st.lists(NAMES, unique=True).map(tuple))


def test_a_machine_that_is_used_takes_the_place_of_the_current_one() -> None:
    assert MachineChoice("a", ("b",)).using("c") == MachineChoice("c", ("b",))


def test_a_machine_that_is_beside_the_current_one_changes_places_with_it() -> None:
    assert MachineChoice("a", ("b", "c")).using("c") == MachineChoice("c", ("b", "a"))


def test_without_the_current_machine_the_first_one_beside_it_is_current() -> None:
    assert MachineChoice("a", ("b", "c")).removing("a") == MachineChoice("b", ("c",))
    assert MachineChoice("a").removing("a") == MachineChoice("a")


@given(CHOICES, NAMES)
def test_no_machine_is_chosen_twice_and_none_is_lost(choice: MachineChoice, name: str) -> None:
    for after in (choice.using(name), choice.adding(name), choice.removing(name)):
        assert len(set(after.names)) == len(after.names)
    assert choice.using(name).current == name
    assert set(choice.adding(name).names) == {*choice.names, name}
    assert choice.adding(name).current == choice.current
    assert set(choice.removing(name).names) == ({*choice.names} - {name} or {name})


def test_where_there_is_no_machine_yet_the_first_one_is_the_current_one() -> None:
    nothing = MachineChoice("")
    assert nothing.names == ()
    assert nothing.adding("a") == nothing.using("a") == MachineChoice("a")
    assert nothing.removing("a") == nothing
    assert MachineChoice("", ("a", "b")).using("a") == MachineChoice("a", ("b",))
    assert MachineChoice("", ("a", "b")).removing("b") == MachineChoice("a")
