"""The agent in a container of the machine, for a machine that cannot run it but has an engine.

    look ─▶ which engine, which image ─▶ (load ours) ─▶ `run --privileged --net=host --pid=host`

For machines without Python 3.9, or where the log-in may not become root but may use the engine; and
for those of which there is nothing but the engine (`docker_engine.py`). From within, the agent sees
what it sees on the machine itself (`vmagent/watch/vantage.py`); it comes over standard input, as it
does elsewhere (`bootstrap.py`).

Rules: the container ends with its standard input, also if the desktop is killed, and the engine
removes it then. Of our image (`helper_image.py`) the newest stays in the engine, under
`samehost/helper`, older ones are removed. Without ours, an image of the makers of Python that the
engine has already is used and left as it is; nothing is fetched. No other image gets such rights.
An engine that is not root in the machine itself is of no use, and told.

Limits: the engine's command line is needed where the shell is (docker, podman or nerdctl). A socket
that the agent opened would be in the container only, so streams go over TCP or standard input.
"""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from desktop.errors import MachineUnreachableError
from desktop.machines.bootstrap import AGENT_WORD, LOADER
from desktop.machines.helper_image import REPOSITORY, find_image
from desktop.machines.shell import Shell
from link.outcome import Outcome

__all__ = ["CONTAINER_PREFIX", "HELPED", "IS_ROOT", "Helper", "find_helper"]

HELPED: Final = (Outcome.NO_PYTHON, Outcome.OLD_PYTHON, Outcome.NO_PERMISSION)
"""Why an agent did not start that may start in a container."""
CONTAINER_PREFIX: Final = "samehost-agent-"

ENGINES: Final = tuple(
    f"{root}{engine}" for engine in ("docker", "podman", "nerdctl") for root in ("", "sudo -n -- ")
)
PYTHON_IMAGES: Final = ("python", "library/python", "docker.io/library/python")
"""The repository of the makers of Python, as engines may call it."""
MOST_TRIED: Final = 5
"""Images of it that are looked into for a Python that is new enough."""

LOAD_SECONDS: Final = 120.0
"""For a dozen megabytes over the slowest of ways, to be unpacked by an emulated computer."""
TRY_SECONDS: Final = 30.0

_LOOK: Final = """\
PATH=$PATH:/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin
while read -r engine; do
    said=$(eval "$engine info" </dev/null 2>/dev/null) || continue
    if printf %s "$said" | grep -Eq '^ *rootless(: true)?$'; then
        echo "rootless $engine"
        continue
    fi
    list="$engine image ls --format 'image {{.Repository}}:{{.Tag}}'"
    eval "$list" </dev/null 2>/dev/null || continue
    for form in '{{.Architecture}}' '{{.Host.Arch}}'; do
        said=$(eval "$engine info --format '$form'" </dev/null 2>/dev/null) && break
    done
    echo "architecture $said"
    echo "engine $engine"
    exit
done
exit 1
"""
"""Engines are on standard input, a line each; what is printed speaks of the first that answers and
is root: one that is not says so, as docker and nerdctl do among their security options."""

_TRY: Final = "import sys; sys.exit(sys.version_info < (3, 9))"
_NO_RIGHTS: Final = "run --rm --pull=never --network=none --cap-drop=ALL --entrypoint=python3"

IS_ROOT: Final = f"""\
import os, sys
try:
    is_root = os.readlink("/proc/self/ns/user") == os.readlink("/proc/1/ns/user")
except OSError:
    is_root = False
if not is_root:
    sys.stderr.write("the container engine is not root in the machine (rootless)\\n")
    sys.exit({Outcome.NO_PERMISSION.value})
"""
"""In the user namespace of the machine's process 1, or not allowed to know (namespaces(7))."""

ALL_RIGHTS: Final = (
    *("run", "--rm", "--interactive", "--pull=never", "--privileged", "--network=host"),
    *("--pid=host", "--user=0:0", "--log-driver=none", "--entrypoint=python3"),
)
"""What passes over standard output are streams, which no engine shall keep as a log."""


@dataclass(frozen=True, slots=True)
class Helper:
    """How the agent is run in a container: the engine's command, and an image that it has."""

    engine: str
    image: str

    def script(self) -> str:
        """Becomes the agent, as START_SCRIPT of `bootstrap` does."""
        name = f"--name={CONTAINER_PREFIX}{secrets.token_hex(4)}"
        program = shlex.join(["-I", "-c", IS_ROOT + LOADER, AGENT_WORD])
        return f"exec {self.engine} {shlex.join([*ALL_RIGHTS, name, self.image])} {program}"

    def __str__(self) -> str:
        return f"a helper container of {self.engine}, image {self.image}"


async def find_helper(
    shell: Shell, engines: Sequence[str] = ENGINES, folders: Iterable[Path] | None = None
) -> Helper:
    """Find out how, and load our image if that is what it takes.

    `engines` are commands for sh(1). Raises MachineUnreachableError if there is no way, ShellError.
    """
    look = await shell.run(_LOOK, "".join(f"{each}\n" for each in engines).encode())
    told: dict[str, list[str]] = {}
    for line in look.output.decode(errors="replace").splitlines():
        word, _, value = line.partition(" ")
        told.setdefault(word, []).append(value)
    if look.status or not told.get("engine"):
        rootless = ", ".join(told.get("rootless", ()))
        raise MachineUnreachableError(
            "there is no container engine that could run the agent"
            + (f", only one without root: {rootless}" if rootless else ""),
            "allow the user docker (sudo usermod -aG docker USER), podman as root, or nerdctl",
        )
    (engine, *_), images = told["engine"], told.get("image", [])
    own = find_image(told.get("architecture", [""])[0], folders)
    if own is not None:
        if own.tag not in map(_short, images):
            await _load(shell, engine, own.tag, own.read(), images)
        return Helper(engine, own.tag)
    return Helper(engine, await _image_with_python(shell, engine, images))


async def _load(shell: Shell, engine: str, tag: str, image: bytes, images: Iterable[str]) -> None:
    done = await shell.run(f"exec {engine} load", image, seconds=LOAD_SECONDS)
    if done.status:
        said = done.errors.decode(errors="replace").strip()
        raise MachineUnreachableError(
            f"{engine} does not take the image of the helper container: {said}",
            f"see that the machine has room on its disk; the image is {tag}",
        )
    older = [each for each in images if _short(each).startswith(f"{REPOSITORY}:")]
    if older:  # one that another desktop's agent runs in stays for now
        await shell.run(f"exec {engine} image rm {shlex.join(older)}", seconds=TRY_SECONDS)


def _short(image: str) -> str:
    """Podman puts names without a registry into one called localhost."""
    return image.removeprefix("localhost/").removeprefix("docker.io/")


async def _image_with_python(shell: Shell, engine: str, images: Iterable[str]) -> str:
    candidates = [each for each in images if each.rpartition(":")[0] in PYTHON_IMAGES]
    for image in candidates[:MOST_TRIED]:
        words = shlex.join([image, "-c", _TRY])
        done = await shell.run(f"exec {engine} {_NO_RIGHTS} {words}", seconds=TRY_SECONDS)
        if done.status == 0:
            return image
    raise MachineUnreachableError(
        f"{engine} could run the agent, but has no image with Python",
        f"{engine} pull python:3-slim, in the machine; Samehost does not fetch it by itself",
    )
