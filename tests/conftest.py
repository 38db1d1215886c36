"""For all tests: things that are made up may take their time on a busy computer.

What is there before the first test is no garbage, and is not looked at each time that some is
collected: thousands of tests, and all their modules. Garbage of tests that have Qt's application is
collected as `garbage.py` says; a run ends as `left_threads.py` says.
"""

from __future__ import annotations

import gc
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

from tests.garbage import Garbage
from tests.left_threads import end_despite_threads

settings.register_profile("samehost", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("samehost")

GARBAGE = Garbage()
STATUS = pytest.StashKey[int]()
"""How the run went."""


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Before the first test."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(
    item: pytest.Item, nextitem: pytest.Item | None
) -> Generator[None, object, object]:
    """From before the first fixture until after the last one."""
    if not _has_qt(item):
        return (yield)
    with GARBAGE.of_test(is_last=nextitem is None or not _has_qt(nextitem)):
        return (yield)


def _has_qt(item: pytest.Item) -> bool:
    return "qapp" in getattr(item, "fixturenames", ())


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Before the last words."""
    session.config.stash[STATUS] = exitstatus


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """After the last words."""
    end_despite_threads(config.stash.get(STATUS, pytest.ExitCode.INTERNAL_ERROR))
