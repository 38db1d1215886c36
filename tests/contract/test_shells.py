"""Every shell gives what `desktop.machines.shell` promises."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from desktop.machines.doors import (
    OpenDoor,
    StdioDoor,
    StdioOrder,
    TcpDoor,
    TcpOrder,
    UnixDoor,
    UnixOrder,
)
from desktop.machines.local_shell import LocalShell
from desktop.machines.openssh import OpenSshShell
from desktop.machines.paramiko import ParamikoShell
from desktop.machines.shell import Shell, ShellError, ShellTrouble
from desktop.machines.wsl_shell import WslShell
from desktop.transports.transport import Transport, TransportError
from tests.fake_wsl import FakeWsl
from tests.integration.ssh_server import SshServer, ssh_server
from tests.streams import receive_all
from tests.until import until

PATIENCE = 20.0
Tell = Callable[[Callable[[Shell], Awaitable[Any]]], Any]


@pytest.fixture(scope="module")
def server() -> Iterator[SshServer]:
    """Machines that are reached over SSH are this computer, by its loopback."""
    with ssh_server() as running:
        yield running


@pytest.fixture
def fake_wsl(tmp_path: Path) -> Iterator[FakeWsl]:
    """A distribution of WSL that is this computer."""
    (tmp_path / "wsl").mkdir()
    fake = FakeWsl(tmp_path / "wsl")
    fake.install("Debian", "Running")
    yield fake
    fake.close()


def local(_request: pytest.FixtureRequest, _folder: Path) -> Shell:
    return LocalShell()


def openssh(request: pytest.FixtureRequest, folder: Path) -> Shell:
    server: SshServer = request.getfixturevalue("server")
    return OpenSshShell(server.destination(), folder)


def wsl(request: pytest.FixtureRequest, _folder: Path) -> Shell:
    fake: FakeWsl = request.getfixturevalue("fake_wsl")
    return WslShell("Debian", fake.tools())


def paramiko(request: pytest.FixtureRequest, _folder: Path) -> Shell:
    server: SshServer = request.getfixturevalue("server")
    return ParamikoShell(server.destination())


@pytest.fixture(params=[local, openssh, paramiko, wsl], ids=lambda make: make.__name__)
def tell(request: pytest.FixtureRequest) -> Iterator[Tell]:
    """Tells a story about every shell; it has left nothing on this computer afterwards."""
    with tempfile.TemporaryDirectory(prefix="sh-") as folder:

        def teller(story: Callable[[Shell], Awaitable[Any]]) -> Any:
            async def told() -> Any:
                shell = request.param(request, Path(folder))
                try:
                    async with asyncio.timeout(60):
                        return await story(shell)
                finally:
                    await shell.aclose()
                    await shell.aclose()

            return asyncio.run(told())

        yield teller
        left = [path for path in Path(folder).rglob("*") if not path.is_dir()]
        assert left == []


def test_input_output_errors_and_status_are_as_they_are(tell: Tell) -> None:
    async def story(shell: Shell) -> None:
        done = await shell.run("cat; echo trouble >&2; exit 7", b"\0fed\xff\n")
        assert (done.status, done.output, done.errors) == (7, b"\0fed\xff\n", b"trouble\n")

    tell(story)


@pytest.mark.parametrize(
    "text",
    [
        'it\'s "quoted" $HOME `id` $(id) \\ \\n %s %% ! !! ~ * ? # ; & | < > ( ) { } [ ] ^ =',
        "line one\nline two\n\n  \tindented",
        "ä € 😀",
        "-n",
        "",
    ],
)
def test_a_script_means_the_same_everywhere(tell: Tell, text: str) -> None:
    async def story(shell: Shell) -> bytes:
        quoted = text.replace("'", "'\\''")
        return (await shell.run(f"printf '[%s]' '{quoted}'")).output

    assert tell(story) == f"[{text}]".encode()


def test_a_megabyte_goes_in_and_out_while_nothing_waits_for_anything(tell: Tell) -> None:
    async def story(shell: Shell) -> None:
        data = bytes(range(256)) * 4096
        done = await shell.run("tee /dev/stderr", data)
        assert done.output == data
        assert done.errors == data

    tell(story)


def test_programs_do_not_wait_for_one_another(tell: Tell) -> None:
    async def story(shell: Shell) -> None:
        waiting = await shell.start("read line; echo $line")
        async with asyncio.TaskGroup() as group:  # none is left behind if another fails
            others = [group.create_task(shell.run(f"echo {number}")) for number in range(5)]
        assert [int(other.result().output) for other in others] == list(range(5))
        await asyncio.get_running_loop().sock_sendall(waiting.stream, b"at last\n")
        assert await receive_all(waiting.stream) == b"at last\n"
        assert await waiting.wait() == 0

    tell(story)


def test_a_program_may_go_on_to_write_when_its_input_has_ended(tell: Tell) -> None:
    async def story(shell: Shell) -> None:
        process = await shell.start("cat >/dev/null; echo after")
        process.end_input()
        assert await receive_all(process.stream) == b"after\n"
        assert await process.wait() == 0

    tell(story)


def test_one_that_is_killed_has_lost_its_input(tell: Tell, tmp_path: Path) -> None:
    tmp_path.parent.chmod(0o755)
    ended = tmp_path / "ended"

    async def story(shell: Shell) -> None:
        process = await shell.start(f"trap '' PIPE; echo up; cat >/dev/null; touch {ended}")
        assert await asyncio.get_running_loop().sock_recv(process.stream, 10) == b"up\n"
        process.kill()
        await process.wait()
        if shell.name == "local":
            return  # it is the program itself that was killed
        await until(ended.exists, PATIENCE)

    tell(story)


def test_one_that_takes_too_long_is_given_up(tell: Tell) -> None:
    async def story(shell: Shell) -> None:
        await shell.connect()
        with pytest.raises(ShellError) as caught:
            await shell.run("sleep 1000", seconds=0.5)
        assert caught.value.trouble is ShellTrouble.TIMED_OUT
        assert (await shell.run("echo again")).output == b"again\n"

    tell(story)


def test_one_that_writes_without_end_is_given_up(
    tell: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("desktop.machines.shell.OUTPUT_LIMIT", 1 << 17)

    async def story(shell: Shell) -> None:
        with pytest.raises(ShellError, match="more than"):
            await shell.run("yes")

    tell(story)


def test_it_connects_again_after_it_was_closed(tell: Tell) -> None:
    async def story(shell: Shell) -> None:
        await shell.connect()
        await shell.aclose()
        assert (await shell.run("echo again")).output == b"again\n"

    tell(story)


def test_standard_input_and_output_are_its_last_resort(tell: Tell) -> None:
    async def story(shell: Shell) -> None:
        assert isinstance(shell.doors[-1], StdioOrder)
        with pytest.raises(TransportError):
            await shell.forward(StdioDoor())

    tell(story)


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say everything back, after the other end has ended."""
    writer.write(await reader.read())
    with contextlib.suppress(ConnectionError):
        await writer.drain()
        writer.close()
        await writer.wait_closed()


async def _says_back(transport: Transport, data: bytes) -> None:
    stream = await transport.open()
    try:
        await asyncio.get_running_loop().sock_sendall(stream, data)
        stream.shutdown(socket.SHUT_WR)
        assert await receive_all(stream) == data
    finally:
        stream.close()


def test_streams_reach_each_kind_of_door_that_it_knows(tell: Tell, tmp_path: Path) -> None:
    async def story(shell: Shell) -> None:
        path = str(tmp_path / "door")
        async with (
            await asyncio.start_unix_server(_echo, path),
            await asyncio.start_server(_echo, "127.0.0.1", 0) as tcp,
        ):
            port = tcp.sockets[0].getsockname()[1]
            doors: dict[type, OpenDoor] = {UnixOrder: UnixDoor(path), TcpOrder: TcpDoor((port,))}
            for order in shell.doors[:-1]:
                transport = await shell.forward(doors[type(order)])
                if isinstance(order, TcpOrder):
                    assert order.carries_reset == transport.carries_reset
                await _says_back(transport, b"word")
                await asyncio.gather(*(_says_back(transport, bytes([n]) * n) for n in range(50)))
                await transport.aclose()

    tell(story)


def test_a_door_where_nobody_is_ends_its_streams(tell: Tell, tmp_path: Path) -> None:
    async def story(shell: Shell) -> None:
        for order in shell.doors[:-1]:
            nowhere = UnixDoor(str(tmp_path / "no"))
            transport = await shell.forward(
                TcpDoor((9,)) if isinstance(order, TcpOrder) else nowhere
            )
            with contextlib.suppress(TransportError):
                stream = await transport.open()
                assert await receive_all(stream) == b""
                stream.close()
            await transport.aclose()

    tell(story)
