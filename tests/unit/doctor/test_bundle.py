"""The report for a bug: complete whatever is broken, redacted, and never over another file."""

from __future__ import annotations

import asyncio
import json
import stat
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from desktop.doctor import bundle
from desktop.doctor.bundle import CONTENTS, Report, check_place, gather, write
from desktop.errors import ConflictError, UsageError
from desktop.machines.examination import Finding
from tests.capabilities import SYMLINKS, USER_IDS, needs
from tests.unit.doctor.worlds import Words, row, status

FINDINGS = [Finding("ports", "warning", "container shop-web has port 80", "ask mybox")]
NAMES = {"README.txt", *CONTENTS}


class Person(Words):
    """A patient with names: a container's, an image's, a user's, a host's."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self.said = status(name="ssh:carol@farbox:2222")
        container = {"id": "c0ffee", "name": "shop-web", "runtime": "docker"}
        self.wide = {
            "ports": [row(80, container=container, reason="shop-web on 192.0.2.7")],
            "containers": [{**container, "image": "shop/image", "labels": {"a": "shop-label"}}],
        }

    async def ask(self, method: str, _seconds: float = 0, /, **parameters: object) -> Any:
        assert (method, parameters) == ("ports", {"wide": True})
        return self.wide


def report_of(patient: Words) -> Report:
    return asyncio.run(gather(patient, FINDINGS))


@pytest.fixture
def person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Person:
    for home in ("HOME", "USERPROFILE"):  # of Linux and macOS, of Windows
        monkeypatch.setenv(home, str(tmp_path))
    monkeypatch.setattr("socket.gethostname", lambda: "mybox.corp.lan")
    monkeypatch.setattr("getpass.getuser", lambda: "alice")
    patient = Person(tmp_path)
    patient.paths.settings_file.write_text(json.dumps({"alsoAttach": ["ssh:dave@nearbox"]}))
    patient.paths.logs.mkdir()
    patient.paths.log_file.write_text(
        f"{tmp_path}/state: alice on mybox; carol at farbox; dave, nearbox; c0ffee shop-label\n"
        "password: hunter2\n" + "y" * 5000 + "\n"
    )
    (patient.paths.logs / "machine-sandbox.log").write_text("engine of shop/image at 10.1.2.3\n")
    return patient


def test_no_name_is_in_any_part(person: Person, tmp_path: Path) -> None:
    report = report_of(person)
    assert set(report) == NAMES
    whole = "\n".join(report.values())
    for word in (
        *("shop-web", "c0ffee", "shop/image", "shop-label", "alice", "mybox", "carol", "farbox"),
        *("dave", "nearbox", "192.0.2.7", "10.1.2.3", "hunter2", str(tmp_path)),
    ):
        assert word not in whole


def test_what_helps_is_there(person: Person) -> None:
    report = report_of(person)
    (finding,) = json.loads(report["doctor.json"])
    assert (finding["check"], finding["state"]) == ("ports", "warning")
    assert finding["evidence"].startswith("container <container-")
    (shown,) = json.loads(report["ports.json"])
    assert (shown["state"], shown["host_port"]) == ("active", 80)
    assert shown["container"]["name"] in shown["reason"]
    assert json.loads(report["status.json"])["machine"]["state"] == "connected"
    settings = {each["key"]: each["value"] for each in json.loads(report["settings.json"])}
    assert settings["reachHost"] is True
    assert json.loads(report["versions.json"])["libraries"]["msgspec"]
    assert "~/state: <user-" in report["samehost.log"]
    assert max(map(len, report["samehost.log"].splitlines())) < 2010
    assert "==> machine-sandbox.log" in report["machines.log"]
    for name in CONTENTS:
        assert name in report["README.txt"]


def test_without_a_daemon_the_reason_is_in_the_place_of_what_is_missing(tmp_path: Path) -> None:
    class Nobody(Words):
        async def ask(self, method: str, _seconds: float = 0, /, **_parameters: object) -> Any:
            assert method == "ports"
            await self.daemon()

    patient = Nobody(tmp_path, Words.without_daemon().failure)
    report = report_of(patient)
    assert set(report) == NAMES
    assert json.loads(report["status.json"])["missing"].startswith("Samehost is not running")
    assert json.loads(report["ports.json"])["missing"] == "Samehost is not running"
    assert report["samehost.log"] == "missing: there is no log"


REPORT = {"README.txt": "read", "doctor.json": "[]"}


def test_the_archive_is_a_tar_or_a_zip_by_its_name_and_the_owners_alone(tmp_path: Path) -> None:
    packed, zipped = tmp_path / "r.tar.gz", tmp_path / "r.zip"
    for path in (packed, zipped):
        write(REPORT, path)
        assert not USER_IDS.is_there or stat.S_IMODE(path.stat().st_mode) == 0o600
    with tarfile.open(packed) as archive:
        members = {each.name: each for each in archive}
        assert set(members) == {f"samehost-report/{name}" for name in REPORT}
        assert {(each.uname, each.gname, each.uid) for each in members.values()} == {("", "", 0)}
        file = archive.extractfile("samehost-report/README.txt")
        assert file is not None
        assert file.read() == b"read"
    with zipfile.ZipFile(zipped) as pack:
        assert pack.read("samehost-report/doctor.json") == b"[]"
    assert b"r.tar" not in packed.read_bytes()


@pytest.mark.parametrize("kind", ["file", pytest.param("link", marks=needs(SYMLINKS))])
def test_nothing_is_overwritten(tmp_path: Path, kind: str) -> None:
    path, other = tmp_path / "r.zip", tmp_path / "other"
    if kind == "file":
        path.write_text("mine")
    else:
        path.symlink_to(other)
    with pytest.raises(ConflictError, match="is there already"):
        check_place(path)
    with pytest.raises(ConflictError, match="is there already"):
        write(REPORT, path)
    assert not other.exists()
    assert kind == "link" or path.read_text() == "mine"


def test_a_folder_that_is_not_there_is_told_before_anything_is_looked_at(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no folder"):
        check_place(tmp_path / "none" / "r.zip")


def test_a_report_that_cannot_be_finished_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_report: Report) -> bytes:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(bundle, "_tar", fail)
    with pytest.raises(OSError, match="No space"):
        write(REPORT, tmp_path / "r.tar.gz")
    assert list(tmp_path.iterdir()) == []
