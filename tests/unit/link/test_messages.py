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
    Condition,
    Counts,
    Delta,
    Message,
    Snapshot,
    StubResults,
    Trial,
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
from tests.link_messages import CONTAINER, MESSAGES, WEB, of


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
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
        (of(Welcome), ["kernel"], "x" * 300),
        (of(Condition), ["capabilities"], 2**64),
        (of(Condition), ["number"], 0),
        (of(Condition), ["engines"], [{"socket": "/run/x", "trouble": ""}] * 17),
        (of(Condition), ["engines", 0, "trouble"], None),
        (of(Welcome), ["kernel"], None),
        (of(Counts), ["counts"], [1]),
        (of(Counts), ["counts", "events_lost"], -1),
        (of(Counts), ["counts", "events_lost"], True),
        (of(Counts), ["counts"], {str(each): 1 for each in range(100)}),
        (of(Counts), ["counts"], {"x" * 300: 1}),
        (of(Trial), ["tcp_port"], 65536),
        (of(TrialOpened), ["udp_port"], -1),
        (of(TrialOpened), ["problem"], "x" * 300),
        (of(TrialResults), ["udp_microseconds"], 0.5),
        (of(Snapshot), ["generation"], 0),
        (of(Snapshot), ["generation"], True),
        (of(Snapshot), ["first"], 1),
        (of(Snapshot), ["listeners"], {}),
        (of(Snapshot), ["listeners"], [7]),
        (of(Snapshot), ["listeners"], [{}] * (MAX_LISTENERS + 1)),
        (of(Snapshot), ["listeners", 0, "port"], 0),
        (of(Snapshot), ["listeners", 0, "port"], 65536),
        (of(Snapshot), ["listeners", 0, "port"], "80"),
        (of(Snapshot), ["listeners", 0, "address"], "localhost"),
        (of(Snapshot), ["listeners", 0, "address"], 1),
        (of(Snapshot), ["listeners", 0, "protocol"], "icmp"),
        (of(Snapshot), ["listeners", 0, "id"], -1),
        (of(Snapshot), ["listeners", 0, "container"], "web"),
        (of(Snapshot), ["listeners", 0, "container", "id"], "n" * 300),
        (of(Snapshot), ["listeners", 0, "container", "runtime"], None),
        (of(Snapshot), ["containers"], None),
        (of(Snapshot), ["containers"], ["web"]),
        (of(Snapshot), ["containers"], [{}] * (MAX_CONTAINERS + 1)),
        (of(Snapshot), ["containers", 0, "name"], "n" * 300),
        (of(Snapshot), ["containers", 0, "name"], "\ud83d"),
        (of(Snapshot), ["containers", 0, "image"], 7),
        (of(Snapshot), ["containers", 0, "labels"], [["a", "b"]]),
        (of(Snapshot), ["containers", 0, "labels"], {"a": 1}),
        (of(Snapshot), ["containers", 0, "labels"], {"a": "x" * (1 << 20)}),
        (of(Snapshot), ["containers", 0, "labels"], {str(each): "" for each in range(100)}),
        (of(Delta), ["containers", 0, "labels"], {"a": "\udc00"}),
        (of(Delta), ["removed"], ["7"]),
        (of(StubResults), ["results", 0, "stub"], None),
        (of(StubResults), ["results", 0, "errno"], 5000),
        (of(Wanted), ["count"], 10**6),
        (of(Watching), ["watcher"], "x" * 300),
        (of(Watching), ["watcher"], ["eBPF"]),
        (of(Beat), ["kind"], "dance"),
        (of(Beat), ["kind"], ["beat"]),
    ],
)
def test_a_field_that_breaks_its_rule_is_refused(
    message: Message, path: list[Any], value: Any
) -> None:
    with pytest.raises(WireError):
        decode(broken(message, path, value))


@given(st.recursive(st.none() | st.integers() | st.text(max_size=5), st.lists, max_leaves=5))
def test_any_value_in_any_field_is_refused_or_understood(value: Any) -> None:
    for message in MESSAGES:
        for key in encode(message):
            try:
                decoded = decode(broken(message, [key], value))
            except WireError:
                continue
            assert type(decoded) in {type(one) for one in MESSAGES}


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
