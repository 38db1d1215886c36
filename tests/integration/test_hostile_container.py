"""A hostile container in the agent's own network: learns nothing, opens nothing, slows nobody much.

It is root with Docker's default capabilities and may reach the agent's port, as it may where the
agent listens on the machine's loopback (`open_daemon.py`). Counterpart: `hostile.py`.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import statistics
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from link.handshake import NONCE_SIZE, DesktopHandshake, Role
from tests.ended import ended
from tests.integration.hostile import HOSTILE
from tests.integration.open_daemon import PORTS_NAME, SECRETS_NAME
from tests.integration.samehost import (
    IMAGE,
    PATIENCE,
    Samehost,
    free_port,
    ports_of,
    running_samehost,
    talk,
    until,
)
from tests.integration.servers import GREETER
from vmagent.door import HANDSHAKE_SECONDS, MAX_NEWCOMERS

HELLO_SIZE: Final = 38
"""Bytes of the agent's first answer: magic, protocol, nonce."""
SILENT: Final = 10_000
SPARE_DESCRIPTORS: Final = 128
SPARE_MEMORY_KIB: Final = 48 * 1024
MOST_MEDIAN_SECONDS: Final = 1.0
"""A connection through a mirror while the agent is flooded."""
MOST_SECONDS_TO_DIAL: Final = 30.0
"""Until a new stream is authenticated meanwhile, at the worst: on a computer with other work, the
kernel may have to try a connection three times (tcp(7), tcp_syn_retries)."""
ATTEMPTS: Final = 6


@dataclass(frozen=True)
class Scene:
    """A Samehost whose agent anybody in the machine can reach, and a mirrored server."""

    samehost: Samehost
    port: int

    def agent_place(self) -> tuple[str, list[int]]:
        """Where the newest agent listens."""
        line = (self.samehost.paths.logs / PORTS_NAME).read_text().splitlines()[-1]
        address, *ports = line.split()
        return address, [int(port) for port in ports]

    def secrets(self) -> list[str]:
        """Of all agents so far, in hexadecimal digits."""
        return (self.samehost.paths.logs / SECRETS_NAME).read_text().split()

    def hello(self) -> float:
        """Seconds that a client of the mirrored server needs."""
        began = time.monotonic()
        assert talk("127.0.0.1", self.port) == b"hello"
        return time.monotonic() - began

    def is_served(self) -> bool:
        """True if the mirrored server answers."""
        with contextlib.suppress(OSError):
            return talk("127.0.0.1", self.port) == b"hello"
        return False

    def hostile(self, what: str, *arguments: object) -> Any:
        """What the hostile container has learned by doing that."""
        done = subprocess.run(
            self.command(what, arguments),
            env=self.samehost.environment,
            input="",
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    def command(self, what: str, arguments: Sequence[object], *options: str) -> list[str]:
        """How to run the hostile program in a container."""
        words = [what, *map(json.dumps, arguments)]
        return self.samehost.command(
            *("docker", "run", "-i", "--rm", "--network=host", *options, "-v", "/:/desktop:ro"),
            *(IMAGE, "busybox", "chroot", "/desktop", "/usr/bin/python3", "-u", "-c", HOSTILE),
            *words,
        )

    @contextlib.contextmanager
    def attack(self, what: str, *arguments: object) -> Iterator[tuple[Any, list[Any]]]:
        """While the hostile container does that: its first word; its last one, afterwards."""
        process = subprocess.Popen(
            self.command(what, arguments),
            env=self.samehost.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        last: list[Any] = []
        with ended(process):
            assert process.stdout is not None
            try:
                yield json.loads(process.stdout.readline()), last
            finally:
                output, _ = process.communicate("x", timeout=90)
        last.extend(map(json.loads, output.splitlines()))


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    with running_samehost("tests.integration.open_daemon", reachHost=True) as samehost:
        port = free_port()
        with samehost.python(GREETER, "0.0.0.0", str(port), "v6only", "hello"):
            made = Scene(samehost, port)
            until(made.is_served, "the mirror")
            yield made


@pytest.fixture
def unharmed(scene: Scene) -> Iterator[Scene]:
    """The scene; and afterwards the same agent, link and ports of this computer as before."""
    before = scene.samehost.agent(), ports_of(scene.samehost.daemon())
    yield scene
    assert scene.is_served()
    assert scene.samehost.status()["machine"]["state"] == "connected"
    until(
        lambda: (scene.samehost.agent(), ports_of(scene.samehost.daemon())) == before,
        "the same agent and the same ports of this computer",
    )


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def resident_kib(pid: int) -> int:
    line = next(
        line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if "VmRSS" in line
    )
    return int(line.split()[1])


def recorded(scene: Scene, role: Role) -> list[bytes]:
    """What the desktop says to the agent in a handshake that goes well, from this computer."""
    address, ports = scene.agent_place()
    secret = bytes.fromhex(scene.secrets()[-1])
    desktop = DesktopHandshake(secret, os.urandom(NONCE_SIZE), role)
    with socket.create_connection((address, ports[0]), timeout=PATIENCE) as stream:
        parts = [desktop.start()]
        stream.sendall(parts[0])
        while not desktop.is_done:
            if answer := desktop.receive(stream.recv(desktop.wanted)):
                parts.append(answer)
                stream.sendall(answer)
    return parts


def time_to_dial(scene: Scene) -> float:
    """Seconds until a new stream is authenticated, however often it has to be tried."""
    began = time.monotonic()
    until(lambda: dials(scene), "a stream", MOST_SECONDS_TO_DIAL)
    return time.monotonic() - began


def dials(scene: Scene) -> bool:
    with contextlib.suppress(OSError):
        return bool(recorded(scene, Role.OUTBOUND))
    return False


GREETING: Final = DesktopHandshake(bytes(32), bytes(NONCE_SIZE), Role.OUTBOUND).start().hex()
"""A hello that anybody can say."""


def test_who_says_nothing_ten_thousand_times_slows_nobody_much(unharmed: Scene) -> None:
    agent = unharmed.samehost.agent()
    files, memory = descriptors(agent), resident_kib(agent)
    address, ports = unharmed.agent_place()
    with unharmed.attack("silent", address, ports, SILENT) as (first, last):
        assert first["opened"] >= SILENT * 0.9
        took = [unharmed.hello() for _ in range(ATTEMPTS)]
        dialled = [time_to_dial(unharmed) for _ in range(ATTEMPTS)]
        assert descriptors(agent) <= files + MAX_NEWCOMERS + SPARE_DESCRIPTORS
    assert last == [{"learned": 0}]
    assert statistics.median(took) <= MOST_MEDIAN_SECONDS
    assert statistics.median(dialled) <= HANDSHAKE_SECONDS
    assert resident_kib(agent) <= memory + SPARE_MEMORY_KIB


@pytest.mark.parametrize(
    ("says", "held"),
    [("", 0), ("ff" * 100, 0), (GREETING, 2000)],
    ids=["silent", "noisy", "greeting"],
)
def test_who_knocks_as_fast_as_it_can_slows_nobody_much_and_fills_no_log(
    unharmed: Scene, says: str, held: int
) -> None:
    address, ports = unharmed.agent_place()
    log = unharmed.samehost.paths.logs
    size = sum(path.stat().st_size for path in log.iterdir())
    with unharmed.attack("flood", address, ports, says, held, MAX_NEWCOMERS) as (first, last):
        took = [unharmed.hello() for _ in range(ATTEMPTS)]
        dialled = [time_to_dial(unharmed) for _ in range(ATTEMPTS)]
    assert last[0]["knocked"] > first["knocked"] > MAX_NEWCOMERS
    assert statistics.median(dialled) <= HANDSHAKE_SECONDS
    assert statistics.median(took) <= MOST_MEDIAN_SECONDS
    assert sum(path.stat().st_size for path in log.iterdir()) <= size + 10_000


def test_noise_and_damaged_handshakes_are_told_the_hello_and_no_more(unharmed: Scene) -> None:
    parts = recorded(unharmed, Role.OUTBOUND)
    address, ports = unharmed.agent_place()
    words = [b"".join(parts).hex(), parts[0].hex()]
    seed = int.from_bytes(os.urandom(4), "big")
    told = unharmed.hostile("noise", address, ports, seed, 400, words)
    answers = [bytes.fromhex(each) for each in told["answers"]]
    assert max(map(len, answers)) <= HELLO_SIZE, f"seed {seed}"
    assert {answer[:4] for answer in answers} <= {b"", b"SMHO"}


@pytest.mark.parametrize("role", list(Role))
def test_a_recorded_handshake_opens_nothing(unharmed: Scene, role: Role) -> None:
    parts = [part.hex() for part in recorded(unharmed, role)]
    address, ports = unharmed.agent_place()
    told = unharmed.hostile("replay", address, ports, parts)
    assert len(told["answers"]) == len(ports)
    nonces = {answer[12:] for answer in told["answers"]}
    assert all(len(answer) == 2 * HELLO_SIZE for answer in told["answers"])
    assert len(nonces) == len(ports), "a nonce was used twice"


def test_nobody_can_have_the_agents_port_as_well(unharmed: Scene) -> None:
    address, ports = unharmed.agent_place()
    assert unharmed.hostile("take", address, ports) == {"taken": []}


def test_who_takes_the_port_of_an_agent_that_died_is_not_taken_for_it(scene: Scene) -> None:
    agent = scene.samehost.agent()
    address, ports = scene.agent_place()
    with scene.attack("impostor", address, ports) as (_first, last):
        os.kill(agent, signal.SIGKILL)
        until(lambda: scene.samehost.agent() != agent, "another agent")
        until(scene.is_served, "the mirror through the new agent")
        until(lambda: scene.agent_place()[1] != ports, "other ports")
    (told,) = last
    assert set(told["taken"]) == set(ports), "it did not get the ports: nothing was tested"
    assert not set(told["taken"]) & set(scene.agent_place()[1])
    for heard in told["heard"]:
        assert len(heard) // 2 <= 39 + 32, "the desktop went on with an impostor"
    address, ports = scene.agent_place()
    for heard in told["heard"][:3]:
        answers = scene.hostile("replay", address, ports[:1], [heard])["answers"]
        assert all(len(answer) <= 2 * HELLO_SIZE for answer in answers)


def test_a_container_does_not_see_the_agent(unharmed: Scene) -> None:
    script = "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ | tr '\\0' ' '; kill -9 $0; ls /run"
    inside = agents_number(unharmed)
    said = unharmed.samehost.docker(
        *("run", "--rm", "--network=host", IMAGE, "busybox", "sh", "-c", script, str(inside))
    )
    assert "agent.pyz" not in said
    assert not any(secret in said for secret in unharmed.secrets())


def test_root_with_default_capabilities_cannot_look_into_the_agent(unharmed: Scene) -> None:
    """With `--pid=host` it sees that the agent is there, as anybody in the machine does."""
    done = subprocess.run(
        unharmed.command("look", [agents_number(unharmed)], "--pid=host"),
        env=unharmed.samehost.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found.pop("uid") == 0
    arguments = found.pop("cmdline")
    assert "agent.pyz" in arguments
    assert not any(secret in arguments for secret in unharmed.secrets())
    assert all(value in ("EACCES", "EPERM") for value in found.values()), found


def agents_number(scene: Scene) -> int:
    """The agent's process id as the machine has it."""
    status = Path(f"/proc/{scene.samehost.agent()}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("NSpid:"))
    return int(line.split()[-1])


def test_the_secret_is_in_no_argument_environment_or_file(scene: Scene) -> None:
    for secret in scene.secrets():
        for pid in (scene.samehost.agent(), scene.samehost.daemon()):
            for name in ("cmdline", "environ"):
                assert secret.encode() not in Path(f"/proc/{pid}/{name}").read_bytes()
        for above, _, names in os.walk(scene.samehost.home):
            for path in (Path(above, name) for name in names if name != SECRETS_NAME):
                with contextlib.suppress(FileNotFoundError):  # what the engine removes meanwhile
                    if path.is_file() and path.stat().st_size < 1 << 24:
                        assert secret.encode() not in path.read_bytes(), path
