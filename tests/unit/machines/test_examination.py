"""Step by step, up to the first that fails."""

from __future__ import annotations

import asyncio

from desktop.errors import ExitCode, SamehostError
from desktop.machines.examination import Finding, Step, examine, exit_code
from desktop.transports.transport import TransportError


async def fine() -> str:
    return "as it should be"


async def broken() -> str:
    raise SamehostError("it is broken", "mend it")


async def closed() -> str:
    raise TransportError("no way")


def findings_of(*steps: Step) -> list[Finding]:
    async def body() -> list[Finding]:
        return [finding async for finding in examine(steps)]

    return asyncio.run(body())


def test_all_is_well() -> None:
    findings = findings_of(Step("one", fine, is_way=True), Step("two", fine))
    assert [(each.step, each.state, each.evidence) for each in findings] == [
        ("one", "ok", "as it should be"),
        ("two", "ok", "as it should be"),
    ]
    assert exit_code(findings) == ExitCode.DONE


def test_what_comes_after_a_failure_is_not_reached() -> None:
    findings = findings_of(Step("one", fine), Step("two", broken), Step("three", fine))
    assert [each.state for each in findings] == ["ok", "failed", "not reached"]
    assert (findings[1].evidence, findings[1].remedy) == ("it is broken", "mend it")
    assert exit_code(findings) == ExitCode.FAILED


def test_a_machine_that_cannot_be_reached_has_an_exit_code_of_its_own() -> None:
    findings = findings_of(Step("way", closed, is_way=True), Step("two", fine))
    assert findings[0].evidence == "no way"
    assert exit_code(findings) == ExitCode.MACHINE_UNREACHABLE
