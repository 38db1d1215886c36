"""A daemon in the background on Windows: with a console of its own that nobody sees.

Source: learn.microsoft.com, "Process Creation Flags" (CREATE_NO_WINDOW: a console without a window,
which the programs that it starts share: with DETACHED_PROCESS each would open one of its own;
CREATE_NEW_PROCESS_GROUP: it takes no Ctrl-C).

Limits: has run under Wine only. Counterpart: `background.py`.
"""

from __future__ import annotations

from typing import Any, Final

__all__ = ["OPTIONS"]

CREATE_NEW_PROCESS_GROUP: Final = 0x0000_0200
CREATE_NO_WINDOW: Final = 0x0800_0000
"""winbase.h."""
OPTIONS: Final[dict[str, Any]] = {"creationflags": CREATE_NO_WINDOW | CREATE_NEW_PROCESS_GROUP}
