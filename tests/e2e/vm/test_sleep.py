"""A computer that sleeps in earnest: its kernel suspends, and its logind says so on the system bus.

The watchers of the daemon run in it, by themselves: they need Python, and jeepney, only.
"""

from __future__ import annotations

import importlib.util
import io
import re
import tarfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest

from tests.e2e.vm.machine import Vm

pytestmark = pytest.mark.timeout(900)

PROJECT: Final = Path(__file__).parents[3]
WATCHERS: Final = tuple(
    f"desktop/daemon/{name}.py" for name in ("logind", "sleep_watch", "strokes", "wall_clock")
)
SLEEP_SECONDS: Final = 8.0
"""Longer than the watcher by the clock needs, in seconds of a clock that counts whole ones."""
PATIENCE: Final = 300.0
"""Seconds until an emulated computer sleeps, or is awake."""

UNPACK: Final = """
rm -f /etc/systemd/system/systemd-logind.service
systemctl daemon-reload
systemctl start systemd-logind
mkdir /root/watchers
tar -x -C /root/watchers
"""

WATCH: Final = """
cd /root/watchers && exec python3 - <<'END'
import asyncio, logging, subprocess
from desktop.daemon.logind import watch_logind
from desktop.daemon.sleep_watch import watch_sleep

said = []
class Ready(logging.Handler):
    def emit(self, record):
        said.append(record.getMessage())
        if "logind tells of sleep" in said[-1]:
            subprocess.run(["systemctl", "suspend"], check=True)
logging.basicConfig(level=logging.INFO, handlers=[Ready()])

async def main():
    woken = {name: asyncio.Event() for name in ("logind", "the clock")}
    async def wake(name):
        woken[name].set()
    tasks = [  # kept, or they would be collected
        asyncio.create_task(watch_logind(lambda: wake("logind"))),
        asyncio.create_task(watch_sleep(lambda: wake("the clock"))),
    ]
    for event in woken.values():
        await event.wait()

asyncio.run(main())
print("\\n".join(said))
END
"""


def test_a_sleep_in_earnest_is_told_by_logind_and_by_the_clock(own_vm: Vm) -> None:
    library = importlib.util.find_spec("jeepney")
    assert library is not None
    assert library.origin is not None
    files = [*(PROJECT / name for name in WATCHERS), *Path(library.origin).parent.rglob("*.py")]
    own_vm.run(UNPACK, packed(files, Path(library.origin).parents[1]))
    with ThreadPoolExecutor(1) as executor:
        said = executor.submit(own_vm.run, WATCH)
        own_vm.qmp.wait_for("SUSPEND", PATIENCE)
        time.sleep(SLEEP_SECONDS)
        own_vm.qmp.run("system_wakeup")
        lines = said.result(PATIENCE).splitlines()
    assert lines[:2] == ["logind tells of sleep", "this computer goes to sleep"]
    woken, slept = sorted(lines[2:])  # whichever came first
    assert woken == "this computer has woken, says logind: links are tried"
    found = re.fullmatch(r"this computer slept for about (\d+) seconds: links are tried", slept)
    assert found is not None
    assert int(found[1]) >= SLEEP_SECONDS - 1


def packed(files: list[Path], packages: Path) -> bytes:
    """A tar file of modules, by where they are found."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for file in files:
            root = PROJECT if file.is_relative_to(PROJECT / "desktop") else packages
            archive.add(file, file.relative_to(root))
    return out.getvalue()
