"""Times and sizes that documents tell are those of the code."""

from __future__ import annotations

import pytest

from desktop.api.messages import MAX_LINE
from desktop.daemon.place import LOOK_SECONDS
from desktop.doctor.agent import MOST_CLOCK_SECONDS
from desktop.doctor.bundle import LOG_BYTES, LOG_LINES, MACHINE_LOG_LINES
from desktop.machines.found.finder import FIND_SECONDS
from desktop.machines.found.tools import ASK_SECONDS, MOST_BYTES
from desktop.mirror.reconcile import CONFLICT_RETRY_SECONDS, GRACE_SECONDS
from desktop.settings.keys import KEYS
from link import labels, polling
from link.datagrams import back
from link.datagrams.stream import BACKLOG_BYTES
from link.handshake import SECRET_SIZE
from link.maturity import MATURITY_SECONDS
from link.mux import frames, session
from link.relay import kernel as pipes
from link.relay.framed import RAW_AFTER
from link.relay.halves import SHORT_TURN_BYTES, TURN_BYTES
from link.session import LEASE_SECONDS
from tests.docs.pages import pages
from vmagent.agent import ORPHAN_SECONDS
from vmagent.watch import binds

KIB, MIB = 1 << 10, 1 << 20
CLOCK = f"{polling.FAST:g} to {polling.SLOW:g} s"
IDLE, FLOWS = (KEYS[name].default for name in ("udpIdleSeconds", "maxUdpFlows"))
WORST = (session.MAX_STREAMS * session.FIRST_WINDOW + session.EXTRA_MEMORY) // MIB

SAID = (
    ("how-it-works", f"again every {binds.RETRY_SECONDS:g} s: eBPF"),
    ("how-it-works", f"`paused` for {GRACE_SECONDS:g} s"),
    ("how-it-works", f"given up after {LEASE_SECONDS:g} s"),
    ("how-it-works", f"has moved {RAW_AFTER // KIB} KiB"),
    ("how-it-works", f"make {pipes.MAX_SPARE_PIPES} pipes of {pipes.PIPE_SIZE // MIB} MiB when"),
    ("how-it-works", f"have {pipes.MOST_LARGE} at most and {pipes.SMALLEST // KIB} KiB for each"),
    ("how-it-works", f"Bulk moves {TURN_BYTES // KIB} KiB at a time"),
    ("how-it-works", f"{SHORT_TURN_BYTES // KIB} KiB while there are questions"),
    ("how-it-works", f"{session.FIRST_WINDOW // KIB} KiB at first, up to"),
    ("how-it-works", f"up to {session.MAX_WINDOW // MIB} MiB while its reader keeps up"),
    ("how-it-works", f"({WORST} MiB for {session.MAX_STREAMS} streams at the very worst)"),
    ("how-it-works", f"Frames are at most {frames.MAX_PAYLOAD // KIB} KiB"),
    ("how-it-works", f"A flow ends after {IDLE} s of silence"),
    ("how-it-works", f"a table of {FLOWS} is full"),
    ("how-it-works", f"ends the flow {back.GRACE_SECONDS:g} s later"),
    ("how-it-works", f"a queue of {BACKLOG_BYTES // KIB} KiB that drops its oldest"),
    ("how-it-works", f"a fresh {SECRET_SIZE * 8}-bit secret"),
    ("how-it-works", f"each within {FIND_SECONDS:g} s, a program within {ASK_SECONDS:g} s"),
    ("how-it-works", f"and {MOST_BYTES // MIB} MiB of output"),
    ("machines", f"one that hangs is given up after {ASK_SECONDS:g} s"),
    ("ssh", f"ends by its lease, after {ORPHAN_SECONDS:g} s"),
    ("guide", f"ends after {IDLE} s of silence"),
    ("guide", f"For more than {FLOWS} at once"),
    ("reference", f"found by looking every {CLOCK}"),
    ("reference", f"neither: a clock, {CLOCK}"),
    ("reference", f"seen within {binds.HEALTH_SECONDS:g} s, attached anew"),
    ("reference", f"its machine has been away for {GRACE_SECONDS:g} s"),
    ("reference", f"JSON lines of at most {MAX_LINE // MIB} MiB"),
    ("reference", f"Clocks may differ by {MOST_CLOCK_SECONDS:g} s"),
    ("reference", f"the last {LOG_LINES} lines, at most {LOG_BYTES // KIB} KiB"),
    ("reference", f"of the sandboxes' the last {MACHINE_LOG_LINES}"),
    ("reference", f"at most {labels.MOST_LABELS} are kept, with {labels.ALL_LETTERS} letters"),
    ("reference", f"cut after {labels.VALUE_LETTERS} letters"),
    ("reference", f"whose name has more than {labels.NAME_LETTERS}, or letters"),
)
"""Page, and what stands there with the code's own numbers."""


@pytest.mark.parametrize(("page", "words"), SAID)
def test_a_number_of_a_document_is_the_codes(page: str, words: str) -> None:
    assert words in " ".join(pages()[f"docs/{page}.md"].prose.split())


def test_numbers_that_stand_as_words_are_right_too() -> None:
    assert MATURITY_SECONDS == 1.0  # "when it has lived for a second"
    assert max(CONFLICT_RETRY_SECONDS) == 1.0  # "is tried again at least every second"
    assert LOOK_SECONDS < 1.0  # "lock and socket are made anew within a second"
