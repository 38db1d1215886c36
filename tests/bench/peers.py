"""The peers: programs that a user would take to have a machine's port on the desktop.

Rules: each is one entry of PEERS: what it needs, what it carries, and the commands that start it.
All listen on ADDRESS, an address of loopback that is not mirrored, and lead to the machine's
address: their way is ours less the second hop. "one hop" is a hop of ours alone, by either event
loop. ssh has both hops: its server is in the machine. What pasta gets on loopback it splices; for
its tap device it listens on the desktop's address on the cable. pasta, rootlesskit and slirp4netns
(which rootlesskit starts) lead into a network namespace of their own, with servers of their own in
it, as is their purpose. Settings are those for speed that the
manuals name (TCP_NODELAY, splicing, a long queue of connections); all else is as it comes.

A program that is not installed is looked for in `build/peers`, where `scripts/setup peers` unpacks
Debian's packages. Their services are neither installed nor started.

Limits: pasta runs in a user namespace, as it does for the plain users it is made for; the kernel
grants its pipes less than ours, which belong to root. slirp4netns does not answer UDP here, since
the client is on loopback.

Counterpart: `contest.py` has them carry.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from desktop.errors import SamehostError
from tests.bench.hop import VARIANTS
from tests.bench.load import wait_for, wait_for_echo
from tests.bench.signals import signals_wait

__all__ = [
    "ADDRESS",
    "DOCKER_PROXY",
    "PEERS",
    "REMEDY",
    "Peer",
    "Route",
    "Running",
    "environment",
    "search_path",
    "started",
]

ADDRESS: Final = "127.0.0.2"
BACKLOG: Final = 4096
"""Connections that may wait to be accepted; as the load program's server has it."""
END_SECONDS: Final = 10.0
ROOT: Final = Path(__file__).parents[2]
UNPACKED: Final = ROOT / "build" / "peers"
REMEDY: Final = "scripts/setup peers"
SEARCHED: Final = ("usr/bin", "usr/sbin")
SYSTEM: Final = ("/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/libexec/docker")
USER: Final = "samehost-bench"
"""Known to the bench's own sshd only."""

Command = list[str]


@dataclass(frozen=True, slots=True)
class Route:
    """From where to where a peer leads.

    Attributes:
        folder: for its files.
        port: where it is to listen, at ADDRESS.
        server: where the server is: an address.
        desktop: the desktop's address on the cable to the machine.
        tcp_port: the server's.
        udp_port: the server's.
        load: the load program, for peers with servers of their own.
        machine_pid: a process in the machine's namespaces.
    """

    folder: Path
    port: int
    server: str
    desktop: str
    tcp_port: int
    udp_port: int
    load: Path
    machine_pid: int

    @property
    def orders(self) -> Path:
        """The Unix socket for orders of the peer's own UDP server."""
        return self.folder / "orders.sock"


@dataclass(frozen=True, slots=True)
class Peer:
    """One entry of the table.

    Attributes:
        name: in figures.
        programs: that it needs.
        commands: how it is started. Each is run before the next is asked for, and what it needs is
            made before it is told.
        has_udp: it carries UDP; all carry TCP.
        is_own_namespace: its servers are its own, behind the same port as it listens on.
        tells_cpu: its CPU time can be known; not if it has processes end that it does not wait for.
        is_on_cable: it listens on the desktop's address on the cable.
    """

    name: str
    programs: tuple[str, ...]
    commands: Callable[[Route], Iterable[Command]]
    has_udp: bool = False
    is_own_namespace: bool = False
    tells_cpu: bool = True
    is_on_cable: bool = False

    def address(self, route: Route) -> str:
        """Where it listens."""
        return route.desktop if self.is_on_cable else ADDRESS

    def missing(self) -> list[str]:
        """Which of its programs are not there."""
        return [name for name in self.programs if shutil.which(name, path=search_path()) is None]


@dataclass(frozen=True, slots=True)
class Running:
    """A peer at work: where it listens, and its processes that were started first."""

    peer: Peer
    address: str
    port: int
    pids: tuple[int, ...]


@contextlib.contextmanager
def started(peer: Peer, route: Route, within: Sequence[str] = ()) -> Iterator[Running]:
    """Have it listen, and see that it has ended afterwards.

    `within` is what runs its commands elsewhere; there nobody waits until it listens. Raises
    SamehostError if it does not listen, with what it said.
    """
    if missing := peer.missing():
        raise SamehostError(f"{peer.name} needs {' '.join(missing)}", REMEDY)
    route.folder.mkdir(exist_ok=True)
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for command in peer.commands(route):
            process = _spawn([*within, *command], route.folder / "log")
            processes.append(process)
        if not within:
            _await(peer, route)
        pids = tuple(process.pid for process in processes)
        yield Running(peer, peer.address(route), route.port, pids)
    finally:
        with signals_wait():
            for process in reversed(processes):
                _end(process)


def search_path() -> str:
    """Where programs are looked for: the system's first."""
    unpacked = (str(UNPACKED / folder) for folder in SEARCHED)
    return os.pathsep.join((os.environ.get("PATH", os.defpath), *SYSTEM, *unpacked))


def environment() -> dict[str, str]:
    """Variables with which programs that are only unpacked run."""
    libraries = map(str, sorted({path.parent for path in UNPACKED.glob("usr/lib/**/lib*.so*")}))
    return {**os.environ, "PATH": search_path(), "LD_LIBRARY_PATH": os.pathsep.join(libraries)}


def _spawn(command: Command, log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            cwd=log.parent,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def _await(peer: Peer, route: Route) -> None:
    try:
        wait_for(peer.address(route), route.port)
        if peer.has_udp:
            wait_for_echo(peer.address(route), route.port)
    except SamehostError as error:
        said = (route.folder / "log").read_text(errors="replace").strip()
        raise SamehostError(f"{peer.name} does not carry: {error.message}", said[-500:]) from error


def _end(process: subprocess.Popen[bytes]) -> None:
    """Its process group: asked, as some have children elsewhere to end, then forced."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(END_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(END_SECONDS)


# ---- the table ----------------------------------------------------------------------------


def _docker_proxy(route: Route) -> list[Command]:
    """One for each protocol. It exits unless it has descriptor 3, to write on that it listens."""
    back = {"tcp": route.tcp_port, "udp": route.udp_port}
    return [
        [
            *("sh", "-c", 'exec "$@" 3> /dev/null', "sh", "docker-proxy", "-proto", protocol),
            *("-host-ip", ADDRESS, "-host-port", str(route.port)),
            *("-container-ip", route.server, "-container-port", str(port)),
        ]
        for protocol, port in back.items()
    ]


def _socat(route: Route) -> list[Command]:
    tcp = f"TCP-LISTEN:{route.port},bind={ADDRESS},fork,reuseaddr,nodelay,backlog={BACKLOG}"
    udp = f"UDP-LISTEN:{route.port},bind={ADDRESS},fork,reuseaddr"
    return [
        ["socat", tcp, f"TCP:{route.server}:{route.tcp_port},nodelay"],
        ["socat", "-T", "60", udp, f"UDP:{route.server}:{route.udp_port}"],
    ]


def _haproxy(route: Route) -> list[Command]:
    configuration = route.folder / "haproxy.cfg"
    configuration.write_text(f"""
global
    maxconn 4096
defaults
    mode tcp
    option splice-auto
    timeout connect 10s
    timeout client 1h
    timeout server 1h
listen peer
    bind {ADDRESS}:{route.port} backlog {BACKLOG}
    server only {route.server}:{route.tcp_port}
""")
    return [["haproxy", "-db", "-f", str(configuration)]]


def _nginx(route: Route) -> list[Command]:
    """Unpacked it has its module elsewhere than its program expects."""
    module = "usr/lib/nginx/modules/ngx_stream_module.so"
    places = [path for root in (Path("/"), UNPACKED) if (path := root / module).exists()]
    loaded = f"load_module {places[0]};" if places else ""
    configuration = route.folder / "nginx.conf"
    configuration.write_text(f"""
{loaded}
daemon off;
user root;
pid {route.folder}/nginx.pid;
error_log stderr crit;
worker_processes auto;
events {{ worker_connections 8192; }}
stream {{
    proxy_timeout 1h;
    proxy_half_close on;
    server {{
        listen {ADDRESS}:{route.port} backlog={BACKLOG};
        proxy_pass {route.server}:{route.tcp_port};
    }}
    server {{
        listen {ADDRESS}:{route.port} udp reuseport;
        proxy_pass {route.server}:{route.udp_port};
    }}
}}
""")
    return [["nginx", "-e", "stderr", "-p", str(route.folder), "-c", str(configuration)]]


def _hop(options: Sequence[str], route: Route) -> list[Command]:
    """A hop of ours; see `hop.py`."""
    program = [sys.executable, "-m", "tests.bench.hop", *options]
    ends = [ADDRESS, str(route.port), route.server, str(route.tcp_port)]
    return [["env", f"PYTHONPATH={ROOT}", *program, *ends]]


def _servers(route: Route) -> Command:
    """Both servers, on the port on which the peer listens outside."""
    script = '"$0" udp-server 0.0.0.0 "$1" "$2" & exec "$0" server 0.0.0.0 "$1"'
    return ["sh", "-c", script, str(route.load), str(route.port), str(route.orders)]


def _pasta(address: Callable[[Route], str], route: Route) -> list[Command]:
    port = f"{address(route)}/{route.port}"
    ports = ("-t", port, "-u", port, "-T", "none", "-U", "none")
    unshare = ("unshare", "--user", "--map-root-user")
    return [[*unshare, "pasta", "--foreground", "--config-net", *ports, "--", *_servers(route)]]


def _rootlesskit(driver: str, route: Route) -> list[Command]:
    """It refuses users without subordinate ids: it is shown some of the bench's own."""
    ids = route.folder / "subid"
    ids.write_text("root:100000:65536\n")
    shown = "for file in /etc/subuid /etc/subgid; do mount --bind subid $file || exit; done"
    front = f"{ADDRESS}:{route.port}:{route.port}"
    return [
        [
            *("unshare", "--mount", "sh", "-c", f'{shown}; exec "$@"', "sh"),
            *("rootlesskit", f"--state-dir={route.folder / 'state'}", "--net=slirp4netns"),
            *("--disable-host-loopback", f"--port-driver={driver}"),
            *("--publish", f"{front}/tcp", "--publish", f"{front}/udp"),
            *_servers(route),
        ]
    ]


def _ssh(route: Route) -> Iterator[Command]:
    """Its server is in the machine's network, with keys and a user that nobody else knows."""
    folder = route.folder
    for key in ("host_key", "user_key"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / key)]
        if not (folder / key).exists():
            subprocess.run(command, check=True, env=environment(), stdin=subprocess.DEVNULL)
    users = (f"{USER}:*:0:0::/:/bin/sh", "sshd:*:65533:65534::/run/sshd:/bin/false")
    (folder / "passwd").write_text("".join(f"{user}\n" for user in users))
    (folder / "sshd_config").write_text(f"""
ListenAddress {route.server}:{route.port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/user_key.pub
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
PermitRootLogin prohibit-password
""")
    room = "mount -t tmpfs tmpfs /run && mkdir -m 755 /run/sshd"
    yield [
        *("nsenter", f"--net=/proc/{route.machine_pid}/ns/net", "unshare", "--mount", "sh", "-c"),
        f'{room} && mount --bind passwd /etc/passwd && exec "$(command -v sshd)" "$@"',
        *("sshd", "-D", "-e", "-f", str(folder / "sshd_config")),
    ]
    unknown = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR")
    wait_for(route.server, route.port)
    front = f"{ADDRESS}:{route.port}:127.0.0.1:{route.tcp_port}"
    client = ["ssh", "-F", "none", "-N", "-i", str(folder / "user_key"), "-p", str(route.port)]
    for option in (*unknown, "ExitOnForwardFailure=yes", "ControlMaster=no"):
        client += ["-o", option]
    yield [*client, "-L", front, f"{USER}@{route.server}"]


DOCKER_PROXY: Final = Peer("docker-proxy", ("docker-proxy",), _docker_proxy, has_udp=True)

_ROOTLESS: Final = ("rootlesskit", "slirp4netns", "newuidmap")

PEERS: Final = (
    DOCKER_PROXY,
    Peer("socat", ("socat",), _socat, has_udp=True, tells_cpu=False),
    Peer("haproxy", ("haproxy",), _haproxy),
    Peer("nginx", ("nginx",), _nginx, has_udp=True),
    Peer(
        *("pasta", ("pasta", "unshare"), partial(_pasta, lambda _: ADDRESS)),
        has_udp=True,
        is_own_namespace=True,
    ),
    Peer(
        *("pasta, tap", ("pasta", "unshare"), partial(_pasta, lambda route: route.desktop)),
        has_udp=True,
        is_own_namespace=True,
        is_on_cable=True,
    ),
    Peer(
        *("rootlesskit", _ROOTLESS, partial(_rootlesskit, "builtin")),
        has_udp=True,
        is_own_namespace=True,
    ),
    Peer("slirp4netns", _ROOTLESS, partial(_rootlesskit, "slirp4netns"), is_own_namespace=True),
    *(Peer(name, (sys.executable,), partial(_hop, options)) for name, options in VARIANTS.items()),
    Peer("ssh -L", ("ssh", "sshd", "ssh-keygen", "nsenter"), _ssh),
)
"""docker-proxy first: the others are compared with it."""
