"""What is made of the answers of several ways: figures, requirements, picture and page."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, TypeVar

import pytest

from desktop.errors import SamehostError
from tests.bench.cases import HOST, TCP, UDP, Answer, Case, Limit, Reading, Way, parse_wrk
from tests.bench.chart import better, chart
from tests.bench.computer import processor
from tests.bench.contest import compare
from tests.bench.figures import Figure, as_json, table
from tests.bench.flows import possible
from tests.bench.load import Load
from tests.bench.others import Quiet
from tests.bench.page import page
from tests.bench.plan import QUICK

SPEED: Final = {"samehost": 30.0, "direct": 60.0, "docker-proxy": 40.0, "socat": 10.0}
Measured = TypeVar("Measured")
COMPUTER: Final = {"processor": "abacus", "cores": "2"}


def way(name: str) -> Way:
    return Way(name, Load(()), "127.0.0.2", 1)


class Calm(Quiet):
    """Never disturbed."""

    def measure(self, once: Callable[[], Measured]) -> Measured:
        return once()


def throughput(limit: Limit | None = None) -> Case:
    def run(way: Way, _plan: object) -> Answer:
        return {"speed": SPEED[way.name]}

    return Case(run, (Reading("throughput", "Gbit/s", lambda said: said["speed"], limit),))


def trip(limit: Limit) -> Case:
    def run(way: Way, _plan: object) -> Answer:
        return {"alone": 1 / SPEED[way.name], "beside": 3 / SPEED[way.name]}

    readings = (
        Reading("alone", "µs", lambda said: said["alone"]),
        Reading("beside", "µs", lambda said: said["beside"], limit),
    )
    return Case(run, readings)


def compared(*cases: Case, rounds: int = 2) -> list[Figure]:
    return compare([way(name) for name in SPEED], cases, QUICK, rounds, Calm(set))


def ours(figures: list[Figure], name: str) -> Figure:
    (found,) = (figure for figure in figures if (figure.name, figure.way) == (name, "samehost"))
    return found


def test_each_way_is_compared_with_direct_and_docker_proxy_but_not_with_itself() -> None:
    figures = {figure.way: figure for figure in compared(throughput())}
    assert figures["socat"].direct == (60.0, 60.0)
    assert figures["socat"].proxy == (40.0, 40.0)
    assert figures["direct"].direct == ()
    assert figures["docker-proxy"].proxy == ()


@pytest.mark.parametrize(("times", "is_met"), [(0.75, True), (0.76, False)])
def test_a_rate_is_required_to_be_so_many_times_docker_proxys(times: float, is_met: bool) -> None:
    required = ours(compared(throughput(Limit(times))), "throughput").required
    assert required is not None
    assert required.met is is_met
    assert required.text == f"at least {times} of docker-proxy"


@pytest.mark.parametrize(("times", "is_met"), [(1.34, True), (1.33, False)])
def test_a_time_is_required_to_be_no_more_than_that(times: float, is_met: bool) -> None:
    required = ours(compared(trip(Limit(times))), "beside").required
    assert required is not None
    assert required.met is is_met


@pytest.mark.parametrize(("times", "is_met"), [(3.1, True), (2.9, False)])
def test_a_time_may_be_compared_with_another_of_ours(times: float, is_met: bool) -> None:
    required = ours(compared(trip(Limit(times, "alone"))), "beside").required
    assert required is not None
    assert required.met is is_met
    assert required.text.endswith("of alone alone")


def failing(name: str) -> Case:
    def run(way: Way, _plan: object) -> Answer:
        if way.name == name:
            raise SamehostError("all bytes lost")
        return {"speed": 1.0}

    return Case(run, (Reading("throughput", "Gbit/s", lambda said: said["speed"]),))


def test_a_peer_that_fails_a_case_is_left_out_of_it_and_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    figures = compared(failing("socat"), rounds=3)
    assert {figure.way for figure in figures} == {"samehost", "direct", "docker-proxy"}
    said = capsys.readouterr().err
    assert said.count("socat, throughput: all bytes lost") == 2
    assert said.count("left out: socat, throughput") == 1


def test_a_failure_that_does_not_come_again_is_named_and_forgiven(
    capsys: pytest.CaptureFixture[str],
) -> None:
    failures = iter([SamehostError("reset")])

    def run(_way: Way, _plan: object) -> Answer:
        for failure in failures:
            raise failure
        return {"speed": 1.0}

    case = Case(run, (Reading("throughput", "Gbit/s", lambda said: said["speed"]),))
    assert len(ours(compared(case), "throughput").values) == 2
    assert "failed, attempt 1 of 2: samehost, throughput: reset" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["samehost", "direct", "docker-proxy"])
def test_a_failure_of_what_all_are_compared_with_ends_the_bench(name: str) -> None:
    with pytest.raises(SamehostError, match=f"{name}, throughput: all bytes lost"):
        compared(failing(name))


def test_each_round_begins_with_another_way() -> None:
    order = []

    def run(way: Way, _plan: object) -> Answer:
        order.append(way.name)
        return {"speed": 1.0}

    case = Case(run, (Reading("throughput", "Gbit/s", lambda said: said["speed"]),))
    compared(case, rounds=2)
    names = list(SPEED)
    assert order == [*names, *names[1:], names[0]]


def test_readings_have_names_of_their_own_and_limits_refer_to_some() -> None:
    readings = [reading for case in (*TCP, *UDP, *HOST) for reading in case.readings]
    names = [reading.name for reading in readings]
    assert len(set(names)) == len(names)
    assert {reading.limit.reading for reading in readings if reading.limit} <= {"", *names}


def content() -> dict[str, Any]:
    figures = [*compared(throughput(Limit(0.95)), trip(Limit(2))), Figure("start", "s", (1.5,))]
    written: dict[str, Any] = json.loads(
        json.dumps({"computer": COMPUTER, "figures": as_json(figures)})
    )
    return written


def test_longer_is_better_in_the_picture_whatever_the_unit() -> None:
    times = {(entry["name"], entry["way"]): better(entry) for entry in content()["figures"][:-1]}
    assert times["throughput", "samehost"] == pytest.approx(0.75)
    assert times["alone", "samehost"] == pytest.approx(0.75)
    assert times["alone", "docker-proxy"] == 1


def test_the_picture_has_a_panel_for_what_is_required_and_a_bar_for_each_way() -> None:
    picture = ElementTree.fromstring(chart(content()["figures"]))
    space = "{http://www.w3.org/2000/svg}"
    titles = [text.text for text in picture.iter(f"{space}text") if text.get("font-weight")]
    assert titles == ["throughput [Gbit/s]", "beside [µs]"]
    kinds = [bar.get("class") for bar in picture.iter(f"{space}rect")]
    one_panel = ["ours", "direct", "proxy", "other", "proxy"]
    assert kinds == ["back", *one_panel, *one_panel]


def test_a_bar_ends_at_the_longest_but_its_number_does_not() -> None:
    figures = content()["figures"]
    (direct,) = (
        entry for entry in figures if (entry["name"], entry["way"]) == ("throughput", "direct")
    )
    direct["of_docker_proxy"] = 12.0
    picture = chart(figures)
    assert "12.00 · 60" in picture
    assert 'width="150.0"' in picture


def test_the_page_tells_computer_requirements_and_all_figures() -> None:
    text = page(content())
    assert "- processor: abacus\n" in text
    assert "| throughput | 30 Gbit/s | at least 0.95 of docker-proxy | **no** |" in text
    assert "| throughput [Gbit/s] | 30 (0.75) | 60 (1.50) | 40 | 10 (0.25) | 1.00 … 1.00 |" in text
    assert "| start | 1.50 s |" in text


def test_the_table_names_the_way_only_where_there_are_several() -> None:
    figures = compared(throughput())
    assert table(figures).splitlines()[0].split()[:2] == ["measure", "way"]
    assert "way" not in table([replace(figure, way="") for figure in figures])


def test_requests_per_second_are_read_from_what_wrk_says() -> None:
    assert parse_wrk("  Latency 1ms\nRequests/sec:  63231.48\nTransfer/sec: 2MB\n") == 63231.48


@pytest.mark.parametrize(
    "text",
    [
        "  Socket errors: connect 0, read 3, write 0, timeout 0\nRequests/sec: 12.5\n",
        "unable to connect to 127.0.0.2:1\n",
        "Requests/sec:      0.00\n",
    ],
)
def test_requests_that_failed_are_no_rate(text: str) -> None:
    with pytest.raises(SamehostError, match="HTTP requests failed"):
        parse_wrk(text)


def test_idle_flows_are_as_many_as_there_are_files_for() -> None:
    assert possible(10_000, 1 << 20, 6) == 10_000
    assert possible(10_000, 20_000, 2) == 9500
    assert possible(1000, 1300, 2) == 100


def test_a_processor_has_the_name_that_the_kernel_tells() -> None:
    assert processor("processor\t: 0\nmodel name\t: Abacus 3\nmodel name\t: x\n") == "Abacus 3"
    assert processor("processor\t: 0\n") == "unknown"
