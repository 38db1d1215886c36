"""`samehost doctor` on a Samehost that is well, and on one that is broken on purpose.

Rules: each breakage is found by the check that is named for it, with its remedy, and is undone.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from desktop.doctor.checks import CHECKS
from link.processes import find_processes
from link.sockdiag import SockDiag
from tests.ended import ended
from tests.integration.samehost import Samehost, free_port, running_samehost, until
from tests.integration.servers import GREETER

STAND_IN = """
import ctypes, socket, sys, time
ctypes.CDLL(None).prctl(15, b"limactl")
with socket.create_server(("127.0.0.1", int(sys.argv[1]))):
    print("listens", flush=True)
    time.sleep(60)
"""
"""A program called as Lima's that has a port (prctl(2), PR_SET_NAME)."""


@pytest.fixture(scope="module")
def samehost() -> Iterator[Samehost]:
    with running_samehost() as one:
        yield one


def doctor(samehost: Samehost, *checks: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """The exit code, and the findings by check."""
    done = samehost.try_run("doctor", "--json", *checks)
    return done.returncode, {each["check"]: each for each in json.loads(done.stdout)}


def test_a_samehost_that_is_well_is_told_so_by_every_check(samehost: Samehost) -> None:
    port = free_port()
    with samehost.python(GREETER, "0.0.0.0", str(port), "v6only", "hello"):
        until(lambda: samehost.states(port) == ["active"], "the mirror")
        code, found = doctor(samehost)
    assert list(found) == [check.name for check in CHECKS]
    assert {name: each for name, each in found.items() if each["state"] != "ok"} == {}
    assert code == 0


@contextlib.contextmanager
def kept_away(samehost: Samehost) -> Iterator[None]:
    """Kill the agent, and whatever agent comes after it, for as long as the block lasts."""
    is_over = threading.Event()

    def kill() -> None:
        while not is_over.wait(0.01):
            agent = samehost.agent_if_any()
            if agent is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(agent, signal.SIGKILL)

    killer = threading.Thread(target=kill, name="killer of agents")
    killer.start()
    try:
        yield
    finally:
        is_over.set()
        killer.join()


def state(samehost: Samehost) -> str:
    return str(samehost.status()["machine"]["state"])


def test_an_agent_that_is_kept_away_is_found(samehost: Samehost) -> None:
    with kept_away(samehost):
        until(lambda: state(samehost) == "reconnecting", "the loss")
        code, found = doctor(samehost, "daemon", "machine", "watcher")
    assert (code, found["daemon"]["state"]) == (1, "ok")
    assert found["machine"]["state"] == "error"
    assert "agent: the agent did not start" in found["machine"]["evidence"]
    assert "samehost machine doctor sandbox" in found["machine"]["remedy"]
    assert found["watcher"]["state"] == "skipped"
    until(lambda: state(samehost) == "connected", "another agent", 30)


def listening(*processes: int) -> set[str]:
    """What these processes listen on by TCP or UDP, as sockets' names."""
    with contextlib.closing(SockDiag()) as diag:
        here = {record.inode for record in diag.listeners()}
    owners = find_processes(here)
    return {f"{inode}" for inode, owner in owners.items() if owner.pid in processes}


def rows_of_containers(samehost: Samehost) -> list[dict[str, Any]]:
    """Not those of this computer: others begin and end to listen here."""
    return [row for row in samehost.ports() if row["origin"] == "machine"]


def test_the_self_test_leaves_no_listener_and_no_row(samehost: Samehost) -> None:
    before = rows_of_containers(samehost), listening(samehost.daemon()), files_of(samehost.daemon())
    for _ in range(3):
        code, found = doctor(samehost, "self-test")
        assert (code, found["self-test"]["state"]) == (0, "ok")
    after = rows_of_containers(samehost), listening(samehost.daemon())
    assert after == before[:2]
    until(lambda: files_of(samehost.daemon()) <= before[2], "files as before")


def files_of(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def engine_of(samehost: Samehost) -> int:
    """The Docker Engine that shares the agent's network."""
    network = Path(f"/proc/{samehost.agent()}/ns/net").readlink()
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            is_engine = (entry / "comm").read_text() == "dockerd\n"
            if is_engine and (entry / "ns" / "net").readlink() == network:
                return int(entry.name)
    raise AssertionError("there is no engine")


def test_an_engine_that_is_stopped_is_found(samehost: Samehost) -> None:
    """Stopped as by a debugger: its sockets are there, and nobody answers."""
    engine = engine_of(samehost)
    os.kill(engine, signal.SIGSTOP)
    try:
        code, found = doctor(samehost, "machine", "engine")
    finally:
        os.kill(engine, signal.SIGCONT)
    assert (code, found["machine"]["state"], found["engine"]["state"]) == (1, "ok", "error")
    assert "docker.sock does not answer" in found["engine"]["evidence"]
    assert "samehost machine stop" in found["engine"]["remedy"]


def test_another_forwarder_on_a_containers_port_is_found(samehost: Samehost) -> None:
    """Containers do not reach this computer meanwhile: else the port would be theirs to see."""
    port = free_port()
    samehost.run("settings", "set", "reachHost", "false")
    command = [sys.executable, "-c", STAND_IN, str(port)]
    with ended(subprocess.Popen(command, stdout=subprocess.PIPE, text=True)) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "listens\n"
        try:
            with samehost.python(GREETER, "0.0.0.0", str(port), "v6only", "hello"):
                until(lambda: samehost.states(port) == ["conflict"], "the conflict")
                code, found = doctor(samehost, "ports", "forwarders")
        finally:
            other.kill()
            samehost.run("settings", "set", "reachHost", "true")
    assert code == 0
    assert [each["state"] for each in found.values()] == ["warning", "warning"]
    assert f"Lima (limactl, pid {other.pid}) has tcp port {port}" in found["forwarders"]["evidence"]
    assert "portForwards" in found["forwarders"]["remedy"]


def test_a_low_limit_of_files_is_found(samehost: Samehost) -> None:
    daemon = samehost.daemon()
    before = resource.prlimit(daemon, resource.RLIMIT_NOFILE)
    for limit, wanted in ((1024, "warning"), (64, "error")):
        resource.prlimit(daemon, resource.RLIMIT_NOFILE, (limit, before[1]))
        try:
            code, found = doctor(samehost, "files-limit")
        finally:
            resource.prlimit(daemon, resource.RLIMIT_NOFILE, before)
        assert (code, found["files-limit"]["state"]) == (int(wanted == "error"), wanted)
        assert f"may open {limit} files" in found["files-limit"]["evidence"]
        assert "raise the hard limit" in found["files-limit"]["remedy"]


def test_a_daemon_that_was_stopped_by_a_signal_is_found(samehost: Samehost) -> None:
    daemon = samehost.daemon()
    os.kill(daemon, signal.SIGSTOP)
    try:
        code, found = doctor(samehost, "daemon", "protocol", "ports")
    finally:
        os.kill(daemon, signal.SIGCONT)
    assert (code, found["daemon"]["state"]) == (1, "error")
    assert found["daemon"]["remedy"] == f"let it go on: kill -CONT {daemon}"
    assert found["ports"]["state"] == "skipped"
    assert found["daemon"]["seconds"] < 10
