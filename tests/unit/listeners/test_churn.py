"""When so many connections come and go that each one's end is not worth a message."""

from __future__ import annotations

from pathlib import Path

import pytest

from desktop.listeners.churn import CALM_SECONDS, FEW, LEAST_SECONDS, MANY, Churn


class Computer:
    """A kernel that counts connections, and a clock."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._opened = 0
        self.now = 1000.0
        self.open(0, 1.0)

    def open(self, rate: float, seconds: float) -> None:
        """Let connections come at a rate, half of them from outside, for some time."""
        self.now += seconds
        self._opened += round(rate * seconds)
        halves = self._opened // 2, self._opened - self._opened // 2
        numbers = " ".join(map(str, halves))
        self._path.write_text(
            "Ip: Forwarding DefaultTTL\nIp: 1 64\n"
            "Tcp: RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens PassiveOpens AttemptFails\n"
            f"Tcp: 1 200 120000 -1 {numbers} 7\nUdp: InDatagrams\nUdp: 5\n"
        )


@pytest.fixture
def computer(tmp_path: Path) -> Computer:
    return Computer(tmp_path / "snmp")


@pytest.fixture
def churn(computer: Computer) -> Churn:
    churn = Churn(str(computer._path))
    assert not churn.is_high(computer.now)
    return churn


def test_it_takes_many_connections_a_second(computer: Computer, churn: Churn) -> None:
    computer.open(MANY - 10, 1.0)
    assert not churn.is_high(computer.now)
    computer.open(MANY + 10, 1.0)
    assert churn.is_high(computer.now)
    churn.close()


def test_it_ends_after_a_while_of_few(computer: Computer, churn: Churn) -> None:
    computer.open(MANY + 10, 1.0)
    assert churn.is_high(computer.now)
    computer.open(FEW, 10.0)
    assert churn.is_high(computer.now), "these were not few"
    computer.open(FEW - 10, CALM_SECONDS - 0.1)
    assert churn.is_high(computer.now)
    computer.open(FEW - 10, 0.2)
    assert not churn.is_high(computer.now)
    churn.close()


def test_a_moment_says_nothing(computer: Computer, churn: Churn) -> None:
    computer.open(MANY * 100, LEAST_SECONDS / 2)
    assert not churn.is_high(computer.now)
    computer.open(MANY * 2, LEAST_SECONDS * 2)
    assert churn.is_high(computer.now)
    churn.close()


@pytest.mark.parametrize("text", ["", "Tcp: 1 2\n", "Udp: 1 2 3 4 5 6\n"])
def test_a_kernel_that_does_not_tell_has_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "snmp").write_text(text)
    for path in (tmp_path / "snmp", tmp_path / "nothing"):
        churn = Churn(str(path))
        assert [churn.is_high(now) for now in (1.0, 2.0)] == [False, False]
        churn.close()
        churn.close()
