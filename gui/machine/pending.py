"""A call of the daemon that somebody waits for, who may be gone before it is answered.

    self._call = Pending(self)          one at a time
    self._call.began(session.call(…))
    self._call.over()                   in `then` and in `fails`
    self._call.cancel()

Rules: when the owner is destroyed, nothing is called back any more: it would find no widgets.
"""

from __future__ import annotations

from PySide6.QtCore import QObject

from gui.session import Call

__all__ = ["Pending"]


class Pending:
    """See the module."""

    def __init__(self, owner: QObject) -> None:
        self._call: Call | None = None
        owner.destroyed.connect(self.cancel)

    @property
    def is_running(self) -> bool:
        """A call is under way."""
        return self._call is not None

    def began(self, call: Call) -> None:
        """This one is under way now."""
        self._call = call

    def over(self) -> None:
        """It has its result or its failure."""
        self._call = None

    def cancel(self) -> bool:
        """Give it up. True if there was one."""
        call, self._call = self._call, None
        if call is not None:
            call.cancel()
        return call is not None
