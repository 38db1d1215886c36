"""The rule of age: which UDP sockets count as listeners, and when."""

from __future__ import annotations

from typing import Final, NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from link.maturity import MATURITY_SECONDS, Maturity

EPHEMERAL: Final = range(32768, 61000)
START: Final = 1000.0


class Socket(NamedTuple):
    """As much of a socket as the rule looks at."""

    cookie: int
    port: int = 40000
    protocol: str = "udp"


def sift(maturity: Maturity, now: float, *sockets: Socket) -> list[int]:
    """The cookies of those that count."""
    return [each.cookie for each in maturity.sift(sockets, EPHEMERAL, now)]


def test_a_socket_on_another_port_counts_at_once() -> None:
    maturity = Maturity()
    assert sift(maturity, START, Socket(1, 53), Socket(2, 32767), Socket(3, 61000)) == [1, 2, 3]
    assert maturity.due is None
    assert maturity.ports == frozenset()


def test_a_tcp_listener_counts_at_once_on_any_port() -> None:
    maturity = Maturity()
    assert sift(maturity, START, Socket(1, 40000, "tcp")) == [1]
    assert maturity.due is None
    assert maturity.ports == frozenset()


def test_a_socket_on_a_port_of_the_kernels_choice_counts_after_a_second() -> None:
    maturity = Maturity()
    assert sift(maturity, START, Socket(1)) == []
    assert sift(maturity, START + 0.999, Socket(1)) == []
    assert maturity.due == START + MATURITY_SECONDS
    assert sift(maturity, START + MATURITY_SECONDS, Socket(1)) == [1]
    assert maturity.ports == {40000}


def test_nothing_is_due_when_nothing_waits() -> None:
    maturity = Maturity()
    assert maturity.due is None
    sift(maturity, START, Socket(1))
    sift(maturity, START + MATURITY_SECONDS, Socket(1))
    assert maturity.due is None


def test_the_range_holds_its_first_and_last_port() -> None:
    assert sift(Maturity(), START, Socket(1, 32768), Socket(2, 60999)) == []


def test_the_next_to_be_old_enough_is_due() -> None:
    maturity = Maturity()
    sift(maturity, START, Socket(1))
    sift(maturity, START + 0.3, Socket(2), Socket(1))
    assert maturity.due == START + 1.0
    sift(maturity, START + 0.6, Socket(2))
    assert maturity.due == START + 1.3


def test_a_socket_that_was_away_begins_anew() -> None:
    maturity = Maturity()
    sift(maturity, START, Socket(1))
    sift(maturity, START + 0.5)
    assert sift(maturity, START + 1.5, Socket(1)) == []
    assert maturity.due == START + 2.5


def test_a_socket_that_moved_to_another_port_begins_anew() -> None:
    maturity = Maturity()
    sift(maturity, START, Socket(1, 40000))
    assert sift(maturity, START + 1.5, Socket(1, 40001)) == []


def test_another_socket_on_the_port_begins_anew() -> None:
    maturity = Maturity()
    sift(maturity, START, Socket(1))
    assert sift(maturity, START + 1.5, Socket(2)) == []


def test_a_listener_stays_one_when_the_range_grows_over_it() -> None:
    maturity = Maturity()
    assert sift(maturity, START, Socket(1, 5000)) == [1]
    assert maturity.sift([Socket(1, 5000)], range(1024, 65536), START + 1.5) == [Socket(1, 5000)]
    assert maturity.ports == {5000}


def test_a_smaller_range_lets_those_outside_count_at_once() -> None:
    maturity = Maturity()
    assert sift(maturity, START, Socket(1)) == []
    assert maturity.sift([Socket(1)], range(50000, 60000), START + 0.1) == [Socket(1)]


def test_the_order_is_kept() -> None:
    maturity = Maturity()
    sockets = [Socket(3), Socket(1, 53), Socket(2, 80, "tcp"), Socket(4)]
    sift(maturity, START, *sockets)
    assert sift(maturity, START + 1, *sockets) == [3, 1, 2, 4]


def test_only_the_last_look_is_remembered() -> None:
    maturity = Maturity()
    for number in range(1000):
        sift(maturity, START + number / 1000, Socket(number), Socket(-number, 53))
    assert len(maturity._since) == 2
    sift(maturity, START + 2)
    assert maturity._since == {}
    assert (maturity.due, maturity.ports) == (None, frozenset())


SOCKETS: Final = st.builds(
    Socket,
    st.integers(1, 4),
    st.sampled_from([53, 40000, 50000]),
    st.sampled_from(["tcp", "udp", "udp"]),
)


@given(st.lists(st.tuples(st.floats(0, 0.7), st.frozensets(SOCKETS)), max_size=12))
def test_what_counts_has_been_seen_for_a_second_without_a_break(
    looks: list[tuple[float, frozenset[Socket]]],
) -> None:
    maturity, now = Maturity(), START
    since: dict[Socket, float] = {}
    for pause, sockets in looks:
        now += pause
        since = {each: since.get(each, now) for each in sockets}
        young = {
            each
            for each in sockets
            if each.protocol == "udp"
            and each.port in EPHEMERAL
            and now < since[each] + MATURITY_SECONDS
        }
        assert set(maturity.sift(sockets, EPHEMERAL, now)) == sockets - young
        waiting = [since[each] + MATURITY_SECONDS for each in young]
        assert maturity.due == min(waiting, default=None)
