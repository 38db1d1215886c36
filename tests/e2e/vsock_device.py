"""vsock of an emulated computer: its ports are reached through a Unix socket here.

    client ─ "CONNECT port" ─▶ Unix socket ─▶ _Stream ─▶ packets in rings ─▶ the guest's AF_VSOCK
             ◀─ "OK number" ─                                                 (vhost_user.py)

By VIRTIO 1.2, section 5.10 (socket device); the Unix socket is as Firecracker's ("Host-Initiated
Connections" in its docs/vsock.md). This computer needs no vsock, and no rights, for it.

Rules: a thread of its own serves until `close`. Credit is kept both ways, so a client that does not
read costs BUFFER_SIZE at most.

Limits: streams are opened from here only; what the guest opens is refused.
"""

from __future__ import annotations

import contextlib
import os
import select
import selectors
import socket
import struct
import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.e2e.vhost_user import VhostUser

__all__ = ["GUEST", "VsockDevice", "vsock_device"]

HOST: Final = 2
GUEST: Final = 3
"""Context ids; the host's is fixed (vsock(7))."""

HEADER: Final = struct.Struct("<QQIIIHHIII")
"""Source and destination (context ids, then ports), size, type, operation, flags, buffer, taken."""
STREAM: Final = 1
REQUEST, RESPONSE, RESET, SHUTDOWN, BYTES, CREDIT, CREDIT_PLEASE = range(1, 8)
NO_MORE_RECEIVED, NO_MORE_SENT = 1, 2
"""Flags of SHUTDOWN, of whoever sends it."""

RECEIVING, SENDING = 0, 1
"""Rings, by what the guest does; the third is for events, of which there are none."""
RINGS: Final = 3

BUFFER_SIZE: Final = 1 << 18
"""Bytes that the guest may have under way in a stream."""
READ_SIZE: Final = 1 << 16
MOST_PACKETS: Final = 64
"""That wait for the guest, before clients are read again."""
FIRST_PORT: Final = 1 << 30
MASK: Final = 0xFFFFFFFF
LONGEST_LINE: Final = 32


class VsockDevice:
    """See the module. `options` are for qemu, whose memory of so many MiB has to be shared."""

    def __init__(self, folder: Path, memory_mib: int) -> None:
        self.monitor = folder / "vsock"
        control = folder / "vhost"
        self.options = (
            *("-object", f"memory-backend-memfd,id=ram,size={memory_mib}M,share=on"),
            *("-machine", "memory-backend=ram", "-chardev", f"socket,id=vsock,path={control}"),
            *("-device", "vhost-user-vsock-pci,chardev=vsock"),
        )
        self._selector = selectors.DefaultSelector()
        self._control = _listen(control)
        self._clients = _listen(self.monitor)
        self._wake, self._awake = socket.socketpair()
        self._device: VhostUser | None = None
        self._streams: dict[tuple[int, int], _Stream] = {}
        self._packets: deque[tuple[_Stream | None, bytes, bytes]] = deque()
        self._last_port = FIRST_PORT
        self._is_ending = False
        self._selector.register(self._control, selectors.EVENT_READ, self._emulator_came)
        self._selector.register(self._clients, selectors.EVENT_READ, self._client_came)
        self._selector.register(self._awake, selectors.EVENT_READ, self._end)
        self._thread = threading.Thread(target=self._run, name="vsock device")
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """False once it has failed, or the emulator has ended."""
        return self._thread.is_alive()

    def close(self) -> None:
        """End it, and every stream."""
        self._wake.close()
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._is_ending:
                self._turn()
        finally:
            self._free()

    def _turn(self) -> None:
        for key, _ in self._selector.select():
            if key.fileobj in self._selector.get_map():
                key.data()
        if self._device is not None and self._device.is_gone:
            self._is_ending = True
        self._pump()

    def _free(self) -> None:
        for stream in list(self._streams.values()):
            self.drop(stream)
        if self._device is not None:
            self._device.close()
        for sock in (self._control, self._clients, self._awake):
            sock.close()
        self._selector.close()

    def _end(self) -> None:
        self._is_ending = True

    def _emulator_came(self) -> None:
        connection, _ = self._control.accept()
        config = struct.pack("<Q", GUEST)
        self._device = VhostUser(connection, self._selector, RINGS, config, lambda: None)
        self._selector.unregister(self._control)

    def _client_came(self) -> None:
        sock, _ = self._clients.accept()
        sock.setblocking(False)
        line = bytearray()
        self._selector.register(sock, selectors.EVENT_READ, lambda: self._asked(sock, line))

    def _asked(self, sock: socket.socket, line: bytearray) -> None:
        """A client says which port it wants."""
        line += (byte := sock.recv(1))
        if byte and byte != b"\n" and len(line) < LONGEST_LINE:
            return
        self._selector.unregister(sock)
        word, _, port = bytes(line).strip().partition(b" ")
        if word != b"CONNECT" or not port.isdigit():
            sock.close()
            return
        self._last_port += 1
        stream = _Stream(self, sock, (int(port), self._last_port))
        self._streams[stream.key] = stream
        self.send(stream, REQUEST)

    def watch(self, stream: _Stream) -> None:
        """Look at the client for what can be done now."""
        events = stream.wanted(len(self._packets) < MOST_PACKETS)
        known = self._selector.get_map().get(stream.sock)
        if known is None and events:
            self._selector.register(stream.sock, events, stream.on_event)
        elif known is not None and not events:
            self._selector.unregister(stream.sock)
        elif known is not None and known.events != events:
            self._selector.modify(stream.sock, events, stream.on_event)

    def drop(self, stream: _Stream) -> None:
        """Close the client's connection."""
        if self._streams.pop(stream.key, None) is not None:
            if stream.sock in self._selector.get_map():
                self._selector.unregister(stream.sock)
            stream.sock.close()

    def send(self, stream: _Stream, operation: int, flags: int = 0, data: bytes = b"") -> None:
        """Put a packet in line."""
        kind = struct.pack("<HHI", STREAM, operation, flags)
        self._packets.append((stream, kind, data))

    def _refuse(self, key: tuple[int, int]) -> None:
        head = HEADER.pack(HOST, GUEST, key[1], key[0], 0, STREAM, RESET, 0, 0, 0)
        self._packets.append((None, head, b""))

    def _pump(self) -> None:
        """Take what the guest has sent, give it what waits, and look at the clients again."""
        if self._device is None or self._is_ending:
            return
        ring = self._device.rings[SENDING]
        while (chain := ring.pop()) is not None:
            packet = b"".join(chain.readable)
            ring.push(chain, 0)
            self._received(packet)
        self._fill()
        for stream in list(self._streams.values()):
            self.watch(stream)

    def _fill(self) -> None:
        if self._device is None:
            return
        ring = self._device.rings[RECEIVING]
        while self._packets and (chain := ring.pop()) is not None:
            stream, kind, data = self._packets.popleft()
            room = sum(map(len, chain.writable)) - HEADER.size
            if len(data) > room:
                self._packets.appendleft((stream, kind, data[room:]))
                data = data[:room]
            head = kind if stream is None else stream.header(kind, len(data))
            ring.push(chain, _scatter(head + data, chain.writable))

    def _received(self, packet: bytes) -> None:
        _, _, guest_port, port, size, _, operation, flags, buffer, taken = HEADER.unpack_from(
            packet
        )
        key = (guest_port, port)
        stream = self._streams.get(key)
        if stream is None:
            if operation != RESET:
                self._refuse(key)
            return
        stream.buffer, stream.taken = buffer, taken
        if operation == RESPONSE:
            stream.connected()
        elif operation == BYTES:
            stream.deliver(packet[HEADER.size : HEADER.size + size])
        elif operation == CREDIT_PLEASE:
            self.send(stream, CREDIT)
        elif operation == SHUTDOWN:
            stream.guest_ends(flags)
        elif operation == RESET:
            stream.guest_is_gone()


class _Stream:
    """One client's connection to a port of the guest.

    Attributes:
        key: the guest's port, and the one that stands for the client.
        buffer, taken: the guest's, as it told them last.
    """

    def __init__(self, device: VsockDevice, sock: socket.socket, key: tuple[int, int]) -> None:
        self._device = device
        self.sock = sock
        self.key = key
        self.buffer = self.taken = 0
        self._sent = self._received = self._told = 0
        self._waiting = bytearray()
        self._is_open = self._is_said = self._is_ending = self._is_over = False

    def header(self, kind: bytes, size: int) -> bytes:
        """What stands before so many bytes of a packet."""
        self._told = self._received - len(self._waiting)
        guest_port, port = self.key
        place = struct.pack("<QQIII", HOST, GUEST, port, guest_port, size)
        return place + kind + struct.pack("<II", BUFFER_SIZE, self._told & MASK)

    def wanted(self, may_read: bool) -> int:
        """What to wait for at the client's."""
        can_send = self._is_open and not self._is_said and self._room > 0
        reading = selectors.EVENT_READ if can_send and may_read else 0
        return reading | (selectors.EVENT_WRITE if self._waiting else 0)

    @property
    def _room(self) -> int:
        """Bytes that the guest takes now."""
        return self.buffer - ((self._sent - self.taken) & MASK)

    def on_event(self) -> None:
        """The client has said something, or takes something."""
        if self._waiting:
            self._flush()
        if not self.wanted(True) & selectors.EVENT_READ or self.sock.fileno() < 0:
            return
        try:
            data = self.sock.recv(min(self._room, READ_SIZE))
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._sent += len(data)
            self._device.send(self, BYTES, 0, data)
        else:
            self._is_said = True
            flags = NO_MORE_SENT | (NO_MORE_RECEIVED if _is_gone(self.sock) else 0)
            self._device.send(self, SHUTDOWN, flags)

    def connected(self) -> None:
        """The guest has accepted."""
        self._is_open = True
        with contextlib.suppress(OSError):  # it has gone, which reading tells
            self.sock.send(b"OK %d\n" % self.key[1])

    def deliver(self, data: bytes) -> None:
        """Bytes of the guest."""
        self._received += len(data)
        self._waiting += data
        self._flush()

    def guest_ends(self, flags: int) -> None:
        """The guest sends no more, or is about to close."""
        if flags & NO_MORE_SENT:
            self._is_ending = True
        if flags == NO_MORE_SENT | NO_MORE_RECEIVED:
            self._device.send(self, RESET)
            self._is_over = True
        self._flush()

    def guest_is_gone(self) -> None:
        """It has refused, or reset the connection, or has nothing more to say."""
        self._is_over = True
        self._flush()

    def _flush(self) -> None:
        """Hand the client what waits for it, and then the end."""
        try:
            while self._waiting:
                del self._waiting[: self.sock.send(self._waiting)]
        except BlockingIOError:
            pass
        except OSError:
            self._waiting.clear()
            self._device.send(self, RESET)
            self._is_over = True
        if not self._waiting and self._is_over:
            self._device.drop(self)
        elif not self._waiting and self._is_ending:
            with contextlib.suppress(OSError):
                self.sock.shutdown(socket.SHUT_WR)
        elif self._received - len(self._waiting) - self._told >= BUFFER_SIZE // 4:
            self._device.send(self, CREDIT)


def _is_gone(sock: socket.socket) -> bool:
    """True if the client has closed both ways."""
    poll = select.poll()
    poll.register(sock, 0)
    return any(mask & select.POLLHUP for _, mask in poll.poll(0))


def _scatter(data: bytes, parts: list[memoryview]) -> int:
    """Write bytes into buffers, one after the other; how many there were."""
    place = 0
    for part in parts:
        piece = data[place : place + len(part)]
        part[: len(piece)] = piece
        place += len(piece)
    return place


def _listen(path: Path) -> socket.socket:
    server = socket.socket(socket.AF_UNIX)
    server.bind(os.fspath(path))
    server.listen(128)
    return server


@contextlib.contextmanager
def vsock_device(folder: Path, memory_mib: int) -> Iterator[VsockDevice]:
    """One, for an emulated computer that is started meanwhile."""
    device = VsockDevice(folder, memory_mib)
    try:
        yield device
    finally:
        device.close()
