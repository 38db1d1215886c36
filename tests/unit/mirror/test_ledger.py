"""What the ledger keeps, beyond what the reconciler's transcripts show."""

from __future__ import annotations

from desktop.mirror.ledger import NOTICE_QUIET_SECONDS, Ledger
from desktop.mirror.model import State
from tests.unit.mirror.make import machine_binding, wish_of


def test_conflicts_that_are_over_for_good_are_forgotten() -> None:
    ledger = Ledger()
    wishes = [wish_of(machine_binding("0.0.0.0", port)) for port in range(1, 100)]
    for wish in wishes:
        ledger.show(wish, State.CONFLICT, "busy", 0.0)
    assert len(ledger.take_notices()) == len(wishes)
    for wish in wishes:
        ledger.remove(wish.binding, 1.0)
    ledger.forget_disputes(NOTICE_QUIET_SECONDS)
    assert len(ledger._disputes) == len(wishes)
    ledger.forget_disputes(1.0 + NOTICE_QUIET_SECONDS)
    assert not ledger._disputes
    assert not list(ledger.conflicts)


def test_the_state_of_a_row_dates_from_its_last_change_of_state_not_of_words() -> None:
    ledger = Ledger()
    wish = wish_of(machine_binding("0.0.0.0", 80))
    ledger.show(wish, State.CONFLICT, "nginx has it", 1.0)
    ledger.show(wish, State.CONFLICT, "apache has it", 2.0)
    row = ledger.row(wish.binding)
    assert row is not None
    assert (row.reason, row.since) == ("apache has it", 1.0)
