"""Machines by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from desktop.errors import ExitCode, UsageError
from desktop.machines.registry import DEFAULT_MACHINE, Registry
from desktop.paths import Paths


def test_the_default_machine_is_known_before_it_ever_ran(tmp_path: Path) -> None:
    assert Registry(Paths.under(tmp_path)).names() == [DEFAULT_MACHINE]


def test_machines_with_a_state_folder_are_listed_and_other_folders_are_not(tmp_path: Path) -> None:
    paths = Paths.under(tmp_path)
    for name in ("sandbox-b", "sandbox-a", "sandbox", "lost+found", "sandbox-toolongname"):
        paths.machine(name).mkdir(parents=True)
    assert Registry(paths).names() == ["sandbox", "sandbox-a", "sandbox-b"]


def test_a_machine_is_made_by_its_name(tmp_path: Path) -> None:
    paths = Paths.under(tmp_path)
    machine = Registry(paths).get("sandbox-new")
    assert (machine.name, machine.kind) == ("sandbox-new", "sandbox")
    assert machine.docker_host() == f"unix://{paths.machine('sandbox-new')}/docker.sock"


@pytest.mark.parametrize(
    "name", ["", "colima", "sandbox-", "sandbox-A", "sandbox-ninechars", "sandbox/..", "sandbox\n"]
)
def test_an_unknown_machine_is_a_usage_error_that_names_the_known(
    tmp_path: Path, name: str
) -> None:
    with pytest.raises(UsageError) as caught:
        Registry(Paths.under(tmp_path)).get(name)
    assert caught.value.code == ExitCode.USAGE
    assert "known: sandbox" in caught.value.remedy
