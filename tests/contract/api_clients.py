"""Programs that talk with a fake daemon's control socket, as they should or not, and its fixtures.

Counterparts: `test_api.py` and `test_api_limits.py`, `tests/served_backend.py`.
"""

from __future__ import annotations

import contextlib
import json
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from desktop.api.client import ApiClient
from desktop.api.connection import Limits
from link.version import PROTOCOL
from tests.loops import LOOPS
from tests.raw_client import raw_client
from tests.served_backend import PATIENCE, ServedBackend

__all__ = [
    "HELLO",
    "Serve",
    "assert_still_serves",
    "connect",
    "home",
    "raw",
    "requests",
    "serve",
    "served",
    "talk",
]

HELLO = b'{"hello":{"protocol":%d,"version":"x"}}\n' % PROTOCOL


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder with a name short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="sh-") as name:
        yield Path(name)


Serve = Callable[..., ServedBackend]


@pytest.fixture(params=list(LOOPS.values()), ids=list(LOOPS))
def serve(home: Path, request: pytest.FixtureRequest) -> Iterator[Serve]:
    """Starts a fake daemon, which ends with the test."""
    with contextlib.ExitStack() as stack:

        def start(**limits: Any) -> ServedBackend:
            served = ServedBackend(home, Limits(**limits), request.param)
            return stack.enter_context(served)

        yield start


@pytest.fixture
def served(serve: Serve) -> ServedBackend:
    """A fake daemon with the usual limits."""
    return serve()


def connect(served: ServedBackend) -> ApiClient:
    """A program that talks with it by the rules."""
    return ApiClient.connect(served.paths.api_socket)


def assert_still_serves(served: ServedBackend) -> None:
    """See that it serves another program."""
    with connect(served) as client:
        assert client.call("status")["protocol"] == PROTOCOL


def talk(served: ServedBackend, data: bytes, lines: int = 1 << 30) -> list[dict[str, Any]]:
    """Send bytes, and read so many lines or all until the daemon hangs up."""
    with raw(served) as sock, sock.makefile("rb") as answers:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            sock.sendall(data)
        found: list[dict[str, Any]] = []
        with contextlib.suppress(ConnectionResetError):
            while len(found) < lines and (line := answers.readline()):
                found.append(json.loads(line))
        return found


def raw(served: ServedBackend) -> socket.socket:
    """A connection, on which nothing was said."""
    return raw_client(served.paths.api_socket, PATIENCE)


def requests(*messages: dict[str, Any]) -> bytes:
    """The bytes of a greeting and these requests."""
    return HELLO + b"".join(json.dumps(message).encode() + b"\n" for message in messages)
