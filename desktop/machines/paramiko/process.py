"""A program that runs in a machine over a channel of paramiko's (RFC 4254, 6.5).

Rules: it has ended when its channel is closed, by the server or by `kill`; the program has lost its
input and output then.

Limits: by which signal a program was ended is not told: its status is 255 then, as ssh(1) has it,
also where the connection was lost. Output and errors share one window: a process whose errors
nobody reads stands still after 2 MiB of them.

Counterparts: `shell.py` starts it, `pump.py` moves its bytes.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Final

import paramiko

from desktop.machines.error_reader import ErrorReader
from desktop.machines.paramiko.pump import CONNECTION_ENDED, Pump
from desktop.machines.process import Process
from desktop.processes import KILL

__all__ = ["ChannelProcess"]

UNKNOWN_STATUS: Final = 255
"""As ssh(1), EXIT STATUS."""


class ChannelProcess(Process):
    """Made by `start`."""

    def __init__(self, channel: paramiko.Channel) -> None:
        self._channel = channel
        self._ended = asyncio.Event()
        self._is_killed = False
        self._errors = ErrorReader()
        self.errors = self._errors.reader

    @classmethod
    async def start(cls, channel: paramiko.Channel, pump: Pump) -> ChannelProcess:
        """Of a channel on which a program has just been begun. Raises OSError."""
        process = cls(channel)
        loop = asyncio.get_running_loop()

        def ended() -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended before the connection
                loop.call_soon_threadsafe(process._ended.set)

        reading, writing = socket.socketpair()
        try:
            await process._errors.take(reading)
            process.stream = pump.carry(channel, errors=writing, on_end=ended)
        except BaseException:
            process._errors.close()
            writing.close()
            raise
        return process

    @property
    def returncode(self) -> int | None:
        """See `Process`."""
        if not self._ended.is_set():
            return None
        if self._is_killed:
            return -KILL
        status = self._channel.exit_status
        return UNKNOWN_STATUS if status < 0 else status

    def kill(self) -> None:
        """See `Process`."""
        if self.returncode is None:
            self._is_killed = True
            with contextlib.suppress(*CONNECTION_ENDED):
                self._channel.close()

    async def wait(self) -> int:
        """See `Process`."""
        await self._ended.wait()
        self.stream.close()
        await self._errors.finish()
        return self.returncode or 0
