"""Each platform's daemon has the event loop that suits its data plane."""

from __future__ import annotations

import asyncio

import pytest
import uvloop

from desktop.daemon.loops import new_event_loop
from desktop.daemon.windows_loop import Readiness
from link.loop import DirectLoop
from tests.threaded_loop import SelectorProactor


@pytest.mark.parametrize(
    ("platform", "kind"),
    [("linux", DirectLoop), ("darwin", uvloop.Loop), ("win32", Readiness)],
)
def test_each_platform_has_its_loop(
    platform: str, kind: type[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asyncio, "ProactorEventLoop", SelectorProactor, raising=False)
    loop = new_event_loop(platform)
    try:
        assert isinstance(loop, kind)
    finally:
        loop.close()
