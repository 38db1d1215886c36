"""What is short is said once, with a remedy, for as long as it goes on."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from desktop.api.counters import COUNTERS, MACHINE_COUNTERS
from desktop.daemon.troubles import _WORDS, OVER_SECONDS, Troubles
from desktop.mirror.systems import LINUX, MACOS, WINDOWS, System
from link.shortages import shortages
from tests.daemon_world import DaemonWorld, machines
from tests.fake_machine import FakeRegistry

__all__ = ["machines"]


def test_a_trouble_is_one_line_however_often_it_is_met(caplog: pytest.LogCaptureFixture) -> None:
    troubles = Troubles()
    assert troubles.look({"connections_refused_files": 0}, {}, 0) == []
    for count in range(1, 100):
        (line,) = troubles.look({"connections_refused_files": count}, {}, count / 10)
        assert "ulimit -n" in line
        assert line.endswith(f"({count})")
    assert len(caplog.records) == 1


def test_it_is_over_some_time_after_the_last_and_then_begins_anew(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    troubles = Troubles()
    counters = {"connections_refused_memory": 3}
    assert troubles.look(counters, {}, 5)
    assert troubles.look(counters, {}, 5 + OVER_SECONDS - 0.1)
    assert troubles.look(counters, {}, 5 + OVER_SECONDS) == []
    assert "over, after 3" in caplog.text
    (line,) = troubles.look({"connections_refused_memory": 5}, {}, 100)
    assert line.endswith("(2)")


def test_each_machines_trouble_names_the_machine() -> None:
    short = {"agent_connections_refused_ports": 1}
    lines = Troubles().look({}, {"sandbox": short, "lima": short}, 0)
    assert [name in line for name, line in zip(("sandbox", "lima"), lines, strict=True)] == [
        True
    ] * 2


@pytest.mark.parametrize(
    ("system", "name", "remedy"),
    [
        (LINUX, "files", "ulimit -n"),
        (WINDOWS, "files", "close some programs"),
        (LINUX, "ports", "net.ipv4.ip_local_port_range"),
        (MACOS, "ports", "net.inet.ip.portrange"),
        (WINDOWS, "ports", "dynamicport"),
    ],
)
def test_the_remedy_is_one_of_this_computers_system(system: System, name: str, remedy: str) -> None:
    (line,) = Troubles(system).look({f"connections_refused_{name}": 1}, {}, 0)
    assert remedy in line


def test_a_machine_is_linux_whatever_this_computer_is() -> None:
    short = {"agent_connections_refused_ports": 1}
    (line,) = Troubles(WINDOWS).look({}, {"wsl-Debian": short}, 0)
    assert "net.ipv4.ip_local_port_range" in line


def test_what_is_no_trouble_is_not_said() -> None:
    harmless = dict.fromkeys({*COUNTERS, *MACHINE_COUNTERS} - set(_WORDS), 7)
    assert Troubles().look(harmless, {"sandbox": harmless}, 0) == []


def test_every_trouble_is_a_counter_that_there_is() -> None:
    assert set(_WORDS) <= {*COUNTERS, *MACHINE_COUNTERS}


def test_a_daemon_says_it_in_its_log_though_nobody_asks_and_in_its_status(
    tmp_path: Path,
    machines: FakeRegistry,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for name in ("files", "memory", "ports"):  # other tests have had some
        monkeypatch.setattr(shortages, name, 0)
    monkeypatch.setattr("desktop.daemon.daemon.TICK_SECONDS", 0.01)

    async def story() -> None:
        async with DaemonWorld(tmp_path, machines) as world:
            assert world.daemon.status().troubles == []
            shortages.ports = 2
            await world.until(lambda: "no port is free on this computer" in caplog.text)
            (line,) = world.daemon.status().troubles
            assert line.endswith("(2)")

    asyncio.run(story())
