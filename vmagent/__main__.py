"""Start of the agent: an order on standard input, one line of answer on standard output.

    in    {"secret": hex, "door": {"kind", …}, "engine_sockets": [path…],
           "ebpf": whether to try (may be left out)}
    out   {"ready": true, "door": {"kind", …}}
          {"ready": false, "error": words, "code": word of `link.outcome`}

Standard input stays open; its end is the end of the agent. Logs go to standard error. The
secret never leaves this process: it is in no argument, environment or file. Once the door is open,
root's power is given up but for what is used (`capabilities.py`). Counterparts: `vmagent/doors/`
are the doors, `desktop/machines/launch.py` gives the order.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import resource
import signal
import sys
from collections.abc import Mapping
from typing import Any, Final

from link.handshake import SECRET_SIZE
from link.loop import run
from link.outcome import Outcome
from vmagent.agent import Agent, AgentConfig
from vmagent.capabilities import SYS_ADMIN, keep_only
from vmagent.doors.select import UnknownDoorError, open_entrance
from vmagent.watch.cgroups import CgroupTree
from vmagent.watch.vantage import join_machines_cgroups

__all__ = ["configuration", "main"]

MAX_CONFIG: Final = 1 << 16
"""Bytes of the configuration line."""


def main() -> int:
    """Run an agent until it ends. Returns the process's exit code."""
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(name)s: %(message)s"
    )
    try:
        config, door = configuration(sys.stdin.buffer.readline(MAX_CONFIG))
        join_machines_cgroups()
        return run(_run(config, door))
    except UnknownDoorError as error:
        return _refuse(error, Outcome.WRONG_VERSION)
    except (ValueError, KeyError, TypeError) as error:
        return _refuse(error, Outcome.DAMAGED)
    except PermissionError as error:
        return _refuse(error, Outcome.NO_PERMISSION)
    except OSError as error:
        return _refuse(error)


def configuration(line: bytes) -> tuple[AgentConfig, Mapping[str, Any]]:
    """What an order means, and its door. Raises ValueError, KeyError or TypeError."""
    try:
        order = json.loads(line)
    except RecursionError as error:
        raise ValueError("the order is nested too deeply") from error
    secret = bytes.fromhex(order["secret"])
    if len(secret) != SECRET_SIZE:
        raise ValueError("the secret has the wrong size")
    sockets = tuple(str(path) for path in order["engine_sockets"])
    return AgentConfig(secret, sockets, bool(order.get("ebpf", True))), order["door"]


async def _run(config: AgentConfig, door: Mapping[str, Any]) -> int:
    _raise_file_limit()
    loop = asyncio.get_running_loop()
    try:
        entrance = open_entrance(door)
    except OSError as error:
        return _refuse(error, Outcome.NO_DOOR)
    try:
        keep_only(entrance.capabilities + _needed_here(config.may_use_ebpf))
        agent = Agent(config, carries_reset=entrance.carries_reset)
        _answer({"ready": True, "door": entrance.answer})
        entrance.begin(agent.adopt, agent.finish)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, agent.finish, f"signal {number}")
        gc.collect()
        gc.freeze()
        await agent.run()
    finally:
        entrance.close()
    return 0


def _needed_here(may_use_ebpf: bool) -> tuple[int, ...]:
    """What it takes besides, by this machine's mounts, now and at any later try."""
    try:
        mounts = may_use_ebpf and CgroupTree().mount is None
    except OSError:
        mounts = False  # hidden by our container: nothing is attached
    return (SYS_ADMIN,) if mounts else ()


def _raise_file_limit() -> None:
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _refuse(error: Exception, outcome: Outcome | None = None) -> int:
    """Say why there is no agent; the exit status for it."""
    words = f"{type(error).__name__}: {error}"
    _answer({"ready": False, "error": words, "code": outcome.word if outcome else ""})
    return outcome or 1


def _answer(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
