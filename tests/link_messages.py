"""A message of each kind that crosses the link, as an end may really send it.

Counterparts: `tests/unit/link/test_messages.py` sees that each survives the wire and breaks each
field of it; `tests/fuzz/of_link.py` begins with them.
"""

from __future__ import annotations

from typing import Final

from link.listener import Container, Listener
from link.messages import (
    Beat,
    Bye,
    Condition,
    Counts,
    Delta,
    EngineState,
    Inquiry,
    Message,
    Resync,
    Snapshot,
    StubKey,
    StubResult,
    StubResults,
    Stubs,
    Trial,
    TrialEnd,
    TrialOpened,
    TrialResults,
    UdpLimits,
    Wanted,
    Watching,
    Welcome,
)

__all__ = ["CONTAINER", "MESSAGES", "WEB", "WELCOME", "of"]

WELCOME: Final = Welcome("0.1.0", "3.9.2", "6.1", "vm", "sock_diag")
"""An agent's first word."""
WEB: Final = Listener(
    7,
    "tcp",
    "0.0.0.0",
    80,
    inode=9,
    container=Container("ab", "", "docker"),
    process="nginx",
    pid=5,
)
"""A listener, with its container by reference, as one crosses."""
CONTAINER: Final = Container(
    "ab", "web", "docker", "nginx:1", (("note", "a\n\x1b[31m"), ("tier", "é"))
)
MESSAGES: Final[tuple[Message, ...]] = (
    WELCOME,
    Snapshot(1, first=True, last=True, listeners=(WEB,), containers=(CONTAINER,)),
    Delta(
        1, 2, (WEB, Listener(8, "tcp", "::", 81, v6only=False)), (3, 2**64 - 1), (CONTAINER,) * 2
    ),
    StubResults((StubResult(StubKey("127.0.0.1", 80), is_open=False, errno=98, detail="in use"),)),
    Wanted(3),
    Beat(),
    Resync(),
    Stubs((StubKey("::1", 80),), (StubKey("127.0.0.1", 81, "udp"),)),
    UdpLimits(90, 1024),
    Bye(),
    Watching("eBPF; detached and healed once"),
    Inquiry(7),
    Condition(7, 1_700_000_000_000, 0, 2**41 - 1, 2**20, 40, (EngineState("/run/x", "asleep"),)),
    Trial(1, 0, 65535),
    TrialOpened(1, 4000, 4001, ""),
    TrialResults(1, "", "no answer within 3 s", 1500, 0),
    TrialEnd(),
    Counts({"events_lost": 3, "strangers_refused": 2**62}),
)
"""One of each kind."""


def of(kind: type[Message]) -> Message:
    """The one of that kind."""
    (message,) = (each for each in MESSAGES if type(each) is kind)
    return message
