"""What an agent in a container sees of its machine, on a made-up /proc."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from link.listener import Container
from tests.fake_docker import Engine
from tests.unit.vmagent.made_up_machine import ID, MACHINE, OWN_ID, Machine, find_one, listening
from vmagent.containers import Namespaces
from vmagent.engine import EngineWatcher
from vmagent.watch.own_cgroups import find_own_cgroups
from vmagent.watch.owners import LESS_TOLD, NOTHING_TOLD, Owner
from vmagent.watch.vantage import (
    join_machines_cgroups,
    machines_path,
    machines_root,
    process_cgroups,
)

PATIENCE = 30.0
"""Seconds a condition may take."""

OURS = Namespaces("mnt:[31]", "pid:[1]", "net:[1]")
VERSION_1 = "41 1 {} / {} rw - cgroup cgroup rw,pids"
VERSION_2 = "40 1 {} {} {} rw - cgroup2 none rw"


class Contained:
    """A machine, and a container of it in which the agent is.

    Its /proc shows the machine's processes, and its own cgroups only.
    """

    def __init__(self, folder: Path) -> None:
        self.machine = Machine(folder)
        self.machine.namespaces("thread-self", OURS)
        self.machine.process(1, "init", 100, "0::/../../init.scope")
        self.machine.cgroup("/init.scope", 1)
        self.own_cgroup = self.machine.cgroup(f"/docker/{OWN_ID}")
        self.own_mount = self.machine.cgroups / "docker" / OWN_ID
        for cgroup in (self.machine.cgroups, self.own_mount):
            (cgroup / "cgroup.events").touch()
        self.machine.mount(VERSION_2.format(self.machine.device, "/", self.own_mount))
        self.say("self", "0::/")
        self.root = folder / "proc" / "1" / "root"
        self.root.mkdir()
        seen = self.root / "sys"
        seen.symlink_to(self.machine.cgroups)
        mount = VERSION_2.format(self.machine.device, "/../..", "/sys")
        (self.proc / "1" / "mountinfo").write_text(mount + "\n")

    @property
    def proc(self) -> Path:
        return self.machine.proc

    def say(self, pid: str, *cgroups: str) -> None:
        """What /proc says of the cgroups of a process."""
        (self.proc / pid / "cgroup").write_text("".join(line + "\n" for line in cgroups))

    def hide_processes(self) -> None:
        """Process 1 is the container's own from now on."""
        self.machine.namespaces("1", OURS)
        self.say("1", *(self.proc / "self" / "cgroup").read_text().splitlines())

    def show_all_cgroups(self) -> None:
        """It is in the machine's cgroup namespace from now on."""
        self.say("self", f"0::/docker/{OWN_ID}")
        line = VERSION_2.format(self.machine.device, "/", self.machine.cgroups)
        self.machine.mount(line)


@pytest.fixture
def inside(tmp_path: Path) -> Contained:
    return Contained(tmp_path)


def test_the_machines_files_are_below_its_first_processs_root(inside: Contained) -> None:
    assert machines_root(str(inside.proc)) == str(inside.root)


def test_on_the_machine_its_files_are_ours(tmp_path: Path) -> None:
    assert machines_root(str(Machine(tmp_path).proc)) == ""


def test_a_first_process_of_another_container_is_not_the_machines(inside: Contained) -> None:
    inside.say("1", f"0::/../{ID}")
    assert machines_root(str(inside.proc)) == ""


def test_a_machine_that_is_a_container_itself_has_its_first_process(inside: Contained) -> None:
    inside.say("1", f"4:pids:/docker/{ID}")
    inside.say("self", f"4:pids:/docker/{ID}/docker/{OWN_ID}")
    assert machines_root(str(inside.proc)) == str(inside.root)


@pytest.mark.parametrize("what", ["ns", "root"])
def test_a_hidden_first_process_shows_nothing(inside: Contained, what: str) -> None:
    (inside.proc / "1" / what).rename(inside.proc / "hidden")
    assert machines_root(str(inside.proc)) == ""


def test_a_link_in_the_machines_files_leads_to_the_machines_files(tmp_path: Path) -> None:
    (tmp_path / "run" / "podman").mkdir(parents=True)
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "run").symlink_to("/run")
    (tmp_path / "run" / "docker.sock").symlink_to("podman/../podman/podman.sock")
    root = str(tmp_path)
    for path in ("/var/run/docker.sock", "/run/docker.sock", "/run/./podman/podman.sock"):
        assert machines_path(root, path) == f"{root}/run/podman/podman.sock"
    assert machines_path(root, "/../../run") == f"{root}/run"
    assert machines_path("", f"{root}/var/../run") == os.path.realpath(f"{root}/run")


def test_a_link_that_leads_nowhere_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "round").symlink_to("/round")
    assert machines_path(str(tmp_path), "/round") == f"{tmp_path}/round"


def test_of_a_processs_cgroups_those_of_version_2_are_told_apart(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.process(7, "web", 500, "10:memory:/a:b", "1:name=systemd:/c", "0::/d")
    assert process_cgroups("7", str(machine.proc)) == ["/a:b", "/c", "/d"]
    assert process_cgroups("7", str(machine.proc), of_version_2=True) == ["/d"]
    assert process_cgroups("8", str(machine.proc)) == []


def test_that_cgroups_cannot_be_joined_is_logged(
    inside: Contained, caplog: pytest.LogCaptureFixture
) -> None:
    for pid, namespace in (("thread-self", "cgroup:[2]"), ("1", "cgroup:[1]")):
        (inside.proc / pid / "ns" / "cgroup").symlink_to(namespace)
    join_machines_cgroups(str(inside.proc))
    assert "cgroups are seen from this container only" in caplog.text


def test_the_machines_cgroups_are_joined_only_from_others(
    inside: Contained, caplog: pytest.LogCaptureFixture
) -> None:
    for pid in ("thread-self", "1"):
        (inside.proc / pid / "ns" / "cgroup").symlink_to("cgroup:[1]")
    join_machines_cgroups(str(inside.proc))
    assert caplog.text == ""


def test_the_machines_tree_is_used_not_the_containers(inside: Contained) -> None:
    cgroup = inside.machine.cgroup(f"/docker/{ID}")
    tree = inside.machine.tree()
    assert tree.mount == f"{inside.root}/sys"
    assert tree.path_of(cgroup) == f"/docker/{ID}"
    assert tree.own_ids == {OWN_ID}
    assert find_one(inside.machine.owners(), listening(cgroup)) == Owner(
        Container(ID, "", "docker"), None, True
    )
    assert inside.machine.owners().hindrance == ""


def test_the_agents_own_container_is_among_the_machines_own_cgroups(inside: Contained) -> None:
    container = inside.machine.cgroup(f"/docker/{ID}")
    inside.say("self", f"0::/docker/{OWN_ID}")
    own = find_own_cgroups(str(inside.proc))
    assert inside.own_cgroup in own
    assert container not in own


def test_the_agents_own_container_is_no_container(inside: Contained) -> None:
    inside.machine.process(9, "agent", 500, "0::/")
    inside.machine.namespaces("9", OURS)
    owner = find_one(inside.machine.owners(), listening(inside.own_cgroup))
    assert owner == Owner(None, None, True)


def test_a_daemon_that_is_in_no_unit_is_not_taken_for_a_container(inside: Contained) -> None:
    cgroup = inside.machine.cgroup("/odd", 7)
    inside.machine.process(7, "daemon", 500, "0::/../../odd")
    inside.machine.namespaces("7", MACHINE)
    assert find_one(inside.machine.owners(), listening(cgroup)) == Owner(None, None, True)
    # Nor where we may look into it, but not into process 1.
    (inside.proc / "1" / "ns").rename(inside.proc / "hidden")
    inside.machine.namespaces("7", MACHINE)
    assert find_one(inside.machine.owners(), listening(cgroup)) == Owner(None, None, True)


def test_a_container_with_cgroups_and_processes_of_its_own_sees_no_tree(inside: Contained) -> None:
    inside.hide_processes()
    owners = inside.machine.owners()
    assert owners.hindrance == NOTHING_TOLD
    with pytest.raises(PermissionError, match="this container hides the machine's cgroups"):
        _ = owners.cgroup_mount


def test_a_container_with_the_machines_cgroups_tells_known_engines(inside: Contained) -> None:
    inside.show_all_cgroups()
    inside.hide_processes()
    cgroup = inside.machine.cgroup(f"/docker/{ID}")
    owners = inside.machine.owners()
    assert owners.hindrance == LESS_TOLD
    assert owners.cgroup_mount == str(inside.machine.cgroups)
    assert find_one(owners, listening(cgroup)).container == Container(ID, "", "docker")


@pytest.mark.parametrize("path", ["/", f"/docker/{OWN_ID}"], ids=["private", "host"])
def test_a_container_on_a_machine_of_version_1_sees_no_tree(inside: Contained, path: str) -> None:
    inside.say("self", f"4:pids:{path}")
    inside.hide_processes()
    inside.machine.mount(VERSION_1.format(inside.machine.device, inside.own_mount))
    owners = inside.machine.owners()
    assert owners.hindrance == NOTHING_TOLD
    with pytest.raises(PermissionError, match="this container hides the machine's cgroups"):
        _ = owners.cgroup_mount


@pytest.mark.parametrize("version", [1, 2])
def test_a_machine_without_any_container_is_not_taken_for_one(tmp_path: Path, version: int) -> None:
    machine = Machine(tmp_path)
    (machine.proc / "self" / "cgroup").write_text("0::/\n")
    if version == 1:
        (machine.cgroups / "cgroup.sane_behavior").touch()
        machine.mount(VERSION_1.format(machine.device, machine.cgroups))
    assert machine.owners().hindrance == ""
    assert machine.owners().cgroup_mount == (str(machine.cgroups) if version == 2 else None)


def test_the_engines_of_the_machine_are_followed_once_each(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "run").symlink_to("/run")
    paths = {"docker.sock": "/var/run/docker.sock", "podman.sock": "/run/podman.sock"}

    async def scenario() -> None:
        engines = [Engine(tmp_path / "run" / name) for name in paths]
        watcher = EngineWatcher(
            list(paths.values()), lambda: None, usual=["/run/*.sock"], root=str(tmp_path)
        )
        task = asyncio.create_task(watcher.run())
        try:
            for engine in engines:
                await engine.start()
            async with asyncio.timeout(PATIENCE):
                while not all(each.followers for each in engines):  # noqa: ASYNC110 - no event
                    await asyncio.sleep(0.005)
            assert [engine.followers for engine in engines] == [1, 1]
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            for engine in engines:
                await engine.stop()

    asyncio.run(scenario())
