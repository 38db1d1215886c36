"""macOS's tables: what is a listener in them, and what happens when they are not understood."""

from __future__ import annotations

import ctypes
import errno
import struct
from collections.abc import Callable
from typing import Any, Final

import pytest

from desktop.listeners.macos import MacListenerSource, sysctl
from desktop.listeners.pcblist import LayoutError, parse_pcblist
from link.maturity import MATURITY_SECONDS
from tests.recordings import netstat, pcblist
from tests.recordings.pcblist import ESTABLISHED, LONG, SHORT, Row, table

generations = pytest.mark.parametrize("socket_bytes", [SHORT, LONG])
protocols = pytest.mark.parametrize("protocol", ["tcp", "udp"])


@generations
@pytest.mark.parametrize(("protocol", "more"), [("udp", 0), ("tcp", 208)])
def test_a_socket_takes_as_many_bytes_as_others_have_measured(
    socket_bytes: int, protocol: str, more: int
) -> None:
    each = len(table(protocol, [Row("::", 1)] * 3, socket_bytes)) - 2 * 24
    assert each == 3 * ({SHORT: 384, LONG: 408}[socket_bytes] + more)


@generations
@protocols
def test_an_entry_has_what_the_records_say(protocol: str, socket_bytes: int) -> None:
    rows = [Row("127.0.0.1", 8000, 7, 11), Row("::1", 65535, 8, 12), Row("::", 1, 9, 13)]
    found = parse_pcblist(table(protocol, rows, socket_bytes), protocol)
    assert [(each.address, each.port, each.pid, each.cookie) for each in found] == [
        (row.address, row.port, row.pid, row.handle) for row in rows
    ]
    assert {each.protocol for each in found} == {protocol}


@protocols
def test_sockets_with_a_peer_or_without_a_port_are_no_listeners(protocol: str) -> None:
    rows = [
        Row("127.0.0.1", 8000, state=ESTABLISHED, foreign_port=443),
        Row("0.0.0.0", 0),
        Row("10.0.0.5", 5000),
    ]
    assert [each.port for each in parse_pcblist(table(protocol, rows), protocol)] == [5000]


def test_a_stream_socket_that_is_bound_and_does_not_listen_is_none() -> None:
    assert parse_pcblist(table("tcp", [Row("0.0.0.0", 80, state=0)]), "tcp") == []


def test_the_interface_within_a_link_local_address_is_not_part_of_it() -> None:
    (entry,) = parse_pcblist(table("tcp", [Row("fe80:4::1", 80)]), "tcp")
    assert entry.address == "fe80::1"


def test_records_of_unknown_kinds_are_passed_over() -> None:
    data = table("udp", [Row("::", 53)])
    strange = struct.pack("<II", 33, 0x4000) + b"\xff" * 32
    end = len(data) - 24
    (entry,) = parse_pcblist(data[:end] + strange + data[end:], "udp")
    assert entry.port == 53


GOOD: Final = table("tcp", [Row("::", 80)])
END: Final = len(GOOD) - 24


@pytest.mark.parametrize(
    "data",
    [
        b"",
        GOOD[:23],
        struct.pack("<I", 32) + GOOD[4:],
        GOOD[:END],
        GOOD[: END - 8],
        GOOD[:24] + GOOD[24 + 104 :],
        GOOD[:24] + struct.pack("<II", 40, 0x10) + b"\0" * 32 + GOOD[24:],
        GOOD[:24] + struct.pack("<II", 1 << 31, 0x10) + GOOD[32:],
        GOOD[:24] + struct.pack("<II", 0, 0x10) + GOOD[32:],
    ],
    ids=[
        "nothing",
        "cut in the header",
        "another header",
        "no end",
        "cut in a record",
        "no socket begins",
        "too short",
        "too long",
        "no length",
    ],
)
def test_what_is_laid_out_otherwise_is_refused_as_a_whole(data: bytes) -> None:
    with pytest.raises(LayoutError):
        parse_pcblist(data, "tcp")


def test_an_empty_table_is_understood() -> None:
    assert parse_pcblist(table("udp", []), "udp") == []


# The source


def tables(*, udp: list[Row]) -> Callable[[str], bytes]:
    return lambda name: table("udp", udp) if "udp" in name else table("tcp", [])


def test_a_udp_port_of_the_kernels_choice_counts_when_it_is_old_enough(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 1000.0
    monkeypatch.setattr("desktop.listeners.tables.time.monotonic", lambda: now)
    rows = [Row("::", 50_000), Row("::", 50_001, handle=2, is_chosen=True)]
    source = MacListenerSource(tables(udp=rows), name_of=str)
    assert [each.port for each in source.scan(frozenset())] == [50_000]
    now += MATURITY_SECONDS
    assert [each.port for each in source.scan(frozenset())] == [50_000, 50_001]


def test_a_name_is_asked_for_once_and_may_be_unknown() -> None:
    asked: list[int] = []

    def name_of(pid: int) -> str | None:
        asked.append(pid)
        return None if pid == 7 else f"process {pid}"

    rows = [Row("::", 1, pid=7), Row("::", 2, pid=8, handle=2), Row("::", 3, pid=0, handle=3)]
    source = MacListenerSource(tables(udp=rows), name_of=name_of)
    source.scan(frozenset())
    found = [(each.process, each.pid) for each in source.scan(frozenset())]
    assert found == [(None, 7), ("process 8", 8), (None, None)]
    assert asked == [7, 8]


def test_no_socket_of_this_process_is_listed() -> None:
    rows = [Row("::", 1, pid=7), Row("::", 2, pid=8, handle=2)]
    source = MacListenerSource(tables(udp=rows), name_of=str, own=7)
    assert [each.port for each in source.scan(frozenset())] == [2]


def test_a_table_that_is_new_to_us_is_read_by_netstat_from_then_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    asked: list[str] = []

    def read(name: str) -> bytes:
        asked.append(name)
        return b"new" * 20

    source = MacListenerSource(read, lambda: netstat.NEW, name_of=str)
    assert source.pace.fast >= 1
    for _ in range(2):
        found = [(each.protocol, each.port) for each in source.scan(frozenset())]
        assert found == [("tcp", 3000), ("tcp", 3283)]  # the UDP one is on a port it may have got
    assert len(asked) == 1
    assert "netstat is asked" in caplog.text
    source.close()
    source.close()


# The call


class Kernel:
    """sysctlbyname of a table whose size changes between the calls."""

    def __init__(self, *sizes: int, number: int = errno.ENOMEM) -> None:
        self.sizes = list(sizes)
        self.number = number

    def __call__(self, name: bytes, buffer: Any, size: Any, new: None, length: int) -> int:
        assert (name, new, length) == (b"net.table", None, 0)
        have = self.sizes.pop(0) if self.sizes else -1
        pointer = ctypes.cast(size, ctypes.POINTER(ctypes.c_size_t))
        if have < 0 or (buffer is not None and have > pointer.contents.value):
            ctypes.set_errno(self.number)
            return -1
        if buffer is not None:
            ctypes.memmove(buffer, b"x" * have, have)
        pointer.contents.value = have
        return 0


def test_a_variable_is_read_whole() -> None:
    assert sysctl("net.table", Kernel(1000, 900)) == b"x" * 900


def test_a_variable_that_has_grown_is_asked_for_again() -> None:
    assert sysctl("net.table", Kernel(1000, 90_000, 90_000, 90_001)) == b"x" * 90_001


def test_a_variable_that_keeps_growing_is_an_error_some_time() -> None:
    kernel = Kernel(*(size * 100_000 for size in range(1, 20)))
    with pytest.raises(OSError, match="ENOMEM"):
        sysctl("net.table", kernel)


@pytest.mark.parametrize("sizes", [(), (1000,)])
def test_a_variable_that_is_not_there_is_an_error(sizes: tuple[int, ...]) -> None:
    with pytest.raises(OSError, match=r"net\.table: ENOENT"):
        sysctl("net.table", Kernel(*sizes, number=errno.ENOENT))


def test_where_there_is_no_such_variable_there_is_no_source() -> None:
    def read(name: str) -> bytes:
        raise OSError(errno.ENOENT, name)

    with pytest.raises(OSError, match="pcblist_n"):
        MacListenerSource(read)


def test_the_made_up_header_is_that_of_the_kernel() -> None:
    assert len(pcblist.header(3)) == 24
