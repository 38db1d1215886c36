"""What is made of `wsl.exe --list --verbose`, in any language and encoding."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from desktop.machines.found.finder import NonsenseError
from desktop.machines.found.model import Found, Sighting, WslWay, text_of
from desktop.machines.found.wsl import Distribution, WslFinder, mode_in_config, parse_table
from tests.fake_tools import FakeTools
from tests.recordings import wsl

TABLE = "--list --verbose"
RUNNING = "--list --running --quiet"
MODE = "--distribution * --exec wslinfo --networking-mode"


def wide(text: str, *, mark: bool = False) -> bytes:
    """As `wsl.exe` prints where WSL_UTF8 is not set, or not known."""
    return b"\xff\xfe" * mark + text.encode("utf-16-le")


def look(fake: FakeTools, **environment: str) -> Sighting:
    return asyncio.run(WslFinder(fake.tools(**environment)).find())


def states(sighting: Sighting) -> dict[str, str]:
    return {each.name: each.state for each in sighting.machines}


def put(fake: FakeTools, table: bytes, *, running: bytes = b"", mode: bytes = b"nat") -> None:
    fake.put("wsl.exe", table, arguments=TABLE)
    fake.put("wsl.exe", running, arguments=RUNNING)
    fake.put("wsl.exe", mode, arguments=MODE)


@pytest.mark.parametrize(
    "table", [wsl.ENGLISH.encode(), wide(wsl.ENGLISH), wide(wsl.ENGLISH, mark=True)]
)
def test_distributions_of_version_2_are_found_without_those_of_other_tools(
    fake: FakeTools, table: bytes
) -> None:
    put(fake, table)
    sighting = look(fake)
    assert states(sighting) == {"wsl-Ubuntu": "running", "wsl-Debian": "stopped"}
    assert sighting.findings == ()
    assert sighting.machines[0].way == WslWay("Ubuntu")


@pytest.mark.parametrize("encode", [str.encode, wide])
def test_in_another_language_what_runs_is_asked_for(fake: FakeTools, encode: object) -> None:
    assert callable(encode)
    put(fake, encode(wsl.GERMAN), running=encode(wsl.GERMAN_RUNNING))
    assert states(look(fake)) == {"wsl-Ubuntu-22.04": "running", "wsl-Debian": "stopped"}


def test_in_another_language_none_may_run(fake: FakeTools) -> None:
    fake.put("wsl.exe", wide(wsl.FRENCH), arguments=TABLE)
    fake.put("wsl.exe", wide("Aucune distribution\r\n"), arguments=RUNNING, status=255)
    sighting = look(fake)
    assert states(sighting) == {"wsl-Ubuntu": "stopped"}
    assert sighting.findings == ()


def test_without_distributions_there_is_nothing(fake: FakeTools) -> None:
    fake.put("wsl.exe", wide(wsl.NONE), status=255)
    assert look(fake) == Sighting()


def test_within_wsl_there_is_nothing_to_find(fake: FakeTools) -> None:
    put(fake, wsl.ENGLISH.encode())
    assert look(fake, WSL_DISTRO_NAME="Ubuntu") == Sighting()
    assert fake.calls() == []


def machines_in_mode(fake: FakeTools, mode: bytes) -> list[Found]:
    put(fake, wsl.ENGLISH.encode(), mode=mode)
    return list(look(fake).machines)


def test_mirrored_mode_does_it_itself(fake: FakeTools) -> None:
    found = machines_in_mode(fake, b"mirrored")
    assert [each.is_candidate for each in found] == [False, False]
    assert ".wslconfig" in found[0].declined
    assert fake.calls()[-1] == "wsl.exe --distribution Ubuntu --exec wslinfo --networking-mode"


@pytest.mark.parametrize("mode", [b"nat\n", b"virtioproxy", b"none"])
def test_all_other_modes_do_not(fake: FakeTools, mode: bytes) -> None:
    assert all(each.is_candidate for each in machines_in_mode(fake, mode))


@pytest.mark.parametrize("is_running", [True, False])
def test_the_mode_is_that_of_the_file_where_it_cannot_be_asked(
    fake: FakeTools, tmp_path: Path, is_running: bool
) -> None:
    table = wsl.ENGLISH if is_running else wsl.ENGLISH.replace("Running", "Stopped")
    fake.put("wsl.exe", table.encode(), arguments=TABLE)
    fake.put("wsl.exe", b"not found", arguments=MODE, status=127)
    (tmp_path / ".wslconfig").write_text("[wsl2]\nnetworkingMode=Mirrored\n")
    sighting = look(fake, USERPROFILE=str(tmp_path))
    assert all(each.declined for each in sighting.machines)
    assert sighting.findings == ()


def test_a_wrong_file_is_a_finding(fake: FakeTools, tmp_path: Path) -> None:
    fake.put("wsl.exe", wsl.ENGLISH.replace("Running", "Stopped").encode(), arguments=TABLE)
    (tmp_path / ".wslconfig").write_text("networkingMode=mirrored\n")
    sighting = look(fake, USERPROFILE=str(tmp_path))
    assert len(sighting.machines) == 2
    (finding,) = sighting.findings
    assert ".wslconfig" in finding.message


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ("[wsl2]\nnetworkingMode = mirrored\n", "mirrored"),
        ("[WSL2]\r\nNetworkingMode=NAT\r\n", "nat"),
        ("\ufeff[experimental]\nnetworkingMode=mirrored", "mirrored"),
        ("[wsl2]\n# networkingMode=mirrored\nmemory=4GB\n", ""),
        ("[wsl2]\nmemory=%50\nmemory=4GB\nkernelCommandLine = a=b\n", ""),
        ("[other]\nnetworkingMode=mirrored", ""),
        ("", ""),
    ],
)
def test_the_mode_in_a_file(text: str, mode: str) -> None:
    assert mode_in_config(text.encode()) == mode


@pytest.mark.parametrize(
    "text",
    [
        b"networkingMode=mirrored",
        b"\xff\xfe[wsl2]",
        b"[wsl2\nx",
        b"[wsl2]\nmemory\n networkingMode=mirrored\n",
    ],
)
def test_a_file_that_is_none(text: bytes) -> None:
    with pytest.raises(NonsenseError):
        mode_in_config(text)


@pytest.mark.parametrize("text", [b"Usage: wsl [Argument]\r\n\r\nArguments:\r\n", b"[]"])
def test_a_table_that_is_none(text: bytes) -> None:
    with pytest.raises(NonsenseError, match="not understood"):
        parse_table(text)


def test_no_table_has_no_distributions() -> None:
    assert parse_table(b"") == []


def test_the_mark_of_the_default_is_not_part_of_its_name() -> None:
    assert parse_table(wsl.GERMAN.encode()) == [
        Distribution("Ubuntu-22.04", "Wird ausgeführt", 2),
        Distribution("Debian", "Beendet", 2),
    ]


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (b"abc", "abc"),
        ("ä€".encode(), "ä€"),
        (wide("ä€ x"), "ä€ x"),
        (wide("x", mark=True), "x"),
        (b"\xef\xbb\xbfx", "x"),
        (b"a\0b", "a\ufffd"),
        (b"\xff", "\ufffd"),
        (b"", ""),
    ],
)
def test_what_is_printed_is_decoded_whatever_it_is(said: bytes, text: str) -> None:
    assert text_of(said) == text
