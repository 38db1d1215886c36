"""Whose cgroup and whose namespaces are these: the container, or the machine's own.

Rules: pure, by two tables. `RUNTIMES` names containers by the cgroup paths that engines make: a
pattern matches whole components anywhere in a path, for engines run below parent slices, in
user sessions and in nested machines, and a container's own init may make further cgroups below.
The outermost container wins, for that is the one the machine's engine knows. Where no pattern
says anything, namespaces decide: a process that has the machine's network, but another mount or
PID namespace, is in a container. `SYSTEMS` lists what has namespaces of its own and is no
container.

Containers are: Docker's, Swarm's, Podman's, containerd's, CRI-O's and Kubernetes's, and the steps
of a build with BuildKit, which on Linux can listen on the host's network like any other.
Not containers are: systemd units, hardened ones too (`PrivateTmp=`, `ProtectSystem=` give them a
mount namespace); what pretends to be a computer of its own (systemd-nspawn, LXC, LXD, Incus,
virtual machines); desktop applications in Flatpak and Snap; the engines, their monitors, and the
programs that forward ports for containers with a network of their own.

Limits: a container of an unknown engine that runs without any cgroup of its own below a systemd
service is taken for that service; a session with a mount namespace (pam_namespace(8)) for a
container. An LXC system container in the machine's network is not mirrored, but Docker in it is.

Counterpart: `vmagent.watch.owners` finds paths and namespaces.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from typing import Final, NamedTuple

from link.listener import Container

__all__ = [
    "PORT_FORWARDERS",
    "RUNTIMES",
    "SYSTEMS",
    "Namespaces",
    "container_by_namespaces",
    "container_of_path",
    "is_machines_own",
]

_HEX: Final = "[0-9a-f]{64}"
_ID: Final = f"(?P<id>{_HEX})"
_BUILD_ID: Final = "(?P<id>[0-9a-z]{25})"


def _components(pattern: str) -> re.Pattern[str]:
    """A pattern that matches whole components of a path."""
    return re.compile(f"(?:^|/)(?:{pattern})(?=/|$)")


RUNTIMES: Final = tuple(
    (runtime, _components(pattern))
    for runtime, pattern in (
        # systemd drivers: one scope unit per container
        ("docker", rf"docker-{_ID}\.scope"),
        ("podman", rf"libpod-{_ID}\.scope"),
        ("cri-o", rf"crio-{_ID}\.scope"),
        ("containerd", rf"cri-containerd-{_ID}\.scope"),
        ("containerd", rf"nerdctl-{_ID}\.scope"),
        ("buildkit", rf"docker-{_BUILD_ID}\.scope"),
        # cgroupfs drivers: one directory per container
        ("docker", rf"docker/{_ID}"),
        ("podman", rf"libpod_parent/{_HEX}/libpod-{_ID}"),
        ("", rf"libpod_parent/{_HEX}"),  # a pod's own: monitors may be in it
        ("podman", rf"libpod-(?:payload-)?{_ID}"),
        ("cri-o", rf"crio-{_ID}"),
        ("buildkit", rf"(?:docker/)?buildkit/{_BUILD_ID}"),
        # systemd's notation SLICE:PREFIX:ID, told to a runtime that does not ask systemd
        ("docker", rf"[^/]+:docker:{_ID}"),
        ("containerd", rf"[^/]+:(?:cri-containerd|nerdctl):{_ID}"),
        ("cri-o", rf"[^/]+:crio:{_ID}"),
        ("kubernetes", rf"kubepods(?:/(?:burstable|besteffort))?/pod[^/]+/{_ID}"),
        # containerd's namespaces, and any engine's --cgroup-parent
        ("containerd", rf"(?:default|k8s\.io)/{_ID}"),
        ("container", _ID),
    )
)
"""Runtime and pattern. Of several matches the one that begins first counts, then the upper row.
A row without a runtime says that there is no container.

Ids are 64 hexadecimal digits in all these engines; BuildKit's are 25 of base 36 (its
identity.NewID). Sources of the layouts, by project: moby daemon/oci_linux.go and
builder/builder-next/executor_linux.go; podman libpod/container_internal_linux.go and
libpod/oci_conmon_linux.go; containerd internal/cri/server/podsandbox and nerdctl
pkg/cmd/container/run_cgroup_linux.go; cri-o internal/config/cgmgr; kubelet
pkg/kubelet/cm/cgroup_manager_linux.go."""

SYSTEMS: Final = tuple(
    _components(pattern)
    for pattern in (
        # systemd-nspawn
        r"systemd-nspawn@[^/]+\.service",
        # systemd-machined: nspawn by hand, virtual machines
        r"machine-[^/]+\.scope",
        # LXC, LXD, Incus
        r"lxc(?:\.(?:payload|monitor)[^/]*)?",
        # monitors of Podman and CRI-O
        r"(?:libpod|crio)-conmon-[^/]+|conmon|supervisor",
        # those, and forwarders, of Quadlet's containers
        r"[^/]+\.service/runtime",
        # Podman, and forwarders of its rootless containers
        r"podman-[^/]+\.scope",
        # Flatpak
        r"app-flatpak-[^/]+\.scope",
        # Snap
        r"snap\.[^/]+\.scope",
    )
)
"""What has namespaces of its own but is no container."""

PORT_FORWARDERS: Final = frozenset(
    {
        *("pasta", "pasta.avx2", "passt", "passt.avx2", "slirp4netns", "gvforwarder"),
        *("rootlessport", "rootlessport-ch", "rootlesskit", "docker-proxy", "conmon"),
    }
)
"""Names of programs (at most 15 bytes, `comm` in proc(5)) that listen for bridge-networked
containers and confine themselves to namespaces of their own (passt(1), slirp4netns(1))."""

_UNIT: Final = re.compile(r".+\.(?:slice|service|socket|mount|swap)|init\.scope")
"""systemd.unit(5): units that start programs. Scopes do not: anyone may put anything in one."""

_SCOPE: Final = re.compile(r".+\.scope")

_INNER: Final = frozenset({"container", "init", "payload"})
"""Cgroups that runtimes make inside a container's own (crun, Docker in Docker, nspawn)."""

_PLAIN_NAME: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z_.:-]{0,127}", re.ASCII)
"""What is shown as an id; a container with a cgroup of its own can make others."""


class Namespaces(NamedTuple):
    """Three namespaces of a process, as /proc/PID/ns tells them: "mnt:[4026531841]"."""

    mount: str
    pid: str
    network: str


def container_of_path(path: str, ignore: Collection[str] = ()) -> Container | None:
    """The container that a cgroup path belongs to, None if it names none.

    `ignore` holds ids that are not looked at: of the container that the reader itself runs in.
    """
    best: tuple[int, Container | None] | None = None
    for runtime, pattern in RUNTIMES:
        for match in pattern.finditer(path):
            if best is not None and match.start() >= best[0]:
                break
            identity = match["id"] if runtime else ""
            if identity not in ignore:
                best = (match.start(), Container(identity, "", runtime) if runtime else None)
                break
    return best[1] if best else None


def is_machines_own(*paths: str) -> bool:
    """True if a process whose cgroup paths, one per hierarchy, name no container is surely the
    machine's own: in systemd's units only, or in what is in `SYSTEMS`. The root says nothing.
    """
    if any(pattern.search(path) for pattern in SYSTEMS for path in paths):
        return True
    telling = [parts for path in paths if (parts := _parts(path))]
    return bool(telling) and all(_UNIT.fullmatch(part) for parts in telling for part in parts)


def container_by_namespaces(
    paths: Sequence[str], name: str, seen: Namespaces, machine: Sequence[Namespaces]
) -> Container | None:
    """The container of a process whose cgroup paths, one per hierarchy, name none.

    None if it is the machine's own. `name` is the program's; `machine` is what counts as the
    machine: the namespaces of its process 1 and of the reader, which may be in a container.
    """
    if is_machines_own(*paths) or name in PORT_FORWARDERS:
        return None
    if seen.network not in {each.network for each in machine}:
        return None
    if seen.mount not in {each.mount for each in machine}:
        return Container(_plain_id(paths, seen.mount), "", "container")
    if seen.pid not in {each.pid for each in machine}:
        return Container(_plain_id(paths, seen.pid), "", "container")
    return None


def _parts(path: str) -> list[str]:
    # Above the root of a cgroup namespace there is only ".." to be seen (cgroup_namespaces(7)).
    return [part for part in path.split("/") if part not in ("", "..")]


def _plain_id(paths: Iterable[str], namespace: str) -> str:
    """The innermost cgroup that somebody gave a name, else the namespace's number."""
    for path in paths:
        for part in reversed(_parts(path)):
            if _UNIT.fullmatch(part) or _SCOPE.fullmatch(part):
                break
            if part not in _INNER and _PLAIN_NAME.fullmatch(part):
                return part
    return "ns" + "".join(filter(str.isdigit, namespace))
