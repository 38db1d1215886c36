"""For all tests: things that are made up may take their time on a busy computer.

Modules that this system cannot import are skipped, with the reason (`capabilities.py`). Folders of
tests lie in /tmp where the system's own place, as macOS's, is so deep that no Unix
socket can be made below. At least 1024 files may be open, as on Linux. What is there before the
first test is no garbage, and is not looked at each time that some is collected: thousands of tests,
and all their modules. Garbage of tests that have Qt's application is collected as `garbage.py`
says; a run ends as `left_threads.py` says.
"""

from __future__ import annotations

import gc
import importlib.util
import os
import tempfile
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, settings

from tests.capabilities import missing_for
from tests.garbage import Garbage
from tests.left_threads import end_despite_threads
from tests.loops import watch_sockets

settings.register_profile("samehost", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("samehost")
watch_sockets()

DEEPEST: Final = 40
"""Characters of the folder for temporary files: pytest and tests add 60, and 103 are allowed."""

if os.name == "posix" and len(tempfile.gettempdir()) > DEEPEST:
    tempfile.tempdir = "/tmp"

LEAST_FILES: Final = 1024
"""macOS lets a process that says nothing have 256."""


def allow_files() -> None:
    """Where there is a limit of open files (setrlimit(2)), see that it is no lower than that."""
    if importlib.util.find_spec("resource") is None:
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= soft < LEAST_FILES:
        resource.setrlimit(resource.RLIMIT_NOFILE, (LEAST_FILES, hard))


allow_files()

GARBAGE = Garbage()
STATUS = pytest.StashKey[int]()
"""How the run went."""


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Before the first test."""
    gc.collect()
    gc.freeze()


class Unimportable(pytest.Module):
    """A module that is not imported: skipped as a whole."""

    def collect(self) -> Iterable[pytest.Item | pytest.Collector]:
        """See the class."""
        pytest.skip(missing_for(self.path), allow_module_level=True)


def pytest_pycollect_makemodule(
    module_path: Path, parent: pytest.Collector
) -> pytest.Module | None:
    """None leaves it to pytest."""
    if not missing_for(module_path):
        return None
    return Unimportable.from_parent(parent, path=module_path)


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
