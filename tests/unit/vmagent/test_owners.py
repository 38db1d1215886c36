"""Whose socket it is, on a made-up cgroup tree and a made-up /proc."""

from __future__ import annotations

from pathlib import Path

import pytest

from link.listener import Container
from link.processes import Process
from tests.unit.vmagent.made_up_machine import ID, MACHINE, OWN_ID, Machine, find_one, listening
from vmagent.containers import Namespaces
from vmagent.watch import cgroups
from vmagent.watch.cgroups import CgroupTree, Mount, find_mounts
from vmagent.watch.owners import TRIES, Owner

SYSTEM_MOUNT = "30 1 0:27 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw"
VERSION_1_MOUNT = "31 1 0:28 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids"
CONTAINED = Namespaces("mnt:[77]", "pid:[78]", "net:[1]")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_the_cgroup_of_the_socket_names_the_container(machine: Machine, protocol: str) -> None:
    cgroup = machine.cgroup(f"/docker/{ID}")
    owner = find_one(machine.owners(), listening(cgroup, protocol=protocol))
    assert owner.container == Container(ID, "", "docker")


def test_a_port_of_two_protocols_has_two_owners(machine: Machine) -> None:
    machine.process(7, "web", 500, f"4:memory:/docker/{ID}")
    machine.process(8, "named", 501, "4:memory:/system.slice/named.service")
    owners = machine.owners().find([listening(0, 500, 1, "tcp"), listening(0, 501, 2, "udp")])
    assert owners[1].container == Container(ID, "", "docker")
    assert owners[2] == Owner(None, None, True)


def test_a_cgroup_made_later_is_found(machine: Machine) -> None:
    owners = machine.owners()
    cgroup = machine.cgroup(f"/deep/below/docker/{ID}/init")
    owner = find_one(owners, listening(cgroup))
    assert owner == Owner(Container(ID, "", "docker"), None, True)


def test_the_process_is_looked_for_in_the_sockets_cgroup_only(machine: Machine) -> None:
    cgroup = machine.cgroup(f"/docker/{ID}", 7)
    machine.process(7, "web", 500)
    machine.process(99, "holds it too", 500)
    assert find_one(machine.owners(), listening(cgroup)).process == Process(7, "web")


def test_a_daemon_of_the_machine_is_no_container(machine: Machine) -> None:
    cgroup = machine.cgroup("/system.slice/docker.service", 7)
    machine.process(7, "dockerd", 500, f"1:pids:/docker/{ID}")
    assert find_one(machine.owners(), listening(cgroup)) == Owner(None, None, True)


@pytest.mark.parametrize("known", ["root", "unknown", "not told"])
def test_where_the_cgroup_says_nothing_the_process_is_asked(machine: Machine, known: str) -> None:
    cgroup = {"root": machine.cgroup("/"), "unknown": 2**62, "not told": 0}[known]
    machine.process(7, "web", 500, f"4:memory:/docker/{ID}", "1:name=systemd:/", "0::/")
    owner = find_one(machine.owners(), listening(cgroup))
    assert owner == Owner(Container(ID, "", "docker"), Process(7, "web"), True)


def test_without_cgroup_v2_the_process_is_asked(machine: Machine) -> None:
    machine.mount(VERSION_1_MOUNT)
    machine.process(7, "web", 500, f"4:memory:/docker/{ID}")
    machine.process(8, "sshd", 501, "4:memory:/system.slice/ssh.service")
    owners = machine.owners().find([listening(0, 500, 1), listening(0, 501, 2)])
    assert owners[1].container == Container(ID, "", "docker")
    assert owners[2] == Owner(None, None, True)


def test_on_a_hybrid_machine_a_daemons_cgroup_is_not_the_last_word(machine: Machine) -> None:
    # An engine on cgroup v1 leaves its containers in its own v2 cgroup.
    cgroup = machine.cgroup("/system.slice/containerd.service")
    machine.mount(
        VERSION_1_MOUNT, f"40 1 {machine.device} / {machine.cgroups} rw - cgroup2 none rw"
    )
    machine.process(7, "web", 500, f"4:memory:/docker/{ID}")
    assert find_one(machine.owners(), listening(cgroup)).container == Container(ID, "", "docker")


def test_a_socket_whose_process_is_not_found_is_asked_for_again(machine: Machine) -> None:
    owners = machine.owners()
    assert not find_one(owners, listening(0)).final
    machine.process(7, "web", 500, f"4:memory:/docker/{ID}")
    assert find_one(owners, listening(0)).container == Container(ID, "", "docker")


def test_asking_for_a_process_ends_after_some_scans(machine: Machine) -> None:
    owners = machine.owners()
    answers = [find_one(owners, listening(0)).final for _ in range(TRIES)]
    assert answers == [False] * (TRIES - 1) + [True]


def test_forgotten_sockets_are_asked_for_anew(machine: Machine) -> None:
    owners = machine.owners()
    for _ in range(TRIES):
        find_one(owners, listening(0))
    owners.forget_others([])
    assert not find_one(owners, listening(0)).final


def test_the_container_that_the_agent_runs_in_is_the_machine(machine: Machine) -> None:
    (machine.proc / "self" / "cgroup").write_text(f"0::/docker/{OWN_ID}\n")
    own = machine.cgroup(f"/docker/{OWN_ID}")
    nested = machine.cgroup(f"/docker/{OWN_ID}/docker/{ID}")
    owners = machine.owners().find([listening(own, 500, 1), listening(nested, 501, 2)])
    assert owners[1].container is None
    assert owners[2].container == Container(ID, "", "docker")


@pytest.mark.parametrize("path", ["/default/web1", "/"])
def test_where_no_cgroup_tells_namespaces_do(machine: Machine, path: str) -> None:
    cgroup = machine.cgroup(path, 7, 8)
    for pid, name, inode in ((7, "web", 500), (8, "daemon", 501)):
        machine.process(pid, name, inode, f"0::{path}")
    machine.namespaces("7", CONTAINED)
    machine.namespaces("8", MACHINE)
    owners = machine.owners().find([listening(cgroup, 500, 1), listening(cgroup, 501, 2)])
    name = "web1" if path != "/" else "ns77"
    assert owners[1] == Owner(Container(name, "", "container"), Process(7, "web"), True)
    assert owners[2] == Owner(None, None, True)


def test_a_hardened_service_with_a_mount_namespace_is_the_machines(machine: Machine) -> None:
    path = "/system.slice/nginx.service"
    cgroup = machine.cgroup(path, 7)
    machine.process(7, "nginx", 500, f"0::{path}")
    machine.namespaces("7", CONTAINED)
    assert find_one(machine.owners(), listening(cgroup)) == Owner(None, None, True)
    assert find_one(machine.owners(), listening(0)) == Owner(None, None, True)


def test_who_holds_a_socket_in_another_network_is_no_container(machine: Machine) -> None:
    cgroup = machine.cgroup("/odd/web1", 7)
    machine.process(7, "web", 500, "0::/odd/web1")
    machine.namespaces("7", CONTAINED._replace(network="net:[5]"))
    assert find_one(machine.owners(), listening(cgroup)) == Owner(None, None, True)


def test_an_agent_in_a_container_is_not_taken_for_a_container(machine: Machine) -> None:
    machine.namespaces("thread-self", Namespaces("mnt:[31]", "pid:[1]", "net:[1]"))
    cgroup = machine.cgroup("/odd/agent", 7, 8, 9)
    for pid, mount in ((7, "mnt:[31]"), (8, "mnt:[1]"), (9, "mnt:[32]")):
        machine.process(pid, "program", 500 + pid, "0::/odd/agent")
        machine.namespaces(str(pid), Namespaces(mount, "pid:[1]", "net:[1]"))
    sockets = [listening(cgroup, 500 + pid, pid) for pid in (7, 8, 9)]
    owners = machine.owners().find(sockets)
    assert [owners[pid].container is not None for pid in (7, 8, 9)] == [False, False, True]


def test_hidden_namespaces_are_asked_for_again(machine: Machine) -> None:
    cgroup = machine.cgroup("/odd/web1", 7)
    machine.process(7, "web", 500, "0::/odd/web1")
    owners = machine.owners()
    assert not find_one(owners, listening(cgroup)).final
    machine.namespaces("7", CONTAINED)
    assert find_one(owners, listening(cgroup)).container == Container("web1", "", "container")


def test_without_the_machines_namespaces_nobody_is_told_by_them(machine: Machine) -> None:
    (machine.proc / "thread-self" / "ns" / "mnt").unlink()
    cgroup = machine.cgroup("/odd/web1", 7)
    machine.process(7, "web", 500, "0::/odd/web1")
    machine.namespaces("7", CONTAINED)
    assert find_one(machine.owners(), listening(cgroup)) == Owner(None, None, True)


def test_a_socket_is_of_who_made_it_whoever_holds_it(machine: Machine) -> None:
    made_in_container = machine.cgroup(f"/docker/{ID}")
    made_in_service = machine.cgroup("/system.slice/web.socket")
    machine.process(7, "web", 500, "0::/system.slice/web.service")
    machine.process(8, "web", 501, f"0::/docker/{ID}")
    sockets = [listening(made_in_container, 500, 1), listening(made_in_service, 501, 2)]
    owners = machine.owners().find(sockets)
    assert owners[1] == Owner(Container(ID, "", "docker"), None, True)
    assert owners[2] == Owner(None, None, True)


def test_a_socket_from_an_unknown_cgroup_is_of_who_holds_it(machine: Machine) -> None:
    cgroup = machine.cgroup("/odd/launcher")
    machine.process(7, "web", 500, f"0::/docker/{ID}")
    owner = find_one(machine.owners(), listening(cgroup))
    assert owner == Owner(Container(ID, "", "docker"), Process(7, "web"), True)


def test_no_question_needs_no_answer(machine: Machine) -> None:
    owners = machine.owners()
    (machine.proc / "self" / "mountinfo").unlink()
    assert owners.find([]) == {}


def test_mounts_are_read_with_their_versions_and_blanks() -> None:
    odd = r"32 1 0:29 /a\040b /mnt/c\040d\134 rw - cgroup2 none rw"
    lines = [SYSTEM_MOUNT, VERSION_1_MOUNT, odd, "1 2 0:3 / /proc rw - proc proc rw", "", "junk"]
    assert find_mounts("\n".join(lines)) == [
        Mount("/sys/fs/cgroup", "/", "0:27", 2),
        Mount("/sys/fs/cgroup/pids", "/", "0:28", 1),
        Mount("/mnt/c d\\", "/a b", "0:29", 2),
    ]


def test_a_hidden_mount_is_not_used(machine: Machine) -> None:
    machine.mount(f"40 1 0:9999 / {machine.cgroups} rw - cgroup2 none rw")
    tree = CgroupTree(str(machine.proc))
    assert tree.path_of(machine.cgroup("/")) is None


def test_of_several_mounts_the_one_that_shows_most_is_used(machine: Machine) -> None:
    part = machine.cgroups / "part"
    inner = machine.cgroup("/part/inner")
    line = "{} 1 " + machine.device + " {} {} rw - cgroup2 none rw"
    for other in ("/part", "/.."):
        machine.mount(
            line.format(40, other, part if other == "/part" else machine.cgroups),
            line.format(41, "/", machine.cgroups if other == "/part" else part),
        )
        assert CgroupTree(str(machine.proc)).path_of(inner) == "/part/inner"


def test_the_processes_of_a_cgroup_that_went_are_none(machine: Machine) -> None:
    machine.cgroup("/a", 3, 12, 0)
    tree = CgroupTree(str(machine.proc))
    assert tree.process_ids("/a") == [12, 3]
    assert tree.process_ids("/gone") == []


def test_what_the_kernel_would_not_write_names_no_process_and_no_mount(machine: Machine) -> None:
    machine.cgroup("/odd", 7)
    tree = CgroupTree(str(machine.proc))
    (Path(str(tree.mount)) / "odd" / "cgroup.procs").write_bytes(b"7\nseven\n-8\n\xff\n\n9")
    assert tree.process_ids("/odd") == [9, 7]
    assert find_mounts(SYSTEM_MOUNT.replace("/sys", "/s\0ys")) == []


def test_the_walk_ends_in_the_middle_of_a_folder_with_too_many_cgroups(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        machine.cgroup(f"/many/{number}")
    monkeypatch.setattr(cgroups, "MOST_CGROUPS", 5)
    assert len(CgroupTree(str(machine.proc)).paths) == 5
