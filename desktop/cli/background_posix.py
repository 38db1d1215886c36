"""A daemon in the background on Linux and macOS: a session of its own.

Counterpart: `background.py`.
"""

from __future__ import annotations

from typing import Any, Final

__all__ = ["OPTIONS"]

OPTIONS: Final[dict[str, Any]] = {"start_new_session": True}
"""Ctrl-C, and the end of the terminal, are not for it (setsid(2))."""
