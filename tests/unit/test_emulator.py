"""What every emulated computer is told, whichever of the two kinds it is."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.e2e.emulator import EMULATED
from tests.e2e.guest import GuestError, run_in_guest
from tests.e2e.vm.files import VmImage
from tests.e2e.vm.qemu import command

Commanded = Callable[[Path], Sequence[str]]


def vm_command(folder: Path) -> Sequence[str]:
    image = VmImage(folder)
    image.accelerator_file.write_text(EMULATED)
    return command(image, 2222, 3, folder / "console", is_restored=False)


def guest_command(folder: Path) -> Sequence[str]:
    told: list[Sequence[str]] = []

    def run(argv: Sequence[str], **_: object) -> subprocess.CompletedProcess[str]:
        told.append(argv)
        return subprocess.CompletedProcess(argv, 0, "", "")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subprocess, "run", run)
        with pytest.raises(GuestError):
            run_in_guest(folder, b"", ["true"], 1.0)
    return told[0]


@pytest.mark.parametrize("commanded", [vm_command, guest_command])
def test_its_kernel_reads_a_clock_and_does_not_guess_it_from_the_processor(
    commanded: Commanded, tmp_path: Path
) -> None:
    words = list(commanded(tmp_path))
    assert "clocksource=hpet" in words[words.index("-append") + 1].split()


@pytest.mark.parametrize("commanded", [vm_command, guest_command])
def test_it_ends_with_who_started_it(commanded: Commanded, tmp_path: Path) -> None:
    assert list(commanded(tmp_path))[:3] == ["setpriv", "--pdeathsig", "KILL"]
