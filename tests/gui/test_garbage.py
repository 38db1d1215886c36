"""While there are windows, only the main thread collects garbage, and it does after every test."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Iterator

import pytest
from PySide6.QtCore import QObject

from tests.garbage import TESTS_PER_COLLECTION, Garbage

FAR_TOO_MANY = 100_000
"""Containers, of which the interpreter collects after some hundred."""


class Watched(QObject):
    """Only a collection ends it. `ends`: the threads in which such ones ended."""

    def __init__(self, ends: list[threading.Thread]) -> None:
        super().__init__()
        self.itself = self
        weakref.finalize(self, lambda: ends.append(threading.current_thread()))


@pytest.fixture
def as_before() -> Iterator[None]:
    """The garbage of this test is collected like that of the others: by nothing but `Garbage`."""
    assert not gc.isenabled()
    yield
    gc.disable()
    gc.freeze()


def in_a_thread(garbage_of: list[object]) -> None:
    thread = threading.Thread(target=lambda: garbage_of.extend([] for _ in range(FAR_TOO_MANY)))
    thread.start()
    thread.join()


def test_no_thread_collects_during_a_test() -> None:
    ends: list[threading.Thread] = []
    Watched(ends)
    in_a_thread([])
    assert ends == []


@pytest.mark.usefixtures("as_before")
def test_what_a_test_left_is_collected_after_it_by_the_main_thread() -> None:
    ends: list[threading.Thread] = []
    garbage = Garbage()
    with garbage.of_test(is_last=False):
        Watched(ends)
        in_a_thread([])
        assert ends == []
    assert ends == [threading.main_thread()]
    assert not gc.isenabled()


@pytest.mark.usefixtures("as_before")
def test_what_has_grown_old_is_collected_after_some_tests() -> None:
    ends: list[threading.Thread] = []
    garbage = Garbage()
    watched = Watched(ends)
    for _ in range(2):
        gc.collect(1)
    del watched
    for _ in range(TESTS_PER_COLLECTION):
        assert ends == []
        with garbage.of_test(is_last=False):
            pass
    assert ends == [threading.main_thread()]


@pytest.mark.usefixtures("as_before")
def test_after_the_last_test_nothing_is_left_and_threads_collect_as_ever() -> None:
    ends: list[threading.Thread] = []
    watched = Watched(ends)
    gc.freeze()
    del watched
    with Garbage().of_test(is_last=True):
        pass
    assert ends == [threading.main_thread()]
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0
