"""Where the application begins: the window, or what it starts of itself.

    Samehost                              the window
    Samehost -P -m desktop.daemon …       the daemon: there is no other Python in the application

Rules: those who start `sys.executable -P -m MODULE` need not know that it is an application.
"""

from __future__ import annotations

import runpy
import sys

__all__ = ["main"]

PREFIX = ["-P", "-m"]


def main(arguments: list[str]) -> None:
    """Run the module that is asked for, by default the window."""
    module = "gui"
    if arguments[:2] == PREFIX and len(arguments) > len(PREFIX):
        module, arguments = arguments[2], arguments[3:]
    sys.argv[1:] = arguments
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1:])
