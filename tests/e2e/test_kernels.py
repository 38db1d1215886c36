"""What depends on the kernel does the same on others: the oldest that serves, the newest, and some.

The tests of eBPF and of redirection run there as they are, each kernel in an emulated computer;
what they prove is said in them. Takes two minutes of a processor a kernel; all run at once.

Counterpart: `guest`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final
from xml.etree import ElementTree

import pytest

from tests.capabilities import INTERFACES
from tests.e2e.guest import KERNELS, PROJECT, REPORT, Ended, missing, project_image, run_in_guest

SECONDS: Final = 1200
"""For one kernel; takes 100 on an idle computer with two cores, longer beside other tests."""

TESTS: Final = (
    "tests/contract/test_desktop_ports.py",
    *sorted(str(each.relative_to(PROJECT)) for each in PROJECT.glob("tests/integration/test_bpf*")),
    "tests/integration/test_redirect.py",
    "tests/integration/test_redirect_limits.py",
    "tests/integration/test_sockdiag.py",
    "tests/integration/test_detection.py::test_every_tier_finds_the_same",
)

LEFT_OUT: Final = "not real_containers"
"""There is no engine."""
REDIRECTS: Final = f"not stubs and {LEFT_OUT}"
HAS_STUBS: Final = f"(not redirect or too_old) and {LEFT_OUT}"
"""Which of them run: before Linux 5.18 the desktop's ports are stubs."""

NO_MPTCP: Final = "no multipath TCP here"
NO_UDP_LITE: Final = "no such sockets here"
NO_NAMESPACES: Final = "this kernel does not tell its programs the network"
NO_IP: Final = INTERFACES.reason

EXPECTED: Final = {
    "5.10": (HAS_STUBS, {NO_IP, NO_MPTCP, NO_NAMESPACES}),
    "6.1": (REDIRECTS, {NO_IP}),
    "6.12": (REDIRECTS, {NO_IP}),
    "newest": (REDIRECTS, {NO_IP, NO_UDP_LITE}),
}
"""By kernel: which tests run, and for which reasons some of them cannot.

`make test` fetches the first and the last; those between are run where they were fetched.
"""


def run_tests(name: str, image: bytes) -> Ended:
    """Those that fit a kernel, on it."""
    command = [
        *(sys.executable, "-m", "pytest", "-q", "-rs", "--color=no", "--tb=short"),
        *("-p", "no:cacheprovider", f"--timeout={SECONDS}", f"--junit-xml={REPORT}"),
        *("-k", EXPECTED[name][0], *TESTS),
    ]
    return run_in_guest(KERNELS / name, image, command, SECONDS)


@pytest.fixture(scope="module")
def runs(request: pytest.FixtureRequest) -> Iterator[Mapping[str, Future[Ended]]]:
    """How they end on each kernel that is tested and there."""
    cases = [each for each in request.session.items if isinstance(each, pytest.Function)]
    asked = {each.callspec.params.get("name") for each in cases if hasattr(each, "callspec")}
    names = [name for name in EXPECTED if name in asked and not missing(KERNELS / name)]
    if not names:
        yield {}
        return
    image = project_image(TESTS)
    with ThreadPoolExecutor(len(names), "kernel") as executor:
        yield {name: executor.submit(run_tests, name, image) for name in names}


@pytest.mark.timeout(SECONDS + 60)
@pytest.mark.parametrize("name", EXPECTED)
def test_on_another_kernel_all_is_as_on_this_one(
    name: str, runs: Mapping[str, Future[Ended]]
) -> None:
    if reason := missing(KERNELS / name):
        pytest.skip(reason)
    reasons = EXPECTED[name][1]
    ended = runs[name].result()
    assert ended.status == 0, ended.output
    cases = ElementTree.fromstring(ended.report).findall(".//testcase")
    skipped = [each.attrib["message"] for each in cases for each in each.findall("skipped")]
    assert len(cases) - len(skipped) > 50, ended.output
    assert {message.split(":")[0] for message in skipped} <= reasons, ended.output
