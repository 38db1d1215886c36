"""Reads an eBPF object file: programs, their references to maps, and the maps' definitions.

Rules: 64-bit little-endian ELF (elf(5)) for eBPF, as clang writes it. What is not expected is an
error, never left out: a program that called a function or used a global variable could not be
loaded by the agent.

Counterpart: `scripts.bytecode`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from vmagent.bpf.system import MapDefinition, Program

__all__ = ["ElfError", "ObjectFile"]

IDENTITY: Final = b"\x7fELF\x02\x01\x01"
"""e_ident: magic number, 64 bits, little-endian, version 1."""

EM_BPF: Final = 247
FILE_HEADER: Final = struct.Struct("<16s HHI QQ Q I HHHHHH")
SECTION_HEADER: Final = struct.Struct("<IIQQQQIIQQ")
SYMBOL: Final = struct.Struct("<IBBHQQ")
RELOCATION: Final = struct.Struct("<QQ")
"""Elf64_Ehdr, Elf64_Shdr, Elf64_Sym, Elf64_Rel."""

SHT_PROGBITS: Final = 1
SHT_SYMTAB: Final = 2
SHT_RELA: Final = 4
SHT_REL: Final = 9
SHF_EXECINSTR: Final = 4
STT_OBJECT: Final = 1
STT_FUNC: Final = 2

R_BPF_64_64: Final = 1
"""The address of a symbol, in an instruction of 16 bytes (Documentation/bpf/llvm_reloc.rst)."""

INSTRUCTION_BYTES: Final = 8
MAPS: Final = "maps"
LICENCE: Final = "license"
MAP_DEFINITION: Final = struct.Struct("<IIIII")
"""Sections and struct map_definition of watch.bpf.c."""


class ElfError(Exception):
    """The file is not such an object, or has something that the agent cannot load."""


class _Section(NamedTuple):
    name: str
    type: int
    flags: int
    data: bytes
    link: int
    info: int


class _Symbol(NamedTuple):
    name: str
    type: int
    section: int
    value: int
    size: int


class ObjectFile:
    """An object file's content. Construction raises ElfError."""

    def __init__(self, content: bytes) -> None:
        try:
            self._sections = list(_sections(content))
            self._symbols = list(self._read_symbols())
            self._relocations = list(self._read_relocations())
        except (struct.error, IndexError, ValueError) as error:
            raise ElfError(f"this is no whole ELF file: {error}") from error

    def licence(self) -> str:
        """What the licence section says. Raises ElfError if there is none."""
        return self._named(LICENCE).data.rstrip(b"\0").decode("ascii")

    def maps(self) -> dict[str, MapDefinition]:
        """The maps' definitions, in the order of the source. Raises ElfError if one is odd."""
        data = self._named(MAPS).data
        found = {}
        for symbol in self._in_section(MAPS, STT_OBJECT):
            if symbol.size != MAP_DEFINITION.size:
                raise ElfError(f"{symbol.name} is no map definition")
            found[symbol.name] = MapDefinition(*MAP_DEFINITION.unpack_from(data, symbol.value))
        return found

    def programs(self) -> dict[str, Program]:
        """The programs, by name. Raises ElfError for one that the agent could not load."""
        found = {}
        for index, section in enumerate(self._sections):
            if section.type == SHT_PROGBITS and section.flags & SHF_EXECINSTR and section.data:
                for symbol in self._in_section(section.name, STT_FUNC):
                    end = symbol.value + symbol.size
                    code = section.data[symbol.value : end]
                    maps = tuple(self._references(index, symbol.value, end))
                    found[symbol.name] = Program(section.name, code, maps)
        return found

    def _references(self, section: int, start: int, end: int) -> Iterator[tuple[int, str]]:
        for target, offset, kind, symbol in self._relocations:
            if target == section and start <= offset < end:
                if kind != R_BPF_64_64 or self._sections[symbol.section].name != MAPS:
                    raise ElfError(f"a program refers to {symbol.name or 'a section'}, not a map")
                yield (offset - start) // INSTRUCTION_BYTES, symbol.name

    def _named(self, name: str) -> _Section:
        for section in self._sections:
            if section.name == name:
                return section
        raise ElfError(f"there is no section {name}")

    def _in_section(self, name: str, kind: int) -> list[_Symbol]:
        found = [
            symbol
            for symbol in self._symbols
            if symbol.type == kind
            and symbol.section < len(self._sections)
            and self._sections[symbol.section].name == name
        ]
        return sorted(found, key=lambda symbol: symbol.value)

    def _read_symbols(self) -> Iterator[_Symbol]:
        for section in self._sections:
            if section.type == SHT_SYMTAB:
                names = self._sections[section.link].data
                for name, info, _, index, value, size in SYMBOL.iter_unpack(section.data):
                    yield _Symbol(_text(names, name), info & 0x0F, index, value, size)

    def _read_relocations(self) -> Iterator[tuple[int, int, int, _Symbol]]:
        for section in self._sections:
            if section.type == SHT_RELA:
                raise ElfError("relocations with addends are not expected")
            if section.type == SHT_REL:
                for offset, info in RELOCATION.iter_unpack(section.data):
                    yield section.info, offset, info & 0xFFFFFFFF, self._symbols[info >> 32]


def _sections(content: bytes) -> Iterator[_Section]:
    fields = FILE_HEADER.unpack_from(content)
    if not content.startswith(IDENTITY) or fields[2] != EM_BPF:
        raise ElfError("this is no 64-bit little-endian eBPF object file")
    table, count, names_at = fields[6], fields[12], fields[13]
    headers = [
        SECTION_HEADER.unpack_from(content, table + index * SECTION_HEADER.size)
        for index in range(count)
    ]
    names = content[headers[names_at][4] :]
    for name, kind, flags, _, offset, size, link, info, _, _ in headers:
        yield _Section(_text(names, name), kind, flags, content[offset : offset + size], link, info)


def _text(strings: bytes, offset: int) -> str:
    return strings[offset : strings.index(b"\0", offset)].decode("ascii")
