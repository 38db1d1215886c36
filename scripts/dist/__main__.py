"""Builds what people install into `dist/`, and says what and how large: `make dist`.

    python -m scripts.dist          wheel, sdist, agent, manual, packages for Debian, bill, sums
    python -m scripts.dist try      installs, tries and purges the packages in clean systems

Rules: what cannot be built here is said, and is no failure; what can be and fails is one.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from desktop.errors import ExitCode, SamehostError
from desktop.machines.agent_bundle import SIZE_LIMIT, build_agent
from link.version import VERSION
from scripts.dist.deb import build_debs
from scripts.dist.papers import write_bill, write_sums
from scripts.dist.roots import RELEASES, try_packages
from scripts.dist.shared import shared_files
from scripts.dist.source import DIST, run
from scripts.dist.wheel import build_wheel

KIB = 1024


def main(arguments: list[str]) -> int:
    """Build, or try what was built; the exit code."""
    try:
        if arguments == ["try"]:
            _try()
        elif arguments:
            print("usage: python -m scripts.dist [try]", file=sys.stderr)
            return ExitCode.USAGE
        else:
            _build()
    except SamehostError as error:
        print(f"dist: {error}\n{error.remedy}", file=sys.stderr)
        return int(error.code)
    return ExitCode.DONE


def _build() -> None:
    shutil.rmtree(DIST, ignore_errors=True)
    DIST.mkdir()
    shared = shared_files()
    wheel, sdist = build_wheel(DIST, shared)
    _tell(wheel, "pip, pipx, uv: any platform")
    _tell(sdist, "its source")
    agent = DIST / f"samehost-agent-{VERSION}.pyz"
    size = build_agent(agent)
    _tell(agent, f"runs in the machine; {size * 100 // SIZE_LIMIT} % of what is allowed")
    manual = DIST / "samehost.1"
    manual.write_text(shared["man/man1/samehost.1"])
    _tell(manual, "the manual page")
    if shutil.which("dpkg-deb"):
        for deb in build_debs(wheel, DIST, shared):
            _tell(deb, "Debian 12 and 13")
    else:
        print("no packages for Debian: this is not Debian")
    _tell(write_bill(DIST), "what it is made of (CycloneDX)")
    _tell(write_sums(DIST), "checksums")
    print("not built here: Flatpak, macOS, Windows (docs/install.md)")


def _tell(file: Path, words: str) -> None:
    print(f"{file.stat().st_size / KIB:10.1f} KiB  {file.name}  {words}", flush=True)


def _try() -> None:
    debs = sorted(DIST.glob("*.deb"), reverse=True)
    if not debs or not shutil.which("mmdebstrap") or os.geteuid() != 0:
        print("skipped: needs packages in dist/ (make dist), mmdebstrap, and root")
        return
    if shutil.which("lintian"):
        run(["lintian", "--allow-root", "--fail-on", "error,warning", *debs])
        print("lintian: nothing to complain about", flush=True)
    for release in RELEASES:
        for line in try_packages(release, debs, VERSION):
            print(f"{release}: {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
