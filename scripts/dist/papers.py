"""Papers to the packages: what they are made of (CycloneDX), and checksums.

Rules: the bill of materials is cyclonedx-py's, of the lock of what users get, with the versions and
hashes of it; the same lock gives the same bytes. SHA256SUMS has every other file, in the form that
`sha256sum --check` reads (sha256sum(1)).
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Final

from link.version import VERSION
from scripts.dist.source import ROOT, run

__all__ = ["SUMS", "write_bill", "write_sums"]

SUMS: Final = "SHA256SUMS"
LOCK: Final = ROOT / "requirements-gui.lock"
TOOL: Final = ROOT / "build/tools/bin/cyclonedx-py"


def write_bill(target: Path) -> Path:
    """Write the bill of materials into `target`; its path. Raises SamehostError."""
    project: list[str | Path] = ["--pyproject", ROOT / "pyproject.toml"]
    form = ["--short-PURLs", "--output-reproducible"]
    bill: dict[str, Any] = json.loads(run([TOOL, "requirements", *project, *form, LOCK]))
    # The version is not in pyproject.toml: it stands in one place only.
    bill["metadata"]["component"]["version"] = VERSION
    file = target / f"samehost-{VERSION}.cdx.json"
    file.write_text(json.dumps(bill, indent=2, sort_keys=True) + "\n")
    return file


def write_sums(folder: Path) -> Path:
    """Write the checksums of all files in a folder; the path."""
    lines = [
        f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n"
        for file in sorted(folder.iterdir())
        if file.is_file() and file.name != SUMS
    ]
    (folder / SUMS).write_text("".join(lines))
    return folder / SUMS
