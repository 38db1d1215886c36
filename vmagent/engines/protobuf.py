"""Protocol Buffers' wire format, as much as is needed to read names (protobuf.dev, "Encoding").

Rules: pure. A message is its fields in order, by number; what a field means is the caller's.
Raises ValueError for what is no message. Limits: no groups (given up in 2008).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

__all__ = ["fields", "string_field", "text"]

VARINT: Final = 0
FIXED_64: Final = 1
LENGTH_DELIMITED: Final = 2
FIXED_32: Final = 5
FIXED_BYTES: Final = {FIXED_64: 8, FIXED_32: 4}

MOST_VARINT_BYTES: Final = 10


def fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """The number and content of every field that has a length: strings, bytes and messages."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, kind = tag >> 3, tag & 7
        if kind == VARINT:
            _, at = _varint(message, at)
        elif kind == LENGTH_DELIMITED:
            length, at = _varint(message, at)
            if length > len(message) - at:
                raise ValueError("a field ends after its message")
            yield number, message[at : at + length]
            at += length
        elif kind in FIXED_BYTES:
            at += FIXED_BYTES[kind]
        else:
            raise ValueError(f"a field of the unknown kind {kind}")


def string_field(number: int, value: str) -> bytes:
    """A message, or part of one: one string of less than 128 bytes."""
    content = value.encode()
    if len(content) >= 128:
        raise ValueError("a string too long for a length of one byte")
    return bytes((number << 3 | LENGTH_DELIMITED, len(content))) + content


def text(content: bytes) -> str:
    """A string's content; what is no UTF-8 is replaced."""
    return content.decode("utf-8", "replace")


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """Seven bits a byte, the lowest first: the number, and where it ends."""
    value = 0
    for place, byte in enumerate(message[at : at + MOST_VARINT_BYTES]):
        value |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return value, at + place + 1
    raise ValueError("a number without an end")
