"""UDP sockets on Linux: many datagrams per call in, segmentation offload out.

Rules: as `sockets.py` promises. A look at a socket takes at most BATCHES_PER_TURN batches, so a
flood on one port leaves the others their turn. Datagrams of one client and one size that lie
side by side become one train; a train the kernel merged itself (UDP_GRO) stays one. What the
kernel will not cut up (a device without checksums, a size over its MTU) is sent one by one.

All sockets share an epoll that is nested in the event loop: to watch one costs a system call and
a dictionary's entry, and an error on one is told again and again, where uvloop would stop looking.

Limits: kernel 5.0 for merging and cutting; older ones are served one datagram at a time. A
client is told of a refusal only where raw sockets are allowed (CAP_NET_RAW).

Counterparts: `kernel.py` has the calls, `clients.py` the addresses, `unreachable.py` the
refusals; `front.py` and `back.py` use it.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import select
import socket
import struct
from collections.abc import Callable, Iterable
from ipaddress import ip_address
from typing import Final, Union, cast

from link.datagrams.clients import Address, Client, Control, Layout, merged_segment
from link.datagrams.grouping import group, group_alike
from link.datagrams.kernel import (
    BATCH,
    CONTROL_SIZE,
    IP_PKTINFO,
    IPV6_RECVPKTINFO,
    NAME_SIZE,
    SOL_UDP,
    UDP_GRO,
    Batch,
    Slots,
    segment_option,
)
from link.datagrams.sockets import (
    ClientKey,
    Connected,
    DatagramSockets,
    Listening,
    OnTrains,
    Peer,
)
from link.datagrams.unreachable import Refuser
from link.dial import require_loopback

__all__ = ["LinuxDatagramSockets", "Option"]

Option = tuple[int, int, Union[int, bytes]]
"""Level, name and value of a socket option (setsockopt(2))."""

BUFFER_BYTES: Final = 4 << 20
"""Asked for, each way, per socket. The kernel gives what net.core.rmem_max and wmem_max allow, and
uses it only while datagrams wait."""
BATCHES_PER_TURN: Final = 8
EVENTS_PER_TURN: Final = 256

_SO_RCVBUFFORCE: Final = 33
"""asm-generic/socket.h; beyond rmem_max, for root."""
_SO_MEMINFO: Final = 55
_DROPS_AT: Final = 8
"""asm-generic/socket.h, and linux/sock_diag.h, SK_MEMINFO_DROPS: since 4.12, an array of ints."""
_UNCUTTABLE: Final = frozenset({errno.EIO, errno.EINVAL, errno.EMSGSIZE, errno.ENOPROTOOPT})
"""What sending with UDP_SEGMENT gives where it is not to be had (udp(7))."""
_STALE: Final = frozenset({errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH})
"""An earlier datagram's fate, told to the next call (udp(7)), whose own has not been sent."""

_MEMINFO: Final = struct.Struct("=9I")

log = logging.getLogger(__name__)


class LinuxDatagramSockets(DatagramSockets):
    """See `DatagramSockets`. Make it inside the running loop."""

    name = "linux"

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._epoll = select.epoll()
        self._readers: dict[int, Callable[[], None]] = {}
        self._loop.add_reader(self._epoll.fileno(), self._turn)
        self.refuser = Refuser()
        slots = Slots()
        # One per family, so that rows alike are alike to the last byte.
        self.with_peers = {
            family: Batch(slots, with_peers=True) for family in (socket.AF_INET, socket.AF_INET6)
        }
        self.without_peers = Batch(slots, with_peers=False)

    def listen(self, address: str, port: int, on_trains: OnTrains) -> Listening:
        """See `DatagramSockets.listen`."""
        return self.listen_with((), address, port, on_trains)

    def listen_with(
        self, options: Iterable[Option], address: str, port: int, on_trains: OnTrains
    ) -> Listening:
        """`listen` with options set before the socket is bound. Raises OSError."""
        sock = _socket(address)
        try:
            for level, name, value in options:
                sock.setsockopt(level, name, value)
            if sock.family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                sock.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVPKTINFO, 1)
            else:
                sock.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
            sock.bind((address, port))
        except OSError:
            sock.close()
            raise
        return _Listening(self, sock, on_trains)

    def connect(
        self, address: str, port: int, on_trains: OnTrains, on_refused: Callable[[], None]
    ) -> Connected:
        """See `DatagramSockets.connect`."""
        require_loopback(address)
        sock = _socket(address)
        try:
            sock.connect((address, port))
        except OSError:
            sock.close()
            raise
        return _Connected(self, sock, on_trains, on_refused)

    def close(self) -> None:
        """See `DatagramSockets.close`."""
        self.refuser.close()
        if not self._epoll.closed:
            self._loop.remove_reader(self._epoll.fileno())
            self._epoll.close()

    def watch(self, descriptor: int, reader: Callable[[], None]) -> None:
        """Call `reader` whenever something has arrived, or an error."""
        self._epoll.register(descriptor, select.EPOLLIN)
        self._readers[descriptor] = reader

    def forget(self, descriptor: int) -> None:
        """Watch it no more; it is about to be closed, which takes it out of the epoll."""
        del self._readers[descriptor]

    def _turn(self) -> None:
        if self._epoll.closed:
            return
        for descriptor, _mask in self._epoll.poll(0, EVENTS_PER_TURN):
            reader = self._readers.get(descriptor)
            if reader is not None:
                reader()


def _socket(address: str) -> socket.socket:
    family = socket.AF_INET if ip_address(address).version == 4 else socket.AF_INET6
    sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, BUFFER_BYTES)
    except PermissionError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
    try:
        sock.setsockopt(SOL_UDP, UDP_GRO, 1)
    except OSError as error:
        log.debug("this kernel merges no datagrams: %s", error)
    return sock


class _Socket:
    """A socket in the loop: read by batches, written by trains. `close` may be called twice."""

    def __init__(self, owner: LinuxDatagramSockets, sock: socket.socket, batch: Batch) -> None:
        self.sock = sock
        self._owner = owner
        self.descriptor = sock.fileno()
        self.batch = batch
        self._dropped = 0
        owner.watch(self.descriptor, self.drain)

    def drain(self) -> None:
        """See `Listening.drain`."""
        for _ in range(BATCHES_PER_TURN):
            if self.descriptor < 0:
                return
            try:
                sizes = self.batch.receive(self.descriptor)
            except OSError as error:
                # An earlier datagram's fate (udp(7)): what has arrived is behind it.
                self.failed(error)
                continue
            if sizes:
                self.received(sizes)
            if len(sizes) < BATCH:
                return

    @property
    def dropped(self) -> int:
        """See `Listening.dropped`: the kernel's own count."""
        if self.descriptor >= 0:
            try:
                answer = self.sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size)
                self._dropped = _MEMINFO.unpack(answer)[_DROPS_AT]
            except (OSError, struct.error) as error:
                log.debug("this kernel does not count drops: %s", error)
        return self._dropped

    def close(self) -> None:
        """See `Listening.close`."""
        if self.descriptor >= 0:
            self._owner.forget(self.descriptor)
            self.descriptor = -1
            self.sock.close()

    def received(self, sizes: list[int]) -> None:
        """The batch holds messages of these sizes."""
        raise NotImplementedError

    def failed(self, error: OSError) -> None:
        """A call failed for what an earlier datagram met, or for want of memory."""
        raise NotImplementedError

    def send_train(
        self, payload: memoryview, segment: int, control: Control, address: Address | None
    ) -> int:
        """Send datagrams, in one call if the kernel cuts them; the number not sent."""
        size = len(payload)
        if size <= segment or not segment:
            return 1 if self._attempt(payload, control, address) else 0
        number = self._attempt(payload, [segment_option(segment), *control], address)
        if not number:
            return 0
        if number not in _UNCUTTABLE:
            return -(-size // segment)
        pieces = (payload[start : start + segment] for start in range(0, size, segment))
        return sum(bool(self._attempt(piece, control, address)) for piece in pieces)

    def _attempt(self, payload: memoryview, control: Control, address: Address | None) -> int:
        """One call, once more if it only told of an earlier one: 0, or its errno."""
        number = 0
        for _ in range(2):
            try:
                self._send(payload, control, address)
            except OSError as error:
                number = error.errno or errno.EIO
                if number not in _STALE or self.descriptor < 0:
                    break
                self.failed(error)
            else:
                return 0
        return number

    def _send(self, payload: memoryview, control: Control, address: Address | None) -> None:
        if address is not None:
            self.sock.sendmsg((payload,), control, 0, address)
        elif control:
            self.sock.sendmsg((payload,), control)
        else:
            self.sock.send(payload)


class _Listening(_Socket, Listening):
    """See `Listening`."""

    def __init__(
        self, owner: LinuxDatagramSockets, sock: socket.socket, on_trains: OnTrains
    ) -> None:
        super().__init__(owner, sock, owner.with_peers[sock.family])
        self.inodes = frozenset({os.fstat(self.descriptor).st_ino})
        self._port = int(sock.getsockname()[1])
        self._layout = Layout(sock.family)
        self._refuser = owner.refuser
        self._on_trains = on_trains

    def peer(self, key: ClientKey) -> Peer:
        """See `Listening.peer`."""
        return self._layout.client(cast("bytes", key))

    def send(self, peer: Peer, payload: memoryview, segment: int) -> int:
        """See `Listening.send`."""
        client = cast("Client", peer)
        return self.send_train(payload, segment, client.control, client.address)

    def refuse(self, peer: Peer) -> None:
        """See `Listening.refuse`."""
        self._refuser.refuse(cast("Client", peer), self._port)

    def failed(self, error: OSError) -> None:
        """See `_Socket.failed`."""
        log.debug("UDP port %d: %s", self._port, error)

    def received(self, sizes: list[int]) -> None:
        """See `_Socket.received`."""
        count = len(sizes)
        lengths = self.batch.control_lengths(count)
        if self._is_alike(sizes, lengths):
            key = self._layout.key(self.batch.names, self.batch.controls, 0, lengths[0])
            self._on_trains(group_alike(key, self.batch.views, count, sizes[0]))
        else:
            self._on_trains(list(group(self._messages(sizes, lengths))))
            if lengths.count(self._layout.plain_size) < count:
                self.batch.clear_controls()

    def _is_alike(self, sizes: list[int], lengths: list[int]) -> bool:
        """True if all datagrams are of one client and one size, and none is a merged train."""
        count = len(sizes)
        plain = self._layout.plain_size
        if count == 1:
            return lengths[0] == plain
        if sizes.count(sizes[0]) < count or lengths.count(plain) < count:
            return False
        return _repeats(self.batch.names, NAME_SIZE, count) and _repeats(
            self.batch.controls, CONTROL_SIZE, count
        )

    def _messages(
        self, sizes: list[int], lengths: list[int]
    ) -> Iterable[tuple[ClientKey, memoryview, int]]:
        batch, layout = self.batch, self._layout
        for index, (size, length) in enumerate(zip(sizes, lengths)):
            segment = size
            if length > layout.plain_size:
                segment = merged_segment(batch.controls, index) or size
            key = layout.key(batch.names, batch.controls, index, length)
            yield key, batch.views[index][:size], segment


class _Connected(_Socket, Connected):
    """See `Connected`."""

    def __init__(
        self,
        owner: LinuxDatagramSockets,
        sock: socket.socket,
        on_trains: OnTrains,
        on_refused: Callable[[], None],
    ) -> None:
        super().__init__(owner, sock, owner.without_peers)
        self._on_trains = on_trains
        self._on_refused = on_refused

    def send(self, payload: memoryview, segment: int) -> int:
        """See `Connected.send`."""
        return self.send_train(payload, segment, [], None)

    def failed(self, error: OSError) -> None:
        """See `_Socket.failed`."""
        if error.errno in _STALE:
            self._on_refused()

    def received(self, sizes: list[int]) -> None:
        """See `_Socket.received`."""
        count = len(sizes)
        lengths = self.batch.control_lengths(count)
        if sizes.count(sizes[0]) == count and not any(lengths):
            self._on_trains(group_alike(None, self.batch.views, count, sizes[0]))
        else:
            self._on_trains(list(group(self._messages(sizes, lengths))))

    def _messages(
        self, sizes: list[int], lengths: list[int]
    ) -> Iterable[tuple[ClientKey, memoryview, int]]:
        for index, (size, length) in enumerate(zip(sizes, lengths)):
            segment = merged_segment(self.batch.controls, index) if length else 0
            yield None, self.batch.views[index][:size], segment or size


def _repeats(rows: bytearray, width: int, count: int) -> bool:
    """True if the first `count` rows are all the same."""
    return rows[: width * count] == rows[:width] * count
