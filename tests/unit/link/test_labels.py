"""Labels from strangers: what is kept of them, and which service they speak of."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from link.labels import (
    ALL_LETTERS,
    MOST_LABELS,
    NAME_LETTERS,
    SERVICES,
    VALUE_LETTERS,
    are_within_limits,
    bounded_labels,
    service_of,
)

OF_SERVICES = sorted(name for way in SERVICES for part in way for name in part)


def test_labels_are_sorted_and_otherwise_as_they_were() -> None:
    assert bounded_labels({"b": "2", "a": "1\n\x1b[31m", "c": ""}) == (
        ("a", "1\n\x1b[31m"),
        ("b", "2"),
        ("c", ""),
    )


@pytest.mark.parametrize("raw", [None, [], "a=b", {"a": None}, {"a": 1}, {1: "a"}, {"": "x"}])
def test_what_are_no_labels_are_none(raw: object) -> None:
    assert bounded_labels(raw) == ()


def test_a_long_value_is_cut_and_shows_it_and_a_label_with_a_long_name_is_left_out() -> None:
    raw = {"a": "x" * (VALUE_LETTERS + 1), "b": "x" * VALUE_LETTERS, "n" * (NAME_LETTERS + 1): "x"}
    assert bounded_labels(raw) == (
        ("a", "x" * (VALUE_LETTERS - 1) + "…"),
        ("b", "x" * VALUE_LETTERS),
    )


def test_a_name_that_cannot_be_printed_is_left_out() -> None:
    assert bounded_labels({"a\x1bb": "1", "a\nb": "2", "\u202ea": "3", "größe": "4"}) == (
        ("größe", "4"),
    )


def test_half_a_character_is_replaced() -> None:
    ((_, value),) = bounded_labels(json.loads('{"a": "x\\ud83d"}'))
    assert value == "x?"


def test_of_too_many_those_of_services_are_kept_and_the_first_by_name() -> None:
    raw = {f"a{number:04}": "x" for number in range(1000)} | dict.fromkeys(OF_SERVICES, "me")
    kept = dict(bounded_labels(raw))
    assert len(kept) == MOST_LABELS
    assert set(OF_SERVICES) < set(kept)
    others = sorted(set(kept) - set(OF_SERVICES))
    assert others == [f"a{number:04}" for number in range(MOST_LABELS - len(OF_SERVICES))]


def test_where_there_is_no_room_for_a_label_a_smaller_one_may_still_fit() -> None:
    long = {f"a{number:02}": "x" * VALUE_LETTERS for number in range(20)}
    kept = dict(bounded_labels({**long, "small": "y"}))
    assert kept["small"] == "y"
    assert len(kept) == ALL_LETTERS // (VALUE_LETTERS + 3) + 1


@given(st.dictionaries(st.text(max_size=200), st.text(max_size=600), max_size=100))
def test_whatever_comes_what_is_kept_is_within_limits_and_can_be_sent(raw: dict[str, str]) -> None:
    kept = bounded_labels(raw)
    assert are_within_limits(dict(kept))
    assert bounded_labels(dict(kept)) == kept
    assert json.loads(json.dumps(dict(kept), ensure_ascii=False).encode()) == dict(kept)


@pytest.mark.parametrize(
    "labels",
    [
        {str(number): "" for number in range(MOST_LABELS + 1)},
        {"a": "x" * (VALUE_LETTERS + 1)},
        {"n" * (NAME_LETTERS + 1): ""},
        {f"{number:02}": "x" * 250 for number in range(17)},
        {"a": "\ud800"},
        {"\ud800": "a"},
        {"a\x00": "a"},
        {"a": 1},
        {"": "a"},
    ],
)
def test_what_is_beyond_the_limits_is_said_to_be(labels: dict[str, object]) -> None:
    assert not are_within_limits(labels)


@pytest.mark.parametrize(
    ("labels", "service"),
    [
        ({"com.docker.compose.project": "shop", "com.docker.compose.service": "web"}, "shop/web"),
        ({"io.podman.compose.project": "shop", "io.podman.compose.service": "web"}, "shop/web"),
        ({"io.podman.compose.project": "shop", "com.docker.compose.service": "web"}, "shop/web"),
        ({"io.podman.compose.project": "shop"}, "shop"),
        ({"com.docker.swarm.service.name": "shop_web"}, "shop_web"),
        (
            {"io.kubernetes.pod.name": "web-7d4", "io.kubernetes.pod.namespace": "shop"},
            "shop/web-7d4",
        ),
        ({"io.kubernetes.pod.name": "web-7d4"}, "web-7d4"),
        ({"com.docker.compose.service": "", "com.docker.swarm.service.name": "web"}, "web"),
        ({"maintainer": "somebody"}, ""),
        ({}, ""),
    ],
)
def test_compose_swarm_and_kubernetes_name_a_service(labels: dict[str, str], service: str) -> None:
    assert service_of(labels) == service
