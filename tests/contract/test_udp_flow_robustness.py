"""UDP flows bear whatever happens, in any order, and whatever a peer says on a stream.

Rules: orders of events, and words of peers, are generated; after each the ends must still serve,
and hold no more flows than their limits allow.

Counterparts: `udp_world.py` and `conftest.py`; `tests/unit/link/datagrams/test_frames.py` for what
is a frame at all.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from itertools import islice
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from link.datagrams.flows import Limits
from link.datagrams.frames import MAX_FLOW, Kind, cut, header
from tests.contract.datagram_ends import PATIENCE, descriptors
from tests.contract.udp_world import Client, Tell, World
from tests.until import until

HYPOTHESIS = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

# ---- any order of events

OPERATIONS = st.sampled_from(
    ["say"] * 8 + ["burst", "reply", "turn", "turn", "lose", "target", "none", "limit", "idle"]
)


@given(st.lists(OPERATIONS, min_size=300, max_size=300), st.randoms(use_true_random=False))
@settings(HYPOTHESIS, max_examples=5, phases=[Phase.generate])
def test_whatever_happens_every_flow_that_began_ends_once(
    tell: Tell, schedule: list[str], source: Any
) -> None:
    async def story(one: World) -> None:
        clients = one.clients(24)
        servers = [one.server, one.serve(b"other ")]
        for step in schedule:
            await act(one, step, source, clients, servers)
            assert one.front.count == len(one.at_front.live)
            assert sum(back.count for back in one.backs) == len(one.at_back.live)
        one.lead_to(servers[0])
        one.front_limits.idle_seconds = 60
        async with asyncio.timeout(PATIENCE):
            while b"over" not in servers[0].words:
                one.client().say(b"over")
                await asyncio.sleep(0.01)

    tell(story, limits=Limits(most_flows=16), back_limits=Limits(most_flows=12))


async def act(
    one: World, step: str, source: Any, clients: list[Client], servers: list[Any]
) -> None:
    """One thing that may happen."""
    client = source.choice(clients)
    if step in ("say", "burst"):
        for _ in range(1 if step == "say" else 50):
            client.say(bytes(source.randrange(100)))
    elif step == "reply":
        server = source.choice(servers)
        for sender in islice(server.sources, 8):
            server.sock.sendto(b"unasked", sender)
    elif step == "turn":
        await asyncio.sleep(0)
    elif step == "lose":
        one.break_streams()
    elif step == "target":
        one.lead_to(source.choice(servers))
    elif step == "none":
        one.target = None
    elif step == "limit":
        one.front_limits.most_flows = source.randrange(1, 20)
    else:
        one.front_limits.idle_seconds = source.choice((0.01, 0.1, 90))


# ---- peers that mean harm

FRAMES = st.builds(
    lambda kind, flow, payload, segment: (
        header(kind, flow, len(payload), min(segment, len(payload))) + payload
    ),
    st.sampled_from([1, 1, 1, 2, 3, 4, 5]),
    st.integers(0, 30) | st.integers(0, MAX_FLOW),
    st.binary(max_size=30),
    st.integers(1, 30),
)
WORDS = st.builds(header, st.integers(2, 5), st.integers(0, 30))
HARM = st.lists(FRAMES | WORDS | st.binary(max_size=40), max_size=20).map(b"".join)


@given(HARM)
@settings(HYPOTHESIS, max_examples=60)
def test_nothing_that_is_said_on_a_stream_harms_the_servers_end(tell: Tell, harm: bytes) -> None:
    async def story(one: World) -> None:
        peer = one.reach_back()
        peer.send(harm)
        peer.shutdown(socket.SHUT_WR)
        await until(lambda: not one.backs)
        assert one.at_back.peak <= one.back_limits.most_flows
        assert await one.client().ask(b"still served") == b"still served"

    tell(story, limits=Limits(most_flows=4))


@given(HARM)
@settings(HYPOTHESIS, max_examples=60)
def test_nothing_that_is_said_on_a_stream_harms_the_clients_end(tell: Tell, harm: bytes) -> None:
    async def story(one: World) -> None:
        one.makes_streams = False
        peer = one.add_peer()
        for client in one.clients(3):
            client.say(b"hello")
        await until(lambda: one.front.count == 3)
        peer.send(harm)
        peer.shutdown(socket.SHUT_WR)
        await until(lambda: not one.front._stream.is_attached)
        assert len(one.at_front.started) == 3, "the other end begins no flow"
        one.makes_streams = True
        assert await one.client().ask(b"still served") == b"still served"

    tell(story, limits=Limits(most_flows=4))


def test_frames_of_flows_that_are_not_there_are_nobodys(tell: Tell) -> None:
    async def story(one: World) -> None:
        one.makes_streams = False
        peer = one.add_peer()
        clients = one.clients(2)
        for client in clients:
            client.say(b"hello")
        await until(lambda: one.front.count == 2)
        for flow in (0, 3, 1000, MAX_FLOW):
            for kind in (Kind.DATA, Kind.END, Kind.REFUSED):
                peer.send(header(kind, flow))
        peer.send(header(Kind.DATA, 2, 4, 4) + b"mine")
        assert await clients[1].hear() == b"mine"
        assert clients[0].inbox.empty()
        assert all(client.refusals == 0 for client in clients)
        assert one.front.count == 2

    tell(story)


def test_a_peer_that_begins_flows_without_end_costs_no_more_than_the_limit(tell: Tell) -> None:
    most = 32

    async def story(one: World) -> None:
        total = 40_000 if one.descriptors_per_flow == 1 else 10_000  # the latter are slow
        one.server.close()
        peer = one.reach_back()
        before, peaks = descriptors(), [0]

        def look() -> None:
            if len(one.at_back.started) % 1000 == 0:
                peaks.append(descriptors())

        one.at_back.on_start = look
        ended = bytearray()

        async def listen() -> None:
            while data := await asyncio.get_running_loop().sock_recv(peer, 1 << 16):
                ended.extend(data)

        listener = asyncio.create_task(listen())
        for start in range(1, total + 1, 1000):
            frames = b"".join(header(Kind.DATA, flow) for flow in range(start, start + 1000))
            await asyncio.get_running_loop().sock_sendall(peer, frames)
        await until(lambda: len(one.at_back.started) == total, 6 * PATIENCE)
        assert one.backs[0].count <= most
        assert one.at_back.peak <= most
        assert max(peaks) <= before + most * one.descriptors_per_flow + 1
        assert one.at_back.evicted == total - one.backs[0].count
        peer.shutdown(socket.SHUT_WR)
        await listener
        said = [frame.flow for frame in cut(memoryview(ended))[0] if frame.kind == Kind.END]
        assert said == sorted(set(said)), "a flow ended twice"
        assert 0 < len(said) <= one.at_back.evicted

    tell(story, limits=Limits(most_flows=most))


def test_a_servers_end_that_is_closed_by_its_first_flow_begins_no_other(tell: Tell) -> None:
    async def story(one: World) -> None:
        peer = one.reach_back()
        one.at_back.on_start = one.backs[0].close
        words = b"".join(header(Kind.DATA, flow, 2, 2) + b"hi" for flow in range(1, 4))
        await asyncio.get_running_loop().sock_sendall(peer, words)
        assert await asyncio.get_running_loop().sock_recv(peer, 1) == b""
        assert len(one.at_back.started) == len(one.at_back.ended) == 1
        assert one.backs[0].count == 0

    tell(story)


def test_the_end_of_flows_without_end_is_no_burden(tell: Tell) -> None:
    async def story(one: World) -> None:
        peer = one.reach_back()
        frames = b"".join(struct.pack("!IHHB3x", flow, 0, 0, 2) for flow in range(100_000))
        await asyncio.get_running_loop().sock_sendall(
            peer, frames + header(Kind.DATA, 7, 2, 2) + b"ok"
        )
        assert await one.server.hear() == b"ok"
        assert len(one.at_back.started) == 1
        peer.close()
        await until(lambda: not one.backs)

    tell(story)
