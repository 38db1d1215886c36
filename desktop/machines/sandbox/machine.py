"""The sandbox as the daemon sees it: start, stop, Docker's socket, the agent.

Rules: start and stop of one sandbox are serialised by a lock on its state folder; whoever holds
it first removes what a killed one left. All state is on disk (`record.py`), so any process of
the same user can go on where another stopped.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from pathlib import Path
from subprocess import CompletedProcess
from typing import Final, TypeVar

from desktop.errors import MachineUnreachableError, PermissionDeniedError, UsageError
from desktop.machines.bootstrap import own_agent
from desktop.machines.doors import DoorOrder, OpenDoor, UnixDoor, UnixOrder
from desktop.machines.examination import Step
from desktop.machines.launch import Order, launch
from desktop.machines.machine import AgentHandle, Machine, MachineState, Progress
from desktop.machines.process import ChildProcess
from desktop.machines.sandbox import record
from desktop.machines.sandbox.addresses import parse_pools
from desktop.machines.sandbox.boot import Boot, await_engine
from desktop.machines.sandbox.engine import ping
from desktop.machines.sandbox.locks import held, is_held
from desktop.machines.sandbox.programs import environment, require_programs, run
from desktop.machines.sandbox.python import find_python
from desktop.machines.sandbox.traces import Traces
from desktop.paths import Paths
from desktop.settings.values import DEFAULT_SANDBOX_NETWORK
from desktop.tasks import uninterrupted
from desktop.transports.unix import UnixTransport

__all__ = ["STREAM_BUFFER_BYTES", "Sandbox"]

NAME_PATTERN: Final = re.compile(r"sandbox(-[a-z0-9]{1,8})?")

STREAM_BUFFER_BYTES: Final = 4 << 20
"""As much as TCP may have (tcp(7), tcp_wmem). With the kernel's 208 KiB a flood of datagrams loses
nine in ten."""

JOIN: Final = (
    '{ echo 0 > "/proc/$0/root/sys/fs/cgroup/init/cgroup.procs"; } 2> /dev/null || '
    '{ echo "the machine has ended, or is about to" >&2; exit 1; }; '
    'exec nsenter --target "$0" --mount --net --uts --ipc --pid --cgroup -- "$@"'
)
"""Into the machine's own cgroup first, through the machine's own mount of it, so that it works
whatever this computer has mounted. Once inside, the kernel would not allow the move: with
`nsdelegate` (cgroups(7)) nobody moves from outside a cgroup namespace into it."""

_AnyDoor = TypeVar("_AnyDoor", bound=OpenDoor)


def _put_agent(bundle: Path) -> None:
    """See that our agent is there, even if the disk is full now. Raises OSError.

    It is not that of the source as it is by now, which may have been updated and speak otherwise.
    """
    agent = own_agent()
    if not bundle.exists() or bundle.read_bytes() != agent:
        bundle.write_bytes(agent)


class Sandbox(Machine):
    """Namespaces with a Docker Engine; `name` is "sandbox" or "sandbox-SUFFIX".

    `network` is the ranges its addresses are chosen from (IPv4, separated by commas), `bundle`
    an agent to run instead of this program's own, `may_use_ebpf` False one that does without.
    Raises UsageError.
    """

    kind = "sandbox"
    is_ours = True

    def __init__(
        self,
        name: str,
        paths: Paths,
        network: str = DEFAULT_SANDBOX_NETWORK,
        bundle: Path | None = None,
        *,
        may_use_ebpf: bool = True,
    ) -> None:
        if not self.is_name(name):
            raise UsageError(
                f"not a name for a sandbox: {name}",
                "use sandbox, or sandbox- and up to 8 letters (a-z) and digits",
            )
        super().__init__(name)
        self.folder = paths.machine(name)
        self.log = paths.logs / f"machine-{name}.log"
        self._pools = parse_pools(network)
        self._bundle = bundle
        self._may_use_ebpf = may_use_ebpf
        self._traces = Traces.of(self.folder, name)

    @staticmethod
    def is_name(name: str) -> bool:
        """True for what a sandbox can be called."""
        return NAME_PATTERN.fullmatch(name) is not None

    @property
    def docker_socket(self) -> Path:
        """The engine's socket on this computer."""
        return self.folder / "docker.sock"

    def docker_host(self) -> str:
        """See `Machine`."""
        return f"unix://{self.docker_socket}"

    async def state(self) -> MachineState:
        """See `Machine`. "failed" is what a killed start or engine left; `start` clears it."""
        if not self.folder.exists():
            return "stopped"
        if await self._is_running():
            return "running"
        return "starting" if is_held(self.folder) else "failed"

    async def start(self, progress: Progress) -> None:
        """See `Machine`. Raises PermissionDeniedError, MachineUnreachableError, SamehostError."""
        self._require_root("start")
        require_programs()
        async with held(self.folder) as lock:
            if await self._comes_to_answer(progress):
                return
            try:
                await self._boot(progress, lock)
            except BaseException:
                await uninterrupted(self._remove())
                raise

    async def stop(self, progress: Progress) -> None:
        """See `Machine`. Raises PermissionDeniedError, SamehostError."""
        if not self._traces.exist():
            return
        self._require_root("stop")
        progress(f"stopping {self.name}")
        async with held(self.folder):
            await uninterrupted(self._remove())

    def addresses(self) -> tuple[str, str]:
        """The machine's address and this computer's, on the cable between them."""
        machine = self._record()
        return machine.machine_address, machine.host_address

    @property
    def pid(self) -> int:
        """The machine's process 1, as this computer sees it. Raises MachineUnreachableError."""
        return self._record().pid

    def command(self, *argv: str) -> list[str]:
        """How to run `argv` inside the machine, as one of its own processes.

        Killing what is run does not kill `argv`: that is another process, inside. Raises
        MachineUnreachableError if the machine does not run.
        """
        return ["sh", "-c", JOIN, str(self.pid), *argv]

    async def run(self, *argv: str, feed: str = "", check: bool = True) -> CompletedProcess[str]:
        """Run `argv` inside to its end. Raises SamehostError if `check` and it fails."""
        return await run(*self.command(*argv), feed=feed, check=check)

    async def start_agent(self, secret: bytes) -> AgentHandle:
        """See `Machine`."""
        root = f"/proc/{self.pid}/root"
        order = UnixOrder(os.geteuid(), STREAM_BUFFER_BYTES)
        process, opened = await self.launch(secret, order, UnixDoor)
        return AgentHandle(process, UnixTransport(root + opened.path, STREAM_BUFFER_BYTES))

    async def launch(
        self, secret: bytes, door: DoorOrder, kind: type[_AnyDoor]
    ) -> tuple[ChildProcess, _AnyDoor]:
        """An agent that was told to open such a door, and the one it has opened.

        Raises AgentStartError, MachineUnreachableError.
        """
        bundle = self._bundle or self.folder / "agent.pyz"
        if self._bundle is None:
            # A thread is not cancelled: it would write while the folder is removed.
            await uninterrupted(asyncio.to_thread(_put_agent, bundle))
        python = await find_python()
        # The agent's parent is nsenter out here; what ends nsenter must end the agent.
        program = self.command("setpriv", "--pdeathsig", "KILL", python, "-I", str(bundle))
        order = Order(secret.hex(), door, ["/run/docker.sock"], self._may_use_ebpf)
        process = await ChildProcess.start(program, environment=environment())
        return process, await launch(process, order, kind)

    def steps(self) -> list[Step]:
        """See `Machine`."""
        state, *agent = super().steps()
        return [state, Step("python", find_python), *agent]

    async def _comes_to_answer(self, progress: Progress) -> bool:
        """False if there is no machine to answer; one whose engine is slow is given its time.

        It has containers, and images: who starts it wants to have it, not another one in its place.
        Raises MachineUnreachableError if it lives and does not answer.
        """
        machine = record.load(self.folder)
        if machine is None or not machine.is_alive():
            return False
        if await ping(self.docker_socket):
            return True
        progress(f"waiting for {self.name}: its Docker Engine does not answer yet")
        try:
            await await_engine(machine.pid, self.docker_socket, self.log)
        except MachineUnreachableError as error:
            if not machine.is_alive():
                return False
            raise MachineUnreachableError(
                error.message,
                f"to end it with its containers, and start anew: samehost machine stop {self.name}",
            ) from error
        return True

    async def _is_running(self) -> bool:
        machine = record.load(self.folder)
        return machine is not None and machine.is_alive() and await ping(self.docker_socket)

    def _record(self) -> record.Record:
        machine = record.load(self.folder)
        if machine is None or not machine.is_alive():
            raise MachineUnreachableError(
                f"{self.name} does not run", f"start it: samehost machine start {self.name}"
            )
        return machine

    async def _boot(self, progress: Progress, lock: int) -> None:
        await uninterrupted(self._traces.remove())  # else two would remove the same at once
        progress(f"starting {self.name}: namespaces and network")
        boot = Boot(self._traces, self.log, lock)
        try:
            await uninterrupted(boot.spawn())
            pid = await boot.announced()
            machine = await boot.connect(pid, self._pools)
        except BaseException:
            await uninterrupted(boot.abandon())
            raise
        finally:
            boot.close()
        progress(f"starting {self.name}: the Docker Engine")
        engine = await_engine(machine.pid, self.docker_socket, self.log)
        # The agent is needed next, and made meanwhile: an engine that starts mostly waits.
        await asyncio.gather(engine, asyncio.to_thread(own_agent))

    async def _remove(self) -> None:
        await self._traces.remove()
        self.folder.rmdir()
        with contextlib.suppress(OSError):  # other machines are in it
            self.folder.parent.rmdir()

    def _require_root(self, verb: str) -> None:
        if os.geteuid() != 0:
            raise PermissionDeniedError(
                f"only root can {verb} the sandbox: it is made of namespaces and a Docker Engine",
                f"use sudo, for example: sudo samehost machine {verb} {self.name}",
            )
