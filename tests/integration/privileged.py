"""Privileged containers in a machine whose computer may not have all that `--privileged` gives.

An engine gives a privileged container every capability that it knows, and the runtime fails if one
of them cannot be had: as where these tests run in something with less. There the runtime is told
to leave out those. Nothing else of `--privileged` changes.

Counterparts: `test_agent_in_container.py`, `test_old_cgroups.py`.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator
from typing import Final

from tests.integration.engines import Inside

__all__ = ["allow_privileged"]

RUNTIME: Final = "/run/runtime"
REAL_RUNTIME: Final = "/run/real-runtime"

PROGRAM: Final = """#!/usr/bin/python3 -I
import json, os, sys

missing = frozenset({missing})
if "create" in sys.argv:
    path = sys.argv[sys.argv.index("--bundle") + 1] + "/config.json"
    with open(path) as file:
        config = json.load(file)
    for names in config["process"]["capabilities"].values():
        names[:] = [name for name in names if name not in missing]
    with open(path, "w") as file:
        json.dump(config, file)
os.execv("{real}", ["runc", *sys.argv[1:]])
"""
"""Stands before the runtime; what is created is as in the OCI runtime specification."""


@contextlib.contextmanager
def allow_privileged(inside: Inside) -> Iterator[None]:
    """Meanwhile the machine's engines can start privileged containers."""
    missing = _missing_capabilities()
    if not missing:
        yield
        return
    program = PROGRAM.format(missing=json.dumps(missing), real=REAL_RUNTIME)
    runtime = inside.sh('realpath "$(command -v runc)"')
    inside.run("tee", RUNTIME, text=program)
    inside.sh(
        'chmod 755 "$1"; cp "$2" "$3"; mount --no-mtab --bind "$1" "$2"',
        *(RUNTIME, runtime, REAL_RUNTIME),
    )
    try:
        yield
    finally:
        inside.run("umount", "--no-mtab", "--lazy", runtime)


def _missing_capabilities() -> list[str]:
    """The capabilities that this kernel knows and this computer's processes cannot have."""
    known = set(_said("setpriv", "--list-caps").split())
    (bounds,) = (
        line.partition(":")[2]
        for line in _said("setpriv", "--dump").splitlines()
        if line.startswith("Capability bounding set")
    )
    had = {name.strip() for name in bounds.split(",")}
    return sorted(f"CAP_{name.upper()}" for name in known - had)


def _said(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout
