"""The window's process: `python -P -m gui`, which is what `samehost gui` becomes.

Qt, or a library of the system that it needs, may be missing: that is said here, before anything of
the window is imported.
"""

from __future__ import annotations

import sys
from typing import Final

EXTRA: Final = "install Qt: pip install 'samehost[gui]', or the package samehost-gui"
LIBRARIES: Final = (
    "install that library of the system; all that Qt needs, on Debian:\n"
    "  apt-get install libegl1 libgl1 libdbus-1-3 libfontconfig1 libxkbcommon-x11-0 libxcb-cursor0"
)


def main() -> int:
    """Run the window, or say what is missing."""
    try:
        from gui.app import main as run
    except ModuleNotFoundError as error:
        return missing(error, EXTRA)
    except ImportError as error:
        return missing(error, LIBRARIES)
    except KeyboardInterrupt:
        return 130
    return run(sys.argv)


def missing(error: ImportError, remedy: str) -> int:
    """Say so, and what to do, as the command line does."""
    sys.stderr.write(f"samehost: the window cannot be loaded: {error}\n  {remedy}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
