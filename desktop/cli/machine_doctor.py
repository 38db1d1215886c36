"""`samehost machine doctor`: the way to a machine step by step, each with its evidence.

Rules: the daemon is not needed and not disturbed: connection and agent are this command's own, and
end with it. Counterpart: `desktop/machines/examination.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

from desktop.cli.current import current_engine, open_registry
from desktop.cli.findings import finding_as_json, print_finding
from desktop.cli.output import print_json
from desktop.errors import ExitCode
from desktop.machines.examination import Finding, examine, exit_code
from desktop.machines.registry import Registry
from desktop.paths import Paths

__all__ = ["examine_machine"]

WIDTH: Final = 12
"""Columns of the step's name."""


def examine_machine(paths: Paths, name: str | None, as_json: bool) -> ExitCode:
    """Look at the machine of that name, or the current one, and say what was seen."""
    if name is None:
        name = current_engine(paths).machine
    findings = asyncio.run(_examine(open_registry(paths), name, _ignore if as_json else _print))
    if as_json:
        print_json([finding_as_json(finding, "step") for finding in findings])
    return exit_code(findings)


async def _examine(registry: Registry, name: str, tell: Callable[[Finding], None]) -> list[Finding]:
    findings = []
    async with contextlib.aclosing(await registry.get(name)) as machine:
        async for finding in examine(machine.steps()):
            tell(finding)
            findings.append(finding)
    return findings


def _ignore(_finding: Finding) -> None:
    """It is told later."""


def _print(finding: Finding) -> None:
    print_finding(finding, WIDTH)
