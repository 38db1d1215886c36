"""The documents as tests see them: headings, prose, code blocks, and the commands in these.

A block is indented by four spaces, or fenced. In a block a line that begins with `$ ` is a command,
and what follows it is what it prints; in one without such lines every line is a command that begins
with one of PROGRAMS. Two spaces end a command: what follows is said about it. A block with arrows
is a drawing. The block of commands that `make reference` writes has their forms, which are none.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

__all__ = ["PAGES", "PROJECT", "Command", "Page", "pages", "simple_commands"]

PROJECT: Final = Path(__file__).parents[2]
PAGES: Final = (
    "README.md",
    "CONTRIBUTING.md",
    *sorted(f"docs/{each.name}" for each in (PROJECT / "docs").glob("*.md")),
)
PROGRAMS: Final = ("samehost", "sudo", "make", "docker")
PROMPT: Final = "$ "
INDENT: Final = "    "
GENERATED: Final = re.compile(r"<!-- block: commands -->.*?<!-- end: commands -->", re.DOTALL)
HEADING: Final = re.compile(r"^(#+) (.+)$")
INLINE: Final = re.compile(r"(?<!`)`([^`]+)`(?!`)")
SAID: Final = re.compile(r"\s{2,}.*$")
ARROWS: Final = ("─▶", "══▶", "──▶")
SEPARATORS: Final = frozenset({"|", "||", "&&", "&", ";", ">", "<", "(", ")"})


@dataclass(frozen=True)
class Command:
    """A command of a code block, or of the running text (`is_inline`), and what it prints."""

    page: str
    section: str
    text: str
    shows: tuple[str, ...] = ()
    is_inline: bool = False

    def __str__(self) -> str:
        return f"{self.page}, {self.section}: {self.text}"


@dataclass(frozen=True)
class Page:
    """A document: its lines, each with the section that it is in and whether it is code."""

    name: str
    text: str
    lines: tuple[tuple[str, str, bool], ...]

    @property
    def headings(self) -> list[str]:
        """The texts of its headings."""
        return [match[2] for line in self.prose.splitlines() if (match := HEADING.match(line))]

    @property
    def prose(self) -> str:
        """All but code blocks."""
        return "\n".join("" if code else line for line, _, code in self.lines)

    def inline(self) -> list[str]:
        """What stands in backticks, in one line each."""
        return [" ".join(match[1].split()) for match in INLINE.finditer(self.prose)]

    def commands(self) -> Iterator[Command]:
        """Those of its blocks, then those of its text."""
        for section, block in self._blocks():
            if any(arrow in line for arrow in ARROWS for line in block):
                continue
            yield from _commands(self.name, section, block)
        for text in self.inline():
            if text.split()[0] in PROGRAMS and " " in text:
                yield Command(self.name, "", text, is_inline=True)

    def _blocks(self) -> Iterator[tuple[str, list[str]]]:
        block: list[str] = []
        there = ""
        for line, section, code in self.lines:
            if code:
                block.append(line)
            elif block:
                yield there, block
                block = []
            there = section
        if block:
            yield there, block


@cache
def pages() -> dict[str, Page]:
    """All documents by name."""
    return {name: _page(name, (PROJECT / name).read_text(encoding="utf-8")) for name in PAGES}


def _page(name: str, text: str) -> Page:
    lines = []
    section, is_fenced, was_code, was_blank = "", False, False, True
    for line in GENERATED.sub("", text).splitlines():
        is_fence = line.startswith("```")
        is_indented = line.startswith(INDENT) and (was_blank or was_code)
        is_code = is_fenced or is_fence or is_indented
        if not is_code and (match := HEADING.match(line)):
            section = match[2]
        kept = line.removeprefix(INDENT) if is_indented and not is_fenced else line
        lines.append(("" if is_fence else kept, section, is_code))
        is_fenced ^= is_fence
        was_code, was_blank = is_code, not line.strip()
    return Page(name, text, tuple(lines))


def _commands(page: str, section: str, block: list[str]) -> Iterator[Command]:
    has_prompts = any(line.startswith(PROMPT) for line in block)
    text, shows = "", list[str]()
    for line in block:
        is_command = line.startswith(PROMPT) or (not has_prompts and line.split(" ")[0] in PROGRAMS)
        if text.endswith(("|", "\\")):
            text = f"{text.removesuffix(chr(92))} {line.strip()}"
        elif is_command or (not has_prompts and line.endswith("|")):
            if text:
                yield Command(page, section, SAID.sub("", text), tuple(shows))
            text, shows = line.removeprefix(PROMPT).rstrip(), []
        elif line.strip():
            shows.append(line)
    if text:
        yield Command(page, section, SAID.sub("", text), tuple(shows))


def simple_commands(text: str) -> list[list[str]]:
    """The words of each command of a line, without `sudo` and what output is sent to.

    Raises ValueError if the shell would not understand it.
    """
    lexer = shlex.shlex(text, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    found: list[list[str]] = [[]]
    for word in lexer:
        if word in SEPARATORS:
            found.append([])
        else:
            found[-1].append(word)
    kept = [[word for word in words if word != "$"] for words in found]
    return [words[1:] if words[0] == "sudo" else words for words in kept if words]
