"""Reading object files, made by hand."""

from __future__ import annotations

import struct

import pytest

from scripts.elf import ElfError, ObjectFile
from vmagent.bpf.system import MapDefinition, Program

PROGBITS, SYMTAB, STRTAB, RELA, REL = 1, 2, 3, 4, 9
EXECUTABLE = 4
OBJECT, FUNCTION = 1, 2
ADDRESS, CALL = 1, 10
"""Types of relocations: R_BPF_64_64, R_BPF_64_32."""

EXIT = bytes.fromhex("9500000000000000")
LOAD = bytes.fromhex("1801000000000000 0000000000000000")

Section = tuple[str, int, int, bytes, int, int]
"""Name, type, flags, data, link, info."""


class Strings:
    """A table of strings."""

    def __init__(self) -> None:
        self.data = b"\0"

    def add(self, text: str) -> int:
        place = len(self.data)
        self.data += text.encode() + b"\0"
        return place


def link(
    sections: list[Section], machine: int = 247, identity: bytes = b"\x7fELF\x02\x01\x01"
) -> bytes:
    """An ELF file with these sections, behind the empty one; the last is that of their names."""
    names = Strings()
    places = [names.add(name) for name, *_ in sections]
    own = names.add(".shstrtab")
    everything = [*sections, (".shstrtab", STRTAB, 0, names.data, 0, 0)]
    body, headers, offset = b"", bytes(64), 64
    for place, (_, kind, flags, data, linked, info) in zip([*places, own], everything, strict=True):
        headers += struct.pack(
            "<IIQQQQIIQQ", place, kind, flags, 0, offset, len(data), linked, info, 8, 0
        )
        body += data
        offset += len(data)
    count = len(everything) + 1
    head = struct.pack(
        "<16sHHIQQQIHHHHHH",
        identity, 1, machine, 1, 0, 0, offset, 0, 64, 0, 0, 64, count, count - 1,
    )  # fmt: skip
    return head + body + headers


def a_program(
    kind: int = ADDRESS, symbol: int = 3, relocations: int = REL, map_size: int = 20
) -> list[Section]:
    """Two programs in one section that load two maps; section numbers count from 1."""
    names = Strings()
    definitions = struct.pack("<10I", 27, 0, 0, 4096, 0, 1, 8, 4, 16, 1)
    symbols = bytes(24)
    for name, kind_of, section, value, size in (
        ("second", FUNCTION, 1, 24, 24),
        ("first", FUNCTION, 1, 0, 24),
        ("ring", OBJECT, 2, 0, map_size),
        ("table", OBJECT, 2, 20, 20),
        ("licence", OBJECT, 3, 0, 4),
        ("outside", FUNCTION, 0xFFF1, 0, 0),
    ):
        symbols += struct.pack("<IBBHQQ", names.add(name), 16 | kind_of, 0, section, value, size)
    rel = struct.pack("<QQ", 0, 4 << 32 | ADDRESS) + struct.pack("<QQ", 32, symbol << 32 | kind)
    return [
        ("cgroup/bind4", PROGBITS, EXECUTABLE, LOAD + EXIT + EXIT + LOAD, 0, 0),
        ("maps", PROGBITS, 3, definitions, 0, 0),
        ("license", PROGBITS, 3, b"MIT\0", 0, 0),
        (".symtab", SYMTAB, 0, symbols, 5, 0),
        (".strtab", STRTAB, 0, names.data, 0, 0),
        (".relcgroup/bind4", relocations, 0, rel, 4, 1),
        (".text", PROGBITS, EXECUTABLE, b"", 0, 0),
    ]


def test_programs_are_found_by_name_with_the_maps_they_load() -> None:
    programs = ObjectFile(link(a_program())).programs()
    assert list(programs) == ["first", "second"]
    assert programs["first"] == Program("cgroup/bind4", LOAD + EXIT, ((0, "table"),))
    assert programs["second"] == Program("cgroup/bind4", EXIT + LOAD, ((1, "ring"),))


def test_maps_are_found_in_the_order_of_the_source() -> None:
    assert ObjectFile(link(a_program())).maps() == {
        "ring": MapDefinition(27, 0, 0, 4096, 0),
        "table": MapDefinition(1, 8, 4, 16, 1),
    }


def test_the_licence_is_a_text() -> None:
    assert ObjectFile(link(a_program())).licence() == "MIT"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"kind": CALL, "symbol": 1}, "refers to second, not a map"),
        ({"symbol": 5}, "refers to licence, not a map"),
        ({"kind": CALL}, "refers to ring, not a map"),
    ],
    ids=["a function", "a variable", "something of a map's"],
)
def test_a_program_that_the_agent_could_not_load_is_an_error(
    options: dict[str, int], words: str
) -> None:
    found = ObjectFile(link(a_program(**options)))
    with pytest.raises(ElfError, match=words):
        found.programs()


def test_a_map_of_another_layout_is_an_error() -> None:
    with pytest.raises(ElfError, match="ring is no map definition"):
        ObjectFile(link(a_program(map_size=24))).maps()


def test_relocations_with_addends_are_an_error() -> None:
    with pytest.raises(ElfError, match="addends"):
        ObjectFile(link(a_program(relocations=RELA)))


@pytest.mark.parametrize("name", ["maps", "license"])
def test_a_section_that_is_not_there_is_an_error(name: str) -> None:
    sections = [(each[0] + "?" * (each[0] == name), *each[1:]) for each in a_program()]
    found = ObjectFile(link(sections))
    with pytest.raises(ElfError, match=f"no section {name}"):
        found.licence() if name == "license" else found.maps()


@pytest.mark.parametrize(
    "content",
    [
        link(a_program(), machine=62),
        link(a_program(), identity=b"\x7fELF\x02\x02\x01"),
        link(a_program(), identity=b"\x7fELF\x01\x01\x01"),
        b"#!/bin/sh\n" * 20,
    ],
    ids=["of a processor", "big-endian", "32-bit", "text"],
)
def test_other_files_are_refused(content: bytes) -> None:
    with pytest.raises(ElfError, match="no 64-bit little-endian eBPF object"):
        ObjectFile(content)


def test_a_file_that_is_cut_off_is_refused_wherever_it_is_cut() -> None:
    whole = link(a_program())
    for length in range(0, len(whole), 7):
        with pytest.raises(ElfError):
            ObjectFile(whole[:length])
