"""A hop of ours alone: the relay of daemon and agent between a client and a server, without a link.

    python -m tests.bench.hop --loop uvloop|direct [--workers N] ADDRESS PORT SERVER SERVER_PORT

Rules: every connection to ADDRESS is a flow to SERVER whose bytes are in no frames; what it takes
beside the whole path tells what the second hop and the link cost. TCP only. `direct` is the event
loop of daemon and agent on Linux. Workers are processes that accept from one listener.

Limits: it connects anew for each flow, as docker-proxy does, where the daemon has a stream ready.
Ends by SIGTERM. Counterpart: `peers.py` starts it.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import signal
import socket
from collections.abc import Callable, Coroutine
from typing import Any, Final

import uvloop

from link.acceptor import Acceptor, listen_tcp
from link.dial import tune_dialled
from link.loop import run
from link.relay.relay import Flow
from link.relay.splice import SpliceFlow, SpliceRelay

__all__ = ["VARIANTS"]

LOOPS: Final = ("uvloop", "direct")
VARIANTS: Final = {
    "one hop, uvloop": ("--loop", "uvloop"),
    "one hop, direct": ("--loop", "direct"),
    "one hop, direct, 2 workers": ("--loop", "direct", "--workers", "2"),
}
"""What is compared, and its options."""


class _Hop(SpliceRelay):
    """The relay, with no frames from the first byte on."""

    def __init__(self, server: tuple[str, int]) -> None:
        super().__init__()
        self._server = server

    def carry(self, client: socket.socket) -> None:
        """Make a flow of a client and a new connection to the server."""
        server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        server.setblocking(False)
        tune_dialled(server)
        server.connect_ex(self._server)
        self.serve(client, server, lambda _flow: None)

    def _begin(
        self,
        near: socket.socket,
        stream: socket.socket,
        on_end: Callable[[Flow], None],
        *,
        is_served: bool,
    ) -> SpliceFlow:
        flow = super()._begin(near, stream, on_end, is_served=is_served)
        flow.incoming.is_raw = flow.outgoing.is_raw = True
        return flow


async def _serve(listener: socket.socket, server: tuple[str, int]) -> int:
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    hop = _Hop(server)
    acceptor = Acceptor(listener, hop.carry)
    gc.collect()
    gc.freeze()
    await ended.wait()
    acceptor.close()
    await hop.aclose()
    return 0


def _main() -> None:
    parser = argparse.ArgumentParser(prog="tests.bench.hop")
    parser.add_argument("--loop", choices=LOOPS, required=True)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("address")
    parser.add_argument("port", type=int)
    parser.add_argument("server")
    parser.add_argument("server_port", type=int)
    arguments = parser.parse_args()
    listener = listen_tcp(arguments.address, arguments.port, is_local=True)
    for _ in range(arguments.workers - 1):
        if not os.fork():
            break
    work: Coroutine[Any, Any, int] = _serve(listener, (arguments.server, arguments.server_port))
    if arguments.loop == "uvloop":
        uvloop.run(work)
    else:
        run(work)


if __name__ == "__main__":
    _main()
