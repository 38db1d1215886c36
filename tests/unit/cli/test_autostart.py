"""`samehost autostart`: words for people, JSON for programs."""

from __future__ import annotations

import json

import pytest

from desktop.autostart.interface import Autostart, Service, Status
from desktop.cli import autostart as module
from desktop.cli.main import main
from desktop.errors import SamehostError
from desktop.paths import HOME_VARIABLE


class Fake(Autostart):
    """Remembers."""

    def __init__(self) -> None:
        self.is_on = False
        self.error: SamehostError | None = None

    def status(self) -> Status:
        return Status(self.is_on, "a test", "/there" if self.is_on else "")

    def turn_on(self, service: Service) -> None:
        assert service.command
        if self.error is not None:
            raise self.error
        self.is_on = True

    def turn_off(self) -> None:
        self.is_on = False


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Fake:
    made = Fake()
    monkeypatch.setenv(HOME_VARIABLE, "/tmp/none")
    monkeypatch.setattr(module, "open_autostart", lambda: made)
    return made


@pytest.mark.usefixtures("fake")
def test_it_is_turned_on_and_off_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    said = []
    for what in ("status", "on", "status", "off"):
        assert main(["autostart", what]) == 0
        said.append(capsys.readouterr().out)
    off = "Autostart is off: Samehost does not start by itself (a test)\n"
    on = "Autostart is on: Samehost starts when you log in (a test: /there)\n"
    assert said == [off, on, on, off]


@pytest.mark.parametrize("what", ["on", "off", "status"])
@pytest.mark.usefixtures("fake")
def test_programs_get_json(capsys: pytest.CaptureFixture[str], what: str) -> None:
    assert main(["autostart", what, "--json"]) == 0
    is_on = what == "on"
    assert json.loads(capsys.readouterr().out) == {
        "on": is_on,
        "by": "a test",
        "place": "/there" if is_on else "",
        "packaged": False,
    }


def test_an_error_is_told_with_its_remedy(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    fake.error = SamehostError("it does not go", "do something")
    assert main(["autostart", "on"]) == 1
    assert "it does not go\n  do something" in capsys.readouterr().err


@pytest.mark.parametrize("words", [[], ["maybe"], ["on", "off"]])
def test_anything_else_is_a_fault_of_usage(words: list[str]) -> None:
    assert main(["autostart", *words]) == 2
