"""docs/troubleshooting.md has a word on everything that Samehost can say is wrong."""

from __future__ import annotations

import ast
import errno
import re
from collections.abc import Iterator

import pytest

from desktop.errors import ExitCode
from desktop.mirror.conflicts import describe_rival
from desktop.mirror.defaults import DEFAULT_RULES
from desktop.mirror.failures import explain
from desktop.mirror.forwarders import _FORWARDERS
from desktop.mirror.model import Binding, Origin, State
from desktop.mirror.rules import Rules, plan
from desktop.settings.values import parse_rule
from link.listener import Listener
from tests.docs.pages import PROJECT, pages

PAGE = pages()["docs/troubleshooting.md"]
MACHINE = "lima-default"


def table(heading: str) -> list[str]:
    """The first cells of the table below a heading."""
    section = PAGE.text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"^\| `?(.+?)`? \| ", section, re.MULTILINE)[2:]


def patterns() -> list[re.Pattern[str]]:
    """What a reason looks like, by the page."""
    rows = table("What the reason of a row says")
    return [re.compile(re.escape(row).replace("…", ".+")) for row in rows]


def listener(address: str = "0.0.0.0", port: int = 8000, **more: object) -> Listener:
    """One in TCP, unless said otherwise."""
    fields = {"id": 1, "protocol": "tcp", "address": address, "port": port, **more}
    return Listener(**fields)  # type: ignore[arg-type]


def reasons_of_rules() -> Iterator[str]:
    """What the rules say of listeners that are not mirrored."""
    busy = listener(process="postgres", pid=811, id=2)
    yield from _planned([listener()], [busy], Rules())
    yield from _planned([listener()], [], Rules(ignore=(parse_rule("tcp:8000"),)))
    yield from _planned([listener(port=22)], [], Rules())
    yield from _planned([listener("192.0.2.7")], [], Rules())
    yield from _planned([listener("239.1.2.3", protocol="udp")], [], Rules())
    yield from _planned([listener("255.255.255.255", protocol="udp")], [], Rules())
    yield from _planned([listener("0.0.0.2")], [], Rules())
    yield from _planned([listener(), listener("127.0.0.1", id=2, process="nc")], [], Rules())
    yield from _planned([listener(), listener("127.0.0.2", id=2)], [], Rules())


def _planned(there: list[Listener], here: list[Listener], rules: Rules) -> Iterator[str]:
    wishes = plan(MACHINE, there, here, rules)
    yield from (wish.reason for wish in wishes if wish.state is not State.PENDING)


def reasons_of_failures() -> Iterator[str]:
    """What is said when a mirror cannot be opened, for each number that has words and one more."""
    for origin in Origin:
        binding = Binding(origin, "tcp", "0.0.0.0", 80, MACHINE)
        for number in (errno.EACCES, errno.EADDRNOTAVAIL, errno.EMFILE, errno.EIO):
            yield explain(binding, number, []).reason
    binding = Binding(Origin.MACHINE, "tcp", "0.0.0.0", 5000, MACHINE)
    yield explain(binding, errno.EADDRINUSE, []).reason
    airplay = listener(port=5000, process="ControlCenter", pid=7)
    yield explain(binding, errno.EADDRINUSE, [airplay]).reason
    binding = Binding(Origin.MACHINE, "tcp", "::1", 80, MACHINE)
    yield explain(binding, errno.EADDRNOTAVAIL, []).reason


def reasons_of_rivals_and_forwarders() -> Iterator[str]:
    """What is said of another machine's port, and of other tools'."""
    (wish, *_) = plan("sandbox", [listener(process="nc")], [], Rules())
    yield describe_rival(wish)
    for forwarder in _FORWARDERS:
        yield forwarder.words(listener(), MACHINE)


def reasons() -> list[str]:
    """All that can be."""
    return [
        *reasons_of_rules(),
        *reasons_of_failures(),
        *reasons_of_rivals_and_forwarders(),
    ]


def test_every_reason_of_a_row_is_explained() -> None:
    known = patterns()
    unknown = [reason for reason in reasons() if not any(p.fullmatch(reason) for p in known)]
    assert not unknown, "\n".join(unknown)


def test_no_reason_is_explained_that_nobody_gives() -> None:
    given = reasons()
    stale = [p.pattern for p in patterns() if not any(p.fullmatch(reason) for reason in given)]
    assert not stale


@pytest.mark.parametrize("state", [each for each in State if each is not State.ACTIVE])
def test_every_state_in_which_a_port_is_not_open_has_a_line(state: State) -> None:
    section = PAGE.text.partition("## A container's port is not on this computer\n")[2]
    assert f"- `{state.value}`:" in section.partition("\n## ")[0]


def test_every_exit_code_but_that_for_done_has_a_row() -> None:
    rows = table("A command ends with a number")
    assert rows == [str(code.value) for code in ExitCode if code]


def test_every_message_of_the_window_has_a_row() -> None:
    tree = ast.parse((PROJECT / "gui/states.py").read_text())
    titles = {
        re.sub(r"\{\w+\}", "…", text.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "State"
        for text in ast.walk(node.args[1])
        if isinstance(text, ast.Constant)
        and isinstance(text.value, str)
        and text.value not in ("states", "name")
    }
    assert len(titles) > 10
    assert titles == set(table("The window shows a message and no ports"))


def test_every_tool_that_forwards_ports_is_told_how_not_to() -> None:
    text = pages()["docs/machines.md"].text
    told = text.partition("## Those that do it themselves")[2]
    assert all(f"| {forwarder.tool} " in told for forwarder in _FORWARDERS)


def test_every_port_that_is_left_alone_by_default_is_in_the_reference() -> None:
    text = pages()["docs/reference.md"].text
    assert all(f"| {rule.name} |" in text for rule in DEFAULT_RULES)
