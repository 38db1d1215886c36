"""UDP sockets on Linux: many datagrams per call in, segmentation offload out.

Rules: as `sockets.py` promises. A look at a socket takes at most BATCHES_PER_TURN batches, so a
flood on one port leaves the others their turn. After a look that found one datagram, some more
take no more than one each, by a cheaper call, if something was sent in between, as in question
and answer; what else is there is found by the next. Datagrams of one client and one size that lie
side by side become one train; a train the kernel merged itself (UDP_GRO) stays one. What the
kernel will not cut up (a device without checksums, a size over its MTU) is sent one by one.

Limits: kernel 5.0 for merging and cutting; older ones are served one datagram at a time. A
client is told of a refusal only where raw sockets are allowed (CAP_NET_RAW).

Counterparts: `kernel.py` has the calls, `link.readiness` wakes, `clients.py` knows addresses,
`unreachable.py` refusals; `front.py` and `back.py` use it.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from ipaddress import ip_address
from typing import Final, Union, cast

from link.datagrams.clients import (
    Address,
    Client,
    Control,
    Layout,
    merged_segment,
    told_segment,
)
from link.datagrams.grouping import group, group_alike
from link.datagrams.kernel import (
    BATCH,
    CONTROL_SIZE,
    IP_PKTINFO,
    IPV6_RECVPKTINFO,
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
    OnTrain,
    OnTrains,
    Peer,
    Train,
    datagrams_in,
)
from link.datagrams.unreachable import Refuser
from link.dial import require_loopback
from link.loop import open_epoll_readiness
from link.readiness import READABLE, SHORT_TURNS, EpollReadiness

__all__ = ["LinuxDatagramSockets", "Option"]

Option = tuple[int, int, Union[int, bytes]]
"""Level, name and value of a socket option (setsockopt(2))."""

BUFFER_BYTES: Final = 4 << 20
"""Asked for, each way, per socket. The kernel gives what net.core.rmem_max and wmem_max allow, and
uses it only while datagrams wait. Twice as much with what it adds (socket(7)): 3 600 datagrams of
1400 bytes, or 10 900 of 64, which is how long one waits behind a flood on its port, some 25 to
70 ms. With a quarter of it, small round trips beside a flood of 1400 bytes had half the p99, and
the flood lost a sixth to a quarter instead of nothing, as the process had to wait for a core."""
BATCHES_PER_TURN: Final = 8
LONE_LOOKS: Final = 15
"""Most of the cheaper looks in a row: a flood that begins is noticed after so many datagrams."""

_SO_RCVBUFFORCE: Final = 33
"""asm-generic/socket.h; beyond rmem_max, for root."""
_SO_MEMINFO: Final = 55
_DROPS_AT: Final = 8
"""asm-generic/socket.h, and linux/sock_diag.h, SK_MEMINFO_DROPS: since 4.12, an array of ints."""
_UNCUTTABLE: Final = frozenset({errno.EIO, errno.EINVAL, errno.EMSGSIZE, errno.ENOPROTOOPT})
"""What sending with UDP_SEGMENT gives where it is not to be had (udp(7))."""
_STALE: Final = frozenset({errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH})
"""An earlier datagram's fate, told to the next call (udp(7)), whose own has not been sent."""

_NO_CONTROL: Final[Control] = []
_TELL_OUR_ADDRESS: Final = {
    socket.AF_INET: (socket.IPPROTO_IP, IP_PKTINFO),
    socket.AF_INET6: (socket.IPPROTO_IPV6, IPV6_RECVPKTINFO),
}
_MEMINFO: Final = struct.Struct("=9I")

log = logging.getLogger(__name__)


class LinuxDatagramSockets(DatagramSockets):
    """See `DatagramSockets`. Make it inside the running loop. `options`: of all that listen."""

    name = "linux"

    def __init__(self, options: Iterable[Option] = ()) -> None:
        self._options = tuple(options)
        self.loop = asyncio.get_running_loop()
        self.readiness, self._close_readiness = open_epoll_readiness()
        self.refuser = Refuser()
        slots = Slots()
        # One per family, so that rows alike are alike to the last byte.
        self.with_peers = {
            family: Batch(slots, with_peers=True) for family in (socket.AF_INET, socket.AF_INET6)
        }
        self.without_peers = Batch(slots, with_peers=False)

    def listen(self, address: str, port: int, on_trains: OnTrains) -> Listening:
        """See `DatagramSockets.listen`."""
        return self.listen_with(self._options, address, port, on_trains)

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
            if ip_address(address).is_unspecified:
                sock.setsockopt(*_TELL_OUR_ADDRESS[sock.family], 1)
            sock.bind((address, port))
            _merge(sock)
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
        self._close_readiness()


def _socket(address: str) -> socket.socket:
    family = socket.AF_INET if ip_address(address).version == 4 else socket.AF_INET6
    sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, BUFFER_BYTES)
    except PermissionError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
    return sock


def _merge(sock: socket.socket) -> None:
    """Have the kernel hand on trains that came merged as they are."""
    try:
        sock.setsockopt(SOL_UDP, UDP_GRO, 1)
    except OSError as error:
        log.debug("this kernel merges no datagrams: %s", error)


class _Socket:
    """A socket in the loop: read by batches, written by trains. `close` may be called twice."""

    def __init__(
        self,
        sock: socket.socket,
        readiness: EpollReadiness,
        batch: Batch,
        layout: Layout | None,
        on_trains: OnTrains,
    ) -> None:
        self.sock = sock
        self._readiness = readiness
        self.descriptor = sock.fileno()
        self._batch = batch
        self._first = batch.first
        self._one = [batch.first]
        self._layout = layout
        self._plain_size = layout.plain_size if layout else 0
        self._on_trains = on_trains
        self.on_lone: OnTrain | None = None
        self._lone_looks = self._most_lone = 0
        self._has_sent = False
        self._dropped = 0

    def look(self, _mask: int = 0) -> None:
        """Hand on what has arrived, or a part of it: there is something."""
        if self._lone_looks and self._has_sent:
            self._has_sent = False
            self._lone_looks -= 1
            self._readiness.short_turns = SHORT_TURNS  # of bulk beside it
            self.take_lone()
        elif self.take() == 1 and self.on_lone:
            self._lone_looks = self._most_lone = min(2 * self._most_lone + 1, LONE_LOOKS)
        else:
            self._most_lone = 0

    def drain(self) -> None:
        """See `Listening.drain`."""
        self.take()

    def take(self) -> int:
        """Take and hand on what there is: how many messages the last of the calls took."""
        count = 0
        for _ in range(BATCHES_PER_TURN):
            if self.descriptor < 0:
                break
            try:
                count = self._batch.receive(self.descriptor)
            except OSError as error:
                # An earlier datagram's fate (udp(7)): what has arrived is behind it.
                self.failed(error)
                continue
            if count:
                self._on_trains(self._trains(count))
            if count < BATCH:
                break
        return count

    def take_lone(self) -> None:
        """Take and hand on one message, if there is one."""
        try:
            size, controls, _, name = self.sock.recvmsg_into(self._one, CONTROL_SIZE)
        except BlockingIOError:
            return
        except OSError as error:
            self.failed(error)
            return
        key = self.key_of(name, controls)
        segment = told_segment(controls) if controls else 0
        if segment and segment < size:
            self._lone_looks = 0
            self._on_trains(list(group([(key, self._first[:size], segment)])))
        elif self.on_lone:
            self.on_lone(key, (self._first[:size],), size, size)

    def key_of(self, _name: Address, _controls: Control) -> ClientKey:
        """Whose a message is, of which these were told; None where there is but one peer."""
        return None

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
            self.forget()
            self.descriptor = -1
            self.sock.close()

    def forget(self) -> None:
        """Take it out of the loop."""
        raise NotImplementedError

    def failed(self, error: OSError) -> None:
        """A call failed for what an earlier datagram met, or for want of memory."""
        raise NotImplementedError

    def _trains(self, count: int) -> Sequence[Train]:
        """What the batch holds."""
        batch, layout = self._batch, self._layout
        sizes, lengths = batch.sizes[:count].tolist(), batch.control_lengths[:count].tolist()
        are_plain = lengths.count(self._plain_size) == count
        views = batch.views
        if are_alike := are_plain and sizes.count(sizes[0]) == count:
            views = batch.slots.cut(sizes[0], count)
            if layout is None or layout.repeats(batch.names, batch.controls, count):
                size = self._plain_size
                key = layout.key(batch.names, batch.controls, 0, size) if layout else None
                return group_alike(key, views, count, sizes[0])
        if layout and are_plain:
            keys = layout.keys(batch.names, batch.controls, count)
            if not are_alike:
                views = [view[:size] for view, size in zip(views, sizes)]
            return list(group(zip(keys, views, sizes)))
        trains = list(group(self._messages(sizes, lengths)))
        if layout:
            batch.clear_controls()
        return trains

    def _messages(
        self, sizes: list[int], lengths: list[int]
    ) -> Iterator[tuple[ClientKey, memoryview, int]]:
        """Of a batch in which some were merged."""
        batch, layout = self._batch, self._layout
        for index, (size, length) in enumerate(zip(sizes, lengths)):
            segment = size
            if length > self._plain_size:
                segment = merged_segment(batch.controls, index) or size
            key = layout.key(batch.names, batch.controls, index, length) if layout else None
            yield key, batch.views[index][:size], segment

    def send_train(
        self,
        payload: memoryview,
        segment: int,
        control: Control = _NO_CONTROL,
        address: Address | None = None,
    ) -> int:
        """Send datagrams, in one call if the kernel cuts them; the number not sent."""
        if 0 < segment < len(payload):
            return self._send_cut(payload, segment, control, address)
        try:
            self.sock.sendmsg((payload,), control, 0, address)
        except OSError as error:
            return 1 if self._fails_again(error, payload, control, address) else 0
        return 0

    def _send_cut(
        self, payload: memoryview, segment: int, control: Control, address: Address | None
    ) -> int:
        cutting = [segment_option(segment), *control]
        try:
            self.sock.sendmsg((payload,), cutting, 0, address)
        except OSError as error:
            number = self._fails_again(error, payload, cutting, address)
            if number in _UNCUTTABLE:
                starts = range(0, len(payload), segment)
                pieces = (payload[start : start + segment] for start in starts)
                return sum(self.send_train(each, segment, control, address) for each in pieces)
            return datagrams_in(len(payload), segment) if number else 0
        return 0

    def _fails_again(
        self, error: OSError, payload: memoryview, control: Control, address: Address | None
    ) -> int:
        """One more call if the first told of an earlier one only: 0, or the errno of the last."""
        if error.errno in _STALE:
            self.failed(error)
            try:
                self.sock.sendmsg((payload,), control, 0, address)
            except OSError as another:
                error = another
            else:
                return 0
        return error.errno or errno.EIO


class _Listening(_Socket, Listening):
    """See `Listening`. The loop watches it itself: it has no errors, nor are there many."""

    def __init__(
        self, owner: LinuxDatagramSockets, sock: socket.socket, on_trains: OnTrains
    ) -> None:
        self._port: int
        address, self._port = sock.getsockname()[:2]
        is_wildcard = ip_address(address).is_unspecified
        self._peers = Layout(sock.family, "" if is_wildcard else address)
        super().__init__(
            sock, owner.readiness, owner.with_peers[sock.family], self._peers, on_trains
        )
        self.inodes = frozenset({os.fstat(self.descriptor).st_ino})
        self._refuser = owner.refuser
        self._last_name: Address | None = None
        self._last_controls: Control = []
        self._last_key = b""
        self._loop = owner.loop
        self._loop.add_reader(self.descriptor, self.look)

    def key_of(self, name: Address, controls: Control) -> ClientKey:
        """See `_Socket.key_of`. Who spoke last often speaks next."""
        if name != self._last_name or controls != self._last_controls:
            self._last_name, self._last_controls = name, controls
            self._last_key = self._peers.key_of(name, controls)
        return self._last_key

    def peer(self, key: ClientKey) -> Peer:
        """See `Listening.peer`."""
        return self._peers.client(cast("bytes", key))

    def send(self, peer: Peer, payload: memoryview, segment: int) -> int:
        """See `Listening.send`."""
        client: Client = peer  # type: ignore[assignment]
        self._has_sent = True
        return self.send_train(payload, segment, client.control, client.address)

    def refuse(self, peer: Peer) -> None:
        """See `Listening.refuse`."""
        self._refuser.refuse(cast("Client", peer), self._port)

    def forget(self) -> None:
        """See `_Socket.forget`."""
        self._loop.remove_reader(self.descriptor)

    def failed(self, error: OSError) -> None:
        """See `_Socket.failed`. Of a socket with an error some loops, uvloop's, tell but once."""
        log.debug("UDP port %d: %s", self._port, error)
        self._loop.remove_reader(self.descriptor)
        self._loop.add_reader(self.descriptor, self.look)


class _Connected(_Socket, Connected):
    """See `Connected`. Its server answers nobody else, so it sends as it is."""

    def __init__(
        self,
        owner: LinuxDatagramSockets,
        sock: socket.socket,
        on_trains: OnTrains,
        on_refused: Callable[[], None],
    ) -> None:
        super().__init__(sock, owner.readiness, owner.without_peers, None, on_trains)
        self._on_refused = on_refused
        self._is_merging = False
        self._readiness.watch_level(self.descriptor, self.look, READABLE)

    def send(self, payload: memoryview, segment: int) -> int:
        """See `Connected.send`."""
        self._has_sent = True
        if 0 < segment < len(payload):
            return self.send_train(payload, segment)
        try:
            self.sock.send(payload)
        except OSError as error:
            return 1 if self._fails_again(error, payload, _NO_CONTROL, None) else 0
        return 0

    def take(self) -> int:
        """See `_Socket.take`. Of a server that sends bursts the kernel may merge them."""
        count = super().take()
        if count > 1 and not self._is_merging and self.descriptor >= 0:
            self._is_merging = True
            _merge(self.sock)
        return count

    def take_lone(self) -> None:
        """See `_Socket.take_lone`. Nothing is told of what is never merged."""
        if self._is_merging:
            super().take_lone()
            return
        try:
            size = self.sock.recv_into(self._first)
        except BlockingIOError:
            return
        except OSError as error:
            self.failed(error)
            return
        if self.on_lone:
            self.on_lone(None, (self._first[:size],), size, size)

    def forget(self) -> None:
        """See `_Socket.forget`."""
        self._readiness.forget(self.descriptor)

    def failed(self, error: OSError) -> None:
        """See `_Socket.failed`."""
        if error.errno in _STALE:
            self._on_refused()
