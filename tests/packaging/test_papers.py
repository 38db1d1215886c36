"""The bill of materials and the checksums."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from pathlib import Path

import pytest

from link.version import VERSION
from scripts.dist.papers import SUMS, write_bill, write_sums
from tests.packaging.stage import PROJECT, tool


@pytest.fixture(scope="module")
def bill(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As it is shipped."""
    tool("cyclonedx-py")
    return write_bill(tmp_path_factory.mktemp("bill"))


def test_the_bill_has_every_package_that_users_get_by_version_and_hash(bill: Path) -> None:
    told = json.loads(bill.read_text())
    lock = (PROJECT / "requirements-gui.lock").read_text()
    pins = set(re.findall(r"(?m)^([\w-]+)==([\w.]+)", lock))
    assert {(each["name"], each["version"]) for each in told["components"]} == pins
    hashes = {
        each["content"]
        for component in told["components"]
        for reference in component["externalReferences"]
        for each in reference["hashes"]
    }
    assert hashes == set(re.findall(r"--hash=sha256:([0-9a-f]{64})", lock))


def test_the_bill_is_of_this_version_and_of_the_form_that_it_says(bill: Path) -> None:
    told = json.loads(bill.read_text())
    assert (told["bomFormat"], told["specVersion"]) == ("CycloneDX", "1.6")
    root = told["metadata"]["component"]
    assert (root["name"], root["version"]) == ("samehost", VERSION)
    assert bill.name == f"samehost-{VERSION}.cdx.json"


def test_the_same_lock_gives_the_same_bill(bill: Path, tmp_path: Path) -> None:
    assert write_bill(tmp_path).read_bytes() == bill.read_bytes()


def test_the_checksums_are_such_as_sha256sum_checks(tmp_path: Path) -> None:
    (tmp_path / "one.deb").write_bytes(b"one")
    (tmp_path / "two words").write_bytes(b"two")
    write_sums(tmp_path)
    subprocess.run(["sha256sum", "--check", "--strict", SUMS], cwd=tmp_path, check=True)
    lines = (tmp_path / SUMS).read_text().splitlines()
    assert lines[0] == f"{hashlib.sha256(b'one').hexdigest()}  one.deb"
    assert len(lines) == 2


def test_checksums_are_made_anew_and_not_of_themselves(tmp_path: Path) -> None:
    (tmp_path / "one").touch()
    first = write_sums(tmp_path).read_text()
    assert write_sums(tmp_path).read_text() == first
