"""`samehost doctor` as people and programs see it."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

from desktop.doctor.bundle import CONTENTS
from desktop.doctor.checks import CHECKS
from desktop.errors import ExitCode
from tests.served_backend import ServedBackend
from tests.unit.cli.conftest import Command, WordRegistry

FIELDS = ["check", "state", "evidence", "remedy", "seconds"]


def test_the_checks_are_listed_without_looking_at_anything(samehost: Command) -> None:
    result = samehost("doctor", "--list")
    assert (result.code, result.err) == (ExitCode.DONE, "")
    names = [line.split()[0] for line in result.out.splitlines()]
    assert names == ["CHECK", *(check.name for check in CHECKS)]
    listed = json.loads(samehost("doctor", "--list", "--json", "clock").out)
    assert [list(each) for each in listed] == [["check", "description"]]


def test_findings_go_out_and_progress_goes_to_standard_error(
    samehost: Command,
    served: ServedBackend,  # noqa: ARG001
) -> None:
    result = samehost("doctor", "daemon", "protocol")
    assert result.code == ExitCode.DONE
    assert [line.split()[:2] for line in result.out.splitlines()] == [
        ["daemon", "ok"],
        ["protocol", "note"],
    ]
    assert "checking daemon: the daemon runs and answers" in result.err


def test_json_has_all_fields_in_order(
    samehost: Command,
    served: ServedBackend,  # noqa: ARG001
) -> None:
    result = samehost("doctor", "--json", "daemon")
    assert [list(each) for each in json.loads(result.out)] == [FIELDS]


def test_an_error_makes_it_fail_with_the_remedy_below(
    samehost: Command,
    registry: WordRegistry,  # noqa: ARG001
) -> None:
    result = samehost("doctor", "daemon", "machine")
    assert result.code == ExitCode.FAILED
    lines = result.out.splitlines()
    assert lines[0].split()[:2] == ["daemon", "error"]
    assert lines[1] == "  start it: samehost up"
    assert "sandbox: state: it is stopped" in lines[2]


def test_an_unknown_check_is_a_usage_error(samehost: Command) -> None:
    result = samehost("doctor", "nonsense")
    assert (result.code, result.out) == (ExitCode.USAGE, "")
    assert "unknown check: nonsense" in result.err


def test_a_report_is_written_whatever_is_in_it_and_said_what_is(
    samehost: Command,
    registry: WordRegistry,  # noqa: ARG001
    tmp_path: Path,
) -> None:
    file = tmp_path / "report.zip"
    result = samehost("doctor", "--bundle", str(file), "daemon", "machine")
    assert result.code == ExitCode.DONE
    assert result.out.splitlines()[0].startswith(f"{file}: names, addresses, homes and secrets")
    assert [line.split()[0] for line in result.out.splitlines()[1:]] == list(CONTENTS)
    with zipfile.ZipFile(file) as archive:
        findings = json.loads(archive.read("samehost-report/doctor.json"))
    assert [(each["check"], each["state"]) for each in findings] == [
        ("daemon", "error"),
        ("machine", "error"),
    ]
    assert samehost("doctor", "--bundle", str(file), "daemon").code == ExitCode.CONFLICT
    other = str(tmp_path / "other.tar.gz")
    told = json.loads(samehost("doctor", "--json", "--bundle", other, "daemon").out)
    assert (told["file"], list(told["contents"])) == (other, list(CONTENTS))


def test_a_list_and_a_report_at_once_are_a_usage_error(samehost: Command, tmp_path: Path) -> None:
    file = tmp_path / "report.zip"
    assert samehost("doctor", "--list", "--bundle", str(file)).code == ExitCode.USAGE
    assert not file.exists()
