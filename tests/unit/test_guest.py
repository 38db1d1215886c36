"""What `tests/e2e/guest.py` does about a kernel that does not get as far as the command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import guest
from tests.e2e.guest import BOOTS, Ended, GuestError, run_in_guest

PANIC = "Oops: int3: 0000\nKernel panic - not syncing: Fatal exception in interrupt"


class Emulator:
    """Stands for it: what its guest writes at each boot, by name of the file."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *written: dict[str, str]) -> None:
        self.written = list(written)
        monkeypatch.setattr(guest, "_boot", self.boot)

    def boot(self, _kernel: Path, files: Any, *_: object) -> str:
        for name, text in self.written.pop(0).items():
            getattr(files, name).write_text(text)
        return ""


def run(folder: Path) -> Ended:
    return run_in_guest(folder, b"", ["true"], 1.0)


def test_a_kernel_that_panics_before_the_command_begins_is_booted_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    result = json.dumps({"status": 7, "report": "told"})
    emulator = Emulator(monkeypatch, {"console": PANIC}, {"output": "said", "result": result})
    assert run(tmp_path) == Ended(7, "said", "told")
    assert emulator.written == []


@pytest.mark.parametrize(
    ("written", "boots"),
    [
        ({"console": PANIC}, BOOTS),
        ({"console": PANIC, "output": "the command began"}, 1),
        ({"console": "the init ended"}, 1),
    ],
    ids=["always", "later", "no panic"],
)
def test_what_else_keeps_a_guest_from_its_end_is_told_with_its_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, written: dict[str, str], boots: int
) -> None:
    emulator = Emulator(monkeypatch, *[written] * BOOTS)
    with pytest.raises(GuestError, match=written["console"].splitlines()[-1]):
        run(tmp_path)
    assert len(emulator.written) == BOOTS - boots
