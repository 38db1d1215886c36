"""`samehost docker`: the docker command on the current machine. Its arguments are not ours."""

from __future__ import annotations

import argparse
import itertools
import os
from collections.abc import Sequence
from typing import Final

from desktop.cli.become import become
from desktop.cli.current import check_answers, current_engine
from desktop.cli.output import warn
from desktop.errors import SamehostError
from desktop.paths import Paths

__all__ = ["add_arguments", "run", "run_docker", "wants_host_network"]

PROGRAM: Final = "docker"
OTHER_VARIABLES: Final = ("DOCKER_CONTEXT", "DOCKER_TLS", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH")
"""Variables by which docker would go elsewhere than DOCKER_HOST says, or otherwise."""

INSTALL: Final = (
    "on Debian: apt-get install docker.io; elsewhere: docs.docker.com/engine/install, where the"
    " command is had without an engine, too"
)
NETWORK_OPTIONS: Final = ("--net", "--network")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Only for the help; see `run_docker`."""
    parser.add_argument(
        "arguments", nargs=argparse.REMAINDER, metavar="ARG", help="the docker command's own"
    )


def run(arguments: argparse.Namespace, paths: Paths) -> int:
    """Only for the help; see `run_docker`."""
    return run_docker(arguments.arguments, paths)


def run_docker(arguments: Sequence[str], paths: Paths) -> int:
    """Become the docker command; its exit code. Raises MachineUnreachableError, SamehostError."""
    engine = current_engine(paths)
    check_answers(engine)
    if not engine.enabled and wants_host_network(arguments):
        warn("host networking is off, so localhost will not be shared; turn it on: samehost enable")
    environment = {name: text for name, text in os.environ.items() if name not in OTHER_VARIABLES}
    environment["DOCKER_HOST"] = engine.docker_host
    try:
        return become(PROGRAM, arguments, environment)
    except FileNotFoundError as error:
        raise SamehostError("the docker command is not installed", INSTALL) from error


def wants_host_network(arguments: Sequence[str]) -> bool:
    """True if a container is to share the machine's network, as far as one can tell."""
    if any(f"{option}=host" in arguments for option in NETWORK_OPTIONS):
        return True
    pairs = itertools.pairwise(arguments)
    return any(option in NETWORK_OPTIONS and value == "host" for option, value in pairs)
