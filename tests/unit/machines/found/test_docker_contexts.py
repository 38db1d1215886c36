"""What is made of the files of Docker contexts, and of what engines say."""

from __future__ import annotations

import asyncio
import hashlib
import socket
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest

from desktop.machines.found.docker_contexts import DockerContextFinder, parse_ssh
from desktop.machines.found.engine_info import ask_engine
from desktop.machines.found.model import EngineWay, Found, Sighting
from desktop.machines.ssh_destination import SshDestination
from tests.fake_tools import FakeTools
from tests.recordings import docker

HEAD = b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n"


def give(home: Path, name: str, text: bytes) -> None:
    """A context's file, where docker has it."""
    folder = home / "contexts" / "meta" / hashlib.sha256(name.encode()).hexdigest()
    folder.mkdir(parents=True)
    (folder / "meta.json").write_bytes(text)


def context(name: str, place: Path) -> bytes:
    return (
        f'{{"Name":"{name}","Metadata":{{}},"Endpoints":{{"docker":{{"Host":"unix://{place}"}}}}}}'
    ).encode()


def look(fake: FakeTools, **environment: str) -> Sighting:
    return asyncio.run(DockerContextFinder(fake.tools(**environment), ("desk", "6.12")).find())


def find(fake: FakeTools) -> dict[str, Found]:
    """The machines by name, of contexts without problems."""
    sighting = look(fake)
    assert sighting.findings == ()
    return {each.name: each for each in sighting.machines}


async def while_answering(
    place: Path, answer: bytes, work: Callable[[], Coroutine[None, None, Sighting]]
) -> Sighting:
    """Do something while an engine answers that to whatever it is asked."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    async with await asyncio.start_unix_server(serve, place):
        return await work()


def find_one(fake: FakeTools, place: Path, answer: bytes) -> Found:
    """The machine of the one context, whose engine gives this answer."""
    give(fake.home / ".docker", "some", context("some", place))
    finder = DockerContextFinder(fake.tools(), ("desk", "6.12"))
    sighting = asyncio.run(while_answering(place, answer, finder.find))
    (found,) = sighting.machines
    return found


def test_all_contexts_are_found(fake: FakeTools) -> None:
    for name, text in docker.CONTEXTS.items():
        give(fake.home / ".docker", name, text)
    found = find(fake)
    assert {name: (each.kind, each.state) for name, each in found.items()} == {
        "docker-build": ("docker-ssh", "unknown"),
        "docker-colima": ("docker", "stopped"),
        "docker-desktop-linux": ("docker", "stopped"),
        "docker-far": ("docker", "unknown"),
        "docker-orbstack": ("docker", "stopped"),
        "docker-pipe": ("docker", "unknown"),
    }
    assert found["docker-build"].way == SshDestination("build.example.org", user="ci", port=2222)


def test_those_that_share_localhost_themselves_say_where_that_is(fake: FakeTools) -> None:
    for name, text in docker.CONTEXTS.items():
        give(fake.home / ".docker", name, text)
    found = find(fake)
    for name in ("docker-desktop-linux", "docker-pipe"):
        assert "Settings, Resources, Network, Enable host networking" in found[name].declined
    assert "OrbStack shares localhost" in found["docker-orbstack"].declined
    assert found["docker-colima"].declined == ""


def test_other_computers_are_never_attached_by_themselves(fake: FakeTools) -> None:
    for name in ("build", "far"):
        give(fake.home / ".docker", name, docker.CONTEXTS[name])
    found = find(fake)
    assert [each.is_candidate for each in found.values()] == [False, False]
    assert found["docker-build"].declined == ""
    assert "use a context with ssh://" in found["docker-far"].declined


def test_an_engine_that_answers_runs(fake: FakeTools, tmp_path: Path) -> None:
    found = find_one(fake, tmp_path / "s", HEAD + docker.INFO["engine"])
    assert (found.name, found.state, found.declined) == ("docker-some", "running", "")
    assert found.way == EngineWay(f"unix://{tmp_path / 's'}")
    assert found.docker_host == f"unix://{tmp_path / 's'}"
    assert found.is_candidate


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (docker.INFO["Docker Desktop"], "Enable host networking"),
        (docker.INFO["OrbStack"], "OrbStack"),
        (docker.INFO["windows"], "only Linux containers"),
        (b'{"Name":"desk","KernelVersion":"6.12","OSType":"linux"}', "this computer already"),
    ],
)
def test_an_engine_that_says_what_it_is_need_not_have_the_usual_socket(
    fake: FakeTools, tmp_path: Path, answer: bytes, words: str
) -> None:
    found = find_one(fake, tmp_path / "s", HEAD + answer)
    assert words in found.declined
    assert found.has_windows_containers is (answer == docker.INFO["windows"])
    assert found.state == "running"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.0 500 Internal Server Error\r\n\r\n{}",
        HEAD,
        HEAD + b"nonsense",
        HEAD + b'{"Name":[]}',
        HEAD + b"[" * 100_000,
        b"\0" * (2 << 20),
    ],
)
def test_an_engine_that_answers_nonsense_does_not_run(
    fake: FakeTools, tmp_path: Path, answer: bytes
) -> None:
    assert find_one(fake, tmp_path / "s", answer).state == "stopped"


def test_a_link_to_a_socket_is_followed(fake: FakeTools, tmp_path: Path) -> None:
    (tmp_path / "docker.sock").symlink_to(fake.home / ".orbstack" / "run" / "docker.sock")
    give(fake.home / ".docker", "some", context("some", tmp_path / "docker.sock"))
    assert "OrbStack" in find(fake)["docker-some"].declined


def test_an_engine_that_says_nothing_is_not_waited_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("desktop.machines.found.engine_info.ASK_SECONDS", 0.05)

    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "s"))
        silent.listen()
        assert asyncio.run(ask_engine(str(tmp_path / "s"))) is None


def test_contexts_may_be_elsewhere(fake: FakeTools, tmp_path: Path) -> None:
    give(tmp_path / "config", "build", docker.CONTEXTS["build"])
    sighting = look(fake, DOCKER_CONFIG=str(tmp_path / "config"))
    assert [each.name for each in sighting.machines] == ["docker-build"]


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b'{"Name":7}',
        b"\xff",
        b"x" * ((1 << 20) + 1),
        b'{"Name":"wrong","Endpoints":{"docker":{"Host":"unix:///a\\u0000b"}}}',
    ],
)
def test_a_file_that_is_not_understood_is_named_and_leaves_the_others(
    fake: FakeTools, text: bytes
) -> None:
    give(fake.home / ".docker", "build", docker.CONTEXTS["build"])
    give(fake.home / ".docker", "wrong", text)
    sighting = look(fake)
    assert [each.name for each in sighting.machines] == ["docker-build"]
    (finding,) = sighting.findings
    assert "meta.json" in finding.message


@pytest.mark.parametrize(
    ("url", "way"),
    [
        ("ssh://host", SshDestination("host")),
        ("ssh://me@host:2222", SshDestination("host", user="me", port=2222)),
        ("ssh://me@[fd00::1]:22", SshDestination("fd00::1", user="me", port=22)),
        ("ssh://host/run/docker.sock", SshDestination("host")),
        ("ssh://me:secret@host", None),
        ("ssh://host?x=1", None),
        ("ssh://host#x", None),
        ("ssh://host:99999", None),
        ("ssh://[host", None),
        ("ssh://", None),
        ("ssh://-oProxyCommand=x", None),
        ("ssh://-l@host", None),
        ("tcp://host", None),
    ],
)
def test_addresses_of_ssh(url: str, way: SshDestination | None) -> None:
    assert parse_ssh(url) == way


def test_on_windows_where_python_has_no_such_sockets_no_engine_is_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(asyncio, "open_unix_connection")
    assert asyncio.run(ask_engine("/run/docker.sock")) is None
