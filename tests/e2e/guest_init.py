"""The first process of a guest: makes the system usable, runs one command, tells and ends.

Rules: standard library only; it is copied into the guest as /init. What it is to do is in ORDER;
what the command says goes to OUTPUT as it comes; then RESULT gets its exit status, and the file
that the order names.

Counterpart: `guest`.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import socket
import struct
import subprocess
import time
import tty
from pathlib import Path
from typing import Any, Final

ORDER: Final = "/order.json"
MODULES: Final = "/modules"
OUTPUT: Final = "/dev/ttyS1"
RESULT: Final = "/dev/ttyS2"

MOUNTS: Final = (
    ("proc", "/proc"),
    ("sysfs", "/sys"),
    ("devtmpfs", "/dev"),
    ("cgroup2", "/sys/fs/cgroup"),
)

INIT_MODULE: Final = 175
"""Number of the call on x86-64."""

SIOCSIFFLAGS: Final = 0x8914
IFF_UP: Final = 0x1
"""netdevice(7)."""

RB_POWER_OFF: Final = 0x4321FEDC
"""linux/reboot.h."""

_libc = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    """Do as the order says."""
    for kind, place in MOUNTS:
        Path(place).mkdir(exist_ok=True)
        _check(_libc.mount(kind.encode(), place.encode(), kind.encode(), 0, None))
    order = json.loads(Path(ORDER).read_text())
    _set_clock(order["time"])
    for name in order["modules"]:
        _insert(Path(MODULES, name).read_bytes())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", IFF_UP))
    _write(RESULT, json.dumps(_run(order)))


def _run(order: dict[str, Any]) -> dict[str, object]:
    with open(OUTPUT, "wb", buffering=0) as output:
        tty.setraw(output.fileno())
        command = subprocess.Popen(
            order["command"],
            cwd=order["folder"],
            env=order["environment"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
        # The first process gets those that others have left.
        while (ended := os.wait())[0] != command.pid:
            pass
    report = Path(order["report"])
    text = report.read_text() if report.exists() else ""
    return {"status": os.waitstatus_to_exitcode(ended[1]), "report": text}


def _set_clock(seconds: float) -> None:
    time.clock_settime(time.CLOCK_REALTIME, seconds)


def _insert(module: bytes) -> None:
    _check(_libc.syscall(INIT_MODULE, module, ctypes.c_ulong(len(module)), b""))


def _write(terminal: str, text: str) -> None:
    with open(terminal, "wb", buffering=0) as file:
        tty.setraw(file.fileno())
        data = text.encode()
        while data:
            data = data[file.write(data) or 0 :]


def _check(result: int) -> None:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


if __name__ == "__main__":
    try:
        main()
    finally:
        _libc.sync()
        _libc.reboot(ctypes.c_int(RB_POWER_OFF - (1 << 32) if RB_POWER_OFF >> 31 else RB_POWER_OFF))
