"""What Samehost is for, on a VM that is reached over SSH, by each way of getting there.

Counterpart: `tests.integration.test_main_job` has the same, and more, in the sandbox.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from tests.e2e.vm.attached import ADDRESS, PARAMIKO, USER, Attached, attached, eventually
from tests.e2e.vm.machine import Vm
from tests.integration.samehost import IMAGE, free_port, talk
from tests.integration.servers import GREETER, UDP_CLIENT, UDP_ECHO
from tests.integration.test_main_job import web_server
from tests.integration.udp import answers_from, in_container, refused, teller

pytestmark = pytest.mark.timeout(900)
"""The first that needs the image may have to make it."""


@pytest.fixture(scope="module", params=[ADDRESS, PARAMIKO])
def samehost(vm: Vm, request: pytest.FixtureRequest) -> Iterator[Attached]:
    """Attached by each way in turn; tests remove what they start."""
    with attached(vm, request.param) as samehost:
        yield samehost


def nc(port: int, words: str) -> str:
    """What a person types into `nc localhost` on this computer, and is answered."""
    done = subprocess.run(
        ["nc", "-N", "localhost", str(port)],
        input=words,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout


def test_what_listens_in_a_container_is_reached_with_nc_localhost(samehost: Attached) -> None:
    port = free_port()
    with samehost.container("nc", "-lkv", "0.0.0.0", str(port)) as container:
        eventually(lambda: samehost.states(port) == ["active"], "the mirror")
        nc(port, "typed on the desktop\n")
        eventually(lambda: "typed on the desktop" in samehost.docker("logs", container), "words")
    eventually(lambda: samehost.rows(port) == [], "the mirror to go")


def test_a_container_reaches_the_desktops_server(samehost: Attached) -> None:
    with web_server(port=free_port()) as port:
        eventually(lambda: samehost.states(port, "host") == ["active"], "the way back")
        page = samehost.docker(
            *("run", "--rm", "-i", "--net=host", IMAGE, "nc", "localhost", str(port)),
            text="GET / HTTP/1.0\r\n\r\n",
        )
        assert "page of the desktop" in page


def test_datagrams_reach_a_container_and_its_answers_come_back(samehost: Attached) -> None:
    port = free_port()
    with samehost.python(UDP_ECHO, "0.0.0.0", str(port)):
        eventually(lambda: samehost.states(port) == ["active"], "the mirror")
        eventually(lambda: answers_from("127.0.0.1", port) == b"hello", "the answer")
    eventually(lambda: refused("127.0.0.1", port), "the mirror to go")


def test_a_containers_datagrams_reach_the_desktops_server(samehost: Attached) -> None:
    port = free_port()
    with teller("127.0.0.1", port):
        eventually(lambda: samehost.states(port, "host") == ["active"], "the way back")
        answer = in_container(samehost, UDP_CLIENT, "127.0.0.1", str(port), "20", "hello")
        assert [line.split()[1:] for line in answer] == [["hello"]]


def test_status_names_kernel_way_and_the_best_way_to_watch(samehost: Attached) -> None:
    machine = samehost.status()["machine"]
    assert machine["name"] == samehost.machine
    assert machine["kind"] == "ssh"
    assert machine["state"] == "connected"
    assert machine["kernel"] == samehost.vm.run("uname --kernel-release")
    assert machine["transport"] == samehost.way.split(",")[0].lower()
    assert "eBPF" in machine["watcher"]
    assert "by redirect" in machine["watcher"]


def test_neither_the_vms_own_daemons_nor_the_way_into_it_are_mirrored(samehost: Attached) -> None:
    listening = samehost.vm.run("ss --no-header --listening --tcp --numeric | awk '{print $4}'")
    ports = {int(address.rpartition(":")[2]) for address in listening.split()}
    assert 22 in ports
    assert not any(samehost.rows(port) for port in ports)
    assert "active" not in samehost.states(samehost.vm.port, "host")


def test_an_ordinary_user_who_may_become_root_has_the_same(own_vm: Vm) -> None:
    # In the others' VM there is another Samehost, which would have the port.
    port = free_port()
    with (
        attached(own_vm, USER) as samehost,
        samehost.python(GREETER, "0.0.0.0", str(port), "", "it is me"),
    ):
        eventually(lambda: samehost.states(port) == ["active"], "the mirror")
        assert talk("localhost", port, patience=60) == b"it is me"
        assert "eBPF" in samehost.status()["machine"]["watcher"]
