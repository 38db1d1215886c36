"""The tree of commands as the code has it, for the reference, the manual page and the completions.

    samehost ─┬─ up        options, arguments
              └─ settings ─┬─ list
                           └─ get …

Rules: what argparse knows is asked of argparse, so nothing here has to be kept up by hand; it has
no other way to ask than its private attributes, which nobody else reads. Counterpart: `make_parser`
in `desktop/cli/main.py`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from desktop.cli.main import VERBS, make_parser

if TYPE_CHECKING:
    from typing_extensions import TypeIs

__all__ = ["Command", "commands", "parser", "value"]

HELP = "help"
ANY_NUMBER = ("*", argparse.REMAINDER)


@dataclass(frozen=True)
class Command:
    """One command: `words` are what is typed after `samehost`, such as ("settings", "get").

    `takes` are its options and arguments in the order of its help, but for help itself.
    """

    words: tuple[str, ...]
    help: str
    parser: argparse.ArgumentParser
    takes: tuple[argparse.Action, ...]
    has_actions: bool

    @property
    def name(self) -> str:
        """As it is typed."""
        return " ".join(("samehost", *self.words))

    @property
    def options(self) -> list[argparse.Action]:
        """What begins with a hyphen."""
        return [action for action in self.takes if action.option_strings]

    @property
    def arguments(self) -> list[argparse.Action]:
        """What stands for itself."""
        return [action for action in self.takes if not action.option_strings]

    @property
    def usage(self) -> str:
        """All that can be typed, in one line."""
        groups = [each._group_actions for each in self.parser._mutually_exclusive_groups]  # noqa: SLF001
        words = [self.name]
        told: set[int] = set()
        for action in self.takes:
            if id(action) not in told:
                group = next((each for each in groups if action in each), [action])
                told.update(map(id, group))
                words.append(_usage(group))
        return " ".join([*words, "COMMAND …"] if self.has_actions else words)


def parser() -> argparse.ArgumentParser:
    """The parser of `samehost`, with the arguments of every verb."""
    return make_parser(VERBS)[0]


def commands(tree: argparse.ArgumentParser | None = None) -> list[Command]:
    """Every command of a parser, in the order of the help; those of verbs with actions too.

    The first has no words: it is `samehost` itself.
    """
    return list(_below(tree or parser(), (), ""))


def value(action: argparse.Action) -> str:
    """What stands for what is typed there: its choices, its name, or "" for a mere switch."""
    if action.choices is not None:
        return "|".join(map(str, action.choices))
    return "" if action.nargs == 0 else str(action.metavar or action.dest)


def _below(parser: argparse.ArgumentParser, words: tuple[str, ...], text: str) -> Iterator[Command]:
    actions = parser._actions  # noqa: SLF001
    trees = [action for action in actions if _is_tree(action)]
    takes = tuple(each for each in actions if each not in trees and each.dest != HELP)
    yield Command(words, text, parser, takes, has_actions=bool(trees))
    for tree in trees:
        helps = {choice.dest: choice.help or "" for choice in tree._choices_actions}  # noqa: SLF001
        for name, below in tree.choices.items():
            yield from _below(below, (*words, name), helps.get(name, ""))


def _is_tree(action: argparse.Action) -> TypeIs[argparse._SubParsersAction[Any]]:
    return isinstance(action, argparse._SubParsersAction)  # noqa: SLF001


def _usage(group: Sequence[argparse.Action]) -> str:
    """One argument, one option, or several options of which one may be given."""
    (first, *_) = group
    if first.option_strings:
        options = (f"{each.option_strings[0]} {value(each)}".strip() for each in group)
        return f"[{' | '.join(options)}]"
    if first.nargs in ANY_NUMBER:
        return f"[{value(first)}…]"
    return f"[{value(first)}]" if first.nargs == "?" else value(first)
