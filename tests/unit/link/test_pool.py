"""The pool of idle streams, and the acceptor, on real sockets."""

from __future__ import annotations

import asyncio
import errno
import socket

import pytest

from link import acceptor as acceptor_module
from link import pool as pool_module
from link.acceptor import Acceptor, listen_tcp
from link.pool import StreamPool
from link.stream import Stream
from tests.stories import run
from tests.until import until

PATIENCE = 30.0


def test_the_stream_used_last_is_used_first_and_who_waits_longest_is_served_first() -> None:
    async def story() -> None:
        pool = StreamPool(lambda: None)
        pairs = [socket.socketpair() for _ in range(4)]
        taken: list[tuple[int, socket.socket | None]] = []
        pool.put(pairs[0][0])
        pool.put(pairs[1][0])
        assert pool.idle == 2
        for number in range(4):
            pool.take(lambda stream, number=number: taken.append((number, stream)))  # type: ignore[misc]
        assert taken == [(0, pairs[1][0]), (1, pairs[0][0])]
        pool.put(pairs[2][0])
        pool.put(pairs[3][0])
        assert taken[2:] == [(2, pairs[2][0]), (3, pairs[3][0])]
        assert (pool.idle, pool.waiting) == (0, 0)
        pool.close()
        for pair in pairs:
            for end in pair:
                end.close()

    run(story)


def test_need_is_told_when_a_taker_waits_or_fewer_are_idle_than_is_enough() -> None:
    async def story() -> None:
        needs: list[tuple[int, int]] = []
        pool = StreamPool(lambda: needs.append((pool.idle, pool.waiting)))
        pairs = [socket.socketpair() for _ in range(3)]
        for near, _ in pairs:
            pool.put(near)
        pool.enough = 2
        drawn = [pool.draw(), pool.draw()]
        assert needs == [(1, 0)]
        drawn.append(pool.draw())
        assert pool.draw() is None
        pool.wait(drawn.append)
        assert needs == [(1, 0), (0, 0), (0, 1)]
        pool.close()
        assert drawn == [pairs[2][0], pairs[1][0], pairs[0][0], None]
        for pair in pairs:
            for end in pair:
                end.close()

    run(story)


def test_a_drawn_stream_comes_home_and_one_whose_link_is_gone_does_not() -> None:
    async def story() -> None:
        pool = StreamPool(lambda: None)
        for is_link_gone in (False, True):
            near, far = socket.socketpair()
            pool.put(Stream.of(near))
            stream = pool.draw()
            assert isinstance(stream, Stream)
            assert stream.home is not None
            if is_link_gone:
                pool.clear()
            stream.home(stream)
            assert pool.idle == (0 if is_link_gone else 1)
            pool.clear()
            assert far.recv(1) == b""
            far.close()

    run(story)


def test_no_more_streams_are_kept_than_may_be_needed_at_once() -> None:
    async def story() -> None:
        pool = StreamPool(lambda: None)
        pool.most_idle = 1
        fars = []
        drawn = []
        for _ in range(2):
            near, far = socket.socketpair()
            pool.put(Stream.of(near))
            fars.append(far)
        for _ in range(2):
            stream = pool.draw()
            assert isinstance(stream, Stream)
            drawn.append(stream)
        for stream in drawn:
            assert stream.home is not None
            stream.home(stream)
        assert pool.idle == 1
        assert drawn[1].fileno() == -1
        pool.close()
        for far in fars:
            far.close()

    run(story)


def test_an_idle_stream_that_ends_or_speaks_is_dropped() -> None:
    async def story() -> None:
        pool = StreamPool(lambda: None)
        ends = []
        for _ in range(2):
            near, far = socket.socketpair()
            pool.put(near)
            ends.append(far)
        ends[0].close()
        ends[1].send(b"out of turn")
        await until(lambda: pool.idle == 0)
        with ends[1] as hasty, pytest.raises(ConnectionResetError):
            hasty.recv(1)
        pool.close()

    run(story)


def test_a_taker_without_a_stream_in_time_gets_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "WAIT_SECONDS", 0.05)

    async def story() -> None:
        pool = StreamPool(lambda: None)
        got: list[socket.socket | None] = []
        pool.take(got.append)
        await until(lambda: got == [None])
        assert (pool.waiting, pool.expired, pool.refused) == (0, 1, 0)
        pool.close()

    run(story)


def test_takers_beyond_the_limit_are_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "MAX_WAITING", 1)

    async def story() -> None:
        pool = StreamPool(lambda: None)
        first: list[socket.socket | None] = []
        second: list[socket.socket | None] = []
        pool.take(first.append)
        pool.take(second.append)
        assert (first, second) == ([], [None])
        assert (pool.expired, pool.refused) == (0, 1)
        pool.close()
        assert first == [None]

    run(story)


def test_a_link_that_goes_takes_its_streams_but_not_the_waiting() -> None:
    async def story() -> None:
        pool = StreamPool(lambda: None)
        near, far = socket.socketpair()
        pool.put(near)
        pool.clear()
        assert far.recv(1) == b""
        got: list[socket.socket | None] = []
        pool.take(got.append)
        pool.clear()
        assert got == []
        again, other = socket.socketpair()
        pool.put(again)
        assert got == [again]
        for end in (far, again, other):
            end.close()
        pool.close()

    run(story)


def test_a_shortage_of_descriptors_pauses_accepting_and_heals(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(acceptor_module, "SHORTAGE_SECONDS", (0.02, 0.04))

    class Short:
        """A listening socket whose first accepts find no descriptor."""

        def __init__(self, sock: socket.socket) -> None:
            self._sock = sock
            self.failures = 3

        def _accept(self) -> tuple[int, object]:
            if self.failures:
                self.failures -= 1
                raise OSError(errno.EMFILE, "too many open files")
            return self._sock._accept()  # type: ignore[attr-defined, no-any-return]

        accept = _accept

        def __getattr__(self, name: str) -> object:
            return getattr(self._sock, name)

    async def story() -> None:
        accepted: asyncio.Queue[socket.socket] = asyncio.Queue()
        short = Short(listen_tcp("127.0.0.1", 0))
        acceptor = Acceptor(short, accepted.put_nowait)  # type: ignore[arg-type]
        with socket.create_connection(acceptor.address):
            (await asyncio.wait_for(accepted.get(), PATIENCE)).close()
        assert short.failures == 0
        acceptor.close()
        acceptor.close()

    run(story)
    assert "too many open files" in caplog.text


def test_an_ipv6_listener_leaves_ipv4_alone() -> None:
    with listen_tcp("::", 0) as six:
        port = six.getsockname()[1]
        with listen_tcp("0.0.0.0", port) as four:
            assert four.getsockname()[1] == port


def test_two_listeners_never_share_a_port() -> None:
    with listen_tcp("127.0.0.1", 0) as first:
        with pytest.raises(OSError, match="in use"):
            listen_tcp("0.0.0.0", first.getsockname()[1])
