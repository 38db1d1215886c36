"""Lines of the control API."""

from __future__ import annotations

import pytest

from desktop.api.messages import MAX_LINE, decode, encode, error_from_wire, error_to_wire
from desktop.errors import (
    ConflictError,
    MachineUnreachableError,
    NotRunningError,
    PermissionDeniedError,
    SamehostError,
    UsageError,
    VersionMismatchError,
)


@pytest.mark.parametrize(
    "kind",
    [
        SamehostError,
        UsageError,
        NotRunningError,
        MachineUnreachableError,
        PermissionDeniedError,
        ConflictError,
        VersionMismatchError,
    ],
)
def test_an_error_comes_out_as_it_went_in(kind: type[SamehostError]) -> None:
    error = error_from_wire(decode(encode(error_to_wire(kind("what", "remedy")))))
    assert type(error) is kind
    assert (error.message, error.remedy) == ("what", "remedy")


def test_the_code_of_an_error_is_a_word() -> None:
    assert error_to_wire(VersionMismatchError("a", "b")) == {
        "code": "VERSION_MISMATCH",
        "message": "a",
        "remedy": "b",
    }


def test_the_code_of_an_error_may_be_its_number() -> None:
    assert type(error_from_wire({"code": 6, "message": "x"})) is ConflictError


def test_an_unknown_code_is_a_plain_failure() -> None:
    assert type(error_from_wire({"code": "LATER", "message": "x"})) is SamehostError


def test_a_line_may_have_one_mebibyte_and_no_more() -> None:
    frame = len(encode({"x": ""}))
    assert len(encode({"x": "a" * (MAX_LINE - frame)})) == MAX_LINE
    with pytest.raises(ValueError, match="longer than 1048576"):
        encode({"x": "a" * (MAX_LINE - frame + 1)})


@pytest.mark.parametrize("line", [b"", b"[]\n", b"{\n", b"\xff\n", b"[" * 100_000 + b"\n"])
def test_what_is_no_object_is_a_value_error(line: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the class is what callers catch
        decode(line)
