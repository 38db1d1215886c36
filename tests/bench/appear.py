"""How soon a container's listener is there on the desktop, and how soon it is gone.

Limits: the desktop tries every TRY_SECONDS, so that much is added on average half. A try before
the mirror closes may be accepted and then reset; only a refusal counts as gone.
"""

from __future__ import annotations

import random
import socket
import time
from typing import Final

from desktop.errors import SamehostError
from tests.bench.figures import Figure, Requirement, percentile
from tests.bench.load import Keeper
from tests.bench.plan import Plan
from tests.bench.stage import Stage

__all__ = ["measure_appear"]

TRY_SECONDS: Final = 0.001
PATIENCE_SECONDS: Final = 10.0
LIFE_SECONDS: Final = (0.05, 0.3)
"""Shortest and longest life of a listener after it was reached."""
REQUIRED_MS: Final = 250.0


def measure_appear(stage: Stage, plan: Plan) -> list[Figure]:
    """Both times, in milliseconds."""
    port = stage.port()
    appeared, gone = [], []
    with stage.keeper() as keeper:
        for _ in range(plan.appear_rounds):
            time.sleep(random.uniform(*plan.appear_pause))
            appeared.append(_until(keeper, "listen", port) * 1e3)
            time.sleep(random.uniform(*LIFE_SECONDS))
            gone.append(_until(keeper, "close", port) * 1e3)
    met = percentile(appeared, 99) <= REQUIRED_MS
    required = Requirement(f"p99 at most {REQUIRED_MS:.0f} ms", met)
    return [
        Figure("listen to connected", "ms", tuple(appeared), required=required),
        Figure("close to refused", "ms", tuple(gone)),
    ]


def _until(keeper: Keeper, verb: str, port: int) -> float:
    """Seconds from the container's call until the desktop sees its effect."""
    began = keeper.listen(port) if verb == "listen" else keeper.close(port)
    while _is_accepted(port) is not (verb == "listen"):
        if time.monotonic() - began > PATIENCE_SECONDS:
            raise SamehostError(f"no effect of {verb} on port {port}", "see: samehost ports")
        time.sleep(TRY_SECONDS)
    return time.monotonic() - began


def _is_accepted(port: int) -> bool | None:
    """None if the listener closed in the middle of it."""
    with socket.socket() as sock:
        sock.settimeout(PATIENCE_SECONDS)
        try:
            sock.connect(("127.0.0.1", port))
        except ConnectionRefusedError:
            return False
        except ConnectionResetError:
            return None
    return True
