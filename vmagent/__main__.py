"""Start of the agent: configuration on standard input, one line of answer on standard output.

    in    {"secret": hex, "listen": [address, port], "peer": address, "engine_sockets": [path…],
           "ebpf": whether to try (may be left out)}
    out   {"ready": true, "ports": [N…]}  or  {"ready": false, "error": words}

Standard input stays open; its end is the end of the agent. Logs go to standard error. The
secret never leaves this process: it is in no argument, environment or file.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import resource
import signal
import sys
from typing import Any, Final

from link.acceptor import Acceptor, listen_tcp
from link.handshake import SECRET_SIZE
from link.loop import run
from vmagent.agent import Agent, AgentConfig
from vmagent.watch.vantage import join_machines_cgroups

__all__ = ["main"]

MAX_CONFIG: Final = 1 << 16
"""Bytes of the configuration line."""

PORTS: Final = 16
"""Ports to listen on. A stream that has ended keeps its port on the desktop for a minute (tcp(7),
TIME_WAIT), and the desktop has 28 232 of them for each of ours (ip(7), ip_local_port_range);
finding a free one gets slow when half are taken."""


def main() -> int:
    """Run an agent until it ends. Returns the process's exit code."""
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(name)s: %(message)s"
    )
    try:
        config = _configuration(sys.stdin.buffer.readline(MAX_CONFIG))
        join_machines_cgroups()
        return run(_run(config))
    except (ValueError, OSError) as error:
        _answer({"ready": False, "error": str(error)})
        return 1


def _configuration(line: bytes) -> AgentConfig:
    raw = json.loads(line)
    secret = bytes.fromhex(raw["secret"])
    if len(secret) != SECRET_SIZE:
        raise ValueError("the secret has the wrong size")
    address, port = raw["listen"]
    sockets = tuple(str(path) for path in raw["engine_sockets"])
    may_use_ebpf = bool(raw.get("ebpf", True))
    return AgentConfig(secret, (str(address), int(port)), str(raw["peer"]), sockets, may_use_ebpf)


async def _run(config: AgentConfig) -> int:
    _raise_file_limit()
    loop = asyncio.get_running_loop()
    agent = Agent(config)
    sockets = [listen_tcp(*config.listen, is_local=True) for _ in range(PORTS)]
    acceptors = [Acceptor(sock, agent.adopt) for sock in sockets]
    _answer({"ready": True, "ports": [acceptor.address[1] for acceptor in acceptors]})
    loop.add_reader(sys.stdin.fileno(), _stdin_ended, agent)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, agent.finish, f"signal {number}")
    gc.collect()
    gc.freeze()
    try:
        await agent.run()
    finally:
        for acceptor in acceptors:
            acceptor.close()
    return 0


def _stdin_ended(agent: Agent) -> None:
    if not os.read(sys.stdin.fileno(), MAX_CONFIG):
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        agent.finish("the desktop's daemon ended")


def _raise_file_limit() -> None:
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _answer(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
