"""The agent that runs has given up what it does not use of root's power, and can all it could.

Counterpart: `tests/unit/vmagent/test_capabilities.py`.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.bpf_stage import require_bpf
from tests.integration.samehost import IMAGE, Samehost, free_port, running_samehost, talk, until
from tests.integration.servers import GREETER
from vmagent.capabilities import kept

SOMEBODY = "12345:12345"
LOW_PORTS = range(200, 1000)


@pytest.fixture(scope="module", params=["auto", "off"])
def samehost(request: pytest.FixtureRequest) -> Iterator[Samehost]:
    """With eBPF, and without."""
    if request.param == "auto":
        require_bpf()
    with running_samehost(ebpf=request.param) as one:
        yield one


def told(status: Path) -> dict[str, str]:
    lines = (line.split(":", 1) for line in status.read_text().splitlines())
    return {name: value.strip() for name, value in lines}


def test_every_thread_of_the_agent_has_what_it_uses_and_can_get_no_more(
    samehost: Samehost,
) -> None:
    had = int(told(Path(f"/proc/{samehost.daemon()}/status"))["CapEff"], 16)
    threads = list(Path(f"/proc/{samehost.agent()}/task").glob("*/status"))
    assert threads
    for each in map(told, threads):
        assert int(each["CapEff"], 16) == int(each["CapPrm"], 16) == kept(had)
        assert int(each["CapBnd"], 16) & ~kept(had) == 0
        assert (int(each["CapInh"], 16), int(each["CapAmb"], 16)) == (0, 0)
        assert each["NoNewPrivs"] == "1"


def test_ports_are_found_by_the_same_way_and_the_doctor_misses_nothing(samehost: Samehost) -> None:
    watcher = str(samehost.status()["machine"]["watcher"])
    off = samehost.run("settings", "get", "ebpf").strip() == "off"
    assert watcher.startswith("sock_diag, destroy events" if off else "eBPF")
    assert off or "by redirect" in watcher
    done = samehost.try_run("doctor", "--json", "capabilities", "watcher", "engine")
    found = {each["check"]: each["state"] for each in json.loads(done.stdout)}
    assert found == {"capabilities": "ok", "engine": "ok", "watcher": "note" if off else "ok"}


def test_the_socket_of_another_user_has_its_container_and_its_program(samehost: Samehost) -> None:
    port = free_port()
    name = samehost.docker(
        *("run", "-d", "--network=host", f"--user={SOMEBODY}", "-v", "/:/desktop:ro"),
        *("--workdir=/desktop", IMAGE, "nc", "-lk", "-p", str(port)),
    )
    try:
        until(lambda: samehost.states(port) == ["active"], "the mirror")
        until(lambda: samehost.rows(port)[0]["container"]["name"], "the engine's word of it")
        (row,) = samehost.rows(port)
        assert row["container"]["id"] == name
        assert row["process"] == "nc"
    finally:
        samehost.docker("rm", "-f", name)


def test_a_low_port_of_this_computer_is_reached_from_a_container(samehost: Samehost) -> None:
    port = next(port for port in LOW_PORTS if not samehost.rows(port, "host"))
    with socket.create_server(("127.0.0.1", port)) as server:
        until(lambda: samehost.states(port, "host") == ["active"], "the port in the machine")
        command = f"echo hello | nc -w 5 127.0.0.1 {port}"
        with samehost.container("sh", "-c", command):
            client, _ = server.accept()
            with client:
                assert client.recv(5) == b"hello"


def test_a_low_port_of_a_container_is_mirrored(samehost: Samehost) -> None:
    port = next(port for port in LOW_PORTS if not samehost.rows(port))
    with samehost.python(GREETER, "0.0.0.0", str(port), "v6only", "hello"):
        until(lambda: samehost.states(port) == ["active"], "the mirror")
        assert talk("127.0.0.1", port) == b"hello"


LOOK = """
for each in environ maps mem fd/0 root/etc cwd/etc; do
    if head -c 1 /proc/$1/$each > /dev/null 2>&1 || ls /proc/$1/$each/ > /dev/null 2>&1; then
        echo "reads $each"
    fi
done
for each in /proc/$1/fd/* /proc/$1/map_files/*; do
    [ -z "$(readlink "$each")" ] || echo "knows $each"
done
kill -0 $1 && echo sees
"""


def test_root_of_a_container_that_sees_the_machines_processes_cannot_look_into_the_agent(
    samehost: Samehost,
) -> None:
    """With the capabilities that an engine gives; it may end the agent, which is started anew."""
    inside = told(Path(f"/proc/{samehost.agent()}/status"))["NSpid"].split()[-1]
    said = samehost.docker(
        *("run", "--rm", "--network=host", "--pid=host", IMAGE),
        *("sh", "-c", LOOK, "sh", inside),
    )
    assert said.splitlines() == ["sees"]
