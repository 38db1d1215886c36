"""All parsers, by name. Who writes a parser puts it into the table of its room."""

from __future__ import annotations

from typing import Final

from tests.fuzz.of_desktop import OF_DESKTOP
from tests.fuzz.of_link import OF_LINK
from tests.fuzz.of_machine import OF_MACHINE
from tests.fuzz.parser import Parser

__all__ = ["PARSERS"]

PARSERS: Final[tuple[Parser, ...]] = (*OF_LINK, *OF_MACHINE, *OF_DESKTOP)
