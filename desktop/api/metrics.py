"""The status as Prometheus reads it: text in its exposition format, version 0.0.4.

Rules: pure. Each metric has its HELP and TYPE before its samples; names are `samehost_…`, those of
counters end with `_total`, units are part of the name. Names of machines are strangers' words: as
label values they are escaped (backslash, quote, line feed). Counterparts: `connection.py` sends it
for the method `metrics`, `counters.py` has the counters.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from desktop.api.counters import COUNTERS, MACHINE_COUNTERS
from desktop.api.types import Status

__all__ = ["render", "render_down"]

_Sample = tuple[Mapping[str, str], float]


def render(status: Status) -> str:
    """The text for a daemon that runs."""
    lines = list(_up(1))
    lines += _metric(
        "samehost_build_info", "gauge", "The daemon's version", [({"version": status.version}, 1)]
    )
    lines += _metric(
        "samehost_uptime_seconds", "gauge", "Age of the daemon", [({}, status.uptime_s)]
    )
    lines += _metric("samehost_enabled", "gauge", "1 if on", [({}, int(status.enabled))])
    lines += _metric(
        "samehost_machine_connected",
        "gauge",
        "1 if the machine's agent is linked",
        [
            ({"machine": each.name, "kind": each.kind}, int(each.state == "connected"))
            for each in status.machines
        ],
    )
    lines += _metric("samehost_ports", "gauge", "Rows by state", _by("state", status.ports))
    lines += _metric("samehost_flows", "gauge", "Flows now", _by("protocol", status.flows))
    lines += _metric(
        "samehost_bytes_total",
        "counter",
        "Bytes to (in) and from (out) this computer's programs",
        _by("direction", status.bytes),
    )
    return "\n".join([*lines, *_counters(status), ""])


def render_down() -> str:
    """The text where no daemon runs."""
    return "\n".join([*_up(0), ""])


def _up(value: int) -> Iterable[str]:
    return _metric("samehost_up", "gauge", "1 if the daemon runs", [({}, value)])


def _counters(status: Status) -> Iterable[str]:
    for name, words in COUNTERS.items():
        samples: list[_Sample] = [({}, status.counters.get(name, 0))]
        yield from _metric(f"samehost_{name}_total", "counter", words, samples)
    for name, words in MACHINE_COUNTERS.items():
        samples = [({"machine": each.name}, each.counters.get(name, 0)) for each in status.machines]
        yield from _metric(f"samehost_{name}_total", "counter", words, samples)


def _by(label: str, counts: msgspec.Struct) -> list[_Sample]:
    return [({label: name}, value) for name, value in msgspec.to_builtins(counts).items()]


def _metric(name: str, kind: str, words: str, samples: Iterable[_Sample]) -> Iterable[str]:
    yield f"# HELP {name} {_escaped(words, quotes=False)}"
    yield f"# TYPE {name} {kind}"
    for labels, value in samples:
        inside = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
        yield f"{name}{{{inside}}} {value}" if inside else f"{name} {value}"


def _escaped(text: str, *, quotes: bool = True) -> str:
    text = text.replace("\\", "\\\\").replace("\n", "\\n")
    return text.replace('"', '\\"') if quotes else text
