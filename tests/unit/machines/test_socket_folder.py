"""Folders for control sockets: private, short, and swept when their owner was killed."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from desktop.machines.openssh.folder import LONGEST_PATH, SocketFolder, sweep
from tests.ended import ended


@pytest.fixture
def parent() -> Iterator[Path]:
    """A folder with a short name, to be made."""
    with tempfile.TemporaryDirectory(prefix="sh-") as folder:
        yield Path(folder) / "run" / "ssh"


def test_only_its_user_may_enter_and_nothing_is_left(parent: Path) -> None:
    folder = SocketFolder(parent)
    assert Path(folder.control).parent.stat().st_mode & 0o777 == 0o700
    assert parent.stat().st_mode & 0o777 == 0o700
    Path(folder.new()).write_text("a socket")
    folder.remove()
    folder.remove()
    assert not parent.exists()


def test_each_socket_is_another(parent: Path) -> None:
    folder = SocketFolder(parent)
    assert len({folder.control, folder.new(), folder.new()}) == 3
    folder.remove()


def test_where_paths_would_be_too_long_it_is_elsewhere(parent: Path) -> None:
    deep = parent / ("x" * 90)
    folder = SocketFolder(deep)
    try:
        assert not folder.control.startswith(str(parent))
        assert len(os.fsencode(folder.control)) + 17 <= LONGEST_PATH
        assert Path(folder.control).parent.stat().st_mode & 0o777 == 0o700
    finally:
        folder.remove()
    assert not Path(folder.control).parent.exists()


def test_what_a_killed_process_left_goes_and_what_a_living_one_has_stays(parent: Path) -> None:
    program = (
        "import sys; from pathlib import Path;"
        "from desktop.machines.openssh.folder import SocketFolder;"
        f"folder = SocketFolder(Path({str(parent)!r}));"
        "print(folder.control, flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", program]
    pipe = subprocess.PIPE
    with ended(subprocess.Popen(command, stdin=pipe, stdout=pipe)) as other:
        assert other.stdout is not None
        theirs = Path(other.stdout.readline().decode().strip()).parent
        ours = SocketFolder(parent)
        sweep(parent)
        assert theirs.is_dir()
        other.kill()
        other.wait()
    sweep(parent)
    assert [entry.name for entry in parent.iterdir()] == [Path(ours.control).parent.name]
    ours.remove()
    sweep(parent)
    assert not parent.exists()
