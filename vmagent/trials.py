"""The machine's part in a self-test: a byte each way through temporary mirrors.

    desktop's mirror ══▶ Answerer here                     the flow of any container's port
    ask_byte ─▶ temporary stub here ══▶ desktop's answerer  the flow of any port of the desktop

Rules: one trial at a time; all of it is gone when it ends, which it does by itself after
TRIAL_SECONDS. The stub is a socket also where containers are redirected: the kernel leads only
programs in containers, and the agent is none. Counterpart: `desktop/daemon/trials.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterator
from typing import Final

from link.acceptor import Acceptor
from link.datagrams.front import Front
from link.messages import MAX_TEXT, Message, StubKey, Trial, TrialOpened, TrialResults
from link.one_byte import HERE, Answerer, ask_byte, free_port

__all__ = ["TRIAL_SECONDS", "Trials"]

TRIAL_SECONDS: Final = 10.0


class Trials:
    """See the module.

    Args:
        on_client: owns each connection to the stub of a port of the desktop.
        make_front: the same for UDP: opens a stub of that port at another, or raises OSError.
    """

    def __init__(
        self,
        on_client: Callable[[StubKey, socket.socket], None],
        make_front: Callable[[StubKey, int], Front],
        listen: Callable[[str, int], socket.socket],
    ) -> None:
        self._on_client = on_client
        self._make_front = make_front
        self._listen = listen
        self._answerer: Answerer | None = None
        self._stubs: dict[str, Acceptor | Front] = {}
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def ports(self) -> frozenset[int]:
        """Where it answers."""
        return frozenset() if self._answerer is None else frozenset(self._answerer.ports.values())

    @property
    def inodes(self) -> frozenset[int]:
        """Socket inodes of what is open."""
        if self._answerer is None:
            return frozenset()
        return self._answerer.inodes.union(*(stub.inodes for stub in self._stubs.values()))

    def begin(self, trial: Trial, send: Callable[[Message], None]) -> None:
        """Take part; `send` says what there is to say."""
        self.end()
        try:
            self._answerer = Answerer()
        except OSError as error:
            send(TrialOpened(trial.number, 0, 0, _words(error)))
            return
        ports = self._answerer.ports
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(TRIAL_SECONDS, self.end)
        self._task = loop.create_task(self._ask(trial, send), name="self-test")
        send(TrialOpened(trial.number, ports["tcp"], ports["udp"], ""))

    def end(self) -> None:
        """Close all of it. May be called twice."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._answerer is not None:
            self._answerer.close()
            self._answerer = None

    async def _ask(self, trial: Trial, send: Callable[[Message], None]) -> None:
        tcp, udp = await asyncio.gather(
            self._try("tcp", trial.tcp_port), self._try("udp", trial.udp_port)
        )
        send(TrialResults(trial.number, tcp[0], udp[0], tcp[1], udp[1]))

    async def _try(self, protocol: str, port: int) -> tuple[str, int]:
        """Why the desktop's port cannot be reached, or ""; and the microseconds that it took."""
        if not port:
            return "", 0
        began = time.monotonic()
        try:
            with self._stub(protocol, port) as place:
                await ask_byte(protocol, place)
        except OSError as error:
            return _words(error), 0
        return "", int((time.monotonic() - began) * 1e6)

    @contextlib.contextmanager
    def _stub(self, protocol: str, port: int) -> Iterator[int]:
        """A stub of that port of the desktop, where there is room for one."""
        key = StubKey(HERE, port, protocol)
        place = free_port(protocol)
        stub: Acceptor | Front
        if protocol == "udp":
            stub = self._make_front(key, place)
        else:
            stub = Acceptor(self._listen(HERE, place), lambda client: self._on_client(key, client))
        self._stubs[protocol] = stub
        try:
            yield place
        finally:
            del self._stubs[protocol]
            stub.close()


def _words(error: OSError) -> str:
    text = os.strerror(error.errno) if error.errno else str(error)
    return text[:MAX_TEXT]
