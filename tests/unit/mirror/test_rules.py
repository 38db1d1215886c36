"""The table of what is mirrored where, for both origins."""

from __future__ import annotations

import ipaddress
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desktop.mirror.model import Binding, Origin, State, Target, Wish
from desktop.mirror.rules import AS_BOUND, LOCALHOST, Rules
from desktop.settings.values import parse_rule
from link.listener import Listener
from tests.unit.mirror.make import here, host_binding, in_container, machine_binding, plan

DUAL = "dual-stack"
"""Stands for `::` with IPV6_V6ONLY off."""


def listens(address: str, port: int = 8000) -> Listener:
    if address == DUAL:
        return in_container("::", port, dual=True)
    return in_container(address, port)


def listens_here(address: str, port: int = 8000) -> Listener:
    return here("::" if address == DUAL else address, port, dual=address == DUAL)


def opened(wishes: list[Wish]) -> list[tuple[str, str]]:
    """(where, dialled to) of what is to be opened."""
    return [(w.binding.address, w.target.address) for w in wishes if w.state is State.PENDING]


def states(wishes: list[Wish]) -> dict[Binding, State]:
    return {wish.binding: wish.state for wish in wishes}


@pytest.mark.parametrize(
    ("address", "port_binding", "mirrors"),
    [
        ("127.0.0.1", AS_BOUND, [("127.0.0.1", "127.0.0.1")]),
        ("127.0.0.1", LOCALHOST, [("127.0.0.1", "127.0.0.1")]),
        ("::1", AS_BOUND, [("::1", "::1")]),
        ("::1", LOCALHOST, [("::1", "::1")]),
        ("0.0.0.0", AS_BOUND, [("0.0.0.0", "127.0.0.1")]),
        ("0.0.0.0", LOCALHOST, [("127.0.0.1", "127.0.0.1")]),
        ("::", AS_BOUND, [("::", "::1")]),
        ("::", LOCALHOST, [("::1", "::1")]),
        (DUAL, AS_BOUND, [("0.0.0.0", "127.0.0.1"), ("::", "::1")]),
        (DUAL, LOCALHOST, [("127.0.0.1", "127.0.0.1"), ("::1", "::1")]),
        ("127.4.5.6", AS_BOUND, [("127.4.5.6", "127.4.5.6")]),
        ("127.4.5.6", LOCALHOST, [("127.4.5.6", "127.4.5.6")]),
    ],
)
def test_a_containers_listener_is_mirrored_on_this_computer(
    address: str, port_binding: str, mirrors: list[tuple[str, str]]
) -> None:
    wishes = plan([listens(address)], [], Rules(port_binding))
    assert opened(wishes) == mirrors
    assert len(wishes) == len(mirrors)
    assert {wish.binding.origin for wish in wishes} == {Origin.MACHINE}
    assert {wish.target.port for wish in wishes} == {8000}


@pytest.mark.parametrize("address", ["10.213.0.2", "172.17.0.1", "fe80::1%eth0", "fd00::2"])
def test_a_listener_on_an_address_of_the_machine_is_ignored_and_says_so(address: str) -> None:
    (wish,) = plan([listens(address)], [], Rules())
    assert wish.state is State.IGNORED
    assert address in wish.reason
    assert wish.binding == machine_binding(address, 8000)


@pytest.mark.parametrize(
    ("address", "mirrors"),
    [
        ("127.0.0.1", [("127.0.0.1", "127.0.0.1")]),
        ("::1", [("::1", "::1")]),
        ("0.0.0.0", [("127.0.0.1", "127.0.0.1")]),
        ("::", [("::1", "::1")]),
        (DUAL, [("127.0.0.1", "127.0.0.1"), ("::1", "::1")]),
        ("127.4.5.6", []),
        ("192.168.1.7", []),
        ("fe80::1%eth0", []),
    ],
)
@pytest.mark.parametrize("port_binding", [AS_BOUND, LOCALHOST])
def test_this_computers_listener_is_mirrored_on_the_machines_loopback_only(
    address: str, port_binding: str, mirrors: list[tuple[str, str]]
) -> None:
    wishes = plan([], [listens_here(address)], Rules(port_binding))
    assert opened(wishes) == mirrors
    assert len(wishes) == len(mirrors)
    assert {wish.binding.origin for wish in wishes} <= {Origin.HOST}


def test_without_reach_host_nothing_of_this_computer_is_mirrored() -> None:
    assert plan([], [listens_here("0.0.0.0")], Rules(reach_host=False)) == []


def test_several_listeners_of_one_binding_are_one_wish_of_the_lowest_id() -> None:
    crowd = [in_container("0.0.0.0", 80, cookie=number) for number in (9, 4, 7)]
    (wish,) = plan(crowd, [], Rules())
    assert wish.listener.id == 4


def test_ipv4_and_ipv6_listeners_of_one_port_have_a_mirror_each() -> None:
    wishes = plan([listens("0.0.0.0"), listens("::")], [], Rules())
    assert opened(wishes) == [("0.0.0.0", "127.0.0.1"), ("::", "::1")]


def test_on_localhost_wildcard_and_loopback_of_one_port_are_one_mirror() -> None:
    wishes = plan([listens("0.0.0.0"), listens("127.0.0.1")], [], Rules(LOCALHOST))
    assert opened(wishes) == [("127.0.0.1", "127.0.0.1")]
    assert len(wishes) == 1


@pytest.mark.parametrize("wide", [1, 2])
def test_of_wildcard_and_loopback_with_one_mirror_the_one_that_gets_the_flows_is_shown(
    wide: int,
) -> None:
    there = [
        in_container("0.0.0.0", 80, cookie=wide),
        in_container("127.0.0.1", 80, cookie=3 - wide),
    ]
    (wish,) = plan(there, [], Rules(LOCALHOST))
    assert wish.listener.address == "127.0.0.1"


def test_a_wildcards_mirror_stands_for_the_same_ports_other_loopback_listener() -> None:
    wishes = plan([listens("127.4.5.6"), listens("0.0.0.0")], [], Rules())
    assert states(wishes) == {
        machine_binding("0.0.0.0", 8000): State.PENDING,
        machine_binding("127.4.5.6", 8000): State.IGNORED,
    }
    (covered,) = [wish for wish in wishes if wish.state is State.IGNORED]
    assert "0.0.0.0" in covered.reason


@pytest.mark.parametrize(
    ("wide", "narrow", "shut"),
    [
        ("0.0.0.0", "127.0.0.1", "0.0.0.0"),
        ("::", "::1", "::"),
        (DUAL, "127.0.0.1", "0.0.0.0"),
        (DUAL, "::1", "::"),
    ],
)
def test_a_wildcard_whose_flows_a_loopback_listener_would_get_is_not_open_to_the_network(
    wide: str, narrow: str, shut: str
) -> None:
    wishes = plan([listens(wide), listens(narrow)], [], Rules())
    assert (narrow, narrow) in opened(wishes)
    (closed,) = [wish for wish in wishes if wish.state is State.IGNORED]
    assert closed.binding.address == shut
    assert closed.reason.startswith(f"container web on the machine has tcp port 8000 on {narrow} ")
    assert not [wish for wish in wishes if wish.state is State.CONFLICT]


def test_beside_a_wildcard_that_is_not_open_every_loopback_listener_has_a_mirror() -> None:
    wishes = plan([listens("127.4.5.6"), listens("0.0.0.0"), listens("127.0.0.1")], [], Rules())
    assert opened(wishes) == [("127.0.0.1", "127.0.0.1"), ("127.4.5.6", "127.4.5.6")]


def test_a_wildcard_of_the_other_family_leaves_a_loopback_listener_alone() -> None:
    wishes = plan([listens("127.0.0.1"), listens("::")], [], Rules())
    assert opened(wishes) == [("127.0.0.1", "127.0.0.1"), ("::", "::1")]


def test_a_listener_in_conflict_does_not_keep_another_of_its_binding_from_being_mirrored() -> None:
    dual, single = listens(DUAL), listens("0.0.0.0")
    wishes = plan([dual, single], [listens_here("::1")], Rules(reach_host=False))
    assert states(wishes) == {
        machine_binding("0.0.0.0", 8000): State.PENDING,
        machine_binding("::", 8000): State.CONFLICT,
    }
    assert wishes[0].listener == single


# Ports that are held on both sides.


@pytest.mark.parametrize(
    ("inside", "outside"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.1"),
        ("127.0.0.1", "0.0.0.0"),
        ("0.0.0.0", "0.0.0.0"),
        ("::1", "::1"),
        ("::1", "::"),
        ("::", DUAL),
        (DUAL, "127.0.0.1"),
        (DUAL, "::1"),
        (DUAL, DUAL),
        ("0.0.0.0", DUAL),
    ],
)
@pytest.mark.parametrize("port_binding", [AS_BOUND, LOCALHOST])
def test_a_port_held_on_both_sides_is_a_conflict_in_every_row(
    inside: str, outside: str, port_binding: str
) -> None:
    wishes = plan([listens(inside)], [listens_here(outside)], Rules(port_binding))
    assert {wish.state for wish in wishes} == {State.CONFLICT}
    reasons = {wish.binding.origin: wish.reason for wish in wishes}
    assert "nginx (pid 77) on this computer has tcp port 8000" in reasons[Origin.MACHINE]
    assert "container web on the machine has tcp port 8000" in reasons[Origin.HOST]


@pytest.mark.parametrize(
    ("inside", "outside"),
    [
        ("0.0.0.0", "::1"),
        ("::", "127.0.0.1"),
        ("127.0.0.1", "::"),
        ("127.4.5.6", "127.0.0.1"),
        ("10.213.0.2", "0.0.0.0"),
    ],
)
def test_listeners_that_do_not_overlap_are_both_mirrored(inside: str, outside: str) -> None:
    wishes = plan([listens(inside)], [listens_here(outside)], Rules())
    assert not [wish for wish in wishes if wish.state is State.CONFLICT]
    assert [wish for wish in wishes if wish.binding.origin is Origin.HOST]


def test_a_listener_of_this_computer_on_an_outer_address_is_left_to_the_kernel_to_judge() -> None:
    wishes = plan([listens("0.0.0.0")], [listens_here("192.168.1.7")], Rules())
    assert opened(wishes) == [("0.0.0.0", "127.0.0.1")]


def test_another_loopback_address_here_blocks_a_wildcard_but_not_localhost() -> None:
    inside, outside = [listens("0.0.0.0")], [listens_here("127.4.5.6")]
    assert opened(plan(inside, outside, Rules(AS_BOUND))) == []
    assert opened(plan(inside, outside, Rules(LOCALHOST))) == [("127.0.0.1", "127.0.0.1")]


def test_without_reach_host_a_port_held_here_is_still_a_conflict() -> None:
    (wish,) = plan([listens("0.0.0.0")], [listens_here("0.0.0.0")], Rules(reach_host=False))
    assert wish.state is State.CONFLICT


def test_tcp_and_udp_of_one_number_are_independent() -> None:
    wishes = plan([in_container("0.0.0.0", 80, protocol="udp")], [here("0.0.0.0", 80)], Rules())
    assert {wish.state for wish in wishes} == {State.PENDING}
    assert {wish.binding.protocol for wish in wishes} == {"tcp", "udp"}


def test_an_ignored_listener_still_holds_its_port() -> None:
    rules = Rules(ignore=(parse_rule("machine:tcp:8000"),))
    wishes = plan([listens("0.0.0.0")], [listens_here("127.0.0.1")], rules)
    assert states(wishes) == {
        machine_binding("0.0.0.0", 8000): State.IGNORED,
        host_binding("127.0.0.1", 8000): State.CONFLICT,
    }


@pytest.mark.parametrize("port", [5000, 7000])
def test_airplay_is_named_where_it_is_the_culprit(port: int) -> None:
    airplay = here("0.0.0.0", port, process="ControlCe")
    (wish,) = plan([in_container("0.0.0.0", port)], [airplay], Rules(reach_host=False))
    assert "AirPlay" in wish.reason
    other = here("0.0.0.0", port, process="python3")
    (wish,) = plan([in_container("0.0.0.0", port)], [other], Rules(reach_host=False))
    assert "AirPlay" not in wish.reason


def test_a_holder_whose_name_may_not_be_seen_is_another_program() -> None:
    unseen = Listener(1, "tcp", "0.0.0.0", 8000)
    (wish,) = plan([listens("0.0.0.0")], [unseen], Rules(reach_host=False))
    assert wish.reason.startswith("another program on this computer has tcp port 8000")


# Rules that leave a listener alone.


@pytest.mark.parametrize(
    ("protocol", "address", "port", "name"),
    [
        ("udp", "0.0.0.0", 67, "DHCP"),
        ("udp", "0.0.0.0", 68, "DHCP"),
        ("udp", "0.0.0.0", 123, "NTP"),
        ("udp", "127.0.0.1", 323, "chrony"),
        ("udp", "0.0.0.0", 1900, "SSDP"),
        ("udp", "0.0.0.0", 3702, "WS-Discovery"),
        ("udp", "0.0.0.0", 5353, "multicast DNS"),
        ("udp", "::", 5355, "LLMNR"),
        ("tcp", "127.0.0.53", 53, "stub resolver"),
        ("udp", "127.0.0.53", 53, "stub resolver"),
        ("tcp", "127.0.0.54", 53, "stub resolver"),
        ("tcp", "0.0.0.0", 22, "SSH"),
        ("tcp", "0.0.0.0", 7777, "Samehost's own port"),
    ],
)
def test_ports_of_the_machines_plumbing_are_ignored_by_name(
    protocol: str, address: str, port: int, name: str
) -> None:
    rules = Rules(own_ports=frozenset({("tcp", 7777)}))
    (wish,) = plan([in_container(address, port, protocol=protocol)], [], rules)
    assert wish.state is State.IGNORED
    assert name in wish.reason


@pytest.mark.parametrize(
    ("protocol", "address", "port"),
    [
        ("tcp", "0.0.0.0", 67),
        ("tcp", "0.0.0.0", 5353),
        ("tcp", "0.0.0.0", 53),
        ("udp", "0.0.0.0", 53),
        ("tcp", "127.0.0.1", 53),
        ("tcp", "127.0.0.53", 54),
        ("udp", "0.0.0.0", 22),
        ("udp", "0.0.0.0", 7777),
    ],
)
def test_ports_beside_the_plumbing_are_mirrored(protocol: str, address: str, port: int) -> None:
    rules = Rules(own_ports=frozenset({("tcp", 7777)}))
    (wish,) = plan([in_container(address, port, protocol=protocol)], [], rules)
    assert wish.state is State.PENDING


@pytest.mark.parametrize(
    ("address", "port", "state"),
    [
        ("127.0.0.1", 53, State.IGNORED),
        ("::1", 53, State.IGNORED),
        ("0.0.0.0", 53, State.PENDING),
        ("0.0.0.0", 22, State.PENDING),
        ("0.0.0.0", 7777, State.PENDING),
    ],
)
def test_of_this_computer_only_its_own_resolver_is_ignored(
    address: str, port: int, state: State
) -> None:
    rules = Rules(own_ports=frozenset({("tcp", 7777)}))
    (wish,) = plan([], [here(address, port)], rules)
    assert wish.state is state


def test_the_users_rule_is_named() -> None:
    rules = Rules(ignore=(parse_rule("tcp:7990-8010"),))
    for wishes in (plan([listens("0.0.0.0")], [], rules), plan([], [listens_here("::1")], rules)):
        (wish,) = wishes
        assert wish.state is State.IGNORED
        assert "tcp:7990-8010" in wish.reason


def test_a_rule_for_one_origin_leaves_the_other_alone() -> None:
    rules = Rules(ignore=(parse_rule("host:tcp:8000"),))
    assert opened(plan([listens("0.0.0.0")], [], rules)) == [("0.0.0.0", "127.0.0.1")]
    assert opened(plan([], [listens_here("0.0.0.0")], rules)) == []


# Ports that are moved.


def test_remap_moves_the_mirror_and_not_the_target() -> None:
    (wish,) = plan([listens("0.0.0.0")], [], Rules(remap={("tcp", 8000): 18000}))
    assert wish.binding == machine_binding("0.0.0.0", 18000)
    assert wish.target == Target("127.0.0.1", 8000)


def test_remap_is_for_the_machines_ports_only() -> None:
    (wish,) = plan([], [listens_here("0.0.0.0")], Rules(remap={("tcp", 8000): 18000}))
    assert wish.binding == host_binding("127.0.0.1", 8000)


def test_remap_heals_the_machines_row_of_a_port_held_on_both_sides() -> None:
    rules = Rules(remap={("tcp", 8000): 18000})
    assert states(plan([listens("0.0.0.0")], [listens_here("0.0.0.0")], rules)) == {
        machine_binding("0.0.0.0", 18000): State.PENDING,
        host_binding("127.0.0.1", 8000): State.CONFLICT,
    }


def test_a_port_remapped_onto_one_held_here_is_a_conflict() -> None:
    rules = Rules(remap={("tcp", 8000): 18000})
    assert states(plan([listens("0.0.0.0")], [listens_here("0.0.0.0", 18000)], rules)) == {
        machine_binding("0.0.0.0", 18000): State.CONFLICT,
        host_binding("127.0.0.1", 18000): State.PENDING,
    }


def test_a_port_that_the_user_remaps_is_wanted_in_spite_of_the_default_rules() -> None:
    (wish,) = plan([listens("0.0.0.0", 22)], [], Rules(remap={("tcp", 22): 2222}))
    assert wish.state is State.PENDING


@pytest.mark.parametrize(
    ("low", "high"), [("0.0.0.0", "0.0.0.0"), ("0.0.0.0", "127.0.0.1"), ("127.0.0.1", "0.0.0.0")]
)
def test_of_two_ports_remapped_onto_one_the_lower_stays(low: str, high: str) -> None:
    wishes = plan(
        [listens(high, 18000), listens(low, 8000)], [], Rules(remap={("tcp", 8000): 18000})
    )
    stays, loses = sorted(wishes, key=lambda wish: wish.listener.port)
    assert (stays.state, stays.target.port) == (State.PENDING, 8000)
    assert (loses.state, loses.binding.port) == (State.CONFLICT, 18000)
    assert "tcp port 8000 of the machine" in loses.reason
    assert stays.binding != loses.binding
    assert stays.binding.claimant == 0


# All at once.

ADDRESSES = ("127.0.0.1", "127.4.5.6", "::1", "0.0.0.0", "::", DUAL, "10.0.0.9", "fd00::2")


@st.composite
def populations(draw: st.DrawFn) -> list[Listener]:
    """Listeners of one side: few ports, so that they meet."""
    places = draw(
        st.lists(st.tuples(st.sampled_from(ADDRESSES), st.sampled_from([22, 53, 80, 81])))
    )
    return [
        Listener(number, "tcp", "::" if address == DUAL else address, port, v6only=address != DUAL)
        for number, (address, port) in enumerate(places)
    ]


RULES = st.builds(
    Rules,
    port_binding=st.sampled_from([AS_BOUND, LOCALHOST]),
    reach_host=st.booleans(),
    ignore=st.sampled_from([(), (parse_rule("tcp:80"),)]),
    remap=st.dictionaries(
        st.sampled_from([("tcp", 22), ("tcp", 80), ("tcp", 81)]), st.sampled_from([80, 81, 82])
    ),
)


@settings(deadline=None)
@given(populations(), populations(), RULES)
def test_whatever_listens_the_plan_can_be_carried_out(
    machine: list[Listener], host: list[Listener], rules: Rules
) -> None:
    wishes = plan(machine, host, rules)
    bindings = [wish.binding for wish in wishes]
    assert len(set(bindings)) == len(bindings)
    assert plan(reversed(machine), reversed(host), rules) == wishes
    to_open = [wish for wish in wishes if wish.state is State.PENDING]
    for wish in to_open:
        assert ipaddress.ip_address(wish.target.address).is_loopback
        assert wish.binding.claimant == 0
        assert wish.reason == ""
        if wish.binding.origin is Origin.HOST:
            assert wish.binding.address in ("127.0.0.1", "::1")
    for one, other in itertools.combinations(to_open, 2):
        assert not meet(one.binding, other.binding)
    assert all(wish.reason for wish in wishes if wish.state is not State.PENDING)
    shown = {wish.listener.port for wish in wishes if wish.binding.origin is Origin.MACHINE}
    assert shown == {listener.port for listener in machine}


def meet(one: Binding, other: Binding) -> bool:
    """True if the second could not be opened beside the first."""
    if (one.origin, one.protocol, one.port) != (other.origin, other.protocol, other.port):
        return False
    first, second = ipaddress.ip_address(one.address), ipaddress.ip_address(other.address)
    if first.version != second.version:
        return False
    return first == second or first.is_unspecified or second.is_unspecified


@pytest.mark.parametrize("address", ["224.0.0.251", "ff02::fb"])
def test_a_listener_to_a_multicast_group_is_ignored_and_says_so(address: str) -> None:
    (wish,) = plan([Listener(1, "udp", address, 6000)], [], Rules())
    assert wish.state is State.IGNORED
    assert "multicast group" in wish.reason


@pytest.mark.parametrize("address", ["127.255.255.255", "255.255.255.255"])
def test_a_listener_to_broadcasts_is_ignored_and_says_so(address: str) -> None:
    (wish,) = plan([Listener(1, "udp", address, 6000)], [], Rules())
    assert wish.state is State.IGNORED
    assert f"broadcasts, at {address}," in wish.reason


@pytest.mark.parametrize("address", ["0.0.0.3", "::3"])
def test_a_listener_to_one_interface_of_the_machine_is_ignored_and_says_so(address: str) -> None:
    (wish,) = plan([listens(address)], [], Rules())
    assert wish.state is State.IGNORED
    assert "one network interface" in wish.reason


@pytest.mark.parametrize("address", ["0.0.0.3", "::3"])
def test_a_listener_to_one_interface_of_this_computer_is_not_mirrored(address: str) -> None:
    assert plan([], [listens_here(address)], Rules()) == []
