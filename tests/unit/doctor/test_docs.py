"""The checks are called in the documents as they are called."""

from __future__ import annotations

import re
from pathlib import Path

from desktop.doctor.bundle import CONTENTS
from desktop.doctor.checks import CHECKS

DOCS = Path(__file__).parents[3] / "docs"
NAMES = [check.name for check in CHECKS]
HEADING = "## The checks of the doctor"


def test_the_reference_has_a_row_for_each_check_in_their_order() -> None:
    section = (DOCS / "reference.md").read_text().partition(f"{HEADING}\n")[2]
    table = section.partition("| check |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `([a-z-]+)` \|", table, re.MULTILINE) == NAMES


def test_every_check_that_a_document_names_exists_and_all_are_of_some_help() -> None:
    named = set(re.findall(r"[Cc]heck\s+`([a-z-]+)`", (DOCS / "troubleshooting.md").read_text()))
    assert named == set(NAMES)


def test_the_reference_has_a_row_for_each_file_of_a_report() -> None:
    section = (DOCS / "reference.md").read_text().partition("## A report for a bug\n")[2]
    table = section.partition("| file |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `([\w.]+)` \|", table, re.MULTILINE) == [*CONTENTS, "README.txt"]
