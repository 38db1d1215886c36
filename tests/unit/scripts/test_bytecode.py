"""What the agent carries is what the compiler yields."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import pytest

from desktop.machines.agent_bundle import build_agent
from scripts import bytecode
from scripts.bytecode import MODULES, SOURCE, TARGET, BuildError, generate
from scripts.elf import ElfError
from vmagent.bpf.bytecode import COMPILER


def require_compiler() -> None:
    """Skip the test unless the compiler is there that made what the agent carries."""
    try:
        found = bytecode.compiler()
    except BuildError as error:
        pytest.skip(str(error))
    if found != COMPILER:
        pytest.skip(f"the compiler here is {found}, the bytecode was made by {COMPILER}")


@pytest.mark.parametrize("source", MODULES, ids=lambda source: source.name)
def test_the_bytecode_that_the_agent_carries_is_what_its_source_yields(source: Path) -> None:
    require_compiler()
    assert generate(source, source.name) == MODULES[source].read_text(), "run `make bytecode`"


def test_it_is_the_same_wherever_the_source_lies(tmp_path: Path) -> None:
    require_compiler()
    copy = tmp_path / "another name.c"
    shutil.copy(SOURCE, copy)
    assert generate(copy) == TARGET.read_text()


def test_a_source_that_does_not_compile_is_told_with_the_compilers_words(tmp_path: Path) -> None:
    require_compiler()
    broken = tmp_path / "broken.c"
    broken.write_text("int x = nothing;\n")
    with pytest.raises(BuildError, match="use of undeclared identifier 'nothing'"):
        generate(broken)


def test_a_program_that_calls_a_function_is_refused(tmp_path: Path) -> None:
    require_compiler()
    text = SOURCE.read_text()
    assert "INLINE int post_bind(" in text
    text = text.replace("INLINE int post_bind(", "__attribute__((noinline)) static int post_bind(")
    calling = tmp_path / "calling.c"
    calling.write_text(text)
    with pytest.raises(ElfError, match="not a map"):
        generate(calling)


def test_without_a_compiler_it_is_said_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bytecode, "COMPILER", "no-such-compiler")
    with pytest.raises(BuildError, match="scripts/setup compiler"):
        generate()


def test_the_agent_carries_the_bytecode_and_not_the_source(tmp_path: Path) -> None:
    target = tmp_path / "agent.pyz"
    build_agent(target)
    with zipfile.ZipFile(target) as bundle:
        names = bundle.namelist()
    assert {f"vmagent/bpf/{target.name}" for target in MODULES.values()} <= set(names)
    assert all(name.endswith(".py") for name in names)
