"""A message bus of the test's own: a real dbus-daemon (1), on a socket in a folder that is given.

Rules: the bus knows nothing that it could start, and lets everybody own and send all. It ends with
the block, whatever comes; another may begin in the same folder, at the same address.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.ended import ended

__all__ = ["MISSING", "message_bus"]

MISSING: Final = "" if shutil.which("dbus-daemon") else "not installed: dbus-daemon"
"""Why there is no bus here; "" if there can be."""

SETTINGS: Final = """<!DOCTYPE busconfig PUBLIC
 "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <keep_umask/>
  <listen>unix:path={socket}</listen>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"""


@contextlib.contextmanager
def message_bus(folder: Path) -> Iterator[str]:
    """The address of a bus."""
    socket = folder / "bus"
    socket.unlink(missing_ok=True)  # of one that was killed
    settings = folder / "bus.conf"
    settings.write_text(SETTINGS.format(socket=socket))
    command = ["dbus-daemon", f"--config-file={settings}", "--print-address", "--nofork"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    with ended(process):
        assert process.stdout is not None
        yield process.stdout.readline().strip()
