"""`samehost status`: what is going on. Exit code 3 if the daemon does not run, or all is off."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from desktop.api.client import ApiClient
from desktop.api.counters import all_counters, machine_counters
from desktop.cli.daemon import (
    connect_if_running,
    hint_if_no_machine,
    hint_if_not_attached,
    hint_if_off,
    link_state,
    problems_of,
    report,
)
from desktop.cli.output import clean, mapping_lines, paint, print_json, size, warn
from desktop.errors import ExitCode
from desktop.paths import Paths
from desktop.settings.store import SettingsStore
from link.version import PROTOCOL, VERSION

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """See `main.VerbModule`."""
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="as JSON")
    form.add_argument("--prometheus", action="store_true", help="as metrics in Prometheus' format")


def run(arguments: argparse.Namespace, paths: Paths) -> int:
    """See `main.VerbModule`."""
    client = connect_if_running(paths)
    if arguments.prometheus:
        return _metrics(client)
    seen_here = SettingsStore(paths)
    if client is None:
        status = _offline(seen_here)
    else:
        with client:
            status = client.call("status")
    report(dict.fromkeys([*problems_of(seen_here), *status.get("settings_problems", ())]))
    if arguments.json:
        print_json(status)
    else:
        print(_text(status))
    if client is None:
        warn("the daemon does not run; start it: samehost up")
        return ExitCode.NOT_RUNNING
    hint_if_no_machine(status)
    hint_if_not_attached(status)
    hint_if_off(status["enabled"], status["enabled_reason"])
    return ExitCode.DONE if status["enabled"] else ExitCode.NOT_RUNNING


def _metrics(client: ApiClient | None) -> int:
    """The daemon's own text; without one, that there is none."""
    if client is None:
        from desktop.api.metrics import render_down

        print(render_down(), end="")
        return ExitCode.NOT_RUNNING
    with client:
        print(client.call("metrics"), end="")
    return ExitCode.DONE


def _offline(store: SettingsStore) -> dict[str, Any]:
    """What there is to say without a daemon, in the same form (`desktop.api.types.Status`)."""
    machine = {
        "name": store.settings.machine or "",
        "kind": "",
        "state": "stopped",
        "kernel": "",
        "agent_version": "",
        "transport": "",
        "watcher": "",
        "transport_limits": "",
        "python": "",
        "problem": "",
        "docker_host": "",
        "connected_s": 0.0,
        "counters": machine_counters({}),
    }
    return {
        "version": VERSION,
        "protocol": PROTOCOL,
        "enabled": store.switch.enabled,
        "enabled_locked": store.switch.locked,
        "enabled_reason": store.switch.reason,
        "machine": machine,
        "ports": dict.fromkeys(("active", "conflict", "denied", "ignored", "pending", "paused"), 0),
        "flows": {"tcp": 0, "udp": 0},
        "bytes": {"in": 0, "out": 0},
        "uptime_s": 0.0,
        "machines": [machine],
        "counters": all_counters({}, ()),
        "troubles": [],
        "settings_problems": problems_of(store),
        "ending": False,
    }


def _text(status: dict[str, Any]) -> str:
    flows, traffic = status["flows"], status["bytes"]
    switch = paint("on" if status["enabled"] else "off", sys.stdout)
    reason = f" ({clean(status['enabled_reason'])})" if status["enabled_reason"] else ""
    counts = [f"{count} {word}" for word, count in status["ports"].items() if count]
    pairs = [
        ("Host networking", switch + reason),
        *(("Machine", _machine(machine)) for machine in status["machines"]),
        ("Ports", ", ".join(counts) or "none"),
        ("Connections", f"{flows['tcp']} TCP, {flows['udp']} UDP"),
        ("Traffic", f"{size(traffic['in'])} in, {size(traffic['out'])} out"),
        *(("Trouble", clean(trouble)) for trouble in status.get("troubles", ())),
        ("Daemon", f"version {status['version']}, {_daemon_uptime(status['uptime_s'])}"),
    ]
    return mapping_lines(pairs)


def _machine(machine: dict[str, Any]) -> str:
    if not machine["name"]:
        return "none"
    kind = f" ({clean(machine['kind'])})" if machine["kind"] not in ("", machine["name"]) else ""
    name = clean(machine["name"]) + kind
    limits = machine["transport_limits"]
    transport = machine["transport"] + (f" ({limits})" if limits else "")
    details = [
        clean(f"{label}{value}")
        for label, value in (
            ("kernel ", machine["kernel"]),
            ("agent ", machine["agent_version"]),
            ("over ", transport),
            ("watching by ", machine["watcher"]),
        )
        if value
    ]
    state = f"{name} {paint(link_state(machine), sys.stdout)}".strip()
    if machine["connected_s"]:
        state += f" for {_duration(machine['connected_s'])}"
    elif machine["problem"]:
        state += f" ({clean(machine['problem'])})"
    return ", ".join([state, *details])


def _daemon_uptime(seconds: float) -> str:
    return f"up for {_duration(seconds)}" if seconds else "not running"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{hours} h"] * (hours > 0) + [f"{minutes} min"] * (minutes > 0)
    return " ".join(parts or [f"{rest} s"])
