"""When a UDP flow ends: after silence, when there is no room for it, and with the ends' close.

Rules: what was silent longest makes room, a quarter at a time; a flow that ended may come back;
neither flows nor descriptors are ever more than the limit allows; nothing keeps what was closed.

Counterparts: `udp_world.py` and `conftest.py`; `tests/unit/link/datagrams/test_flows.py` for the
table alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import weakref

import pytest

from link.datagrams import back as back_module
from link.datagrams import stream as stream_module
from link.datagrams import sweep as sweep_module
from link.datagrams.flows import Limits
from link.datagrams.frames import Kind, cut, header
from link.wire import OPEN_SIZE, OpenRequest
from tests.capabilities import LINUX_KERNEL, needs
from tests.contract.datagram_ends import descriptors
from tests.contract.udp_world import Client, Tell, World
from tests.until import until

# ---- silence


def now() -> float:
    return asyncio.get_running_loop().time()


def test_a_flow_ends_after_silence_in_both_directions_and_not_before(tell: Tell) -> None:
    async def story(one: World) -> None:
        client = one.client()
        began = now()
        await client.ask(b"hello")
        (flow,) = one.at_front.started
        await until(lambda: flow in one.at_front.ended)
        assert one.at_front.ended[flow] - began >= one.front_limits.idle_seconds
        await until(lambda: len(one.at_back.ended) == 1)
        assert (one.front.count, one.backs[0].count) == (0, 0)

    tell(story, limits=Limits(idle_seconds=0.3))


@pytest.mark.parametrize("who", ["client", "server"])
def test_words_of_either_side_alone_keep_a_flow(tell: Tell, who: str) -> None:
    async def story(one: World) -> None:
        client = one.client()
        idle = one.front_limits.idle_seconds
        flows, sources, longest, last = [], 0, idle, 0.0
        while longest >= idle / 2:  # a busy computer held the test up: that says nothing
            began, sources = len(one.at_front.started), len(one.server.sources)
            one.server.answers = True
            await client.ask(b"hello")
            one.server.answers = False
            longest, last = await keep(one, client, who)
            flows = one.at_front.started[began:]
            await until(lambda: not one.at_front.live)
        (flow,) = flows
        assert one.at_front.ended[flow] - last >= idle
        assert len(one.server.sources) <= sources + 1

    tell(story, limits=Limits(idle_seconds=1.0))


async def keep(one: World, client: Client, who: str) -> tuple[float, float]:
    """Speak for longer than a silent flow lives; the longest silence, and when the last began."""
    idle = one.front_limits.idle_seconds
    longest, began = 0.0, now()
    last = began
    while last < began + 1.5 * idle and longest < idle:
        await asyncio.sleep(idle / 10)
        last, before = now(), last
        if who == "client":
            client.say(b"still here")
            await one.server.hear()
        else:
            one.server.sock.sendto(b"still here", one.server.sources[-1])
            assert await client.hear() == b"still here"
        longest = max(longest, now() - before)
    return longest, last


def test_a_shorter_limit_holds_for_the_flows_there_are(tell: Tell) -> None:
    async def story(one: World) -> None:
        await one.client().ask(b"hello")
        one.front_limits.idle_seconds = 0.1
        await until(lambda: one.front.count == 0)

    tell(story, limits=Limits(idle_seconds=3600))


def test_a_flow_whose_end_is_never_told_ends_at_the_servers_end_by_itself(
    tell: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(back_module, "GRACE_SECONDS", 0.2)

    async def story(one: World) -> None:
        one.server.answers = False
        peer = Peer(one.reach_back(), opening=0)
        began = now()
        peer.sock.send(header(Kind.DATA, 7, 2, 2) + b"hi")
        await one.server.hear()
        (flow,) = one.at_back.started
        await until(lambda: flow in one.at_back.ended)
        assert one.at_back.ended[flow] - began >= one.back_limits.idle_seconds + 0.2
        await until(lambda: peer.read() == [(Kind.END, 7)])
        assert (one.at_back.evicted, len(one.backs)) == (0, 1)

    tell(story, limits=Limits(idle_seconds=0.3))


def test_a_flow_that_ended_comes_back_with_another_source_port(tell: Tell) -> None:
    async def story(one: World) -> None:
        client = one.client()
        await client.ask(b"hello")
        await until(lambda: one.at_back.ended)
        # That it can be bound shows that it is free; that it is held, that it is not drawn again.
        one.serve(port=one.server.sources[0][1])
        assert await client.ask(b"me again") == b"me again"
        assert len(one.server.sources) == 2
        assert len(one.opened) == 1, "flows that end leave the stream alone"

    tell(story, limits=Limits(idle_seconds=0.2))


# ---- room


def test_a_flow_too_many_evicts_the_oldest_quarter_which_may_come_back(tell: Tell) -> None:
    async def story(one: World) -> None:
        clients = one.clients(17)
        for client in clients[:16]:
            await client.ask(b"hello")
        assert (one.front.count, one.at_front.evicted) == (16, 0)
        await clients[16].ask(b"hello")
        assert (one.front.count, one.at_front.evicted) == (13, 4)
        assert list(one.at_front.ended) == one.at_front.started[:4]
        assert (one.backs[0].count, one.at_back.evicted) == (13, 4)
        assert await clients[0].ask(b"back again") == b"back again"
        assert (one.front.count, one.at_front.evicted) == (14, 4)

    tell(story, limits=Limits(most_flows=16))


def test_the_busy_are_not_evicted_and_keep_their_source_ports(tell: Tell) -> None:
    async def story(one: World) -> None:
        clients = one.clients(17)
        for client in clients[:16]:
            await client.ask(b"hello")
        sources = one.server.sources
        await clients[0].ask(b"client speaks")
        one.server.sock.sendto(b"server speaks", sources[2])
        await clients[2].hear()
        await clients[16].ask(b"hello")
        gone = [one.at_front.started[i] for i in (1, 3, 4, 5)]
        assert list(one.at_front.ended) == gone
        for number in (0, 2, *range(6, 16)):
            await clients[number].ask(b"%d" % number)
            assert one.server.everything[-1].sender == sources[number]

    tell(story, limits=Limits(most_flows=16))


def test_a_lower_limit_holds_with_the_next_flow(tell: Tell) -> None:
    async def story(one: World) -> None:
        for client in one.clients(16):
            await client.ask(b"hello")
        one.front_limits.most_flows = 4
        await one.client().ask(b"hello")
        assert (one.front.count, one.at_front.evicted) == (4, 13)

    tell(story, limits=Limits(most_flows=16))


def test_what_the_servers_end_has_no_room_for_ends_at_the_clients_end_too(tell: Tell) -> None:
    async def story(one: World) -> None:
        clients = one.clients(9)
        for client in clients[:8]:
            await client.ask(b"hello")
        await clients[8].ask(b"hello")
        assert one.at_back.evicted == 2
        await until(lambda: one.front.count == 7)
        assert list(one.at_front.ended) == one.at_front.started[:2]
        assert one.backs[0].count == 7
        assert await clients[0].ask(b"back again") == b"back again"

    tell(story, back_limits=Limits(most_flows=8))


def test_the_servers_end_gives_up_those_silent_longest_too(tell: Tell) -> None:
    async def story(one: World) -> None:
        one.server.answers = False
        clients = one.clients(9)
        for number in (*range(8), 0):
            clients[number].say(b"%d" % number)
            await one.server.hear()
        one.server.sock.sendto(b"server speaks", one.server.sources[2])
        await clients[2].hear()
        clients[8].say(b"8")
        await one.server.hear()
        assert list(one.at_back.ended) == [one.at_back.started[1], one.at_back.started[3]]

    tell(story, back_limits=Limits(most_flows=8))


def test_a_flow_given_up_at_the_servers_end_is_not_begun_there_by_what_was_on_its_way(
    tell: Tell,
) -> None:
    async def story(one: World) -> None:
        one.makes_streams = False
        peer = Peer(one.add_peer())
        one.client().say(b"hello")
        await until(lambda: peer.read() == [(Kind.DATA, 1)])
        peer.sock.send(header(Kind.END, 1))
        await until(lambda: one.front.count == 0)
        await until(lambda: peer.read() == [(Kind.DATA, 1), (Kind.END, 1)])

    tell(story)


class Peer:
    """The other end of a mirror's stream, moved by hand."""

    def __init__(self, sock: socket.socket, opening: int = OPEN_SIZE) -> None:
        self.sock = sock
        self.data = b""
        self._opening = opening

    def read(self) -> list[tuple[int, int]]:
        """Kinds and flows of all frames so far, after the opening, if there is one."""
        with contextlib.suppress(BlockingIOError):
            self.data += self.sock.recv(1 << 20)
        frames, _ = cut(memoryview(self.data)[self._opening :])
        return [(frame.kind, frame.flow) for frame in frames]


@needs(LINUX_KERNEL)
def test_a_flood_from_many_clients_costs_bounded_flows_and_descriptors(tell: Tell) -> None:
    total, most = 5000, 64

    async def story(one: World) -> None:
        await one.client().ask(b"hello")
        before, peak = descriptors(), 0
        for number in range(total):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.bind((f"127.1.{number // 250}.{number % 250 + 1}", 0))
                sock.sendto(b"flood", ("127.0.0.1", one.port))
            if number % 100 == 99:
                await until(lambda: len(one.at_front.started) == number + 2)  # noqa: B023
                peak = max(peak, descriptors())
                assert one.front.count <= most
                assert one.backs[0].count <= most
        assert peak <= before + most * one.descriptors_per_flow
        assert one.at_front.evicted == total + 1 - one.front.count
        assert await one.client().ask(b"still served") == b"still served"

    tell(story, limits=Limits(most_flows=most))


# ---- closing


def test_nothing_refers_to_what_was_closed(tell: Tell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep_module, "LEAST_SECONDS", 3600)
    monkeypatch.setattr(sweep_module, "LONGEST_SECONDS", 3600)
    monkeypatch.setattr(stream_module, "REPORT_SECONDS", 3600)

    async def story(one: World) -> None:
        await one.client().ask(b"hello")
        one.target = OpenRequest("192.0.2.1", 53, "udp")
        one.client().say(b"to be dropped, and told later")
        await until(lambda: one.backs and one.backs[-1].dropped_here == 1)
        one.makes_streams = False
        await one.lose_streams()
        one.client().say(b"waits for a stream")
        await until(lambda: one.pool.waiting)
        closed = [weakref.ref(each) for each in (one.front, one.front._stream)]
        one.close_ends()
        del one.front
        one.fronts.clear()

        def are_gone() -> bool:
            gc.collect()
            return [each() for each in closed] == [None, None]

        await until(are_gone)

    tell(story)


def test_ends_may_be_closed_twice_and_in_any_order(tell: Tell) -> None:
    async def story(one: World) -> None:
        client = one.client()
        await client.ask(b"hello")
        back = one.backs[0]
        back.close()
        back.close()
        client.say(b"to nobody")
        one.front.close()
        one.front.close()
        assert (one.front.count, back.count) == (0, 0)
        one.backs.remove(back)

    tell(story)
