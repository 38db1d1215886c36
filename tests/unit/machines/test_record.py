"""The written record of a running sandbox, and when it is believed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from desktop.machines.sandbox import record
from desktop.machines.sandbox.record import Record

BOOT = "7b1c3b0e-0000-4000-8000-000000000000"
STAT = "{pid} (a (strange) name) {state} 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 {start} 20"


def fake_proc(folder: Path, state: str = "S", start: int = 4711, boot: str = BOOT) -> Path:
    (folder / "42").mkdir(parents=True)
    (folder / "42" / "stat").write_text(STAT.format(pid=42, state=state, start=start))
    (folder / "sys/kernel/random").mkdir(parents=True)
    (folder / "sys/kernel/random/boot_id").write_text(boot + "\n")
    return folder


def a_record(pid: int = 42, start_time: int = 4711, boot: str = BOOT) -> Record:
    return Record(
        boot=boot,
        pid=pid,
        start_time=start_time,
        machine_address="10.213.0.2",
        host_address="10.213.0.1",
        interface="same-12345678",
        cgroup="samehost-12345678",
    )


def test_a_saved_record_is_loaded_as_it_was(tmp_path: Path) -> None:
    record.save(a_record(), tmp_path)
    assert record.load(tmp_path) == a_record()
    assert [entry.name for entry in tmp_path.iterdir()] == [record.RECORD_NAME]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"version": 1, "pid": "x"}', '{"x":' + "[" * 5000]
)
def test_a_record_that_cannot_be_read_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / record.RECORD_NAME).write_text(text)
    assert record.load(tmp_path) is None


def test_a_record_of_another_version_is_none(tmp_path: Path) -> None:
    record.save(a_record(), tmp_path)
    path = tmp_path / record.RECORD_NAME
    path.write_text(path.read_text().replace('"version": 1', '"version": 99'))
    assert record.load(tmp_path) is None


def test_no_record_is_none(tmp_path: Path) -> None:
    assert record.load(tmp_path) is None


def test_the_recorded_process_is_alive(tmp_path: Path) -> None:
    assert a_record().is_alive(fake_proc(tmp_path))


def test_a_process_id_that_is_used_again_is_not_the_machine(tmp_path: Path) -> None:
    assert not a_record().is_alive(fake_proc(tmp_path, start=4712))


def test_a_process_that_only_waits_to_be_collected_is_not_alive(tmp_path: Path) -> None:
    assert not a_record().is_alive(fake_proc(tmp_path, state="Z"))


def test_a_record_from_before_the_computers_restart_is_not_alive(tmp_path: Path) -> None:
    assert not a_record().is_alive(fake_proc(tmp_path, boot="another"))


def test_a_process_that_is_gone_is_not_alive(tmp_path: Path) -> None:
    assert not a_record(pid=43).is_alive(fake_proc(tmp_path))


def test_this_very_process_is_alive_by_its_own_start_time() -> None:
    start = record.start_time(os.getpid())
    assert start is not None
    assert a_record(os.getpid(), start, record.boot_id()).is_alive()
    assert not a_record(os.getpid(), start + 1, record.boot_id()).is_alive()
