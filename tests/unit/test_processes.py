"""Ending programs, with process groups and without."""

from __future__ import annotations

import os
import signal
import subprocess

import psutil
import pytest

from desktop.processes import KILL, TERMINATE, end_group, is_stopped
from tests.capabilities import POSIX_PROCESSES, needs
from tests.ended import ended


def test_a_program_ends_with_its_children() -> None:
    command = ["sh", "-c", "sleep 60 & echo started; wait"]
    with ended(subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)) as shell:
        assert shell.stdout is not None
        assert shell.stdout.readline() == b"started\n"
        end_group(shell.pid, KILL)
        assert shell.stdout.read() == b""  # nobody holds it any more
        shell.wait()
    assert shell.returncode == -signal.SIGKILL


def test_where_there_are_no_groups_the_program_itself_is_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended: list[tuple[int, int]] = []
    monkeypatch.delattr(os, "killpg")
    monkeypatch.setattr(os, "kill", lambda *which: ended.append(which))
    end_group(7, TERMINATE)
    assert ended == [(7, signal.SIGTERM)]


@needs(POSIX_PROCESSES)
def test_one_that_a_signal_has_stopped_is_told_from_one_that_sleeps() -> None:
    with ended(subprocess.Popen(["sleep", "60"])) as sleeper:
        assert not is_stopped(sleeper.pid)
        os.kill(sleeper.pid, signal.SIGSTOP)
        os.waitpid(sleeper.pid, os.WUNTRACED)
        assert is_stopped(sleeper.pid)
    assert not is_stopped(sleeper.pid)


@pytest.mark.parametrize("error", [psutil.AccessDenied(7), PermissionError(13, "no")])
def test_one_of_which_nothing_is_told_does_not_count_as_stopped(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def hidden(_pid: int) -> None:
        raise error

    monkeypatch.setattr(psutil, "Process", hidden)
    assert not is_stopped(7)


def test_one_that_has_ended_is_not_there() -> None:
    with ended(subprocess.Popen(["true"], start_new_session=True)) as done:
        done.wait()
    with pytest.raises(ProcessLookupError):
        end_group(done.pid, KILL)
