"""What a desktop, a software centre and Flatpak read."""

from __future__ import annotations

import configparser
import json
import re
import shlex
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from desktop.cli.main import VERBS
from link.version import VERSION
from scripts.command_tree import parser
from scripts.dist.desktop_files import APP_ID, desktop_files
from scripts.dist.source import BUILD, DIST
from tests.packaging.stage import PROJECT, tool

ENTRY = "applications/samehost.desktop"
METAINFO = f"metainfo/{APP_ID}.metainfo.xml"
MANIFEST = PROJECT / f"packaging/flatpak/{APP_ID}.yml"
UNIT = PROJECT / "packaging/systemd/samehost.service"


@pytest.fixture
def laid(tmp_path: Path) -> Path:
    """The files as they lie below share/."""
    for name, text in desktop_files().items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def checked(*command: str | Path, cwd: Path | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_entry_of_the_menu_is_as_desktops_want_it(laid: Path) -> None:
    assert checked(tool("desktop-file-validate"), laid / ENTRY) == ""


def test_the_entry_starts_the_window_and_is_the_one_that_the_window_names(laid: Path) -> None:
    entry = configparser.ConfigParser(interpolation=None)
    entry.optionxform = str  # type: ignore[assignment,method-assign]
    entry.read(laid / ENTRY)
    words = entry["Desktop Entry"]["Exec"].split()
    assert words[0] == "samehost"
    assert parser().parse_args(words[1:]).verb == "gui"
    assert 'setDesktopFileName("samehost")' in (PROJECT / "gui/app.py").read_text()


def test_software_centres_can_read_the_words(laid: Path) -> None:
    checked(tool("appstreamcli"), "validate", "--no-net", laid / METAINFO)
    tree = ET.parse(laid / METAINFO)
    assert tree.findtext("id") == APP_ID
    assert tree.findtext("launchable") == Path(ENTRY).name
    releases = tree.findall("releases/release")
    assert [release.get("version") for release in releases] == [VERSION]


def test_the_icon_can_be_drawn(laid: Path) -> None:
    picture = ET.parse(laid / "icons/hicolor/scalable/apps/samehost.svg").getroot()
    assert picture.tag == "{http://www.w3.org/2000/svg}svg"
    values = [value for each in picture.iter() for value in each.attrib.values()]
    assert not any("{" in value for value in values)
    assert "#ffffff" in values


def test_flatpak_can_read_the_manifest(tmp_path: Path) -> None:
    # It keeps a cache in the folder where it runs.
    shown = json.loads(checked(tool("flatpak-builder"), "--show-manifest", MANIFEST, cwd=tmp_path))
    assert shown["id"] == APP_ID
    assert "--filesystem=xdg-run/samehost" in shown["finish-args"]
    (module,) = shown["modules"]
    lines = "\n".join(module["build-commands"])
    assert set(re.findall(r"(?m)(?<= )share/\S+", lines)) == {
        f"share/{name}" for name in desktop_files()
    }


def test_the_manifest_takes_its_files_from_where_they_are_laid() -> None:
    paths = re.findall(r"(?m)^ +path: (.+)$", MANIFEST.read_text())
    laid = {(MANIFEST.parent / path).resolve() for path in paths}
    assert laid == {PROJECT / "build/flatpak", DIST, BUILD / "deb/samehost-gui/usr/share"}
    (fetched,) = re.findall(r"-d (\S+)", MANIFEST.read_text())
    assert PROJECT / fetched in laid


def test_the_sandboxed_window_may_reach_nothing_but_what_it_is_for() -> None:
    text = MANIFEST.read_text()
    for much in (
        "--filesystem=home",
        "--filesystem=host",
        "--share=network",
        "--socket=session-bus",
    ):
        assert much not in text


def test_the_unit_starts_the_daemon_by_a_command_that_there_is() -> None:
    line = next(
        line for line in UNIT.read_text().splitlines() if line.startswith("ExecStart=")
    ).removeprefix("ExecStart=")
    program, *words = shlex.split(line)
    assert program == "/usr/bin/samehost"
    arguments = parser().parse_args(words)
    assert arguments.verb in VERBS
    assert arguments.foreground, "the service manager watches the daemon itself"
