"""The busiest ports, and how a line of a menu names one."""

from __future__ import annotations

import msgspec
import pytest

from desktop.api.fake import fake_row
from desktop.api.types import PortRow
from gui.busiest import MOST_PORTS, address, busiest, line


def row(port: int, flows: int = 0, carried: int = 0, **changes: object) -> PortRow:
    return msgspec.structs.replace(fake_row(port), flows=flows, bytes_in=carried, **changes)


def test_flows_count_more_than_bytes_and_ties_are_in_order() -> None:
    rows = [row(1, 0, 10**9), row(4, 2, 5), row(3, 2, 5), row(2, 7, 0), row(5, 2, 6)]
    assert [each.machine_port for each in busiest(rows)] == [2, 5, 3, 4, 1]


def test_there_are_never_more_than_a_menu_bears() -> None:
    assert len(busiest(row(port, 1) for port in range(100))) == MOST_PORTS


@pytest.mark.parametrize("state", ["conflict", "denied", "paused", "pending", "ignored"])
def test_a_port_that_is_not_open_is_not_busy(state: str) -> None:
    assert busiest([row(1, 3, 3, state=state)]) == []


def test_a_port_that_nobody_used_is_not_busy() -> None:
    assert busiest([row(1)]) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "localhost:8000"),
        ({"host_address": "0.0.0.0", "host_port": 18000}, "localhost:18000"),
        ({"host_address": "::1"}, "localhost:8000"),
        ({"host_address": "127.0.0.9"}, "127.0.0.9:8000"),
        ({"host_address": "fd00::1"}, "[fd00::1]:8000"),
        ({"origin": "host", "machine_port": 81, "host_port": 80}, "localhost:81"),
    ],
)
def test_the_address_is_that_where_the_mirror_listens(
    changes: dict[str, object], expected: str
) -> None:
    assert address(row(8000, **changes)) == expected  # type: ignore[arg-type]


def test_a_line_names_address_owner_and_flows() -> None:
    assert line(row(8000, 3)).startswith("TCP localhost:8000  ·  web  ·  3 ")
    assert line(row(8000, 0, 2048)) == "TCP localhost:8000  ·  web  ·  2.0 kB"


def test_a_strangers_name_is_cut_and_only_words() -> None:
    odd = row(1, 1, container=None, process="x" * 500 + "\n")
    assert "…" in line(odd)
    assert len(line(odd)) < 100
    assert "\n" not in line(row(1, 1, container=None, process="a\nb"))
