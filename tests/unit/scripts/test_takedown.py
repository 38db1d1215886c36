"""What `make down` removes, and what it leaves to the user."""

from __future__ import annotations

from pathlib import Path

from desktop.paths import Paths
from scripts.takedown import remove_files


def a_home(home: Path, settings: str) -> Paths:
    paths = Paths.under(home)
    for folder in (paths.logs, paths.runtime, paths.state / "machines"):
        folder.mkdir(parents=True)
    paths.settings_file.write_text(settings)
    paths.log_file.write_text("log")
    (paths.logs / "machine-sandbox.log").write_text("log")
    return paths


def test_all_that_the_tour_made_goes(tmp_path: Path) -> None:
    home = tmp_path / "home"
    remove_files(a_home(home, '{"hostNetworkingEnabled": true}'))
    assert not home.exists()


def test_settings_of_the_user_stay(tmp_path: Path) -> None:
    text = '{"hostNetworkingEnabled": true, "ignore": ["tcp:22"]}'
    paths = a_home(tmp_path / "home", text)
    remove_files(paths)
    assert paths.settings_file.read_text() == text
    assert list(paths.config.iterdir()) == [paths.settings_file]


def test_broken_settings_and_files_of_others_stay(tmp_path: Path) -> None:
    paths = a_home(tmp_path / "home", "{")
    (paths.logs / "notes").write_text("mine")
    remove_files(paths)
    assert paths.settings_file.exists()
    assert list(paths.logs.iterdir()) == [paths.logs / "notes"]


def test_nothing_there_is_fine(tmp_path: Path) -> None:
    remove_files(Paths.under(tmp_path / "home"))
    assert list(tmp_path.iterdir()) == []
