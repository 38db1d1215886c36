"""`samehost machine`: show, choose, attach, start and stop machines, with the daemon or without.

Without a daemon, what is chosen and attached is what the next one will find in the settings.
"""

from __future__ import annotations

import argparse
import contextlib
import shlex
import sys
from typing import TYPE_CHECKING, Any

from desktop.api.client import ApiClient
from desktop.cli.asking import asking
from desktop.cli.current import Engine, check_answers, current_engine, open_registry
from desktop.cli.daemon import (
    await_daemon,
    connect_if_running,
    offline_store,
    problems_of,
    remove_empty_folders,
    report,
)
from desktop.cli.output import Progress, print_json, table, warn
from desktop.errors import ExitCode, UsageError
from desktop.paths import Paths
from desktop.settings.machines import MachineChoice
from desktop.settings.store import SettingsStore

if TYPE_CHECKING:
    from desktop.machines.machine import Machine

__all__ = ["add_arguments", "run"]

HEAD = ("NAME", "KIND", "STATE", "CURRENT", "ATTACHED", "REACHED BY", "DOCKER_HOST")
METHODS = {"attach": "attach_also"}
"""Methods of the control API that are not called as the action is."""
DONE = {
    "use": "using",
    "attach": "attached",
    "detach": "detached",
    "start": "started",
    "stop": "stopped",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """See `main.VerbModule`."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="show the machines")
    listing.add_argument("--json", action="store_true", help="as JSON")
    for action, text in (
        ("use", "make a machine the current one, in the place of the one that is"),
        ("attach", "attach a machine, too, beside those that are"),
        ("detach", "detach from a machine, which runs on"),
        ("start", "start a machine"),
        ("stop", "detach from a machine and stop it"),
    ):
        chosen = actions.add_parser(action, help=text)
        chosen.add_argument("name", metavar="NAME", help="which; `machine list` has all")
    doctor = actions.add_parser("doctor", help="look at the way to a machine, step by step")
    doctor.add_argument("name", metavar="NAME", nargs="?", help="the current one if missing")
    doctor.add_argument("--json", action="store_true", help="as JSON")
    env = actions.add_parser("env", help="print the line that leads docker to a machine")
    env.add_argument("name", metavar="NAME", nargs="?", help="the current one if missing")
    env.add_argument("--json", action="store_true", help="as JSON")


def run(arguments: argparse.Namespace, paths: Paths) -> int:
    """See `main.VerbModule`."""
    if arguments.action == "list":
        _list(paths, arguments.json)
    elif arguments.action == "env":
        _env(paths, arguments.name, arguments.json)
    elif arguments.action == "doctor":
        from desktop.cli.machine_doctor import examine_machine

        return examine_machine(paths, arguments.name, arguments.json)
    else:
        client = await_daemon(paths)
        if client is None:
            _act_offline(paths, arguments.action, arguments.name)
        else:
            with client:
                _act(client, arguments.action, arguments.name)
    return ExitCode.DONE


def _list(paths: Paths, as_json: bool) -> None:
    client = connect_if_running(paths)
    if client is None:
        found = _offline_machines(paths)
    else:
        with client:
            found = client.call("machines")
    for each in found["machines"]:
        if each["note"] and not as_json:
            warn(f"{each['name']} is not one to attach: {each['note']}")
    for finding in found["findings"]:
        warn(
            f"{finding['message']} ({finding['remedy']})"
            if finding["remedy"]
            else finding["message"]
        )
    if as_json:
        print_json(found["machines"])
    else:
        print(table(HEAD, list(map(_row, found["machines"])), sys.stdout, whole=HEAD[:1]))


def _row(machine: dict[str, Any]) -> list[str]:
    marks = ["yes" if machine[key] else "" for key in ("current", "attached")]
    columns = ("name", "kind", "state")
    ways = (machine["reached"], machine["docker_host"])
    return [*(machine[key] for key in columns), *marks, *ways]


def _offline_machines(paths: Paths) -> dict[str, Any]:
    """What the daemon's `machines` would answer."""
    import asyncio

    import msgspec

    from desktop.daemon.machine_list import machine_list
    from desktop.machines.registry import current_of

    sighting = asyncio.run(open_registry(paths).find())
    current = current_of(sighting, SettingsStore(paths).settings.machine)
    answer: dict[str, Any] = msgspec.to_builtins(machine_list(sighting, current))
    return answer


async def _start_or_stop(paths: Paths, name: str, action: str, progress: Progress) -> None:
    async with contextlib.aclosing(await open_registry(paths).get(name)) as machine:
        await (machine.start if action == "start" else machine.stop)(progress)


def _env(paths: Paths, name: str | None, as_json: bool) -> None:
    if name is None:
        engine = current_engine(paths)
    else:
        engine = Engine(name, _machine(paths, name).docker_host(), enabled=False)
    docker_host = engine.docker_host
    if not docker_host:
        check_answers(engine)
    if as_json:
        print_json({"DOCKER_HOST": docker_host})
    else:
        print(f"export DOCKER_HOST={shlex.quote(docker_host)}")


def _act(client: ApiClient, action: str, name: str) -> None:
    with Progress() as progress:
        client.call(METHODS.get(action, action), {"name": name}, progress, asking(progress))
    report(problems_of(client))
    print(DONE[action], name)


def _act_offline(paths: Paths, action: str, name: str) -> None:
    if action in ("use", "attach", "detach"):
        _choose_offline(paths, action, name)
        print(f"{DONE[action]} {name}; this applies at the next: samehost up")
        return
    import asyncio

    with offline_store(paths), Progress() as progress:
        asyncio.run(_start_or_stop(paths, name, action, progress))
    remove_empty_folders(paths)
    print(DONE[action], name)


def _machine(paths: Paths, name: str, *, to_attach: bool = False) -> Machine:
    import asyncio

    registry = open_registry(paths)
    return asyncio.run(registry.to_attach(name) if to_attach else registry.get(name))


def _choose_offline(paths: Paths, action: str, name: str) -> None:
    from desktop.machines.registry import default_machine

    if action != "detach":
        _machine(paths, name, to_attach=True)
    with offline_store(paths) as store:
        settings = store.settings
        before = MachineChoice.of(settings.machine or default_machine(), settings.also_attach)
        changes = {"use": before.using, "attach": before.adding, "detach": before.removing}
        choice = changes[action](name)
        if action == "detach" and choice == before:
            there = ", ".join(before.names) or "no machine"
            raise UsageError(f"not attached beside another: {name}", f"chosen: {there}")
        store.set_differing({"machine": choice.current or None, "alsoAttach": list(choice.others)})
        report(problems_of(store))
