"""`samehost doctor`: named checks, each with evidence and remedy. Exit code 1 on any error.

Rules: works with no daemon, one that hangs, no machine, and without root; findings go to standard
output as they come, progress to standard error. Counterparts: `desktop/doctor/checks.py` has the
checks, `machine_doctor.py` shows the way to one machine in more steps.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path

from desktop.cli.findings import finding_as_json, print_finding
from desktop.cli.output import Progress, mapping_lines, print_json, table
from desktop.doctor.checks import CHECKS, Check, chosen
from desktop.doctor.patient import Patient
from desktop.doctor.run import exit_code, take
from desktop.errors import ExitCode
from desktop.machines.examination import Finding
from desktop.paths import Paths

__all__ = ["add_arguments", "run"]

HEAD = ("CHECK", "WHAT SHOULD BE")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """See `main.VerbModule`."""
    parser.add_argument("checks", metavar="CHECK", nargs="*", help="only these; see --list")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--list", action="store_true", help="show which checks there are")
    what.add_argument(
        "--bundle", metavar="FILE", type=Path, help="write a redacted report (.tar.gz or .zip)"
    )
    parser.add_argument("--json", action="store_true", help="as JSON")


def run(arguments: argparse.Namespace, paths: Paths) -> int:
    """See `main.VerbModule`."""
    checks = chosen(arguments.checks)
    if arguments.list:
        _list(checks, arguments.json)
        return ExitCode.DONE
    if arguments.bundle is not None:
        return _bundle(checks, paths, arguments.bundle.absolute(), arguments.json)
    findings = asyncio.run(_take(checks, paths, is_shown=not arguments.json))
    if arguments.json:
        print_json([finding_as_json(finding, "check") for finding in findings])
    return exit_code(findings)


def _list(checks: Sequence[Check], as_json: bool) -> None:
    if as_json:
        print_json([{"check": each.name, "description": each.description} for each in checks])
    else:
        print(table(HEAD, [(each.name, each.description) for each in checks], sys.stdout))


def _bundle(checks: Sequence[Check], paths: Paths, file: Path, as_json: bool) -> int:
    """Write the report, whatever it says, and say what is in it."""
    from desktop.doctor.bundle import CONTENTS, check_place, write

    check_place(file)
    write(asyncio.run(_gather(checks, paths)), file)
    if as_json:
        print_json({"file": str(file), "contents": CONTENTS})
        return ExitCode.DONE
    print(f"{file}: names, addresses, homes and secrets are replaced; look through it")
    print(mapping_lines([(f"  {name}", words) for name, words in CONTENTS.items()]))
    return ExitCode.DONE


async def _gather(checks: Sequence[Check], paths: Paths) -> dict[str, str]:
    from desktop.doctor.bundle import gather

    with Progress() as progress:
        async with contextlib.aclosing(Patient(paths)) as patient:
            taken = take(checks, patient, lambda check: progress(_doing(check)))
            findings = [finding async for finding in taken]
            progress("gathering the report")
            return await gather(patient, findings)


async def _take(checks: Sequence[Check], paths: Paths, *, is_shown: bool) -> list[Finding]:
    width = max(len(check.name) for check in CHECKS)
    findings = []
    with Progress() as progress:
        async with contextlib.aclosing(Patient(paths)) as patient:
            async for finding in take(checks, patient, lambda check: progress(_doing(check))):
                findings.append(finding)
                if is_shown:
                    progress.wipe()
                    print_finding(finding, width)
    return findings


def _doing(check: Check) -> str:
    return f"checking {check.name}: {check.description}"
