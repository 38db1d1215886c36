"""A data path in a process of its own, to be killed.

`python -m tests.contract.sudden_end PORT HOW` leads to a server on loopback, and prints where it
listens; its streams may be RAW if HOW is "raw". Counterpart: `test_sudden_end.py`.
"""

from __future__ import annotations

import asyncio
import sys

from link.loop import run
from tests.contract.data_path import DataPath


async def _stay(port: int, *, may_be_raw: bool) -> None:
    path = DataPath(("127.0.0.1", port), may_be_raw=may_be_raw)
    sys.stdout.write(f"{path.address[1]}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    run(_stay(int(sys.argv[1]), may_be_raw=sys.argv[2] == "raw"))
