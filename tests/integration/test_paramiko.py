"""Machines reached by paramiko: a real sshd, keys checked, streams, and nothing left behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from desktop.machines.doors import TcpDoor
from desktop.machines.paramiko import ParamikoShell
from desktop.machines.process import Process
from desktop.machines.shell import ShellError, ShellTrouble
from desktop.machines.ssh_destination import SshDestination
from desktop.prompter import NobodyToAskError, prompter
from desktop.transports.paramiko import LIMITS
from desktop.transports.transport import Transport, TransportError
from tests.ended import ended
from tests.integration.conftest import SandboxHome
from tests.integration.samehost import IMAGE, free_port, talk, until
from tests.integration.servers import ECHO
from tests.integration.ssh_server import SshServer, ssh_server
from tests.integration.ssh_stage import SshSamehost, server_in
from tests.integration.test_main_job import web_server
from tests.streams import receive_all

PATIENCE = 20.0
BULK_BYTES = 4 << 20
HAS_ANSWERED = (0, 1)
"""What ssh-add(1) ends with where there is an agent; 2 if there is none."""
"""More than what is carried before a stream would give up its frames."""
Streams = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture(scope="module")
def server() -> Iterator[SshServer]:
    with ssh_server() as running:
        yield running


@pytest.fixture(autouse=True)
def _nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No thread and no descriptor stays behind any test."""
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    threads, descriptors = threading.active_count(), len(os.listdir("/proc/self/fd"))
    yield
    until(lambda: threading.active_count() <= threads, "the end of all threads")
    assert len(os.listdir("/proc/self/fd")) <= descriptors


def tell(destination: SshDestination, story: Callable[[ParamikoShell], Awaitable[Any]]) -> Any:
    async def told() -> Any:
        shell = ParamikoShell(destination)
        try:
            async with asyncio.timeout(60):
                return await story(shell)
        finally:
            await shell.aclose()

    return asyncio.run(told())


def trouble(destination: SshDestination) -> ShellError:
    with pytest.raises(ShellError) as caught:
        tell(destination, lambda shell: shell.connect())
    assert caught.value.remedy
    return caught.value


def with_config(server: SshServer, folder: Path, text: str, host: str = "") -> SshDestination:
    """A configuration of its own, which ends with the server's."""
    (folder / "config").write_text(f"{text}\n{server.config.read_text()}")
    destination = replace(server.destination(), config=str(folder / "config"))
    return replace(destination, host=host, port=0, user="") if host else destination


# Whom it trusts.


@pytest.mark.parametrize("hashed", [False, True])
def test_a_server_is_trusted_that_is_known_by_name_and_port(
    server: SshServer, tmp_path: Path, hashed: bool
) -> None:
    known = tmp_path / "known"
    known.write_text(server.known_hosts.read_text())
    if hashed:
        subprocess.run(["ssh-keygen", "-q", "-H", "-f", known], check=True, capture_output=True)
    place = with_config(server, tmp_path, f"UserKnownHostsFile {known}")
    assert tell(place, lambda shell: shell.run("echo hi")).output == b"hi\n"


def test_an_unknown_server_is_refused_with_the_line_that_makes_it_known(
    server: SshServer, tmp_path: Path
) -> None:
    known = tmp_path / "known"
    known.write_text("")
    place = with_config(server, tmp_path, f"UserKnownHostsFile {known}")
    error = trouble(place)
    assert error.trouble is ShellTrouble.UNKNOWN_HOST_KEY
    assert "SHA256:" in error.message
    assert known.read_text() == ""
    known.write_text(error.remedy.splitlines()[-1])
    tell(place, lambda shell: shell.connect())


@pytest.mark.parametrize("mark", ["", "@revoked "])
def test_a_changed_or_revoked_key_is_refused(server: SshServer, tmp_path: Path, mark: str) -> None:
    known = tmp_path / "known"
    key = server.known_hosts if mark else server.folder / "user_key.pub"
    words = [word for word in key.read_text().split() if word.startswith(("ssh-", "AAAA"))]
    known.write_text(f"{mark}[{server.address}]:{server.port} {' '.join(words)}\n")
    error = trouble(with_config(server, tmp_path, f"UserKnownHostsFile {known}"))
    assert error.trouble is ShellTrouble.HOST_KEY_CHANGED
    assert f"ssh-keygen -R '[{server.address}]:{server.port}'" in error.remedy


def test_a_machine_whose_key_is_made_anew_each_time_needs_none(
    server: SshServer, tmp_path: Path
) -> None:
    place = with_config(server, tmp_path, "UserKnownHostsFile none")
    tell(replace(place, is_own=True), lambda shell: shell.connect())


# Ways there.


def test_it_logs_in_with_a_key_of_the_agent(
    server: SshServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = tmp_path / "agent"
    command = ["ssh-agent", "-D", "-a", str(agent)]
    with ended(subprocess.Popen(command, stdout=subprocess.DEVNULL)) as process:
        monkeypatch.setenv("SSH_AUTH_SOCK", str(agent))
        list_keys = ["ssh-add", "-l"]
        until(lambda: subprocess.run(list_keys, check=False).returncode in HAS_ANSWERED, "it")
        assert process.poll() is None
        key = server.folder / "user_key"
        subprocess.run(["ssh-add", "-q", key], check=True, stderr=subprocess.DEVNULL)
        options = f"IdentityFile {tmp_path}/none\nUserKnownHostsFile {server.known_hosts}"
        (tmp_path / "config").write_text(f"Host *\n{options}\n")
        place = replace(server.destination(), config=str(tmp_path / "config"))
        tell(place, lambda shell: shell.connect())


def test_a_log_in_that_is_refused_says_what_was_tried(server: SshServer, tmp_path: Path) -> None:
    options = f"IdentityFile {tmp_path}/none\nUserKnownHostsFile {server.known_hosts}"
    (tmp_path / "config").write_text(f"Host *\n{options}\n")
    error = trouble(replace(server.destination(), config=str(tmp_path / "config")))
    assert error.trouble is ShellTrouble.AUTHENTICATION_FAILED
    assert f"{tmp_path}/none (not there)" in error.message


def test_it_jumps_over_servers(server: SshServer, tmp_path: Path) -> None:
    with ssh_server() as gate:
        text = (
            f"Host inner\n HostName {server.address}\n Port {server.port}\n User person\n"
            f" ProxyJump root@gate\nHost gate\n HostName {gate.address}\n Port {gate.port}\n"
            f" IdentityFile {gate.folder}/user_key\n UserKnownHostsFile {gate.known_hosts}\nHost *"
        )
        place = with_config(server, tmp_path, text, "inner")
        assert tell(place, lambda shell: shell.run("id -un")).output == b"person\n"
        unknown = text.replace(str(gate.known_hosts), "none")
        error = trouble(with_config(server, tmp_path, unknown, "inner"))
        assert error.trouble is ShellTrouble.UNKNOWN_HOST_KEY
        assert f"[{gate.address}]:{gate.port}" in error.message


def test_it_goes_by_a_command(server: SshServer, tmp_path: Path) -> None:
    text = f"ProxyCommand nc 127.0.0.1 {server.port}"
    place = with_config(server, tmp_path, text)
    assert tell(place, lambda shell: shell.run("id -un")).output == b"root\n"
    place = with_config(server, tmp_path, "ProxyCommand exit 1")
    assert trouble(place).trouble in (ShellTrouble.REFUSED, ShellTrouble.UNREACHABLE)


@pytest.mark.parametrize(
    ("host", "kind"),
    [("127.0.0.1", ShellTrouble.UNREACHABLE), ("no.such.invalid", ShellTrouble.UNREACHABLE)],
)
def test_nobody_there_is_told(host: str, kind: ShellTrouble) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert trouble(SshDestination(host, "me", port)).trouble is kind


def test_one_that_is_no_ssh_server_is_told(server: SshServer) -> None:
    async def story() -> None:
        async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            writer.close()

        async with await asyncio.start_server(talk, "127.0.0.1", 0) as other:
            port = other.sockets[0].getsockname()[1]
            shell = ParamikoShell(replace(server.destination(), port=port))
            with pytest.raises(ShellError) as caught:
                await shell.connect()
            assert caught.value.trouble is ShellTrouble.REFUSED
            await shell.aclose()

    asyncio.run(story())


def test_one_that_says_nothing_is_given_up(
    server: SshServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("desktop.machines.paramiko.connection.GREETING_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        error = trouble(replace(server.destination(), port=silent.getsockname()[1]))
    assert error.trouble is ShellTrouble.TIMED_OUT


# What goes over it.


def over(server: SshServer, far: Streams, story: Callable[[Transport], Awaitable[None]]) -> None:
    """Tell a story about streams to `far`, a server in the machine."""

    async def told(shell: ParamikoShell) -> None:
        tasks: set[asyncio.Task[Any] | None] = set()

        async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            tasks.add(asyncio.current_task())
            with contextlib.suppress(ConnectionError):
                await far(reader, writer)
            writer.close()

        async with await asyncio.start_server(served, "127.0.0.1", 0) as listener:
            transport = await shell.forward(TcpDoor((listener.sockets[0].getsockname()[1],)))
            await story(transport)
            await shell.aclose()
            await asyncio.wait_for(asyncio.gather(*filter(None, tasks)), PATIENCE)

    tell(server.destination(), told)


async def say_back(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
        writer.write(b", the end")
        writer.close()
        await writer.wait_closed()


def test_end_of_file_goes_one_way_and_then_the_other(server: SshServer) -> None:
    async def story(transport: Transport) -> None:
        stream = await transport.open()
        stream.send(b"word")
        stream.shutdown(socket.SHUT_WR)
        assert await receive_all(stream) == b"word, the end"
        stream.close()

    over(server, say_back, story)


def test_a_stream_that_is_closed_here_ends_there(server: SshServer) -> None:
    ended: asyncio.Event

    async def far(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(b"x" * 65536)
                await writer.drain()
        ended.set()

    async def story(transport: Transport) -> None:
        nonlocal ended
        ended = asyncio.Event()
        stream = await transport.open()
        assert await asyncio.get_running_loop().sock_recv(stream, 1)
        stream.close()
        await asyncio.wait_for(ended.wait(), PATIENCE)

    over(server, far, story)


def test_one_that_is_not_read_costs_little_and_holds_up_no_other(server: SshServer) -> None:
    sent = 0

    async def far(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        if await reader.read(1) == b"f":
            with contextlib.suppress(ConnectionError):
                while True:
                    writer.write(b"x" * 65536)
                    await writer.drain()
                    sent += 65536
        else:
            await say_back(reader, writer)
        writer.close()

    async def story(transport: Transport) -> None:
        loop = asyncio.get_running_loop()
        stalled, other = await transport.open(), await transport.open()
        stalled.send(b"f")
        other.send(b"e")
        before = -1
        while sent != before:
            before = sent
            for _ in range(20):
                other.send(b"word")
                assert await asyncio.wait_for(loop.sock_recv(other, 4), PATIENCE) == b"word"
                await asyncio.sleep(0.01)
        assert 0 < sent < 32 << 20
        taken, stood_at = 0, sent
        while taken <= stood_at + (1 << 20):
            taken += len(await asyncio.wait_for(loop.sock_recv(stalled, 1 << 18), PATIENCE))
        for stream in (stalled, other):
            stream.close()

    over(server, far, story)


def test_one_that_the_machine_does_not_read_stops_here_and_goes_on_later(
    server: SshServer,
) -> None:
    go_on: asyncio.Event
    data = bytes(range(256)) * (1 << 17)

    async def far(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await go_on.wait()
        writer.write(b"%d" % len(await reader.read(-1)))
        writer.close()

    async def story(transport: Transport) -> None:
        nonlocal go_on
        go_on = asyncio.Event()
        loop = asyncio.get_running_loop()
        stream, other = await transport.open(), await transport.open()
        sending = asyncio.create_task(loop.sock_sendall(stream, data))
        done, _ = await asyncio.wait([sending], timeout=1)
        assert not done
        other.shutdown(socket.SHUT_WR)
        go_on.set()
        assert await receive_all(other) == b"0"
        await asyncio.wait_for(sending, PATIENCE)
        stream.shutdown(socket.SHUT_WR)
        assert await receive_all(stream) == b"%d" % len(data)
        stream.close()
        other.close()

    over(server, far, story)


def test_a_port_where_nobody_listens_is_a_transport_error(server: SshServer) -> None:
    async def story(shell: ParamikoShell) -> None:
        transport = await shell.forward(TcpDoor((9,)))
        with pytest.raises(TransportError):
            await transport.open()

    tell(server.destination(), story)


def test_one_more_stream_needs_no_more_threads(server: SshServer) -> None:
    async def story(transport: Transport) -> None:
        streams = [await transport.open()]
        threads = threading.active_count()
        streams += [await transport.open() for _ in range(100)]
        ended = lambda: threading.active_count() <= threads  # noqa: E731
        await asyncio.to_thread(until, ended, "the end of what opened the last one")
        for stream in streams:
            stream.close()

    over(server, say_back, story)


def test_streams_that_nobody_closed_end_with_the_connection(server: SshServer) -> None:
    left: list[socket.socket] = []

    async def far(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(b"x" * 65536)
                await writer.drain()
        writer.close()

    async def story(transport: Transport) -> None:
        left.append(await transport.open())
        assert await asyncio.get_running_loop().sock_recv(left[0], 1)

    over(server, far, story)
    with left[0] as stream:
        while stream.recv(1 << 18):
            pass


def test_a_lost_connection_ends_all_that_went_over_it_and_is_made_again(server: SshServer) -> None:
    async def story(shell: ParamikoShell) -> None:
        async with await asyncio.start_server(say_back, "127.0.0.1", 0) as listener:
            port = listener.sockets[0].getsockname()[1]
            process = await shell.start("echo $PPID; exec cat")
            pid = int(await asyncio.get_running_loop().sock_recv(process.stream, 100))
            transport = await shell.forward(TcpDoor((port,)))
            stream = await transport.open()
            os.kill(pid, signal.SIGKILL)
            assert await receive_all(stream) == b""
            assert await asyncio.wait_for(process.wait(), PATIENCE) == 255
            with pytest.raises(TransportError):
                await transport.open()
            stream.close()
            assert (await shell.run("echo again")).output == b"again\n"

    tell(server.destination(), story)


def test_what_is_cancelled_under_way_leaves_nothing(server: SshServer) -> None:
    async def story(shell: ParamikoShell) -> None:
        for work in (shell.connect, lambda: shell.start("cat"), lambda: shell.run("cat")):
            for pause in (0, 0.001, 0.05):
                task = asyncio.ensure_future(work())
                await asyncio.wait([task], timeout=pause)
                task.cancel()
                result = (await asyncio.gather(task, return_exceptions=True))[0]
                if isinstance(result, BaseException):
                    assert isinstance(result, asyncio.CancelledError)
                elif isinstance(result, Process):
                    result.kill()
                    await result.wait()
        assert (await shell.run("echo again")).output == b"again\n"

    tell(server.destination(), story)


def test_a_passphrase_is_asked_of_the_person(server: SshServer, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_bytes((server.folder / "user_key").read_bytes())
    key.chmod(0o600)
    words = ["ssh-keygen", "-q", "-p", "-P", "", "-N", "open sesame", "-f", str(key)]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    text = f"IdentityFile {key}\nUserKnownHostsFile {server.known_hosts}\n"
    (tmp_path / "config").write_text(f"Host *\n{text}")
    place = replace(server.destination(), config=str(tmp_path / "config"))

    class Person:
        async def ask(self, question: str, *, is_secret: bool) -> str:
            if str(key) in question and is_secret:
                return "open sesame"
            raise NobodyToAskError

    async def story(shell: ParamikoShell) -> bytes:
        prompter.set(Person())
        return (await shell.run("echo in")).output

    assert tell(place, story) == b"in\n"


# The main job.


def echoed(port: int, data: bytes) -> bytes:
    """What a server gives back that is sent all this, and its end."""
    with socket.create_connection(("localhost", port), timeout=60) as client:

        def send() -> None:
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send)
        sender.start()
        heard = b""
        while part := client.recv(1 << 16):
            heard += part
        sender.join()
    return heard


def test_both_documented_examples_work_where_openssh_is_not_installed(
    sandbox_home: SandboxHome,
) -> None:
    with server_in(sandbox_home) as server:
        samehost = SshSamehost(sandbox_home, server)
        config = samehost.home / ".ssh" / "config"
        config.parent.mkdir(mode=0o700)
        config.write_text(server.config.read_text())
        samehost.environment |= {"HOME": str(samehost.home), "PATH": str(samehost.home)}
        try:
            samehost.up()
            said = samehost.status()["machine"]
            assert said["state"] == "connected"
            assert (said["transport"], said["transport_limits"]) == ("paramiko", LIMITS)
            assert LIMITS in " ".join(samehost.run("machine", "doctor", samehost.machine).split())
            port = free_port()
            with samehost.container("nc", "-lkv", "0.0.0.0", str(port)) as container:
                until(lambda: samehost.states(port) == ["active"], "the mirror")
                talk("localhost", port, b"typed on the desktop\n")
                words = "typed on the desktop"
                until(lambda: words in samehost.docker("logs", container), "the words")
            until(lambda: samehost.states(port) == [], "the mirror to go")
            with web_server() as web:
                until(lambda: samehost.states(web, "host") == ["active"], "the stub")
                get = ("busybox", "wget", "-q", "-O", "-", f"http://localhost:{web}/")
                page = samehost.docker("run", "--rm", "--net=host", IMAGE, *get)
                assert page == "page of the desktop"
            with samehost.python(ECHO, str(port)):
                until(lambda: samehost.states(port) == ["active"], "the mirror")
                bulk = os.urandom(BULK_BYTES)
                assert echoed(port, bulk) == bulk
        finally:
            samehost.remove()
