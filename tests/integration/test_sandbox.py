"""The sandbox with its real Docker Engine: what it is, and that nothing of it stays."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from desktop.errors import MachineUnreachableError, SamehostError
from desktop.machines.bootstrap import own_agent
from desktop.machines.sandbox import Sandbox, boot, record
from desktop.machines.sandbox.locks import held, is_held
from desktop.machines.sandbox.processes import members, wait_for_exit
from desktop.machines.sandbox.traces import Traces
from desktop.paths import Paths
from tests.ended import ended
from tests.integration.conftest import SandboxHome, docker, load_demo_image, quiet, require_root
from tests.integration.samehost import until

SHARED_FOLDERS = (
    Path("/run"),
    Path("/etc"),
    Path("/etc/docker"),
    Path("/opt"),
    Path("/opt/containerd"),
)
NAMESPACES = ("net", "mnt", "pid", "uts", "ipc", "cgroup")


def listing() -> dict[Path, list[str]]:
    """What is in the folders of the computer that a Docker Engine would write to.

    But for what other Samehosts have there, as the lock of addresses while they start.
    """
    return {
        path: sorted(name for name in os.listdir(path) if not name.startswith("samehost-"))
        for path in SHARED_FOLDERS
        if path.exists()
    }


def is_lock_free() -> bool:
    """Nobody has left the lock of addresses: it is not there, or another Samehost's."""
    return is_held(boot.ADDRESS_LOCK) or not boot.ADDRESS_LOCK.exists()


def namespaces(pid: int | str) -> set[str]:
    with contextlib.suppress(OSError):
        return {os.readlink(f"/proc/{pid}/ns/{kind}") for kind in NAMESPACES}
    return set()


def inside_namespaces(pid: int) -> set[str]:
    """The namespaces of process `pid` that are not this process's own."""
    return namespaces(pid) - namespaces("self")


def users_of(wanted: set[str]) -> dict[int, int | None]:
    """Processes that are in one of the namespaces, and when each began."""
    found = [pid for pid in os.listdir("/proc") if pid.isdigit() and namespaces(pid) & wanted]
    return {int(pid): record.start_time(int(pid)) for pid in found}


def alive(processes: dict[int, int | None]) -> list[int]:
    """Those that have not ended. Their namespaces would not tell: the kernel gives the numbers of
    those that are gone to others."""
    return [pid for pid, began in processes.items() if began and record.start_time(pid) == began]


@dataclass
class Machine:
    """A sandbox, its files, and what there was before it."""

    sandbox: Sandbox
    home: Path
    before: dict[Path, list[str]]

    @property
    def traces(self) -> Traces:
        return Traces.of(self.sandbox.folder, self.sandbox.name)

    @property
    def record(self) -> record.Record:
        found = record.load(self.sandbox.folder)
        assert found is not None
        return found

    def start(self, progress: Callable[[str], None] = quiet) -> None:
        asyncio.run(self.sandbox.start(progress))

    def stop(self) -> None:
        asyncio.run(self.sandbox.stop(quiet))

    def state(self) -> str:
        return asyncio.run(self.sandbox.state())

    def assert_nothing_left(self) -> None:
        """No process, interface, cgroup, mount or file of the sandbox but its log."""
        traces = self.traces
        assert self.state() == "stopped"
        assert members(traces.cgroup) == []
        assert traces.interface not in [name for _, name in socket.if_nameindex()]
        assert cgroups_called(traces.cgroup) == []
        assert str(self.home) not in Path("/proc/self/mountinfo").read_text()
        assert command_lines_with(str(self.home)) == []
        files = [path for path in self.home.rglob("*") if not path.is_dir()]
        assert {path.parent for path in files} <= {self.sandbox.log.parent}
        assert not self.sandbox.folder.parent.exists()
        assert listing() == self.before
        until(is_lock_free, "the lock of addresses to go")


def cgroups_called(name: str) -> list[str]:
    return [str(path) for path in Path("/sys/fs/cgroup").glob(f"*/{name}")] + [
        str(path) for path in Path("/sys/fs/cgroup").glob(name)
    ]


def command_lines_with(text: str) -> list[str]:
    found = []
    for pid in os.listdir("/proc"):
        if pid.isdigit():
            with contextlib.suppress(OSError):
                found.append(Path("/proc", pid, "cmdline").read_text().replace("\0", " "))
    return [line for line in found if text in line]


@pytest.fixture
def machine(short_home: Path) -> Iterator[Machine]:
    """A sandbox of the test's own, not started; stopped afterwards."""
    made = Machine(Sandbox("sandbox", Paths.under(short_home)), short_home, listing())
    yield made
    made.stop()


def test_it_boots_says_so_and_goes_without_a_trace(machine: Machine) -> None:
    lines: list[str] = []
    own_agent.cache_clear()
    machine.start(lines.append)
    assert own_agent.cache_info().currsize == 1, "the agent was made meanwhile"
    assert machine.state() == "running"
    assert len(lines) == 2
    pid = machine.record.pid
    inside = inside_namespaces(pid)
    assert len(inside) == len(NAMESPACES)
    load_demo_image(machine.sandbox)
    docker(machine.sandbox, "run", "-d", "samehost/netshoot", "sleep", "1000")
    docker(machine.sandbox, "run", "-d", "--net=host", "samehost/netshoot", "sleep", "1000")
    users = users_of(inside)
    assert len(users) >= 4
    machine.stop()
    assert alive(users) == []
    machine.assert_nothing_left()
    assert machine.sandbox.log.exists()


def test_a_container_with_host_networking_has_the_machines_network(
    sandbox_home: SandboxHome,
) -> None:
    script = "hostname; ip -o -4 addr show eth0"
    output = sandbox_home.docker(
        "run", "--rm", "--net=host", sandbox_home.image, "sh", "-c", script
    ).stdout
    machine, _host = sandbox_home.sandbox.addresses()
    assert output.splitlines()[0] == "sandbox"
    assert f"inet {machine}/30" in output


LOOPBACK_SERVER = """
import socket, sys
address, outer_port = sys.argv[1], int(sys.argv[2])
family = socket.AF_INET6 if ":" in address else socket.AF_INET
with socket.create_server((address, 0), family=family) as server:
    socket.create_connection(server.getsockname()[:2]).sendall(b"through")
    print(server.accept()[0].recv(100).decode())
print(socket.socket(family).connect_ex((address, outer_port)))
"""


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_both_loopbacks_work_inside_and_are_not_the_computers(
    sandbox_home: SandboxHome, address: str
) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, 0), family=family) as outside:
        port = str(outside.getsockname()[1])
        program = ("python3", "-I", "-c", LOOPBACK_SERVER, address, port)
        output = asyncio.run(sandbox_home.sandbox.run(*program)).stdout
    assert output.splitlines() == ["through", str(errno.ECONNREFUSED)]


def test_the_machine_answers_at_its_address(sandbox_home: SandboxHome) -> None:
    name = "answers"
    sandbox_home.docker(
        *["run", "-d", "--rm", "--name", name, "--net=host", sandbox_home.image],
        *["socat", "TCP-LISTEN:7001,reuseaddr", "SYSTEM:hostname"],
    )
    machine, _ = sandbox_home.sandbox.addresses()
    with connect(machine, 7001) as client:
        assert client.makefile().read() == "sandbox\n"


def connect(address: str, port: int) -> socket.socket:
    """Connect to a server that is about to start."""

    async def body() -> socket.socket:
        async with asyncio.timeout(10):
            while True:
                with contextlib.suppress(ConnectionRefusedError):
                    return socket.create_connection((address, port), timeout=10)
                await asyncio.sleep(0.01)

    return asyncio.run(body())


def test_a_program_run_inside_is_in_the_machines_own_cgroup_and_namespaces(
    sandbox_home: SandboxHome,
) -> None:
    sandbox = sandbox_home.sandbox
    cgroup = asyncio.run(sandbox.run("cat", "/proc/self/cgroup")).stdout
    assert "0::/init\n" in cgroup
    assert asyncio.run(sandbox.run("hostname")).stdout == "sandbox\n"
    assert "tini" in asyncio.run(sandbox.run("cat", "/proc/1/cmdline")).stdout
    with pytest.raises(SamehostError, match="failed: no luck"):
        asyncio.run(sandbox.run("sh", "-c", "echo no luck >&2; false"))


def test_sandboxes_of_other_names_and_homes_live_side_by_side(
    machine: Machine, sandbox_home: SandboxHome
) -> None:
    second = Sandbox("sandbox-two", Paths.under(machine.home))

    async def both() -> None:
        await asyncio.gather(machine.sandbox.start(quiet), second.start(quiet))

    try:
        asyncio.run(both())
        sandboxes = [machine.sandbox, second, sandbox_home.sandbox]
        assert len({sandbox.addresses() for sandbox in sandboxes}) == 3
        names = [docker(sandbox, "info", "-f", "{{.Name}}").stdout.strip() for sandbox in sandboxes]
        assert names == ["sandbox", "sandbox-two", "sandbox"]
        machine.stop()
        assert asyncio.run(second.state()) == "running"
        assert docker(second, "version").returncode == 0
    finally:
        asyncio.run(second.stop(quiet))
    assert sandbox_home.docker("version").returncode == 0
    machine.assert_nothing_left()


def test_a_running_one_is_left_as_it_is_by_another_start(machine: Machine) -> None:
    machine.start()
    pid = machine.record.pid
    lines: list[str] = []
    machine.start(lines.append)
    assert lines == []
    assert machine.record.pid == pid


def engine_of(machine: Machine) -> int:
    """The process of its Docker Engine."""
    every = members(machine.traces.cgroup)
    (engine,) = [pid for pid in every if Path(f"/proc/{pid}/comm").read_text() == "dockerd\n"]
    return engine


def hold(engine: int) -> None:
    """Stop it, and return once all of its threads stand still: until then it may answer."""
    os.kill(engine, signal.SIGSTOP)
    until(lambda: _states(engine) == {"T"}, "it to stand still")


def _states(pid: int) -> set[str]:
    tasks = Path(f"/proc/{pid}/task").glob("*/stat")
    try:
        return {task.read_text().rpartition(")")[2].split()[0] for task in tasks}
    except OSError:  # a thread has ended just now
        return set()


def test_one_whose_engine_is_slow_to_answer_is_waited_for_and_not_made_anew(
    machine: Machine,
) -> None:
    machine.start()
    pid, engine = machine.record.pid, engine_of(machine)
    lines: list[str] = []

    def go_on(line: str) -> None:
        lines.append(line)
        os.kill(engine, signal.SIGCONT)

    hold(engine)
    machine.start(go_on)
    assert len(lines) == 1
    assert machine.state() == "running"
    assert machine.record.pid == pid


def test_one_whose_engine_hangs_is_told_and_left_as_it_is(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.start()
    pid, engine = machine.record.pid, engine_of(machine)
    monkeypatch.setattr(boot, "ENGINE_TIMEOUT_S", 0.3)
    hold(engine)
    with pytest.raises(MachineUnreachableError, match="does not answer") as caught:
        machine.start()
    assert "samehost machine stop sandbox" in caught.value.remedy
    os.kill(engine, signal.SIGCONT)
    assert machine.record.pid == pid
    machine.start()
    assert machine.record.pid == pid


def test_of_two_starts_at_once_one_boots_and_both_succeed(machine: Machine) -> None:
    lines: list[str] = []

    async def both() -> None:
        other = Sandbox("sandbox", Paths.under(machine.home))
        await asyncio.gather(machine.sandbox.start(lines.append), other.start(lines.append))

    asyncio.run(both())
    assert len(lines) == 2
    assert machine.state() == "running"


def test_a_start_and_a_stop_at_once_end_in_one_of_the_two_states(machine: Machine) -> None:
    async def both() -> None:
        other = Sandbox("sandbox", Paths.under(machine.home))
        await asyncio.gather(machine.sandbox.start(quiet), other.stop(quiet))

    asyncio.run(both())
    assert machine.state() in ("running", "stopped")
    machine.stop()
    machine.assert_nothing_left()


def test_a_killed_one_is_failed_and_the_next_start_makes_it_anew(machine: Machine) -> None:
    machine.start()
    load_demo_image(machine.sandbox)
    docker(machine.sandbox, "run", "-d", "samehost/netshoot", "sleep", "1000")
    pid = machine.record.pid
    descriptor = os.pidfd_open(pid)
    os.kill(pid, signal.SIGKILL)
    asyncio.run(wait_for_exit(descriptor))
    os.close(descriptor)
    assert machine.state() == "failed"
    machine.start()
    assert machine.state() == "running"
    assert machine.record.pid != pid
    assert docker(machine.sandbox, "ps", "-aq").stdout == ""
    machine.stop()
    machine.assert_nothing_left()


def test_one_whose_record_is_lost_is_still_ended(machine: Machine) -> None:
    machine.start()
    users = users_of(inside_namespaces(machine.record.pid))
    assert users
    (machine.sandbox.folder / record.RECORD_NAME).unlink()
    assert machine.state() == "failed"
    machine.stop()
    assert alive(users) == []
    machine.assert_nothing_left()


def test_a_stopped_program_that_leads_into_it_is_no_obstacle_to_its_end(machine: Machine) -> None:
    machine.start()
    lead = subprocess.Popen(machine.sandbox.command("sleep", "1000"), start_new_session=True)
    try:
        until(lambda: "sleep" in _programs(machine), "the program in the machine")
        os.kill(lead.pid, signal.SIGSTOP)
        machine.stop()
    finally:
        lead.kill()
        lead.wait()
    machine.assert_nothing_left()


def _programs(machine: Machine) -> str:
    return asyncio.run(machine.sandbox.run("ps", "axo", "comm")).stdout


def test_it_outlives_the_process_that_started_it(machine: Machine) -> None:
    with starter(machine, stop_after=None) as process:
        assert process.wait() == 0
    assert machine.state() == "running"
    assert docker(machine.sandbox, "version").returncode == 0


STARTER = """
import sys, uvloop
from pathlib import Path
from desktop.machines.sandbox import Sandbox
from desktop.paths import Paths
progress = lambda line: print(line, flush=True)
uvloop.run(Sandbox("sandbox", Paths.under(Path(sys.argv[1]))).start(progress))
"""
"""By the daemon's own loop: its child processes are made in another way."""


@contextlib.contextmanager
def starter(machine: Machine, stop_after: int | None) -> Iterator[subprocess.Popen[str]]:
    """A process that starts the sandbox; SIGKILL after that many lines of progress."""
    command = [sys.executable, "-c", STARTER, str(machine.home)]
    with ended(subprocess.Popen(command, stdout=subprocess.PIPE, text=True)) as process:
        assert process.stdout is not None
        if stop_after is not None:
            for _ in range(stop_after):
                assert process.stdout.readline()
            process.kill()
        yield process


@pytest.mark.parametrize("lines", [1, 2], ids=["before the network", "before the engine"])
def test_what_a_killed_start_left_is_cleared_by_the_next(machine: Machine, lines: int) -> None:
    with starter(machine, stop_after=lines) as process:
        assert process.wait() == -signal.SIGKILL
    machine.start()
    assert machine.state() == "running"
    machine.stop()
    machine.assert_nothing_left()


@pytest.mark.parametrize("lines", [1, 2], ids=["before the network", "before the engine"])
def test_what_a_killed_start_left_is_cleared_by_stop(machine: Machine, lines: int) -> None:
    with starter(machine, stop_after=lines) as process:
        assert process.wait() == -signal.SIGKILL
    machine.stop()
    machine.assert_nothing_left()


@pytest.mark.parametrize("turns", [0, 1, 2, 5, 10, 20, 40])
def test_a_start_cancelled_at_any_moment_leaves_nothing(machine: Machine, turns: int) -> None:
    """`turns` of the event loop after its first line of progress."""

    async def body() -> None:
        begun = asyncio.Event()
        task = asyncio.create_task(machine.sandbox.start(lambda _line: begun.set()))
        await begun.wait()
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(body())
    machine.assert_nothing_left()


def test_a_start_cancelled_while_the_engine_starts_leaves_nothing(machine: Machine) -> None:
    async def body() -> None:
        lines: list[str] = []
        engine = asyncio.Event()

        def progress(line: str) -> None:
            lines.append(line)
            if len(lines) == 2:
                engine.set()

        task = asyncio.create_task(machine.sandbox.start(progress))
        await engine.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(body())
    machine.assert_nothing_left()


def test_without_a_free_range_start_says_so_and_leaves_nothing(machine: Machine) -> None:
    sandbox = Sandbox("sandbox", Paths.under(machine.home), network="127.0.0.0/24")
    with pytest.raises(SamehostError, match=r"no free address range.*127\.0\.0\.0/24") as caught:
        asyncio.run(sandbox.start(quiet))
    assert caught.value.remedy
    machine.assert_nothing_left()


def test_a_start_of_another_that_hangs_is_told_and_leaves_nothing(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = machine.home / "addresses"
    monkeypatch.setattr(boot, "ADDRESS_LOCK", lock)
    monkeypatch.setattr(boot, "ADDRESS_TIMEOUT_S", 0.3)

    async def body() -> None:
        async with held(lock):
            with pytest.raises(SamehostError, match="another sandbox that starts") as caught:
                await machine.sandbox.start(quiet)
            assert str(lock) in caught.value.remedy

    asyncio.run(body())
    lock.rmdir()
    machine.assert_nothing_left()


@pytest.fixture
def engine_that(short_home: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts a shell script in the Docker Engine's place."""

    def replace(script: str) -> None:
        folder = short_home / "bin"
        folder.mkdir()
        (folder / "dockerd").write_text(f"#!/bin/sh\n{script}\n")
        (folder / "dockerd").chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    return replace


def test_an_engine_that_ends_at_start_is_an_error_with_its_last_words(
    machine: Machine, engine_that: Callable[[str], None]
) -> None:
    engine_that("echo no luck today >&2; exit 1")
    with pytest.raises(MachineUnreachableError, match="no luck today") as caught:
        machine.start()
    assert str(machine.sandbox.log) in caught.value.remedy
    (machine.home / "bin" / "dockerd").unlink()
    machine.assert_nothing_left()


def test_an_engine_that_does_not_answer_is_an_error(
    machine: Machine, engine_that: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine_that("echo busy >&2; exec sleep 1000")
    monkeypatch.setattr(boot, "ENGINE_TIMEOUT_S", 0.3)
    with pytest.raises(MachineUnreachableError, match="does not answer"):
        machine.start()
    (machine.home / "bin" / "dockerd").unlink()
    machine.assert_nothing_left()


def test_it_works_where_only_cgroup_v1_is_mounted(machine: Machine) -> None:
    script = 'umount --no-mtab --lazy $(findmnt -rno TARGET -t cgroup2); exec "$@"'
    command = ["unshare", "--mount", "sh", "-c", script, "-"]
    if not subprocess.run(["findmnt", "-t", "cgroup2"], capture_output=True, check=False).stdout:
        command = []
    start = [*command, sys.executable, "-c", STARTER, str(machine.home)]
    stop = [*command, sys.executable, "-c", STARTER.replace(".start(", ".stop("), str(machine.home)]
    subprocess.run(start, check=True, timeout=60)
    assert machine.state() == "running"
    assert "0::/init\n" in asyncio.run(machine.sandbox.run("cat", "/proc/self/cgroup")).stdout
    subprocess.run(stop, check=True, timeout=60)
    machine.assert_nothing_left()


def test_a_home_below_run_stays_visible_inside() -> None:
    require_root()
    home = Path("/run") / f"samehost-test-{os.getpid()}"
    machine = Machine(Sandbox("sandbox", Paths.under(home)), home, listing())
    try:
        machine.start()
        assert docker(machine.sandbox, "version").returncode == 0
        listed = asyncio.run(machine.sandbox.run("ls", "/run", str(home / "state"))).stdout
        assert "docker.sock" in listed
    finally:
        machine.stop()
        machine.sandbox.log.unlink()
        for folder in (home / "logs", home / "state", home):
            folder.rmdir()
    machine.assert_nothing_left()
