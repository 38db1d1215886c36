"""A program that does with sockets what a test tells it, and the string to pull it by.

Run as a program it reads commands on standard input, a JSON object a line, and answers each with
one line: {"ok": value} or {"error": "EADDRINUSE"}. It runs with the system's own Python, in a
container or on this computer, so it uses the standard library only. Its TCP servers greet each
client with their words and give back what they get; its UDP servers give back each datagram with
their words before it. Everything ends with its standard input.

Limits: one thread, so a puppet must not talk to its own servers, nor at length.
Counterpart: `Puppet`, in the test.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

__all__ = ["ANSWER_SECONDS", "KINDS", "Puppet", "Server", "exchange", "program"]

PATIENCE: Final = 30.0
"""Seconds until a puppet gives up waiting for others to do their part."""

ANSWER_SECONDS: Final = 1.0
"""How long a client waits for an answer. Of a datagram there may never be one, nor an error: a
mirror closes with what it was just given, and the kernel sends few ICMP errors to others
(icmp_ratelimit, icmp(7))."""

SYSTEM_PYTHON: Final = "/usr/bin/python3"
KINDS: Final = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


def exchange(
    protocol: str,
    address: str,
    port: int,
    words: bytes = b"",
    patience: float = ANSWER_SECONDS,
) -> bytes:
    """Say `words` to a server and hear all it has to say. Raises OSError."""
    if protocol == "tcp":
        with socket.create_connection((address, port), timeout=patience) as client:
            client.sendall(words)
            _say_the_end(client)
            return b"".join(iter(lambda: client.recv(65536), b""))
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as client:
        client.settimeout(patience)
        client.connect((address, port))
        client.send(words)
        return client.recv(65536)


def _say_the_end(client: socket.socket) -> None:
    try:
        client.shutdown(socket.SHUT_WR)
    except OSError as error:
        if error.errno != errno.ENOTCONN:  # it was reset meanwhile: what by, recv tells
            raise


def program() -> list[str]:
    """The argument list that starts a puppet on this computer."""
    return [SYSTEM_PYTHON, "-u", str(Path(__file__).resolve())]


class Server:
    """A listening socket of a puppet."""

    def __init__(self, puppet: Puppet, name: int, protocol: str, address: str, port: int) -> None:
        self.protocol = protocol
        self.address = address
        self.port = port
        self._puppet = puppet
        self._name = name

    def close(self) -> None:
        """Close the listener; its accepted connections live on."""
        self._puppet.tell("close", name=self._name)


class Puppet:
    """A running puppet."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self.pid = int(self.tell("pid"))

    def begin(self, do: str, **arguments: Any) -> None:
        """Give a command; `answer` waits until it is done."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        self._process.stdin.flush()

    def answer(self) -> Any:
        """The answer to the command that was begun. Raises OSError with the puppet's errno."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the puppet has ended"
        answer = json.loads(line)
        if "error" in answer:
            number = getattr(errno, answer["error"])
            raise OSError(number, os.strerror(number))
        return answer["ok"]

    def tell(self, do: str, **arguments: Any) -> Any:
        """Give a command and wait for its answer. Raises OSError."""
        self.begin(do, **arguments)
        return self.answer()

    def open(self, protocol: str, address: str, port: int, words: str, **options: bool) -> Server:
        """Open a server; options: dual, reuse_port, unbound. Raises OSError."""
        self.begin("open", protocol=protocol, address=address, port=port, words=words, **options)
        return self.opened(protocol, address)

    def opened(self, protocol: str, address: str) -> Server:
        """The server that an `open` or `seize` which was begun has made. Raises OSError."""
        name, port = self.answer()
        return Server(self, name, protocol, address, port)

    @contextlib.contextmanager
    def serving(
        self, protocol: str, address: str, port: int, words: str = "hello", **options: bool
    ) -> Iterator[Server]:
        """`open`, and close at the end if the test has not."""
        server = self.open(protocol, address, port, words, **options)
        try:
            yield server
        finally:
            server.close()

    def hears(
        self, protocol: str, address: str, port: int, patience: float = ANSWER_SECONDS
    ) -> str:
        """What a server says to a client in the puppet's place, or the name of the error."""
        place = {"protocol": protocol, "address": address, "port": port}
        try:
            answer = self.tell("ask", patience=patience, **place)
        except OSError as error:
            return errno.errorcode[error.errno or 0]
        return str(answer)

    def end(self) -> None:
        """Let go of it, and wait until it is gone."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(PATIENCE)
        self._process.stdout.close()


class _Program:
    """What runs at the other end of the pipe."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._servers: dict[int, socket.socket] = {}
        self._watched: set[object] = set()
        self._last = 0

    def run(self) -> None:
        """Serve until the end of standard input."""
        self._selector.register(sys.stdin, selectors.EVENT_READ, self._command)
        while True:
            for key, _events in self._selector.select():
                if key.fileobj is sys.stdin or key.fileobj in self._watched:
                    key.data()

    def _command(self) -> None:
        line = sys.stdin.readline()
        if not line:
            os._exit(0)
        arguments = json.loads(line)
        try:
            answer = {"ok": getattr(self, arguments.pop("do"))(**arguments)}
        except OSError as error:
            answer = {"error": errno.errorcode.get(error.errno or 0, "ETIMEDOUT")}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()

    def pid(self) -> int:
        """Its process id, in its own namespace."""
        return os.getpid()

    def open(self, words: str, **place: Any) -> tuple[int, int]:
        """Open a server: its name and port."""
        sock = _listening(**place)
        serve = self._answer if sock.type == socket.SOCK_DGRAM else self._accept
        self._last += 1
        self._servers[self._last] = sock
        self._watch(sock, lambda: serve(sock, words.encode()))
        return self._last, sock.getsockname()[1]

    def seize(self, **place: Any) -> tuple[int, int]:
        """Open a server as soon as its place is free."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return self.open(**place)
            except OSError as error:
                if error.errno != errno.EADDRINUSE or time.monotonic() > deadline:
                    raise

    def close(self, name: int) -> None:
        """Close a server; one that is closed already stays so."""
        sock = self._servers.pop(name, None)
        if sock is not None:
            self._drop(sock)

    def ask(self, **place: Any) -> str:
        """Be a client."""
        return exchange(**place).decode()

    def _accept(self, server: socket.socket, words: bytes) -> None:
        client, _peer = server.accept()
        client.sendall(words)
        self._watch(client, lambda: self._echo(client))

    def _echo(self, client: socket.socket) -> None:
        try:
            data = client.recv(65536)
            client.sendall(data)
        except ConnectionError:
            data = b""
        if not data:
            self._drop(client)

    def _answer(self, server: socket.socket, words: bytes) -> None:
        data, peer = server.recvfrom(65536)
        server.sendto(words + data, peer)

    def _watch(self, sock: socket.socket, ready: Callable[[], None]) -> None:
        self._selector.register(sock, selectors.EVENT_READ, ready)
        self._watched.add(sock)

    def _drop(self, sock: socket.socket) -> None:
        self._selector.unregister(sock)
        self._watched.remove(sock)
        sock.close()


def _listening(
    *,
    protocol: str,
    address: str,
    port: int,
    dual: bool = False,
    reuse_port: bool = False,
    unbound: bool = False,
) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, KINDS[protocol])
    try:
        if protocol == "tcp":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not dual)
        if not unbound:
            sock.bind((address, port))
        if protocol == "tcp":
            sock.listen(100)
    except OSError:
        sock.close()
        raise
    return sock


if __name__ == "__main__":
    _Program().run()
