"""The control vocabulary: every message survives the wire, and no bad field gets past it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from link.labels import ALL_LETTERS, VALUE_LETTERS, bounded_labels
from link.listener import Container, Listener
from link.messages import (
    MAX_CONTAINERS,
    MAX_LISTENERS,
    Beat,
    Bye,
    Condition,
    Counts,
    Delta,
    EngineState,
    Inquiry,
    Message,
    Resync,
    Snapshot,
    StubKey,
    StubResult,
    StubResults,
    Stubs,
    Trial,
    TrialEnd,
    TrialOpened,
    TrialResults,
    Wanted,
    Watching,
    Welcome,
    decode,
    encode,
    in_parts,
)
from link.wire import MAX_MESSAGE, WireError, encode_frame

WEB = Listener(
    7,
    "tcp",
    "0.0.0.0",
    80,
    inode=9,
    container=Container("ab", "", "docker"),
    process="nginx",
    pid=5,
)
CONTAINER = Container("ab", "web", "docker", "nginx:1", (("note", "a\n\x1b[31m"), ("tier", "é")))
EVERY: list[Message] = [
    Welcome("0.1.0", "3.9.2", "6.1", "vm", "sock_diag"),
    Snapshot(1, first=True, last=True, listeners=(WEB,), containers=(CONTAINER,)),
    Delta(
        1, 2, (WEB, Listener(8, "tcp", "::", 81, v6only=False)), (3, 2**64 - 1), (CONTAINER,) * 2
    ),
    StubResults((StubResult(StubKey("127.0.0.1", 80), is_open=False, errno=98, detail="in use"),)),
    Wanted(3),
    Beat(),
    Resync(),
    Stubs((StubKey("::1", 80),), (StubKey("127.0.0.1", 81),)),
    Bye(),
    Watching("eBPF; detached and healed once"),
    Inquiry(7),
    Condition(7, 1_700_000_000_000, 0, 2**41 - 1, 2**20, 40, (EngineState("/run/x", "asleep"),)),
    Trial(1, 0, 65535),
    TrialOpened(1, 4000, 4001, ""),
    TrialResults(1, "", "no answer within 3 s", 1500, 0),
    TrialEnd(),
    Counts({"events_lost": 3, "strangers_refused": 2**62}),
]


@pytest.mark.parametrize("message", EVERY, ids=lambda message: type(message).__name__)
def test_every_message_survives_the_wire(message: Message) -> None:
    assert decode(json.loads(json.dumps(encode(message)))) == message


def broken(message: Message, path: list[Any], value: Any) -> dict[str, Any]:
    raw: dict[str, Any] = json.loads(json.dumps(encode(message)))
    place: Any = raw
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return raw


@pytest.mark.parametrize(
    ("message", "path", "value"),
    [
        (EVERY[0], ["kernel"], "x" * 300),
        (EVERY[11], ["capabilities"], 2**64),
        (EVERY[11], ["number"], 0),
        (EVERY[11], ["engines"], [{"socket": "/run/x", "trouble": ""}] * 17),
        (EVERY[11], ["engines", 0, "trouble"], None),
        (EVERY[0], ["kernel"], None),
        (EVERY[16], ["counts"], [1]),
        (EVERY[16], ["counts", "events_lost"], -1),
        (EVERY[16], ["counts", "events_lost"], True),
        (EVERY[16], ["counts"], {str(each): 1 for each in range(100)}),
        (EVERY[16], ["counts"], {"x" * 300: 1}),
        (EVERY[12], ["tcp_port"], 65536),
        (EVERY[13], ["udp_port"], -1),
        (EVERY[13], ["problem"], "x" * 300),
        (EVERY[14], ["udp_microseconds"], 0.5),
        (EVERY[1], ["generation"], 0),
        (EVERY[1], ["generation"], True),
        (EVERY[1], ["first"], 1),
        (EVERY[1], ["listeners"], {}),
        (EVERY[1], ["listeners"], [7]),
        (EVERY[1], ["listeners"], [{}] * (MAX_LISTENERS + 1)),
        (EVERY[1], ["listeners", 0, "port"], 0),
        (EVERY[1], ["listeners", 0, "port"], 65536),
        (EVERY[1], ["listeners", 0, "port"], "80"),
        (EVERY[1], ["listeners", 0, "address"], "localhost"),
        (EVERY[1], ["listeners", 0, "address"], 1),
        (EVERY[1], ["listeners", 0, "protocol"], "icmp"),
        (EVERY[1], ["listeners", 0, "id"], -1),
        (EVERY[1], ["listeners", 0, "container"], "web"),
        (EVERY[1], ["listeners", 0, "container", "id"], "n" * 300),
        (EVERY[1], ["listeners", 0, "container", "runtime"], None),
        (EVERY[1], ["containers"], None),
        (EVERY[1], ["containers"], ["web"]),
        (EVERY[1], ["containers"], [{}] * (MAX_CONTAINERS + 1)),
        (EVERY[1], ["containers", 0, "name"], "n" * 300),
        (EVERY[1], ["containers", 0, "name"], "\ud83d"),
        (EVERY[1], ["containers", 0, "image"], 7),
        (EVERY[1], ["containers", 0, "labels"], [["a", "b"]]),
        (EVERY[1], ["containers", 0, "labels"], {"a": 1}),
        (EVERY[1], ["containers", 0, "labels"], {"a": "x" * (1 << 20)}),
        (EVERY[1], ["containers", 0, "labels"], {str(each): "" for each in range(100)}),
        (EVERY[2], ["containers", 0, "labels"], {"a": "\udc00"}),
        (EVERY[2], ["removed"], ["7"]),
        (EVERY[3], ["results", 0, "stub"], None),
        (EVERY[3], ["results", 0, "errno"], 5000),
        (EVERY[4], ["count"], 10**6),
        (EVERY[9], ["watcher"], "x" * 300),
        (EVERY[9], ["watcher"], ["eBPF"]),
        (EVERY[5], ["kind"], "dance"),
        (EVERY[5], ["kind"], ["beat"]),
    ],
)
def test_a_field_that_breaks_its_rule_is_refused(
    message: Message, path: list[Any], value: Any
) -> None:
    with pytest.raises(WireError):
        decode(broken(message, path, value))


@given(st.recursive(st.none() | st.integers() | st.text(max_size=5), st.lists, max_leaves=5))
def test_any_value_in_any_field_is_refused_or_understood(value: Any) -> None:
    for message in EVERY:
        for key in encode(message):
            try:
                decoded = decode(broken(message, [key], value))
            except WireError:
                continue
            assert type(decoded) in {type(one) for one in EVERY}


def test_a_listener_names_its_container_by_id_and_runtime_only() -> None:
    listener = replace(WEB, container=CONTAINER)
    raw = encode(Delta(1, 1, (listener,), (), (CONTAINER,)))
    assert raw["added"][0]["container"] == {"id": "ab", "runtime": "docker"}
    decoded = decode(json.loads(json.dumps(raw)))
    assert decoded == Delta(1, 1, (WEB,), (), (CONTAINER,))


def test_a_full_part_with_the_longest_names_and_labels_fits_a_message() -> None:
    worst = "\x01"  # six bytes in JSON
    labels = {f"{each:03}": worst * VALUE_LETTERS for each in range(ALL_LETTERS // 259)}
    container = Container("c" * 64, "n" * 255, "kubernetes", "é" * 255, tuple(labels.items()))
    assert bounded_labels(labels) == container.labels
    longest = Listener(
        2**64 - 1,
        "tcp",
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        65535,
        inode=2**64 - 1,
        container=container,
        process="p" * 64,
        pid=2**22,
    )
    parts = in_parts((longest,) * (MAX_LISTENERS + 1))
    assert [len(part) for part in parts] == [MAX_LISTENERS, 1]
    full = Snapshot(2**62, True, False, parts[0], (container,) * MAX_CONTAINERS)
    frame = encode_frame(encode(full))
    assert len(frame) < MAX_MESSAGE


def test_nothing_is_still_one_part() -> None:
    assert in_parts(()) == [()]
