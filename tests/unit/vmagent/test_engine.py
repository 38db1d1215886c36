"""Following an engine that is there, away, slow or mad."""

from __future__ import annotations

import asyncio
import glob
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.fake_docker import ID, Engine, container
from tests.fake_engine import running
from tests.until import until
from vmagent import engine as engine_module
from vmagent.engine import ENGINE_SOCKETS, EngineWatcher
from vmagent.engines import follower


def name_of(watcher: EngineWatcher, container_id: str = ID) -> str:
    return watcher.details_of(container_id).name


def follow(
    folder: Path,
    scenario: Callable[[Engine, EngineWatcher, list[str]], Awaitable[None]],
    extra_paths: tuple[str, ...] = (),
    usual: str = "",
) -> None:
    """Run a scenario with a watcher that runs; each call-back notes the name known then.

    `usual` is a pattern by which the watcher finds the engine, if it is not told of it.
    """

    async def main() -> None:
        calls: list[str] = []
        engine = Engine(folder / "docker.sock")
        told = [] if usual else [engine.path]
        watcher = EngineWatcher(
            [*told, *extra_paths],
            lambda: calls.append(name_of(watcher)),
            usual=[str(folder / usual)] if usual else [],
        )
        try:
            async with running(watcher):
                await scenario(engine, watcher, calls)
        finally:
            await engine.stop()

    asyncio.run(main())


def test_names_and_network_modes_are_listed(tmp_path: Path) -> None:
    async def scenario(engine: Engine, watcher: EngineWatcher, calls: list[str]) -> None:
        engine.listed = [container("web")]
        await engine.start()
        await until(lambda: name_of(watcher) == "web")
        assert watcher.has_host_networked is True
        assert calls
        assert name_of(watcher, "unknown") == ""

    follow(tmp_path, scenario)


@pytest.mark.parametrize(
    ("mode", "answer"), [("host", True), ("bridge", False), (None, True), ("container:x", False)]
)
def test_only_host_mode_or_an_unknown_one_shares_the_network(
    tmp_path: Path, mode: str | None, answer: bool
) -> None:
    async def scenario(engine: Engine, watcher: EngineWatcher, calls: list[str]) -> None:
        engine.listed = [container("web", mode)]
        await engine.start()
        await until(lambda: calls)
        assert watcher.has_host_networked is answer

    follow(tmp_path, scenario)


def test_nobody_knows_before_an_engine_answers(tmp_path: Path) -> None:
    async def scenario(engine: Engine, watcher: EngineWatcher, _: list[str]) -> None:
        assert watcher.has_host_networked is None
        await engine.start()
        await until(lambda: watcher.has_host_networked is False)
        await engine.stop()
        await until(lambda: watcher.has_host_networked is None)

    follow(tmp_path, scenario)


def test_it_tells_which_engines_answer_and_why_one_does_not(tmp_path: Path) -> None:
    away = str(tmp_path / "away.sock")

    async def scenario(engine: Engine, watcher: EngineWatcher, _calls: list[str]) -> None:
        await engine.start()
        await until(lambda: watcher.has_host_networked is not None and watcher.failures)
        here, other = watcher.states()
        assert (here.socket, here.trouble) == (engine.path, "")
        assert other.socket == away
        assert "No such file" in other.trouble
        await engine.stop()
        await until(lambda: watcher.states()[0].trouble)

    follow(tmp_path, scenario, extra_paths=(away,))


def test_engines_are_told_by_the_paths_of_the_machine(tmp_path: Path) -> None:
    watcher = EngineWatcher(["/run/docker.sock"], lambda: None, (), root=str(tmp_path))
    (state,) = watcher.states()
    assert (state.socket, state.trouble) == ("/run/docker.sock", "it has not answered yet")


def test_an_event_gives_the_name_at_once_and_asks_for_the_list(tmp_path: Path) -> None:
    async def scenario(engine: Engine, watcher: EngineWatcher, calls: list[str]) -> None:
        await engine.start()
        await until(lambda: engine.followers and engine.lists)
        calls.clear()
        engine.emit("start", "web")
        await until(lambda: calls)
        assert calls[0] == "web"
        engine.listed = [container("web")]
        await until(lambda: watcher.has_host_networked)

    follow(tmp_path, scenario)


def test_a_rename_is_learned(tmp_path: Path) -> None:
    async def scenario(engine: Engine, watcher: EngineWatcher, _: list[str]) -> None:
        engine.listed = [container("old")]
        await engine.start()
        await until(lambda: engine.followers and name_of(watcher) == "old")
        engine.listed = [container("new")]
        engine.emit("rename", "new")
        await until(lambda: name_of(watcher) == "new")

    follow(tmp_path, scenario)


def test_every_event_kicks_but_an_exec_does_not_ask_for_the_list(tmp_path: Path) -> None:
    async def scenario(engine: Engine, _: EngineWatcher, calls: list[str]) -> None:
        await engine.start()
        # The second list comes of the events' beginning.
        await until(lambda: engine.followers and engine.lists == 2)
        calls.clear()
        for number in range(20):
            engine.emit(f"exec_start: sh -c {number}", "web")
        # One more if the list that was under way is known only now, and differs from events.
        await until(lambda: len(calls) >= 20)
        engine.emit("start", "web")
        await until(lambda: engine.lists == 3)

    follow(tmp_path, scenario)


def test_many_events_ask_for_few_lists(tmp_path: Path) -> None:
    async def scenario(engine: Engine, _: EngineWatcher, calls: list[str]) -> None:
        await engine.start()
        await until(lambda: engine.followers and engine.lists == 2)
        began = asyncio.get_running_loop().time()
        for number in range(500):
            engine.emit("start", f"web{number}", f"{number:064x}")
        await until(lambda: len(calls) >= 500)
        await until(lambda: engine.lists >= 3)
        elapsed = asyncio.get_running_loop().time() - began
        assert engine.lists <= 3 + elapsed / follower.LIST_GAP

    follow(tmp_path, scenario)


def test_an_engine_that_restarts_is_found_again(tmp_path: Path) -> None:
    async def scenario(engine: Engine, watcher: EngineWatcher, _: list[str]) -> None:
        engine.listed = [container("web")]
        await engine.start()
        await until(lambda: engine.followers and name_of(watcher) == "web")
        await engine.stop()
        await until(lambda: watcher.has_host_networked is None)
        assert name_of(watcher) == "web"
        engine.listed = [container("again")]
        await engine.start()
        await until(lambda: name_of(watcher) == "again")

    follow(tmp_path, scenario)


def test_a_hanging_engine_is_given_up_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower, "REQUEST_SECONDS", 0.05)

    async def scenario(engine: Engine, watcher: EngineWatcher, _: list[str]) -> None:
        engine.listed = [container("web")]
        engine.hang = True
        await engine.start()
        await until(lambda: engine.requests >= 4)
        assert watcher.has_host_networked is None
        engine.hang = False
        await until(lambda: name_of(watcher) == "web")

    follow(tmp_path, scenario)


@pytest.mark.parametrize(
    "listed",
    [{"a": 1}, ["x", 5, {}], [{"Id": 3, "Names": "x"}], [{"Id": ID, "Names": [7]}], None],
)
def test_a_list_of_nonsense_does_no_harm(tmp_path: Path, listed: object) -> None:
    async def scenario(engine: Engine, watcher: EngineWatcher, _: list[str]) -> None:
        engine.listed = listed
        await engine.start()
        await until(lambda: engine.lists >= 2)
        assert name_of(watcher) == ""
        engine.listed = [container("web")]
        await until(lambda: engine.followers)
        engine.emit("restart", "")
        await until(lambda: name_of(watcher) == "web")

    follow(tmp_path, scenario)


@pytest.mark.parametrize(
    "raw",
    [
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 500 Oh\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\n\r\n" + b"[" * 200_000,
        b"HTTP/1.1 200 OK\r\n\r\n\xff",
    ],
)
def test_an_engine_that_talks_nonsense_heals(tmp_path: Path, raw: bytes) -> None:
    async def scenario(engine: Engine, watcher: EngineWatcher, _: list[str]) -> None:
        engine.raw = raw
        await engine.start()
        await until(lambda: engine.requests >= 4)
        assert watcher.has_host_networked is None
        engine.raw = None
        engine.listed = [container("web")]
        await until(lambda: name_of(watcher) == "web")

    follow(tmp_path, scenario)


def test_a_name_is_one_short_printable_line(tmp_path: Path) -> None:
    async def scenario(engine: Engine, watcher: EngineWatcher, _: list[str]) -> None:
        engine.listed = [container("a\nb\x1b[31m" + "c" * 1000)]
        await engine.start()
        await until(lambda: name_of(watcher))
        assert name_of(watcher) == "ab[31m" + "c" * 249

    follow(tmp_path, scenario)


def test_one_socket_under_two_names_is_followed_once(tmp_path: Path) -> None:
    (tmp_path / "alias").symlink_to(tmp_path, target_is_directory=True)

    async def scenario(engine: Engine, watcher: EngineWatcher, _: list[str]) -> None:
        engine.listed = [container("web")]
        await engine.start()
        await until(lambda: name_of(watcher) == "web" and engine.lists == 2)
        assert engine.followers == 1

    follow(tmp_path, scenario, (str(tmp_path / "alias" / "docker.sock"),))


def test_an_engine_that_is_away_hides_no_other(tmp_path: Path) -> None:
    async def scenario(engine: Engine, watcher: EngineWatcher, _: list[str]) -> None:
        engine.listed = [container("web", "bridge")]
        await engine.start()
        await until(lambda: name_of(watcher) == "web")
        assert watcher.has_host_networked is False

    follow(tmp_path, scenario, (str(tmp_path / "podman.sock"),))


def test_an_engine_that_appears_at_a_usual_place_is_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "LOOK_SECONDS", 0.02)

    async def scenario(engine: Engine, watcher: EngineWatcher, _: list[str]) -> None:
        await asyncio.sleep(0)
        assert watcher.has_host_networked is None
        engine.listed = [container("web")]
        await engine.start()
        await until(lambda: name_of(watcher) == "web")
        await engine.stop()
        await until(lambda: watcher.has_host_networked is None)
        engine.listed = [container("again")]
        await engine.start()
        await until(lambda: name_of(watcher) == "again")
        assert engine.followers <= 1

    follow(tmp_path, scenario, usual="*.sock")


def test_no_more_engines_are_followed_than_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "LOOK_SECONDS", 0.01)
    looks, find = 0, glob.glob

    def look(pattern: str) -> list[str]:
        nonlocal looks
        looks += 1
        return find(pattern)

    monkeypatch.setattr("vmagent.engine.glob.glob", look)
    for number in range(engine_module.MOST_ENGINES):
        (tmp_path / f"{number:02}.sock").touch()

    async def scenario(engine: Engine, watcher: EngineWatcher, _: list[str]) -> None:
        await until(lambda: looks)
        await engine.start()
        await until(lambda: looks >= 10)
        assert (engine.requests, watcher.has_host_networked) == (0, None)

    follow(tmp_path, scenario, usual="*.sock")


def test_a_hanging_engine_holds_up_no_other(tmp_path: Path) -> None:
    async def scenario(engine: Engine, watcher: EngineWatcher, _: list[str]) -> None:
        hanging = Engine(tmp_path / "podman.sock")
        hanging.hang = True
        await hanging.start()
        try:
            engine.listed = [container("web")]
            await engine.start()
            await until(lambda: hanging.requests and name_of(watcher) == "web")
            engine.emit("rename", "new")
            await until(lambda: name_of(watcher) == "new")
        finally:
            await hanging.stop()

    follow(tmp_path, scenario, (str(tmp_path / "podman.sock"),))


def test_of_two_engines_the_one_given_first_names_a_container(tmp_path: Path) -> None:
    async def scenario(engine: Engine, watcher: EngineWatcher, _: list[str]) -> None:
        other = Engine(tmp_path / "podman.sock")
        other.listed = [container("liar"), container("db", "bridge", "cd" * 32)]
        await other.start()
        try:
            await until(lambda: name_of(watcher) == "liar")
            engine.listed = [container("web")]
            await engine.start()
            await until(lambda: name_of(watcher) == "web")
            assert name_of(watcher, "cd" * 32) == "db"
        finally:
            await other.stop()

    follow(tmp_path, scenario, (str(tmp_path / "podman.sock"),))


def test_podmans_events_are_understood(tmp_path: Path) -> None:
    # As Podman 4.3.1's compatible service wrote it, the id apart.
    event = {
        "status": "rename",
        "id": ID,
        "from": "localhost/samehost/netshoot:latest",
        "Type": "container",
        "Action": "rename",
        "Actor": {
            "ID": ID,
            "Attributes": {
                "containerExitCode": "0",
                "image": "localhost/samehost/netshoot:latest",
                "name": "renamed",
                "podId": "",
            },
        },
        "scope": "local",
        "time": 1795550376,
        "timeNano": 1795550376803283470,
    }

    async def scenario(engine: Engine, _: EngineWatcher, calls: list[str]) -> None:
        await engine.start()
        await until(lambda: engine.followers and engine.lists == 2)
        calls.clear()
        engine.write(event)
        await until(lambda: calls)
        assert calls[0] == "renamed"

    follow(tmp_path, scenario)


def test_the_usual_places_are_those_of_docker_podman_and_containerd() -> None:
    assert {path.rpartition("/")[2] for path in ENGINE_SOCKETS} == {
        "docker.sock",
        "podman.sock",
        "containerd.sock",
    }
