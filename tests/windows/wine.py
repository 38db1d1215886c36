"""Whether this Windows is Wine, and what that is known not to do.

Source: Wine's ntdll, which alone has `wine_get_version`.
"""

from __future__ import annotations

import ctypes
import os
from typing import Final

import pytest

__all__ = ["IS_WINE", "not_by_wine"]

IS_WINE: Final = os.name == "nt" and hasattr(ctypes.CDLL("ntdll"), "wine_get_version")


def not_by_wine(what: str) -> pytest.MarkDecorator:
    """For a test of what Wine (8.0) does not do, and Windows does."""
    return pytest.mark.skipif(IS_WINE, reason=f"Wine {what}")
