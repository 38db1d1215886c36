"""What befalls the machine, the way to it, and what processes may have; each until it is over.

Rules: what is taken is given back whatever happens. What takes the other end's notice lasts until
that has noticed; the rest lasts LASTING_SECONDS, in which load goes on. Counterpart: `faults.py`.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from desktop.machines.sandbox import Sandbox
from desktop.machines.sandbox.processes import members
from desktop.machines.sandbox.traces import NO_CGROUP2, Traces, cgroup2_mount
from tests.integration.injured import standing_still
from tests.integration.samehost import until
from tests.soak.daemon import next_version
from tests.soak.scene import HEAL_SECONDS, Scene, listens

__all__ = ["INJURIES", "impossible"]

LASTING_SECONDS: Final = 2.0
SPARE_FILES: Final = 4
"""That a process may still open: fewer than there are clients."""
FILL_BYTES: Final = 1 << 16
_versions: Final = itertools.count(1)


def impossible(way: str) -> set[str]:
    """The injuries that cannot be done: no packets where streams go through a Unix socket, and no
    standing still without cgroup v2.
    """
    packets = set() if way == "tcp" else {"link black-holed"}
    return packets | ({"machine paused"} if cgroup2_mount() == NO_CGROUP2 else set())


def upgrade_agent(scene: Scene) -> None:
    """The next agent is a newer one."""
    version = f"0.1.0+soak{next(_versions)}"
    next_version(scene.samehost.home).write_text(version)
    os.kill(scene.samehost.agent(), signal.SIGKILL)
    until(lambda: _agent_version(scene) == version, "the newer agent", HEAL_SECONDS)


def pause_machine(scene: Scene) -> None:
    """Nothing in the machine runs, as when its window is closed, for longer than the grace."""
    with standing_still(scene.samehost):
        until(lambda: scene.state != "connected", "the loss", HEAL_SECONDS)
        until(lambda: not listens(scene.there), "the grace to be over", HEAL_SECONDS)


def stop_engine(scene: Scene) -> None:
    """The engine answers nobody."""
    (engine,) = [pid for pid in members(_traces(scene).cgroup) if _name(pid) == "dockerd"]
    os.kill(engine, signal.SIGSTOP)
    try:
        time.sleep(LASTING_SECONDS)
    finally:
        os.kill(engine, signal.SIGCONT)


def swallow_packets(scene: Scene) -> None:
    """What the machine sends vanishes on its way, for longer than the grace."""
    rule = ["INPUT", "-i", _traces(scene).interface, "-j", "DROP"]
    _iptables("-I", *rule)
    try:
        until(lambda: scene.state != "connected", "the loss", HEAL_SECONDS)
    finally:
        _iptables("-D", *rule)


def fill_disks(scene: Scene) -> None:
    """Runtime and log folder take nothing more; answers are given all the same."""
    paths = scene.samehost.paths
    with _filled(paths.runtime), _filled(paths.logs):
        until(lambda: scene.samehost.states(scene.there) == ["active"], "an answer", HEAL_SECONDS)
        time.sleep(LASTING_SECONDS)


def starve_daemon(scene: Scene) -> None:
    """The daemon may open only few files more."""
    _starve(scene.samehost.daemon())


def starve_agent(scene: Scene) -> None:
    """The agent may open only few files more."""
    _starve(scene.samehost.agent())


def _starve(process: int) -> None:
    before = resource.prlimit(process, resource.RLIMIT_NOFILE)
    numbers = [int(name) for name in os.listdir(f"/proc/{process}/fd")]
    least = max(numbers) + SPARE_FILES
    resource.prlimit(process, resource.RLIMIT_NOFILE, (least, before[1]))
    try:
        time.sleep(LASTING_SECONDS)
    finally:
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(process, resource.RLIMIT_NOFILE, before)


@contextlib.contextmanager
def _filled(folder: Path) -> Iterator[None]:
    """A file system that is full meanwhile; it is small."""
    filler = folder / "filler"
    try:
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while file.write(bytes(FILL_BYTES)):
                pass
        yield
    finally:
        filler.unlink()


def _iptables(*arguments: str) -> None:
    subprocess.run(["iptables", "-w", *arguments], check=True)


def _traces(scene: Scene) -> Traces:
    return Sandbox("sandbox", scene.samehost.paths)._traces


def _agent_version(scene: Scene) -> str:
    return str(scene.samehost.status()["machine"]["agent_version"])


def _name(process: int) -> str:
    return Path(f"/proc/{process}/comm").read_text().strip()


INJURIES: Final[Mapping[str, Callable[[Scene], None]]] = {
    "agent upgraded": upgrade_agent,
    "machine paused": pause_machine,
    "engine stands still": stop_engine,
    "link black-holed": swallow_packets,
    "disk full": fill_disks,
    "daemon short of files": starve_daemon,
    "agent short of files": starve_agent,
}
