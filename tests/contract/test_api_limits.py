"""What a program may cost the control API: who gets in, how much, how long; others are served."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import selectors
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, Final

import psutil
import pytest

from desktop.api.client import ApiClient, NoAnswerError
from desktop.api.messages import MAX_LINE
from desktop.api.stream import connect as connect_stream
from desktop.errors import PermissionDeniedError, SamehostError
from tests.capabilities import (
    AS_ROOT,
    LINUX_KERNEL,
    POSIX_FILES,
    POSIX_PROCESSES,
    UNIX_SOCKETS,
    needs,
)
from tests.contract.api_clients import (
    HELLO,
    Serve,
    assert_still_serves,
    connect,
    home,
    raw,
    requests,
    serve,
    served,
    talk,
)
from tests.served_backend import PATIENCE, ServedBackend
from tests.until import until

__all__ = ["home", "serve", "served"]

STRANGER: Final = 12345
OWNER: Final = 65534
MANY: Final = 10_000
DISTURBANCES: Final = 3
SLOW: Final = 0.2
"""Seconds that stand for the usual ten."""

as_root = needs(AS_ROOT, POSIX_PROCESSES)


# Who


def as_user(uid: int, work: Callable[[], None]) -> str:
    """What another user's program meets when it does that: "" for nothing."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        # Nothing of the test framework may run here.
        try:
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
            work()
        except SamehostError as error:
            os.write(writer, f"{type(error).__name__}: {error.message}".encode())
        except OSError as error:
            os.write(writer, errno.errorcode[error.errno or 0].encode())
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, "rb") as answer:
        said = answer.read().decode()
    os.waitpid(child, 0)
    return said


@pytest.fixture
def owned(served: ServedBackend, monkeypatch: pytest.MonkeyPatch) -> ServedBackend:
    """A daemon of a user who is not root; its socket is open to all, as if somebody had erred."""
    for folder in (served.paths.config, served.paths.runtime):
        folder.chmod(0o755)
    served.paths.api_socket.chmod(0o666)
    monkeypatch.setattr("desktop.api.place.unix.os.geteuid", lambda: OWNER)
    return served


@as_root
@pytest.mark.parametrize(("uid", "is_let_in"), [(0, True), (OWNER, True), (STRANGER, False)])
def test_the_kernel_says_who_comes_and_only_owner_and_root_get_in(
    owned: ServedBackend, uid: int, is_let_in: bool
) -> None:
    def ask() -> None:
        with connect(owned) as client:
            client.call("set_enabled", {"enabled": True})

    said = as_user(uid, ask)
    assert said == (
        "" if is_let_in else "PermissionDeniedError: this Samehost belongs to another user"
    )
    assert owned.do(owned.backend.status).enabled is is_let_in


@as_root
def test_another_user_does_not_even_reach_the_socket(served: ServedBackend) -> None:
    served.paths.config.chmod(0o755)
    assert as_user(STRANGER, lambda: raw(served).close()) == "EACCES"
    served.paths.runtime.chmod(0o755)
    assert as_user(STRANGER, lambda: raw(served).close()) == "EACCES"


@as_root
def test_strangers_take_no_room_from_the_owner(serve: Serve) -> None:
    served = serve(clients=1)
    served.paths.config.chmod(0o755)
    served.paths.runtime.chmod(0o755)
    served.paths.api_socket.chmod(0o666)

    def flood() -> None:
        socks = [raw(served) for _ in range(500)]
        for sock in socks:
            with contextlib.suppress(ConnectionResetError):
                sock.recv(1)
        with connect(served):
            pass

    assert "PermissionDeniedError" in as_user(STRANGER, flood)
    assert_still_serves(served)


def test_who_cannot_be_told_is_refused(
    served: ServedBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_sock: object) -> None:
        raise OSError(errno.EINVAL, "no credentials")

    monkeypatch.setattr("desktop.api.place.unix.peer_of", fail)
    with pytest.raises(PermissionDeniedError, match="no credentials"):
        connect(served)


# How much


@contextlib.contextmanager
def files(wanted: int) -> Iterator[None]:
    """This process may open so many."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    if before[1] < wanted:
        pytest.skip(f"only {before[1]} files may be open")
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, before[1]))
    except ValueError:  # on macOS the kernel gives less than it says
        pytest.skip(f"{wanted} files may not be open")
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def resident() -> int:
    """Bytes of this process in memory: those of the fake daemon are among them."""
    return int(psutil.Process().memory_info().rss)


def await_room(served: ServedBackend) -> None:
    """Ask for the status until there is room; until then one is told that there is none."""
    deadline = time.monotonic() + PATIENCE
    answer: dict[str, Any] = {}
    while time.monotonic() < deadline:
        answer = talk(served, requests({"id": 1, "method": "status"}), 2)[-1]
        if "result" in answer:
            return
        if answer and "more than 64" not in answer["error"]["message"]:
            break
    raise AssertionError(f"nobody got in: {answer}")


@pytest.mark.parametrize("said", [b"", HELLO], ids=["silent", "greeting"])
@needs(POSIX_FILES)
def test_ten_thousand_connections_cost_little_and_the_owner_gets_in(
    serve: Serve, said: bytes
) -> None:
    served = serve(first_message_seconds=SLOW, idle_seconds=SLOW)
    before = resident()
    with files(MANY + 2000), contextlib.ExitStack() as stack:
        for _ in range(MANY):
            sock = stack.enter_context(raw(served))
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                sock.sendall(said)
        served.run(until(lambda: len(served.server._clients) <= 64))
        served.run(until(lambda: len(served.server._turned_away) <= 64))
        await_room(served)
        assert resident() - before < 64 << 20


@needs(UNIX_SOCKETS)
def test_a_client_waits_for_room_among_those_who_wait(serve: Serve) -> None:
    """Which is what a flood takes: the daemon's thread does nothing, and the queue is full."""
    served = serve(clients=1000)
    asked, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        asked.set()
        assert go_on.wait(PATIENCE)

    with contextlib.ExitStack() as stack:
        holder = threading.Thread(target=served.do, args=(hold,))
        holder.start()
        assert asked.wait(PATIENCE)
        fill(served.paths.api_socket, stack)
        with pytest.raises(NoAnswerError):
            ApiClient.connect(served.paths.api_socket, SLOW)
        threading.Timer(SLOW, go_on.set).start()
        assert_still_serves(served)
        holder.join()


@needs(LINUX_KERNEL)
def test_a_client_that_a_signal_disturbs_goes_on_waiting_for_room(home: Path) -> None:
    """As a command does that was suspended by Ctrl-Z meanwhile."""
    disturbed: list[int] = []
    is_over = threading.Event()

    def note(number: int, frame: FrameType | None) -> None:
        if frame is not None and frame.f_code.co_name == "_connect_unix":
            disturbed.append(number)

    def disturb() -> None:
        while len(disturbed) < DISTURBANCES and not is_over.wait(SLOW / 20):
            os.kill(os.getpid(), signal.SIGUSR1)
        listener.accept()[0].close()

    place = home / "api.sock"
    before = signal.signal(signal.SIGUSR1, note)
    with socket.socket(socket.AF_UNIX) as listener, contextlib.ExitStack() as stack:
        listener.bind(str(place))
        listener.listen(0)
        fill(place, stack)
        disturber = threading.Thread(target=disturb)
        disturber.start()
        try:
            stream = connect_stream(place, PATIENCE)
            stream.sendall(b"here I am")
            stream.close()
        finally:
            is_over.set()
            disturber.join()
            signal.signal(signal.SIGUSR1, before)
    assert len(disturbed) >= DISTURBANCES


def fill(path: Path, stack: contextlib.ExitStack) -> None:
    """Connect until there is no room for another who waits."""
    while True:
        sock = stack.enter_context(socket.socket(socket.AF_UNIX))
        sock.setblocking(False)
        if sock.connect_ex(str(path)) == errno.EAGAIN:
            return


def test_a_client_that_asks_for_nothing_makes_room_and_one_that_waits_does_not(
    serve: Serve,
) -> None:
    served = serve(clients=3, idle_seconds=SLOW)
    with connect(served) as watcher, raw(served) as first, raw(served) as second:
        lines = watcher.watch()
        next(lines)
        for sock in (first, second):
            sock.sendall(HELLO)
            assert sock.recv(1000)
            served.run(asyncio.sleep(2 * SLOW))
        assert_still_serves(served)
        assert first.recv(1) == b""
        assert served.do(served.backend.status).counters["api_clients_evicted"] == 1
        second.sendall(b'{"id":1,"method":"status"}\n')
        assert b'"result"' in second.recv(1 << 16)
        served.do(lambda: served.backend.change([]))
        assert next(lines)["revision"] == 2


def test_sixty_four_requests_at_once_end_that_connection_only(served: ServedBackend) -> None:
    served.do(served.backend.gate.clear)
    with connect(served) as other:
        answers = talk(served, requests(*({"id": n, "method": "attach"} for n in range(64))))
        assert "more than 16 requests at once" in answers[-1]["error"]["message"]
        assert other.call("status")
    served.run(until(lambda: not served.server._clients))
    calls = served.backend.calls
    assert calls.count("cancelled sandbox") == calls.count("start sandbox") <= 16


def test_an_endless_line_costs_bounded_memory_and_that_connection_only(
    served: ServedBackend,
) -> None:
    part = b"x" * (1 << 16)
    before = resident()
    with connect(served) as other, raw(served) as sock, sock.makefile("rb") as lines:
        sock.sendall(HELLO)
        lines.readline()
        sent = 0
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            while sent < 16 * MAX_LINE:
                sent += sock.send(part)
        assert sent < 16 * MAX_LINE
        assert resident() - before < 16 * MAX_LINE
        assert other.call("status")


@pytest.mark.parametrize("method", ["set_setting", "check_setting"])
@pytest.mark.parametrize("depth", [100, 900, 5000])
def test_values_nested_deeply_are_an_error_and_no_bug(
    served: ServedBackend, depth: int, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    for key in ("ignore", "machine", "remap", "nonsense"):
        value = "[" * depth + "]" * depth
        line = f'{{"id":1,"method":"{method}","params":{{"key":"{key}","value":{value}}}}}\n'
        assert talk(served, HELLO + line.encode(), 2)[1]["error"]["code"] == "USAGE"
    assert_still_serves(served)
    assert "met a bug" not in caplog.text


def test_a_name_as_long_as_a_line_is_refused_and_not_said_again_at_length(
    served: ServedBackend,
) -> None:
    name = "\1" * (MAX_LINE // 8)
    for method in ("use", name):
        (_, answer) = talk(
            served, requests({"id": 1, "method": method, "params": {"name": name}}), 2
        )
        assert "error" in answer
        assert_still_serves(served)


# How long


def dribble(sock: socket.socket, data: bytes) -> list[bytes]:
    """Say that a byte at a time until the other end hangs up; what it said."""
    heard = []
    with selectors.DefaultSelector() as selector:
        selector.register(sock, selectors.EVENT_READ)
        for byte in data:
            if selector.select(SLOW / 20):
                try:
                    heard.append(sock.recv(1 << 16))
                except ConnectionResetError:  # it hung up while a byte was on its way
                    return heard
                if not heard[-1]:
                    return heard
            with contextlib.suppress(BrokenPipeError):
                sock.send(bytes([byte]))
    raise AssertionError("nobody hung up")


@pytest.mark.parametrize("greeting", [b"", HELLO], ids=["hello", "request"])
def test_a_byte_now_and_then_is_not_awaited_for_ever(serve: Serve, greeting: bytes) -> None:
    served = serve(first_message_seconds=SLOW, slow_client_seconds=SLOW)
    with connect(served) as other, raw(served) as sock:
        sock.sendall(greeting)
        said = b"".join(dribble(sock, b'{"id":1,"method":"' + b"s" * 1000))
        (error,) = (json.loads(line)["error"] for line in said.splitlines() if b'"error"' in line)
        assert error["message"] == ("a line took longer than 0 s" if greeting else "no hello came")
        assert other.call("status")


def test_a_client_may_be_silent_between_its_lines(serve: Serve) -> None:
    served = serve(first_message_seconds=SLOW, slow_client_seconds=SLOW, idle_seconds=SLOW)
    with connect(served) as client:
        served.run(asyncio.sleep(3 * SLOW))
        assert client.call("status")
