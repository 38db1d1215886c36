"""What the bench of detection makes of what it is told."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest

from tests.bench.__main__ import GROUPS, MEASURES, _chosen
from tests.bench.appear import Way, _ways
from tests.bench.brief import missed, opened_ports
from tests.bench.tiers import STARTER, TIERS, Refusals

WORDS: Final = {
    "eBPF": "eBPF, sock_diag; detached and healed once",
    "events": "sock_diag, destroy events (no eBPF: not permitted)",
    "polling": "sock_diag polling (no eBPF: not permitted); the desktop's ports by eBPF",
}
"""What `samehost status` says of each tier."""


@pytest.mark.parametrize("tier", TIERS, ids=lambda tier: tier.name)
def test_a_tier_fits_its_own_words_only(tier: Any) -> None:
    assert [name for name, words in WORDS.items() if tier.fits(words)] == [tier.name]
    assert not tier.fits("")


def test_what_starts_the_agent_is_replaced_by_one_that_has_it_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", os.environ["PATH"])
    load = tmp_path / "a load"
    load.write_text('#!/bin/sh\necho "load $@"\n')
    load.chmod(0o755)
    refusals = Refusals(tmp_path / "bin", load)
    plain = subprocess.run([STARTER, "--version"], capture_output=True, text=True, check=True)
    assert "util-linux" in plain.stdout
    refusals.refuse("bpf,events")
    under = subprocess.run([STARTER, "a b"], capture_output=True, text=True, check=True)
    words = under.stdout.split()
    assert words[:3] == ["load", "refuse", "bpf,events"]
    assert Path(words[3]).name == STARTER
    assert Path(words[3]).parent != tmp_path / "bin"
    assert words[4:] == ["a", "b"]


def row(port: int, **other: object) -> dict[str, Any]:
    return {
        "origin": "machine",
        "protocol": "tcp",
        "state": "active",
        "machine_port": port,
        **other,
    }


def test_ports_that_were_mirrored_at_any_time_are_found_in_what_was_watched() -> None:
    lines: list[dict[str, Any]] = [
        {"type": "snapshot", "revision": 1, "ports": [row(1), row(2, state="pending")]},
        {
            "type": "delta",
            "added": [row(3), row(4, origin="host"), row(5, protocol="udp")],
            "changed": [row(2)],
            "removed": [row(6)],
        },
    ]
    assert opened_ports(lines) == {1, 2, 3}


def test_missed_is_who_lived_long_enough_and_was_not_mirrored() -> None:
    lived_us = {1: 4999.9, 2: 5000.0, 3: 7000.0, 4: 20000.0}
    assert missed(lived_us, {3}, 5) == [2, 4]
    assert missed(lived_us, {1, 2, 3, 4}, 0) == []


def test_rounds_that_other_load_disturbed_are_told_apart_for_each_protocol() -> None:
    values = {
        "took_us": [1000, 2000, 3000, 4000, 5000, 6000, 7000, 8000],
        "slack_us": [50, 50, 50, 900, 50, 50, 50, 50],
        "waited_us": [100, 300],
    }
    assert _ways(values, 2) == [
        Way((1.0, 3.0, 5.0, 7.0), (1.0, 3.0)),
        Way((2.0, 4.0, 6.0, 8.0), (2.0,)),
    ]


def test_a_way_is_judged_by_all_its_rounds() -> None:
    slow = Way((1.0,) * 98 + (9.0, 9.0), (1.0,) * 98)
    shown = list(slow.figures("x", 5, is_split=True))
    assert [figure.name for figure in shown] == ["x", "x, undisturbed"]
    assert [figure.required and figure.required.met for figure in shown] == [False, None]
    (quick,) = Way((1.0,) * 99 + (9.0,), ()).figures("x", 5, is_split=True)
    assert quick.required is not None
    assert quick.required.met


def test_a_groups_name_means_its_measures_in_their_order() -> None:
    assert _chosen(["rest", "detection"]) == ["appear", "brief", "watching", "scan", "rest"]
    assert _chosen([]) == list(MEASURES)
    assert set(GROUPS["detection"]) <= set(MEASURES)
