"""`samehost up` while `samehost down` is at work, with the real daemon and its sandbox."""

from __future__ import annotations

import subprocess

from tests.ended import ended
from tests.integration.samehost import running_samehost


def test_an_up_during_a_down_waits_and_has_the_last_word() -> None:
    with running_samehost() as samehost:
        before = samehost.daemon()
        command = subprocess.Popen(
            samehost.command("down"),
            env=samehost.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        with ended(command) as down:
            assert down.stderr is not None
            assert down.stderr.readline() == "closing the mirrors\n"
            up = samehost.try_run("up", "--machine", "sandbox")
            said, errors = down.communicate(timeout=90)
        assert (up.returncode, down.returncode) == (0, 0), up.stderr + errors
        assert said == "Samehost has stopped.\n"
        assert "runs already" not in up.stderr
        assert samehost.daemon() != before
        assert samehost.status()["machine"]["state"] == "connected"
