"""The checks of the daemon, its versions, its limits and its folders, in each of their states."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from desktop import processes
from desktop.api.client import NoAnswerError
from desktop.disk import FULL_BYTES
from desktop.doctor.daemon import check_daemon, check_protocol
from desktop.doctor.folders import SHORT_BYTES, check_disk, check_runtime_folder
from desktop.doctor.limits import Port, check_privileged_ports, limits
from desktop.doctor.limits_linux import judge_files, judge_ports
from desktop.doctor.settings import check_switch
from desktop.doctor.verdict import Verdict, ok
from desktop.errors import NotRunningError, SamehostError, VersionMismatchError
from link.version import VERSION
from tests.capabilities import USER_IDS, needs
from tests.unit.doctor.worlds import Words, row, status, verdict


def test_a_daemon_that_answers_is_told_with_its_process() -> None:
    found = verdict(check_daemon, Words())
    assert (found.state, found.evidence) == ("ok", f"process 7, version {VERSION}, up for 7 s")


def test_without_a_daemon_its_error_is_the_checks() -> None:
    with pytest.raises(NotRunningError):
        verdict(check_daemon, Words.without_daemon())


def test_a_daemon_that_hangs_is_an_error_with_the_way_out() -> None:
    found = verdict(
        check_daemon, Words(failure=NoAnswerError("the daemon does not answer", "look"))
    )
    assert (found.state, found.evidence) == ("error", "the daemon does not answer")
    assert found.remedy.splitlines()[0] == "look"


class Hanging(Words):
    """A daemon that lets itself be reached, and says nothing."""

    def __init__(self) -> None:
        super().__init__(failure=NoAnswerError("the daemon does not answer", "look"))

    async def daemon_pid(self) -> int:
        return self.pid


@pytest.mark.parametrize(
    ("has_signals", "is_stopped", "words", "remedy"),
    [
        (True, True, "process 7, was suspended", "kill -CONT 7"),
        (True, False, "does not answer: process 7 hangs", "kill -9 7"),
        (False, True, "process 7, was suspended", "resmon"),
        (False, False, "does not answer: process 7 hangs", "taskkill /f /pid 7"),
    ],
)
def test_whether_a_daemon_hangs_or_was_stopped_the_remedy_is_one_of_this_system(
    monkeypatch: pytest.MonkeyPatch, has_signals: bool, is_stopped: bool, words: str, remedy: str
) -> None:
    state = psutil.STATUS_STOPPED if is_stopped else psutil.STATUS_RUNNING
    told = SimpleNamespace(status=lambda: state)
    monkeypatch.setattr(psutil, "Process", lambda pid: {7: told}[pid])
    monkeypatch.setattr(processes, "HAS_SIGNALS", has_signals)
    found = verdict(check_daemon, Hanging())
    assert found.state == "error"
    assert words in found.evidence
    assert remedy in found.remedy


MISMATCH = VersionMismatchError("the daemon is version 9", "restart the daemon")


@pytest.mark.parametrize(
    ("failure", "version", "agent", "state", "words"),
    [
        (None, VERSION, VERSION, "ok", "command, daemon and the agent in sandbox: "),
        (None, VERSION, "", "note", "no agent is connected"),
        (None, VERSION, "0.0.1", "warning", "sandbox has 0.0.1"),
        (None, "9.0.0", VERSION, "warning", "the daemon is 9.0.0"),
        (MISMATCH, "", "", "error", "the daemon is version 9"),
        (NotRunningError("it is not there"), "", "", "skipped", "no daemon answers"),
    ],
)
def test_versions_are_compared(
    failure: SamehostError | None, version: str, agent: str, state: str, words: str
) -> None:
    patient = Words(failure=failure)
    patient.version = version
    state_of_it = "connected" if agent else "reconnecting"
    patient.said = status(agent_version=agent, state=state_of_it)
    found = verdict(check_protocol, patient)
    assert found.state == state
    assert words in found.evidence
    assert bool(found.remedy) == (state in ("warning", "error"))


def process_with(proc: Path, limits: str, files: int, capabilities: int = 0) -> int:
    """A made-up process 7 in a made-up /proc."""
    folder = proc / "7"
    (folder / "fd").mkdir(parents=True)
    for number in range(files):
        (folder / "fd" / str(number)).touch()
    head = "Limit                     Soft Limit           Hard Limit           Units"
    (folder / "limits").write_text(f"{head}\nMax open files            {limits}    files\n")
    (folder / "status").write_text(f"Name:\tx\nCapEff:\t{capabilities:016x}\n")
    return 7


@pytest.mark.parametrize(
    ("limits", "files", "state", "words"),
    [
        ("1048576 1048576", 40, "ok", "may open 1048576 files, 40 are open"),
        ("unlimited unlimited", 40, "ok", "may open unlimited files"),
        ("1024 4096", 40, "warning", "enough for about 512 connections"),
        ("100 4096", 40, "error", "no mirror or connection can be added"),
    ],
)
def test_the_daemons_files_are_counted_against_its_limit(
    tmp_path: Path, limits: str, files: int, state: str, words: str
) -> None:
    found = judge_files(process_with(tmp_path, limits, files), tmp_path)
    assert (found.state, words in found.evidence) == (state, True)
    assert ("raise the hard limit" in found.remedy) == (state != "ok")


def test_where_nobody_tells_of_limits_they_are_not_looked_at(tmp_path: Path) -> None:
    assert judge_files(7, tmp_path / "none").state == "skipped"
    assert judge_ports(7, [], tmp_path / "none").state == "skipped"


@pytest.mark.parametrize(
    ("start", "capabilities", "denied", "state", "words"),
    [
        (1024, 1 << 10, [80], "ok", "has the privilege"),
        (0, 0, [], "ok", "ip_unprivileged_port_start is 0"),
        (80, 0, [], "ok", "ports below 80"),
        (1024, 0, [], "note", "ports below 1024"),
        (1024, 0, [81, 443, 8080], "warning", "are wanted: 81, 443"),
    ],
)
def test_privileged_ports_are_judged_by_privilege_setting_and_wish(
    tmp_path: Path, start: int, capabilities: int, denied: list[int], state: str, words: str
) -> None:
    pid = process_with(tmp_path, "10 10", 1, capabilities)
    setting = tmp_path / "sys/net/ipv4/ip_unprivileged_port_start"
    setting.parent.mkdir(parents=True)
    setting.write_text(f"{start}\n")
    found = judge_ports(pid, [("tcp", each) for each in denied], tmp_path)
    assert (found.state, words in found.evidence) == (state, True)
    if state == "warning":
        assert "ip_unprivileged_port_start=81" in found.remedy


@pytest.mark.parametrize(("origin", "is_wanted"), [("machine", True), ("host", False)])
def test_a_port_that_is_denied_in_the_machine_is_not_this_computers(
    monkeypatch: pytest.MonkeyPatch, origin: str, is_wanted: bool
) -> None:
    wanted: list[Port] = []

    def judge(_pid: int, denied: list[Port]) -> Verdict:
        wanted.extend(denied)
        return ok("")

    monkeypatch.setattr(limits(), "judge_ports", judge)
    patient = Words()
    patient.table = [row(80, origin=origin, state="denied")]
    verdict(check_privileged_ports, patient)
    assert wanted == ([("tcp", 80)] if is_wanted else [])


WINDOWS = "the engine of sandbox runs Windows containers; only Linux containers are supported"


def test_what_only_the_daemon_knows_of_the_switch_is_told(tmp_path: Path) -> None:
    patient = Words(tmp_path)
    patient.paths.settings_file.write_text('{"hostNetworkingEnabled": true}')
    assert verdict(check_switch, patient).state == "ok"
    patient.said.update(enabled=False, enabled_locked=True, enabled_reason=WINDOWS)
    found = verdict(check_switch, patient)
    assert found.state == "warning"
    assert WINDOWS in found.evidence
    assert "Linux containers" in found.remedy


def runtime(home: Path, mode: int) -> Words:
    """A patient whose runtime folder has that mode."""
    patient = Words(home)
    patient.paths.runtime.mkdir()
    patient.paths.runtime.chmod(mode)
    return patient


@needs(USER_IDS)
def test_a_folder_of_our_own_is_well(tmp_path: Path) -> None:
    found = verdict(check_runtime_folder, runtime(tmp_path, 0o700))
    assert (found.state, "0700" in found.evidence) == ("ok", True)


def test_on_windows_where_modes_say_nothing_a_folder_is_not_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient = runtime(tmp_path, 0o777)
    monkeypatch.delattr(os, "geteuid", raising=False)
    found = verdict(check_runtime_folder, patient)
    assert (found.state, "access lists" in found.evidence) == ("skipped", True)


def test_a_folder_that_is_not_there_is_no_fault(tmp_path: Path) -> None:
    assert verdict(check_runtime_folder, Words(tmp_path)).state == "skipped"


@needs(USER_IDS)
def test_a_folder_in_which_others_may_write_is_an_error_with_the_command(tmp_path: Path) -> None:
    patient = runtime(tmp_path, 0o770)
    found = verdict(check_runtime_folder, patient)
    assert (found.state, found.remedy) == ("error", f"chmod 700 {patient.paths.runtime}")


@needs(USER_IDS)
def test_a_log_that_others_may_read_is_a_warning_with_the_command(tmp_path: Path) -> None:
    patient = runtime(tmp_path, 0o700)
    patient.paths.logs.mkdir()
    patient.paths.log_file.touch(0o600)
    older = patient.paths.logs / "samehost.log.1"
    older.touch()
    older.chmod(0o644)
    found = verdict(check_runtime_folder, patient)
    assert (found.state, found.remedy) == ("warning", f"chmod go-rwx {older}")


@needs(USER_IDS)
def test_folders_that_may_not_be_written_are_told_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient = Words(tmp_path)
    above = tmp_path / "above"
    above.mkdir()
    patient.paths = replace(patient.paths, logs=above / "not yet" / "logs")
    monkeypatch.setattr("os.access", lambda path, _mode: path != above)
    found = verdict(check_disk, patient)
    assert found.state == "error"
    assert found.evidence == f"this user may not write in {patient.paths.logs}"
    assert "SAMEHOST_HOME" in found.remedy


@pytest.mark.parametrize(
    ("free", "state"),
    [(0, "error"), (FULL_BYTES, "warning"), (SHORT_BYTES, "ok")],
)
def test_a_disk_that_is_full_or_soon_will_be_is_told_once_with_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, state: str
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=free))
    patient = Words(tmp_path)
    found = verdict(check_disk, patient)
    assert found.state == state
    assert found.evidence.count(str(patient.paths.config)) == 1
    assert ("make room" in found.remedy) is (state != "ok")
