"""`samehost machine` with tools on the PATH: what is found, what is chosen, what is broken."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fake_tools import FakeTools
from tests.integration.samehost import Samehost
from tests.recordings import colima, docker, lima, podman


@pytest.fixture
def fake(tmp_path: Path) -> FakeTools:
    """No tools yet."""
    return FakeTools(tmp_path)


@pytest.fixture
def samehost(fake: FakeTools) -> Iterator[Samehost]:
    """One for a person who has these tools and nothing else."""
    made = Samehost()
    made.environment |= {
        "HOME": str(fake.home),
        "PATH": f"{fake.folder}:/usr/sbin:/usr/bin:/sbin:/bin",
    }
    for variable in ("LIMA_HOME", "COLIMA_HOME", "XDG_CONFIG_HOME", "DOCKER_CONFIG", "SUDO_USER"):
        made.environment.pop(variable, None)
    yield made
    made.remove()


def listed(samehost: Samehost) -> tuple[dict[str, Any], str]:
    """The machines by name, and what was said beside them."""
    done = samehost.try_run("machine", "list", "--json")
    assert done.returncode == 0, done.stderr
    return {each["name"]: each for each in json.loads(done.stdout)}, done.stderr


def test_machines_of_all_tools_are_listed(samehost: Samehost, fake: FakeTools) -> None:
    fake.put("limactl", lima.LIST)
    fake.put("colima", colima.LIST)
    fake.put("podman", podman.LIST_5, arguments="machine list *")
    fake.put("podman", podman.INSPECT_5, arguments="machine inspect *")
    folder = fake.home / ".docker" / "contexts" / "meta" / "x"
    folder.mkdir(parents=True)
    (folder / "meta.json").write_bytes(docker.CONTEXTS["desktop-linux"])
    machines, said = listed(samehost)
    assert said == ""
    assert {name: each["state"] for name, each in machines.items()} == {
        "colima": "running",
        "colima-k3s_old": "stopped",
        "colima-sick": "failed",
        "docker-desktop-linux": "stopped",
        "lima-broken": "failed",
        "lima-docker": "running",
        "lima-my_tests.old": "stopped",
        "podman": "running",
        "podman-win": "starting",
        "sandbox": "stopped",
    }
    assert machines["podman"] == {
        "name": "podman",
        "kind": "podman",
        "state": "running",
        "current": False,
        "docker_host": "unix:///var/folders/y0/T/podman/podman-machine-default-api.sock",
        "reached": "ssh core@127.0.0.1:52612",
        "note": "",
        "attached": False,
    }
    assert "Enable host networking" in machines["docker-desktop-linux"]["note"]


def test_the_table_says_how_each_is_reached_and_who_does_it_himself(
    samehost: Samehost, fake: FakeTools
) -> None:
    fake.put("limactl", lima.DOCKER)
    folder = fake.home / ".docker" / "contexts" / "meta" / "x"
    folder.mkdir(parents=True)
    (folder / "meta.json").write_bytes(docker.CONTEXTS["orbstack"])
    done = samehost.try_run("machine", "list")
    head, *rows = done.stdout.splitlines()
    assert head.split("  ")[0] == "NAME"
    (row,) = [row.split() for row in rows if row.startswith("lima-docker")]
    assert row[:6] == ["lima-docker", "lima", "running", "yes", "ssh", "lima-docker"]
    assert "docker-orbstack is not one to attach: OrbStack shares localhost" in done.stderr


@pytest.mark.parametrize("how", ["floods", "talks nonsense", "exits 1"])
def test_a_broken_tool_is_told_on_standard_error_and_hides_no_other(
    samehost: Samehost, fake: FakeTools, how: str
) -> None:
    fake.broken("limactl", how)
    fake.put("colima", colima.LIST)
    machines, said = listed(samehost)
    assert set(machines) == {"colima", "colima-k3s_old", "colima-sick", "sandbox"}
    assert said.startswith("samehost: limactl")


def test_a_tool_that_hangs_is_given_up(samehost: Samehost, fake: FakeTools) -> None:
    fake.broken("limactl", "hangs though told to end")
    machines, said = listed(samehost)
    assert set(machines) == {"sandbox"}
    assert "limactl did not answer within 5 seconds" in said
    assert fake.survivors() == []


def test_up_asks_which_of_several_that_run(samehost: Samehost, fake: FakeTools) -> None:
    fake.put("limactl", lima.DOCKER)
    fake.put("colima", colima.LIST)
    done = samehost.try_run("up")
    assert done.returncode == 2
    assert "several machines run: colima, lima-docker" in done.stderr
    assert "samehost machine use NAME" in done.stderr


def test_up_goes_to_the_one_that_runs_or_the_one_that_is_named(
    samehost: Samehost, fake: FakeTools
) -> None:
    fake.put("limactl", lima.DOCKER)
    fake.put("colima", colima.LIST.replace(b"Running", b"Stopped"))
    done = samehost.try_run("up")
    assert done.returncode == 4
    assert "logging in to lima-docker" in done.stderr
    done = samehost.try_run("up", "--machine", "colima")
    assert "starting colima: colima start --profile default" in done.stderr


def test_one_that_does_it_itself_is_not_attached(samehost: Samehost, fake: FakeTools) -> None:
    folder = fake.home / ".docker" / "contexts" / "meta" / "x"
    folder.mkdir(parents=True)
    (folder / "meta.json").write_bytes(docker.CONTEXTS["orbstack"])
    done = samehost.try_run("machine", "use", "docker-orbstack")
    assert done.returncode == 2
    assert "by itself" in done.stderr


def test_a_machine_is_started_by_its_tool_with_progress(
    samehost: Samehost, fake: FakeTools
) -> None:
    fake.put("limactl", lima.DOCKER.replace(b"Running", b"Stopped"), arguments="list --json")
    fake.put("limactl", errors=b'level=info msg="booting"\n', arguments="start *", status=1)
    done = samehost.try_run("machine", "start", "lima-docker")
    assert done.returncode == 4
    assert done.stderr.splitlines()[:2] == [
        "starting lima-docker: limactl start --tty=false docker",
        "lima-docker: booting",
    ]
