"""The agent's file is the same, byte for byte, wherever and whenever it is built."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from desktop.machines.agent_bundle import SIZE_LIMIT
from scripts.dist.source import copy_source
from tests.packaging.stage import PROJECT

LONG_AGO = 86_400.0 * 365


def built_by(source: Path, target: Path, umask: int = 0o022, **variables: str) -> bytes:
    """What `packaging/agent.py` of a checkout makes of it."""
    command = [sys.executable, "packaging/agent.py", str(target)]
    environment = {**os.environ, "PYTHONPATH": str(source), **variables}
    done = subprocess.run(
        command,
        cwd=source,
        env=environment,
        umask=umask,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert f"of {SIZE_LIMIT // 1024} KiB allowed" in done.stdout
    return target.read_bytes()


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """As built in this checkout."""
    return built_by(PROJECT, tmp_path_factory.mktemp("agent") / "agent.pyz")


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A checkout elsewhere."""
    copy_source(tmp_path / "a folder elsewhere")
    return tmp_path / "a folder elsewhere"


def test_it_is_within_its_budget(usual: bytes) -> None:
    assert len(usual) <= SIZE_LIMIT


def test_the_folder_does_not_matter(usual: bytes, copied: Path, tmp_path: Path) -> None:
    assert built_by(copied, tmp_path / "agent.pyz") == usual


def test_the_times_of_files_do_not_matter(usual: bytes, copied: Path, tmp_path: Path) -> None:
    for path in copied.rglob("*.py"):
        os.utime(path, (time.time() - LONG_AGO,) * 2)
    assert built_by(copied, tmp_path / "agent.pyz", SOURCE_DATE_EPOCH="1") == usual


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_neither_the_umask_nor_the_modes_of_files_matter(
    umask: int, usual: bytes, copied: Path, tmp_path: Path
) -> None:
    for path in copied.rglob("*.py"):
        path.chmod(0o600 if umask else 0o777)
    assert built_by(copied, tmp_path / "agent.pyz", umask) == usual


def test_neither_locale_nor_time_zone_nor_order_of_hashes_matters(
    usual: bytes, tmp_path: Path
) -> None:
    for number, (locale, zone) in enumerate((("C", "UTC"), ("tr_TR.UTF-8", "Pacific/Apia"))):
        variables = {"LC_ALL": locale, "TZ": zone, "PYTHONHASHSEED": str(number)}
        assert built_by(PROJECT, tmp_path / f"{number}.pyz", 0o022, **variables) == usual


def test_what_lies_about_in_a_checkout_does_not_get_in(
    usual: bytes, copied: Path, tmp_path: Path
) -> None:
    (copied / "vmagent" / "notes.py").write_text("NOTHING = 1\n")
    (copied / "vmagent" / "core.1234").write_bytes(b"\0" * 1000)
    (copied / "link" / "__pycache__").mkdir()
    (copied / "link" / "__pycache__" / "wire.cpython-311.pyc").write_bytes(b"\0")
    assert built_by(copied, tmp_path / "agent.pyz") == usual
