"""The table of parsers is whole: who reads what others have written is in it, or says why not."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.fuzz.table import PARSERS

PROJECT: Final = Path(__file__).parents[2]
ROOMS: Final = ("link", "vmagent", "desktop", "gui")
UNPACKING: Final = frozenset({"unpack", "unpack_from", "iter_unpack"})

READ_ELSEWHERE: Final = {
    "desktop.machines.found.finder": "by the finders of the table",
    "vmagent.engines.grpc": "by containerd's follower",
    "desktop.api.peers": "the kernel's word on a peer, of a size that was asked for",
    "desktop.machines.sandbox.boot": "what ip(8) of this computer prints",
    "link.datagrams.clients": "the kernel's control messages, in a buffer of our size",
    "link.datagrams.linux": "a socket option, of a size that was asked for",
    "link.datagrams.unreachable": "a message of our own, for its checksum",
    "link.relay.kernel": "a socket option, of a size that was asked for",
    "vmagent.bpf.programs": "our own programs",
    "vmagent.bpf.redirection": "a map of our own programs",
    "vmagent.bpf.system": "a system call's answer, of a size that was asked for",
    "vmagent.capabilities": "a system call's answer, of a size that was asked for",
    "gui.machine.findings": "needs Qt: tests/gui/machine",
    "gui.network.rules": "needs Qt: tests/gui/network",
    "gui.preferences": "needs Qt: tests/gui",
    "gui.single": "needs Qt: tests/gui",
}
"""Modules that read bytes or JSON and have no row, and why."""


def readers() -> Iterator[str]:
    """Modules that take JSON or packed bytes apart."""
    for room in ROOMS:
        for path in sorted((PROJECT / room).rglob("*.py")):
            if any(map(_takes_apart, ast.walk(ast.parse(path.read_bytes())))):
                yield ".".join(path.relative_to(PROJECT).with_suffix("").parts)


def _takes_apart(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return False
    name, owner = node.func.attr, ast.unparse(node.func.value)
    return name in UNPACKING or (name in ("loads", "decode") and owner.endswith("json"))


@pytest.mark.parametrize("module", list(readers()))
def test_whoever_reads_what_others_have_written_is_in_the_table_or_says_why_not(
    module: str,
) -> None:
    is_there = any(f"{parser.name}.".startswith((f"{module}.", f"{module}:")) for parser in PARSERS)
    assert is_there is (module not in READ_ELSEWHERE)


def test_every_reason_is_of_a_module_that_reads() -> None:
    assert READ_ELSEWHERE.keys() <= set(readers())


def test_no_parser_is_there_twice_and_each_has_seeds() -> None:
    names = [parser.name for parser in PARSERS]
    assert len(set(names)) == len(names)
    assert all(parser.seeds for parser in PARSERS)
