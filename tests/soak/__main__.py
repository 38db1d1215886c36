"""Load and faults at random for a while: `python -m tests.soak --seconds 180 --seed N`.

    clients here ─▶ mirrors ─▶ container's servers       faults, one after the other
    client there ─▶ stubs   ─▶ servers here              oracle: every byte, every port

Rules: what happens follows from the seed, which is printed; when it happens does not. Ends with 1
if a byte was wrong, a client was cut off without a fault, something did not heal, or something is
left. Needs root, and the packages of the sandbox.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import sys
import time
from collections.abc import Iterator
from typing import Final

from tests.integration.samehost import Samehost, quiet_ports, running_samehost, until
from tests.integration.servers import ECHO, UDP_ECHO
from tests.soak.faults import FAULTS, Scene, heal
from tests.soak.levels import Level, level_of
from tests.soak.load import CLIENT, echoing, heard_there, loaded
from tests.soak.oracle import Oracle

__all__ = ["main"]

CLIENTS: Final = 4
CALM: Final = (0.5, 3.0)
"""Seconds between faults, in which everything has to succeed."""
SETTLE_SECONDS: Final = 30.0
SHOWN: Final = 20
SHOWN_BYTES: Final = 8000
SLOW_SECONDS: Final = 9.0
"""A healing that takes longer is worth a look at the log."""


def main(arguments: list[str] | None = None) -> int:
    """Soak, and say how it went; 1 if something was not right."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak")
    parser.add_argument("--seconds", type=int, default=180)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    options = parser.parse_args(arguments)
    _say(f"seed {options.seed}, {options.seconds} s")
    oracle = Oracle()
    with running_samehost() as samehost:
        _soak(samehost, oracle, random.Random(options.seed), options.seconds)
    found = oracle.judge()
    _say(oracle.summary())
    for line in found[:SHOWN]:
        _say(f"NOT RIGHT: {line}")
    _say(f"{len(found)} things were not right" if found else "all was right")
    return int(bool(found))


def _soak(samehost: Samehost, oracle: Oracle, chance: random.Random, seconds: int) -> None:
    there, here = quiet_ports(2), quiet_ports(2)
    with echoing(here), _served(samehost, there) as servers:
        scene = Scene(samehost, there, here, servers)
        heal(scene)
        with loaded(oracle, 0, there, CLIENTS):
            time.sleep(CALM[1])
        start = _levels(samehost)
        with samehost.python(CLIENT, str(chance.randrange(1 << 32)), str(here)) as client:
            with loaded(oracle, chance.randrange(1 << 32), there, CLIENTS):
                _injure(scene, oracle, chance, seconds)
            heard_there(oracle, samehost.docker("logs", client))
        heal(scene)
        for who, before in start.items():
            _settled(samehost, oracle, who, before)
    until(lambda: not samehost.rows(there), "the rows to go", SETTLE_SECONDS)


@contextlib.contextmanager
def _served(samehost: Samehost, port: int) -> Iterator[tuple[str, ...]]:
    with samehost.python(ECHO, str(port)) as tcp:
        with samehost.python(UDP_ECHO, "0.0.0.0", str(port + 1)) as udp:
            yield tcp, udp


def _injure(scene: Scene, oracle: Oracle, chance: random.Random, seconds: int) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        time.sleep(chance.uniform(*CALM))
        name = chance.choice(sorted(FAULTS))
        begin = time.monotonic()
        FAULTS[name](scene)
        heal(scene)
        oracle.fault(begin, name)
        took = time.monotonic() - begin
        _say(f"{name}: well after {took:.1f} s")
        if took > SLOW_SECONDS:
            _say(scene.samehost.run("logs")[-SHOWN_BYTES:])


def _levels(samehost: Samehost) -> dict[str, Level]:
    return {"daemon": level_of(samehost.daemon()), "agent": level_of(samehost.agent())}


def _settled(samehost: Samehost, oracle: Oracle, who: str, start: Level) -> None:
    """See a process come down to what it held at the start."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while words := _levels(samehost)[who].beyond(start):
        if time.monotonic() > deadline:
            oracle.require(False, f"{who}: {words}")
            return
        time.sleep(0.5)
    now = _levels(samehost)[who]
    memory = f"{start.memory >> 20} MiB, then {now.memory >> 20}"
    _say(f"{who}: {start.files} files, then {now.files}; {memory}")


def _say(words: str) -> None:
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
