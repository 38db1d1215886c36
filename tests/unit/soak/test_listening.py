"""Ports that are open and should not be are found, and those that only come and go are not."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

import pytest

from tests.soak import listening
from tests.soak.listening import Looks, Port, residents

MIRROR: Final[Port] = ("tcp", "0.0.0.0", 8000)
STUB: Final[Port] = ("tcp", "127.0.0.1", 5432)
DOOR: Final[Port] = ("tcp", "127.0.0.1", 40_000)
OTHER: Final[Port] = ("tcp", "127.0.0.1", 6000)


class Fake:
    """A Samehost whose daemon has the ports `here` and whose agent has `there`."""

    def __init__(self) -> None:
        self.here, self.there, self.rows = {MIRROR}, {STUB, DOOR}, {STUB}

    def daemon(self) -> int:
        """Its process."""
        return 1

    def agent(self) -> int:
        """Its process."""
        return 2

    def ports(self) -> list[dict[str, Any]]:
        """An active row for each of `rows`."""
        keys = ("protocol", "machine_address", "machine_port")
        return [
            {"origin": "host", "state": "active", **dict(zip(keys, row, strict=True))}
            for row in self.rows
        ]


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Fake:
    """One that is as it should be."""
    fake = Fake()
    monkeypatch.setattr(listening, "listening", lambda pid: fake.here if pid == 1 else fake.there)
    return fake


def looks_at(fake: Fake, *, by_stubs: bool = True) -> Looks:
    at_start = Counter({("tcp", "127.0.0.1"): 1})
    return Looks(fake, {MIRROR}, at_start, by_stubs=by_stubs)  # type: ignore[arg-type]


def test_nothing_is_found_where_all_is_as_it_should_be(fake: Fake) -> None:
    assert residents(fake) == {("tcp", "127.0.0.1"): 1}  # type: ignore[arg-type]
    assert looks_at(fake).again() == []


@pytest.mark.parametrize("side", ["here", "there"])
def test_a_port_too_many_is_found_for_as_long_as_it_is_there(fake: Fake, side: str) -> None:
    getattr(fake, side).add(OTHER)
    looks = looks_at(fake)
    for _ in range(3):
        (words,) = looks.again()
        assert str(OTHER) in words
    getattr(fake, side).remove(OTHER)
    assert looks.again() == []


def test_what_is_missing_is_found(fake: Fake) -> None:
    fake.here.clear()
    fake.there.clear()
    assert looks_at(fake).again() == [
        "agent: ('tcp', '127.0.0.1') is missing",
        f"agent: no stub {STUB}",
        f"daemon: {MIRROR} is not open",
    ]


def test_an_agent_that_redirects_has_no_stubs(fake: Fake) -> None:
    fake.there.remove(STUB)
    assert looks_at(fake, by_stubs=False).again() == []


def test_ports_that_only_come_and_go_are_not_found(fake: Fake) -> None:
    looks = looks_at(fake)
    found = []
    for port in range(6000, 6003):
        passing = ("tcp", "127.0.0.1", port)
        fake.there.add(passing)
        found.append(bool(looks.again()))
        fake.there.remove(passing)
    assert found == [True, False, False]
