"""`python -m tests.e2e.vm`: makes the VM of the tests, unless it is there; with `try` runs it.

It ends with 0 also where there can be no VM, and says why: tests that need it are skipped there.
"""

from __future__ import annotations

import sys

from tests.e2e.vm.machine import restored
from tests.e2e.vm.prepare import missing, prepared, tell


def main(arguments: list[str]) -> None:
    """Make it; with "try" run it until Enter is pressed."""
    if reason := missing():
        tell(f"No VM for tests: {reason}")
        return
    image = prepared()
    if arguments == ["try"]:
        with restored(image) as vm:
            input(f"ssh -F {vm.ssh_config} vm     (Enter ends it) ")


if __name__ == "__main__":
    main(sys.argv[1:])
