"""A daemon whose links have a secret that a test knows, so that it can be looked for everywhere.

`python -m tests.integration.known_secret_daemon --ready-fd N`, as `desktop.daemon`. The secret is
in this program and nowhere else, so arguments and environments have it only by a fault.
"""

from __future__ import annotations

import hashlib
import sys
from types import SimpleNamespace

from desktop.daemon import attachment
from desktop.daemon.__main__ import main

__all__ = ["SECRET"]

SECRET = hashlib.sha256(b"known to tests only").digest()


def chosen(size: int) -> bytes:
    """In place of os.urandom, for secrets of agents only."""
    return SECRET[:size]


if __name__ == "__main__":
    vars(attachment)["os"] = SimpleNamespace(urandom=chosen)
    sys.exit(main())
