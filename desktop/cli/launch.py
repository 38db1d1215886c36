"""Starting the daemon in the background, and knowing that it is ready, or why not.

Rules: the daemon's standard output is a pipe (`--ready-fd 1`), on which it writes one JSON line,
`{"ready": true}` or `{"error": {"code", "message", "remedy"}}` (`messages.error_to_wire`), and
which it then closes: what it prints besides, and its errors, go to the log. A daemon that finds the
pipe broken has lost whoever started it, and ends. Counterparts: `background.py`, `logfile.py`;
`desktop.daemon`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Final, cast

from desktop.api.messages import decode, error_from_wire
from desktop.cli.background import start
from desktop.cli.logfile import log_file
from desktop.errors import PermissionDeniedError, SamehostError
from desktop.log_end import last_lines
from desktop.paths import HOME_VARIABLE, Paths

__all__ = ["COMMAND", "start_daemon"]

COMMAND: Final = [sys.executable, "-P", "-m", "desktop.daemon"]
"""With -P, so that no folder called `desktop` in the working directory is taken for ours."""

STANDARD_OUTPUT: Final = "1"
READY_SECONDS: Final = 30.0
END_SECONDS: Final = 5.0
HEED_SECONDS: Final = 0.1
"""How long Ctrl-C may go unheard: on Windows it interrupts no waiting for a thread."""
LONGEST_ANSWER: Final = 1 << 16
SHOWN_LINES: Final = 10


def start_daemon(paths: Paths, command: Sequence[str] | None = None) -> None:
    """Start it, by COMMAND or another, and wait until it serves its clients.

    Raises the daemon's own error, or SamehostError with the end of its log. Then, and when
    interrupted, the daemon has ended.
    """
    log = _open_log(paths.log_file)
    daemon = None
    try:
        begin = os.fstat(log).st_size
        with _interrupts_held():
            daemon = _Daemon([*(command or COMMAND), "--ready-fd", STANDARD_OUTPUT], log)
        _check(daemon.answer(), paths.log_file, begin)
    except BaseException:
        if daemon is not None:
            daemon.end()
        raise
    finally:
        os.close(log)
    daemon.let_go()


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
        return log_file().append_to(path)
    except OSError as error:
        raise PermissionDeniedError(
            f"the log {path} cannot be written: {error.strerror}",
            f"correct that folder, or set {HOME_VARIABLE} to another one",
        ) from error


class _Daemon:
    """The new process. Its answer is read by a thread: a pipe of Windows knows no limit of time."""

    def __init__(self, command: Sequence[str], log: int) -> None:
        self._process = start(command, log)
        self._pipe = cast(IO[bytes], self._process.stdout)
        self._said = bytearray()
        self._reader = threading.Thread(target=self._read, name="answer", daemon=True)
        self._reader.start()

    def answer(self) -> bytes:
        """What it says until the end of a line, or of itself. Raises SamehostError."""
        deadline = time.monotonic() + READY_SECONDS
        while self._reader.is_alive():
            left = deadline - time.monotonic()
            if left <= 0:
                raise SamehostError(
                    f"the daemon was not ready within {READY_SECONDS:.0f} seconds",
                    "see: samehost logs",
                )
            self._reader.join(min(left, HEED_SECONDS))
        return bytes(self._said)

    def _read(self) -> None:
        with self._pipe as pipe, contextlib.suppress(OSError):  # as if it said no more
            while not self._said.endswith(b"\n") and len(self._said) < LONGEST_ANSWER:
                data = pipe.read(LONGEST_ANSWER)
                if not data:
                    break
                self._said += data

    def let_go(self) -> None:
        """It lives on without us; Popen would complain about an unfinished child."""
        self._process.returncode = 0

    def end(self) -> None:
        """Let it clean up, and see that it does; on Windows it ends at once."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.terminate()
            self._process.wait(END_SECONDS)
        self._process.kill()
        self._process.wait()
        self._reader.join(END_SECONDS)


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
