"""The `samehost` command: finds the verb, runs it, turns errors into words and exit codes.

Rules: one module per verb, imported only when it is the one; each has `add_arguments(parser)` and
`run(arguments, paths)`, which returns an exit code. `docker` takes its arguments untouched, so
no parser sees them. Exit codes: `desktop.errors.ExitCode`.
"""

from __future__ import annotations

import argparse
import errno
import io
import os
import sys
from collections.abc import Container, Mapping, Sequence
from importlib import import_module
from typing import Final, NamedTuple, Protocol, cast

from desktop.cli.output import print_error
from desktop.errors import ExitCode, PermissionDeniedError, SamehostError
from desktop.paths import HOME_VARIABLE, Paths

__all__ = ["VERBS", "Verb", "VerbModule", "main", "make_parser"]


class Verb(NamedTuple):
    """Where a verb is implemented, and what it does."""

    module: str
    help: str


class VerbModule(Protocol):
    """What the module of a verb has."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Tell the parser what comes after the verb."""

    def run(self, arguments: argparse.Namespace, paths: Paths) -> int:
        """Do it, and return the exit code."""


VERBS: Final[Mapping[str, Verb]] = {
    "up": Verb("up", "start the daemon and attach to a machine"),
    "down": Verb("down", "close every mirror, stop the daemon and its sandbox"),
    "enable": Verb("switch", "turn host networking on"),
    "disable": Verb("switch", "turn host networking off"),
    "status": Verb("status", "show what is going on"),
    "ports": Verb("ports", "show the mirrored ports"),
    "settings": Verb("settings", "show and change settings"),
    "machine": Verb("machine", "show, choose, start and stop machines"),
    "autostart": Verb("autostart", "start the daemon when you log in, or do not"),
    "docker": Verb("docker", "run the docker command on the current machine"),
    "doctor": Verb("doctor", "look for what is wrong, and say what to do"),
    "logs": Verb("logs", "show the daemon's log"),
    "gui": Verb("gui", "open the window"),
    "version": Verb("version", "show the version"),
}

EPILOG: Final = f"""\
Exit codes: 0 done, 1 failed, 2 usage, 3 not running or not enabled, 4 machine unreachable,
5 permission, 6 conflict, 7 version mismatch, 130 interrupted.
{HOME_VARIABLE}=DIR moves settings, state, logs and sockets under DIR."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code is what it returns, whatever happens."""
    try:
        _have_standard_streams()
        _use_any_encoding()
        code = _dispatch(list(sys.argv[1:] if argv is None else argv))
        sys.stdout.flush()
    except SamehostError as error:
        print_error(error)
        return int(error.code)
    except KeyboardInterrupt:
        return int(ExitCode.INTERRUPTED)
    except OSError as error:
        return _reader_left() if _is_of_a_reader_that_left(error) else _system_error(error)
    return code


def _dispatch(argv: list[str]) -> int:
    if argv[:1] == ["docker"]:
        from desktop.cli.docker import run_docker

        return run_docker(argv[1:], Paths.find())
    if argv[:1] in (["-V"], ["--version"]):
        argv[:1] = ["version"]
    chosen = next((word for word in argv if not word.startswith("-")), "")
    parser, modules = make_parser({chosen})
    try:
        arguments = parser.parse_args(argv)
    except SystemExit as end:
        return int(end.code or 0)
    return modules[chosen].run(arguments, Paths.find())


def make_parser(
    loaded: Container[str],
) -> tuple[argparse.ArgumentParser, Mapping[str, VerbModule]]:
    """The parser, and the modules of the verbs that are `loaded`: others have no arguments yet."""
    parser = argparse.ArgumentParser(
        prog="samehost",
        description="Makes --net=host mean this computer.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("-V", "--version", action="store_true", help="show the version")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    modules: dict[str, VerbModule] = {}
    for name, verb in VERBS.items():
        below = verbs.add_parser(name, help=verb.help, description=verb.help, allow_abbrev=False)
        if name in loaded:
            modules[name] = cast("VerbModule", import_module(f"desktop.cli.{verb.module}"))
            modules[name].add_arguments(below)
    return parser, modules


def _have_standard_streams() -> None:
    """Who started this without some of them (`>&-`) hears nothing; the next files that are opened
    must not have their numbers."""
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            try:
                os.fstat(number)
            except OSError:
                os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest that is free
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


def _use_any_encoding() -> None:
    """A letter that the terminal cannot show is replaced: no reason to fail."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _is_of_a_reader_that_left(error: OSError) -> bool:
    """On Windows its C library says EINVAL then, which no call of the system has said."""
    is_of_library = getattr(error, "winerror", 0) is None and error.filename is None
    return isinstance(error, BrokenPipeError) or (is_of_library and error.errno == errno.EINVAL)


def _reader_left() -> int:
    """Whoever read our output (`| head`) has enough: that is their good right."""
    descriptor = os.open(os.devnull, os.O_WRONLY)
    os.dup2(descriptor, sys.stdout.fileno())
    os.close(descriptor)
    return int(ExitCode.DONE)


def _system_error(error: OSError) -> int:
    words = error.strerror or str(error)
    what = f"{error.filename}: {words}" if error.filename else words
    kind = PermissionDeniedError if isinstance(error, PermissionError) else SamehostError
    print_error(kind(what, "look at that file or folder" if error.filename else ""))
    return int(kind.code)


if __name__ == "__main__":
    sys.exit(main())
