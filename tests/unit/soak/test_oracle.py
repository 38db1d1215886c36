"""What the oracle of a soak lets pass, and what it finds."""

from __future__ import annotations

import os
import socket

import pytest

from tests.soak.levels import level_of
from tests.soak.oracle import KINDS, Oracle, Told


@pytest.fixture
def oracle() -> Oracle:
    """One that has seen each kind of client succeed, and a fault from 10 to 20."""
    oracle = Oracle([Told(kind, 0, 1, "whole", 5) for kind in sorted(KINDS)])
    oracle.faults.append((10.0, 20.0, "agent killed"))
    return oracle


def test_nothing_is_found_where_all_was_well(oracle: Oracle) -> None:
    assert oracle.judge() == []


@pytest.mark.parametrize(("begin", "end"), [(9, 11), (19, 21), (9, 21), (12, 13)])
def test_who_is_cut_off_in_a_fault_is_excused(oracle: Oracle, begin: float, end: float) -> None:
    oracle.tell(Told("tcp here", begin, end, "ConnectionResetError"))
    assert oracle.judge() == []
    assert "tcp here: ConnectionResetError while agent killed: 1" in oracle.summary()


@pytest.mark.parametrize(("begin", "end"), [(8, 9), (21, 22)])
def test_who_is_cut_off_without_a_fault_is_found(oracle: Oracle, begin: float, end: float) -> None:
    oracle.tell(Told("udp there", begin, end, "no answer"))
    assert oracle.judge() == ["udp there: no answer after 1.00 s without a fault"]


def test_wrong_bytes_are_never_excused(oracle: Oracle) -> None:
    oracle.tell(Told("tcp there", 12, 13, "wrong", 7))
    assert oracle.judge() == ["tcp there: wrong bytes of 7 at 13.0"]


def test_a_soak_in_which_a_kind_of_client_never_succeeded_is_none() -> None:
    assert len(Oracle().judge()) == len(KINDS)


def test_a_connection_whose_end_nobody_noticed_is_seen() -> None:
    before = level_of(os.getpid())
    with socket.create_server(("127.0.0.1", 0)) as server:
        with socket.create_connection(server.getsockname()) as client:
            server.accept()[0].close()
            assert client.recv(1) == b""
            after = level_of(os.getpid())
    assert after.forgotten == before.forgotten + 1
    assert "CLOSE_WAIT" in after.beyond(before)
