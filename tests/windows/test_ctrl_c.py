"""Ctrl-C on a console: who is ended by it, who is not, and that nothing is left."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from desktop.api.client import ApiClient
from desktop.errors import ExitCode, NotRunningError
from desktop.paths import Paths
from tests.windows.console import ROOT, on_console

UP = [sys.executable, "-P", "-m", "desktop.cli.main", "up"]
BECOME = """
import sys
from desktop.cli.become import become
sys.exit(become(sys.executable, ["-c", sys.argv[1]]))
"""
STUBBORN = """
import signal, sys, time
told = []
signal.signal(signal.SIGINT, lambda *_: told.append(1))
print("up", flush=True)
while not told:
    time.sleep(0.05)
print("told", flush=True)
sys.exit(5)
"""


@pytest.fixture(autouse=True)
def no_daemon_stays(paths: Paths) -> Iterator[None]:
    """Whatever becomes of the test."""
    yield
    with contextlib.suppress(OSError, ValueError, psutil.NoSuchProcess):
        psutil.Process(int(paths.lock_file.read_text())).kill()


def assert_nothing_is_left(paths: Paths) -> None:
    with pytest.raises(NotRunningError):
        ApiClient.connect(paths.api_socket)
    assert not paths.runtime.exists()


def test_during_up_it_ends_a_daemon_that_has_its_lock_and_nothing_is_left(paths: Paths) -> None:
    ending = on_console([*UP, "--no-machine"], file=paths.lock_file)
    assert ending.was_pressed, ending.said
    assert ending.code == ExitCode.INTERRUPTED, ending.said
    assert "Traceback" not in ending.said
    assert_nothing_is_left(paths)


def test_while_a_machine_is_attached_it_ends_what_was_started(paths: Paths) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # it takes connections, and says nothing
        port = silent.getsockname()[1]
        ending = on_console([*UP, "--machine", f"ssh:nobody@127.0.0.1:{port}"], word="logging in")
    assert ending.was_pressed, ending.said
    assert ending.code == ExitCode.INTERRUPTED, ending.said
    assert "interrupted; stopping what was started" in ending.said
    assert_nothing_is_left(paths)


def test_a_daemon_in_the_foreground_ends_cleanly(paths: Paths) -> None:
    ending = on_console([*UP, "--foreground", "--no-machine"], word="ready")
    assert (ending.was_pressed, ending.code) == (True, 0), ending.said
    assert "Traceback" not in ending.said
    assert "samehost ends" in paths.log_file.read_text()
    assert_nothing_is_left(paths)


def test_it_is_the_business_of_a_program_that_a_command_runs_in_its_place() -> None:
    ending = on_console([sys.executable, "-c", BECOME, STUBBORN], word="up")
    assert ending.was_pressed
    assert ending.code == 5, ending.said
    assert ending.said.split() == ["up", "told"]


@pytest.mark.parametrize("code", [0, 1, 0x7FFF_FFFF, 0xC000_013A, 0xFFFF_FFFF])
def test_the_exit_code_of_such_a_program_is_ours_however_large(code: int) -> None:
    ends = f"import ctypes; ctypes.windll.kernel32.ExitProcess(ctypes.c_uint({code}))"
    done = subprocess.run([sys.executable, "-c", BECOME, ends], cwd=ROOT, check=False)
    assert done.returncode == code


def test_such_a_program_has_files_and_pipes_for_standard_streams(tmp_path: Path) -> None:
    echo = "import sys; print(sys.stdin.read()[::-1]); print('aside', file=sys.stderr)"
    (tmp_path / "in").write_text("spoken")
    with (
        (tmp_path / "in").open() as given,
        (tmp_path / "out").open("w") as said,
        (tmp_path / "err").open("w") as aside,
    ):
        command = [sys.executable, "-c", BECOME, echo]
        subprocess.run(command, cwd=ROOT, stdin=given, stdout=said, stderr=aside, check=True)
    assert (tmp_path / "out").read_text().strip() == "nekops"
    assert (tmp_path / "err").read_text().strip() == "aside"
