"""A machine that is found by itself, attached and used; all is as with Lima, but for Lima.

The sandbox with an sshd in it stands for the virtual machine, a script for `limactl`. The
ssh_config file that this one names is as Lima writes it, with the test's key, address and port.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.fake_tools import FakeTools
from tests.integration.conftest import SandboxHome
from tests.integration.samehost import free_port, talk, until
from tests.integration.servers import GREETER
from tests.integration.ssh_server import SshServer
from tests.integration.ssh_stage import SshSamehost, server_in
from tests.recordings import lima

NAME: Final = "lima-docker"
SYSTEM_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
GREETING: Final = b"found by itself"


@pytest.fixture(scope="module")
def server(sandbox_home: SandboxHome) -> Iterator[SshServer]:
    """The machine's sshd."""
    with server_in(sandbox_home) as server:
        yield server


@pytest.fixture(scope="module")
def own_port() -> int:
    """Where Lima would forward the machine's SSH port."""
    return free_port()


@pytest.fixture(scope="module")
def samehost(
    sandbox_home: SandboxHome,
    server: SshServer,
    own_port: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[SshSamehost]:
    """One of a person who has a running machine of Lima's, and has said nothing but `up`."""
    fake = FakeTools(tmp_path_factory.mktemp("lima"))
    made = SshSamehost(sandbox_home, server)
    made.environment |= {"HOME": str(fake.home), "PATH": f"{fake.folder}:{SYSTEM_PATH}"}
    made.environment.pop("SUDO_USER", None)
    config = fake.home / "ssh.config"
    config.write_text(ssh_config(server))
    fake.put("limactl", instance(config, sandbox_home.sandbox.docker_socket, own_port))
    (made.home / "settings.json").write_text('{"hostNetworkingEnabled": true}')
    try:
        made.run("up")
        yield made
    finally:
        made.remove()


def ssh_config(server: SshServer) -> str:
    """As in `recordings/lima.py`: a log-in that may become root, to a server of unknown key."""
    text = lima.SSH_CONFIG.decode()
    for lima_has, here in (
        ("/Users/ada/.lima/_config/user", str(server.folder / "user_key")),
        ("/Users/ada/.lima/docker", str(server.folder)),
        ("User ada", "User admin"),
        ("Hostname 127.0.0.1", f"Hostname {server.address}"),
        ("Port 60006", f"Port {server.port}"),
    ):
        assert lima_has in text
        text = text.replace(lima_has, here)
    return text


def instance(config: Path, engine: Path, port: int) -> bytes:
    """A line of `limactl list --json`."""
    words = json.loads(lima.DOCKER)
    words["sshConfigFile"] = str(config)
    words["sshLocalPort"] = port
    words["config"]["portForwards"][0]["hostSocket"] = str(engine)
    return json.dumps(words).encode()


def test_the_one_that_runs_is_attached_without_a_word(samehost: SshSamehost) -> None:
    machine = samehost.status()["machine"]
    assert (machine["name"], machine["kind"]) == (NAME, "lima")
    assert (machine["state"], machine["transport"]) == ("connected", "openssh")
    (ours,) = [
        each
        for each in json.loads(samehost.run("machine", "list", "--json"))
        if each["name"] == NAME
    ]
    assert (ours["state"], ours["current"], ours["reached"]) == ("running", True, f"ssh {NAME}")


def test_its_containers_ports_are_here(samehost: SshSamehost) -> None:
    port = free_port()
    with samehost.python(GREETER, "0.0.0.0", str(port), "dual", GREETING.decode()):
        until(lambda: samehost.states(port) == ["active"], "the mirror")
        assert talk("127.0.0.1", port) == GREETING


def test_its_engine_is_that_of_the_docker_command(samehost: SshSamehost) -> None:
    assert "docker.sock" in samehost.run("machine", "env")
    assert samehost.run("docker", "version", "-f", "{{.Server.Os}}") == "linux\n"


def test_the_port_that_leads_into_it_is_not_mirrored(samehost: SshSamehost, own_port: int) -> None:
    other = free_port()
    with socket.create_server(("127.0.0.1", own_port)), socket.create_server(("127.0.0.1", other)):
        until(lambda: samehost.states(other, "host") == ["active"], "another port's mirror")
        until(lambda: samehost.states(own_port, "host") == ["ignored"], "its row")
        (row,) = samehost.rows(own_port, "host")
        assert row["reason"] == "ignored by default: the way into a machine"


def test_the_doctor_looks_at_the_tool_first(samehost: SshSamehost) -> None:
    steps = json.loads(samehost.run("machine", "doctor", NAME, "--json"))
    assert steps[0]["evidence"] == "limactl says that it runs"
    assert all(step["state"] == "ok" for step in steps)


def test_down_leaves_it_running(samehost: SshSamehost) -> None:
    samehost.run("down")
    try:
        (ours,) = [
            each
            for each in json.loads(samehost.run("machine", "list", "--json"))
            if each["name"] == NAME
        ]
        assert ours["state"] == "running"
        assert samehost.connections() == []
    finally:
        samehost.run("up")
