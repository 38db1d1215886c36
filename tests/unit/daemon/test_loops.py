"""Each platform's daemon has the event loop that suits its data plane."""

from __future__ import annotations

import asyncio
import pkgutil

import pytest

from desktop.daemon.loops import new_event_loop
from tests.capabilities import LINUX_KERNEL, UVLOOP, needs
from tests.threaded_loop import SelectorProactor


@pytest.mark.parametrize(
    ("platform", "kind"),
    [
        pytest.param("linux", "link.loop.DirectLoop", marks=needs(LINUX_KERNEL)),
        pytest.param("darwin", "uvloop.Loop", marks=needs(UVLOOP)),
        ("win32", "desktop.daemon.windows_loop.Readiness"),
    ],
)
def test_each_platform_has_its_loop(
    platform: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asyncio, "ProactorEventLoop", SelectorProactor, raising=False)
    loop = new_event_loop(platform)
    try:
        assert isinstance(loop, pkgutil.resolve_name(kind))
    finally:
        loop.close()
