"""What `make audit` makes of locks, of what is installed, and of what the auditor says."""

from __future__ import annotations

import pytest

from scripts.audit import LOCKS, ROOT, judge_installed, judge_known, judge_lock

HASH = "--hash=sha256:" + "0" * 64
LOCK = (
    f"one==1.0 \\\n    {HASH} \\\n    {HASH}\ntwo==2.0 ; python_version < '3.12' \\\n    {HASH}\n"
)


@pytest.mark.parametrize("name", LOCKS)
def test_every_lock_of_ours_pins_each_package_with_its_hashes(name: str) -> None:
    assert judge_lock(name, (ROOT / name).read_text()) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "x is empty"),
        ("one>=1.0 " + HASH, "not pinned to a version: one>=1.0"),
        ("one==1.0", "without a hash: one==1.0"),
        ("one==1.0 --hash=md5:00", "without a hash"),
        ("git+https://example.org/one " + HASH, "not pinned"),
        ("-r other.txt", "not pinned"),
    ],
)
def test_what_is_not_locked_is_a_problem(text: str, problem: str) -> None:
    (found,) = judge_lock("x", text)
    assert problem in found


def test_a_package_that_is_installed_in_another_version_is_a_problem() -> None:
    assert judge_installed(LOCK, [("One", "1.0"), ("two", "2.1")]) == [
        "two 2.1 is installed, not 2.0"
    ]
    assert judge_installed(LOCK, [("one", "1.0")]) == [], "what is for another system is not here"


def test_all_is_well_only_if_something_was_said_of_each_package() -> None:
    one = {"name": "one", "version": "1.0", "vulns": []}
    two = {"name": "two", "version": "2.0", "vulns": []}
    assert judge_known("x", [one, two], LOCK) == []
    assert judge_known("x", [one], LOCK) == ["x: NOT AUDITED: nothing was said of two"]
    skipped = {"name": "two", "skip_reason": "not found"}
    assert judge_known("x", [one, skipped], LOCK) == ["x: NOT AUDITED: nothing was said of two"]


def test_a_known_vulnerability_is_told_with_its_remedy() -> None:
    found = {"id": "PYSEC-1", "fix_versions": ["1.1", "2.0"]}
    one = {"name": "one", "version": "1.0", "vulns": [found]}
    assert judge_known("x", [one], f"one==1.0 {HASH}") == [
        "x: VULNERABLE: one 1.0: PYSEC-1, mended in 1.1, 2.0"
    ]
