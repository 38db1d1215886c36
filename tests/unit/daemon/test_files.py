"""The files limit is raised as far as it goes, and said where that is not far."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from desktop.daemon import files
from desktop.daemon.files import raise_file_limit
from desktop.mirror.systems import LINUX, MACOS, System
from tests.capabilities import AS_ROOT, needs

PROGRAM = """
import os, resource, sys
from desktop.daemon.files import raise_file_limit
soft, hard, enough, uid = map(int, sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
if uid:
    os.setuid(uid)
print(raise_file_limit(enough))
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""
NOBODY = 65534
CAP_SYS_RESOURCE = 24
"""linux/capability.h: may go beyond hard limits."""


@pytest.mark.parametrize(
    ("system", "remedy"),
    [(LINUX, "/etc/security/limits.conf"), (MACOS, "launchctl limit maxfiles 5000 10000")],
)
def test_a_limit_that_is_low_comes_with_the_remedy_of_its_system(
    monkeypatch: pytest.MonkeyPatch, system: System, remedy: str
) -> None:
    low = SimpleNamespace(soft_limit=lambda: 256, raise_limit=lambda _wanted: None)
    monkeypatch.setattr(files, "_here", low)
    words = raise_file_limit(5000, system)
    assert remedy in words
    assert ("limits.conf" in words) == (system is LINUX)


def raised(soft: int, hard: int, enough: int, uid: int = NOBODY) -> tuple[str, int]:
    """What is said, and the limit, in a process that starts with these limits."""
    command = [sys.executable, "-c", PROGRAM, *map(str, (soft, hard, enough, uid))]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    words, limit = done.stdout.splitlines()
    return words, int(limit)


@needs(AS_ROOT)
def test_an_ordinary_user_gets_the_hard_limit_and_is_told_that_it_is_low() -> None:
    words, limit = raised(256, 4096, enough=5000)
    assert limit == 4096
    assert "only 4096 files" in words
    assert "raise the hard limit to 5000" in words


@needs(AS_ROOT)
def test_a_limit_that_is_high_enough_is_taken_without_a_word() -> None:
    assert raised(256, 4096, enough=4096) == ("", 4096)


@needs(AS_ROOT)
def test_root_goes_beyond_the_hard_limit_where_that_is_allowed() -> None:
    capabilities = re.search(r"CapEff:\s*([0-9a-f]+)", Path("/proc/self/status").read_text())
    if capabilities is None or not int(capabilities[1], 16) >> CAP_SYS_RESOURCE & 1:
        pytest.skip("this root may not go beyond hard limits (CAP_SYS_RESOURCE)")
    words, limit = raised(256, 4096, enough=5000, uid=0)
    assert words == ""
    assert limit > 5000


SHORTAGE = """
import os, resource
from desktop.daemon.files import RESERVED_FILES, are_files_short
resource.setrlimit(resource.RLIMIT_NOFILE, (RESERVED_FILES + 20, RESERVED_FILES + 20))
count = 0
while not are_files_short():
    os.open(os.devnull, os.O_RDONLY)
    count += 1
print(count)
held = [os.open(os.devnull, os.O_RDONLY) for _ in range(RESERVED_FILES)]
try:
    os.open(os.devnull, os.O_RDONLY)
except OSError:
    print(are_files_short())
for each in held:
    os.close(each)
os.close(held[0] - 1)
print(are_files_short())
"""


@needs(AS_ROOT)
def test_files_are_short_while_some_are_left_and_no_longer_once_one_is_given_back() -> None:
    command = [sys.executable, "-c", SHORTAGE]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    count, without_any, after_one = done.stdout.split()
    assert 10 < int(count) <= 20
    assert (without_any, after_one) == ("True", "False")
