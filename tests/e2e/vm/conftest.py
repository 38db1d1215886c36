"""The VM of the tests: its image, one that they share, and one for a test that injures it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.vm.files import VmImage
from tests.e2e.vm.machine import Vm, restored
from tests.e2e.vm.prepare import missing, prepared


@pytest.fixture(scope="session")
def vm_image() -> VmImage:
    """The image, made now unless it is there."""
    if reason := missing():
        pytest.skip(reason)
    return prepared()


@pytest.fixture(scope="session")
def vm(vm_image: VmImage) -> Iterator[Vm]:
    """One that tests share; they remove what they start in it, and do not stop it."""
    with restored(vm_image) as vm:
        yield vm


@pytest.fixture
def own_vm(vm_image: VmImage) -> Iterator[Vm]:
    """One to stop, kill and reboot."""
    with restored(vm_image) as vm:
        yield vm
