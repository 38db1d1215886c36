"""Addresses as people copy them and browsers open them."""

from __future__ import annotations

import pytest

from gui.ports.addresses import address_to_copy, browser_url, endpoint, numeric, own_port
from tests.gui.ports.rows import make_row


def test_ipv6_has_brackets() -> None:
    assert endpoint("::1", 80) == "[::1]:80"
    assert endpoint("127.0.0.1", 80) == "127.0.0.1:80"


def test_addresses_sort_as_numbers_and_what_is_none_comes_last() -> None:
    addresses = ["::1", "127.0.0.2", "nonsense", "9.9.9.9", "127.0.0.10", "::"]
    expected = ["9.9.9.9", "127.0.0.2", "127.0.0.10", "::", "::1", "nonsense"]
    assert sorted(addresses, key=numeric) == expected


@pytest.mark.parametrize(
    ("address", "copied", "url"),
    [
        ("0.0.0.0", "localhost:8000", "http://localhost:8000/"),
        ("::", "localhost:8000", "http://localhost:8000/"),
        ("127.0.0.1", "127.0.0.1:8000", "http://localhost:8000/"),
        ("127.0.0.7", "127.0.0.7:8000", "http://127.0.0.7:8000/"),
        ("::1", "[::1]:8000", "http://[::1]:8000/"),
    ],
)
def test_a_wildcard_is_localhost(address: str, copied: str, url: str) -> None:
    row = make_row(8000, host_address=address)
    assert address_to_copy(row) == copied
    assert browser_url(row) == url


def test_the_port_of_https_is_opened_with_it() -> None:
    assert browser_url(make_row(443)) == "https://localhost:443/"


@pytest.mark.parametrize(
    "fields", [{"protocol": "udp"}, {"state": "conflict"}, {"host_address": "evil.example/x?"}]
)
def test_what_a_browser_cannot_open_has_no_url(fields: dict[str, str]) -> None:
    assert browser_url(make_row(8000, **fields)) == ""


def test_the_own_port_of_a_row_is_that_of_its_listener() -> None:
    assert own_port(make_row(8000, host_port=18000)) == 8000
    assert own_port(make_row(8000, host_port=631, origin="host")) == 631
