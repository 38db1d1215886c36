"""Machines by name, all at once, and the one that is meant without a name."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from desktop.errors import ExitCode, MachineUnreachableError, UsageError
from desktop.machines.found.model import Found, Sighting
from desktop.machines.found.tools import Tools
from desktop.machines.machine import WindowsContainersError
from desktop.machines.managed import ManagedMachine
from desktop.machines.openssh import OpenSshShell
from desktop.machines.registry import (
    DEFAULT_MACHINE,
    Registry,
    default_machine,
    meant,
    windows_engine,
)
from desktop.machines.remote import RemoteMachine
from desktop.machines.ssh_destination import SshDestination
from desktop.machines.wsl_shell import WslShell
from desktop.paths import Paths
from desktop.settings.values import Settings
from tests.fake_tools import FakeTools
from tests.recordings import colima, docker, lima, podman, rancher, wsl


@pytest.fixture
def fake(tmp_path: Path) -> FakeTools:
    """No tools yet."""
    return FakeTools(tmp_path)


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths.under(tmp_path / "samehost")


@pytest.fixture
def registry(fake: FakeTools, paths: Paths) -> Registry:
    """Of the tools in `fake`, at the time when it is asked."""
    return Registry(paths, tools=fake.tools())


@pytest.fixture(autouse=True)
def root_on_linux(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks, unless a test says otherwise."""
    _ask_as("root on Linux", monkeypatch)


@pytest.fixture(params=["root on Linux", "somebody on Linux", "a Mac"])
def who(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Who asks, on what computer."""
    where: str = request.param
    _ask_as(where, monkeypatch)
    return where


def _ask_as(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0 if where == "root on Linux" else 1000)
    for module in ("registry", "found.sandboxes"):
        monkeypatch.setattr(f"desktop.machines.{module}.has_namespaces", lambda: where != "a Mac")


NOBODY_OR_MAC = pytest.mark.parametrize("who", ["somebody on Linux", "a Mac"], indirect=True)
"""Who cannot have a sandbox."""


def give_context(fake: FakeTools, name: str, text: bytes) -> None:
    folder = fake.home / ".docker" / "contexts" / "meta" / name
    folder.mkdir(parents=True)
    (folder / "meta.json").write_bytes(text)


def find(registry: Registry) -> Sighting:
    return asyncio.run(registry.find())


def names(registry: Registry) -> list[str]:
    return [each.name for each in find(registry).machines]


def choose(registry: Registry) -> str:
    return asyncio.run(registry.choose())


# All of them


def test_the_default_machine_is_known_before_it_ever_ran(registry: Registry) -> None:
    assert names(registry) == [DEFAULT_MACHINE]
    assert [each.name for each in registry.sandboxes()] == [DEFAULT_MACHINE]


def test_sandboxes_with_a_state_folder_are_found_and_other_folders_are_none(
    registry: Registry, paths: Paths
) -> None:
    for name in ("sandbox-b", "sandbox-a", "sandbox", "lost+found", "sandbox-toolongname"):
        paths.machine(name).mkdir(parents=True)
    assert names(registry) == ["sandbox", "sandbox-a", "sandbox-b"]
    assert [each.name for each in registry.sandboxes()] == names(registry)


def test_sandboxes_that_the_settings_name_are_listed_before_they_ever_ran(
    fake: FakeTools, paths: Paths, who: str
) -> None:
    chosen = Settings(machine="sandbox-b", also_attach=("sandbox-c", "sandbox", "lima-x"))
    found = find(Registry(paths, chosen, tools=fake.tools())).machines
    wanted = [] if who == "a Mac" else ["sandbox", "sandbox-b", "sandbox-c"]
    assert [(each.name, each.state) for each in found] == [(name, "stopped") for name in wanted]


def test_where_there_are_no_namespaces_there_is_no_sandbox(registry: Registry, who: str) -> None:
    assert names(registry) == ([] if who == "a Mac" else [DEFAULT_MACHINE])


def test_the_sandbox_is_the_default_of_who_can_have_one(who: str) -> None:
    assert default_machine() == ("sandbox" if who == "root on Linux" else "")


def test_where_there_are_no_namespaces_a_sandbox_cannot_be_had_by_its_name(
    registry: Registry, who: str
) -> None:
    if who != "a Mac":
        assert asyncio.run(registry.get("sandbox")).name == "sandbox"
        return
    for ask in (registry.get, registry.to_attach):
        with pytest.raises(UsageError, match="no machine sandbox on this computer") as caught:
            asyncio.run(ask("sandbox"))
        assert "samehost machine attach NAME" in caught.value.remedy


def test_machines_of_all_tools_are_found_at_once_and_sorted(
    registry: Registry, fake: FakeTools
) -> None:
    fake.put("limactl", lima.DOCKER)
    fake.put("podman", podman.LIST_4)
    fake.put("wsl.exe", wsl.GERMAN.encode())
    give_context(fake, "build", docker.CONTEXTS["build"])
    assert names(registry) == [
        "docker-build",
        "lima-docker",
        "podman",
        "podman-lab",
        "sandbox",
        "wsl-Debian",
        "wsl-Ubuntu-22.04",
    ]


def test_a_context_that_leads_to_a_machine_is_not_another_one(
    registry: Registry, fake: FakeTools
) -> None:
    fake.put("colima", colima.LIST)
    socket = fake.home / ".colima" / "default" / "docker.sock"
    text = docker.CONTEXTS["colima"].replace(
        b"/Users/ada/.colima/default/docker.sock", os.fsencode(socket)
    )
    give_context(fake, "colima", text)
    assert [name for name in names(registry) if "colima" in name] == [
        "colima",
        "colima-k3s_old",
        "colima-sick",
    ]


def test_a_context_that_leads_to_the_sandbox_is_not_another_one(
    registry: Registry, fake: FakeTools, paths: Paths
) -> None:
    socket = paths.machine("sandbox") / "docker.sock"
    text = docker.CONTEXTS["colima"].replace(
        b"/Users/ada/.colima/default/docker.sock", os.fsencode(socket)
    )
    give_context(fake, "colima", text)
    assert names(registry) == ["sandbox"]


def test_what_colima_and_lima_both_know_is_colimas(
    fake: FakeTools, paths: Paths, tmp_path: Path
) -> None:
    home = str(tmp_path / "lima")
    registry = Registry(paths, tools=fake.tools(LIMA_HOME=home))
    fake.put("colima", colima.LIST.splitlines(keepends=True)[0])
    line = lima.DOCKER.replace(b"/Users/ada/.lima/docker", f"{home}/colima".encode())
    fake.put("limactl", line.replace(b'"name":"docker"', b'"name":"colima"'))
    assert names(registry) == ["colima", "sandbox"]


def test_tools_that_hang_delay_no_other(fake: FakeTools, paths: Paths) -> None:
    for program in ("limactl", "colima", "rdctl", "wsl.exe"):
        fake.broken(program, "hangs")
    fake.put("podman", podman.LIST_4)
    impatient = Tools(fake.environment, ask_seconds=0.3, installed=())
    sighting = find(Registry(paths, tools=impatient))
    assert [each.name for each in sighting.machines] == ["podman", "podman-lab", "sandbox"]
    assert len(sighting.findings) == 4
    assert fake.survivors() == []


def test_a_distribution_of_wsl_is_one_to_attach_unless_wsl_does_it_itself(
    registry: Registry, fake: FakeTools
) -> None:
    fake.put("wsl.exe", wsl.GERMAN.encode())
    found = {each.name: each for each in find(registry).machines}
    assert found["wsl-Debian"].is_candidate
    asyncio.run(registry.to_attach("wsl-Debian"))
    (fake.home / ".wslconfig").write_text("[wsl2]\nnetworkingMode=mirrored\n")
    fake.script("wsl.exe", f'[ "$2" = --verbose ] || exit 1; cat <<END\n{wsl.GERMAN}END')
    with pytest.raises(UsageError, match="wsl-Debian is not a machine to attach"):
        asyncio.run(registry.to_attach("wsl-Debian"))


# One by its name


def test_a_machine_is_made_by_its_name(registry: Registry, paths: Paths) -> None:
    machine = asyncio.run(registry.get("sandbox-new"))
    assert (machine.name, machine.kind) == ("sandbox-new", "sandbox")
    assert machine.docker_host() == f"unix://{paths.machine('sandbox-new')}/docker.sock"


def test_only_the_tool_that_could_have_it_is_asked(registry: Registry, fake: FakeTools) -> None:
    fake.put("limactl", lima.LIST)
    fake.put("podman", podman.LIST_4)
    machine = asyncio.run(registry.get("lima-docker"))
    assert isinstance(machine, ManagedMachine)
    assert (machine.name, machine.kind) == ("lima-docker", "lima")
    assert machine.own_ports == {("tcp", 60006)}
    assert fake.calls() == ["limactl list --json"]


@pytest.mark.parametrize(
    "name", ["", "mars", "colima", "lima-x", "sandbox-", "sandbox-A", "sandbox-ninechars", "ssh"]
)
def test_an_unknown_machine_is_a_usage_error_that_names_the_known(
    registry: Registry, name: str
) -> None:
    for work in (registry.get, registry.to_attach):
        with pytest.raises(UsageError) as caught:
            asyncio.run(work(name))
        assert caught.value.code == ExitCode.USAGE
        assert "known: sandbox" in caught.value.remedy


def test_an_unknown_machine_of_a_broken_tool_says_what_is_wrong_with_the_tool(
    registry: Registry, fake: FakeTools
) -> None:
    fake.broken("limactl", "exits 1")
    with pytest.raises(UsageError) as caught:
        asyncio.run(registry.get("lima-docker"))
    assert "limactl failed: something is wrong" in caught.value.remedy


def test_one_that_does_it_itself_is_known_but_not_attached(
    registry: Registry, fake: FakeTools
) -> None:
    give_context(fake, "orbstack", docker.CONTEXTS["orbstack"])
    machine = asyncio.run(registry.get("docker-orbstack"))
    assert machine.docker_host() == "unix:///Users/ada/.orbstack/run/docker.sock"
    with pytest.raises(UsageError) as caught:
        asyncio.run(registry.to_attach("docker-orbstack"))
    assert "by itself" in caught.value.remedy


WINDOWS = docker.CONTEXTS["pipe"].replace(b"dockerDesktopLinux", b"dockerDesktopWindows")


@NOBODY_OR_MAC
def test_an_engine_with_windows_containers_is_known_but_nothing_goes_on_in_it(
    registry: Registry, fake: FakeTools, who: str
) -> None:
    assert who
    give_context(fake, "pipe", WINDOWS)
    machine = asyncio.run(registry.get("docker-pipe"))
    for way in (
        registry.to_attach("docker-pipe"),
        registry.choose(),
        machine.start(print),
        machine.start_agent(b""),
    ):
        with pytest.raises(WindowsContainersError) as caught:
            asyncio.run(way)
        assert "docker-pipe runs Windows containers" in caught.value.message
        assert "Linux containers" in caught.value.remedy


# The one that is meant


def test_the_one_machine_that_runs_is_meant(registry: Registry, fake: FakeTools, who: str) -> None:
    assert who
    fake.put("limactl", lima.LIST)
    fake.put("podman", podman.LIST_4)
    assert choose(registry) == "lima-docker"


def test_of_several_that_run_one_has_to_be_chosen(registry: Registry, fake: FakeTools) -> None:
    fake.put("limactl", lima.LIST)
    fake.put("colima", colima.LIST)
    with pytest.raises(UsageError) as caught:
        choose(registry)
    assert caught.value.message == "several machines run: colima, lima-docker"
    assert "samehost machine use NAME" in caught.value.remedy


@pytest.mark.parametrize("who", ["root on Linux"], indirect=True)
def test_where_none_runs_root_on_linux_gets_the_sandbox(
    registry: Registry, fake: FakeTools, who: str
) -> None:
    assert who
    fake.put("podman", podman.LIST_4)
    fake.broken("limactl", "exits 1")
    assert choose(registry) == DEFAULT_MACHINE


@NOBODY_OR_MAC
def test_where_none_runs_how_to_start_one_is_said(
    registry: Registry, fake: FakeTools, who: str
) -> None:
    fake.put("podman", podman.LIST_4)
    with pytest.raises(MachineUnreachableError) as caught:
        choose(registry)
    assert caught.value.message == "no machine runs"
    assert "start one: samehost machine start podman\n" in caught.value.remedy + "\n"
    assert ("sudo samehost up" in caught.value.remedy) is (who == "somebody on Linux")


@NOBODY_OR_MAC
def test_where_there_is_none_at_all_what_to_install_is_said(registry: Registry, who: str) -> None:
    with pytest.raises(MachineUnreachableError) as caught:
        choose(registry)
    assert ("install Lima" in caught.value.remedy) is (who == "a Mac")
    assert not caught.value.remedy.startswith("or")


@NOBODY_OR_MAC
def test_what_is_wrong_with_a_tool_is_said_where_none_runs(
    registry: Registry, fake: FakeTools, who: str
) -> None:
    assert who
    fake.broken("limactl", "exits 1")
    give_context(fake, "orbstack", docker.CONTEXTS["orbstack"])
    with pytest.raises(MachineUnreachableError) as caught:
        choose(registry)
    assert "limactl failed: something is wrong" in caught.value.remedy
    assert "docker-orbstack: OrbStack shares localhost" in caught.value.remedy


def of(name: str, state: str = "running", **details: object) -> Found:
    return Found(name, "lima", state, SshDestination("x"), **details)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("machines", "names"),
    [
        ((of("a"), of("b")), ["a", "b"]),
        ((of("a", "stopped"), of("b", "starting"), of("c", "failed"), of("d")), ["d"]),
        ((of("a", declined="does it itself"), of("b")), ["b"]),
        ((of("a", is_remote=True), of("b", "unknown", is_remote=True)), []),
        ((), []),
    ],
)
@pytest.mark.parametrize("who", ["somebody on Linux"], indirect=True)
def test_other_computers_and_those_that_are_never_attached_are_not_meant(
    machines: tuple[Found, ...], names: list[str], who: str
) -> None:
    assert who
    assert meant(Sighting(machines)) == names


@pytest.mark.parametrize(
    ("machines", "chosen", "engine"),
    [
        ((of("w", has_windows_containers=True, declined="it"), of("a")), "w", "w"),
        ((of("w", has_windows_containers=True, declined="it"), of("a")), "a", ""),
        ((of("w", has_windows_containers=True, declined="it"),), None, "w"),
        ((of("w", has_windows_containers=True, declined="it"), of("a")), None, ""),
        ((of("w", has_windows_containers=True, declined="it"), of("a", "stopped")), None, ""),
        ((of("a"),), "gone", ""),
        ((), None, ""),
    ],
)
@pytest.mark.parametrize("who", ["somebody on Linux"], indirect=True)
def test_an_engine_with_windows_containers_is_meant_if_it_was_chosen_or_is_all_there_is(
    machines: tuple[Found, ...], chosen: str | None, engine: str, who: str
) -> None:
    assert who
    assert windows_engine(Sighting(machines), chosen) == engine


# How the agent gets in


def test_a_found_machine_is_got_into_by_its_own_ssh_configuration(
    registry: Registry, fake: FakeTools
) -> None:
    fake.put("limactl", lima.LIST)
    machine = asyncio.run(registry.get("lima-docker"))
    assert isinstance(machine, ManagedMachine)
    inside = machine._reach()
    assert isinstance(inside, RemoteMachine)
    assert inside.name == "lima-docker"
    assert inside.docker_host() == "unix:///Users/ada/.lima/docker/sock/docker.sock"
    assert isinstance(inside.shell, OpenSshShell)
    assert inside.shell.destination == SshDestination(
        "lima-docker", config="/Users/ada/.lima/docker/ssh.config", is_own=True
    )


def test_a_distribution_of_wsl_is_got_into_by_wsl_exe_and_has_no_engine_here(
    registry: Registry, fake: FakeTools
) -> None:
    fake.put("wsl.exe", wsl.ENGLISH.encode())
    machine = asyncio.run(registry.get("wsl-Ubuntu"))
    assert isinstance(machine, ManagedMachine)
    inside = machine._reach()
    assert isinstance(inside, RemoteMachine)
    assert (inside.name, inside.kind, inside.docker_host()) == ("wsl-Ubuntu", "wsl", "")
    assert isinstance(inside.shell, WslShell)
    assert inside.shell.distribution == "Ubuntu"
    assert inside.own_ports == frozenset()


def test_one_without_a_way_in_cannot_start_an_agent(registry: Registry, fake: FakeTools) -> None:
    fake.put("rdctl", rancher.SETTINGS)
    machine = asyncio.run(registry.get("rancher"))
    with pytest.raises(MachineUnreachableError) as caught:
        asyncio.run(machine.start_agent(bytes(32)))
    assert "not where Rancher Desktop keeps it" in caught.value.remedy


def test_ssh_servers_are_machines_by_name_and_those_of_the_settings_are_listed(
    fake: FakeTools, paths: Paths
) -> None:
    settings = Settings(machine="ssh:ada@vm", also_attach=("ssh:vm:2222", "sandbox"))
    registry = Registry(paths, settings, tools=fake.tools())
    found = {each.name: each for each in find(registry).machines}
    assert list(found) == ["sandbox", "ssh:ada@vm", "ssh:vm:2222"]
    assert not found["ssh:ada@vm"].is_candidate
    machine = asyncio.run(registry.to_attach("ssh:ada@other"))
    assert isinstance(machine, RemoteMachine)
    with pytest.raises(UsageError):
        asyncio.run(registry.get("ssh:-oProxyCommand=x"))
