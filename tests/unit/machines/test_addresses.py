"""Which addresses a sandbox takes: never ones that clash."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desktop.errors import UsageError
from desktop.machines.sandbox.addresses import (
    choose,
    parse_pools,
    taken_networks,
)
from desktop.settings.values import DEFAULT_SANDBOX_NETWORK


def networks(*texts: str) -> list[IPv4Network]:
    return [IPv4Network(text) for text in texts]


@pytest.mark.parametrize(
    ("pools", "taken", "machine"),
    [
        (["10.213.0.0/16"], [], "10.213.0.2"),
        (["10.213.0.0/16"], ["192.0.2.0/24"], "10.213.0.2"),
        (["10.213.0.0/16"], ["10.213.0.0/30"], "10.213.0.6"),
        (["10.213.0.0/16"], ["10.213.0.3/32"], "10.213.0.6"),
        (["10.213.0.0/16"], ["10.213.0.4/30", "10.213.0.0/30"], "10.213.0.10"),
        (["10.213.0.0/16"], ["10.213.0.5/32", "10.213.0.0/30"], "10.213.0.10"),
        (["10.213.0.0/16"], ["10.213.0.0/17"], "10.213.128.2"),
        (["10.213.0.0/16", "172.29.0.0/16"], ["10.0.0.0/8"], "172.29.0.2"),
        (["10.213.0.0/30"], ["10.213.0.0/30"], None),
        (["10.213.0.0/24"], ["10.0.0.0/8"], None),
    ],
)
def test_the_first_pair_that_overlaps_with_nothing_is_chosen(
    pools: list[str], taken: list[str], machine: str | None
) -> None:
    pair = choose(networks(*pools), networks(*taken))
    assert (pair.machine if pair else None) == machine


@st.composite
def inside_pool(draw: st.DrawFn) -> IPv4Network:
    """A network that overlaps with 10.213.0.0/24."""
    prefix = draw(st.integers(20, 32))
    address = int(IPv4Network("10.213.0.0/24")[0]) + draw(st.integers(0, 255))
    return IPv4Network((address, prefix), strict=False)


@given(st.lists(inside_pool(), max_size=80))
def test_a_choice_is_free_and_none_is_given_up_while_there_is_one(taken: list[IPv4Network]) -> None:
    pool = IPv4Network("10.213.0.0/24")
    free = [
        pair
        for pair in pool.subnets(new_prefix=30)
        if not any(pair.overlaps(network) for network in taken)
    ]
    chosen = choose([pool], taken)
    assert (chosen.network if chosen else None) == (free[0] if free else None)


def test_the_ends_of_the_cable_are_the_two_usable_addresses() -> None:
    pair = choose(networks("10.213.0.8/29"), [])
    assert pair is not None
    assert (pair.host, pair.machine) == ("10.213.0.9", "10.213.0.10")


ADDRESSES: list[dict[str, Any]] = [
    {"ifname": "lo", "addr_info": [{"family": "inet", "local": "127.0.0.1", "prefixlen": 8}]},
    {
        "ifname": "ppp0",
        "addr_info": [
            {"family": "inet", "local": "10.9.0.1", "address": "10.8.0.1", "prefixlen": 32},
            {"family": "inet6", "local": "fd00::1", "prefixlen": 64},
        ],
    },
    {},
]
ROUTES: list[dict[str, Any]] = [
    {"dst": "default", "gateway": "192.0.2.1", "dev": "eth0"},
    {"dst": "0.0.0.0/1", "dev": "tun0"},
    {"dst": "128.0.0.0/1", "dev": "tun0"},
    {"dst": "10.1.0.0/16", "dev": "tun0"},
    {"type": "local", "dst": "10.2.0.1", "dev": "eth1"},
]


def test_addresses_their_peers_and_routes_are_taken_but_default_routes_are_not() -> None:
    assert set(taken_networks(ADDRESSES, ROUTES)) == set(
        networks("127.0.0.0/8", "10.9.0.1/32", "10.8.0.1/32", "10.1.0.0/16", "10.2.0.1/32")
    )


def test_a_vpn_that_takes_all_traffic_leaves_a_pair() -> None:
    assert choose(parse_pools(DEFAULT_SANDBOX_NETWORK), taken_networks([], ROUTES)) is not None


@pytest.mark.parametrize(
    "text", ["", "x", "10.0.0.1/16", "fd00::/64", "10.0.0.0/31", "10.0.0.0/8,"]
)
def test_what_is_no_range_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError):
        parse_pools(text)
