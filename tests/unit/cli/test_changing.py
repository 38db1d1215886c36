"""`enable`, `disable`, `settings` and `machine`, with a daemon and without."""

from __future__ import annotations

import json
import os
import time
from types import SimpleNamespace

import pytest

from desktop.api.fake import FakeMachine
from desktop.api.types import FindingInfo
from desktop.daemon.lock import DaemonLock
from desktop.findings import Finding
from desktop.machines.found.model import Found
from desktop.paths import Paths
from desktop.settings.keys import KEYS
from tests.served_backend import ServedBackend
from tests.unit.cli.conftest import Command, WordMachine, WordRegistry

INFO = ["key", "value", "default", "locked", "lock"]


# The switch


def test_without_a_daemon_the_switch_is_stored(samehost: Command, paths: Paths) -> None:
    result = samehost("enable")
    assert result.code == 0
    assert "next: samehost up" in result.out
    assert json.loads(paths.settings_file.read_text()) == {"hostNetworkingEnabled": True}
    assert samehost("disable").code == 0
    assert json.loads(paths.settings_file.read_text()) == {}
    assert os.listdir(paths.config) == ["settings.json"]


def test_with_a_daemon_the_switch_is_live(
    samehost: Command, served: ServedBackend, paths: Paths
) -> None:
    for verb, enabled in (("enable", True), ("disable", False)):
        result = samehost(verb)
        word = "on" if enabled else "off"
        assert (result.code, result.out) == (0, f"Host networking is {word}.\n")
        assert served.do(served.backend.status).enabled is enabled
    assert not paths.settings_file.exists()


def test_a_locked_switch_is_a_matter_of_permission(samehost: Command, paths: Paths) -> None:
    paths.admin.mkdir()
    paths.policy_file.write_text('{"hostNetworkingEnabled": {"locked": true, "value": false}}')
    result = samehost("enable")
    assert result.code == 5
    assert str(paths.policy_file) in result.err
    assert "administrator" in result.err


def test_settings_are_not_written_while_another_holds_the_lock(
    samehost: Command, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("desktop.cli.daemon.TURN_SECONDS", 0.1)
    with DaemonLock(paths.lock_file):
        result = samehost("enable")
    assert result.code == 6
    assert not paths.settings_file.exists()


def test_another_command_that_writes_settings_is_waited_for(
    samehost: Command, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = DaemonLock(paths.lock_file)
    monkeypatch.setattr("desktop.cli.switch.await_daemon", lambda _: lock.acquire())
    monkeypatch.setattr(
        "desktop.cli.daemon.time",
        SimpleNamespace(sleep=lambda _: lock.release(), monotonic=time.monotonic),
    )
    result = samehost("enable")
    assert (result.code, result.err) == (0, "")
    assert json.loads(paths.settings_file.read_text()) == {"hostNetworkingEnabled": True}


def test_a_daemon_that_begins_meanwhile_is_not_waited_for(
    samehost: Command, served: ServedBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("desktop.cli.switch.await_daemon", lambda _: None)
    monkeypatch.setattr("desktop.cli.daemon.time.sleep", pytest.fail)
    assert samehost("enable").code == 6
    assert served.backend.calls == []


# Settings


@pytest.mark.parametrize("with_daemon", [False, True])
def test_settings_are_listed(
    samehost: Command, request: pytest.FixtureRequest, with_daemon: bool
) -> None:
    if with_daemon:
        request.getfixturevalue("served")
    infos = json.loads(samehost("settings", "list", "--json").out)
    assert [list(info) for info in infos] == [INFO] * len(KEYS)
    assert {info["key"]: info["value"] for info in infos} == {
        name: key.default for name, key in KEYS.items()
    }
    table = samehost("settings", "list").out.splitlines()
    assert len(table) == len(KEYS) + 1
    assert table[0].split() == ["KEY", "VALUE", "DEFAULT", "MEANING", "LOCKED"]


@pytest.mark.parametrize("with_daemon", [False, True])
def test_a_setting_that_was_set_is_got(
    samehost: Command, request: pytest.FixtureRequest, with_daemon: bool
) -> None:
    if with_daemon:
        request.getfixturevalue("served")
    result = samehost("settings", "set", "ignore", "tcp:7000,udp:9")
    assert result.code == 0
    assert result.out.startswith('ignore is ["tcp:7000", "udp:9"]')
    assert ("next: samehost up" in result.out) is not with_daemon
    assert samehost("settings", "get", "ignore").out == '["tcp:7000", "udp:9"]\n'
    info = json.loads(samehost("settings", "get", "ignore", "--json").out)
    assert list(info) == INFO
    assert info["value"] == ["tcp:7000", "udp:9"]


@pytest.mark.parametrize(
    ("key", "value", "later"),
    [
        ("ignore", "tcp:7000", ""),
        ("machine", "sandbox", "; this applies at the next: samehost up"),
        ("alsoAttach", "sandbox-b", "; this applies at the next: samehost up"),
        ("udpPath", "portable", "; this applies after: samehost down, then samehost up"),
        ("ebpf", "off", "; this applies after: samehost down, then samehost up"),
        ("sandboxNetwork", "10.9.0.0/16", "; this applies after: samehost down, then samehost up"),
    ],
)
@pytest.mark.usefixtures("served")
def test_a_value_that_counts_later_only_is_said_to_although_the_daemon_runs(
    samehost: Command, key: str, value: str, later: str
) -> None:
    result = samehost("settings", "set", key, value)
    is_shown = samehost("settings", "get", key).out.rstrip("\n")
    assert result.out == f"{key} is {is_shown}{later}\n"


def test_text_is_shown_as_it_is(samehost: Command) -> None:
    samehost("settings", "set", "machine", "{value}")
    assert samehost("settings", "get", "machine").out == "{value}\n"


@pytest.mark.parametrize("with_daemon", [False, True])
@pytest.mark.parametrize(
    ("key", "value", "word"),
    [
        ("nonsense", "1", "hostNetworkingEnabled"),
        ("udpIdleSeconds", "soon", "a whole number of seconds"),
        ("ignore", "tcp:0", "ignore[0]"),
        ("remap", '{"tcp:1": 0}', 'remap["tcp:1"]'),
    ],
)
def test_a_wrong_setting_is_a_usage_error_that_shows_the_form(
    samehost: Command,
    request: pytest.FixtureRequest,
    with_daemon: bool,
    key: str,
    value: str,
    word: str,
) -> None:
    if with_daemon:
        request.getfixturevalue("served")
    result = samehost("settings", "set", key, value)
    assert (result.code, result.out) == (2, "")
    assert word in result.err


def test_an_unknown_setting_cannot_be_got(samehost: Command) -> None:
    assert samehost("settings", "get", "nonsense").code == 2


def test_a_lock_of_the_daemons_is_a_matter_of_permission(
    samehost: Command, served: ServedBackend
) -> None:
    served.backend.locked["reachHost"] = "locked by the administrator"
    result = samehost("settings", "set", "reachHost", "false")
    assert result.code == 5
    assert "locked by the administrator" in samehost("settings", "list").out


def test_a_broken_file_is_kept_and_named(samehost: Command, paths: Paths) -> None:
    paths.settings_file.write_text("{broken")
    result = samehost("settings", "set", "reachHost", "false")
    assert result.code == 0
    assert f"is kept as {paths.settings_file}.broken" in result.err
    assert (paths.config / "settings.json.broken").read_text() == "{broken"


@pytest.mark.parametrize(
    "words",
    [
        ("enable",),
        ("settings", "set", "reachHost", "false"),
        ("machine", "use", "sandbox-b"),
        ("machine", "attach", "sandbox-b"),
    ],
    ids=" ".join,
)
@pytest.mark.usefixtures("registry")
def test_whatever_stores_a_setting_says_where_a_broken_file_is_kept(
    samehost: Command, paths: Paths, words: tuple[str, ...]
) -> None:
    paths.settings_file.write_text("{broken")
    result = samehost(*words)
    assert result.code == 0
    assert result.err.count(f"is kept as {paths.settings_file}.broken") == 1


@pytest.mark.parametrize(
    "words",
    [
        ("enable",),
        ("settings", "set", "reachHost", "false"),
        ("machine", "use", "sandbox"),
        ("machine", "attach", "sandbox"),
    ],
    ids=" ".join,
)
def test_what_the_daemon_says_of_the_files_is_said(
    samehost: Command, served: ServedBackend, words: tuple[str, ...]
) -> None:
    served.backend.settings_problems.append("settings.json is kept as elsewhere (look)")
    result = samehost(*words)
    assert result.code == 0
    assert result.err.splitlines()[-1] == "samehost: settings.json is kept as elsewhere (look)"


@pytest.mark.parametrize("with_daemon", [False, True])
def test_what_is_wrong_with_the_files_is_in_the_json_of_a_change(
    samehost: Command, request: pytest.FixtureRequest, paths: Paths, with_daemon: bool
) -> None:
    problem = "elsewhere"
    if with_daemon:
        request.getfixturevalue("served").backend.settings_problems.append(problem)
    else:
        paths.settings_file.write_text("{broken")
        problem = f"is kept as {paths.settings_file}.broken"
    info = json.loads(samehost("settings", "set", "reachHost", "false", "--json").out)
    assert list(info) == [*INFO, "problems"]
    assert [problem in each for each in info["problems"]] == [True]


# Machines


def test_machines_are_listed_without_a_daemon(samehost: Command, registry: WordRegistry) -> None:
    registry.running.add("sandbox-b")
    machines = json.loads(samehost("machine", "list", "--json").out)
    assert [list(machine) for machine in machines] == [
        ["name", "kind", "state", "current", "docker_host", "reached", "note", "attached"]
    ] * 2
    found = [(each["name"], each["state"], each["current"]) for each in machines]
    assert found == [("sandbox", "stopped", False), ("sandbox-b", "running", True)]
    assert "sandbox-b" in samehost("machine", "list").out
    samehost("machine", "use", "sandbox")
    machines = json.loads(samehost("machine", "list", "--json").out)
    assert [each["current"] for each in machines] == [True, False]


def test_machines_are_listed_by_the_daemon(samehost: Command, served: ServedBackend) -> None:
    served.backend.machine_states["sandbox"].state = "failed"
    (machine,) = json.loads(samehost("machine", "list", "--json").out)
    assert (machine["kind"], machine["state"]) == ("fake", "failed")
    assert (machine["current"], machine["attached"]) == (True, False)
    served.backend.machine_states["sandbox"].link = "connected"
    head, row = samehost("machine", "list").out.splitlines()
    column = head.index("ATTACHED")
    assert row[column:].split()[0] == "yes"


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_what_kept_machines_from_being_found_is_said_beside_the_list(
    samehost: Command, registry: WordRegistry, options: tuple[str, ...]
) -> None:
    registry.findings.append(
        Finding("limactl did not answer within 5 seconds", "see what keeps it")
    )
    registry.found.append(Found("docker-x", "docker", "running", declined="does it itself"))
    result = samehost("machine", "list", *options)
    assert result.code == 0
    assert "samehost: limactl did not answer within 5 seconds (see what keeps it)\n" in result.err
    assert "limactl" not in result.out
    is_told = "docker-x is not one to attach: does it itself" in result.err
    assert is_told is not bool(options)
    assert "docker-x" in result.out


def test_the_daemon_says_it_too(samehost: Command, served: ServedBackend) -> None:
    served.backend.findings.append(FindingInfo("colima failed: no", ""))
    assert samehost("machine", "list").err == "samehost: colima failed: no\n"


def test_a_machine_is_used_started_and_stopped_by_the_daemon(
    samehost: Command, served: ServedBackend
) -> None:
    for action, word in (("use", "using"), ("start", "started"), ("stop", "stopped")):
        result = samehost("machine", action, "sandbox")
        assert (result.code, result.out) == (0, f"{word} sandbox\n")
        assert result.err == f"{'stopping' if action == 'stop' else 'starting'} sandbox\n"
    assert served.backend.calls == [
        "start sandbox",
        "set machine",
        "start sandbox",
        "stop sandbox",
    ]


def test_a_machine_is_used_started_and_stopped_without_a_daemon(
    samehost: Command, registry: WordRegistry, paths: Paths
) -> None:
    assert samehost("machine", "use", "sandbox-b").code == 0
    assert json.loads(paths.settings_file.read_text()) == {"machine": "sandbox-b"}
    assert samehost("machine", "start", "sandbox-b").code == 0
    assert registry.running == {"sandbox-b"}
    assert samehost("machine", "stop", "sandbox-b").code == 0
    assert registry.running == set()
    assert os.listdir(paths.config) == ["settings.json"]


def test_a_machine_is_attached_beside_another_and_detached_by_the_daemon(
    samehost: Command, served: ServedBackend
) -> None:
    served.backend.machine_states["sandbox-b"] = FakeMachine("sandbox-b")
    samehost("up")
    for action, names in (("attach", ["sandbox", "sandbox-b"]), ("detach", ["sandbox"])):
        result = samehost("machine", action, "sandbox-b")
        assert (result.code, result.out) == (0, f"{action}ed sandbox-b\n")
        assert [machine.name for machine in served.do(served.backend.status).machines] == names
    result = samehost("machine", "detach", "sandbox-b")
    assert result.code == 2
    assert "not attached: sandbox-b" in result.err


def test_the_first_machine_attached_where_there_is_no_sandbox_is_the_current_one(
    samehost: Command, registry: WordRegistry, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("desktop.machines.registry.has_namespaces", lambda: False)
    assert registry.names()
    assert samehost("machine", "attach", "sandbox-b").code == 0
    assert json.loads(paths.settings_file.read_text()) == {"machine": "sandbox-b"}


def test_machines_are_attached_and_detached_without_a_daemon_for_the_next_one(
    samehost: Command, registry: WordRegistry, paths: Paths
) -> None:
    def chosen() -> dict[str, object]:
        return dict(json.loads(paths.settings_file.read_text()))

    result = samehost("machine", "attach", "sandbox-b")
    assert (result.code, registry.running) == (0, set())
    assert result.out == "attached sandbox-b; this applies at the next: samehost up\n"
    assert chosen() == {"machine": "sandbox", "alsoAttach": ["sandbox-b"]}
    assert samehost("machine", "use", "sandbox-b").code == 0
    assert chosen() == {"machine": "sandbox-b", "alsoAttach": ["sandbox"]}
    assert samehost("machine", "detach", "sandbox-b").code == 0
    assert chosen() == {"machine": "sandbox"}
    result = samehost("machine", "detach", "sandbox")
    assert result.code == 2
    assert "sandbox" in result.err
    assert chosen() == {"machine": "sandbox"}


def test_an_empty_name_is_not_the_current_machines(
    samehost: Command, served: ServedBackend, registry: WordRegistry
) -> None:
    assert registry.names()
    for words in (("up", "--machine", ""), ("machine", "doctor", ""), ("machine", "env", "")):
        result = samehost(*words)
        assert (result.code, result.out) == (2, "")
        assert "unknown machine: \n" in result.err
    assert served.backend.calls == []


@pytest.mark.parametrize("action", ["use", "attach", "start", "stop", "env"])
@pytest.mark.usefixtures("registry")
def test_an_unknown_machine_is_a_usage_error(samehost: Command, action: str) -> None:
    result = samehost("machine", action, "mars")
    assert result.code == 2
    assert "known: sandbox" in result.err


@pytest.mark.usefixtures("registry")
def test_the_environment_is_quoted_for_a_shell(samehost: Command) -> None:
    result = samehost("machine", "env", "sandbox-b")
    assert result.out == "export DOCKER_HOST='unix:///nowhere/sandbox-b 1/docker.sock'\n"
    assert samehost("machine", "env").out.count("sandbox 1") == 1
    assert json.loads(samehost("machine", "env", "--json").out) == {
        "DOCKER_HOST": "unix:///nowhere/sandbox 1/docker.sock"
    }


def test_without_an_engine_there_is_no_environment(
    samehost: Command, served: ServedBackend
) -> None:
    served.backend.machine_states["sandbox"].docker_host = ""
    result = samehost("machine", "env")
    assert (result.code, result.out) == (4, "")


@pytest.mark.usefixtures("registry")
def test_nor_is_there_one_for_a_machine_that_is_named(
    samehost: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(WordMachine, "docker_host", lambda _self: "")
    result = samehost("machine", "env", "sandbox-b")
    assert (result.code, result.out) == (4, "")
    assert "the engine of the machine sandbox-b cannot be reached from here" in result.err
