"""Links, anchors, pictures, names and line lengths of the documents."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from desktop.settings.keys import KEYS
from scripts.reference.page import MARKED
from tests.docs.pages import INLINE, PAGES, PROJECT, Page, pages

LINK = re.compile(r"(!?)\[[^\]]*\]\(([^)\s]+)\)")
TABLE_ROW = re.compile(r"^\|")
FILE = re.compile(r"(?:desktop|gui|link|vmagent|tests|scripts|packaging|docs|build)/[\w./-]+")
BARE_FILE = re.compile(r"[\w-]+\.(?:py|md|lock|toml)")
NAME = re.compile(r'^    name = "(\w+)"', re.MULTILINE)
"""Of a transport, in its module."""
CASE = re.compile(r'Case\(\s*"([\w-]+)"')
"""Of what the window is photographed in."""
WORD = re.compile(r"[A-Za-z][\w-]*")
LONGEST_LINE = 100
KINDS_OF_CHANGES = {
    f"### {kind}" for kind in ("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security")
}
"""As keepachangelog.com has them."""
WIDE = {"docs/performance.md", "docs/security.md"}
"""Pages whose lines are as those who write them, a program and others, leave them."""

WORDS_OF_OTHERS = frozenset(
    [
        "localhost",
        "GetExtendedTcpTable",
        "GetExtendedUdpTable",
        "Samehost",
        "pass_fds",
        "pcblist_n",
        "vm",
        "tcp_rmem",
        "tcp_wmem",
        "sudo",
        "unit",
        "contract",
        "integration",
        "e2e",
        "connect",
        "sendto",
        "getpeername",
        "recvfrom",
        "splice",
        "recvmmsg",
        "lo",
        "inspect",
        "nerdctl",
        "limactl",
        "true",
        "log",
        "lock",
        "file",
        "aes128-gcm",
        "python3",
        "route_localnet",
        "ip_unprivileged_port_start",
        "ProxyJump",
        "RemoteCommand",
        "Host",
        "Match",
        "Include",
        "HostName",
        "Port",
        "User",
        "IdentityFile",
        "IdentitiesOnly",
        "CertificateFile",
        "ProxyCommand",
        "UserKnownHostsFile",
        "HostKeyAlias",
        "BatchMode",
        "eBPF",
        "bats",
    ]
)
"""Of kernels, shells, tools, and of this project's own tests; a page may use them in backticks."""

NAMES_OF_MACHINES = re.compile(r"(?:lima|colima|podman|wsl|docker|sandbox)(?:-[A-Z]\w*)?|rancher")


def slug(heading: str) -> str:
    """The anchor that a heading has where Markdown is shown."""
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
    return re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")


def anchors(page: Page) -> set[str]:
    """All anchors of a page, those of generated headings too."""
    headings = re.findall(r"^#+ (.+)$", page.text, re.MULTILINE)
    return {slug(heading) for heading in headings}


def links(page: Page) -> list[tuple[str, str]]:
    """The links of a page that lead to files of this project: ("!" for a picture, address)."""
    found = LINK.findall(page.text)
    return [(kind, address) for kind, address in found if "://" not in address]


@pytest.mark.parametrize("name", PAGES)
def test_every_link_leads_to_something(name: str) -> None:
    broken = []
    for _, address in links(pages()[name]):
        path, _, anchor = address.partition("#")
        target = (PROJECT / name).parent / path if path else PROJECT / name
        known = target.resolve().relative_to(PROJECT).as_posix()
        if not target.exists() or (anchor and anchor not in anchors(pages()[known])):
            broken.append(address)
    assert not broken


@pytest.mark.parametrize("name", PAGES)
def test_every_picture_is_a_file_and_says_what_it_shows(name: str) -> None:
    for alternative, address in re.findall(r"!\[([^\]]*)\]\(([^)\s]+)\)", pages()[name].text):
        assert ((PROJECT / name).parent / address).stat().st_size > 1000
        assert len(alternative) > 20


def test_every_picture_of_the_folder_is_shown() -> None:
    shown = {
        Path(address).name
        for page in pages().values()
        for kind, address in links(page)
        if kind or address.endswith(".svg")
    }
    there = {each.name for each in (PROJECT / "docs").iterdir() if each.suffix in (".png", ".svg")}
    assert there == shown


def test_the_readme_leads_to_every_document() -> None:
    addresses = {address.partition("#")[0] for _, address in links(pages()["README.md"])}
    assert {name for name in PAGES if name != "README.md"} <= addresses


@pytest.mark.parametrize("name", sorted(set(PAGES) - WIDE))
def test_no_line_of_prose_is_longer_than_a_hundred_columns(name: str) -> None:
    page = pages()[name]
    generated = MARKED.sub("", page.text).splitlines()
    long = [
        line
        for line, _, is_code in page.lines
        if not is_code
        and not TABLE_ROW.match(line)
        and len(line) > LONGEST_LINE
        and line in generated
    ]
    assert not long, "\n".join(long)


def test_the_changelog_has_its_usual_headings_and_lines_of_a_hundred_columns() -> None:
    lines = (PROJECT / "CHANGELOG.md").read_text(encoding="utf-8").splitlines()
    assert {line for line in lines if line.startswith("### ")} <= KINDS_OF_CHANGES
    assert [line for line in lines if len(line) > LONGEST_LINE] == []


@pytest.mark.parametrize("name", PAGES)
def test_every_file_that_is_named_exists(name: str) -> None:
    missing = []
    everything = {path.name for room in PROJECT.iterdir() if room.is_dir() for path in _files(room)}
    everything |= {path.name for path in PROJECT.iterdir()}
    for text in pages()[name].inline():
        if FILE.fullmatch(text.partition("::")[0]):
            path = PROJECT / text.partition("::")[0]
            is_built = text.startswith("build/")
            if not (is_built or path.exists() or path.with_suffix(".py").exists()):
                missing.append(text)
        elif BARE_FILE.fullmatch(text) and text not in everything:
            missing.append(text)
    assert not missing


def _files(room: Path) -> list[Path]:
    return [] if room.name.startswith((".", "build")) else list(room.rglob("*"))


def vocabulary() -> set[str]:
    """Every word that the generated part of the reference has in backticks."""
    blocks = "\n".join(match[0] for match in MARKED.finditer(pages()["docs/reference.md"].text))
    return {word for text in INLINE.findall(blocks) for word in re.findall(r"[\w.-]+", text)}


@pytest.mark.parametrize("name", PAGES)
def test_every_word_in_backticks_is_in_the_reference_or_somebody_elses(name: str) -> None:
    sources = (PROJECT / "desktop/transports").glob("*.py")
    transports = {word for file in sources for word in NAME.findall(file.read_text())}
    values = {word for key in KEYS.values() for word in key.form.split()}
    pictures = set(CASE.findall((PROJECT / "tests/gui/cases.py").read_text()))
    rooms = {room.name for room in PROJECT.iterdir() if room.is_dir()}
    of_the_wire = {"Inquiry", "Condition", "hello"}
    known = vocabulary() | transports | values | rooms | pictures | of_the_wire | WORDS_OF_OTHERS
    unknown = {
        text
        for text in pages()[name].inline()
        if WORD.fullmatch(text)
        and not re.search(r"[A-Z]{3}", text)
        and text not in known
        and not NAMES_OF_MACHINES.fullmatch(text)
    }
    assert not unknown


@pytest.mark.parametrize(
    ("heading", "anchor"),
    [("How the machine is watched", "how-the-machine-is-watched"), ("`a`, b & c", "a-b--c")],
)
def test_an_anchor_is_as_where_markdown_is_shown(heading: str, anchor: str) -> None:
    assert slug(heading) == anchor
