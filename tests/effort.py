"""How much is tried where inputs or orders of events are made up: little in the ordinary suite.

`SAMEHOST_FUZZ_EFFORT=20` tries twenty times as much; `make fuzz` does.
"""

from __future__ import annotations

import os
from typing import Final

__all__ = ["EFFORT"]

EFFORT: Final = max(int(os.environ.get("SAMEHOST_FUZZ_EFFORT", "1")), 1)
"""By how much more is tried than in the ordinary suite."""
