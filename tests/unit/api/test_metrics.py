"""The status as Prometheus reads it: names, types, labels, and nothing that breaks its format."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from desktop.api.counters import (
    COUNTERS,
    MACHINE_COUNTERS,
    all_counters,
    machine_counters,
    summed,
)
from desktop.api.metrics import render, render_down
from desktop.api.types import ByteCounts, FlowCounts, MachineStatus, PortCounts, Status

LINE = re.compile(r'([a-z_]+)(?:\{((?:[a-z]+="(?:[^"\\\n]|\\["\\n])*",?)*)\})? (\d+(?:\.\d+)?)')
LABEL = re.compile(r'([a-z]+)="((?:[^"\\\n]|\\["\\n])*)"')
ESCAPES = {r"\\": "\\", r"\"": '"', r"\n": "\n"}
DOCS = Path(__file__).parents[3] / "docs" / "reference.md"


class Sample(NamedTuple):
    """One line, read as Prometheus would."""

    name: str
    labels: dict[str, str]
    value: float


def samples(text: str) -> Iterator[Sample]:
    """All samples; fails where one has no HELP and TYPE before it, or is malformed."""
    assert text.endswith("\n")
    kinds: dict[str, str] = {}
    explained = set()
    for line in text.splitlines():
        if line.startswith("# HELP "):
            explained.add(line.split()[2])
        elif line.startswith("# TYPE "):
            name, kind = line.split()[2:]
            assert name in explained, line
            assert name not in kinds, f"{name} comes twice"
            kinds[name] = kind
        else:
            match = LINE.fullmatch(line)
            assert match, line
            name, labels, value = match.groups()
            assert (kinds[name] == "counter") == name.endswith("_total")
            found = {label: unescaped(text) for label, text in LABEL.findall(labels or "")}
            yield Sample(name, found, float(value))


def unescaped(text: str) -> str:
    return re.sub(r"\\.", lambda found: ESCAPES[found.group()], text)


def status(name: str = "sandbox") -> Status:
    """A daemon with two machines."""
    machines = [
        MachineStatus(
            *(each, "fake", state, "6.1", "0.1.0", "memory", "eBPF"),
            counters=machine_counters({"links_lost": lost}),
        )
        for each, state, lost in ((name, "connected", 2), ("other", "reconnecting", 3))
    ]
    return Status(
        version="0.1.0",
        protocol=5,
        enabled=True,
        enabled_locked=False,
        enabled_reason="",
        machine=machines[0],
        ports=PortCounts(active=3),
        flows=FlowCounts(2, 1),
        bytes=ByteCounts(10, 20),
        uptime_s=1.5,
        machines=machines,
        counters=all_counters({"datagrams_dropped": 7}, [each.counters for each in machines]),
    )


def test_every_counter_is_a_metric_of_its_own() -> None:
    found = list(samples(render(status())))
    by_name = {sample.name: sample for sample in found}
    for name in (*COUNTERS, *MACHINE_COUNTERS):
        assert f"samehost_{name}_total" in by_name
    assert Sample("samehost_datagrams_dropped_total", {}, 7) in found
    assert Sample("samehost_links_lost_total", {"machine": "other"}, 3) in found


def test_what_there_is_now_is_told_by_gauges() -> None:
    found = list(samples(render(status())))
    for sample in (
        Sample("samehost_up", {}, 1),
        Sample("samehost_build_info", {"version": "0.1.0"}, 1),
        Sample("samehost_uptime_seconds", {}, 1.5),
        Sample("samehost_enabled", {}, 1),
        Sample("samehost_machine_connected", {"machine": "sandbox", "kind": "fake"}, 1),
        Sample("samehost_machine_connected", {"machine": "other", "kind": "fake"}, 0),
        Sample("samehost_ports", {"state": "active"}, 3),
        Sample("samehost_ports", {"state": "paused"}, 0),
        Sample("samehost_flows", {"protocol": "tcp"}, 2),
        Sample("samehost_bytes_total", {"direction": "in"}, 10),
        Sample("samehost_bytes_total", {"direction": "out"}, 20),
    ):
        assert sample in found


def test_without_a_daemon_there_is_one_metric_that_says_so() -> None:
    assert list(samples(render_down())) == [Sample("samehost_up", {}, 0)]


@given(st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"])) | st.just('a\\"b\nc\\n'))
def test_whatever_a_machine_is_called_it_is_one_label(name: str) -> None:
    names = {sample.labels.get("machine") for sample in samples(render(status(name)))}
    assert names == {None, name, "other"}


def test_counters_are_complete_in_order_and_summed() -> None:
    machines = [{"links_lost": 2, "nonsense": 9}, {"links_lost": 3}]
    assert summed(machines)["links_lost"] == 5
    assert list(machine_counters({"nonsense": 9})) == list(MACHINE_COUNTERS)
    assert list(all_counters({"nonsense": 9}, machines)) == [*COUNTERS, *MACHINE_COUNTERS]


def test_the_reference_has_a_row_for_each_counter_in_their_order() -> None:
    section = DOCS.read_text().partition("## Counters\n")[2].partition("\n## ")[0]
    names = re.findall(r"^\| `([a-z_]+)` \|", section, re.MULTILINE)
    assert names == [*COUNTERS, *MACHINE_COUNTERS]
