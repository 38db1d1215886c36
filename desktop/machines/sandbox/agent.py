"""Starts the agent program and waits for its one answer.

The agent's side of it is `vmagent`: a JSON line on standard input ({"secret", "listen", "peer",
"engine_sockets", "ebpf"}) tells it what to do; a JSON line on standard output says {"ready": true,
"ports": [N…]} or {"ready": false, "error": "…"}; standard error is its log. The end of its standard
input ends it. The secret (hexadecimal) is on standard input and nowhere else.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from subprocess import PIPE
from typing import Final

import msgspec

from desktop.errors import MachineUnreachableError
from desktop.machines.sandbox.programs import environment, run, uninterrupted

__all__ = ["Order", "find_python", "launch"]

READY_TIMEOUT_S: Final = 10.0
OUTPUT_LIMIT: Final = 4096
"""Most bytes of a failed agent's output that are shown."""

OLDEST_PYTHON: Final = (3, 9)
USUAL_PYTHON: Final = "/usr/bin/python3"
VERSION_PROGRAM: Final = "import sys; print(*sys.version_info[:2])"


class Order(msgspec.Struct, frozen=True):
    """What the agent is told."""

    secret: str
    listen: tuple[str, int]
    peer: str
    engine_sockets: list[str]
    ebpf: bool = True


class _Answer(msgspec.Struct, frozen=True):
    ready: bool
    ports: tuple[int, ...] = ()
    error: str = ""


async def find_python(candidates: Iterable[str | None] | None = None) -> str:
    """A Python for the agent, at least 3.9. Raises MachineUnreachableError."""
    usual = (USUAL_PYTHON, shutil.which("python3", path=environment()["PATH"]), sys.executable)
    refused = []
    for candidate in _existing(candidates or usual):
        result = await run(candidate, "-I", "-c", VERSION_PROGRAM, check=False)
        version = result.stdout.split()
        if result.returncode == 0 and tuple(map(int, version)) >= OLDEST_PYTHON:
            return candidate
        refused.append(f"{candidate} is {'.'.join(version) or 'broken'}")
    raise MachineUnreachableError(
        "no Python 3.9 or newer for the agent: " + (", ".join(refused) or "no python3 at all"),
        "sudo apt-get install python3",
    )


def _existing(candidates: Iterable[str | None]) -> list[str]:
    return [path for path in dict.fromkeys(candidates) if path and Path(path).exists()]


async def launch(
    argv: list[str], order: Order
) -> tuple[asyncio.subprocess.Process, tuple[int, ...]]:
    """Run the agent by `argv` until it takes streams: its process and its ports.

    Raises MachineUnreachableError with what it printed; no process is left then, nor if
    cancelled.
    """
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
        env=environment(),
        cwd="/",
        start_new_session=True,  # Ctrl-C is for the daemon, which then ends the agent in order
    )
    try:
        return process, await _ready(process, order)
    except BaseException:
        await uninterrupted(_end(process))
        raise


async def _ready(process: asyncio.subprocess.Process, order: Order) -> tuple[int, ...]:
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("an agent is started with pipes")
    line = b""
    try:
        async with asyncio.timeout(READY_TIMEOUT_S):
            process.stdin.write(msgspec.json.encode(order) + b"\n")
            with contextlib.suppress(ConnectionError):  # it ended: its output says why
                await process.stdin.drain()
            line = await process.stdout.readline()
        answer = msgspec.json.decode(line, type=_Answer)
    except (TimeoutError, ValueError, msgspec.DecodeError) as error:
        printed = (line + await _end(process)).decode(errors="replace").strip()
        raise MachineUnreachableError(
            f"the agent did not start: {printed or 'it said nothing'}",
            "see `samehost logs`; `samehost machine stop`, then `start`, gives a fresh machine",
        ) from error
    is_usable = answer.ports and all(0 < port < 1 << 16 for port in answer.ports)
    if not answer.ready or not is_usable:
        raise MachineUnreachableError(f"the agent cannot work: {answer.error or line!r}")
    return answer.ports


async def _end(process: asyncio.subprocess.Process) -> bytes:
    """Kill the agent; what it had printed and nobody has read."""
    if process.returncode is None:
        process.kill()
    output, errors = await process.communicate()
    return (output + errors)[:OUTPUT_LIMIT]
