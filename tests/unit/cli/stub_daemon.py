"""A daemon for tests of `up`: started like the real one, with a `FakeBackend` inside.

The variable STUB says what it does: "ready"; "refuse" (an error instead of readiness); "die"
(a last word in the log); "hang" (before it is ready); "slow" (attaching never ends);
"sick" (attaching fails); "curious" (attaching asks for a name). Told so by SIGHUP, it hangs: then
it hears nothing, other signals neither.
"""

from __future__ import annotations

import argparse
import asyncio
import faulthandler
import os
import signal
import sys
import threading

from desktop.api.backend import Progress
from desktop.api.fake import FakeBackend
from desktop.api.server import ApiServer
from desktop.daemon.lock import DaemonLock
from desktop.daemon.loops import new_event_loop
from desktop.daemon.main import ReadyLine
from desktop.errors import MachineUnreachableError, PermissionDeniedError
from desktop.paths import Paths

LIFETIME = 60
"""Seconds."""


class SickBackend(FakeBackend):
    """Reaches no machine."""

    async def attach(self, machine: str | None, progress: Progress) -> list[str]:
        progress("trying")
        raise MachineUnreachableError(f"no way to {machine}", "buy one")


class SlowBackend(FakeBackend):
    """Attaches for ever, but shuts down at once."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.gate.clear()

    async def shutdown(self, progress: Progress) -> None:
        self.gate.set()
        await super().shutdown(progress)


class CuriousBackend(FakeBackend):
    """Asks whoever attaches."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.question = "Who are you?"


BACKENDS = {"sick": SickBackend, "slow": SlowBackend, "curious": CuriousBackend}


async def serve(paths: Paths, line: ReadyLine, mode: str) -> None:
    backend = BACKENDS.get(mode, FakeBackend)()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, backend.stopped.set)
    if sys.platform != "win32":
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, threading.Event().wait)
    with DaemonLock(paths.lock_file):
        async with ApiServer(paths.api_socket, backend):
            say("a line in the log")
            line.ready()
            await backend.stopped.wait()
        say(f"calls: {', '.join(backend.calls)}")  # while it is locked: then nobody waits for more


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--ready-fd", type=int)
    line = ReadyLine(parser.parse_args().ready_fd)
    # A test that fails must not leave a daemon behind.
    faulthandler.dump_traceback_later(LIFETIME, exit=True)
    mode = os.environ["STUB"]
    if mode == "refuse":
        line.failed(PermissionDeniedError("the sandbox needs root", "use sudo"))
    elif mode == "die":
        sys.exit("a last word")
    elif mode == "hang":
        threading.Event().wait()
    else:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(serve(Paths.find(), line, mode))


if __name__ == "__main__":
    main()
