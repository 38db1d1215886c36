"""The page of the documentation that tells the comparison, made of the JSON that a run has written.

Rules: pure; no figure of the page is written by hand. Counterparts: `chart.py` draws the picture
that it shows, `docs/performance.md` is the page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tests.bench.chart import DIRECT, OURS, PROXY, Entry, by_case
from tests.bench.figures import number

__all__ = ["page"]

COMMAND: Final = (
    "python -m tests.bench peers --json performance.json \\\n"
    "        --plot docs/performance.svg --page docs/performance.md"
)
HEAD: Final = """\
# Performance

Samehost beside what one would take instead, measured in one run. This page and its picture are
written by that run; nothing in them is written by hand.

![Bars: how many times as good as docker-proxy, case by case](performance.svg)

## What is compared

Desktop and machine are two network namespaces joined by a veth pair; the server is a C program in a
host-networked container. Every way leads from a client on the desktop to such a server:

- **samehost**: the whole path, two hops: mirror on the desktop, link, agent in the machine.
- **direct**: to the machine's address, nothing in between: the limit.
- **docker-proxy**: one hop, what carries a published port of Docker Engine.
- **socat** (a process per connection), **haproxy** (with splicing), **nginx** (stream): one hop,
  plain relays.
- **pasta** (spliced; over its **tap** device), **rootlesskit** (builtin driver) and **slirp4netns**
  (started by rootlesskit): one hop into a network namespace of their own, past the cable.
- **one hop**: one relay of ours alone, on the event loop of daemon and agent (direct) and on
  uvloop: what the second hop and the link add is the rest of samehost's.
- **ssh -L**: two hops, with the default cipher.

Ways take turns case by case, and each round begins with another one; a figure is the median of the
rounds, a ratio the median of the rounds' ratios. In the picture a bar is as long as a way is good,
docker-proxy being 1; the second number is the figure itself. It has what is required; the table has
all. CPU is that of what carries, not of client, server and kernel threads. "Machine to desktop" is
the other direction: client in the container, server on the desktop, docker-proxy in the machine.
Lost is what is lost of a flood sent as fast as the sender can, without offload. A measurement that
other load on the computer disturbed was repeated; how often is told at the end. Absolute figures
hold for this computer only: read the ratios.
"""


def page(content: Mapping[str, Any]) -> str:
    """The whole page, in Markdown."""
    computer, figures = content["computer"], content["figures"]
    cases = by_case(figures)
    parts = [HEAD, "## The run\n", _run(computer), "## What is required\n", _required(figures)]
    parts += ["## All figures\n", _matrix(cases), _others(figures)]
    return "\n".join(parts)


def _run(computer: Mapping[str, Any]) -> str:
    rows = [f"- {name}: {value}" for name, value in computer.items()]
    return "\n".join((*rows, "", f"        {COMMAND}", ""))


def _required(figures: Sequence[Entry]) -> str:
    rows = [
        (figure["name"], _value(figure), figure["required"], "yes" if figure["met"] else "**no**")
        for figure in figures
        if figure["required"]
    ]
    return _table(("measure", OURS, "required", "met"), rows)


def _matrix(cases: Mapping[str, Sequence[Entry]]) -> str:
    """Rows of cases, columns of ways: the median, and how it compares with docker-proxy."""
    found = (entry["way"] for entries in cases.values() for entry in entries)
    ways = list(dict.fromkeys((OURS, DIRECT, PROXY, *found)))
    rows = []
    for name, entries in cases.items():
        own = {entry["way"]: entry for entry in entries}
        cells = [_cell(own[way]) if way in own else "" for way in ways]
        unit = f" [{entries[0]['unit']}]" if entries[0]["unit"] else ""
        rows.append((f"{name}{unit}", *cells, _spread(own.get(OURS))))
    return _table(("measure", *ways, f"spread of {OURS}"), rows) + (
        f"\nMedian, and in brackets times {PROXY}'s; spread is the lowest and highest of the "
        "rounds, as parts of their median. Without a figure: it does not carry that, failed at "
        "it, or does not tell its CPU time.\n"
    )


def _others(figures: Sequence[Entry]) -> str:
    """Of ours alone, and how much of the run was disturbed."""
    rows = [
        (figure["name"], _value(figure))
        for figure in figures
        if not figure["way"] and not figure["required"]
    ]
    return _table(("measure", "value"), rows)


def _cell(entry: Entry) -> str:
    ratio = entry["of_docker_proxy"]
    return number(entry["median"]) + ("" if ratio is None else f" ({ratio:.2f})")


def _value(figure: Entry) -> str:
    return f"{number(figure['median'])} {figure['unit']}"


def _spread(entry: Entry | None) -> str:
    if entry is None or len(entry["values"]) < 2 or not entry["median"]:
        return ""
    low, high = (bound(entry["values"]) / entry["median"] for bound in (min, max))
    return f"{low:.2f} … {high:.2f}"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
