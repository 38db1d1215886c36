"""Checks of the port table: conflicts and denials, and other programs that forward the same ports.

Rules: which program is a forwarder, and what switches it off, is known in
`desktop/mirror/forwarders.py`. Limit: names of other users' programs are seen by root only.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any, Final

from desktop.doctor.patient import Patient
from desktop.doctor.verdict import NotSeenError, Verdict, note, ok, warning
from desktop.mirror.forwarders import find_forwarder
from link.listener import Listener

__all__ = ["check_forwarders", "check_ports", "judge_forwarders", "judge_rows"]

MOST_SHOWN: Final = 5
"""Ports of one kind that are named."""


async def check_ports(patient: Patient) -> Verdict:
    """No port is in conflict or denied."""
    return judge_rows(await patient.rows())


def judge_rows(rows: Sequence[dict[str, Any]]) -> Verdict:
    """By the states of the rows."""
    counts = dict.fromkeys(("active", "conflict", "denied", "paused", "pending"), 0)
    for row in rows:
        if row["state"] in counts:
            counts[row["state"]] += 1
    words = ", ".join(f"{count} {state}" for state, count in counts.items() if count) or "none"
    bad = [row for row in rows if row["state"] in ("conflict", "denied")]
    if not bad:
        return ok(words)
    shown = "; ".join(f"{_port(row)} {row['state']}" for row in bad[:MOST_SHOWN])
    more = ", …" if len(bad) > MOST_SHOWN else ""
    remedies = dict.fromkeys(f"{_port(row)}: {row['reason']}" for row in bad[:MOST_SHOWN])
    return warning(f"{words}: {shown}{more}", "\n".join(remedies))


def _port(row: dict[str, Any]) -> str:
    return f"{row['protocol']} {row['host_port']}"


async def check_forwarders(patient: Patient) -> Verdict:
    """No other program forwards the machine's ports."""
    listeners = await patient.listeners()
    try:
        machines = [machine["name"] for machine in (await patient.status())["machines"]]
        rows = await patient.rows()
    except NotSeenError:
        machines, rows = [], []
    return judge_forwarders(listeners, machines, rows, is_root=getattr(os, "geteuid", int)() == 0)


def judge_forwarders(
    listeners: Iterable[Listener],
    machines: Sequence[str],
    rows: Iterable[dict[str, Any]],
    *,
    is_root: bool,
) -> Verdict:
    """By the names of the programs that listen here."""
    contested = {(row["protocol"], row["host_port"]) for row in rows if row["state"] == "conflict"}
    shared: dict[str, str] = {}
    alone: dict[str, str] = {}
    for holder in listeners:
        for machine in machines or [""]:
            forwarder = find_forwarder(holder, machine)
            if forwarder is None or not (forwarder.is_sure or forwarder.serves(machine)):
                continue
            is_shared = (holder.protocol, holder.port) in contested
            where = f"{forwarder.tool} ({holder.process}, pid {holder.pid}) has {holder.protocol}"
            found = shared if is_shared else alone
            found[f"{where} port {holder.port}"] = forwarder.words(holder, machine)
    if shared:
        words = f"{_shown(shared)}, which a container wants, too"
        return warning(words, "\n".join(dict.fromkeys(shared.values())))
    if alone:
        return note(f"{_shown(alone)}; no port in common", "\n".join(dict.fromkeys(alone.values())))
    seen = "" if is_root else "; other users' programs have no names here without root"
    return ok(f"none{seen}")


def _shown(found: Iterable[str]) -> str:
    names = list(found)
    return "; ".join(names[:MOST_SHOWN]) + ("; …" if len(names) > MOST_SHOWN else "")
