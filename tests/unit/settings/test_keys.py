"""The table of settings: what is a good value, and what is said of a bad one."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desktop.errors import UsageError
from desktop.settings.keys import KEYS, find_key, parse_text
from desktop.settings.values import PortRule, Settings, parse_rule


def test_the_keys_are_those_of_the_documentation() -> None:
    assert {name: key.default for name, key in KEYS.items()} == {
        "hostNetworkingEnabled": False,
        "machine": None,
        "alsoAttach": [],
        "reachHost": True,
        "portBinding": "as-bound",
        "ignore": [],
        "remap": {},
        "udpIdleSeconds": 90,
        "maxUdpFlows": 1024,
        "udpPath": "auto",
        "ebpf": "auto",
        "enhancedContainerIsolation": False,
        "sandboxNetwork": "10.213.0.0/16,172.29.0.0/16,192.168.213.0/24",
    }


def test_every_default_is_a_good_value() -> None:
    for key in KEYS.values():
        key.check(key.default)


def test_the_typed_defaults_are_those_of_the_table() -> None:
    defaults = {name: key.default for name, key in KEYS.items()}
    assert Settings.from_values(defaults) == Settings()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("machine", "sandbox"),
        ("machine", None),
        ("alsoAttach", ["sandbox-b", "lima-default"]),
        ("portBinding", "localhost"),
        ("ignore", ["udp:5353", "tcp:7000-7010", "machine:tcp:22", "host:udp:1-65535"]),
        ("remap", {"tcp:8000": 18000, "udp:8000": 18000}),
        ("udpIdleSeconds", 1),
        ("maxUdpFlows", 65536),
        ("udpPath", "portable"),
        ("ebpf", "off"),
        ("sandboxNetwork", "192.168.7.4/30"),
        ("sandboxNetwork", "10.213.0.0/16, 172.29.0.0/16"),
    ],
)
def test_a_good_value_passes(key: str, value: object) -> None:
    assert KEYS[key].problem(value) is None


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("hostNetworkingEnabled", 1, "hostNetworkingEnabled is 1, not true or false"),
        ("reachHost", "yes", 'reachHost is "yes", not true or false'),
        ("machine", 3, "machine is 3, not a name"),
        ("machine", "", 'machine is "", which cannot be a name'),
        ("machine", "../../etc", 'machine is "../../etc", which cannot be a name'),
        ("machine", "a\x1b[2J", 'machine is "a\\u001b[2J", which cannot be a name'),
        ("portBinding", "0.0.0.0", 'portBinding is "0.0.0.0", which is no choice'),
        ("portBinding", ["localhost"], 'portBinding is ["localhost"], which is no choice'),
        ("ignore", "tcp:80", 'ignore is "tcp:80", not a list'),
        ("ignore", ["tcp:80", 22], "ignore[1] is 22, not text"),
        (
            "ignore",
            ["tcp:80", "tcp:80-70"],
            'ignore[1] "tcp:80-70" ends before it begins (at "70")',
        ),
        (
            "ignore",
            ["tcp:99999"],
            'ignore[0] "tcp:99999" has no port from 1 to 65535 (at "99999")',
        ),
        ("ignore", ["tcp:1-0"], 'ignore[0] "tcp:1-0" has no port from 1 to 65535 (at "0")'),
        ("ignore", ["tcp:8o-90"], 'ignore[0] "tcp:8o-90" has no port from 1 to 65535 (at "8o")'),
        ("ignore", ["udp:53-"], 'ignore[0] "udp:53-" has no port from 1 to 65535 (at "")'),
        (
            "ignore",
            ["tcp:\u0661"],
            'ignore[0] "tcp:\\u0661" has no port from 1 to 65535 (at "\\u0661")',
        ),
        (
            "ignore",
            ["sctp:1"],
            'ignore[0] "sctp:1" names no protocol, which is tcp or udp (at "sctp")',
        ),
        (
            "ignore",
            ["machine:22"],
            'ignore[0] "machine:22" names no protocol, which is tcp or udp (at "machine")',
        ),
        (
            "ignore",
            ["desktop:tcp:22"],
            'ignore[0] "desktop:tcp:22" names no side, which is machine or host (at "desktop")',
        ),
        (
            "ignore",
            ["host:tcp:22:23"],
            'ignore[0] "host:tcp:22:23" is not of the form [machine:|host:]tcp|udp:PORT[-PORT]',
        ),
        ("ignore", ["tcp:1"] * 1001, "ignore has 1001 rules, more than 1000"),
        ("remap", [], "remap is [], not an object"),
        ("remap", {"8000": 1}, 'remap["8000"] is not of the form tcp|udp:PORT'),
        ("remap", {"tcp:0": 1}, 'remap["tcp:0"] has no port from 1 to 65535 (at "0")'),
        ("remap", {"tcp:80-90": 1}, 'remap["tcp:80-90"] has no port from 1 to 65535 (at "80-90")'),
        ("remap", {"ip:1": 1}, 'remap["ip:1"] names no protocol, which is tcp or udp (at "ip")'),
        ("remap", {"tcp:1": "2"}, 'remap["tcp:1"] is "2", not a whole number'),
        ("remap", {"tcp:1": 70000}, 'remap["tcp:1"] is 70000, not between 1 and 65535'),
        (
            "remap",
            {"tcp:1": 9, "tcp:2": 9},
            'remap["tcp:2"] leads to the same port as "tcp:1"',
        ),
        ("remap", {"tcp:1": 9, "tcp:01": 8}, 'remap["tcp:01"] names the same port as "tcp:1"'),
        ("udpIdleSeconds", True, "udpIdleSeconds is true, not a whole number"),
        ("udpIdleSeconds", 1.5, "udpIdleSeconds is 1.5, not a whole number"),
        ("maxUdpFlows", 0, "maxUdpFlows is 0, not between 1 and 65536"),
        ("udpPath", "linux", 'udpPath is "linux", which is no choice'),
        ("ebpf", True, "ebpf is true, which is no choice"),
        ("alsoAttach", "sandbox-b", 'alsoAttach is "sandbox-b", not a list'),
        ("alsoAttach", [None], "alsoAttach[0] is null, not a name"),
        ("alsoAttach", ["a", "b", "a"], 'alsoAttach[2] "a" is there twice'),
        ("alsoAttach", ["a", "b/c"], 'alsoAttach[1] is "b/c", which cannot be a name'),
        ("alsoAttach", [str(n) for n in range(17)], "alsoAttach has 17 names, more than 16"),
        ("sandboxNetwork", 10, "sandboxNetwork is 10, not text"),
        ("sandboxNetwork", "8.8.8.0/24", 'sandboxNetwork "8.8.8.0/24" is not a private network'),
        ("sandboxNetwork", "127.0.0.0/8", 'sandboxNetwork "127.0.0.0/8" is not a private network'),
        ("sandboxNetwork", "10.0.0.0/31", 'sandboxNetwork "10.0.0.0/31" has no room for a /30'),
        (
            "sandboxNetwork",
            "10.0.0.0",
            'sandboxNetwork "10.0.0.0" is not a network in CIDR notation',
        ),
        (
            "sandboxNetwork",
            "10.0.0.1/16",
            'sandboxNetwork "10.0.0.1/16" is not a network: 10.0.0.1/16 has host bits set',
        ),
        ("sandboxNetwork", "", 'sandboxNetwork "" is not a network in CIDR notation'),
    ],
)
def test_a_bad_value_is_pointed_at(key: str, value: object, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        KEYS[key].check(value)
    assert caught.value.message == message
    assert caught.value.remedy == f"expected {KEYS[key].form}"


def test_an_unknown_key_is_an_error_that_lists_the_known_ones() -> None:
    with pytest.raises(UsageError) as caught:
        find_key("hostNetworking")
    assert caught.value.message == 'there is no setting "hostNetworking"'
    assert "hostNetworkingEnabled" in caught.value.remedy


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(st.sampled_from(sorted(KEYS)), JSON)
def test_every_json_value_is_good_or_a_usage_error(name: str, value: object) -> None:
    problem = KEYS[name].problem(value)
    if problem is not None:
        with pytest.raises(UsageError, match=name):
            KEYS[name].check(value)
        return
    defaults = {each: key.default for each, key in KEYS.items()}
    assert isinstance(Settings.from_values({**defaults, name: value}), Settings)


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("hostNetworkingEnabled", "true", True),
        ("machine", "sandbox", "sandbox"),
        ("machine", '"sandbox"', "sandbox"),
        ("machine", "null", None),
        ("machine", "7", "7"),
        ("portBinding", "localhost", "localhost"),
        ("ignore", "tcp:80, udp:5353", ["tcp:80", "udp:5353"]),
        ("ignore", '["tcp:80"]', ["tcp:80"]),
        ("ignore", "", []),
        ("remap", '{"tcp:8000": 18000}', {"tcp:8000": 18000}),
        ("udpIdleSeconds", "30", 30),
        ("sandboxNetwork", "10.9.0.0/16", "10.9.0.0/16"),
    ],
)
def test_a_typed_value_is_json_or_plain_text(key: str, text: str, value: object) -> None:
    assert parse_text(key, text) == value


@pytest.mark.parametrize(
    ("key", "text", "message"),
    [
        ("hostNetworkingEnabled", "on", 'hostNetworkingEnabled is "on", not true or false'),
        ("udpIdleSeconds", "ten", 'udpIdleSeconds is "ten", not a whole number'),
        ("udpIdleSeconds", "0", "udpIdleSeconds is 0, not between 1 and 86400"),
        ("udpIdleSeconds", "1.5", "udpIdleSeconds is 1.5, not a whole number"),
        ("portBinding", "5", "portBinding is 5, which is no choice"),
        ("ignore", '["tcp:80", 5]', "ignore[1] is 5, not text"),
        (
            "ignore",
            "tcp:80,5",
            'ignore[1] "5" is not of the form [machine:|host:]tcp|udp:PORT[-PORT]',
        ),
        ("remap", "tcp:8000=18000", 'remap is "tcp:8000=18000", not an object'),
        ("remap", '{"tcp:80": 81, "tcp:80": 82}', 'remap has "tcp:80" twice'),
        ("remap", '{{"{name}": 1, "{name}": 1}}'.format(name="x" * 1000), None),
        ("machine", "[" * 100_000, None),
        ("ignore", "tcp:" + "9" * 100_000, None),
    ],
)
def test_a_typed_value_of_the_wrong_type_is_a_usage_error(
    key: str, text: str, message: str | None
) -> None:
    with pytest.raises(UsageError) as caught:
        parse_text(key, text)
    assert message in (None, caught.value.message)
    assert len(caught.value.message) < 300


@given(
    st.sampled_from(["machine", "host", None]),
    st.sampled_from(["tcp", "udp"]),
    st.integers(1, 65535),
    st.integers(1, 65535),
)
def test_a_rule_comes_out_as_it_went_in(
    origin: str | None, protocol: str, one: int, other: int
) -> None:
    rule = PortRule(origin, protocol, min(one, other), max(one, other))
    assert parse_rule(str(rule)) == rule


@pytest.mark.parametrize(
    ("text", "origin", "protocol", "port", "matches"),
    [
        ("tcp:80", "machine", "tcp", 80, True),
        ("tcp:80", "host", "tcp", 80, True),
        ("tcp:80", "host", "udp", 80, False),
        ("tcp:80", "host", "tcp", 81, False),
        ("machine:tcp:22", "machine", "tcp", 22, True),
        ("machine:tcp:22", "host", "tcp", 22, False),
        ("udp:10-20", "host", "udp", 10, True),
        ("udp:10-20", "host", "udp", 20, True),
        ("udp:10-20", "host", "udp", 21, False),
    ],
)
def test_a_rule_matches_what_it_names(
    text: str, origin: str, protocol: str, port: int, matches: bool
) -> None:
    assert parse_rule(text).matches(origin, protocol, port) is matches


def test_the_remap_is_keyed_by_protocol_and_port_and_cannot_change() -> None:
    values = {name: key.default for name, key in KEYS.items()}
    settings = Settings.from_values({**values, "remap": json.loads('{"tcp:8000": 18000}')})
    assert dict(settings.remap) == {("tcp", 8000): 18000}
    with pytest.raises(TypeError):
        settings.remap["tcp", 1] = 2  # type: ignore[index]
