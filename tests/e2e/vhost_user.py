"""A virtio device of an emulated computer, served by this process: the vhost-user protocol.

    qemu ── control socket ──▶ VhostUser ─▶ Ring: buffers in the guest's memory, mapped here
                               kick: the guest has put some in        call: we have used some

By QEMU's "Vhost-user Protocol" (docs/interop/vhost-user) and VIRTIO 1.2, section 2.7 (split
virtqueues). Rules: only memory that is mapped is touched; what the guest gets wrong ends the
device.

Limits: split rings in order of the driver's choice, no indirect descriptors, no live migration.
Counterpart: `vsock_device.py` is the device.
"""

from __future__ import annotations

import mmap
import os
import selectors
import socket
import struct
from collections.abc import Callable
from typing import Final, NamedTuple

__all__ = ["Chain", "Ring", "VhostUser"]

FEATURES: Final = 1 << 32 | 1 << 30
"""VIRTIO_F_VERSION_1, VHOST_USER_F_PROTOCOL_FEATURES"""
PROTOCOL_FEATURES: Final = 1 << 0 | 1 << 3 | 1 << 9
"""MQ, REPLY_ACK, CONFIG"""

GET_FEATURES, SET_MEM_TABLE, SET_VRING_NUM, SET_VRING_ADDR = 1, 5, 8, 9
SET_VRING_BASE, GET_VRING_BASE, SET_VRING_KICK, SET_VRING_CALL = 10, 11, 12, 13
GET_PROTOCOL_FEATURES, GET_QUEUE_NUM, SET_VRING_ENABLE, GET_CONFIG = 15, 17, 18, 24

OF_A_RING: Final = (SET_VRING_NUM, SET_VRING_ADDR, SET_VRING_BASE, GET_VRING_BASE, SET_VRING_ENABLE)

VERSION_1: Final = 0x1
IS_REPLY: Final = 0x4
NEEDS_REPLY: Final = 0x8
NO_DESCRIPTOR: Final = 0x100
"""In the index of SET_VRING_KICK and SET_VRING_CALL."""

HEAD: Final = struct.Struct("<III")
DESCRIPTOR: Final = struct.Struct("<QIHH")
IS_CHAINED: Final = 1
IS_FOR_US_TO_WRITE: Final = 2
NO_INTERRUPT: Final = 1

MOST_DESCRIPTORS: Final = 16


class Region(NamedTuple):
    """A part of the guest's memory: where it is for the guest, for qemu, and here."""

    guest: int
    user: int
    size: int
    offset: int
    memory: memoryview


class Chain(NamedTuple):
    """Buffers that the driver offers together."""

    head: int
    readable: list[memoryview]
    writable: list[memoryview]


class Ring:
    """One virtqueue. `on_kick` is called when the driver has put something in."""

    def __init__(self, device: VhostUser) -> None:
        self._device = device
        self.size = 0
        self.next = 0
        self.is_on = False
        self.descriptors = self.used = self.available = 0
        self.kick = self.call = -1

    def pop(self) -> Chain | None:
        """The next that the driver offers."""
        if not self.is_on or not self.descriptors:
            return None
        at = self._device.at_user
        (newest,) = struct.unpack("<H", at(self.available + 2, 2))
        if self.next == newest:
            return None
        place = self.available + 4 + 2 * (self.next % self.size)
        (head,) = struct.unpack("<H", at(place, 2))
        self.next = (self.next + 1) & 0xFFFF
        return self._chain(head)

    def push(self, chain: Chain, written: int) -> None:
        """Give back what was popped, with so many bytes written."""
        at = self._device.at_user
        (count,) = struct.unpack("<H", at(self.used + 2, 2))
        at(self.used + 4 + 8 * (count % self.size), 8)[:] = struct.pack("<II", chain.head, written)
        at(self.used + 2, 2)[:] = struct.pack("<H", (count + 1) & 0xFFFF)
        (flags,) = struct.unpack("<H", at(self.available, 2))
        if self.call >= 0 and not flags & NO_INTERRUPT:
            os.write(self.call, struct.pack("<Q", 1))

    def _chain(self, head: int) -> Chain:
        chain, index = Chain(head, [], []), head
        while True:
            entry = self._device.at_user(
                self.descriptors + DESCRIPTOR.size * index, DESCRIPTOR.size
            )
            address, size, flags, following = DESCRIPTOR.unpack(entry)
            part = self._device.at_guest(address, size)
            (chain.writable if flags & IS_FOR_US_TO_WRITE else chain.readable).append(part)
            if not flags & IS_CHAINED:
                return chain
            index = following


class VhostUser:
    """The control connection of one device, and its rings. `on_kick`: some ring has something.

    Attributes:
        is_gone: qemu has hung up.
    """

    def __init__(
        self,
        control: socket.socket,
        selector: selectors.BaseSelector,
        rings: int,
        config: bytes,
        on_kick: Callable[[], None],
    ) -> None:
        self._control = control
        self._selector = selector
        self._config = config
        self._on_kick = on_kick
        self._regions: list[Region] = []
        self.rings = [Ring(self) for _ in range(rings)]
        self.is_gone = False
        selector.register(control, selectors.EVENT_READ, self._message)

    def close(self) -> None:
        """Free descriptors and memory."""
        for ring in self.rings:
            self._set_kick(ring, -1)
            self._set_call(ring, -1)
        self._control.close()
        self._regions.clear()

    def at_guest(self, address: int, size: int) -> memoryview:
        """Memory by the guest's own address."""
        for region in self._regions:
            if region.guest <= address <= region.guest + region.size - size:
                start = address - region.guest + region.offset
                return region.memory[start : start + size]
        raise ValueError(f"the guest has no memory at {address:#x}")

    def at_user(self, address: int, size: int) -> memoryview:
        """Memory by qemu's address."""
        for region in self._regions:
            if region.user <= address <= region.user + region.size - size:
                start = address - region.user + region.offset
                return region.memory[start : start + size]
        raise ValueError(f"the emulator has no memory at {address:#x}")

    def _message(self) -> None:
        head, descriptors, _, _ = socket.recv_fds(self._control, HEAD.size, MOST_DESCRIPTORS)
        if not head:
            self.is_gone = True
            return
        request, flags, size = HEAD.unpack(head)
        body = self._control.recv(size, socket.MSG_WAITALL) if size else b""
        reply = self._serve(request, body, descriptors)
        if reply is None and flags & NEEDS_REPLY:
            reply = struct.pack("<Q", 0)
        if reply is not None:
            self._control.sendall(HEAD.pack(request, VERSION_1 | IS_REPLY, len(reply)) + reply)

    def _serve(self, request: int, body: bytes, descriptors: list[int]) -> bytes | None:
        """Do as asked; what is asked for."""
        if request == GET_FEATURES:
            return struct.pack("<Q", FEATURES)
        if request == GET_PROTOCOL_FEATURES:
            return struct.pack("<Q", PROTOCOL_FEATURES)
        if request == GET_QUEUE_NUM:
            return struct.pack("<Q", len(self.rings))
        if request == GET_CONFIG:
            offset, size, _ = HEAD.unpack_from(body)
            return body[: HEAD.size] + self._config[offset : offset + size].ljust(size, b"\0")
        if request == SET_MEM_TABLE:
            self._map(body, descriptors)
        elif request in (SET_VRING_KICK, SET_VRING_CALL):
            (word,) = struct.unpack_from("<Q", body)
            ring = self.rings[word & 0xFF]
            descriptor = -1 if word & NO_DESCRIPTOR else descriptors[0]
            (self._set_kick if request == SET_VRING_KICK else self._set_call)(ring, descriptor)
        elif request in OF_A_RING:
            return self._set_ring(request, body)
        return None

    def _set_ring(self, request: int, body: bytes) -> bytes | None:
        index, number = struct.unpack_from("<II", body)
        ring = self.rings[index]
        if request == SET_VRING_NUM:
            ring.size = number
        elif request == SET_VRING_ADDR:
            ring.descriptors, ring.used, ring.available = struct.unpack_from("<QQQ", body, 8)
        elif request == SET_VRING_BASE:
            ring.next = number
        elif request == SET_VRING_ENABLE:
            ring.is_on = bool(number)
        elif request == GET_VRING_BASE:
            ring.is_on = False
            self._set_kick(ring, -1)
            return struct.pack("<II", index, ring.next)
        return None

    def _map(self, body: bytes, descriptors: list[int]) -> None:
        self._regions.clear()
        for number, descriptor in enumerate(descriptors):
            guest, size, user, offset = struct.unpack_from("<QQQQ", body, 8 + 32 * number)
            memory = memoryview(mmap.mmap(descriptor, size + offset))
            os.close(descriptor)
            self._regions.append(Region(guest, user, size, offset, memory))

    def _set_kick(self, ring: Ring, descriptor: int) -> None:
        if ring.kick >= 0:
            self._selector.unregister(ring.kick)
            os.close(ring.kick)
        ring.kick = descriptor
        if descriptor >= 0:
            ring.is_on = True
            self._selector.register(descriptor, selectors.EVENT_READ, lambda: self._kicked(ring))

    def _set_call(self, ring: Ring, descriptor: int) -> None:
        if ring.call >= 0:
            os.close(ring.call)
        ring.call = descriptor

    def _kicked(self, ring: Ring) -> None:
        os.read(ring.kick, 8)
        self._on_kick()
