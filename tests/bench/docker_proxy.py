"""docker-proxy, the peer for UDP: what carries a published port of a bridge-networked container.

Rules: it runs on the desktop and leads to the server on the machine's address, so that its way is
ours less the second hop. It listens on an address of loopback that is not mirrored.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from typing import Final

from desktop.errors import SamehostError

__all__ = ["ADDRESS", "docker_proxy"]

ADDRESS: Final = "127.0.0.2"
END_SECONDS: Final = 10.0
READY: Final = "0\n"
"""What it writes to descriptor 3 once it listens (moby, cmd/docker-proxy/main.go); without that
descriptor it exits."""


@contextlib.contextmanager
def docker_proxy(port: int, address: str, server_port: int) -> Iterator[None]:
    """UDP port `port` of ADDRESS leads to `server_port` of `address`. Raises SamehostError."""
    program = shutil.which("docker-proxy", path="/usr/sbin:/usr/bin:/usr/libexec/docker")
    if program is None:
        raise SamehostError("the bench needs docker-proxy", "sudo apt-get install docker.io")
    front = ("-host-ip", ADDRESS, "-host-port", str(port))
    back = ("-container-ip", address, "-container-port", str(server_port))
    process = subprocess.Popen(
        ["sh", "-c", 'exec "$@" 3>&1', "sh", program, "-proto", "udp", *front, *back],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        said = process.stdout.readline() if process.stdout else ""
        if said != READY:
            raise SamehostError(f"docker-proxy said: {said!r}", f"is UDP port {port} free?")
        yield
    finally:
        process.terminate()
        process.wait(END_SECONDS)
        if process.stdout:
            process.stdout.close()
