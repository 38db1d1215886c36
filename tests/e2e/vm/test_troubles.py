"""What happens to real VMs, and that it heals without a touch.

Counterpart: `tests.integration.test_bad_luck` has what can be had in the sandbox.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from collections.abc import Iterator
from typing import Final

import pytest

from link.sockdiag import SockDiag
from tests.e2e.vm.attached import Attached, attached, eventually
from tests.e2e.vm.machine import Vm
from tests.e2e.vm.ssh import HOST
from tests.integration.samehost import IMAGE, free_port
from tests.integration.servers import ECHO, GREETER
from tests.integration.test_main_job import says

pytestmark = pytest.mark.timeout(900)
"""The first that needs the image may have to make it."""

SLEEP_SECONDS: Final = 60
"""Longer than any patience of the link's, of ssh's, and of whoever waits for them."""

NAP_SECONDS: Final = 20

AGENTS: Final = "pgrep --full '^[^ ]*python3 -I /proc/self/fd/' || true"
"""Prints the processes of agents in a VM."""


@pytest.fixture(scope="module")
def lasting(vm: Vm) -> Iterator[Attached]:
    """Attached to the VM that others use, too: for what does not injure it."""
    with attached(vm) as samehost:
        yield samehost


def listeners_here(port: int) -> int:
    """How many sockets of this computer listen on a port."""
    with contextlib.closing(SockDiag()) as diag:
        return sum(record.port == port for record in diag.listeners())


@contextlib.contextmanager
def echoing_client(port: int) -> Iterator[socket.socket]:
    """A client of this computer that has been answered by an echo in the VM."""
    with socket.create_connection((HOST, port), timeout=60) as client:
        echo(client, b"before")
        yield client


def echo(client: socket.socket, words: bytes) -> None:
    client.sendall(words)
    heard = b""
    while len(heard) < len(words):
        part = client.recv(100)
        assert part, "the connection was ended"
        heard += part
    assert heard == words


def agents_in(vm: Vm) -> int:
    """How many agents run in a VM."""
    return len(vm.run(AGENTS).split())


def test_a_container_that_is_always_restarted_is_there_again_after_a_reboot_without_a_touch(
    own_vm: Vm,
) -> None:
    """docker/for-mac#7683."""
    port = free_port()
    with attached(own_vm) as samehost:
        code = ["busybox", "chroot", "/desktop", "/usr/bin/python3", "-c", GREETER]
        samehost.docker(
            *("run", "--detach", "--restart=always", "--stop-timeout=1", "--net=host"),
            *("-v", "/:/desktop:ro", IMAGE, *code, "0.0.0.0", str(port), "v6only", "it is me"),
        )
        eventually(lambda: says(HOST, port) == b"it is me", "the mirror")
        before = own_vm.run("cat /proc/sys/kernel/random/boot_id")
        own_vm.reboot()
        eventually(lambda: says(HOST, port) == b"it is me", "the mirror to return")
        assert samehost.states(port) == ["active"]
        assert own_vm.run("cat /proc/sys/kernel/random/boot_id") != before


def test_a_vm_that_stood_still_for_a_minute_is_linked_again_and_nothing_is_there_twice(
    own_vm: Vm,
) -> None:
    port = free_port()
    with attached(own_vm) as samehost, samehost.python(GREETER, "0.0.0.0", str(port), "", "me"):
        eventually(lambda: says(HOST, port) == b"me", "the mirror")
        own_vm.pause()
        paused = time.monotonic()
        eventually(lambda: samehost.states(port) != ["active"], "the loss to be noticed")
        eventually(lambda: listeners_here(port) == 0, "the mirror to close")
        time.sleep(max(0.0, paused + SLEEP_SECONDS - time.monotonic()))
        own_vm.resume()
        eventually(lambda: says(HOST, port) == b"me", "the mirror to return")
        assert samehost.states(port) == ["active"]
        assert listeners_here(port) == 1
        eventually(lambda: agents_in(own_vm) == 1, "the old agent to be gone")
        eventually(lambda: len(samehost.connections()) == 1, "the old connection to end")


def test_flows_live_on_when_computer_and_vm_have_slept_together(own_vm: Vm) -> None:
    port = free_port()
    with attached(own_vm) as samehost, samehost.python(ECHO, str(port)):
        eventually(lambda: samehost.states(port) == ["active"], "the mirror")
        with echoing_client(port) as client:
            asleep = [samehost.daemon(), *samehost.children()]
            for process in asleep:
                os.kill(process, signal.SIGSTOP)
            own_vm.pause()
            time.sleep(NAP_SECONDS)
            own_vm.resume()
            for process in asleep:
                os.kill(process, signal.SIGCONT)
            echo(client, b"after")
        eventually(lambda: samehost.status()["machine"]["state"] == "connected", "the link")
        with echoing_client(port):
            assert listeners_here(port) == 1


def test_a_killed_ssh_is_replaced_and_its_mirrors_return(lasting: Attached) -> None:
    port = free_port()
    with lasting.python(GREETER, "0.0.0.0", str(port), "", "still me"):
        eventually(lambda: says(HOST, port) == b"still me", "the mirror")
        (connection,) = lasting.connections()
        os.kill(connection, signal.SIGKILL)
        eventually(lambda: lasting.connections() not in ([], [connection]), "another connection")
        eventually(lambda: says(HOST, port) == b"still me", "the mirror to return")
        eventually(lambda: lasting.states(port) == ["active"], "its row")
        eventually(lambda: agents_in(lasting.vm) == 1, "the old agent to be gone")


def test_a_killed_agent_is_replaced_and_its_mirrors_return(lasting: Attached) -> None:
    port = free_port()
    with lasting.python(GREETER, "0.0.0.0", str(port), "", "still me"):
        eventually(lambda: says(HOST, port) == b"still me", "the mirror")
        agent = lasting.vm.run(AGENTS)
        lasting.vm.run(f"kill -KILL {agent}")
        eventually(lambda: lasting.vm.run(AGENTS) not in ("", agent), "another agent")
        eventually(lambda: says(HOST, port) == b"still me", "the mirror to return")
        eventually(lambda: lasting.states(port) == ["active"], "its row")


def test_a_killed_vm_closes_its_mirrors_and_is_found_again_when_it_is_back(own_vm: Vm) -> None:
    port, later = free_port(), free_port()
    with attached(own_vm) as samehost:
        samehost.docker(*("run", "--detach", "--net=host", IMAGE, "nc", "-lk", "-p", str(port)))
        eventually(lambda: samehost.states(port) == ["active"], "the mirror")
        own_vm.kill()
        eventually(lambda: samehost.status()["machine"]["state"] == "reconnecting", "the loss")
        eventually(lambda: listeners_here(port) == 0, "the mirror to close")
        own_vm.restore()
        with samehost.python(GREETER, "0.0.0.0", str(later), "", "born again"):
            eventually(lambda: says(HOST, later) == b"born again", "the mirror of the new one")
        assert samehost.rows(port) == []
