"""What is not as it should be, and what to do about it: told, and no reason to stop.

Counterpart: `errors.py` has what is one.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Finding"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing worth knowing: `message` says what is wrong, `remedy` what to do."""

    message: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.message} ({self.remedy})"
