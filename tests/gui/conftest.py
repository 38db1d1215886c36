"""The window's tests need no screen: Qt draws into memory.

Rules: this is set before Qt is imported, which `pytest-qt` does at the first test with `qtbot`.
"""

from __future__ import annotations

import os

os.environ["QT_QPA_PLATFORM"] = "offscreen"
