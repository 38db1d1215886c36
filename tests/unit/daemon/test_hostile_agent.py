"""An agent that has the secret and means harm, or is broken: what it can make the desktop do.

It may say anything on any stream. It names ports, the desktop decides addresses: nothing that it
says opens what the rules do not mirror, and what breaks the rules ends its link and nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desktop.daemon.link import AgentLink
from desktop.mirror.rules import Rules
from desktop.settings.values import parse_rule
from desktop.transports.memory import MemoryTransport, tcp_pair
from desktop.transports.transport import TransportError
from link.handshake import SECRET_SIZE, Role
from link.listener import Listener
from link.messages import Message, Wanted, encode
from link.pool import StreamPool
from link.relay.select import open_relay
from link.wire import OpenRequest, encode_frame
from tests.effort import EFFORT
from tests.fake_machine import FILES
from tests.fuzz.of_link import OF_LINK
from tests.fuzz.parser import inputs
from tests.link_messages import WELCOME
from tests.unit.daemon.test_mirroring import link_up, mirroring_of, run, until_states
from vmagent.door import Door

SECRET = bytes(range(SECRET_SIZE))
PATIENCE = 30.0
WELCOMING = encode_frame(encode(WELCOME))
CONTROL = next(each for each in OF_LINK if each.name.startswith("link.session"))


class HostileAgent:
    """Lets the desktop in as it should be, and then says `words`, by the stream's role."""

    def __init__(self, words: dict[Role, bytes], *, hangs_up: bool) -> None:
        self.words = words
        self._hangs_up = hangs_up
        self.streams: list[socket.socket] = []
        self.door = Door(SECRET, self.enter, files=FILES)

    def enter(self, stream: socket.socket, role: Role) -> None:
        self.streams.append(stream)
        with contextlib.suppress(OSError):  # the desktop may have left meanwhile
            stream.send(self.words.get(role, b""))
            if role is Role.CONTROL and self._hangs_up:
                stream.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self.door.close()
        for stream in self.streams:
            stream.close()


class Owner:
    """Whose link it is."""

    def __init__(self) -> None:
        self.asked: list[OpenRequest] = []

    def message(self, message: Message) -> None:
        """Whatever it is, it is one of the vocabulary."""

    def opened(self, stream: socket.socket, request: OpenRequest) -> None:
        self.asked.append(request)
        stream.close()


def story_of(words: dict[Role, bytes], *, hangs_up: bool = True) -> str:
    """Why the link ended, if nothing went wrong on the desktop meanwhile."""
    troubles: list[dict[str, Any]] = []

    async def story() -> str:
        asyncio.get_running_loop().set_exception_handler(lambda _, what: troubles.append(what))
        relay, owner = open_relay(), Owner()
        agent = HostileAgent(words, hangs_up=hangs_up)
        pool = StreamPool(lambda: None, relay.readiness)
        try:
            async with asyncio.timeout(PATIENCE):
                link = AgentLink(MemoryTransport(agent.door.admit), SECRET, pool, owner)
                return await end_of(link)
        finally:
            pool.close()
            await relay.aclose()
            agent.close()

    reason = asyncio.run(story())
    assert not troubles
    return reason


async def end_of(link: AgentLink) -> str:
    """Why a link ended, early or late."""
    try:
        await link.open()
    except TransportError as error:
        return str(error)
    return await link.run()


@settings(max_examples=12 * EFFORT, deadline=None)
@given(
    st.sampled_from([WELCOMING, b""]),
    inputs(CONTROL),
    st.binary(max_size=60),
    st.binary(max_size=60),
)
def test_whatever_an_agent_says_ends_its_link_at_most(
    welcome: bytes, control: bytes, outbound: bytes, parked: bytes
) -> None:
    said = {Role.CONTROL: welcome + control[1:], Role.OUTBOUND: outbound, Role.PARKED: parked}
    assert story_of(said)


@pytest.mark.parametrize("welcome", [WELCOMING, b""], ids=["welcome", "none"])
@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (b"\xff\xff\xff\xff", "over the limit"),
        (b"\0\0\0\2[]", "not a JSON object"),
        (b'\0\0\0\x11{"kind":"wanted"}', "count is not"),
        (b"", "closed the link"),
    ],
)
def test_what_breaks_the_rules_is_the_reason_why_the_link_ends(
    welcome: bytes, words: bytes, reason: str
) -> None:
    assert reason in story_of({Role.CONTROL: welcome + words})


def test_an_agent_whose_first_word_is_no_welcome_has_no_link() -> None:
    words = encode_frame(encode(Wanted(1)))
    assert "no welcome" in story_of({Role.CONTROL: words + WELCOMING})


def test_an_agent_that_says_nothing_has_no_link(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("desktop.daemon.link.HANDSHAKE_SECONDS", 0.2)
    assert "does not answer" in story_of({}, hangs_up=False)


def test_a_link_is_open_once_its_agent_has_said_who_it_is() -> None:
    async def story() -> None:
        relay, agent = open_relay(), HostileAgent({}, hangs_up=False)
        pool = StreamPool(lambda: None, relay.readiness)
        link = AgentLink(MemoryTransport(agent.door.admit), SECRET, pool, Owner())
        opening = asyncio.create_task(link.open(), name="opening")
        try:
            while not agent.streams:
                await asyncio.wait([opening], timeout=0.01)
            assert not opening.done()
            agent.streams[0].send(WELCOMING)
            await opening
        finally:
            link.give_up("the test is over")
            await link.run()
            pool.close()
            await relay.aclose()
            agent.close()

    run(story)


async def is_refused(opened: Callable[[socket.socket], None]) -> bool:
    """True if a stream that is opened so is reset or ended, and brings nothing."""
    near, far = tcp_pair()
    opened(far)
    with near:
        try:
            return await asyncio.get_running_loop().sock_recv(near, 100) == b""
        except ConnectionResetError:
            return True


def with_servers(story: Callable[[int, int, int], Awaitable[None]]) -> None:
    """Three servers of this computer, which say a secret to whoever connects."""
    servers = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
    try:
        run(lambda: story(*(int(server.getsockname()[1]) for server in servers)))
        for server in servers:
            server.setblocking(False)
            with pytest.raises(BlockingIOError):
                server.accept()
    finally:
        for server in servers:
            server.close()


def test_a_forged_opening_reaches_nothing_that_the_rules_do_not_mirror() -> None:
    async def story(ignored: int, unseen: int, off: int) -> None:
        listeners = [Listener(1, "tcp", "127.0.0.1", ignored), Listener(2, "udp", "127.0.0.1", off)]
        async with mirroring_of(*listeners) as mirroring:
            mirroring.configure(Rules(ignore=(parse_rule(f"host:tcp:{ignored}"),)))
            vm = link_up(mirroring)
            await until_states(mirroring, "ignored", "pending")
            for address in ("127.0.0.1", "127.0.0.2", "0.0.0.0", "::1", "::", "192.0.2.1"):
                for port in (ignored, unseen, off):
                    request = OpenRequest(address, port)
                    assert await is_refused(lambda far, asked=request: vm.opened(far, asked))  # type: ignore[misc]

    with_servers(story)


def test_an_opening_after_the_link_is_lost_reaches_nothing() -> None:
    async def story(port: int, _two: int, _three: int) -> None:
        async with mirroring_of(Listener(1, "tcp", "127.0.0.1", port)) as mirroring:
            vm = link_up(mirroring)
            await until_states(mirroring, "pending")
            mirroring.configure(Rules(reach_host=False))
            await until_states(mirroring)
            assert await is_refused(lambda far: vm.opened(far, OpenRequest("127.0.0.1", port)))

    with_servers(story)


def test_a_secret_of_another_session_opens_no_link() -> None:
    async def story() -> None:
        door = Door(os.urandom(SECRET_SIZE), lambda *_: pytest.fail("it got in"), files=FILES)
        relay = open_relay()
        pool = StreamPool(lambda: None, relay.readiness)
        link = AgentLink(MemoryTransport(door.admit), SECRET, pool, Owner())
        with pytest.raises(Exception, match=r"hung up|closed the stream"):
            await link.open()
        door.close()
        pool.close()
        await relay.aclose()

    run(story)
