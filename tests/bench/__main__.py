"""The bench's command line; the package's docstring says what it measures."""

from __future__ import annotations

import argparse
import json
import platform
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NoReturn

from desktop.errors import ExitCode, SamehostError
from tests.bench.appear import measure_appear
from tests.bench.brief import measure_brief
from tests.bench.carried import measure_udp_carried
from tests.bench.cost import measure_integrity, measure_memory, measure_rest
from tests.bench.datagrams import measure_udp, measure_udp_host
from tests.bench.figures import Figure, as_json, table
from tests.bench.plan import QUICK, WHOLE, Plan
from tests.bench.scatter import measure_udp_scatter
from tests.bench.stage import Stage, say, set_stage
from tests.bench.traffic import measure_bulk, measure_connect, measure_host, measure_ping
from tests.bench.watching import measure_scan, measure_watching

__all__ = ["main"]

MEASURES: Final[dict[str, Callable[[Stage, Plan], list[Figure]]]] = {
    "memory": measure_memory,
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
}
"""In this order: memory while nothing has made it grow, rest when nothing has changed for long."""

GROUPS: Final = {"detection": ("appear", "brief", "watching", "scan")}
"""Names for several of them."""


def main() -> int:
    """Measure and judge. Returns the process's exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench")
    known = [*MEASURES, *GROUPS]
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {' '.join(known)}")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all values there")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.names) - set(known))
    if unknown:
        parser.error(f"unknown: {' '.join(unknown)}; there are: {' '.join(known)}")
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
    return _report(figures, arguments.json)


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


def _report(figures: list[Figure], file: Path | None) -> int:
    print(table(figures))
    if file is not None:
        computer = f"{platform.system()} {platform.release()} {platform.machine()}"
        content = {"computer": computer, "python": platform.python_version()}
        file.write_text(json.dumps({**content, "figures": as_json(figures)}, indent=1) + "\n")
    missed = [figure.name for figure in figures if figure.required and not figure.required.met]
    if missed:
        print(f"\nrequired and missed: {'; '.join(missed)}")
        return ExitCode.FAILED
    return ExitCode.DONE


def _interrupted(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
