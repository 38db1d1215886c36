"""How much is tried where inputs, orders of events or faults are made up: little in the suite.

`SAMEHOST_FUZZ_EFFORT=20` tries twenty times as much; `make fuzz` does. Of tests that injure, it is
how long they do so; `make faults` runs those.
"""

from __future__ import annotations

import os
from typing import Final

__all__ = ["EFFORT"]

EFFORT: Final = max(int(os.environ.get("SAMEHOST_FUZZ_EFFORT", "1")), 1)
"""By how much more is tried than in the ordinary suite."""
