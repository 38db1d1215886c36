"""Pictures of every page in every state, in light and dark, at both scales, for people to look at.

They are in build/screenshots. What can be judged without eyes is judged here.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
from PySide6.QtGui import QColor, QImage

from tests.ended import ended
from tests.gui.cases import CASES
from tests.gui.pictures import PALETTES

PROJECT: Final = Path(__file__).parents[2]
FOLDER: Final = PROJECT / "build" / "screenshots"
SCALES: Final = (1, 2)
PATIENCE: Final = 100.0

MOST_OF_ONE_COLOUR: Final = 0.995
"""Of a picture on which there is something to see."""
SAMPLE: Final = 3
"""Every so many pixels are looked at."""


@pytest.fixture(scope="module", autouse=True)
def pictures() -> None:
    """Taken by two programs at once: a program has one scale."""
    with contextlib.ExitStack() as stack:
        programs = [stack.enter_context(ended(taking(scale))) for scale in SCALES]
        said = [program.communicate(timeout=PATIENCE)[1] for program in programs]
    assert [program.returncode for program in programs] == [0, 0], "\n".join(said)


def taking(scale: int) -> subprocess.Popen[str]:
    """The program that takes those of one scale."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.gui.pictures", str(FOLDER)],
        cwd=PROJECT,
        env=os.environ | {"QT_SCALE_FACTOR": str(scale)},
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("palette", PALETTES)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_state_has_pictures_of_both_scales_in_its_colours(case: object, palette: str) -> None:
    name = getattr(case, "name", "")
    small, large = (QImage(str(FOLDER / f"{name}-{palette}-{scale}x.png")) for scale in SCALES)
    assert small.size() * 2 == large.size()
    assert small.width() >= 600
    window = PALETTES[palette]().window().color()
    for image in (small, large):
        colours = sample(image)
        assert max(colours.values()) / sum(colours.values()) < MOST_OF_ONE_COLOUR, "it is blank"
        assert colours.get(window.rgb(), 0) > 0.1 * sum(colours.values()), "of other colours"


def sample(image: QImage) -> dict[int, int]:
    found: dict[int, int] = {}
    for y in range(0, image.height(), SAMPLE * 4):
        for x in range(0, image.width(), SAMPLE):
            colour = QColor(image.pixel(x, y)).rgb()
            found[colour] = found.get(colour, 0) + 1
    return found
