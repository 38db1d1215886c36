"""The script that becomes the agent, run by a shell of this computer."""

from __future__ import annotations

import asyncio
import io
import json
import shlex
import sys
import zipfile
from pathlib import Path

import pytest

from desktop.machines import bootstrap
from desktop.machines.bootstrap import START_SCRIPT, agent_feed, own_agent
from desktop.machines.local_shell import LocalShell
from desktop.machines.shell import Completed
from link.outcome import Outcome
from tests.capabilities import AS_ROOT, needs

STAND_IN = """
import json, os, sys
print(json.dumps({"order": sys.stdin.readline(), "argv": sys.argv, "uid": os.getuid()}))
"""


WITHOUT_SYSTEMD = START_SCRIPT.replace("/run/systemd/system", "/no/systemd")
"""As on a machine that something else runs, whatever runs this computer."""


def zipapp(source: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as bundle:
        bundle.writestr("__main__.py", source)
    return packed.getvalue()


def run(feed: bytes, script: str = WITHOUT_SYSTEMD) -> Completed:
    return asyncio.run(LocalShell().run(script, feed))


def as_user(number: int) -> str:
    """The script, for whom `id` says that."""
    return f"id() {{ echo {number}; }}; {WITHOUT_SYSTEMD}"


needs_root = needs(AS_ROOT)


@needs_root
def test_what_is_fed_runs_from_memory_and_reads_the_order_that_follows() -> None:
    done = run(agent_feed(zipapp(STAND_IN)) + b"the order\n")
    assert done.status == 0, done.errors
    said = json.loads(done.output)
    assert said["order"] == "the order\n"
    assert said["argv"][0].startswith("/proc/self/fd/")
    assert said["argv"][1:] == [bootstrap.AGENT_WORD]


@needs_root
def test_the_real_agent_runs_so(tmp_path: Path) -> None:
    (tmp_path / "agent").write_bytes(own_agent())
    assert zipfile.is_zipfile(tmp_path / "agent")
    done = run(agent_feed(own_agent()) + b"no order\n")
    assert done.status == Outcome.DAMAGED
    assert json.loads(done.output)["ready"] is False


@needs_root
@pytest.mark.parametrize(
    "feed",
    [
        b"",
        b"samehost",
        agent_feed(zipapp(STAND_IN))[1:],
        agent_feed(zipapp(STAND_IN))[:-1],
        agent_feed(zipapp(STAND_IN))[:-1] + b"x",
        b"Welcome!\n" + agent_feed(zipapp(STAND_IN)),
    ],
    ids=["nothing", "the beginning", "its end", "cut off", "changed", "something before it"],
)
def test_what_was_damaged_on_its_way_is_not_run(feed: bytes) -> None:
    assert run(feed).status == Outcome.DAMAGED


@needs_root
def test_the_exit_status_is_the_agents_own() -> None:
    assert run(agent_feed(zipapp("raise SystemExit(5)"))).status == 5


def test_another_system_than_linux_is_told() -> None:
    assert run(b"", "uname() { echo Darwin; }; " + WITHOUT_SYSTEMD).status == Outcome.NOT_LINUX


def test_who_is_not_root_and_may_not_become_it_is_told() -> None:
    done = run(b"", "sudo() { echo 'sudo: no' >&2; return 1; }; " + as_user(1000))
    assert done.status == Outcome.NO_PERMISSION
    assert done.errors == b"sudo: no\n"


def test_sudo_is_asked_for_nothing_but_to_be_quiet() -> None:
    sudo = 'sudo() { echo "$1 $2" >&2; shift; [ "$1" != -- ] || shift; "$@"; }; '
    done = run(agent_feed(zipapp("print('ran')")), sudo + as_user(1000))
    assert done.output == b"ran\n"
    assert done.errors.decode().splitlines() == ["-n true", "-n --"]


def script_with_pythons(*pythons: str) -> str:
    usual = " ".join(bootstrap.PYTHONS)
    assert usual in START_SCRIPT
    return WITHOUT_SYSTEMD.replace(usual, " ".join(map(shlex.quote, pythons)))


def python_that_ends(folder: Path, status: int) -> str:
    program = folder / f"python-{status}"
    program.write_text(f"#!/bin/sh\nexit {status}\n")
    program.chmod(0o755)
    return str(program)


@needs_root
def test_the_first_python_that_will_do_is_taken(tmp_path: Path) -> None:
    old, broken = python_that_ends(tmp_path, 82), python_that_ends(tmp_path, 127)
    script = script_with_pythons("/no/such", old, broken, sys.executable, "/no/other")
    assert run(agent_feed(zipapp("print('ran')")), script).output == b"ran\n"


@needs_root
def test_without_one_that_will_do_it_is_told_which_there_are(tmp_path: Path) -> None:
    old = python_that_ends(tmp_path, 82)
    done = run(b"", script_with_pythons("/no/such", old))
    assert done.status == Outcome.OLD_PYTHON
    assert old in done.errors.decode()
    assert run(b"", script_with_pythons("/no/such")).status == Outcome.NO_PYTHON


def test_the_numbers_in_the_script_are_those_of_the_vocabulary() -> None:
    for number in (81, 82, 83, 84, 87):
        assert str(number) in START_SCRIPT
    assert [Outcome(number).word for number in (81, 82, 83, 84, 87)] == [
        *("no_python", "old_python", "no_permission", "not_linux", "damaged")
    ]


# Where systemd runs the machine


SYSTEMD_RUN = """#!/bin/sh
echo "$@" >> "$0.log"
while [ "${1#--}" != "$1" ]; do shift; done
[ "$1" != true ] || exit @TRIAL@
exec "$@"
"""


def with_systemd(folder: Path, trial: int) -> str:
    """The script, on a machine that systemd runs, whose trial of a unit ends so."""
    program = folder / "systemd-run"
    program.write_text(SYSTEMD_RUN.replace("@TRIAL@", str(trial)))
    program.chmod(0o755)
    assert "/run/systemd/system" in START_SCRIPT
    script = START_SCRIPT.replace("/run/systemd/system", str(folder))
    return f"PATH={shlex.quote(str(folder))}:$PATH; {script}"


@needs_root
def test_where_systemd_can_the_agent_is_a_unit_with_less_to_break(tmp_path: Path) -> None:
    done = run(agent_feed(zipapp(STAND_IN)) + b"the order\n", with_systemd(tmp_path, 0))
    assert json.loads(done.output)["order"] == "the order\n"
    trial, real = (tmp_path / "systemd-run.log").read_text().split("\n", 1)
    properties = [f"--property={each}" for each in bootstrap.UNIT_PROPERTIES]
    first = ["--pipe", "--quiet", "--collect", f"--description={bootstrap.AGENT_WORD}"]
    options = [*first, *properties, "--setenv=SUDO_UID=0"]
    assert trial.split() == [*options, "true"]
    assert real.split()[: len(options)] == options
    assert "the order" not in real


@needs_root
@pytest.mark.parametrize("trial", [1, 127])
def test_where_such_a_unit_cannot_be_had_the_agent_is_a_program_of_the_log_in(
    tmp_path: Path, trial: int
) -> None:
    done = run(agent_feed(zipapp(STAND_IN)) + b"the order\n", with_systemd(tmp_path, trial))
    assert json.loads(done.output)["order"] == "the order\n"
    assert len((tmp_path / "systemd-run.log").read_text().splitlines()) == 1


@needs_root
def test_without_systemd_run_the_agent_is_a_program_of_the_log_in(tmp_path: Path) -> None:
    script = with_systemd(tmp_path, 0).replace("systemd-run --pipe", "no-systemd-run --pipe")
    assert run(agent_feed(zipapp("print('ran')")), script).output == b"ran\n"


@needs_root
def test_the_exit_status_of_a_unit_is_the_agents_own(tmp_path: Path) -> None:
    done = run(agent_feed(zipapp("raise SystemExit(5)")), with_systemd(tmp_path, 0))
    assert done.status == 5
