"""Other container engines in a sandbox machine: Podman, containerd by `ctr`, a second Docker.

All they keep is in the machine's own /run, so nothing is left on this computer.
Counterpart: `test_runtimes.py`.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

from desktop.machines.sandbox import Sandbox, record
from scripts import demo_image
from tests.integration.conftest import SandboxHome
from tests.integration.samehost import IMAGE, Samehost, until

__all__ = ["Containerd", "Inside", "Podman", "SecondDocker"]

ROOT = "/run/netshoot"
"""Where the demonstration's image lies unpacked in the machine, for engines without images."""

USER = "65534"
"""An ordinary user: nobody (base-passwd's default on Debian)."""

PATIENCE = 60.0
"""Seconds until a program in the machine has to end."""


class Inside:
    """Runs programs in the sandbox machine of a SAMEHOST_HOME, as its own processes."""

    def __init__(self, home: Samehost | SandboxHome) -> None:
        self._sandbox = Sandbox("sandbox", home.paths)

    @property
    def address(self) -> str:
        """The machine's address."""
        return self._sandbox.addresses()[0]

    @property
    def addresses(self) -> tuple[str, str]:
        """The machine's address, and this computer's towards it."""
        return self._sandbox.addresses()

    @property
    def root(self) -> Path:
        """The machine's files, as they are seen on this computer."""
        machine = record.load(self._sandbox.folder)
        assert machine is not None
        return Path(f"/proc/{machine.pid}/root")

    def command(self, *argv: str) -> list[str]:
        """How to run a program in the machine that ends when what runs it is killed."""
        # Its parent is nsenter out here; what ends nsenter must end it.
        return self._sandbox.command("setpriv", "--pdeathsig", "KILL", *argv)

    def run(self, *argv: str, text: str = "") -> str:
        """Run a program to its end; what it said, stripped. It must succeed."""
        done = subprocess.run(
            self._sandbox.command(*argv),
            input=text,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def sh(self, script: str, *arguments: str) -> str:
        """Run a shell script to its end; $1 and so on are `arguments`."""
        return self.run("sh", "-euc", script, "sh", *arguments)

    @contextlib.contextmanager
    def running(self, *argv: str) -> Iterator[None]:
        """Run a program meanwhile."""
        nothing = subprocess.DEVNULL
        program = subprocess.Popen(
            self.command(*argv), stdin=nothing, stdout=nothing, stderr=nothing
        )
        try:
            yield
        finally:
            program.kill()
            program.wait()

    def unpack_image(self) -> None:
        """Put the demonstration's image to `ROOT`."""
        self.sh('mkdir -p "$1"; tar -xf "$2" -C "$1"', ROOT, str(demo_image.build()))


class Podman:
    """Podman in the machine, without cgroup limits, which the sandbox has not everywhere."""

    SOCKET = "/run/podman/podman.sock"

    def __init__(self, inside: Inside) -> None:
        self._inside = inside
        self._command = [
            *("podman", "--root=/run/containers/storage", "--runroot=/run/containers/run"),
            *("--cgroup-manager=cgroupfs", "--events-backend=file"),
        ]
        # It writes to its configuration of networks, also where it needs none.
        inside.sh("mkdir -p /run/podman; mount -t tmpfs tmpfs /etc/cni")

    @classmethod
    def rootless(cls, inside: Inside) -> Podman:
        """One of an ordinary user, who has no cgroups of their own."""
        podman = cls(inside)
        inside.sh(
            'mkdir -p /run/home "/run/user/$1"; chown -R "$1" /run/home "/run/user/$1" "$2"',
            *(USER, ROOT),
        )
        podman._command = [
            *("env", "--chdir=/", "HOME=/run/home", f"XDG_RUNTIME_DIR=/run/user/{USER}"),
            *("setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"),
            *("podman", "--cgroup-manager=cgroupfs", "--events-backend=file"),
        ]
        return podman

    def run(self, *arguments: str) -> str:
        """A command of Podman's; what it said."""
        return self._inside.run(*self._command, *arguments)

    @contextlib.contextmanager
    def serving(self) -> Iterator[None]:
        """With its service, on its usual socket."""
        service = ["system", "service", "--time=0", f"unix://{self.SOCKET}"]
        with self._inside.running(*self._command, *service):
            until(lambda: self._inside.sh(f"[ ! -S {self.SOCKET} ] || echo there"), "the service")
            yield
        self._inside.run("rm", "-f", self.SOCKET)

    @contextlib.contextmanager
    def container(self, name: str, *command: str) -> Iterator[str]:
        """A host-networked container; its id."""
        options = ["--detach", "--network=host", "--pids-limit=-1", f"--name={name}"]
        identity = self.run("run", *options, "--rootfs", ROOT, *command)
        try:
            yield identity
        finally:
            self.run("rm", "--force", "--time=0", identity)


class Containerd:
    """The containerd of the machine's Docker, made to be found where containerd usually is."""

    NAMESPACE = "default"

    def __init__(self, inside: Inside) -> None:
        self._inside = inside
        inside.sh(
            "mkdir -p /run/containerd; ln -sfn /run/docker/containerd/containerd.sock "
            "/run/containerd/containerd.sock"
        )

    def run(self, *arguments: str) -> str:
        """A command of `ctr`'s; what it said."""
        return self._inside.run("ctr", f"--namespace={self.NAMESPACE}", *arguments)

    @contextlib.contextmanager
    def container(self, name: str, *command: str, label: str = "") -> Iterator[str]:
        """A host-networked container; its id. As nerdctl does, `label` is its name."""
        specification = {
            "ociVersion": "1.0.2",
            "process": {
                "user": {"uid": 0, "gid": 0},
                "args": command,
                "env": ["PATH=/bin:/usr/bin"],
                "cwd": "/",
            },
            "root": {"path": ROOT},
            "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
            "linux": {
                "cgroupsPath": f"/{self.NAMESPACE}/{name}",
                "namespaces": [{"type": "pid"}, {"type": "mount"}],
            },
        }
        path = f"/run/{name}.json"
        self._inside.run("tee", path, text=json.dumps(specification))
        self.run("run", "--detach", f"--label=nerdctl/name={label}", f"--config={path}", name)
        try:
            yield name
        finally:
            self.run("task", "delete", "--force", name)
            self.run("container", "delete", name)


class SecondDocker:
    """A Docker Engine beside the machine's own, which can be stopped and started again.

    It shares the other's containerd, unless it is to have one of its own.
    """

    SOCKET = "/run/second/docker.sock"
    PID_FILE = "/run/second/pid"
    BRIDGE = "second0"
    """One without a bridge takes away what is called docker0, which is the other's."""
    BRIDGE_ADDRESS = "198.51.100.1/24"
    """For documents (RFC 5737), so that no other network has it."""
    SHARED = (
        *("--containerd", "/run/docker/containerd/containerd.sock"),
        *("--containerd-namespace", "second", "--containerd-plugins-namespace", "plugins.second"),
    )

    def __init__(self, inside: Inside, *, own_containerd: bool = False) -> None:
        self._inside = inside
        self._fixed = [] if own_containerd else list(self.SHARED)

    def start(self, *options: str) -> None:
        """Start it and wait until it answers."""
        self._inside.sh(
            f"[ -e /sys/class/net/{self.BRIDGE} ] || ip link add {self.BRIDGE} type bridge; "
            f"ip address replace {self.BRIDGE_ADDRESS} dev {self.BRIDGE}; "
            'mkdir -p /run/second; cd /; pid_file=$1 socket=$2; shift 2; dockerd "$@" '
            '--data-root /run/second/lib --pidfile "$pid_file" --exec-root /run/second/exec '
            '--host "unix://$socket" --iptables=false --ip6tables=false '
            f"--bridge {self.BRIDGE} "
            "--exec-opt native.cgroupdriver=cgroupfs --log-level warn "
            "< /dev/null >> /run/second/log 2>&1 &",
            *(self.PID_FILE, self.SOCKET, *self._fixed, *(options or ("--live-restore=false",))),
        )
        answers = 'docker -H "unix://$1" version -f "{{.Server.Version}}" 2> /dev/null || true'
        until(lambda: self._inside.sh(answers, self.SOCKET), "the second engine")

    def stop(self, signal: str) -> None:
        """End it and wait until it is gone."""
        end = 'pid=$(cat "$1"); kill -"$2" "$pid"; while [ -d "/proc/$pid" ]; do sleep 0.02; done'
        self._inside.sh(end + '; rm -f "$1"', self.PID_FILE, signal)

    def docker(self, *arguments: str) -> str:
        """A command of Docker's; what it said."""
        return self._inside.run("docker", "--host", f"unix://{self.SOCKET}", *arguments)

    def load_image(self) -> None:
        """Put the demonstration's image into it."""
        self.docker(*demo_image.import_arguments(demo_image.build()))

    @contextlib.contextmanager
    def container(self, *command: str) -> Iterator[str]:
        """A host-networked container that is restarted whenever it ends; its id."""
        options = ["--detach", "--network=host", "--restart=always", "--stop-timeout=0"]
        identity = self.docker("run", *options, IMAGE, *command)
        try:
            yield identity
        finally:
            self.docker("rm", "--force", identity)
