"""The bench's command line; the package's docstring says what it measures."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NoReturn

from desktop.errors import ExitCode, SamehostError
from tests.bench.appear import measure_appear
from tests.bench.brief import measure_brief
from tests.bench.carried import measure_udp_carried
from tests.bench.chart import chart
from tests.bench.computer import computer
from tests.bench.contest import measure_compared, measure_compared_host
from tests.bench.cost import measure_integrity, measure_memory, measure_rest
from tests.bench.datagrams import measure_udp, measure_udp_host
from tests.bench.figures import Figure, as_json, table
from tests.bench.flows import measure_flows, measure_start
from tests.bench.page import page
from tests.bench.plan import QUICK, WHOLE, Plan
from tests.bench.scatter import measure_udp_scatter
from tests.bench.stage import Stage, say, set_stage
from tests.bench.traffic import measure_bulk, measure_connect, measure_host, measure_ping
from tests.bench.transports import measure_transports
from tests.bench.watching import measure_scan, measure_watching
from tests.bench.window import measure_window

__all__ = ["main"]

MEASURES: Final[dict[str, Callable[[Stage, Plan], list[Figure]]]] = {
    "memory": measure_memory,
    "flows": measure_flows,
    "appear": measure_appear,
    "brief": measure_brief,
    "watching": measure_watching,
    "scan": measure_scan,
    "bulk": measure_bulk,
    "ping": measure_ping,
    "connect": measure_connect,
    "host": measure_host,
    "udp": measure_udp,
    "udp-carried": measure_udp_carried,
    "udp-host": measure_udp_host,
    "udp-scatter": measure_udp_scatter,
    "integrity": measure_integrity,
    "rest": measure_rest,
    "compared": measure_compared,
    "compared-host": measure_compared_host,
    "transports": measure_transports,
    "start": measure_start,
    "window": measure_window,
}
"""In this order: memory while nothing has made it grow, rest when nothing has changed for long."""

GROUPS: Final = {
    "detection": ("appear", "brief", "watching", "scan"),
    "peers": ("memory", "flows", "rest", "compared", "compared-host", "start"),
}
"""Names for several of them."""


def main() -> int:
    """Measure and judge, or show again what was measured. Returns the process's exit code."""
    parser = _parser()
    arguments = parser.parse_args()
    known = [*MEASURES, *GROUPS]
    unknown = sorted(set(arguments.names) - set(known))
    if unknown:
        parser.error(f"unknown: {' '.join(unknown)}; there are: {' '.join(known)}")
    if arguments.of is not None:
        _publish(json.loads(arguments.of.read_text()), arguments)
        return ExitCode.DONE
    names = _chosen(arguments.names)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupted)
    try:
        figures = _measure(names, QUICK if arguments.quick else WHOLE)
    except SamehostError as error:
        print(error.message, error.remedy, sep="\n", file=sys.stderr)
        return error.code
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    print(table(figures))
    _publish({"computer": computer(), "figures": as_json(figures)}, arguments)
    return _judge(figures)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench")
    known = " ".join((*MEASURES, *GROUPS))
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {known}")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all values there")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the comparison, as SVG")
    parser.add_argument("--page", type=Path, metavar="FILE", help="and tell it, as Markdown")
    parser.add_argument("--of", type=Path, metavar="JSON", help="of that run, measuring nothing")
    return parser


def _chosen(names: list[str]) -> list[str]:
    """The measures of that name or group, in their order; all for none."""
    wanted = {member for name in names for member in GROUPS.get(name, (name,))}
    return [name for name in MEASURES if name in wanted or not wanted]


def _measure(names: list[str], plan: Plan) -> list[Figure]:
    figures = []
    with set_stage() as stage:
        for name in names:
            started = time.monotonic()
            figures += MEASURES[name](stage, plan)
            say(f"{name}: measured in {time.monotonic() - started:.0f} s")
    return figures


def _publish(content: dict[str, Any], arguments: argparse.Namespace) -> None:
    """Write the files that are asked for."""
    if arguments.json is not None and arguments.of is None:
        arguments.json.write_text(json.dumps(content, indent=1) + "\n")
    if arguments.plot is not None:
        arguments.plot.write_text(chart(content["figures"]))
    if arguments.page is not None:
        arguments.page.write_text(page(content))


def _judge(figures: list[Figure]) -> int:
    missed = [figure.name for figure in figures if figure.required and not figure.required.met]
    if missed:
        print(f"\nrequired and missed: {'; '.join(missed)}")
        return ExitCode.FAILED
    return ExitCode.DONE


def _interrupted(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
