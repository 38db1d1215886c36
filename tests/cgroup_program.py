"""A process in a cgroup that does as it is told, a line of JSON at a time; and cgroups' removal.

The source given to a `CgroupProgram` defines functions; ANSWERS, appended to it, calls the one
that a line names and prints what it gives, or the number of the OSError it raised.

Counterparts: `tests.integration.bpf_stage`, `tests.integration.test_detection`,
`tests.ports_stage`, each with functions of its own.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Final, Self

__all__ = ["CgroupProgram", "remove_cgroup"]

PATIENCE: Final = 30.0
"""Seconds until a cgroup has to be empty."""

ANSWERS: Final = """
import errno, json, sys

for _line in sys.stdin:
    _name, *_arguments = json.loads(_line)
    try:
        _given = {"ok": globals()[_name](*_arguments)}
    except OSError as _error:
        _given = {"error": _error.errno or errno.ETIMEDOUT}
    print(json.dumps(_given), flush=True)
"""


class CgroupProgram:
    """A process in a cgroup, in the network namespace of the thread that makes it."""

    source: ClassVar[str]

    def __init__(self, cgroup: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-c", self.source + ANSWERS],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        (cgroup / "cgroup.procs").write_text(str(self.process.pid))

    @classmethod
    @contextlib.contextmanager
    def running(cls, cgroup: Path) -> Iterator[Self]:
        """One that is killed afterwards."""
        program = cls(cgroup)
        try:
            yield program
        finally:
            program.kill()

    def call(self, *command: object) -> Any:
        """What the function named first gives for the rest. Raises OSError with its errno."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        if "error" in answer:
            raise OSError(answer["error"], os.strerror(answer["error"]))
        return answer["ok"]

    def kill(self) -> None:
        """End it, and see that it has ended."""
        self.process.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        self.process.wait()


def remove_cgroup(cgroup: Path) -> None:
    """Remove a cgroup, which can be done shortly after its last process was reaped."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            cgroup.rmdir()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.005)
        else:
            return
