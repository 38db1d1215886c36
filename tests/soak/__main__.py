"""Load and faults at random for a while: `python -m tests.soak --seconds 180 --seed N`.

    clients here ─▶ mirrors ─▶ container's servers       faults, one after the other
    client there ─▶ stubs   ─▶ servers here              oracle: every byte, every port

Rules: what happens follows from the seed, which is printed; when it happens does not. Ends with 1
if a byte was wrong, a client was cut off without a fault or not told so, something did not heal,
something was open that should not be, or something is left. Needs root, and the packages of the
sandbox.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from typing import Final

from link.dial import KEEPALIVE_IDLE_SECONDS, KEEPALIVE_INTERVAL_SECONDS, KEEPALIVE_PROBES
from tests.integration.samehost import Samehost, quiet_ports, until
from tests.integration.servers import ECHO, UDP_ECHO
from tests.soak.daemon import WAYS
from tests.soak.faults import FAULTS
from tests.soak.injuries import impossible
from tests.soak.levels import Level, at_rest, beyond, connections, levels
from tests.soak.load import CLIENT, echoing, heard_there, loaded
from tests.soak.oracle import Oracle
from tests.soak.scene import HEAL_SECONDS, Scene, heal, learn, running, settle

__all__ = ["main"]

CLIENTS: Final = 4
CALM: Final = (0.5, 3.0)
"""Seconds between faults, in which everything has to succeed."""
SETTLE_SECONDS: Final = (
    30.0 + KEEPALIVE_IDLE_SECONDS + KEEPALIVE_PROBES * KEEPALIVE_INTERVAL_SECONDS
)
"""A stream whose end was lost on its way is found by keep-alive."""
SHOWN: Final = 40
SHOWN_BYTES: Final = 8000
SLOW_SECONDS: Final = 20.0
"""A healing that takes longer is worth a look at the log."""
STREAMS: Final = {"unix": "unix", "tcp": "tcp"}
"""What kind of socket a stream is."""


def main(arguments: list[str] | None = None) -> int:
    """Soak, and say how it went; 1 if something was not right."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak")
    parser.add_argument("--seconds", type=int, default=180)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # takes away what was made
    chance = random.Random(options.seed)
    way, by_stubs = chance.choice(WAYS), chance.choice((True, False))
    how = f"streams over {way}, ports of this computer by {'stubs' if by_stubs else 'redirect'}"
    _say(f"seed {options.seed}, {options.seconds} s: {how}")
    oracle = Oracle()
    with running(way, by_stubs=by_stubs) as samehost:
        _soak(samehost, way, by_stubs, oracle, chance, options.seconds)
    found = oracle.judge()
    _say(oracle.summary())
    for line in found[:SHOWN]:
        _say(f"NOT RIGHT: {line}")
    flows, size = oracle.figures()
    faults = ", ".join(f"{n} {name}" for name, n in sorted(Counter(oracle.names()).items()))
    _say(
        f"| {options.seed} | {options.seconds} | {flows} | {size >> 20} | {faults} | {len(found)} |"
    )
    return int(bool(found))


def _soak(
    samehost: Samehost,
    way: str,
    by_stubs: bool,
    oracle: Oracle,
    chance: random.Random,
    seconds: int,
) -> None:
    there, here = quiet_ports(2), quiet_ports(2)
    with echoing(here), _served(samehost, there) as servers:
        scene = Scene(samehost, way, there, here, servers, by_stubs)
        learn(scene)
        start = at_rest(samehost, STREAMS[way])
        with samehost.python(CLIENT, str(chance.randrange(1 << 32)), str(here)) as client:
            with loaded(oracle, chance.randrange(1 << 32), there, CLIENTS):
                _injure(scene, oracle, chance, seconds)
            heard_there(oracle, samehost.docker("logs", client))
        heal(scene)
        oracle.quiet(settle(scene))
        _settled(samehost, oracle, STREAMS[way], start)
    until(lambda: not samehost.rows(there), "the rows to go", HEAL_SECONDS)


@contextlib.contextmanager
def _served(samehost: Samehost, port: int) -> Iterator[tuple[str, ...]]:
    with samehost.python(ECHO, str(port)) as tcp:
        with samehost.python(UDP_ECHO, "0.0.0.0", str(port + 1)) as udp:
            yield tcp, udp


def _injure(scene: Scene, oracle: Oracle, chance: random.Random, seconds: int) -> None:
    deadline = time.monotonic() + seconds
    for name in _rounds(sorted(FAULTS.keys() - impossible(scene.way)), chance):
        if time.monotonic() > deadline:
            return
        time.sleep(chance.uniform(*CALM))
        begin = time.monotonic()
        FAULTS[name](scene)
        heal(scene)
        oracle.fault(begin, name)
        took = time.monotonic() - begin
        found = settle(scene)
        oracle.quiet(found)
        _say("; ".join([f"{name}: well after {took:.1f} s", *found]))
        if took > SLOW_SECONDS:
            _say(scene.samehost.run("logs")[-SHOWN_BYTES:])


def _rounds(names: list[str], chance: random.Random) -> Iterator[str]:
    """Each of them, in another order each time, so that a short soak has most."""
    while True:
        yield from chance.sample(names, len(names))


def _settled(samehost: Samehost, oracle: Oracle, stream: str, start: dict[str, Level]) -> None:
    """See both processes come down to what they held at the start."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while found := beyond(now := levels(samehost, stream), start):
        if time.monotonic() > deadline:
            oracle.quiet(found)
            _say(f"{connections(samehost)}\n{samehost.run('logs')[-SHOWN_BYTES:]}")
            break
        time.sleep(1.0)
    for who, level in now.items():
        _say(f"{who} at the start: {start[who].words()}\n{who} at the end:   {level.words()}")


def _say(words: str) -> None:
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
