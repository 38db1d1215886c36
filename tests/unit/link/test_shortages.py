"""What is short is counted by its kind, and flows leave some memory to the rest."""

from __future__ import annotations

import errno
import subprocess
import sys

import pytest

from link.shortages import FLOWS_PER_LOOK, Shortages
from tests.capabilities import LINUX_KERNEL, needs


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.EMFILE, "files"),
        (errno.ENFILE, "files"),
        (errno.ENOMEM, "memory"),
        (errno.ENOBUFS, "memory"),
        (errno.EADDRNOTAVAIL, "ports"),
        (errno.ECONNREFUSED, ""),
    ],
)
def test_a_failed_connection_is_counted_by_what_was_short(number: int, kind: str) -> None:
    shortages = Shortages()
    shortages.note(OSError(number, "failed"))
    counted = {name: getattr(shortages, name) for name in ("files", "memory", "ports")}
    assert counted == {name: int(name == kind) for name in counted}


PROGRAM = """
import resource
from link.shortages import FLOWS_PER_LOOK, SPARE_BYTES, Shortages
shortages = Shortages()
def refused():
    return sum(shortages.refuse_flow() for _ in range(10 * FLOWS_PER_LOOK))
def size():
    return int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
print(refused())
resource.setrlimit(resource.RLIMIT_AS, (size() + SPARE_BYTES // 2, resource.RLIM_INFINITY))
late = refused()
print(10 * FLOWS_PER_LOOK - late <= FLOWS_PER_LOOK, late == shortages.memory)
resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(refused())
"""


@needs(LINUX_KERNEL)
def test_flows_are_refused_while_less_memory_is_left_than_the_rest_may_need() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.stdout.split() == ["0", "True", "True", "0"], done.stderr


def test_memory_is_not_looked_at_for_every_flow(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []

    class Memory:
        def __init__(self, *_: object) -> None:
            looks.append(self)

        def close(self) -> None: ...

    monkeypatch.setattr("link.shortages.mmap.mmap", Memory)
    shortages = Shortages()
    assert not any(shortages.refuse_flow() for _ in range(4 * (FLOWS_PER_LOOK + 1)))
    assert len(looks) == 4
