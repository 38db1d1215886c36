"""Tests are skipped where the system has not what they need, never on Linux, and it is said why."""

from __future__ import annotations

import pytest

from tests import capabilities
from tests.capabilities import AS_ROOT, LINUX_KERNEL, WHOLE, Capability, missing_for, needs

ALL = [each for each in vars(capabilities).values() if isinstance(each, Capability)]
NOWHERE = Capability(is_there=False, reason="nobody has it")
HERE = Capability(is_there=True, reason="everybody has it")


@needs(LINUX_KERNEL)
def test_linux_has_everything_but_for_every_user_what_is_roots() -> None:
    assert len(ALL) > 8
    assert [each for each in ALL if not each.is_there and each is not AS_ROOT] == []


def test_every_module_that_may_be_skipped_is_there() -> None:
    assert [path for path in WHOLE if not (capabilities.TESTS / path).exists()] == []


def test_a_test_is_skipped_by_all_that_is_missing_and_by_nothing_else() -> None:
    assert needs(HERE).args == (False,)
    mark = needs(HERE, NOWHERE)
    assert (mark.args, mark.kwargs) == ((True,), {"reason": "nobody has it"})


def test_a_folder_is_skipped_with_all_that_is_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capabilities, "WHOLE", {"unit/api": NOWHERE, "unit/cli": HERE})
    tests = capabilities.TESTS
    assert missing_for(tests / "unit" / "api" / "deeper" / "test_x.py") == "nobody has it"
    for other in (tests / "unit" / "cli" / "test_x.py", tests / "unit" / "test_api.py"):
        assert missing_for(other) == ""
    assert missing_for(tests.parent / "unit" / "api" / "test_x.py") == ""
