"""Listeners for the tests of this room, in one line each."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from desktop.mirror import rules
from desktop.mirror.model import Binding, Failure, Origin, State, Target, Wish
from link.listener import Container, Listener

__all__ = [
    "BUSY",
    "OTHER",
    "REFUSED",
    "VM",
    "WEB",
    "here",
    "host_binding",
    "in_container",
    "machine_binding",
    "plan",
    "wish_of",
]

VM, OTHER = "vm", "other"
"""The machine of these tests, and another one."""

WEB = Container("0123456789abcdef" * 4, "web", "docker")
BUSY = Failure(State.CONFLICT, "someone has it")
REFUSED = Failure(State.DENIED, "not allowed")

_ids = itertools.count(1)


def in_container(
    address: str, port: int, *, cookie: int = 0, protocol: str = "tcp", dual: bool = False
) -> Listener:
    """A listener of a container in the machine."""
    return Listener(cookie or next(_ids), protocol, address, port, v6only=not dual, container=WEB)


def here(
    address: str,
    port: int,
    *,
    cookie: int = 0,
    protocol: str = "tcp",
    dual: bool = False,
    process: str | None = "nginx",
) -> Listener:
    """A listener of this computer."""
    number = cookie or next(_ids)
    return Listener(number, protocol, address, port, not dual, process=process, pid=77)


def machine_binding(address: str, port: int, machine: str = VM) -> Binding:
    """Where a TCP listener of the machine is mirrored."""
    return Binding(Origin.MACHINE, "tcp", address, port, machine)


def host_binding(address: str, port: int, machine: str = VM) -> Binding:
    """Where a TCP listener of this computer is mirrored."""
    return Binding(Origin.HOST, "tcp", address, port, machine)


def plan(
    there: Iterable[Listener], here: Iterable[Listener], how: rules.Rules, machine: str = VM
) -> list[Wish]:
    """The wishes for the machine of these tests."""
    return rules.plan(machine, there, here, how)


def wish_of(binding: Binding, state: State = State.PENDING, *, cookie: int = 1) -> Wish:
    """A wish for a listener that fits the binding."""
    listener = Listener(cookie, binding.protocol, binding.address, binding.port)
    reason = "" if state is State.PENDING else "so say the rules"
    return Wish(binding, Target("127.0.0.1", binding.port), listener, state, reason)
