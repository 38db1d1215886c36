"""How QEMU is started, whatever it emulates: bare, tied to us, and with a clock to rely on.

    [*STARTED, … devices …, *booted(kernel, first_disk, "more=words")]

The clock is one that is read (the HPET). How fast a processor counts the kernel guesses while it
starts, and on a busy computer so wrongly that an hour in the guest may be a few minutes here.

Rules: it ends with the thread that started it, even when that is killed (prctl(2),
PR_SET_PDEATHSIG). Limits: x86-64. Counterparts: `guest`, `vm/qemu.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

__all__ = ["EMULATED", "EMULATOR", "PROCESSOR", "STARTED", "booted"]

EMULATOR: Final = "qemu-system-x86_64"

STARTED: Final = (
    *("setpriv", "--pdeathsig", "KILL", EMULATOR),
    *("-nodefaults", "-no-user-config", "-display", "none"),
)
"""The command's begin: nothing is there but what is asked for."""

EMULATED: Final = "tcg,thread=multi"
"""What `-accel` takes where the processor does not help."""

PROCESSOR: Final = "Nehalem"
"""The same everywhere, since a saved state fits that one only."""

WORDS: Final = (
    "console=ttyS0 quiet panic=-1 mitigations=off nokaslr clocksource=hpet no_timer_check "
    "random.trust_cpu=on rcupdate.rcu_expedited=1"
)
"""To every kernel. panic=-1 ends the emulator at once; what is not the clock's saves time."""


def booted(kernel: Path, first_disk: Path, words: str = "") -> tuple[str, ...]:
    """The arguments that boot a kernel, with a first disk in memory and more words to it."""
    told = f"{WORDS} {words}".rstrip()
    return ("-kernel", str(kernel), "-initrd", str(first_disk), "-append", told)
