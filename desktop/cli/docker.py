"""`samehost docker`: the docker command on the current machine. Its arguments are not ours."""

from __future__ import annotations

import argparse
import itertools
import os
import sys
from collections.abc import Sequence
from typing import Final, NoReturn

from desktop.cli.current import check_answers, current_engine
from desktop.cli.output import warn
from desktop.errors import SamehostError
from desktop.paths import Paths

__all__ = ["add_arguments", "run", "run_docker", "wants_host_network"]

PROGRAM: Final = "docker"
OTHER_VARIABLES: Final = ("DOCKER_CONTEXT", "DOCKER_TLS", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH")
"""Variables by which docker would go elsewhere than DOCKER_HOST says, or otherwise."""

NETWORK_OPTIONS: Final = ("--net", "--network")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Only for the help; see `run_docker`."""
    parser.add_argument(
        "arguments", nargs=argparse.REMAINDER, metavar="ARG", help="the docker command's own"
    )


def run(arguments: argparse.Namespace, paths: Paths) -> int:
    """Only for the help; see `run_docker`."""
    run_docker(arguments.arguments, paths)


def run_docker(arguments: Sequence[str], paths: Paths) -> NoReturn:
    """Become the docker command. Raises MachineUnreachableError, SamehostError."""
    engine = current_engine(paths)
    check_answers(engine)
    if not engine.enabled and wants_host_network(arguments):
        warn("host networking is off, so localhost will not be shared; turn it on: samehost enable")
    environment = {name: text for name, text in os.environ.items() if name not in OTHER_VARIABLES}
    environment["DOCKER_HOST"] = engine.docker_host
    sys.stdout.flush()
    try:
        os.execvpe(PROGRAM, [PROGRAM, *arguments], environment)
    except FileNotFoundError as error:
        raise SamehostError(
            "the docker command is not installed", "on Debian: apt-get install docker.io"
        ) from error


def wants_host_network(arguments: Sequence[str]) -> bool:
    """True if a container is to share the machine's network, as far as one can tell."""
    if any(f"{option}=host" in arguments for option in NETWORK_OPTIONS):
        return True
    pairs = itertools.pairwise(arguments)
    return any(option in NETWORK_OPTIONS and value == "host" for option, value in pairs)
