"""Parsers of what the desktop reads: settings, tools of machines, SSH's files, its own clients.

Counterparts: `of_link.py`, `of_machine.py`; `parser.py` says what must hold.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final
from unittest.mock import patch

from desktop.api import messages
from desktop.api.connection import Connection, Limits
from desktop.api.fake import FakeBackend
from desktop.doctor.redaction import Redactor
from desktop.errors import SamehostError, UsageError
from desktop.listeners.iphlpapi import LAYOUTS, TableCutShortError
from desktop.listeners.iphlpapi import parse_table as parse_iphlpapi
from desktop.listeners.netstat import NoTableError, parse_netstat
from desktop.listeners.numbers import Numbers
from desktop.listeners.pcblist import LayoutError, parse_pcblist
from desktop.listeners.tables import Entry
from desktop.machines.facts import MARK, Facts
from desktop.machines.found.colima import ssh_port
from desktop.machines.found.docker_contexts import DockerContextFinder, parse_ssh
from desktop.machines.found.engine_info import ask_engine
from desktop.machines.found.finder import NonsenseError
from desktop.machines.found.lima import parse_instances
from desktop.machines.found.model import Sighting, is_name, one_line, text_of
from desktop.machines.found.podman import parse_machines, parse_sockets
from desktop.machines.found.tools import Tools
from desktop.machines.found.wsl import mode_in_config, parse_table
from desktop.machines.known_hosts import Judgement, KnownHosts, host_name
from desktop.machines.launch import AgentStartError, parse_answer
from desktop.machines.sandbox.record import RECORD_NAME, Record, load, save
from desktop.machines.shell import ShellError
from desktop.machines.ssh_config import way_to
from desktop.machines.ssh_destination import SshDestination
from desktop.mirror.systems import parse_excluded
from desktop.paths import Paths, PolicyPlace
from desktop.settings.jsonfile import BrokenFileError, read_object
from desktop.settings.keys import KEYS, parse_text
from desktop.settings.policy import Policy
from desktop.settings.store import SettingsStore
from desktop.settings.values import RuleError, parse_remap_key, parse_rule
from link.version import PROTOCOL
from tests.fuzz.parser import Parser
from tests.recordings import docker, iphlpapi, lima, netstat, pcblist, podman, rancher, wsl

__all__ = ["OF_DESKTOP"]


@contextmanager
def _file(data: bytes, name: str = "file") -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        yield path


def _text(parse: Callable[[str], object]) -> Callable[[bytes], object]:
    return lambda data: parse(data.decode("utf-8", "replace"))


def _settings(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as home:
        paths = Paths.under(Path(home))
        paths.settings_file.parent.mkdir(parents=True, exist_ok=True)
        paths.settings_file.write_bytes(data)
        store = SettingsStore(paths)
        assert store.settings.host_networking_enabled == store.switch.enabled
        assert len(store.entries()) == len(KEYS)


def _policy(data: bytes) -> None:
    with _file(data) as path:
        policy = Policy.load([PolicyPlace(path, may_be_users=True)])
        assert policy.entries.keys() <= KEYS.keys()
        assert bool(policy.broken) <= bool(policy.findings)


def _rule(text: str) -> None:
    rule = parse_rule(text)
    assert parse_rule(str(rule)) == rule
    assert 1 <= rule.first <= rule.last <= 65535


def _typed(text: str) -> None:
    for name in KEYS:
        try:
            KEYS[name].check(parse_text(name, text))
        except UsageError as error:
            assert error.message.startswith(name)  # noqa: PT017 - the text is all there is


async def _talk(data: bytes) -> list[dict[str, Any]]:
    """What a client is told who says `data` and then no more."""
    reader = asyncio.StreamReader(limit=messages.MAX_LINE - 1)
    reader.feed_data(_HELLO + data)
    reader.feed_eof()
    writer = _ClientsWriter()
    connection = Connection(reader, writer, FakeBackend(), _no_shutdown, Limits())
    await connection.serve()
    return [messages.decode(line) for line in bytes(writer.said).splitlines()]


async def _no_shutdown(_progress: Callable[[str], None]) -> None:
    """Somebody asked for it."""


class _ClientsWriter(asyncio.StreamWriter):
    """Keeps what a client is told."""

    def __init__(self) -> None:
        self.said = bytearray()

    @property
    def transport(self) -> Any:
        return self

    def abort(self) -> None:
        """Nothing is left."""

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return False

    def write(self, data: Any) -> None:
        self.said += data

    async def drain(self) -> None:
        """There is always room."""

    def close(self) -> None:
        """Nothing is left."""

    async def wait_closed(self) -> None:
        """Nothing is left."""

    def __del__(self, *_: object) -> None:
        """There is no transport to be closed."""


_HELLO: Final = json.dumps({"hello": {"protocol": PROTOCOL, "version": "1"}}).encode() + (b"\n")
_REQUESTS: Final = (
    b'{"id":1,"method":"status"}\n',
    b'{"id":2,"method":"ports","params":{"wide":true}}\n',
    b'{"id":3,"method":"set_setting","params":{"key":"ignore","value":["udp:53"]}}\n',
    b'{"id":4,"method":"attach","params":{"machine":null}}\n{"id":4,"answer":"x","number":1}\n',
    b'{"id":5,"method":"settings","params":{}}\n{"id":6,"method":"machines"}\n',
)


def _client(data: bytes) -> None:
    for answer in asyncio.run(_talk(data)):
        assert len(messages.encode(answer)) <= messages.MAX_LINE


def _servers_line(data: bytes) -> None:
    message = messages.decode(data)
    error = message.get("error")
    if isinstance(error, dict):
        assert isinstance(messages.error_from_wire(error), SamehostError)


def _engine_info(data: bytes) -> None:
    async def connect(_path: str) -> tuple[asyncio.StreamReader, _ClientsWriter]:
        reader = asyncio.StreamReader()
        reader.feed_data(data)
        reader.feed_eof()
        return reader, _ClientsWriter()

    with patch("asyncio.open_unix_connection", connect):
        asyncio.run(ask_engine("/run/docker.sock"))


def _context(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as home:
        path = Path(home, ".docker", "contexts", "meta", "aa", "meta.json")
        path.parent.mkdir(parents=True)
        path.write_bytes(data)
        finder = DockerContextFinder(Tools({"HOME": home, "PATH": home}), ("here", "6.1"))
        _check_sighting(asyncio.run(finder.find()))


def _check_sighting(sighting: Sighting) -> None:
    for found in sighting.machines:
        assert is_name(found.name)
    for finding in sighting.findings:
        assert finding.message


def _instances(data: bytes) -> None:
    _check_sighting(parse_instances(data))


def _facts(data: bytes) -> None:
    facts = Facts.read(data.decode(errors="replace"))
    for ask in (facts.linux, facts.python, facts.becomes_root, facts.engine):
        assert ask()


def _ssh(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home, ".ssh")
        folder.mkdir()
        (folder / "config").write_bytes(data)
        with patch("paramiko.config.invoke.run", _ran):
            way = way_to(SshDestination("vm"), home=Path(home), computer=Path(home, "etc"))
        assert way
        assert all(hop.host and hop.user for hop in way)


def _ran(*_: object, **__: object) -> SimpleNamespace:
    """Commands of `Match exec` are the person's own; here they would be anything."""
    return SimpleNamespace(ok=True)


def _known(data: bytes) -> None:
    hosts = KnownHosts(data.decode("utf-8", "replace").splitlines())
    assert hosts.judge(host_name("vm", 2222), "ssh-ed25519", b"key") in Judgement
    hosts.kinds("vm")


def _check_entries(entries: list[Entry]) -> None:
    for entry in entries:
        assert 0 < entry.port < 1 << 16
        assert entry.v6only or entry.address == "::"
    assert len({each.cookie for each in entries}) <= len(entries)


def _pcblist(data: bytes) -> None:
    for protocol in ("tcp", "udp"):
        _check_entries(parse_pcblist(data, protocol))


def _iphlpapi(data: bytes) -> None:
    for layout in LAYOUTS:
        with Numbers() as numbers:
            _check_entries(parse_iphlpapi(data, layout, numbers))


def _netstat(data: bytes) -> None:
    with Numbers() as numbers:
        _check_entries(parse_netstat(data.decode("utf-8", "replace"), numbers))


def _destination(text: str) -> None:
    where = SshDestination.parse(text)
    assert not where.host.startswith("-")
    assert not where.user.startswith("-")
    assert SshDestination.parse(str(where)) == where


def _url(text: str) -> None:
    where = parse_ssh(text)
    assert where is None or not where.host.startswith("-")


def _record(data: bytes) -> None:
    with _file(data, RECORD_NAME) as path:
        record = load(path.parent)
        if record is not None:
            save(record, path.parent)
            assert load(path.parent) == record


def _redacted(data: bytes) -> None:
    redactor = Redactor({"container": ["web", "a.b"], "host": ["build"]}, "/home/ada")
    once = redactor.text(data.decode("utf-8", "replace"))
    redactor.value({"said": once, "password": once, "container": {"name": once}})


def _lima_config(data: bytes) -> None:
    with _file(data) as path:
        assert 0 <= ssh_port(path) < 100_000


def _read(data: bytes) -> None:
    with _file(data) as path:
        read_object(path)


def _shown(data: bytes) -> None:
    line = one_line(text_of(data))
    assert line.isprintable()
    assert len(line) <= 200


_MAC_ROWS: Final = [
    pcblist.Row("127.0.0.1", 80),
    pcblist.Row("::", 8080, v6only=False, is_chosen=True),
    pcblist.Row("fe80:4::1", 1, foreign_port=443),
]
_RECORD: Final = Record(
    boot="b",
    pid=1,
    start_time=2,
    machine_address="10.0.0.2",
    host_address="10.0.0.1",
    interface="sh0",
    cgroup="/x",
)
_SSH_CONFIG: Final = b"""\
Host vm *.test !no
  HostName 127.0.0.1
  Port 2222
  ProxyJump ada@[::1]:22,b
  IdentityFile "~/.ssh/a key"
  UserKnownHostsFile ~/.ssh/k /dev/null
  Match host vm exec "true"
Host b
  StrictHostKeyChecking no
  ConnectTimeout 5
Include other*
"""
_KNOWN_HOSTS: Final = b"""\
@revoked * ssh-rsa AAAA
[vm]:2222,!no,* ssh-ed25519 a2V5
|1|c2FsdA==|aGFzaA== ssh-ed25519 a2V5
"""
_SETTINGS: Final = json.dumps(
    {
        "hostNetworkingEnabled": True,
        "machine": "lima-docker",
        "ignore": ["udp:5353", "machine:tcp:7000-7010"],
        "remap": {"tcp:8000": 18000},
        "udpIdleSeconds": 30,
        "sandboxNetwork": "10.213.0.0/16",
        "other": [1, {"x": None}],
    }
).encode()

OF_DESKTOP: Final = (
    Parser("desktop.settings.jsonfile.read_object", _read, BrokenFileError, (_SETTINGS,)),
    Parser("desktop.settings.store.SettingsStore", _settings, (), (_SETTINGS,)),
    Parser(
        "desktop.settings.policy.Policy.load",
        _policy,
        (),
        (b'{"hostNetworkingEnabled":{"locked":true,"value":false},"x":{"locked":1}}',),
    ),
    Parser(
        "desktop.settings.values.parse_rule",
        _text(_rule),
        RuleError,
        (b"udp:5353", b"machine:tcp:7000-7010", b"host:udp:1"),
    ),
    Parser(
        "desktop.settings.values.parse_remap_key", _text(parse_remap_key), RuleError, (b"tcp:8000",)
    ),
    Parser(
        "desktop.settings.keys.parse_text",
        _text(_typed),
        (),
        (b"true", b"udp:53, tcp:80", b'{"tcp:80":81}', b"90", b"10.0.0.0/8", b"null"),
    ),
    Parser("desktop.api.connection.Connection.serve", _client, (), _REQUESTS),
    Parser(
        "desktop.api.messages.decode",
        _servers_line,
        ValueError,
        (b'{"id":1,"error":{"code":"USAGE","message":"m","remedy":"r"}}\n', b'{"id":1}\n'),
    ),
    Parser(
        "desktop.listeners.pcblist.parse_pcblist",
        _pcblist,
        LayoutError,
        (
            pcblist.table("tcp", _MAC_ROWS),
            pcblist.table("udp", _MAC_ROWS, pcblist.SHORT),
            pcblist.table("udp", []),
        ),
    ),
    Parser(
        "desktop.listeners.iphlpapi.parse_table",
        _iphlpapi,
        TableCutShortError,
        (
            iphlpapi.table("tcp", 4, [iphlpapi.Row("0.0.0.0", 80)] * 4),
            iphlpapi.table("tcp", 6, [iphlpapi.Row("::", 80)]),
            iphlpapi.table("udp", 4, [iphlpapi.Row("127.0.0.1", 53)] * 20) + b"\0" * 2000,
            iphlpapi.table("udp", 6, [iphlpapi.Row("::1", 5353)]),
        ),
    ),
    Parser(
        "desktop.mirror.systems.parse_excluded",
        _text(parse_excluded),
        (),
        (b"Start Port    End Port\r\n----  ---\r\n  5357  5357\r\n  50000  50059   *\r\n",),
    ),
    Parser(
        "desktop.listeners.netstat.parse_netstat",
        _netstat,
        NoTableError,
        tuple(each.encode() for each in (netstat.OLD, netstat.WITH_BYTES, netstat.NEW)),
    ),
    Parser("desktop.machines.found.lima.parse_instances", _instances, (), (lima.LIST, lima.NONE)),
    Parser(
        "desktop.machines.found.podman.parse_machines",
        parse_machines,
        NonsenseError,
        (podman.NONE, podman.LIST_4, podman.LIST_5),
    ),
    Parser(
        "desktop.machines.found.podman.parse_sockets",
        parse_sockets,
        NonsenseError,
        (podman.NONE, podman.INSPECT_4, podman.INSPECT_5),
    ),
    Parser(
        "desktop.machines.found.wsl.parse_table",
        parse_table,
        NonsenseError,
        (wsl.ENGLISH.encode("utf-16-le"), wsl.GERMAN.encode("utf-16-le"), wsl.FRENCH.encode()),
    ),
    Parser(
        "desktop.machines.found.wsl.mode_in_config",
        mode_in_config,
        NonsenseError,
        (b"[wsl2]\r\nnetworkingMode=mirrored # x\r\nmemory\r\n[experimental]\nx = 1\n",),
    ),
    Parser(
        "desktop.machines.found.docker_contexts.DockerContextFinder",
        _context,
        (),
        tuple(docker.CONTEXTS.values()),
    ),
    Parser(
        "desktop.machines.found.docker_contexts.parse_ssh",
        _text(_url),
        (),
        (b"ssh://ada@vm:22", b"ssh://[::1]"),
    ),
    Parser(
        "desktop.machines.found.engine_info.ask_engine",
        _engine_info,
        (),
        (b"HTTP/1.0 200 OK\r\n\r\n" + docker.INFO["engine"],),
    ),
    Parser(
        "desktop.doctor.redaction.Redactor",
        _redacted,
        (),
        (
            b"web at https://ada:pw@build.example.org/x /home/ada /home/bob 10.0.0.7 fe80::1%eth0",
            b"password: x token=y authorization: Bearer Zm9vYmFyMTIzNDU2Nzg5MEFCQ0R= 0123abcdef01",
            b"-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY----- ada@[::1] 00:11",
        ),
        longest=60_000,
    ),
    Parser("desktop.machines.found.colima.ssh_port", _lima_config, (), (lima.SSH_CONFIG,)),
    Parser(
        "desktop.machines.found.model.one_line",
        _shown,
        (),
        (lima.AS_ROOT, podman.AS_ROOT, rancher.NEVER_STARTED, wsl.NONE.encode("utf-16-le")),
    ),
    Parser(
        "desktop.machines.facts.Facts",
        _facts,
        AgentStartError,
        (
            f"hi\n{MARK}\nsystem Linux 6.1 x86_64\nuser 0 root\n"
            "python 3.11.2 /usr/bin/python3\nroot by log-in\nengine /run/docker.sock\n".encode(),
        ),
    ),
    Parser("desktop.machines.ssh_config.way_to", _ssh, ShellError, (_SSH_CONFIG,)),
    Parser("desktop.machines.known_hosts.KnownHosts", _known, (), (_KNOWN_HOSTS,)),
    Parser(
        "desktop.machines.ssh_destination.SshDestination.parse",
        _text(_destination),
        UsageError,
        (b"ada@vm:22", b"[fe80::1%eth0]:22", b"vm"),
    ),
    Parser(
        "desktop.machines.launch.parse_answer",
        parse_answer,
        (),
        (
            b'{"ready":true,"door":{"kind":"tcp","ports":[1,2]}}\n',
            b'{"ready":false,"error":"x","code":"damaged"}\n',
        ),
    ),
    Parser(
        "desktop.machines.sandbox.record.load",
        _record,
        (),
        (json.dumps({f: getattr(_RECORD, f) for f in _RECORD.__struct_fields__}).encode(),),
    ),
)
