"""The agent in the sandbox: where it runs, what it is told, and that it ends with its process."""

from __future__ import annotations

import asyncio
import contextlib
import json
import zipfile
from pathlib import Path

import pytest

from desktop.machines.sandbox import Sandbox
from desktop.machines.sandbox.machine import STREAM_BUFFER_BYTES
from tests.integration.conftest import SandboxHome

AGENT = """
import json, os, socket, sys, time
order = json.loads(sys.stdin.readline())
path = "/run/stand-in"
server = socket.socket(socket.AF_UNIX)
server.bind(path)
server.listen()
door = {"kind": "unix", "path": path}
print(json.dumps({"ready": True, "door": door}), flush=True)
order["host"] = socket.gethostname()
order["cgroup"] = open("/proc/self/cgroup").read()
order["arguments"] = open("/proc/self/cmdline").read()
order["environment"] = dict(os.environ)
client, _ = server.accept()
client.sendall(json.dumps(order).encode())
client.close()
os.unlink(path)
sys.stdin.read()
"""
SECRET = bytes(range(32))


@pytest.fixture
def stand_in(short_home: Path) -> Path:
    """A zipapp that says what it was told, in the agent's place."""
    path = short_home / "stand-in.pyz"
    with zipfile.ZipFile(path, "w") as bundle:
        bundle.writestr("__main__.py", AGENT)
    return path


def test_the_agent_runs_inside_gets_its_secret_on_standard_input_only_and_ends_with_it(
    sandbox_home: SandboxHome, stand_in: Path
) -> None:
    sandbox = Sandbox("sandbox", sandbox_home.paths, bundle=stand_in)

    async def body() -> dict[str, object]:
        handle = await sandbox.start_agent(SECRET)
        stream = await handle.transport.open()
        reader, writer = await asyncio.open_connection(sock=stream)
        told = json.loads(await reader.read())
        writer.close()
        await writer.wait_closed()
        await handle.transport.aclose()
        handle.process.end_input()
        assert await handle.process.wait() == 0
        return dict(told)

    told = asyncio.run(body())
    assert told["secret"] == SECRET.hex()
    assert told["door"] == {"kind": "unix", "owner": 0, "buffer_bytes": STREAM_BUFFER_BYTES}
    assert told["engine_sockets"] == ["/run/docker.sock"]
    assert told["host"] == "sandbox"
    assert "0::/init\n" in str(told["cgroup"])
    assert SECRET.hex() not in str(told["arguments"])
    assert SECRET.hex() not in str(told["environment"])


def test_killing_the_agents_process_here_ends_the_agent_in_there(
    sandbox_home: SandboxHome, stand_in: Path
) -> None:
    sandbox = Sandbox("sandbox", sandbox_home.paths, bundle=stand_in)

    async def body() -> None:
        handle = await sandbox.start_agent(SECRET)
        handle.process.kill()
        # Its end of the stream closes only when the agent itself has ended.
        async with asyncio.timeout(10):
            with contextlib.suppress(ConnectionResetError):
                while await asyncio.get_running_loop().sock_recv(handle.process.stream, 4096):
                    pass
        await handle.process.wait()

    asyncio.run(body())
    assert str(stand_in) not in asyncio.run(sandbox.run("ps", "ax")).stdout


def test_the_real_agent_starts_and_ends(sandbox_home: SandboxHome) -> None:
    async def body() -> int:
        handle = await sandbox_home.sandbox.start_agent(SECRET)
        await handle.transport.aclose()
        handle.process.end_input()
        return await handle.process.wait()

    assert asyncio.run(body()) == 0
