"""The project for Briefcase, as Briefcase itself reads it; and where the application begins."""

from __future__ import annotations

import json
import re
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from link.version import VERSION
from scripts.dist import briefcase
from tests.packaging.stage import PROJECT, TOOLS

MAIN = PROJECT / "packaging/briefcase/samehost/__main__.py"
READ = """
import json, sys
from pathlib import Path
from briefcase.config import AppConfig, GlobalConfig, parse_config
from briefcase.console import Console
options, apps = parse_config(Path(sys.argv[1]), sys.argv[2], sys.argv[3], Console())
GlobalConfig(**options)
app = AppConfig(**apps["samehost"])
print(json.dumps({"requires": app.requires, "bundle": app.bundle_identifier, "version":
    str(app.version), "sources": app.sources, "module": app.module_name,
    "system": getattr(app, "system_installer", None), "icon": app.icon}))
"""


@pytest.fixture(scope="module")
def laid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project, as it is built from."""
    return briefcase.lay_application(tmp_path_factory.mktemp("briefcase") / "project")


@pytest.mark.parametrize(("platform", "form"), [("macOS", "app"), ("windows", "app")])
def test_briefcase_takes_the_project(platform: str, form: str, laid: Path) -> None:
    python = TOOLS / "python"
    if not python.exists():
        pytest.skip("briefcase is not here: scripts/setup dist")
    command = [str(python), "-c", READ, str(laid / "pyproject.toml"), platform, form]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    read = json.loads(done.stdout.splitlines()[-1])
    assert read["version"] == VERSION
    assert read["bundle"] == "io.github.samehost.samehost"
    assert read["module"] == "samehost"
    assert all((laid / source).is_dir() for source in read["sources"])
    if platform == "windows":
        assert read["system"] is False, "per user, so nobody has to be an administrator"


def test_it_has_the_icons_of_both_systems(laid: Path) -> None:
    icns, ico = ((laid / f"icons/samehost.{form}").read_bytes() for form in ("icns", "ico"))
    assert icns.startswith(b"icns")
    assert ico.startswith(b"\0\0\1\0")


def test_it_needs_exactly_what_is_locked(laid: Path) -> None:
    project = tomllib.loads((laid / "pyproject.toml").read_text())
    requires = project["tool"]["briefcase"]["app"]["samehost"]["requires"]
    lock = (PROJECT / "requirements-gui.lock").read_text()
    assert [each.split(";")[0] for each in requires] == re.findall(r"(?m)^([\w-]+==[\w.]+)", lock)
    uvloop = next(each for each in requires if each.startswith("uvloop"))
    assert uvloop.endswith("; sys_platform != 'win32'"), "there is none for Windows"


def test_nothing_makes_a_rule_for_the_firewall() -> None:
    texts = [path.read_text() for path in (PROJECT / "packaging").rglob("*") if path.is_file()]
    assert not any("netsh" in text or "New-NetFirewallRule" in text for text in texts)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], ["gui"]),
        (["--hidden"], ["gui", "--hidden"]),
        (["-P", "-m", "desktop.daemon", "--ready-fd", "3"], ["desktop.daemon", "--ready-fd", "3"]),
    ],
)
def test_the_application_is_window_or_daemon(
    arguments: list[str], told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = runpy.run_path(str(MAIN))["main"]
    seen: list[str] = []

    def note(module: str, run_name: str, alter_sys: bool) -> None:
        assert (run_name, alter_sys) == ("__main__", True)
        seen.extend([module, *sys.argv[1:]])

    monkeypatch.setattr(runpy, "run_module", note)
    monkeypatch.setattr(sys, "argv", ["Samehost"])
    begin(arguments)
    assert seen == told
