"""Runs `main` of another program in this folder: `python -m scripts.run tour`.

While Python still loads it, Ctrl-C ends it at once and silently: nothing has been done yet.
"""

from __future__ import annotations

import signal
import sys

__all__ = ["main"]


def main(name: str) -> int:
    """Load and run the program; its exit code."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from importlib import import_module

    module = import_module(f"scripts.{name}")
    signal.signal(signal.SIGINT, signal.default_int_handler)
    return int(module.main())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
