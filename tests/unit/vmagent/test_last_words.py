"""What waits for a UDP server's last words, and what does not."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Sequence

from link.listener import Listener
from vmagent.last_words import LastWords


class Talk:
    """A conversation, with a note in the log when it is read to the end."""

    def __init__(self, log: list[object], count: int = 1) -> None:
        self._log = log
        self.count = count

    def drain(self) -> None:
        self._log.append("drained")


class Scene:
    """The log: what was told, as ids of added and removed, and what was drained."""

    def __init__(self) -> None:
        self.log: list[object] = []
        self.talks: dict[Talk, int] = {}
        self.words = LastWords(self.talks.items, self._tell)
        self._told = asyncio.Event()

    def _tell(self, added: Sequence[Listener], removed: Sequence[int]) -> None:
        self.log.append(([each.id for each in added], list(removed)))
        self._told.set()

    def talk(self, port: int, count: int = 1) -> None:
        self.talks[Talk(self.log, count)] = port

    async def told(self) -> None:
        self._told.clear()
        await asyncio.wait_for(self._told.wait(), 10)


def scene(test: Callable[[Scene], Awaitable[None]]) -> Callable[[], None]:
    @functools.wraps(test)
    def run() -> None:
        async def story() -> None:
            scene = Scene()
            try:
                await test(scene)
            finally:
                scene.words.close()

        asyncio.run(story())

    del run.__wrapped__  # it has no parameter
    return run


def udp(identity: int, port: int = 53) -> Listener:
    return Listener(identity, "udp", "0.0.0.0", port)


def tcp(identity: int, port: int = 53) -> Listener:
    return Listener(identity, "tcp", "0.0.0.0", port)


@scene
async def test_a_udp_server_with_clients_is_gone_once_its_last_words_are_read(here: Scene) -> None:
    here.words.changed([udp(1)], [])
    here.talk(53)
    here.talk(54)
    here.words.changed([], [1])
    assert here.log == [([1], [])]
    await here.told()
    assert here.log == [([1], []), "drained", ([], [1])]


@scene
async def test_all_else_is_told_at_once(here: Scene) -> None:
    here.words.changed([udp(1), udp(2, 54), tcp(3)], [])
    here.talk(53)
    here.talk(54, count=0)
    here.words.changed([tcp(4)], [1, 2, 3])
    here.words.changed([tcp(5)], [4])
    assert here.log == [([1, 2, 3], []), ([4], [2, 3]), ([5], [4])]
    await here.told()
    assert here.log[3:] == ["drained", ([], [1])]


@scene
async def test_a_server_that_is_back_meanwhile_never_went(here: Scene) -> None:
    here.talk(53)
    here.words.changed([udp(1), udp(2)], [])
    here.words.changed([], [1, 2])
    here.words.changed([udp(1)], [])
    await here.told()
    assert here.log == [([1, 2], []), ([1], []), "drained", ([], [2])]


@scene
async def test_who_was_told_all_there_is_is_told_nothing_of_before(here: Scene) -> None:
    here.talk(53)
    here.talk(54)
    here.words.changed([udp(1)], [])
    here.words.changed([], [1])
    here.words.forget([udp(2, 54)])
    here.words.changed([], [2])
    await here.told()
    assert here.log == [([1], []), "drained", ([], [2])]
