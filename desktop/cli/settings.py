"""`samehost settings`: show and change settings, with the daemon or without.

A VALUE is JSON if it is JSON of the right type, else plain text; for `ignore` plain text is
rules separated by commas.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from typing import Any

from desktop.cli.daemon import (
    await_daemon,
    connect_if_running,
    offline_store,
    problems_of,
    report,
)
from desktop.cli.output import print_json, shown, table
from desktop.errors import ExitCode
from desktop.paths import Paths
from desktop.settings.effective import Entry
from desktop.settings.keys import KEYS, find_key, parse_text
from desktop.settings.store import SettingsStore

__all__ = ["add_arguments", "run"]

HEAD = ("KEY", "VALUE", "DEFAULT", "MEANING", "LOCKED")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """See `main.VerbModule`."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="show all settings")
    get = actions.add_parser("get", help="show one setting")
    get.add_argument("key", metavar="KEY", help="which; `settings list` has all")
    change = actions.add_parser("set", help="change a setting")
    change.add_argument("key", metavar="KEY", help="which; `settings list` has all")
    change.add_argument("value", metavar="VALUE", help="JSON or plain text")
    for action in (listing, get, change):
        action.add_argument("--json", action="store_true", help="as JSON")


def run(arguments: argparse.Namespace, paths: Paths) -> int:
    """See `main.VerbModule`."""
    if arguments.action != "set":
        report(problems_of(SettingsStore(paths)))
    if arguments.action == "list":
        _list(paths, arguments.json)
        return ExitCode.DONE
    key = find_key(arguments.key).name
    if arguments.action == "get":
        info = _infos(paths)[key]
        text = shown(info["value"])
    else:
        is_live, problems = _set(paths, key, parse_text(key, arguments.value))
        report(problems)
        info = {**_infos(paths)[key], "problems": problems}
        begins = KEYS[key].begins if is_live else "at the next: samehost up"
        later = f"; this applies {begins}" if begins else ""
        text = f"{key} is {shown(info['value'])}{later}"
    if arguments.json:
        print_json(info)
    else:
        print(text)
    return ExitCode.DONE


def _list(paths: Paths, as_json: bool) -> None:
    infos = _infos(paths)
    if as_json:
        print_json(list(infos.values()))
        return
    rows = [
        [key, shown(info["value"]), shown(info["default"]), KEYS[key].help, info["locked"]]
        for key, info in infos.items()
    ]
    print(table(HEAD, rows, sys.stdout, whole=HEAD[:1]))


def _infos(paths: Paths) -> dict[str, dict[str, Any]]:
    """All settings in force, by key, in the form of `desktop.api.types.SettingInfo`."""
    client = connect_if_running(paths)
    if client is not None:
        with client:
            return {info["key"]: info for info in client.call("settings")}
    return {entry.key: _info(entry) for entry in SettingsStore(paths).entries()}


def _info(entry: Entry) -> dict[str, Any]:
    info = asdict(entry)
    del info["remedy"]
    return info


def _set(paths: Paths, key: str, value: object) -> tuple[bool, list[str]]:
    """Change a setting: whether the daemon did it, so that it is in force now, and what is wrong
    with the settings files."""
    client = await_daemon(paths)
    if client is not None:
        with client:
            client.call("set_setting", {"key": key, "value": value})
            return True, problems_of(client)
    with offline_store(paths) as store:
        store.set(key, value)
        return False, problems_of(store)
