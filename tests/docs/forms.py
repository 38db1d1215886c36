"""Whether a command of the documents exists: its verb, its options, its settings and targets.

Rules: `samehost` is asked of its own parsers, `make` of the Makefile, `docker` of its help where it
is installed. What stands in capitals or is `…` is in the place of something. In the running text a
command may lack what it needs, as a name does; in a block it may not.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
from collections.abc import Mapping
from functools import cache
from typing import NoReturn

from desktop.cli.main import VERBS
from desktop.doctor.checks import CHECKS
from desktop.settings.keys import KEYS, parse_text
from scripts.command_tree import Command, commands
from tests.docs.classes import WRONG
from tests.docs.pages import PROJECT

__all__ = ["WrongCommandError", "check"]

TARGET = re.compile(r"^([a-z0-9-]+):", re.MULTILINE)
OPTION = re.compile(r"(?<![\w-])(--?[a-z][a-z-]*)")
INTERRUPTED_TEXT = ("…",)


class WrongCommandError(Exception):
    """There is no such command."""


class Parser(argparse.ArgumentParser):
    """One that raises."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong. Raises WrongCommandError."""
        raise WrongCommandError(f"{self.prog}: {message}")


def check(words: list[str], *, is_whole: bool) -> None:
    """Raise WrongCommandError if there is no such command."""
    program, *rest = [word for word in words if word not in INTERRUPTED_TEXT]
    rest = [word.removesuffix("…") for word in rest]
    if program == "samehost":
        _check_samehost(rest, is_whole=is_whole)
    elif program == "make":
        _check_make(rest)
    elif program == "docker":
        _check_docker(rest)


def _check_samehost(words: list[str], *, is_whole: bool) -> None:
    verb, *rest = words or [""]
    if verb in ("--help", "--version") and not rest:
        return
    if verb not in VERBS:
        raise WrongCommandError(f"samehost has no verb {verb!r}")
    if verb == "docker":
        _check_docker(rest)
        return
    known = {command.words: command for command in commands()}
    if is_whole:
        for command in known.values():
            command.parser.error = Parser.error.__get__(command.parser)  # type: ignore[method-assign]
        known[()].parser.parse_args(words)
    else:
        _check_part(known, verb, rest)
    _check_names(verb, rest)


def _check_part(known: Mapping[tuple[str, ...], Command], verb: str, words: list[str]) -> None:
    """See that action and options exist; what they need may be missing."""
    command = known[(verb,)]
    if command.has_actions and words:
        if (verb, words[0]) not in known:
            raise WrongCommandError(f"{command.name} has no action {words[0]!r}")
        command = known[(verb, words[0])]
    options = {name for option in command.options for name in option.option_strings}
    unknown = [word for word in words if word.startswith("-") and word not in options]
    if unknown:
        raise WrongCommandError(f"{command.name} has no {', '.join(unknown)}")


def _check_names(verb: str, words: list[str]) -> None:
    """Settings, their values, and checks are those that there are."""
    named = [word for word in words if not word.startswith("-") and not word.isupper()]
    if verb == "settings" and len(named) > 1 and named[1] not in KEYS:
        raise WrongCommandError(f"there is no setting {named[1]!r}")
    if verb == "settings" and named[:1] == ["set"] and named[2:] and named[2] not in WRONG:
        parse_text(named[1], named[2])
    if verb == "doctor":
        unknown = {word for word in named if "." not in word} - {each.name for each in CHECKS}
        if unknown:
            raise WrongCommandError(f"the doctor has no check {', '.join(unknown)}")


def _check_make(words: list[str]) -> None:
    targets = set(TARGET.findall((PROJECT / "Makefile").read_text()))
    unknown = [word for word in words if "=" not in word and word not in targets]
    if unknown:
        raise WrongCommandError(f"make has no target {', '.join(unknown)}")


def _check_docker(words: list[str]) -> None:
    if not words or shutil.which("docker") is None:
        return
    verb = words[:2] if words[0] in ("image", "service") else words[:1]
    known = set(OPTION.findall(_docker_help(*verb)))
    if not known:
        raise WrongCommandError(f"docker has no {' '.join(verb)}")
    for word in words[len(verb) :]:
        if not word.startswith("-"):
            if verb == ["run"] and word[:1].isalpha():
                return  # the image, or the value of an option; what follows is the container's
            continue
        name = word.partition("=")[0]
        letters = [f"-{letter}" for letter in name[1:]] if name[1] != "-" else [name]
        if name not in known and not known.issuperset(letters) and name != "--net":
            raise WrongCommandError(f"docker {' '.join(verb)} has no {name}")


@cache
def _docker_help(*verb: str) -> str:
    done = subprocess.run(
        ["docker", *verb, "--help"], capture_output=True, text=True, check=False, timeout=30
    )
    return done.stdout if done.returncode == 0 else ""
