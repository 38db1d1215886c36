"""`status` and `logs`, with a daemon and without."""

from __future__ import annotations

import json
import os
import time
from typing import Any

import pytest

from desktop.api.counters import COUNTERS, MACHINE_COUNTERS
from desktop.api.fake import fake_row
from desktop.cli.logfile import log_file
from desktop.errors import ExitCode
from desktop.paths import Paths
from tests.fake_winapi import FakeWinApi
from tests.served_backend import ServedBackend
from tests.unit.cli.conftest import Command
from tests.unit.cli.served import appear, attach_another, enable

STATUS: dict[str, Any] = {
    "version": None,
    "protocol": None,
    "enabled": None,
    "enabled_locked": None,
    "enabled_reason": None,
    "machine": [
        "name",
        "kind",
        "state",
        "kernel",
        "agent_version",
        "transport",
        "watcher",
        "transport_limits",
        "python",
        "problem",
        "docker_host",
        "connected_s",
        "counters",
    ],
    "ports": ["active", "conflict", "denied", "ignored", "pending", "paused"],
    "flows": ["tcp", "udp"],
    "bytes": ["in", "out"],
    "uptime_s": None,
    "machines": None,
    "counters": [*COUNTERS, *MACHINE_COUNTERS],
    "troubles": None,
    "settings_problems": None,
    "ending": None,
}


def assert_is_status(text: str) -> dict[str, Any]:
    status: dict[str, Any] = json.loads(text)
    assert list(status) == list(STATUS)
    for name, keys in STATUS.items():
        if keys:
            assert list(status[name]) == keys
    assert status["machines"][0] == status["machine"]
    return status


# status


def test_without_a_daemon_the_status_has_the_same_form(samehost: Command) -> None:
    result = samehost("status", "--json")
    assert result.code == 3
    status = assert_is_status(result.out)
    assert status["machine"]["state"] == "stopped"
    assert status["enabled"] is False
    assert "samehost up" in result.err


def test_without_a_daemon_the_switch_is_that_of_the_settings(
    samehost: Command, paths: Paths
) -> None:
    paths.settings_file.write_text('{"hostNetworkingEnabled": true, "machine": "sandbox-b"}')
    result = samehost("status", "--json")
    status = assert_is_status(result.out)
    assert (result.code, status["enabled"]) == (3, True)
    assert status["machine"]["name"] == "sandbox-b"


def test_a_broken_settings_file_is_mentioned(samehost: Command, paths: Paths) -> None:
    paths.settings_file.write_text("{")
    result = samehost("status")
    assert str(paths.settings_file) in result.err
    assert "line 1 column 2" in result.err


@pytest.mark.parametrize("words", ["status", "settings list", "settings get remap --json"])
def test_a_settings_file_that_was_broken_under_the_daemon_is_mentioned_once(
    samehost: Command, served: ServedBackend, paths: Paths, words: str
) -> None:
    enable(served)
    paths.settings_file.write_text("{")
    result = samehost(*words.split())
    assert result.code == 0
    assert result.err.count(f"{paths.settings_file} is not JSON") == 1


def test_status_is_three_while_the_switch_is_off(samehost: Command, served: ServedBackend) -> None:
    result = samehost("status", "--json")
    assert result.code == 3
    assert_is_status(result.out)
    assert "samehost enable" in result.err
    enable(served)
    result = samehost("status", "--json")
    assert result.code == 0
    assert "samehost enable" not in result.err


def test_a_machine_that_is_not_attached_is_not_called_stopped_and_the_way_is_said(
    samehost: Command, served: ServedBackend
) -> None:
    enable(served)
    result = samehost("status")
    assert "sandbox (fake) not attached" in result.out
    assert result.err == "samehost: sandbox is not attached; attach it: samehost up\n"
    assert samehost("up").code == 0
    result = samehost("status")
    assert "sandbox (fake) connected" in result.out
    assert result.err == ""


def test_status_says_who_locked_the_switch(samehost: Command, served: ServedBackend) -> None:
    served.backend.locked["hostNetworkingEnabled"] = "locked by the administrator"
    result = samehost("status")
    assert result.code == 3
    assert "off (locked by the administrator)" in result.out
    assert "samehost enable" not in result.err


def test_status_for_people_says_what_counts(samehost: Command, served: ServedBackend) -> None:
    enable(served)
    appear(served, fake_row(80), fake_row(81, state="conflict"))
    lines = samehost("status").out.splitlines()
    assert lines[0] == "Host networking  on"
    assert "1 active, 1 conflict" in lines[2]
    assert "\x1b" not in "".join(lines)


def test_status_says_how_long_a_machine_is_connected_or_why_it_is_not(
    samehost: Command, served: ServedBackend
) -> None:
    enable(served)
    machine = served.backend.machine_states["sandbox"]
    machine.link, machine.linked_at = "connected", time.monotonic() - 3 * 3600 - 300
    assert "sandbox (fake) connected for 3 h 5 min, kernel" in samehost("status").out
    machine.link, machine.problem = "reconnecting", "the agent\nhung up"
    assert "sandbox (fake) reconnecting (the agent hung up), kernel" in samehost("status").out


def test_status_has_a_line_for_each_machine_that_is_attached(
    samehost: Command, served: ServedBackend
) -> None:
    attach_another(served)
    lines = [line for line in samehost("status").out.splitlines() if line.startswith("Machine")]
    assert [line.split()[1] for line in lines] == ["sandbox", "sandbox-b"]
    status = assert_is_status(samehost("status", "--json").out)
    assert [machine["name"] for machine in status["machines"]] == ["sandbox", "sandbox-b"]
    assert [list(machine) for machine in status["machines"]] == [STATUS["machine"]] * 2


@pytest.mark.usefixtures("without_machine")
def test_status_without_any_machine_says_how_to_attach_one(samehost: Command) -> None:
    result = samehost("status")
    assert "Machine          none\n" in result.out
    assert "samehost machine attach NAME" in result.err
    assert assert_is_status(samehost("status", "--json").out)["machine"]["name"] == ""


def test_status_for_prometheus_is_the_daemons_text_and_needs_no_switch(
    samehost: Command, served: ServedBackend
) -> None:
    attach_another(served)
    result = samehost("status", "--prometheus")
    assert (result.code, result.err) == (ExitCode.DONE, "")
    assert 'samehost_machine_connected{machine="sandbox-b",kind="fake"} 1\n' in result.out
    assert 'samehost_agents_started_total{machine="sandbox"} 1\n' in result.out


def test_status_for_prometheus_says_that_there_is_no_daemon(samehost: Command) -> None:
    result = samehost("status", "--prometheus")
    assert (result.code, result.out.splitlines()[-1]) == (ExitCode.NOT_RUNNING, "samehost_up 0")


def test_status_has_one_form_at_a_time(samehost: Command) -> None:
    assert samehost("status", "--json", "--prometheus").code == ExitCode.USAGE


# logs


def test_without_a_log_there_is_nothing_to_show(samehost: Command) -> None:
    result = samehost("logs")
    assert result.code == 3
    assert "samehost up" in result.err


def test_logs_shows_the_log(samehost: Command, paths: Paths) -> None:
    paths.logs.mkdir()
    paths.log_file.write_bytes(b"one\n\xfftwo\n")
    result = samehost("logs")
    assert (result.code, result.out) == (0, "one\n\ufffdtwo\n")


def test_what_a_machine_said_in_the_log_does_not_steer_the_terminal(
    samehost: Command, paths: Paths
) -> None:
    paths.logs.mkdir()
    paths.log_file.write_text("\x1b]0;title\x07\x1b[2Jone\n\ttwo\u202e\n")
    assert samehost("logs").out == " ]0;title  [2Jone\n\ttwo \n"


@pytest.mark.parametrize("system", sorted({os.name, "nt"}))
def test_following_shows_what_is_added_also_after_rotation_which_it_does_not_hinder(
    samehost: Command, paths: Paths, monkeypatch: pytest.MonkeyPatch, system: str
) -> None:
    winapi = None if system == os.name else FakeWinApi.installed(monkeypatch)
    monkeypatch.setattr("desktop.cli.logs.log_file", lambda: log_file(system))
    paths.logs.mkdir()
    paths.log_file.write_text("one\n")

    def more() -> None:
        with paths.log_file.open("a") as log:
            log.write("two\n")

    def rotate() -> None:
        paths.log_file.rename(paths.logs / "old")
        paths.log_file.write_text("three\n")

    def nothing() -> None:
        assert paths.log_file.exists()

    def stop() -> None:
        raise KeyboardInterrupt

    steps = iter([more, rotate, nothing, stop])
    monkeypatch.setattr("desktop.cli.reader.wait", lambda *_: next(steps)())
    result = samehost("logs", "-f")
    assert (result.code, result.out) == (130, "one\ntwo\nthree\n")
    if winapi is not None:
        assert winapi.opened == [str(paths.log_file)] * 2
