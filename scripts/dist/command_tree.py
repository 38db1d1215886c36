"""The tree of commands as the code has it, for the manual page and the completions.

    samehost ─┬─ up        options, arguments
              └─ settings ─┬─ list
                           └─ get …

Rules: what argparse knows is asked of argparse, so nothing here has to be kept up by hand.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from desktop.cli.main import VERBS, make_parser

if TYPE_CHECKING:
    from typing_extensions import TypeIs

__all__ = ["Command", "commands", "parser"]

HELP: Final = "help"


@dataclass(frozen=True)
class Command:
    """One command: `words` are what is typed, such as ("settings", "get")."""

    words: tuple[str, ...]
    help: str
    usage: str
    options: tuple[argparse.Action, ...]
    arguments: tuple[argparse.Action, ...]


def parser() -> argparse.ArgumentParser:
    """The parser of `samehost`, with the arguments of every verb."""
    return make_parser(VERBS)[0]


def commands() -> list[Command]:
    """Every command that can be typed, in the order of the help; those of verbs with actions too.

    The first has no words: it is `samehost` itself.
    """
    return list(_below(parser(), (), ""))


def _below(parser: argparse.ArgumentParser, words: tuple[str, ...], text: str) -> Iterator[Command]:
    own = [action for action in parser._actions if not _is_tree(action) and action.dest != HELP]  # noqa: SLF001
    yield Command(
        words,
        text,
        _usage(parser),
        tuple(action for action in own if action.option_strings),
        tuple(action for action in own if not action.option_strings),
    )
    for tree in filter(_is_tree, parser._actions):  # noqa: SLF001 - argparse has no other way
        helps = {choice.dest: choice.help or "" for choice in tree._choices_actions}  # noqa: SLF001
        for name, below in tree.choices.items():
            yield from _below(below, (*words, name), helps.get(name, ""))


def _is_tree(action: argparse.Action) -> TypeIs[argparse._SubParsersAction[Any]]:
    return isinstance(action, argparse._SubParsersAction)  # noqa: SLF001


def _usage(parser: argparse.ArgumentParser) -> str:
    """In one line, without the option of help."""
    words = " ".join(parser.format_usage().split())
    return words.removeprefix("usage: ").replace(" [-h]", "")
