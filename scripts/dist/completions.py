"""Completions for bash, zsh and fish, by shtab, from the tree of commands.

Rules: names of settings and of checks come from their tables; names of machines from `samehost
machine list`, asked when Tab is pressed, which may take as long as the tools that have machines.
What follows `samehost docker` is not ours, and not completed.
"""

from __future__ import annotations

import argparse
from typing import Final

import shtab

from desktop.doctor.checks import CHECKS
from desktop.settings.keys import KEYS
from scripts.command_tree import commands, parser

__all__ = ["PLACES", "completion"]

PLACES: Final = {
    "bash": "bash-completion/completions/samehost",
    "zsh": "zsh/site-functions/_samehost",
    "fish": "fish/vendor_completions.d/samehost.fish",
}
"""Where each shell looks, below share/ (their manuals, and bash-completion's)."""

LISTED: Final = "samehost machine list 2>/dev/null | sed '1d;s/ .*//'"
"""The names: the first column, without the head."""

MACHINES: Final = {
    "bash": "_samehost_machines",
    "zsh": "_samehost_machines",
    "fish": "(_samehost_machines)",
}
FUNCTIONS: Final = {
    "bash": f'_samehost_machines() {{\n  compgen -W "$({LISTED})" -- "$1"\n}}\n',
    "zsh": (
        "_samehost_machines() {\n"
        f'  local -a names=(${{(f)"$({LISTED})"}})\n'
        "  _describe machine names\n}\n"
    ),
    "fish": f"function _samehost_machines\n  {LISTED}\nend\n",
}


def completion(shell: str) -> str:
    """The script for one of PLACES."""
    tree = parser()
    _enrich(tree)
    text: str = shtab.complete(tree, shell, preamble=FUNCTIONS[shell])
    # shtab lets zsh complete only the first of any number of arguments.
    return text.replace('"(*)::', '"*:') if shell == "zsh" else text


def _enrich(tree: argparse.ArgumentParser) -> None:
    """Say what stands for an argument; what has choices already is left as it is."""
    for action in (action for command in commands(tree) for action in command.takes):
        if action.dest in ("name", "machine"):
            action.complete = MACHINES  # type: ignore[attr-defined]
        elif action.dest == "key":
            action.choices = list(KEYS)
        elif action.dest == "checks":
            action.choices = [check.name for check in CHECKS]
        elif action.metavar == "FILE":
            action.complete = shtab.FILE  # type: ignore[attr-defined]
