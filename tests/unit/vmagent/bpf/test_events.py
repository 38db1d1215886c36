"""From records to events, and what is asked to be followed; programs and memory are the test's."""

from __future__ import annotations

import errno
import logging
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from vmagent.bpf import events as events_module
from vmagent.bpf.events import BOUND, MOST_EVENTS, BindEvent, BindEvents, Drained
from vmagent.bpf.system import BpfError

EVENT = struct.Struct("=QHBBI")
"""struct event of watch.bpf.c: cookie, port, protocol, kind, unused."""


class Programs:
    """Stands for the programs: maps are files."""

    folder: ClassVar[Path]
    names: ClassVar[list[str]]

    def __init__(self, _cgroup: int, _wanted: object, constants: dict[str, bytes]) -> None:
        self.constants = constants
        self.attached = True
        lost = self.folder / "lost"
        lost.write_bytes(bytes(4096))
        self.maps = {
            name: os.open(lost, os.O_RDWR)
            for name in ("samehost_events", "samehost_binds", "samehost_lost")
        }
        self.is_closed = False

    def close(self) -> None:
        for descriptor in self.maps.values():
            os.close(descriptor)
        self.is_closed = True


class Ring:
    """Stands for the ring buffer."""

    records: ClassVar[list[bytes]]

    def __init__(self, _descriptor: int, size: int) -> None:
        assert size == 256 * 1024

    def read(self, most: int) -> list[bytes]:
        read = self.records[:most]
        del self.records[:most]
        return read

    def close(self) -> None:
        """Nothing is mapped."""


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[], BindEvents]:
    Programs.folder, Programs.names, Ring.records = tmp_path, ["samehost_tcp_ns"], []
    monkeypatch.setattr(events_module, "AttachedPrograms", Programs)
    monkeypatch.setattr(events_module, "RingBuffer", Ring)
    return lambda: BindEvents(str(tmp_path))


def set_lost(count: int) -> None:
    with (Programs.folder / "lost").open("r+b") as file:
        file.write(struct.pack("=Q", count))


def test_records_become_events(make: Callable[[], BindEvents]) -> None:
    Ring.records = [
        EVENT.pack(7, 53, 17, 1, 0),
        EVENT.pack(1 << 63, 65535, 6, 2, 0),
        EVENT.pack(7, 53, 17, 3, 0),
    ]
    events = make()
    assert events.drain() == Drained(
        [
            BindEvent(7, 53, "udp", "bound"),
            BindEvent(1 << 63, 65535, "tcp", "listening"),
            BindEvent(7, 53, "udp", "gone"),
        ],
        lost=0,
    )
    events.close()


def test_what_was_lost_is_told_once_and_counted(make: Callable[[], BindEvents]) -> None:
    events = make()
    Ring.records = [EVENT.pack(7, 53, 17, 0, 0)]  # the kernel's word that one was
    set_lost(1)
    assert events.drain() == Drained([], 1)
    set_lost(5)
    assert events.drain() == Drained([], 4)
    assert events.drain() == Drained([], 0)
    assert events.lost == 5
    events.close()


def test_a_record_that_tells_nothing_is_left_out(make: Callable[[], BindEvents]) -> None:
    good = EVENT.pack(7, 53, 17, 1, 0)
    Ring.records = [EVENT.pack(7, 53, 132, 1, 0), EVENT.pack(7, 53, 17, 9, 0), b"short", b"", good]
    events = make()
    assert events.drain() == Drained([BindEvent(7, 53, "udp", BOUND)], 0)
    events.close()


def test_a_read_is_bounded(make: Callable[[], BindEvents]) -> None:
    Ring.records = [EVENT.pack(each, 1, 6, 2, 0) for each in range(MOST_EVENTS + 1)]
    events = make()
    assert len(events.drain().events) == MOST_EVENTS
    assert [each.cookie for each in events.drain().events] == [MOST_EVENTS]
    events.close()


@pytest.mark.parametrize(
    ("names", "variant"),
    [(["samehost_tcp_ns"], "eBPF"), (["samehost_tcp"], "eBPF of all network namespaces")],
)
def test_the_variant_is_told_in_words(
    make: Callable[[], BindEvents], names: list[str], variant: str
) -> None:
    Programs.names = names
    events = make()
    assert events.variant == variant
    events.close()


def test_all_is_freed_once(make: Callable[[], BindEvents]) -> None:
    before = os.listdir("/proc/self/fd")
    events = make()
    assert events.fileno() >= 0
    events.close()
    events.close()
    assert events.fileno() == -1
    assert os.listdir("/proc/self/fd") == before


@dataclass
class Known:
    """A socket that a dump has shown."""

    cookie: int
    protocol: str
    port: int


def test_followed_sockets_are_put_into_the_programs_table(
    make: Callable[[], BindEvents], monkeypatch: pytest.MonkeyPatch
) -> None:
    elements = []
    monkeypatch.setattr(events_module, "update_element", lambda *each: elements.append(each[1:]))
    events = make()
    assert events.follow([Known(7, "udp", 53), Known(8, "tcp", 80)])
    # struct bind: port, protocol, is told.
    assert elements == [
        (struct.pack("=Q", 7), struct.pack("=HBBI", 53, 17, 1, 0)),
        (struct.pack("=Q", 8), struct.pack("=HBBI", 80, 6, 1, 0)),
    ]
    events.close()


def fail(code: int) -> Callable[[int, bytes, bytes], None]:
    def update(_map: int, _key: bytes, _value: bytes) -> None:
        raise BpfError(code, os.strerror(code))

    return update


def test_a_full_table_is_said_and_any_other_failure_raised(
    make: Callable[[], BindEvents],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    events = make()
    monkeypatch.setattr(events_module, "update_element", fail(errno.E2BIG))
    with caplog.at_level(logging.WARNING):
        assert not events.follow([Known(7, "udp", 53)])
    assert "seen late" in caplog.text
    monkeypatch.setattr(events_module, "update_element", fail(errno.ENOMEM))
    with pytest.raises(BpfError):
        events.follow([Known(7, "udp", 53)])
    events.close()
