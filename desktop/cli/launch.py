"""Starting the daemon in the background, and knowing that it is ready, or why not.

Rules: the daemon gets a pipe (`--ready-fd N`) on which it writes one JSON line, `{"ready": true}`
or `{"error": {"code", "message", "remedy"}}` (`messages.error_to_wire`), and closes it. A daemon
that finds the pipe broken has lost whoever started it, and ends. Its output goes to the log.
Counterpart: `desktop.daemon`.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from desktop.api.messages import decode, error_from_wire
from desktop.errors import PermissionDeniedError, SamehostError
from desktop.log_end import last_lines
from desktop.paths import HOME_VARIABLE, Paths

__all__ = ["COMMAND", "start_daemon"]

COMMAND: Final = [sys.executable, "-P", "-m", "desktop.daemon"]
"""With -P, so that no folder called `desktop` in the working directory is taken for ours."""

READY_SECONDS: Final = 30.0
END_SECONDS: Final = 5.0
LONGEST_ANSWER: Final = 1 << 16
SHOWN_LINES: Final = 10
_LOG_FLAGS: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)


def start_daemon(paths: Paths, command: Sequence[str] | None = None) -> None:
    """Start it, by COMMAND or another, and wait until it serves its clients.

    Raises the daemon's own error, or SamehostError with the end of its log. Then, and when
    interrupted, the daemon has ended.
    """
    log = _open_log(paths.log_file)
    try:
        start = os.fstat(log).st_size
        reader, writer = os.pipe()
        with open(reader, "rb", buffering=0), open(writer, "wb", buffering=0) as ours:
            process = None
            try:
                with _interrupts_held():
                    process = _spawn(command or COMMAND, writer, log)
                ours.close()
                _check(_read_answer(reader), paths.log_file, start)
            except BaseException:
                if process is not None:
                    _end(process)
                raise
            # It lives on without us; Popen would complain about an unfinished child.
            process.returncode = 0
    finally:
        os.close(log)


@contextlib.contextmanager
def _interrupts_held() -> Iterator[None]:
    """Let Ctrl-C wait until the end, so that no child is there that nobody knows."""
    held: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: held.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if held:
        raise KeyboardInterrupt


def _open_log(path: Path) -> int:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(path, _LOG_FLAGS, 0o600)
    except OSError as error:
        raise PermissionDeniedError(
            f"the log {path} cannot be written: {error.strerror}",
            f"correct that folder, or set {HOME_VARIABLE} to another one",
        ) from error


def _spawn(command: Sequence[str], ready: int, log: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*command, "--ready-fd", str(ready)],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        pass_fds=(ready,),
        start_new_session=True,
    )


def _read_answer(reader: int) -> bytes:
    """What the daemon writes until the end of a line, or of itself; b"" if it takes too long."""
    answer = b""
    deadline = time.monotonic() + READY_SECONDS
    while not answer.endswith(b"\n") and len(answer) < LONGEST_ANSWER:
        if not select.select([reader], [], [], max(0, deadline - time.monotonic()))[0]:
            raise SamehostError(
                f"the daemon was not ready within {READY_SECONDS:.0f} seconds", "see: samehost logs"
            )
        data = os.read(reader, LONGEST_ANSWER)
        if not data:
            break
        answer += data
    return answer


def _check(answer: bytes, log: Path, start: int) -> None:
    try:
        message = decode(answer)
    except ValueError as error:
        lines = last_lines(log, start, SHOWN_LINES)
        raise SamehostError(
            "the daemon ended before it was ready",
            "\n".join([f"the end of {log}:", *lines] if lines else [f"look at {log}"]),
        ) from error
    if isinstance(message.get("error"), dict):
        raise error_from_wire(message["error"])


def _end(process: subprocess.Popen[bytes]) -> None:
    """Let the daemon clean up, and see that it does."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.terminate()
        process.wait(END_SECONDS)
    process.kill()
    process.wait()
