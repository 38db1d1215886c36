"""Who is at the other end: the structures of Linux and macOS, and what is none."""

from __future__ import annotations

import os
import socket
import struct

import pytest

from desktop.api.peers import Peer, peer_of, peer_on_linux
from tests.capabilities import UNIX_SOCKETS, needs


class MacSocket:
    """A socket that answers as XNU lays it out (bsd/sys/ucred.h, bsd/kern/uipc_usrreq.c)."""

    def __init__(self, version: int = 0, uid: int = 501, *, cut: int = 76) -> None:
        groups = struct.pack("=16I", *range(16))
        self.answers = {
            (0, 1): (struct.pack("=IIh2x", version, uid, 16) + groups)[:cut],
            (0, 2): struct.pack("=i", 4321),
        }

    def getsockopt(self, level: int, option: int, size: int, /) -> bytes:
        answer = self.answers[level, option]
        assert size >= len(answer)
        return answer


@needs(UNIX_SOCKETS)
def test_the_kernel_here_tells_who_connected() -> None:
    one, other = socket.socketpair(socket.AF_UNIX)
    with one, other:
        assert peer_of(one) == peer_on_linux(other) == Peer(os.getpid(), os.geteuid())


def test_macos_tells_user_and_process_by_two_options() -> None:
    assert peer_of(MacSocket(), "darwin") == Peer(4321, 501)


@pytest.mark.parametrize("sock", [MacSocket(1), MacSocket(cut=0), MacSocket(cut=7)])
def test_what_macos_says_otherwise_is_not_believed(sock: MacSocket) -> None:
    with pytest.raises(OSError, match="the kernel tells"):
        peer_of(sock, "darwin")


def test_a_system_that_does_not_tell_lets_nobody_in() -> None:
    with pytest.raises(OSError, match="does not tell"):
        peer_of(MacSocket(), "win32")
