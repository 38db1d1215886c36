"""Windows' tables: what is a listener in them, and tables that grow while they are read."""

from __future__ import annotations

import ctypes
from typing import Any

import pytest

from desktop.listeners.iphlpapi import LAYOUTS, Layout, TableCutShortError, parse_table
from desktop.listeners.numbers import Numbers
from desktop.listeners.windows import WindowsListenerSource, read_table
from tests.recordings.iphlpapi import Row, table

layouts = pytest.mark.parametrize("layout", LAYOUTS, ids=lambda each: f"{each[0]}{each[1]}")

ADDRESSES = {4: ("0.0.0.0", "127.0.0.1"), 6: ("::", "::1")}


def made(layout: Layout, rows: list[Row]) -> bytes:
    return table(layout.protocol, layout.version, rows)


@layouts
def test_an_entry_has_what_the_row_says(layout: Layout) -> None:
    wildcard, loopback = ADDRESSES[layout.version]
    data = made(layout, [Row(wildcard, 80, 4), Row(loopback, 0x1F90, 1 << 20)])
    with Numbers() as numbers:
        found = parse_table(data, layout, numbers)
    assert [(each.address, each.port, each.pid) for each in found] == [
        (wildcard, 80, 4),
        (loopback, 8080, 1 << 20),
    ]
    assert all(each.v6only and each.protocol == layout.protocol for each in found)


@layouts
def test_the_buffer_may_be_longer_than_its_rows(layout: Layout) -> None:
    data = made(layout, [Row(ADDRESSES[layout.version][0], 80)]) + b"\xff" * 500
    with Numbers() as numbers:
        assert len(parse_table(data, layout, numbers)) == 1


@layouts
def test_a_table_that_is_cut_short_is_refused(layout: Layout) -> None:
    data = made(layout, [Row(ADDRESSES[layout.version][0], 80)] * 3)
    for short in (b"", data[:3], data[:-1], data[:4]):
        with Numbers() as numbers, pytest.raises(TableCutShortError):
            parse_table(short, layout, numbers)


def test_connections_and_sockets_without_a_port_are_no_listeners() -> None:
    tcp4, _, udp4, _ = LAYOUTS
    with Numbers() as numbers:
        assert parse_table(made(tcp4, [Row("0.0.0.0", 80, state=5)]), tcp4, numbers) == []
        assert parse_table(made(udp4, [Row("0.0.0.0", 0)]), udp4, numbers) == []


def test_a_udp_port_that_windows_may_have_chosen_waits() -> None:
    rows = [Row("0.0.0.0", 5353), Row("0.0.0.0", 49152)]

    def read(layout: Layout) -> bytes:
        return made(layout, rows if layout.version == 4 else [])

    source = WindowsListenerSource(read, name_of=str)
    found = [(each.protocol, each.port) for each in source.scan(frozenset())]
    assert found == [("tcp", 5353), ("tcp", 49152), ("udp", 5353)]


def test_a_table_that_makes_no_sense_is_an_error_of_the_system() -> None:
    with pytest.raises(OSError, match="rows take"):
        WindowsListenerSource(lambda _: b"\x07\0\0\0")


class Function:
    """GetExtendedTcpTable of a table that grows with every call."""

    def __init__(self, *sizes: int) -> None:
        self.sizes = list(sizes)
        self.asked: list[tuple[int, ...]] = []

    def __call__(self, buffer: Any, size: Any, *rest: int) -> int:
        self.asked.append(rest)
        need = self.sizes.pop(0)
        pointer = ctypes.cast(size, ctypes.POINTER(ctypes.c_uint32))
        have, pointer.contents.value = pointer.contents.value, need
        if need > have:
            return 122
        ctypes.memmove(buffer, b"x" * need, need)
        return 0


def test_a_table_that_fits_is_read_at_once() -> None:
    function = Function(700)
    assert read_table(LAYOUTS[0], function) == b"x" * 700
    assert function.asked == [(0, 2, 3, 0)]  # AF_INET, TCP_TABLE_OWNER_PID_LISTENER


def test_a_table_that_grows_is_asked_for_with_more_room() -> None:
    function = Function(20_000, 30_000, 30_000)
    assert read_table(LAYOUTS[3], function) == b"x" * 30_000
    assert set(function.asked) == {(0, 23, 1, 0)}  # AF_INET6, UDP_TABLE_OWNER_PID


def test_a_table_that_keeps_growing_is_an_error_some_time() -> None:
    with pytest.raises(OSError, match="grows faster"):
        read_table(LAYOUTS[0], Function(*(20_000 * 2**n for n in range(12))))


def test_any_other_error_is_passed_on() -> None:
    with pytest.raises(OSError, match="GetExtendedUdpTable failed") as caught:
        read_table(LAYOUTS[2], lambda *_: 50)
    assert caught.value.errno == 50
