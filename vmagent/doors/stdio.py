"""A door in standard input and output: all streams in one pipe.

Rules: from `begin` on, nobody else reads standard input or writes to standard output: what prints
by mistake goes to standard error. The pipe's end is the end of the agent.
Counterpart: `desktop/transports/stdio.py`.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from link.mux.pipe import DescriptorPipe
from link.mux.pump import MuxPump
from link.mux.signals import open_signals
from vmagent.doors.entrance import Admit, Entrance, Finish

__all__ = ["StdioEntrance"]


class StdioEntrance(Entrance):
    """See the module."""

    carries_reset = False

    def __init__(self) -> None:
        self._pump: MuxPump | None = None

    @property
    def answer(self) -> dict[str, Any]:
        """See `Entrance`."""
        return {"kind": "stdio"}

    def begin(self, admit: Admit, finish: Finish) -> None:
        """See `Entrance`."""
        self._pump = MuxPump(
            _take_over(), open_signals(), opens=False, on_stream=admit, on_end=finish
        )

    def close(self) -> None:
        """See `Entrance`; those taken end with the pipe."""
        if self._pump is not None:
            self._pump.close("the agent ends")


def _take_over() -> DescriptorPipe:
    """Standard input and output, as descriptors that only the pipe has."""
    source, sink = sys.stdin.fileno(), sys.stdout.fileno()
    pipe = DescriptorPipe(os.dup(source), os.dup(sink))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, source)
    os.close(nothing)
    os.dup2(sys.stderr.fileno(), sink)
    return pipe
