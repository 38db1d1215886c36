"""A process in the background, on this system as it is."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from desktop.cli import background_windows
from desktop.cli.background import start
from desktop.cli.logfile import log_file
from tests.ended import ended

PATIENCE = 20.0
FAMILIAR = """
import sys
print("to whoever started it", flush=True)
print("to the log", file=sys.stderr, flush=True)
sys.stdin.read()
"""

WAITING = "import time; print('up', flush=True); time.sleep(60)"


def test_it_has_our_pipe_the_log_and_nothing_to_read(tmp_path: Path) -> None:
    log = log_file().append_to(tmp_path / "a.log")
    with ended(start([sys.executable, "-c", FAMILIAR], log)) as process:
        os.close(log)
        assert process.stdout is not None
        with process.stdout as pipe:
            assert pipe.readline().split() == b"to whoever started it".split()
            assert process.wait(PATIENCE) == 0
    assert (tmp_path / "a.log").read_text().strip() == "to the log"


@pytest.mark.skipif(os.name == "nt", reason="there are no sessions; the next test has the flags")
def test_it_takes_no_ctrl_c_of_ours(tmp_path: Path) -> None:
    log = log_file().append_to(tmp_path / "a.log")
    with ended(start([sys.executable, "-c", WAITING], log)) as process:
        os.close(log)
        assert process.stdout is not None
        with process.stdout as pipe:
            assert pipe.readline() == b"up\n"
            assert os.getsid(process.pid) == process.pid


def test_on_windows_it_has_a_group_and_a_console_that_nobody_sees() -> None:
    flags = background_windows.OPTIONS["creationflags"]
    assert flags & 0x0800_0000, "a window would open"
    assert not flags & 0x0000_0008, "each program that it starts would open a window"
    assert flags & 0x0000_0200, "Ctrl-C would end it"
