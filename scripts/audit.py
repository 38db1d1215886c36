"""Audits the dependencies: `make audit`. The agent has none.

    locks      every package is pinned to a version, and each file of it by its hash
    installed  what is installed here is what is locked
    known      none is known to be vulnerable, as pip-audit is told by SERVICE (pypi or osv)

Rules: what could not be looked at is a failure, and is named, never passed over: a service that
cannot be reached, or does not know a package, has not said that all is well.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, Final

__all__ = ["judge_installed", "judge_known", "judge_lock", "main"]

ROOT: Final = Path(__file__).parents[1]
LOCKS: Final = tuple(sorted(path.name for path in ROOT.glob("requirements*.lock")))
AUDITOR: Final = ROOT / "build/audit/bin/pip-audit"
SECONDS: Final = 300.0

PINNED: Final = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;]+)")
HASH: Final = re.compile(r"--hash=sha256:[0-9a-f]{64}")


def _requirements(text: str) -> list[str]:
    """The requirements of a lock, each on one line."""
    lines = text.replace("\\\n", " ").splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


def _pins(text: str) -> dict[str, str]:
    found = (PINNED.match(line) for line in _requirements(text))
    return {match[1]: match[2] for match in found if match}


def judge_lock(name: str, text: str) -> list[str]:
    """What is wrong with a lock."""
    requirements = _requirements(text)
    problems = [] if requirements else [f"{name} is empty"]
    for line in requirements:
        if not PINNED.match(line):
            problems.append(f"{name}: not pinned to a version: {line[:60]}")
        elif not HASH.search(line):
            problems.append(f"{name}: without a hash: {line[:60]}")
    return problems


def judge_installed(text: str, installed: Iterable[tuple[str, str]]) -> list[str]:
    """What of a lock is here in another version. `installed`: names and versions."""
    here = {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in installed}
    return [
        f"{name} {here[name]} is installed, not {version}"
        for name, version in _pins(text).items()
        if here.get(name, version) != version
    ]


def judge_known(name: str, answer: Sequence[dict[str, Any]], text: str) -> list[str]:
    """By what pip-audit said of each package of a lock, in its JSON."""
    problems: list[str] = []
    silent = set(_pins(text))
    for each in answer:
        package = str(each["name"])
        if "skip_reason" not in each:
            silent.discard(package)
        for found in each.get("vulns", ()):
            fixed = ", ".join(found.get("fix_versions", ())) or "no version yet"
            words = f"{package} {each['version']}: {found['id']}, mended in {fixed}"
            problems.append(f"{name}: VULNERABLE: {words}")
    if silent:
        words = f"nothing was said of {', '.join(sorted(silent))}"
        problems.append(f"{name}: NOT AUDITED: {words}")
    return problems


def _known(name: str, text: str, service: str) -> list[str]:
    options = ["--disable-pip", "--require-hashes", "--format=json", "--progress-spinner=off"]
    command = [str(AUDITOR), *options, f"--vulnerability-service={service}", "-r", name]
    try:
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return [f"{name}: NOT AUDITED: {error}"]
    try:
        return judge_known(name, json.loads(done.stdout)["dependencies"], text)
    except (ValueError, KeyError):
        said = done.stderr.strip().splitlines() or ["it said nothing"]
        return [f"{name}: NOT AUDITED: {said[-1]}"]


def main() -> int:
    """Audit everything and say what is wrong; the exit code."""
    service = os.environ.get("SERVICE", "pypi")
    here = [(each.name, each.version) for each in metadata.distributions()]
    problems: list[str] = []
    for name in LOCKS:
        text = (ROOT / name).read_text()
        found = judge_lock(name, text)
        if name == "requirements-dev.lock":
            found += judge_installed(text, here)
        found += _known(name, text, service)
        print(f"{name}: {len(_pins(text))} packages, {len(found) or 'no'} problems")
        problems += found
    for problem in problems:
        print(f"  {problem}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
