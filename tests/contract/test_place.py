"""A daemon whose lock or socket somebody removes: it is reached again, or makes room."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from desktop.api.client import ApiClient
from desktop.api.fake import FakeBackend
from desktop.api.server import ApiServer
from desktop.daemon.lock import DaemonLock
from desktop.daemon.place import keep_place
from desktop.errors import ConflictError, NotRunningError
from desktop.paths import Paths
from tests.loops import LOOPS

PATIENCE = 30.0


class CountingLock(DaemonLock):
    """Counts how often somebody looks whether it is still there."""

    looks = 0

    def renew(self) -> bool:
        self.looks += 1
        return super().renew()


@dataclass(frozen=True)
class Place:
    """A server, and what keeps it and its lock where they are."""

    paths: Paths
    lock: CountingLock
    keeper: asyncio.Task[str]

    async def looks(self, count: int) -> None:
        """Wait for so many more looks."""
        before = self.lock.looks
        await self.until(lambda: self.lock.looks >= before + count)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not await asyncio.to_thread(condition):  # noqa: ASYNC110 - files tell nobody
                await asyncio.sleep(0.01)

    def is_reached(self) -> bool:
        try:
            with ApiClient.connect(self.paths.api_socket) as client:
                client.call("status")
        except NotRunningError:
            return False
        return True

    def is_locked(self) -> bool:
        if not self.paths.lock_file.exists():
            return False
        try:
            with DaemonLock(self.paths.lock_file):
                return False
        except ConflictError:
            return True


@pytest.fixture(params=list(LOOPS.values()), ids=list(LOOPS))
def run(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[Callable[[Place], Awaitable[None]]], None]]:
    """Runs a story on either event loop, in a place of its own, of which nothing is left."""
    monkeypatch.setattr("desktop.daemon.place.LOOK_SECONDS", 0.02)
    with tempfile.TemporaryDirectory(prefix="sh-") as home:

        def tell(story: Callable[[Place], Awaitable[None]]) -> None:
            with asyncio.Runner(loop_factory=request.param) as runner:
                runner.run(_tell(Path(home), story))

        yield tell
        assert not any(Path(home).rglob("*.sock"))


async def _tell(home: Path, story: Callable[[Place], Awaitable[None]]) -> None:
    async with asyncio.timeout(2 * PATIENCE), _place(Paths.under(home)) as place:
        await story(place)


@contextlib.asynccontextmanager
async def _place(paths: Paths) -> AsyncIterator[Place]:
    with CountingLock(paths.lock_file) as lock:
        async with ApiServer(paths.api_socket, FakeBackend()) as server:
            keeper = asyncio.create_task(keep_place(lock, server))
            yield Place(paths, lock, keeper)
            keeper.cancel()
            await asyncio.wait([keeper])


Run = Callable[[Callable[[Place], Awaitable[None]]], None]


def test_a_removed_folder_is_made_anew_and_whoever_is_connected_stays(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def story(place: Place) -> None:
        client = await asyncio.to_thread(ApiClient.connect, place.paths.api_socket)
        for _ in range(2):
            shutil.rmtree(place.paths.runtime)
            await place.until(place.is_reached)
            assert place.is_locked()
        assert await asyncio.to_thread(client.call, "status")
        client.close()

    run(story)
    assert caplog.text.count("is made anew") == 2


@pytest.mark.parametrize("name", ["api.sock", "daemon.lock"])
def test_one_file_that_is_removed_is_made_anew(run: Run, name: str) -> None:
    async def story(place: Place) -> None:
        (place.paths.runtime / name).unlink()
        await place.until(lambda: place.is_locked() and place.is_reached())

    run(story)


def test_a_daemon_that_began_meanwhile_stays_and_the_first_says_so(run: Run) -> None:
    async def story(place: Place) -> None:
        shutil.rmtree(place.paths.runtime)
        with DaemonLock(place.paths.lock_file):
            async with ApiServer(place.paths.api_socket, FakeBackend()):
                assert "running already" in await asyncio.wait_for(place.keeper, PATIENCE)
                assert await asyncio.to_thread(place.is_reached)

    run(story)


def test_whoever_takes_the_lock_alone_finds_the_daemon_and_ends_nothing(run: Run) -> None:
    """A daemon takes the lock first; then it finds who answers, and goes."""

    async def story(place: Place) -> None:
        place.paths.lock_file.unlink()
        other = DaemonLock(place.paths.lock_file)
        other.acquire()
        await place.looks(3)
        assert await asyncio.to_thread(place.is_reached)
        other.release()
        await place.until(place.is_locked)
        assert not place.keeper.done()

    run(story)


def test_what_is_in_its_place_is_told_once_and_gone_the_daemon_is_reached(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def story(place: Place) -> None:
        shutil.rmtree(place.paths.runtime)
        place.paths.runtime.write_text("a file")
        await place.until(lambda: "no command can reach this daemon" in caplog.text)
        await place.looks(3)
        place.paths.runtime.unlink()
        await place.until(place.is_reached)

    caplog.set_level(logging.WARNING)
    run(story)
    assert caplog.text.count("no command can reach this daemon") == 1
