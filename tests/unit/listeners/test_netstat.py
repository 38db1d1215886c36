"""netstat's print: columns of three times, and rows that are not to be trusted."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from queue import Queue
from typing import Any, Final

import pytest

from desktop.listeners import netstat as module
from desktop.listeners.netstat import Netstat, NoTableError, parse_netstat, run_netstat
from desktop.listeners.numbers import Numbers
from desktop.listeners.tables import Entry
from tests.recordings import netstat

PATIENCE: Final = 30.0


def parsed(text: str) -> list[tuple[str, str, int, bool, int]]:
    numbers = Numbers()
    with numbers:
        return [_short(each) for each in parse_netstat(text, numbers)]


def _short(entry: Entry) -> tuple[str, str, int, bool, int]:
    return entry.protocol, entry.address, entry.port, entry.v6only, entry.pid


def test_columns_without_counts_of_bytes() -> None:
    assert parsed(netstat.OLD) == [
        ("tcp", "127.0.0.1", 8000, True, 512),
        ("tcp", "::", 8080, False, 600),
        ("udp", "::", 9000, True, 700),
    ]


def test_columns_with_counts_of_bytes() -> None:
    assert parsed(netstat.WITH_BYTES) == [
        ("tcp", "0.0.0.0", 22, True, 1),
        ("tcp", "::1", 5432, True, 901),
        ("tcp", "fe80::1", 7000, True, 902),
        ("udp", "127.0.0.1", 53, True, 904),
    ]


def test_columns_with_the_name_of_a_process_before_its_id() -> None:
    assert parsed(netstat.NEW) == [
        ("tcp", "127.0.0.1", 3000, True, 53082),
        ("tcp", "::", 3283, False, 1039),
        ("udp", "::", 51820, False, 78),
    ]


def test_columns_that_do_not_name_the_process() -> None:
    text = netstat.OLD.replace("    pid   epid", "")
    assert {pid for *_, pid in parsed(text)} == {0}


@pytest.mark.parametrize("text", ["", "netstat: illegal option\n", "tcp4 0 0 *.22 *.* LISTEN\n"])
def test_what_has_no_header_is_no_table(text: str) -> None:
    with pytest.raises(NoTableError):
        parsed(text)


def test_a_listener_has_the_same_number_in_every_table_and_no_other_has_it() -> None:
    numbers = Numbers()
    tables = []
    for text in (netstat.NEW, netstat.NEW + netstat.NEW, netstat.NEW):
        with numbers:
            tables.append([each.cookie for each in parse_netstat(text, numbers)])
    assert tables[0] == tables[1][:3] == tables[2]
    assert len(set(tables[1])) == 6


# The program


def test_a_read_gives_what_the_last_run_has_found_and_does_not_wait() -> None:
    printed: Queue[str] = Queue()
    source = Netstat(lambda: printed.get(timeout=PATIENCE))
    printed.put(netstat.NEW)
    first = source.read()
    assert [each.port for each in first] == [3000, 3283, 51820]
    assert source.read() == source.read() == first  # nothing more is printed yet
    printed.put(netstat.OLD)
    assert source._next is not None
    source._next.result(PATIENCE)
    assert [each.port for each in source.read()] == [8000, 8080, 9000]
    printed.put(netstat.OLD)
    source.close()
    assert printed.empty()


def test_a_run_that_fails_is_an_error_once_and_tried_again() -> None:
    def fail() -> str:
        raise OSError("no netstat")

    answers: list[Callable[[], str]] = [fail, lambda: "nonsense"]

    def run() -> str:
        return answers.pop(0)() if answers else netstat.NEW

    source = Netstat(run)
    with pytest.raises(OSError, match="no netstat"):
        source.read()
    with pytest.raises(OSError, match="header"):
        source.read()
    assert len(source.read()) == 3
    source.close()


def test_the_program_is_asked_for_both_protocols_in_english(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[Any, ...]] = []

    def run(command: tuple[str, ...], **options: Any) -> subprocess.CompletedProcess[bytes]:
        asked.append(command)
        assert options["env"]["LC_ALL"] == "C"
        return subprocess.CompletedProcess(command, 0, netstat.NEW.encode(), b"")

    monkeypatch.setattr(subprocess, "run", run)
    assert run_netstat() == netstat.NEW * 2
    assert [command[-1] for command in asked] == ["tcp", "udp"]


def test_a_program_that_fails_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "COMMANDS", ((sys.executable, "-c", "raise SystemExit(1)"),))
    with pytest.raises(OSError, match="failed"):
        run_netstat()
