"""Boots a sandbox: starts `boot.sh`, plugs the cable in, waits for the engine.

Rules: the machine is no child of the daemon (setsid(1) forks), so it outlives it and nobody
has to collect it. Until the cable is plugged in, the machine lives only as long as our end of
its standard input: a start that is cancelled, fails or is killed leaves no process. The script
holds the folder's lock, too, until its processes can be found by their cgroup: so whoever comes
next and holds it finds all that such a start has left.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
from collections import deque
from collections.abc import AsyncIterator
from ipaddress import IPv4Network
from pathlib import Path
from typing import BinaryIO, Final, Literal, cast

from desktop.errors import MachineUnreachableError, SamehostError
from desktop.machines.sandbox import record
from desktop.machines.sandbox.addresses import AddressPair, choose, taken_networks
from desktop.machines.sandbox.engine import ping
from desktop.machines.sandbox.locks import held
from desktop.machines.sandbox.processes import open_process, wait_for_exit
from desktop.machines.sandbox.programs import environment, run
from desktop.machines.sandbox.traces import BOOT_SCRIPT, NO_CGROUP2, Traces, cgroup2_mount

__all__ = ["Boot", "await_engine", "last_lines"]

HANDSHAKE_TIMEOUT_S: Final = 15.0
ADDRESS_TIMEOUT_S: Final = 30.0
"""To choose them takes a few hundredths of a second, and several may start at once."""
ENGINE_TIMEOUT_S: Final = 60.0
ENGINE_RETRY_S: Final = 0.02
LAST_LINES: Final = 12

IPV6_SWITCHES: Final = Path("/proc/sys/net/ipv6")

ADDRESS_LOCK: Final = Path("/run/samehost-addresses")
"""Locked, and there, only while a start chooses addresses; of all Samehosts of the computer."""


class Boot:
    """One attempt: `spawn`, `announced`, `connect`, and after a failure `abandon`; then `close`."""

    def __init__(self, traces: Traces, log: Path, lock: int) -> None:
        self.log = log
        self._lock = lock
        self._traces = traces
        self._input: BinaryIO | None = None
        self._output = asyncio.StreamReader()
        self._transport: asyncio.ReadTransport | None = None

    async def spawn(self) -> None:
        """Start the script. Must run to its end: see `desktop.tasks.uninterrupted`."""
        traces, mount = self._traces, cgroup2_mount()
        enter = ["unshare", "--mount"] if mount == NO_CGROUP2 else []
        script = ["sh", str(BOOT_SCRIPT), "boot", mount, traces.cgroup, traces.name]
        _empty(self.log)
        # Pipes of our own: unshare(1) holds its copies as long as the machine lives, and the
        # loop's own pipes would make the machine a process that never ends.
        with contextlib.ExitStack() as theirs:
            stdin, self._input = _pipe(theirs, ours="wb")
            stdout, output = _pipe(theirs, ours="rb")
            self._transport, _ = await asyncio.get_running_loop().connect_read_pipe(
                lambda: asyncio.StreamReaderProtocol(self._output), output
            )
            # Not by the loop: uvloop's children keep duplicates of their standard streams' files.
            await asyncio.to_thread(
                subprocess.run,
                ["setsid", "--fork", *enter, *script, str(traces.folder), str(self.log)],
                stdin=stdin,
                stdout=stdout,
                stderr=self._lock,
                env=environment(),
                check=False,
            )

    async def announced(self) -> int:
        """The id of the machine's process 1, once its namespaces stand."""
        try:
            async with asyncio.timeout(HANDSHAKE_TIMEOUT_S):
                line = await self._output.readline()
        except TimeoutError:
            line = b""
        if not line.strip().isdigit():
            raise MachineUnreachableError(
                "the sandbox's namespaces cannot be made:\n" + last_lines(self.log),
                "it needs the rights of root in full, not those of an unprivileged container",
            )
        return int(line)

    async def connect(self, pid: int, pools: list[IPv4Network]) -> record.Record:
        """Plug in the cable, write the machine down and let it go on; from now on it lives."""
        pair = await self._plug_in(pid, pools)
        started = record.start_time(pid)
        if started is None:
            raise MachineUnreachableError("the sandbox ended while it started")
        machine = record.Record(
            boot=record.boot_id(),
            pid=pid,
            start_time=started,
            machine_address=pair.machine,
            host_address=pair.host,
            interface=self._traces.interface,
            cgroup=self._traces.cgroup,
        )
        record.save(machine, self._traces.folder)
        if self._input is None:
            raise RuntimeError("a machine is started with a pipe")
        self._input.write(f"{pair.machine}/{pair.network.prefixlen}\n".encode())
        return machine

    async def _plug_in(self, pid: int, pools: list[IPv4Network]) -> AddressPair:
        async with _choosing_addresses():
            try:
                pair = await _free_pair(pools)
                await run("ip", "-batch", "-", feed=_cable(self._traces.interface, pid, pair))
            finally:
                ADDRESS_LOCK.rmdir()
        return pair

    async def abandon(self) -> None:
        """Wait until no process of the script is left that waits for the handshake."""
        if self._input is None:
            return
        self._input.close()
        try:
            async with asyncio.timeout(HANDSHAKE_TIMEOUT_S):
                await self._output.read()
        except TimeoutError as error:
            raise SamehostError(
                f"{self._traces.name}: a process that was starting does not end",
                f"look for {BOOT_SCRIPT} with `ps` and end it",
            ) from error

    def close(self) -> None:
        """Free what it holds."""
        if self._input is not None:
            self._input.close()
        if self._transport is not None:
            self._transport.close()


@contextlib.asynccontextmanager
async def _choosing_addresses() -> AsyncIterator[None]:
    """Alone on this computer. Raises SamehostError if another takes too long over it."""
    async with contextlib.AsyncExitStack() as stack:
        try:
            async with asyncio.timeout(ADDRESS_TIMEOUT_S):
                await stack.enter_async_context(held(ADDRESS_LOCK))
        except TimeoutError as error:
            raise SamehostError(
                "another sandbox that starts does not get on with choosing its addresses",
                f"see which process holds {ADDRESS_LOCK}, and end it: fuser -v {ADDRESS_LOCK}",
            ) from error
        yield


def _pipe(theirs: contextlib.ExitStack, ours: Literal["rb", "wb"]) -> tuple[BinaryIO, BinaryIO]:
    """A pipe: the end for a child, closed by `theirs`, and ours, for reading or writing."""
    reading, writing = os.pipe()
    reader = cast(BinaryIO, os.fdopen(reading, "rb", buffering=0))
    writer = cast(BinaryIO, os.fdopen(writing, "wb", buffering=0))
    child, own = (writer, reader) if ours == "rb" else (reader, writer)
    return theirs.enter_context(child), own


def _empty(log: Path) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))


def _cable(name: str, pid: int, pair: AddressPair) -> str:
    """Commands for ip-link(8): the machine's eth0 is the other end of our `name`."""
    commands = [
        f"link add {name} type veth peer name eth0 netns {pid}",
        f"address add {pair.host}/{pair.network.prefixlen} dev {name}",
        f"link set {name} up",
    ]
    if IPV6_SWITCHES.exists():
        # No link-local address on our end: programs that listen per interface stay undisturbed.
        commands.insert(1, f"link set {name} addrgenmode none")
    return "\n".join(commands) + "\n"


async def _free_pair(pools: list[IPv4Network]) -> AddressPair:
    addresses = await run("ip", "-json", "-family", "inet", "address")
    routes = await run("ip", "-json", "-family", "inet", "route", "show", "table", "all")
    # ip prints nothing at all, not an empty list, where there is nothing.
    taken = taken_networks(json.loads(addresses.stdout or "[]"), json.loads(routes.stdout or "[]"))
    pair = choose(pools, taken)
    if pair is None:
        raise SamehostError(
            "no free address range for the sandbox: addresses or routes of this computer "
            "overlap with all of " + ", ".join(map(str, pools)),
            "free one of them (see `ip address` and `ip route`; often a VPN has them)",
        )
    return pair


async def await_engine(pid: int, socket: Path, log: Path) -> None:
    """Wait until the engine answers. Raises MachineUnreachableError if it ends or is too slow."""
    descriptor = open_process(pid)
    if descriptor is None:
        raise _engine_ended(log)
    exited = asyncio.create_task(wait_for_exit(descriptor), name="sandbox's end")
    deadline = asyncio.get_running_loop().time() + ENGINE_TIMEOUT_S
    try:
        while not await ping(socket):
            await asyncio.wait({exited}, timeout=ENGINE_RETRY_S)
            if exited.done():
                raise _engine_ended(log)
            if asyncio.get_running_loop().time() > deadline:
                raise MachineUnreachableError(
                    f"the Docker Engine does not answer after {ENGINE_TIMEOUT_S:.0f} s:\n"
                    + last_lines(log),
                    f"see {log}",
                )
    finally:
        exited.cancel()
        await asyncio.wait({exited})
        os.close(descriptor)


def _engine_ended(log: Path) -> MachineUnreachableError:
    return MachineUnreachableError(
        "the Docker Engine ended while it started:\n" + last_lines(log), f"see {log}"
    )


def last_lines(log: Path, count: int = LAST_LINES) -> str:
    """The end of a log file, for an error message."""
    try:
        with log.open(encoding="utf-8", errors="replace") as file:
            return "".join(deque(file, maxlen=count)).rstrip() or "(it said nothing)"
    except OSError as error:
        return f"(its log cannot be read: {error})"
