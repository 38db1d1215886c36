"""Options of sockets by their numbers, of which each system has its own."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path
from typing import Final

from link.dial import grow_send_buffer

PROJECT: Final = Path(__file__).parents[3]
SIZE: Final = 100_000

ELSEWHERE: Final = f"""
import socket, sys
sys.platform = "darwin"
from link.dial import grow_send_buffer
class Recorder:
    def setsockopt(self, *option):
        print(option == (socket.SOL_SOCKET, socket.SO_SNDBUF, {SIZE}))
grow_send_buffer(Recorder(), {SIZE})
"""


def test_a_send_buffer_grows() -> None:
    near, far = socket.socketpair()
    with near, far:
        near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SIZE // 10)
        grow_send_buffer(near, SIZE)
        assert near.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) >= SIZE


def test_elsewhere_than_on_linux_no_number_of_linux_is_used() -> None:
    told = subprocess.run(
        [sys.executable, "-c", ELSEWHERE],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.stdout == "True\n", told.stderr
