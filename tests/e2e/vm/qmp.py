"""QEMU's monitor: commands to an emulated computer, and what it tells of itself.

JSON lines over a socket that both ends are born with (QEMU Machine Protocol, qemu-qmp-ref(7)). One
command at a time; events that nobody waits for are kept, the newest of them.
"""

from __future__ import annotations

import json
import socket
import time
from collections import deque
from typing import Any, Final

__all__ = ["Qmp", "QmpError"]

PATIENCE_SECONDS: Final = 60.0
"""How long a command may take: saving takes a second on an idle computer."""

POLL_SECONDS: Final = 0.01

SHARED_MEMORY_STAYS: Final = [{"capability": "x-ignore-shared", "state": True}]
"""Memory that is a file is not written into the saved state."""

EVENTS_KEPT: Final = 100


class QmpError(Exception):
    """QEMU refused a command or is gone; the text is what it said."""


class Qmp:
    """One monitor. `sock` is connected to QEMU's end."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._socket.settimeout(PATIENCE_SECONDS)
        self._lines = sock.makefile("rb")
        self._events: deque[str] = deque(maxlen=EVENTS_KEPT)
        self._hear()
        self.run("qmp_capabilities")

    def run(self, command: str, **arguments: object) -> Any:
        """Run a command; its answer. Raises QmpError."""
        self._socket.sendall(json.dumps({"execute": command, "arguments": arguments}).encode())
        while "return" not in (said := self._hear()):
            if "error" in said:
                raise QmpError(f"{command}: {said['error']['desc']}")
        return said["return"]

    def wait_for(self, event: str, seconds: float) -> None:
        """Wait until this has happened since it was last waited for. Raises QmpError."""
        self._socket.settimeout(seconds)
        while event not in self._events:
            self._hear()
        self._events.remove(event)
        self._socket.settimeout(PATIENCE_SECONDS)

    def move(self, command: str, uri: str) -> None:
        """Save or restore: `migrate` or `migrate-incoming`, to its end. Raises QmpError."""
        self.run("migrate-set-capabilities", capabilities=SHARED_MEMORY_STAYS)
        self.run(command, uri=uri)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (state := self.run("query-migrate")).get("status") != "completed":
            if state.get("status") == "failed" or time.monotonic() > deadline:
                raise QmpError(f"{command}: {state}")
            time.sleep(POLL_SECONDS)

    def close(self) -> None:
        """Let go of it; QEMU goes on."""
        self._lines.close()
        self._socket.close()

    def _hear(self) -> dict[str, Any]:
        try:
            line = self._lines.readline()
        except OSError as error:
            raise QmpError(f"no answer: {error}") from None
        if not line:
            raise QmpError("QEMU has ended")
        said: dict[str, Any] = json.loads(line)
        if "event" in said:
            self._events.append(said["event"])
        return said
