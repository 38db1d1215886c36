"""Programs of a sandbox: what is missing, and what they say."""

from __future__ import annotations

import asyncio

import psutil
import pytest

from desktop.errors import SamehostError
from desktop.machines.sandbox.programs import (
    environment,
    missing_programs,
    require_programs,
    run,
)
from tests.until import until


def test_missing_programs_are_named_with_what_to_install() -> None:
    def find(name: str) -> str | None:
        return None if name in ("dockerd", "ip") else f"/bin/{name}"

    assert missing_programs(find) == ["dockerd", "ip"]
    with pytest.raises(SamehostError) as caught:
        require_programs(find)
    assert "dockerd, ip" in caught.value.message
    assert caught.value.remedy == "sudo apt-get install docker.io iproute2"


def test_nothing_is_missing_where_all_is_found() -> None:
    require_programs(lambda name: f"/bin/{name}")
    assert missing_programs(lambda name: f"/bin/{name}") == []


def test_administrators_folders_are_searched_and_nothing_of_the_user_is_passed_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "/usr/bin")
    monkeypatch.setenv("TOKEN", "secret")
    assert "/usr/sbin" in environment()["PATH"].split(":")
    assert set(environment()) == {"PATH", "LC_ALL"}


def test_a_failing_program_is_an_error_with_its_own_words() -> None:
    with pytest.raises(SamehostError, match=r"sh failed: no luck"):
        asyncio.run(run("sh", "-c", "echo no luck >&2; exit 3"))


def test_a_program_gets_its_input_and_gives_its_output() -> None:
    result = asyncio.run(run("tr", "a-z", "A-Z", feed="words"))
    assert result.stdout == "WORDS"


def test_a_cancelled_program_has_ended_when_the_cancellation_arrives() -> None:
    async def body() -> None:
        before = _children()
        task = asyncio.create_task(run("sleep", "1000"))
        await until(lambda: _children() - before)
        children = _children() - before
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert _children().isdisjoint(children)

    asyncio.run(body())


def _children() -> set[int]:
    return {each.pid for each in psutil.Process().children()}
