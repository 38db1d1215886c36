"""The window's process: `python -P -m gui`, which is what `samehost gui` becomes."""

from __future__ import annotations

import sys

if __name__ == "__main__":
    try:
        from gui.app import main
    except ImportError as error:
        print(f"samehost: the window cannot be loaded: {error}", file=sys.stderr)  # noqa: T201
        print("  install what it needs: pip install 'samehost[gui]'", file=sys.stderr)  # noqa: T201
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(main(sys.argv))
