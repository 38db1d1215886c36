"""What datagrams cost in system calls, at each end. Counts, not seconds: they hold on any computer.

Counterpart: `separate_ends.py`.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from tests.contract.datagram_ends import free_port
from tests.promptness import TRIES
from tests.system_calls import counted
from tests.unit.link.datagrams.separate_ends import ADDRESS, HOLDING_CALLS, End, separate_ends

ROUNDS: Final = 200
WARM_UP: Final = 40
"""Rounds until everything is as it stays."""
BURST: Final = 50
"""Datagrams, or flows: fewer than one call takes."""
BURSTS: Final = 20
SPARE: Final = 50
"""Calls for what comes by the clock, such as the sweep of silent flows: some in a second."""
REST_SECONDS: Final = 3.0
"""Longer than anything that the ends do by the clock waits."""
RESTING_CALLS: Final = 10
"""Most in that time: sweeps of silent flows, and one look at the stream that was read from."""
PATIENCE: Final = 30.0
"""Seconds."""


class Calls(NamedTuple):
    """System calls of the ends."""

    front: int
    back: int


class Stage:
    """Clients of a mirror and the server behind it, and both ends on the way."""

    def __init__(self, front: End, back: End, server: socket.socket, port: int) -> None:
        self._front = front
        self._back = back
        self._server = server
        self._port = port
        self._clients = contextlib.ExitStack()
        self.client = self.new_client()

    def new_client(self) -> socket.socket:
        sock = self._clients.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        sock.settimeout(PATIENCE)
        sock.connect((ADDRESS, self._port))
        return sock

    def round_trips(self, count: int, client: socket.socket) -> None:
        """Question and answer, one after the other."""
        for number in range(count):
            client.send(b"%064d" % number)
            question, sender = self._server.recvfrom(100)
            self._server.sendto(question, sender)
            assert client.recv(100) == b"%064d" % number

    def bursts(self, send: Callable[[], None]) -> None:
        """Send BURST datagrams that are there at once, BURSTS times."""
        for _ in range(BURSTS):
            self._front.say("hold")
            send()
            self._front.say("go")
            for _ in range(BURST):
                self._server.recv(100)

    def calls(self, story: Callable[[], None]) -> Calls:
        """Those that it takes."""
        with counted(self._front.thread) as front, counted(self._back.thread) as back:
            story()
            return Calls(front.calls, back.calls)

    def close(self) -> None:
        self._clients.close()


@contextlib.contextmanager
def staged() -> Iterator[Stage]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.settimeout(PATIENCE)
        server.bind((ADDRESS, 0))
        port = free_port(ADDRESS)
        with separate_ends(port, server.getsockname()[1]) as (front, back):
            stage = Stage(front, back, server, port)
            try:
                stage.round_trips(WARM_UP, stage.client)
                yield stage
            finally:
                stage.close()


def test_a_lone_round_trip_costs_each_end_one_wait_one_receive_and_one_send_each_way() -> None:
    with staged() as stage:
        calls = stage.calls(lambda: stage.round_trips(ROUNDS, stage.client))
    assert min(calls) >= 6 * ROUNDS - SPARE
    assert max(calls) <= 6 * ROUNDS + SPARE


def test_flows_that_speak_in_turn_cost_no_more() -> None:
    with staged() as stage:
        other = stage.new_client()

        def in_turn() -> None:
            for _ in range(ROUNDS // 2):
                stage.round_trips(1, stage.client)
                stage.round_trips(1, other)

        in_turn()
        calls = stage.calls(in_turn)
    assert max(calls) <= 6 * ROUNDS + SPARE


def test_a_burst_of_one_flow_is_taken_and_passed_on_by_one_call_each() -> None:
    with staged() as stage:

        def send() -> None:
            for number in range(BURST):
                stage.client.send(b"%064d" % number)

        calls = stage.calls(lambda: stage.bursts(send))
    assert calls.front <= (HOLDING_CALLS + 3) * BURSTS + SPARE
    assert calls.back <= 3 * BURSTS + SPARE


def test_a_burst_of_many_flows_costs_no_more_but_for_one_call_to_the_server_each() -> None:
    with staged() as stage:
        clients = [stage.new_client() for _ in range(BURST)]
        for client in clients:
            stage.round_trips(1, client)

        def send() -> None:
            for client in clients:
                client.send(bytes(64))

        calls = stage.calls(lambda: stage.bursts(send))
    assert calls.front <= (HOLDING_CALLS + 3) * BURSTS + SPARE
    assert calls.back <= (BURST + 2) * BURSTS + SPARE


def test_mirrors_that_nobody_speaks_to_wake_nobody() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((ADDRESS, 0))
        with separate_ends(free_port(ADDRESS), server.getsockname()[1]) as (front, back):
            assert any(is_asleep(front, back) for _ in range(TRIES))


def is_asleep(front: End, back: End) -> bool:
    """True if neither end wakes for a while, but may go to sleep just after the count has begun.

    On a busy computer it may have more to do until it sleeps.
    """
    with counted(front.thread) as at_front, counted(back.thread) as at_back:
        time.sleep(REST_SECONDS)
        return max(at_front.calls, at_back.calls) <= 1


def test_silent_flows_wake_nobody_but_for_a_look_now_and_then() -> None:
    with staged() as stage:
        stage.round_trips(1, stage.client)
        calls = stage.calls(lambda: time.sleep(REST_SECONDS))
    assert max(calls) <= RESTING_CALLS
