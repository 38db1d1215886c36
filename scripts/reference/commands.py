"""Of the command line: every verb, action, argument and option, from the parsers themselves."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

from desktop.cli.main import VERBS
from scripts import command_tree
from scripts.command_tree import Command, value
from scripts.reference.words import require, table

__all__ = ["commands", "readers"]


def commands() -> str:
    """All verbs, each with its usage and what it takes."""
    tree = command_tree.commands()
    return "\n\n".join(
        _verb([each for each in tree if each.words[:1] == (verb,)]) for verb in VERBS
    )


def readers() -> list[str]:
    """The commands that have `--json`, as they are typed after `samehost`."""
    return [
        " ".join(command.words)
        for command in command_tree.commands()
        if any("--json" in option.option_strings for option in command.options)
    ]


def _verb(all_of_it: Sequence[Command]) -> str:
    """A verb and its actions, if it has some."""
    verb, *actions = all_of_it
    usages = "\n".join(f"    {each.usage}" for each in actions or [verb])
    said: dict[str, list[str]] = {}
    for word, words in dict.fromkeys(_rows(verb, actions)):
        said.setdefault(word, []).append(words)
    sentence = require(verb.help, verb.name)
    parts = [f"### {verb.name}", f"{sentence[:1].upper()}{sentence[1:]}.", usages]
    if said:
        rows = [(f"`{word}`", "; ".join(words)) for word, words in said.items()]
        parts.append(table(("", "meaning"), rows))
    return "\n\n".join(parts)


def _rows(verb: Command, actions: Sequence[Command]) -> Iterator[tuple[str, str]]:
    """What a verb takes and what it means: its actions, then arguments and options of each."""
    for each in actions:
        yield each.words[-1], require(each.help, each.name)
    for command in actions or [verb]:
        for action in command.takes:
            name = (action.option_strings or [value(action)])[0]
            yield _word(action), require(action.help, f"{command.name} {name}")


def _word(action: argparse.Action) -> str:
    return f"{', '.join(action.option_strings)} {value(action)}".strip()
