"""The kernel calls the Linux UDP path is made of: many datagrams per system call.

`recvmmsg(2)` is not in Python's library and is called through the C library. Layouts are those
of struct mmsghdr (recvmmsg(2)), struct msghdr (recvmsg(2)) and cmsg(3); ctypes follows the
machine's word size.

Rules: Linux, standard library. A `Batch` is filled by one call and read before the next; its
payload memory may be shared by all batches of an event loop, since each is used up at once. One
batch serves sockets of one family: the kernel leaves room for a name of that family only.
Counterpart: `linux.py`.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import struct
from array import array
from typing import Final

__all__ = [
    "BATCH",
    "CONTROL_SIZE",
    "IPV6_PKTINFO",
    "IPV6_RECVPKTINFO",
    "IP_PKTINFO",
    "NAME_SIZE",
    "SLOT_SIZE",
    "SOL_UDP",
    "UDP_GRO",
    "UDP_SEGMENT",
    "Batch",
    "Slots",
    "segment_option",
]

SOL_UDP: Final = 17
UDP_SEGMENT: Final = 103
UDP_GRO: Final = 104
"""linux/udp.h, udp(7); kernels 4.18 and 5.0."""
IP_PKTINFO: Final = 8
IPV6_RECVPKTINFO: Final = 49
IPV6_PKTINFO: Final = 50
"""linux/in.h, linux/in6.h, of which Python's library has the IPv6 ones only in places."""

BATCH: Final = 64
"""Datagrams taken by one call."""
MANY: Final = 16
"""So many that it pays to prepare for as many again."""
SLOT_SIZE: Final = 1 << 16
"""Room for one datagram, or for a run of them that the kernel has merged (UDP_GRO)."""
NAME_SIZE: Final = 28
"""sizeof(struct sockaddr_in6), the larger of the two (linux/in6.h)."""
CONTROL_SIZE: Final = 80
"""Room for the longest pair of control messages: in6_pktinfo (20 bytes) and an int, each with a
header of 16 and padding (cmsg(3), 64-bit words)."""

_MSG_DONTWAIT: Final = 0x40
"""linux/socket.h"""
_NOTHING: Final = frozenset({errno.EAGAIN, errno.EINTR})


class _Vector(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


class _Message(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint),
        ("vector", ctypes.c_void_p),
        ("vector_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    ]


class _Header(ctypes.Structure):
    _fields_ = [("message", _Message), ("received", ctypes.c_uint)]


_WORDS: Final = ctypes.sizeof(_Header) // 4
_RECEIVED: Final = _Header.received.offset // 4
_SIZES: Final = ctypes.sizeof(_Header) // ctypes.sizeof(ctypes.c_size_t)
_CONTROL_LENGTH: Final = _Message.control_length.offset // ctypes.sizeof(ctypes.c_size_t)

_recvmmsg = ctypes.CDLL(None, use_errno=True).recvmmsg
"""Without `argtypes`, which cost a conversion each: ints are C's, and pointers come as such."""


def segment_option(segment: int) -> tuple[int, int, bytes]:
    """The control message that has the kernel cut a payload into datagrams (udp(7))."""
    return (SOL_UDP, UDP_SEGMENT, struct.pack("=H", segment))


class Slots:
    """Memory for the payloads of one batch. Pages that are never filled cost nothing."""

    def __init__(self) -> None:
        # A bytearray would fill all of it.
        room = mmap.mmap(-1, BATCH * SLOT_SIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        whole = memoryview(room)
        self.views = [whole[i * SLOT_SIZE : (i + 1) * SLOT_SIZE] for i in range(BATCH)]
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(room))
        self._cut_to = -1
        self._cut: list[memoryview] = []

    def cut(self, size: int, count: int) -> list[memoryview]:
        """The first `size` bytes of `count` payloads at least.

        Those of the last size are kept: to make them takes as long as the kernel does to fill them,
        and where there is much to do most is of one size.
        """
        if size != self._cut_to:
            if count < MANY:
                return [view[:size] for view in self.views[:count]]
            self._cut_to, self._cut = size, [view[:size] for view in self.views]
        return self._cut


class Batch:
    """Room for what one `recvmmsg` takes. A connected socket needs it not `with_peers`.

    Attributes:
        slots, views, first: memory of all payloads, of each, and of the first.
        names, controls: BATCH fields in a row each; without peers there are no names.
        sizes, control_lengths: bytes of each message of the last call, and of its controls.
    """

    def __init__(self, slots: Slots, *, with_peers: bool) -> None:
        self.slots = slots
        self.views = slots.views
        self.first = slots.views[0]
        self.names = bytearray(BATCH * NAME_SIZE)
        self.controls = bytearray(BATCH * CONTROL_SIZE)
        self._vectors = (_Vector * BATCH)()
        self._headers = (_Header * BATCH)()
        names, controls, vectors = (
            ctypes.addressof(ctypes.c_char.from_buffer(each))
            for each in (self.names, self.controls, self._vectors)
        )
        for i, (vector, header) in enumerate(zip(self._vectors, self._headers)):
            vector.base, vector.length = slots.address + i * SLOT_SIZE, SLOT_SIZE
            message = header.message
            message.vector, message.vector_count = vectors + i * ctypes.sizeof(_Vector), 1
            message.control = controls + i * CONTROL_SIZE
            if with_peers:
                message.name, message.name_length = names + i * NAME_SIZE, NAME_SIZE
        self._reference = ctypes.byref(self._headers)
        memory = memoryview(self._headers).cast("B")
        self.sizes = memory.cast("I")[_RECEIVED::_WORDS]
        self.control_lengths = memory.cast("L")[_CONTROL_LENGTH::_SIZES]
        self._room = memoryview(array("L", [CONTROL_SIZE] * BATCH))
        self._used = BATCH

    def receive(self, descriptor: int) -> int:
        """Take what is there, without waiting: how many messages. Raises OSError."""
        # The kernel wrote what it used of each room, and would take that for the room next time.
        if self._used == 1:
            self.control_lengths[0] = CONTROL_SIZE
        else:
            self.control_lengths[: self._used] = self._room[: self._used]
        count: int = _recvmmsg(descriptor, self._reference, BATCH, _MSG_DONTWAIT, None)
        if count < 0:
            self._used = 0
            number = ctypes.get_errno()
            if number in _NOTHING:
                return 0
            raise OSError(number, os.strerror(number))
        self._used = count
        return count

    def clear_controls(self) -> None:
        """Forget control messages: the rest of a longer one would show beside a shorter one."""
        self.controls[:] = bytes(len(self.controls))
