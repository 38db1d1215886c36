"""Transports beside `ssh -L`: what is measured of them, and what is required."""

from __future__ import annotations

import pytest

from desktop.errors import SamehostError
from tests.bench.cases import HOST, TCP, UDP, Answer, Case, Reading, Way
from tests.bench.contest import compare
from tests.bench.figures import Figure
from tests.bench.plan import QUICK
from tests.bench.transports import ATTACH, CASES, PLAIN, judged
from tests.unit.bench.test_comparison import Calm, way

THROUGHPUT = "transports: TCP throughput up, 1 stream"


def figure(way: str, *values: float, name: str = THROUGHPUT, unit: str = "Gbit/s") -> Figure:
    return Figure(name, unit, values, way=way)


def required(*figures: Figure) -> dict[str, bool]:
    """Of which ways something is required, and whether it is met."""
    return {each.way: each.required.met for each in judged(figures) if each.required}


def test_figures_have_other_names_than_those_beside_peers_and_no_limits_of_theirs() -> None:
    readings = [reading for case in CASES for reading in case.readings]
    others = {reading.name for case in (*TCP, *UDP, *HOST) for reading in case.readings}
    assert THROUGHPUT in {reading.name for reading in readings}
    assert not others & {reading.name for reading in readings}
    assert not any(reading.limit for reading in readings)


@pytest.mark.parametrize(("gbits", "is_met"), [(0.91, True), (0.89, False)])
def test_openssh_carries_nine_tenths_of_what_plain_forwarding_does(
    gbits: float, is_met: bool
) -> None:
    plain, ours = figure(PLAIN, 1.0, 2.0, 4.0), figure("openssh", gbits, 2 * gbits, 4 * gbits)
    assert required(plain, ours) == {"openssh": is_met}


def test_it_is_compared_with_plain_forwarding_as_it_comes_and_round_by_round() -> None:
    plain, chosen = figure(PLAIN, 1.0, 8.0, 2.0), figure(f"{PLAIN}, aes128-gcm", 9.0, 9.0, 9.0)
    assert required(plain, chosen, figure("openssh", 2.0, 4.0, 4.0)) == {"openssh": True}
    assert required(plain, chosen, figure("openssh", 0.5, 9.0, 1.0)) == {"openssh": False}


@pytest.mark.parametrize("name", ["unix", "tcp", "stdio", "paramiko", "direct"])
def test_nothing_is_required_of_the_throughput_of_others(name: str) -> None:
    assert required(figure(PLAIN, 1.0), figure(name, 0.1)) == {}


def test_nothing_is_required_of_round_trips_which_have_two_hops_more() -> None:
    name = "transports: 64 B round trip, p50"
    assert required(figure(PLAIN, 10, name=name), figure("openssh", 90, name=name)) == {}


def test_attaching_takes_under_two_seconds_by_either_program() -> None:
    quick = figure("openssh", 5.0, 1.9, 0.8, name=ATTACH, unit="s")
    slow = figure("paramiko", 0.8, 2.1, 2.2, name=ATTACH, unit="s")
    assert required(quick, slow) == {"openssh": True, "paramiko": False}


def test_a_transport_that_fails_ends_the_bench() -> None:
    def run(way: Way, _plan: object) -> Answer:
        if way.name == "paramiko":
            raise SamehostError("all bytes lost")
        return {"speed": 1.0}

    case = Case(run, (Reading("throughput", "Gbit/s", lambda said: said["speed"]),))
    names = ("openssh", "paramiko")
    with pytest.raises(SamehostError, match="paramiko, throughput: all bytes lost"):
        compare([way(name) for name in names], [case], QUICK, 1, Calm(set), names)
