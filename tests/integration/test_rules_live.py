"""Rules, conflicts and their healing, live, with a real container: TCP and UDP, both ways."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import socket
import subprocess
import time
from collections.abc import Iterator
from typing import Self

import pytest

from desktop.machines.sandbox import Sandbox
from desktop.mirror.model import State
from desktop.mirror.rules import Rules, plan
from link.listener import Listener
from tests.integration.conftest import require_root
from tests.integration.puppet import KINDS, Puppet, Server, program
from tests.integration.samehost import quiet_ports, until
from tests.integration.stage import Stage, hears, open_stage, refuses
from tests.promptness import promptly

PROTOCOLS = ("tcp", "udp")
Place = tuple[str, int, str]
"""Address, port and protocol."""

SS = ["ss", "-Hltun"]
"""Listening sockets, without a header line."""

both_protocols = pytest.mark.parametrize("protocol", PROTOCOLS)

SOON = 1.5
"""Seconds that stand for "within a second"; unit tests of the reconciler prove the exact times."""


@pytest.fixture(scope="module", params=["auto", "off"], ids=["with eBPF", "without eBPF"])
def running(request: pytest.FixtureRequest) -> Iterator[Stage]:
    """One for all tests of this module, which leave no listener behind."""
    require_root()
    with open_stage(ebpf=request.param) as stage:
        assert request.param == "auto" or not stage.redirects
        yield stage


@pytest.fixture
def stage(running: Stage) -> Iterator[Stage]:
    """That one, without rules of an earlier test."""
    yield running
    running.reset()


@pytest.fixture
def port() -> int:
    """The first of ten ports that nobody listens on."""
    return quiet_ports(10)


class Client:
    """A client that keeps its connection, or its UDP socket."""

    def __init__(self, protocol: str, address: str, port: int) -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._socket = socket.socket(family, KINDS[protocol])
        self._socket.settimeout(1)
        self._socket.connect((address, port))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def hears(self, words: str) -> str:
        """What the server says to that; "" if it does not answer."""
        try:
            self._socket.send(words.encode())
            return self._socket.recv(100).decode()
        except OSError:
            return ""


# The setting portBinding.


@both_protocols
def test_port_binding_moves_mirrors_at_once_and_leaves_flows_that_remain_allowed(
    stage: Stage, port: int, protocol: str
) -> None:
    _machine, outer = stage.addresses
    table = stage.table
    words = "" if protocol == "tcp" else "udp:"
    with stage.inside.serving(protocol, "::", port, words, dual=True):
        table.until(lambda: table.mirrors(protocol, port) == ["0.0.0.0", "::"], "the mirrors")
        with Client(protocol, "127.0.0.1", port) as ipv4, Client(protocol, "::1", port) as ipv6:
            assert ipv4.hears("one") == ipv6.hears("one") == words + "one"
            for binding, mirrors in [
                ("localhost", ["127.0.0.1", "::1"]),
                ("as-bound", ["0.0.0.0", "::"]),
            ]:
                stage.set("portBinding", binding)
                table.until(
                    lambda m=mirrors: table.mirrors(protocol, port) == m,  # type: ignore[misc]
                    f"the move to {mirrors}",
                )
                if binding == "localhost":
                    assert refuses(protocol, outer, port)
                else:
                    assert hears(protocol, outer, port) == words
                if protocol == "tcp":
                    assert ipv4.hears(binding) == ipv6.hears(binding) == binding
                else:
                    # What is sent in the moment of the move is lost; what follows is answered.
                    for client in (ipv4, ipv6):
                        until(lambda c=client, w=binding: c.hears(w) == words + w, "an answer")  # type: ignore[misc]


# The settings ignore and remap.


@both_protocols
def test_an_ignore_rule_applies_live_to_what_it_names_and_nothing_else(
    stage: Stage, port: int, protocol: str
) -> None:
    table, of_desktop = stage.table, port + 1
    unlike = next(each for each in PROTOCOLS if each != protocol)
    rules = [f"machine:{protocol}:{port}-{port + 1}", f"host:{protocol}:{of_desktop}"]
    with (
        stage.inside.serving(protocol, "0.0.0.0", port),
        stage.inside.serving(unlike, "0.0.0.0", port),
        stage.here.serving(protocol, "127.0.0.1", of_desktop),
        contextlib.ExitStack() as clients,
    ):

        def states() -> list[list[str]]:
            return [
                table.states(protocol, port),
                table.states(unlike, port),
                table.states(protocol, of_desktop, "host"),
            ]

        table.until(lambda: states() == [["active"]] * 3, "all mirrors")
        client = clients.enter_context(Client(protocol, "127.0.0.1", port))
        assert client.hears("") == "hello"
        stage.set("ignore", rules)
        table.until(lambda: states() == [["ignored"], ["active"], ["ignored"]], "the rules")
        assert client.hears("still there?") == ("still there?" if protocol == "tcp" else "")
        reasons = [
            *(row["reason"] for row in table.rows(protocol, port)),
            *(row["reason"] for row in table.rows(protocol, of_desktop, "host")),
        ]
        assert reasons == [f"ignored by the setting {rule}" for rule in rules]
        assert refuses(protocol, "127.0.0.1", port)
        assert hears(unlike, "127.0.0.1", port) == "hello"
        until(
            lambda: stage.inside.hears(protocol, "127.0.0.1", of_desktop) == "ECONNREFUSED",
            "the stub to go",
        )
        stage.set("ignore", [])
        table.until(lambda: states() == [["active"]] * 3, "all mirrors again")
        assert hears(protocol, "127.0.0.1", port) == "hello"
        assert stage.inside.hears(protocol, "127.0.0.1", of_desktop) == "hello"


@both_protocols
def test_a_remap_rule_applies_live_and_leaves_connections(
    stage: Stage, port: int, protocol: str
) -> None:
    table = stage.table
    words = "" if protocol == "tcp" else "udp:"

    def places() -> list[tuple[int, int]]:
        rows = table.rows(protocol, port)
        return [(row["machine_port"], row["host_port"]) for row in rows if row["state"] == "active"]

    with stage.inside.serving(protocol, "0.0.0.0", port, words):
        table.until(lambda: places() == [(port, port)], "the mirror")
        with Client(protocol, "127.0.0.1", port) as client:
            assert client.hears("one") == words + "one"
            before = port
            for after in (port + 1, port + 2, port):
                stage.set("remap", {} if after == port else {f"{protocol}:{port}": after})
                table.until(lambda n=after: places() == [(port, n)], "the other port")  # type: ignore[misc]
                with Client(protocol, "127.0.0.1", after) as another:
                    assert another.hears("two") == words + "two"
                assert refuses(protocol, "127.0.0.1", before)
                assert protocol == "udp" or client.hears("three") == "three"
                before = after


@both_protocols
def test_two_ports_that_are_exchanged_live_lead_to_one_anothers_servers(
    stage: Stage, port: int, protocol: str
) -> None:
    with (
        stage.inside.serving(protocol, "0.0.0.0", port, "first"),
        stage.inside.serving(protocol, "0.0.0.0", port + 1, "second"),
    ):

        def heard() -> list[str]:
            return [hears(protocol, "127.0.0.1", each) for each in (port, port + 1)]

        until(lambda: heard() == ["first", "second"], "the mirrors")
        with Client(protocol, "127.0.0.1", port) as client:
            before = client.hears("")
            stage.set("remap", {f"{protocol}:{port}": port + 1, f"{protocol}:{port + 1}": port})
            until(lambda: heard() == ["second", "first"], "the exchange")
            if protocol == "udp":
                assert before == "first"
                until(lambda: client.hears("") == "second", "the flow to be led anew")
        stage.set("remap", {})
        until(lambda: heard() == ["first", "second"], "the ports as they were")


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("ignore", "tcp:80,tcp:80-70", 'ignore[1] "tcp:80-70" ends before it begins (at "70")'),
        ("remap", '{"udp:8o": 5}', 'remap["udp:8o"] has no port from 1 to 65535 (at "8o")'),
    ],
)
def test_a_rule_that_is_none_is_pointed_at_and_changes_nothing(
    stage: Stage, key: str, value: str, words: str
) -> None:
    before = stage.samehost.run("settings", "get", key)
    done = stage.samehost.try_run("settings", "set", key, value)
    assert done.returncode == 2
    assert words in done.stderr
    assert stage.samehost.run("settings", "get", key) == before


DEFAULTS = [
    ("udp", "0.0.0.0", 67, "DHCP"),
    ("udp", "0.0.0.0", 68, "DHCP"),
    ("udp", "0.0.0.0", 123, "time service (NTP)"),
    ("udp", "127.0.0.1", 323, "control port of the time service (chrony)"),
    ("udp", "0.0.0.0", 1900, "discovery of devices (SSDP)"),
    ("udp", "0.0.0.0", 3702, "discovery of services (WS-Discovery)"),
    ("udp", "0.0.0.0", 5353, "multicast DNS"),
    ("udp", "::", 5355, "link-local name resolution (LLMNR)"),
    ("udp", "127.0.0.53", 53, "stub resolver"),
    ("tcp", "127.0.0.53", 53, "stub resolver"),
    ("tcp", "0.0.0.0", 22, "the machine's SSH port"),
]


def test_what_is_ignored_by_default_is_shown_with_the_rules_name(stage: Stage, port: int) -> None:
    table = stage.table
    with contextlib.ExitStack() as open_ones:
        for protocol, address, number, _name in DEFAULTS:
            open_ones.enter_context(stage.inside.serving(protocol, address, number))
        for protocol, _address, number, name in DEFAULTS:
            table.until(lambda p=protocol, n=number: table.rows(p, n), f"{protocol} {number}")  # type: ignore[misc]
            shown = [(row["state"], row["reason"]) for row in table.rows(protocol, number)]
            assert shown == [("ignored", f"ignored by default: {name}")]
        stage.set("remap", {"tcp:22": port, "udp:5353": port})
        for protocol, number in (("tcp", 22), ("udp", 5353)):
            table.until(lambda p=protocol, n=number: table.mirrors(p, n), "the remapped one")  # type: ignore[misc]
            assert hears(protocol, "127.0.0.1", port) == "hello"


# Conflicts.


@both_protocols
@pytest.mark.parametrize("held", ["0.0.0.0", "127.0.0.1", "this computer's own"])
def test_a_conflict_names_the_program_and_heals_within_a_second_of_its_end(
    stage: Stage, port: int, protocol: str, held: str
) -> None:
    table = stage.table
    address = stage.addresses[1] if held == "this computer's own" else held
    whose = f"python3 (pid {stage.here.pid}) on this computer has {protocol} port {port}"

    def healed_after() -> float:
        with stage.here.serving(protocol, address, port) as holder:
            with stage.inside.serving(protocol, "0.0.0.0", port, "container"):
                table.until(lambda: table.states(protocol, port) == ["conflict"], "the conflict")
                table.until(lambda: is_named(), whose)
                assert hears(protocol, address, port) == "hello"
                holder.close()
                freed = time.monotonic()
                until(lambda: hears(protocol, "127.0.0.1", port) == "container", "it to heal")
                took = time.monotonic() - freed
                table.until(lambda: table.states(protocol, port) == ["active"], "the row to heal")
        table.until(lambda: not table.rows(protocol, port), "the row to go")
        return took

    def is_named() -> bool:
        return table.rows(protocol, port)[0]["reason"].startswith(whose)  # type: ignore[no-any-return]

    # Otherwise the container could not bind what this computer holds.
    stage.set("reachHost", False)
    promptly(healed_after, SOON)


@both_protocols
def test_a_port_of_the_machines_own_daemon_is_not_mirrored_and_a_conflict_that_heals(
    stage: Stage, port: int, protocol: str
) -> None:
    table = stage.table
    command = Sandbox("sandbox", stage.samehost.paths).command(*program())
    daemon = Puppet(command, dict(os.environ))

    def healed_after() -> float:
        held = daemon.open(protocol, "0.0.0.0", port, "daemon")
        with stage.here.serving(protocol, "127.0.0.1", port, "desktop"):
            table.until(lambda: table.states(protocol, port, "host") == ["conflict"], "the row")
            (row,) = table.rows(protocol, port, "host")
            holder = f"another program on the machine has {protocol} port {port}"
            assert row["reason"] == f"{holder}: stop one of the two"
            assert table.rows(protocol, port) == []
            held.close()
            freed = time.monotonic()
            until(lambda: stage.inside.hears(protocol, "127.0.0.1", port) == "desktop", "it")
            took = time.monotonic() - freed
        table.until(lambda: not table.rows(protocol, port, "host"), "the row to go")
        return took

    try:
        promptly(healed_after, SOON)
    finally:
        daemon.end()


def notices(stage: Stage, protocol: str, port: int) -> list[str]:
    """What the daemon said of conflicts about a port."""
    lines = stage.samehost.paths.log_file.read_text().splitlines()
    return [line for line in lines if f": {protocol} port {port}: " in line]


def test_a_conflict_that_comes_and_goes_is_told_once(stage: Stage, port: int) -> None:
    table = stage.table

    def states() -> list[list[str]]:
        return [table.states(protocol, port) for protocol in PROTOCOLS]

    stage.set("reachHost", False)
    for _ in range(10):
        holders = [stage.here.open(protocol, "0.0.0.0", port, "") for protocol in PROTOCOLS]
        servers = [stage.inside.open(protocol, "0.0.0.0", port, "") for protocol in PROTOCOLS]
        table.until(lambda: states() == [["conflict"]] * 2, "the conflicts")
        for each in holders:
            each.close()
        table.until(lambda: states() == [["active"]] * 2, "them to heal")
        for each in servers:
            each.close()
        table.until(lambda: states() == [[], []], "the mirrors to go")
    for protocol in PROTOCOLS:
        assert len(notices(stage, protocol, port)) == 1


@both_protocols
@pytest.mark.parametrize("held", ["127.0.0.1", "0.0.0.0"])
def test_a_container_that_binds_a_port_of_this_computer_is_told_that_it_is_in_use(
    stage: Stage, port: int, protocol: str, held: str
) -> None:
    with stage.here.serving(protocol, held, port, "desktop"):
        stage.table.until(lambda: stage.table.mirrors(protocol, port, "host"), "the stub")
        for address, dual in (("127.0.0.1", False), ("0.0.0.0", False), ("::", True)):
            with pytest.raises(OSError, match=r"in use") as caught:
                stage.inside.open(protocol, address, port, "container", dual=dual)
            assert caught.value.errno == errno.EADDRINUSE
        assert stage.inside.hears(protocol, "127.0.0.1", port) == "desktop"


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_a_container_that_waits_for_a_port_of_this_computer_gets_it_when_it_is_free(
    stage: Stage, port: int, address: str
) -> None:
    """Twenty times for each protocol, with a container for each."""
    table = stage.table
    with stage.samehost.puppet("another") as another:
        puppets = {"tcp": stage.inside, "udp": another}
        for turn in range(10):
            words = f"container {turn}"
            holders = [stage.here.open(each, "127.0.0.1", port, "desktop") for each in PROTOCOLS]
            for protocol in PROTOCOLS:
                table.until(lambda p=protocol: table.mirrors(p, port, "host"), "the stub")  # type: ignore[misc]
            for protocol, puppet in puppets.items():
                place = {"protocol": protocol, "address": address, "port": port}
                puppet.begin("seize", words=words, **place)
            for holder in holders:
                holder.close()
            winners = [puppets[each].opened(each, address) for each in PROTOCOLS]
            for protocol, winner in zip(PROTOCOLS, winners, strict=True):
                table.until(lambda p=protocol: table.mirrors(p, port) == [address], "its mirror")  # type: ignore[misc]
                assert hears(protocol, "127.0.0.1", port) == words
                winner.close()
                table.until(lambda p=protocol: not table.rows(p, port), "the mirror to go")  # type: ignore[misc]


# No echo.

PORTS = 4
"""Ports that the random listeners share, so that they meet."""

CHANGES = 200
DUAL = "dual-stack"
ADDRESSES = ("127.0.0.1", "127.0.0.2", "::1", "0.0.0.0", "::", DUAL)


class Side:
    """One side's random listeners."""

    def __init__(self, puppet: Puppet, first: int) -> None:
        self.listeners: dict[Listener, Server] = {}
        self._puppet = puppet
        self._ports = range(first, first + PORTS)

    def change(self, chance: random.Random, number: int) -> None:
        """Close a listener, or try to open one: where something stands, the kernel forbids it."""
        if self.listeners and chance.random() < 0.4:
            self.listeners.pop(chance.choice(list(self.listeners))).close()
            return
        protocol, port = chance.choice(PROTOCOLS), chance.choice(self._ports)
        address = chance.choice(ADDRESSES)
        is_dual = address == DUAL
        bound = "::" if is_dual else address
        listener = Listener(number, protocol, bound, port, v6only=not is_dual)
        with contextlib.suppress(OSError):
            server = self._puppet.open(protocol, bound, port, "", dual=is_dual)
            self.listeners[listener] = server

    def sockets(self) -> list[Place]:
        """Where they listen, as ss(8) would say it."""
        return [
            ("*" if each.is_dual_stack else each.address, each.port, each.protocol)
            for each in self.listeners
        ]


def sockets_seen(command: list[str], first: int) -> list[Place]:
    """Where anything listens on these ports, by ss(8)."""
    seen: list[Place] = []
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for line in told.splitlines():
        protocol, _state, _received, _sent, local, *_ = line.split()
        address, _, port = local.rpartition(":")
        if first <= int(port) < first + PORTS:
            address, _, _device = address.partition("%")
            seen.append((address.strip("[]"), int(port), protocol))
    return sorted(seen)


def rows_shown(stage: Stage, first: int) -> list[tuple[Place, str, str, float]]:
    """The rows about these ports: place of the mirror, its origin, state and since when."""
    shown = []
    for row in stage.table.all():
        other = "host" if row["origin"] == "machine" else "machine"
        if first <= row["host_port"] < first + PORTS:
            place = (row[f"{other}_address"], row[f"{other}_port"], row["protocol"])
            shown.append((place, row["origin"], row["state"], row["since"]))
    return sorted(shown)


def test_after_two_hundred_changes_on_both_sides_there_is_what_the_rules_say_and_no_more(
    stage: Stage, port: int
) -> None:
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    inside, here = Side(stage.inside, port), Side(stage.here, port)
    for number in range(CHANGES):
        chance.choice((inside, here)).change(chance, number)
        # Some changes come before the one before them is known, some after.
        stage.table.pause(chance.choice((0, 0.05)))
    wishes = plan("sandbox", inside.listeners, here.listeners, Rules())
    due = sorted(
        (
            (wish.binding.address, wish.binding.port, wish.binding.protocol),
            wish.binding.origin.value,
            "active" if wish.state is State.PENDING else wish.state.value,
        )
        for wish in wishes
    )
    stage.table.until(lambda: [row[:3] for row in rows_shown(stage, port)] == due, f"seed {seed}")
    mirrors = {
        side: [place for place, origin, state in due if (origin, state) == (side, "active")]
        for side in ("machine", "host")
    }
    sandbox = Sandbox("sandbox", stage.samehost.paths)
    on_rest = rows_shown(stage, port)
    here_due = sorted(here.sockets() + mirrors["machine"])
    there_due = sorted(inside.sockets() + ([] if stage.redirects else mirrors["host"]))
    # The agent may have to close stubs yet, whose rows have gone.
    until(lambda: sockets_seen(sandbox.command(*SS), port) == there_due, f"seed {seed}")
    for _look in ("at rest", "after two more scans of this computer"):
        assert sockets_seen(SS, port) == here_due, seed
        assert sockets_seen(sandbox.command(*SS), port) == there_due, seed
        assert rows_shown(stage, port) == on_rest, seed
        with stage.here.serving("tcp", "127.0.0.1", port + PORTS):
            stage.table.until(lambda: stage.table.rows("tcp", port + PORTS, "host"), "a scan")
        stage.table.until(lambda: not stage.table.rows("tcp", port + PORTS, "host"), "a scan")
    for side in (inside, here):
        for server in side.listeners.values():
            server.close()
    stage.table.until(lambda: not rows_shown(stage, port), "all rows to go")
