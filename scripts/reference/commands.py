"""Of the command line: every verb, action, argument and option, from the parsers themselves."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from typing import cast

from desktop.cli.main import VERBS, VerbModule
from scripts.reference.words import require, table

__all__ = ["actions_of", "commands", "parsers", "readers"]

Parser = argparse.ArgumentParser


def commands() -> str:
    """All verbs, each with its usage and what it takes."""
    return "\n\n".join(_verb(name, parser) for name, parser in parsers().items())


def parsers() -> dict[str, Parser]:
    """The parser of each verb, by name, as `desktop.cli.main` makes it."""
    made = {}
    for name, verb in VERBS.items():
        parser = Parser(prog=f"samehost {name}", description=verb.help, add_help=False)
        cast("VerbModule", import_module(f"desktop.cli.{verb.module}")).add_arguments(parser)
        made[name] = parser
    return made


def actions_of(parser: Parser) -> dict[str, Parser]:
    """The parsers of a verb's actions by name; none for a verb that has none."""
    for action in parser._actions:  # noqa: SLF001 - argparse has no other way to ask
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - the same
            return dict(action.choices)
    return {}


def readers() -> list[str]:
    """The commands that have `--json`, as they are typed."""
    return [
        each.prog.removeprefix("samehost ")
        for parser in parsers().values()
        for each in (actions_of(parser).values() or [parser])
        if any("--json" in action.option_strings for action in _own(each))
    ]


def _verb(name: str, parser: Parser) -> str:
    below = actions_of(parser)
    usages = "\n".join(f"    {_usage(each)}" for each in (below.values() or [parser]))
    said: dict[str, list[str]] = {}
    for word, words in dict.fromkeys(_rows(parser)):
        said.setdefault(word, []).append(words)
    sentence = require(parser.description, f"samehost {name}")
    parts = [f"### samehost {name}", f"{sentence[:1].upper()}{sentence[1:]}.", usages]
    if said:
        rows = [(f"`{word}`", "; ".join(words)) for word, words in said.items()]
        parts.append(table(("", "meaning"), rows))
    return "\n\n".join(parts)


def _rows(parser: Parser) -> Iterator[tuple[str, str]]:
    """What a verb takes and what it means: its actions, then arguments and options of each."""
    for choice in _choices(parser):
        yield choice.dest, require(choice.help, f"{parser.prog} {choice.dest}")
    for each in actions_of(parser).values() or [parser]:
        for action in _own(each):
            yield _word(action), require(action.help, f"{each.prog} {_word(action)}")


def _choices(parser: Parser) -> list[argparse.Action]:
    for action in parser._actions:  # noqa: SLF001 - argparse has no other way to ask
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - the same
            return list(action._choices_actions)  # noqa: SLF001 - the same
    return []


def _own(parser: Parser) -> Iterable[argparse.Action]:
    """Arguments and options, but for help."""
    actions = parser._actions  # noqa: SLF001 - argparse has no other way to ask
    return [each for each in actions if "-h" not in each.option_strings]


def _word(action: argparse.Action) -> str:
    names = ", ".join(action.option_strings)
    if action.choices is not None:
        return f"{names} {'|'.join(map(str, action.choices))}".strip()
    return " ".join(filter(None, (names, str(action.metavar or ""))))


def _usage(parser: Parser) -> str:
    groups = parser._mutually_exclusive_groups  # noqa: SLF001 - argparse has no other way to ask
    words = []
    told: set[int] = set()
    for action in _own(parser):
        if id(action) in told:
            continue
        group = next((each._group_actions for each in groups if action in each._group_actions), [])  # noqa: SLF001
        told.update(map(id, group))
        words.append(_options(group or [action]))
    return " ".join([parser.prog, *words])


def _options(group: Sequence[argparse.Action]) -> str:
    """One argument, one option, or several of which one may be given."""
    (first, *_) = group
    if not first.option_strings:
        return _positional(first)
    return f"[{' | '.join(_option(each) for each in group)}]"


def _option(action: argparse.Action) -> str:
    if action.choices is not None:
        return f"{action.option_strings[0]} {'|'.join(map(str, action.choices))}"
    return " ".join(filter(None, (action.option_strings[0], str(action.metavar or ""))))


def _positional(action: argparse.Action) -> str:
    word = str(action.metavar)
    if action.nargs in ("*", argparse.REMAINDER):
        return f"[{word}…]"
    return f"[{word}]" if action.nargs == "?" else word
