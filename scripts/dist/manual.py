r"""The manual page, samehost(1): prose from packaging/man, facts from the code.

    packaging/man/samehost.1.in ─▶ places `.\" @NAME` filled ─▶ share/man/man1/samehost.1

Rules: man(7) macros only, which groff and mandoc both read. Commands, options, settings, checks,
counters, states, exit codes and variables are asked of the code, and say what docs/reference.md
says; a command for which there is no place yet comes behind the others,
so it is in the page in any case. A place of which the code knows nothing is an error.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import pairwise
from typing import Final

from desktop.api.counters import COUNTERS, MACHINE_COUNTERS
from desktop.doctor.checks import CHECKS
from desktop.errors import ExitCode, SamehostError
from desktop.mirror.model import State
from desktop.settings.keys import KEYS, Key
from link.version import VERSION
from scripts.command_tree import Command, commands, value
from scripts.dist.source import ROOT, source_time
from scripts.reference.variables import VARIABLES
from scripts.reference.words import meanings

__all__ = ["PLACE", "TEMPLATE", "escaped", "manual"]

TEMPLATE: Final = ROOT / "packaging/man/samehost.1.in"
PLACE: Final = "man/man1/samehost.1"
"""Below share/."""

FILLED: Final = re.compile(r'\.\\" @([a-z-]+)(?: (.+))?')
BREAKS: Final = (".PP", ".br")
BEGINNINGS: Final = (".SH", ".SS", ".TP")
UPPER: Final = re.compile(r"\b[A-Z][A-Z]+\b")
QUOTED: Final = re.compile(r"`([^`]*)`")


def manual(template: str | None = None, seconds: int | None = None) -> str:
    """The page, of a time in seconds since 1970. Raises SamehostError."""
    text = TEMPLATE.read_text(encoding="utf-8") if template is None else template
    time = datetime.fromtimestamp(source_time() if seconds is None else seconds, UTC)
    text = text.replace("@DATE@", time.date().isoformat()).replace("@VERSION@", VERSION)
    known = {" ".join(command.words): command for command in commands()}
    told: set[str] = set()
    lines = [line for each in text.splitlines() for line in _lines(each, known, told)]
    return "\n".join(_without_empty(lines)) + "\n"


def _without_empty(lines: list[str]) -> Iterator[str]:
    """Leave out breaks before what begins anew by itself."""
    for line, following in pairwise([*lines, ""]):
        is_of_use = following not in BREAKS and not following.startswith(BEGINNINGS)
        if line not in BREAKS or is_of_use:
            yield line


def escaped(text: str) -> str:
    """Plain text as roff means it: hyphens that can be typed, nothing that is a command."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("…", "...")
    text = QUOTED.sub(r"\\fB\1\\fR", text)
    return f"\\&{text}" if text.startswith((".", "'")) else text


def _lines(line: str, known: Mapping[str, Command], told: set[str]) -> Iterable[str]:
    found = FILLED.fullmatch(line)
    if found is None:
        return [] if line.startswith('.\\"') else [line]
    name, argument = found[1], found[2] or ""
    if name == "command" and argument in known:
        told.add(argument)
        return _command(known[argument])
    if name == "other-commands":
        others = [known[words] for words in known if words and words not in told]
        return [line for command in others for line in _command(command)]
    if name in FILLERS and not argument:
        return FILLERS[name]()
    raise SamehostError(f"the manual has a place that nothing fills: {line}", f"look at {TEMPLATE}")


def _synopsis() -> Iterator[str]:
    for command in commands():
        if command.takes or not command.has_actions:
            yield from (_usage(command), ".br")


def _usage(command: Command) -> str:
    """What is typed is bold, what stands for something is not."""
    rest = escaped(command.usage.removeprefix(command.name).strip())
    rest = re.sub(r"((?:\\-){1,2}[a-zA-Z][a-z\\-]*)", r"\\fB\1\\fR", rest)
    return f"\\fB{escaped(command.name)}\\fR {UPPER.sub(_italic, rest)}".strip()


def _italic(found: re.Match[str]) -> str:
    return f"\\fI{found[0]}\\fR"


def _command(command: Command) -> Iterator[str]:
    yield f".SS {command.name}"
    yield from (_usage(command), ".PP", f"{escaped(_sentence(command.help))}")
    for action in command.takes:
        if action.help:
            yield from _option(action)
    yield ".PP"


def _option(action: argparse.Action) -> Iterator[str]:
    names = ", ".join(f"\\fB{escaped(name)}\\fR" for name in action.option_strings)
    stands = f"\\fI{escaped(value(action))}\\fR" if value(action) else ""
    yield from (".TP", f"{names} {stands}".strip(), escaped(_sentence(action.help or "")))


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith('.') else '.'}"


def _settings() -> Iterator[str]:
    for key in KEYS.values():
        yield from (".TP", f"\\fB{key.name}\\fR", *_setting(key))


def _setting(key: Key) -> Iterator[str]:
    default = json.dumps(key.default)
    yield escaped(_sentence(key.help))
    yield f"Form: {escaped(key.form)}."
    yield f"Default: \\fB{escaped(default)}\\fR."


def _listed(table: Mapping[str, str]) -> Iterator[str]:
    for name, meaning in table.items():
        yield from (".TP", f"\\fB{escaped(name)}\\fR", escaped(_sentence(meaning)))


def _checks() -> Iterator[str]:
    return _listed({check.name: check.description for check in CHECKS})


def _counters() -> Iterator[str]:
    yield from _listed(COUNTERS)
    yield from (".PP", "Of each machine:")
    yield from _listed(MACHINE_COUNTERS)


FILLERS: Final[Mapping[str, Callable[[], Iterable[str]]]] = {
    "synopsis": _synopsis,
    "settings": _settings,
    "checks": _checks,
    "counters": _counters,
    "port-states": lambda: _listed(meanings(State)),
    "exit-codes": lambda: _listed(meanings(ExitCode)),
    "variables": lambda: _listed(VARIABLES),
}
