"""Clients on both sides that know what they must hear, and the servers that they ask.

Counterparts: `oracle.py` is told of each exchange; `tests/integration/servers.py` serves there.
"""

from __future__ import annotations

import contextlib
import json
import random
import socket
import threading
from collections.abc import Iterator
from typing import Any, Final

from link.relay.relay import end_in_order, linger_not
from tests.soak.oracle import Oracle, Told

__all__ = ["CLIENT", "PATIENCE", "echoing", "exchanges", "heard_there", "loaded"]

LARGEST: Final = 1 << 18
BULK: Final = 1 << 22
OFTEN_BULK: Final = 0.03
PAUSES: Final = (0, 0, 0, 0.3)
"""Seconds in the middle of what a client says."""
PATIENCE: Final = 20.0
"""Seconds that a client waits for anything."""
SERVERS_PATIENCE: Final = 30.0
PAUSE: Final = 0.02
UDP_TRIES: Final = 10
UDP_SECONDS: Final = 1.0
PIECE: Final = 1 << 16

EXCHANGES: Final = """
import random, socket, threading, time

def tcp(chance, address, port):
    words = chance.randbytes(chance.randrange(1, BULK if chance.random() < OFTEN_BULK else LARGEST))
    part, pause = chance.randrange(len(words)), chance.choice(PAUSES)
    heard = bytearray()
    with socket.create_connection((address, port), timeout=PATIENCE) as client:
        broke = []
        def send():
            try:
                client.sendall(words[:part])
                time.sleep(pause)
                client.sendall(words[part:])
                client.shutdown(socket.SHUT_WR)
            except OSError as error:
                broke.append(error)
        sending = threading.Thread(target=send)
        sending.start()
        try:
            while piece := client.recv(PIECE):
                heard += piece
        finally:
            client.settimeout(0)
            sending.join()
        for error in broke:
            if isinstance(error, ConnectionResetError):
                raise error  # the kernel tells of a reset once; who asks then hears end-of-file
    if heard == words:
        return "whole", len(words)
    if not heard:
        return "ended at once", len(words)
    return ("wrong" if not words.startswith(heard) else "cut short"), len(words)

def udp(chance, address, port):
    words = chance.randbytes(chance.randrange(1, 1400))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect((address, port))
        client.settimeout(UDP_SECONDS)
        for _ in range(UDP_TRIES):
            try:
                client.send(words)
                return ("whole" if client.recv(PIECE) == words else "wrong"), len(words)
            except OSError:
                time.sleep(PAUSE)
    return "no answer", len(words)

def exchange(how, chance, address, port):
    begin = time.monotonic()
    try:
        outcome, size = how(chance, address, port)
    except OSError as error:
        outcome, size = type(error).__name__, 0
    return begin, time.monotonic(), outcome, size
"""
_NAMES: Final = {
    "BULK": BULK,
    "LARGEST": LARGEST,
    "OFTEN_BULK": OFTEN_BULK,
    "PAUSES": PAUSES,
    "PATIENCE": PATIENCE,
    "PAUSE": PAUSE,
    "PIECE": PIECE,
    "UDP_SECONDS": UDP_SECONDS,
    "UDP_TRIES": UDP_TRIES,
}

CLIENT: Final = (
    "".join(f"{name} = {value!r}\n" for name, value in _NAMES.items())
    + EXCHANGES
    + """
import json, sys
def run(kind, how, seed, port):
    chance = random.Random(seed)
    while True:
        told = exchange(how, chance, "127.0.0.1", port)
        sys.stdout.write(json.dumps([kind, *told]) + "\\n")
        time.sleep(PAUSE)
seed, first = int(sys.argv[1]), int(sys.argv[2])
threading.Thread(target=run, args=("tcp there", tcp, seed, first)).start()
threading.Thread(target=run, args=("udp there", udp, seed + 1, first + 1)).start()
"""
)
"""seed port: asks the desktop's TCP server on `port` and its UDP server on the next for ever."""


def exchanges() -> dict[str, Any]:
    """`exchange` and the ways of it, `tcp` and `udp`: the very code that runs in the container."""
    space: dict[str, Any] = {**_NAMES}
    exec(EXCHANGES, space)
    return space


@contextlib.contextmanager
def loaded(oracle: Oracle, seed: int, first: int, clients: int) -> Iterator[None]:
    """Clients on this computer: TCP of port `first`, UDP of the next."""
    space = exchanges()
    exchange = space["exchange"]
    ended = threading.Event()

    def run(kind: str, how: Any, number: int, port: int) -> None:
        chance = random.Random(seed * 1000 + number)
        while not ended.is_set():
            oracle.tell(Told(kind, *exchange(how, chance, "127.0.0.1", port)))
            ended.wait(chance.uniform(0, 2 * PAUSE))

    threads = [
        threading.Thread(target=run, args=(f"{name} here", space[name], number, port))
        for number in range(clients)
        for name, port in (("tcp", first), ("udp", first + 1))
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def heard_there(oracle: Oracle, lines: str) -> None:
    """What the container's client has printed."""
    for line in lines.splitlines():
        oracle.tell(Told(*json.loads(line)))


@contextlib.contextmanager
def echoing(first: int) -> Iterator[None]:
    """Servers on this computer: TCP on port `first`, UDP on the next."""
    ended = threading.Event()
    with (
        socket.create_server(("127.0.0.1", first)) as server,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
    ):
        datagrams.bind(("127.0.0.1", first + 1))
        for sock in (server, datagrams):
            sock.settimeout(PAUSE)
        threads = [
            threading.Thread(target=_serve_tcp, args=(server, ended)),
            threading.Thread(target=_serve_udp, args=(datagrams, ended)),
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            ended.set()
            for thread in threads:
                thread.join()


def _serve_tcp(server: socket.socket, ended: threading.Event) -> None:
    flows: list[threading.Thread] = []
    while not ended.is_set():
        with contextlib.suppress(TimeoutError):
            flow = threading.Thread(target=_echo, args=(server.accept()[0],))
            flow.start()
            flows = [*(each for each in flows if each.is_alive()), flow]
    for flow in flows:
        flow.join()


def _echo(client: socket.socket) -> None:
    """Ends only when its client has; what breaks off is a reset."""
    with client, contextlib.suppress(OSError):
        linger_not(client)
        client.settimeout(SERVERS_PATIENCE)
        while data := client.recv(PIECE):
            client.sendall(data)
        end_in_order(client)


def _serve_udp(datagrams: socket.socket, ended: threading.Event) -> None:
    while not ended.is_set():
        with contextlib.suppress(OSError):
            data, peer = datagrams.recvfrom(PIECE)
            datagrams.sendto(data, peer)
