"""Of the vocabularies: exit codes, settings, states, checks, counters, metrics, files, rules."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import get_args

from desktop.api.counters import COUNTERS, MACHINE_COUNTERS
from desktop.api.fake import FakeBackend
from desktop.api.metrics import render
from desktop.api.states import FINDING_STATES, LINK_STATES, MACHINE_STATES
from desktop.doctor.bundle import CONTENTS
from desktop.doctor.checks import CHECKS
from desktop.errors import ExitCode
from desktop.machines import examination
from desktop.machines.advice import advice_for
from desktop.mirror.defaults import DEFAULT_RULES
from desktop.mirror.model import Origin, State
from desktop.paths import Paths
from desktop.settings.keys import KEYS
from link.outcome import Outcome
from scripts.reference.words import first_sentence, meanings, members_of, require, table

__all__ = ["TABLES"]

FILES = ("settings_file", "policy_file", "log_file", "api_socket", "lock_file", "machine")
"""Of `Paths`, in the order in which they are shown."""


def _words(head: str, words: Mapping[str, str]) -> str:
    rows = [(f"`{name}`", require(meaning, name)) for name, meaning in words.items()]
    return table((head, "meaning"), rows)


def _finding_states() -> str:
    if tuple(FINDING_STATES) != _known_findings():
        require(None, "a state of examination.State (desktop/api/states.py)")
    return _words("state of a finding", FINDING_STATES)


def _known_findings() -> tuple[str, ...]:
    known = get_args(examination.State)
    return tuple(sorted(known, key=list(FINDING_STATES).index))


def _settings() -> str:
    rows = [
        (
            f"`{key.name}`",
            f"`{json.dumps(key.default)}`",
            require(key.form, key.name),
            require(key.help, key.name),
        )
        for key in KEYS.values()
    ]
    return table(("key", "default", "a value is", "meaning"), rows)


def _checks() -> str:
    rows = [(f"`{each.name}`", require(each.description, each.name)) for each in CHECKS]
    return table(("check", "what should be"), rows)


def _report() -> str:
    return table(
        ("file", "what is in it"),
        [*((f"`{name}`", words) for name, words in CONTENTS.items()), ("`README.txt`", "this")],
    )


def _metrics() -> str:
    """From the text itself, as a daemon says it; the counters have a table of their own."""
    counters = {f"samehost_{name}_total" for name in (*COUNTERS, *MACHINE_COUNTERS)}
    helps = (line.split(" ", 3)[2:] for line in _lines("# HELP "))
    kinds = dict(line.split(" ", 3)[2:] for line in _lines("# TYPE "))
    rows = [
        (f"`{name}`", kinds[name], require(words, name))
        for name, words in helps
        if name not in counters
    ]
    return table(("metric", "kind", "meaning"), rows)


def _lines(beginning: str) -> Iterable[str]:
    text = render(FakeBackend().status())
    return (line for line in text.splitlines() if line.startswith(beginning))


def _files() -> str:
    paths = Paths.under(Path("SAMEHOST_HOME"))
    rows = []
    for name in FILES:
        attribute = getattr(Paths, name)
        place = paths.machine("NAME") if name == "machine" else getattr(paths, name)
        rows.append((f"`{place}`", first_sentence(attribute, f"Paths.{name}")))
    return table(("path", "what it is"), rows)


def _rules() -> str:
    rows = [
        (
            require(rule.name, "a rule of DEFAULT_RULES"),
            ", ".join(rule.protocols),
            ", ".join(map(str, rule.ports)),
            ", ".join(rule.addresses or ("any",)),
            " and ".join(rule.origins),
        )
        for rule in DEFAULT_RULES
    ]
    return table(("what it is", "protocol", "ports", "addresses", "whose listener"), rows)


def _outcomes() -> str:
    said = members_of(Outcome)
    rows = [(f"`{each.value}`", said[each.name], advice_for(each)) for each in Outcome]
    return table(("status", "meaning", "what to do"), rows)


TABLES = {
    "exit-codes": lambda: _words("code", meanings(ExitCode)),
    "files": _files,
    "settings": _settings,
    "default-rules": _rules,
    "origins": lambda: _words("origin", meanings(Origin)),
    "port-states": lambda: _words("state of a port", meanings(State)),
    "link-states": lambda: _words("state of a link", LINK_STATES),
    "machine-states": lambda: _words("state of a machine", MACHINE_STATES),
    "finding-states": _finding_states,
    "checks": _checks,
    "report": _report,
    "counters": lambda: _words("counter", COUNTERS),
    "machine-counters": lambda: _words("counter of a machine", MACHINE_COUNTERS),
    "metrics": _metrics,
    "outcomes": _outcomes,
}
"""A function for each block."""
