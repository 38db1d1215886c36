"""Docker contexts: what `docker context ls` would print, read from the files that it reads.

Layout: `contexts/meta/HASH/meta.json` in DOCKER_CONFIG or ~/.docker (docker/cli
`cli/context/store`), each with Name and Endpoints.docker.Host. No program is needed, so none can
hang. An endpoint is another computer (`ssh://`, `tcp://`), or an engine's socket on this one (`unix://`,
`npipe://`), which is asked who it is (Docker Engine API, `GET /info`).

Never attached: Docker Desktop and OrbStack, which share localhost by themselves (each says where
that is switched on), and an engine of this computer's own, whose containers have its network.
A context that leads to a machine which another finder found is left out by the registry.
"""

from __future__ import annotations

import asyncio
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec

from desktop.findings import Finding
from desktop.machines.found.engine_info import EngineInfo, ask_engine
from desktop.machines.found.finder import (
    MOST_MACHINES,
    Finder,
    NonsenseError,
    json_value,
    read_small,
)
from desktop.machines.found.model import EngineWay, Found, Sighting, is_name
from desktop.machines.found.tools import Tools
from desktop.machines.machine import MachineState
from desktop.machines.ssh_destination import SshDestination

__all__ = ["DockerContextFinder", "parse_ssh"]

PREFIX: Final = "docker-"
UNIX: Final = "unix://"

DOCKER_DESKTOP: Final = (
    "Docker Desktop shares localhost by itself: Settings, Resources, Network,"
    " Enable host networking"
)
ORBSTACK: Final = "OrbStack shares localhost in both directions by itself; there is nothing to do"
NATIVE: Final = "this engine runs on this computer itself: --net=host means this computer already"
WINDOWS_CONTAINERS: Final = (
    "this engine runs Windows containers; only Linux containers are supported"
)
OVER_TCP: Final = (
    "an engine over tcp:// does not let samehost into its computer; use a context with ssh://"
)

BY_ENDPOINT: Final = {
    "/.docker/desktop/docker.sock": DOCKER_DESKTOP,
    "/.docker/run/docker.sock": DOCKER_DESKTOP,
    "/pipe/dockerDesktopLinuxEngine": DOCKER_DESKTOP,
    "/pipe/dockerDesktopWindowsEngine": WINDOWS_CONTAINERS,
    "/.orbstack/run/docker.sock": ORBSTACK,
}
"""How the endpoints end of engines that are never attached (docker/docs `desktop/faqs`; OrbStack's
documentation, "Docker context")."""

BY_SYSTEM: Final = {"Docker Desktop": DOCKER_DESKTOP, "OrbStack": ORBSTACK}
"""The same by what an engine calls its operating system."""


class _Endpoint(msgspec.Struct, rename="pascal"):
    host: str = ""


class _Context(msgspec.Struct, rename="pascal"):
    name: str
    endpoints: dict[str, _Endpoint] = {}


class DockerContextFinder(Finder):
    """The person's contexts. `node` is the name and kernel of this computer, to know it by."""

    program = "docker"

    def __init__(self, tools: Tools, node: tuple[str, str] | None = None) -> None:
        super().__init__(tools)
        self._node = node or (platform.node(), platform.release())

    def owns(self, name: str) -> bool:
        """See `Finder`."""
        return name.startswith(PREFIX)

    async def look(self) -> Sighting:
        """See `Finder`."""
        contexts, findings = await asyncio.to_thread(self._read)
        found = await asyncio.gather(*(self._found(name, url) for name, url in contexts.items()))
        return Sighting(tuple(found), tuple(findings))

    def _read(self) -> tuple[Mapping[str, str], list[Finding]]:
        """Endpoints by context, and what is wrong with the files."""
        folder = self.tools.environment.get("DOCKER_CONFIG")
        root = Path(folder) if folder else self.tools.home / ".docker"
        endpoints: dict[str, str] = {}
        findings: list[Finding] = []
        for file in sorted((root / "contexts" / "meta").glob("*/meta.json"))[:MOST_MACHINES]:
            try:
                context = json_value(read_small(file), _Context)
            except (OSError, NonsenseError) as error:
                findings.append(Finding(f"{file}: {error}", "correct or remove that context"))
                continue
            endpoint = context.endpoints.get("docker")
            if endpoint is not None and "\0" in endpoint.host:
                findings.append(Finding(f"{file}: no endpoint has a zero byte", "correct it"))
                continue
            if endpoint is not None and endpoint.host and is_name(context.name):
                endpoints[context.name] = endpoint.host
        return endpoints, findings

    async def _found(self, context: str, url: str) -> Found:
        name = PREFIX + context
        if url.startswith("ssh://"):
            way = parse_ssh(url)
            declined = "" if way else f"its address is not understood: {url}"
            return Found(name, "docker-ssh", "unknown", way, url, declined=declined, is_remote=True)
        if not url.startswith((UNIX, "npipe://")):
            return Found(name, "docker", "unknown", None, url, declined=OVER_TCP, is_remote=True)
        declined = next((why for end, why in BY_ENDPOINT.items() if _real(url).endswith(end)), "")
        info = await ask_engine(url.removeprefix(UNIX)) if url.startswith(UNIX) else None
        declined = declined or self._declined(info)
        return Found(
            name,
            "docker",
            _state(url, info),
            EngineWay(url),
            url,
            declined=declined,
            has_windows_containers=declined == WINDOWS_CONTAINERS,
        )

    def _declined(self, info: EngineInfo | None) -> str:
        if info is None:
            return ""
        if info.os_type not in ("", "linux"):
            return WINDOWS_CONTAINERS
        if (info.name, info.kernel_version) == self._node:
            return NATIVE
        return BY_SYSTEM.get(info.operating_system, "")


def parse_ssh(url: str) -> SshDestination | None:
    """The way that `ssh://[user@]host[:port]` stands for; None if it is no such address.

    As docker/cli `cli/connhelper/ssh` has it: without password, query and fragment.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or 0
    except ValueError:
        return None
    user = parts.username or ""
    is_wrong = parts.password is not None or parts.query or parts.fragment
    if (
        parts.scheme != "ssh"
        or not host
        or is_wrong
        or host.startswith("-")
        or user.startswith("-")
    ):
        return None
    return SshDestination(host, user=user, port=port)


def _real(url: str) -> str:
    """An endpoint without symbolic links: /var/run/docker.sock often is one to a tool's socket."""
    return os.path.realpath(url.removeprefix(UNIX)) if url.startswith(UNIX) else url


def _state(url: str, info: EngineInfo | None) -> MachineState:
    if not url.startswith(UNIX):
        return "unknown"
    return "running" if info is not None else "stopped"
