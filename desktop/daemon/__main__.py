"""The daemon's process: `python -m desktop.daemon --ready-fd N`, started by `samehost up`."""

from __future__ import annotations

import argparse
import contextlib
import sys

from desktop.daemon.main import ReadyLine, StarterGoneError, run
from desktop.errors import ExitCode, SamehostError
from desktop.paths import Paths

__all__ = ["main"]


def main() -> int:
    """Run until shut down. Returns the process's exit code."""
    parser = argparse.ArgumentParser(prog="samehost-daemon")
    parser.add_argument("--ready-fd", type=int, required=True)
    line = ReadyLine(parser.parse_args().ready_fd)
    is_ready = False

    def ready() -> None:
        nonlocal is_ready
        is_ready = True
        line.ready()

    try:
        return run(Paths.find(), ready)
    except SamehostError as error:
        if is_ready:
            raise
        with contextlib.suppress(StarterGoneError):
            line.failed(error)
        return int(error.code)
    except KeyboardInterrupt:
        return int(ExitCode.INTERRUPTED)


if __name__ == "__main__":
    sys.exit(main())
