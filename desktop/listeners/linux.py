"""Listeners of this computer on Linux: the same sock_diag code as the agent's.

Rules: as `source.ListenerSource` says. UDP sockets on ports of the kernel's choice appear by the
rule of `link.maturity`, on the first scan at which they are old enough: it is for the caller to
scan often. Needs no privilege; names and process ids of other users' programs stay unknown
without it.

Limits: sees the network namespace of the thread that made it. Without destroy events (old or
restricted kernel) there is no wake-up descriptor and the caller polls; while many connections come
and go (`churn.py`) that descriptor is silent.

Counterpart: `vmagent.watch.watcher` does the same for containers.
"""

from __future__ import annotations

import logging
import time

from desktop.listeners.churn import Churn
from desktop.listeners.source import ListenerSource
from link.connected_servers import ConnectedServers
from link.listener import Listener
from link.maturity import Maturity
from link.processes import Process, find_processes
from link.sockdiag import (
    DestroyEvents,
    ListeningSocket,
    SockDiag,
    SockDiagError,
    ephemeral_ports,
    to_listener,
)

__all__ = ["LinuxListenerSource"]

_log = logging.getLogger(__name__)


class LinuxListenerSource(ListenerSource):
    """TCP and UDP listeners by sock_diag, with processes looked up once per socket.

    Construction raises OSError where the kernel has no sock_diag; `drain` does if the system
    takes the events away.
    """

    def __init__(self) -> None:
        self._diag = SockDiag()
        self._events = _subscribe()
        self._are_wanted = True
        self._churn = Churn()
        self._maturity = Maturity()
        self._connected = ConnectedServers()
        self._known: dict[ListeningSocket, Listener] = {}

    def scan(self, exclude: frozenset[int]) -> list[Listener]:
        """See `ListenerSource.scan`."""
        records = self._mature(exclude)
        new = [record for record in records if record not in self._known]
        processes = self._find_processes({record.inode for record in new})
        made = {record: to_listener(record, None, processes.get(record.inode)) for record in new}
        self._known = {record: made.get(record) or self._known[record] for record in records}
        self._choose_events()
        return sorted(self._known.values(), key=_order)

    def _choose_events(self) -> None:
        """Be told of the ends of sockets, unless too many connections end."""
        are_wanted = not self._churn.is_high(time.monotonic())
        if self._events is None or are_wanted is self._are_wanted:
            return
        self._are_wanted = are_wanted
        try:
            self._events.listen(wanted=are_wanted)
        except OSError as error:
            _log.warning("events of closed listeners cannot be chosen: %s", error)

    def _find_processes(self, inodes: set[int]) -> dict[int, Process]:
        """Whose these sockets are. Who has some already has more: all take 9 ms to look through."""
        likely = {each.pid for each in self._known.values() if each.pid is not None}
        found = find_processes(inodes, likely)
        rest = inodes - found.keys()
        return {**found, **find_processes(rest)} if rest else found

    def _mature(self, exclude: frozenset[int]) -> list[ListeningSocket]:
        sockets = [record for record in self._diag.listeners() if record.inode not in exclude]
        ephemeral = ephemeral_ports()
        mature = self._maturity.sift(sockets, ephemeral, time.monotonic())
        if self._events:
            self._events.leave_out(ephemeral, self._maturity.ports)
        cookies = {record.cookie for record in mature}
        missing = (record for record in self._known if record.cookie not in cookies)
        return mature + self._connected.among(missing)

    def wakeup_fileno(self) -> int | None:
        """See `ListenerSource.wakeup_fileno`."""
        return self._events.fileno() if self._events else None

    def drain(self) -> bool:
        """See `ListenerSource.drain`."""
        return self._events.drain() if self._events else False

    def close(self) -> None:
        """See `ListenerSource.close`."""
        self._diag.close()
        self._churn.close()
        if self._events:
            self._events.close()
            self._events = None


def _subscribe() -> DestroyEvents | None:
    try:
        return DestroyEvents()
    except SockDiagError as error:
        _log.info("no events of closed listeners, polling only: %s", error)
        return None


def _order(listener: Listener) -> tuple[str, int, str, int]:
    return listener.protocol, listener.port, listener.address, listener.id
