"""A mirror is never mirrored back, or on: all computers reach a fixed point in one round.

Each side is a list of sockets; what the reconciler opens becomes a socket there. The next round
sees those sockets, unless each side leaves out its own, which it knows by inode.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

from desktop.mirror.model import Binding, Origin, Row, State
from desktop.mirror.reconcile import Open, Reconciler
from desktop.mirror.rules import Rules, plan
from link.listener import Listener
from tests.unit.mirror.make import OTHER, VM

REAL_INSIDE = {
    VM: [("0.0.0.0", 8000), ("127.0.0.1", 8001), ("::1", 8002), ("10.0.0.2", 8003)],
    OTHER: [("0.0.0.0", 9000), ("127.0.0.1", 9001)],
}
REAL_HERE = [("127.0.0.1", 80), ("0.0.0.0", 81), ("::", 82), ("192.168.1.7", 83)]


@dataclass
class Side:
    """The sockets of one computer, and which are Samehost's."""

    sockets: dict[int, Listener] = field(default_factory=dict)
    own: set[int] = field(default_factory=set)

    def listen(self, inode: int, address: str, port: int) -> None:
        self.sockets[inode] = Listener(inode, "tcp", address, port, inode=inode)

    def scan(self, exclude: bool) -> list[Listener]:
        hidden = self.own if exclude else set()
        return [socket for inode, socket in self.sockets.items() if inode not in hidden]


class World:
    """A desktop, machines, and a reconciler between them."""

    def __init__(self, *machines: str, exclude: bool) -> None:
        self.inodes = itertools.count(1)
        self.here = Side()
        self.there = {machine: Side() for machine in machines}
        for machine, side in self.there.items():
            for address, port in REAL_INSIDE[machine]:
                side.listen(next(self.inodes), address, port)
        for address, port in REAL_HERE:
            self.here.listen(next(self.inodes), address, port)
        self.reconciler = Reconciler()
        self.exclude = exclude
        self.mirrors: dict[Binding, int] = {}

    def round(self, now: float) -> int:
        """Scan all sides and do what follows: the number of actions."""
        here = self.here.scan(self.exclude)
        for machine, side in self.there.items():
            wishes = plan(machine, side.scan(self.exclude), here, Rules())
            self.reconciler.wish(machine, wishes, now)
        count = 0
        while actions := self.reconciler.actions(now):
            for action in actions:
                count += 1
                if isinstance(action, Open):
                    self.open(action.wish.binding, now)
                else:
                    self.close(action.binding, now)
        return count

    def open(self, binding: Binding, now: float) -> None:
        inode = next(self.inodes)
        side = self.stands_on(binding)
        side.listen(inode, binding.address, binding.port)
        side.own.add(inode)
        self.mirrors[binding] = inode
        self.reconciler.opened(binding, now)

    def close(self, binding: Binding, now: float) -> None:
        inode = self.mirrors.pop(binding)
        side = self.stands_on(binding)
        del side.sockets[inode]
        side.own.remove(inode)
        self.reconciler.closed(binding, now)

    def stands_on(self, binding: Binding) -> Side:
        return self.here if binding.origin is Origin.MACHINE else self.there[binding.machine]

    def rows(self) -> list[Row]:
        return self.reconciler.rows()


def test_the_second_round_finds_nothing_to_do() -> None:
    world = World(VM, exclude=True)
    assert world.round(0.0) == 6
    rows = world.rows()
    assert [row.state for row in rows].count(State.ACTIVE) == 6
    assert world.round(1.0) == 0
    assert world.rows() == rows


def test_a_machines_ports_are_not_mirrored_into_another_machine() -> None:
    world = World(VM, OTHER, exclude=True)
    assert world.round(0.0) == 11
    assert world.round(1.0) == 0
    for machine in (VM, OTHER):
        stubs = [place for place in world.mirrors if place.origin is Origin.HOST]
        ports = {stub.port for stub in stubs if stub.machine == machine}
        assert ports == {80, 81, 82}
        assert {socket.port for socket in world.there[machine].sockets.values()} == {
            *(port for _, port in REAL_INSIDE[machine]),
            *ports,
        }


def test_without_leaving_out_our_own_sockets_there_would_be_an_echo() -> None:
    world = World(VM, exclude=False)
    assert world.round(0.0) == 6
    rows = world.rows()
    assert world.round(1.0) > 0
    assert world.rows() != rows
