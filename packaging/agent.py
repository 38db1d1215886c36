"""Builds the agent as it travels to the machine, and prints its size: `make agent`."""

from __future__ import annotations

import sys
from pathlib import Path

from desktop.errors import SamehostError
from desktop.machines.agent_bundle import SIZE_LIMIT, build_agent

__all__ = ["main"]


def main(arguments: list[str]) -> int:
    """Build to the path given, by default build/samehost-agent.pyz."""
    target = Path(arguments[0]) if arguments else Path("build/samehost-agent.pyz")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        size = build_agent(target)
    except SamehostError as error:
        sys.stderr.write(f"agent: {error}\n")
        return error.code
    sys.stdout.write(f"{target}: {size / 1024:.1f} KiB of {SIZE_LIMIT // 1024} KiB allowed\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
