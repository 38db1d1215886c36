"""Mirroring against a brute-force oracle: who answers at every address, by the table of the design.

Two computers of made-up sockets, with the kernel's rules of who may bind and who answers. The
oracle knows no mirror and no reconciler: for each address and port of either computer it tells from
the real listeners and the rules alone who should answer there. `Table` is the design's table.

Rules: after each change one round of looking and doing comes to rest, and a second does nothing;
no socket of ours is ever mirrored.
"""

from __future__ import annotations

import errno
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from desktop.mirror.failures import explain
from desktop.mirror.model import Binding, Origin, State
from desktop.mirror.reconcile import DENIED_RETRY_SECONDS, Open, Reconciler
from desktop.mirror.rules import AS_BOUND, LOCALHOST, Rules, plan
from desktop.settings.values import PortRule
from link.listener import Container, Listener
from tests.effort import EFFORT
from tests.unit.mirror.make import VM

V4 = ("127.0.0.1", "127.0.0.2", "192.168.1.7")
V6 = ("::1", "fd00::7")
ADDRESSES = (*V4, *V6)
"""Of each computer."""
NETWORK = (V4[-1], V6[-1])
PORTS = (22, 80, 5353, 8000, 18000)
REMAPPED = (80, 18000, 28000)
PROTOCOLS = ("tcp", "udp")
LOOPBACK = {4: "127.0.0.1", 6: "::1"}
WEB = Container("ab" * 32, "web", "docker")


def family(address: str) -> int:
    return 6 if ":" in address else 4


def covers(listener: Listener, address: str) -> bool:
    """True if the kernel brings a client of `address` to this socket, unless another is closer."""
    if listener.address == "::":
        return family(address) == 6 or not listener.v6only
    return listener.address in (address, "0.0.0.0" if family(address) == 4 else address)


def meet(one: Listener, two: Listener) -> bool:
    """True if the kernel lets only one of them be bound."""
    if (one.protocol, one.port) != (two.protocol, two.port):
        return False
    return any(covers(one, each) and covers(two, each) for each in ADDRESSES)


# The oracle


@dataclass(frozen=True)
class Table:
    """The design's table: where a real listener should appear on the other side."""

    port_binding: str

    def on_host(self, listener: Listener) -> frozenset[str]:
        """Addresses of this computer at which a listener of the machine should answer."""
        address = listener.address
        if address.startswith("127.") or address == "::1":
            return frozenset({address})
        every = {4: V4, 6: V6} if self.port_binding == AS_BOUND else {4: V4[:1], 6: V6[:1]}
        if address == "0.0.0.0":
            return frozenset(every[4])
        if address == "::":
            return frozenset(every[6] if listener.v6only else (*every[4], *every[6]))
        return frozenset()

    def in_machine(self, listener: Listener) -> frozenset[str]:
        """Addresses of the machine at which a listener of this computer should answer."""
        places = {
            "127.0.0.1": {"127.0.0.1"},
            "0.0.0.0": {"127.0.0.1"},
            "::1": {"::1"},
            "::": {"::1"} if listener.v6only else {"127.0.0.1", "::1"},
        }
        return frozenset(places.get(listener.address, ()))


@dataclass(frozen=True)
class World:
    """What is real, and what the person wants."""

    inside: tuple[Listener, ...]
    here: tuple[Listener, ...]
    daemons: tuple[Listener, ...]
    """Listeners of the machine itself: they are not told, but they are in the way."""
    rules: Rules
    is_root: bool = True
    """Whether Samehost may open ports below 1024 on this computer."""

    def is_ignored(self, origin: Origin, listener: Listener) -> bool:
        key = listener.protocol, listener.port
        if any(rule.matches(origin.value, *key) for rule in self.rules.ignore):
            return True
        if origin is Origin.MACHINE and key in self.rules.remap:
            return False
        return key == ("udp", 5353) or (key == ("tcp", 22) and origin is Origin.MACHINE)

    def port_here(self, listener: Listener) -> int:
        return self.rules.remap.get((listener.protocol, listener.port), listener.port)

    def is_on_both(self, listener: Listener, port: int, places: frozenset[str], asked: str) -> bool:
        """True if the port is held here as well, where mirrors of the listener would be.

        What only an address of the network holds is in the way of its own family alone.
        """
        holders = [
            each for each in self.here if (each.protocol, each.port) == (listener.protocol, port)
        ]
        near = [
            e for e in holders if e.address not in NETWORK or family(asked) == family(e.address)
        ]
        return any(covers(each, place) for each in near for place in places)


def answers_here(world: World, protocol: str, address: str, port: int) -> str | None:
    """Who should answer at an address of this computer: its own, the machine's, or nobody."""
    if any((e.protocol, e.port) == (protocol, port) and covers(e, address) for e in world.here):
        return "host"
    table = Table(world.rules.port_binding)
    for listener in world.inside:
        places = table.on_host(listener)
        if (
            (listener.protocol, world.port_here(listener)) == (protocol, port)
            and address in places
            and not world.is_ignored(Origin.MACHINE, listener)
            and not world.is_on_both(listener, port, places, address)
            and (world.is_root or port >= 1024)
        ):
            return "machine"
    return None


def answers_in_machine(world: World, protocol: str, address: str, port: int) -> str | None:
    """Who should answer at an address of the machine."""
    for listener in (*world.inside, *world.daemons):
        if (listener.protocol, listener.port) == (protocol, port) and covers(listener, address):
            return "machine"
    for listener in world.here if world.rules.reach_host else ():
        places = Table(world.rules.port_binding).in_machine(listener)
        held = (
            covers(each, place)
            for each in world.inside
            if (each.protocol, each.port) == (protocol, port)
            for place in places
        )
        if (
            (listener.protocol, listener.port) == (protocol, port)
            and address in places
            and not world.is_ignored(Origin.HOST, listener)
            and not any(held)
        ):
            return "host"
    return None


# The computers


@dataclass
class Computer:
    """Sockets by number, and which are mirrors, with where their flows are dialled to."""

    sockets: dict[int, Listener] = field(default_factory=dict)
    mirrors: dict[int, Binding] = field(default_factory=dict)

    def bind(self, inode: int, listener: Listener) -> bool:
        if any(meet(listener, each) for each in self.sockets.values()):
            return False
        self.sockets[inode] = listener
        return True

    def real(self) -> list[Listener]:
        return [each for inode, each in self.sockets.items() if inode not in self.mirrors]

    def who_answers(self, protocol: str, address: str, port: int) -> int | None:
        """The socket to which the kernel brings a client: the most specific one."""
        found = [
            (each.address == "::", each.address == "0.0.0.0", inode)
            for inode, each in self.sockets.items()
            if (each.protocol, each.port) == (protocol, port) and covers(each, address)
        ]
        return min(found)[-1] if found else None


class Play:
    """The computers and the reconciler between them, through changes of the world."""

    def __init__(self) -> None:
        self.reconciler = Reconciler()
        self.here, self.there = Computer(), Computer()
        self.mirrors: dict[Binding, int] = {}
        self.inodes = itertools.count(1000)
        self.now = 0.0

    def become(self, world: World) -> None:
        """Real sockets come and go; they come even where a mirror of ours was in the way."""
        self.world = world
        self.now += DENIED_RETRY_SECONDS[1] + 1
        for computer, real in ((self.here, world.here), (self.there, world.inside + world.daemons)):
            for inode in set(computer.sockets) - set(computer.mirrors):
                del computer.sockets[inode]
            for listener in real:
                self.make_room(computer, listener)
                assert computer.bind(listener.inode, listener)
        self.reconciler.retry_conflicts(self.now)

    def make_room(self, computer: Computer, listener: Listener) -> None:
        """A mirror of ours is gone, as where its port was taken while a link was down."""
        for inode, binding in list(computer.mirrors.items()):
            if meet(computer.sockets[inode], listener):
                self.drop(binding)
                failure = explain(binding, errno.EADDRINUSE, [listener])
                self.reconciler.lost(binding, failure, self.now)

    def round(self) -> int:
        """Look, and do what follows; how much that was."""
        inside = [each for each in self.there.real() if each.container is not None]
        wishes = plan(VM, inside, self.here.real(), self.world.rules)
        self.reconciler.wish(VM, wishes, self.now)
        count = 0
        while actions := self.reconciler.actions(self.now):
            count += len(actions)
            for action in actions:
                if isinstance(action, Open):
                    self.open(action.binding)
                else:
                    self.drop(action.binding)
                    self.reconciler.closed(action.binding, self.now)
        return count

    def open(self, binding: Binding) -> None:
        computer = self.stands_on(binding)
        inode = next(self.inodes)
        mirror = Listener(inode, binding.protocol, binding.address, binding.port, inode=inode)
        number = 0
        if computer is self.here and binding.port < 1024 and not self.world.is_root:
            number = errno.EACCES
        elif not computer.bind(inode, mirror):
            number = errno.EADDRINUSE
        if number:
            self.reconciler.failed(binding, explain(binding, number, computer.real()), self.now)
            return
        computer.mirrors[inode] = self.mirrors_of(binding, inode)
        self.reconciler.opened(binding, self.now)

    def mirrors_of(self, binding: Binding, inode: int) -> Binding:
        self.mirrors[binding] = inode
        return binding

    def drop(self, binding: Binding) -> None:
        computer, inode = self.stands_on(binding), self.mirrors.pop(binding)
        del computer.sockets[inode], computer.mirrors[inode]

    def stands_on(self, binding: Binding) -> Computer:
        return self.here if binding.origin is Origin.MACHINE else self.there

    def reached(self, computer: Computer, protocol: str, address: str, port: int) -> str | None:
        """On which computer a client there ends up."""
        inode = computer.who_answers(protocol, address, port)
        sides = {id(self.here): "host", id(self.there): "machine"}
        if inode is None or inode not in computer.mirrors:
            return sides[id(computer)] if inode is not None else None
        wish = self.reconciler.wish_for(computer.mirrors[inode])
        assert wish is not None, "a mirror that nobody wishes"
        other = self.there if computer is self.here else self.here
        target = other.who_answers(protocol, wish.target.address, wish.target.port)
        assert target is not None, "a mirror that leads nowhere"
        assert target not in other.mirrors, "a mirror of a mirror"
        return sides[id(other)]


# Worlds


def listeners(first: int, container: Container | None) -> st.SearchStrategy[list[Listener]]:
    """Some that may all be bound at once, numbered from `first`."""
    places = st.tuples(
        st.sampled_from(PROTOCOLS),
        st.sampled_from([*ADDRESSES, "0.0.0.0", "::"]),
        st.sampled_from(PORTS),
        st.booleans(),
    )

    def made(drawn: list[tuple[str, str, int, bool]]) -> list[Listener]:
        found: list[Listener] = []
        for number, (protocol, address, port, is_dual) in enumerate(drawn, first):
            v6only = not (is_dual and address == "::")
            one = Listener(number, protocol, address, port, v6only, number, container)
            if not any(meet(one, other) for other in found):
                found.append(one)
        return found

    return st.lists(places, max_size=6).map(made)


def some_rules() -> st.SearchStrategy[Rules]:
    ignore = st.builds(
        PortRule,
        st.sampled_from(["machine", "host", None]),
        st.sampled_from(PROTOCOLS),
        st.sampled_from(PORTS),
        st.just(8000),
    )
    keys = st.tuples(st.sampled_from(PROTOCOLS), st.sampled_from(PORTS))
    remap = st.dictionaries(keys, st.sampled_from(REMAPPED), max_size=3).filter(leads_apart)
    return st.builds(
        Rules,
        port_binding=st.sampled_from([AS_BOUND, LOCALHOST]),
        reach_host=st.booleans(),
        ignore=st.lists(ignore, max_size=1).map(tuple),
        remap=remap,
    )


def leads_apart(remap: Mapping[tuple[str, int], int]) -> bool:
    """True if no two ports of the machine appear as one: who of them comes is not the table's."""
    for protocol in PROTOCOLS:
        ports = [remap.get((protocol, port), port) for port in PORTS]
        if len(set(ports)) < len(ports):
            return False
    return True


@st.composite
def worlds(draw: st.DrawFn) -> World:
    inside = draw(listeners(1, WEB))
    daemons = [
        each
        for each in draw(listeners(100, None))
        if not any(meet(each, other) for other in inside)
    ]
    return World(
        tuple(inside),
        tuple(draw(listeners(200, None))),
        tuple(daemons[:2]),
        draw(some_rules()),
    )


def points() -> Iterator[tuple[str, str, int]]:
    return itertools.product(PROTOCOLS, ADDRESSES, (*PORTS, *REMAPPED[2:]))


@settings(max_examples=150 * EFFORT, deadline=None)
@given(st.lists(worlds(), min_size=1, max_size=3), st.booleans())
def test_at_every_address_answers_who_should_and_the_second_round_does_nothing(
    story: list[World], is_root: bool
) -> None:
    play = Play()
    for world in (replace(each, is_root=is_root) for each in story):
        play.become(world)
        play.round()
        rows = play.reconciler.rows()
        assert play.round() == 0
        assert play.reconciler.rows() == rows
        for point in points():
            assert play.reached(play.here, *point) == answers_here(world, *point), point
            assert play.reached(play.there, *point) == answers_in_machine(world, *point), point
        check_rows(play)


def check_rows(play: Play) -> None:
    """States say what is: active is open, and whatever is not has a reason."""
    for row in play.reconciler.rows():
        is_open = row.wish.binding in play.mirrors
        assert (row.state is State.ACTIVE) == is_open
        assert bool(row.reason) == (not is_open)
    for inode, binding in play.there.mirrors.items():
        assert play.there.sockets[inode].address in LOOPBACK.values(), binding


def test_a_port_held_on_both_sides_is_a_conflict_in_both_rows() -> None:
    inside = Listener(1, "tcp", "0.0.0.0", 8000, inode=1, container=WEB)
    here = Listener(200, "tcp", "127.0.0.1", 8000, inode=200)
    play = Play()
    play.become(World((inside,), (here,), (), Rules()))
    play.round()
    assert {row.state for row in play.reconciler.rows()} == {State.CONFLICT}
    assert {row.wish.binding.origin for row in play.reconciler.rows()} == set(Origin)
