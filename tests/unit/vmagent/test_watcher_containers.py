"""What the watcher tells of containers: name, image and labels, as the engine learns them.

Counterpart: `watcher_setting.py`.
"""

from __future__ import annotations

import gc

import pytest

from link.listener import Container
from tests.unit.vmagent.watcher_setting import ID, LABELS, OTHER, Setting, listening
from vmagent.engines.follower import Details
from vmagent.watch.owners import Owner


@pytest.fixture
def setting(monkeypatch: pytest.MonkeyPatch) -> Setting:
    return Setting(monkeypatch)


def test_a_name_learned_later_tells_the_listener_again(setting: Setting) -> None:
    setting.kernel.sockets = [listening(1)]
    setting.watcher.rescan()
    setting.told.take()
    setting.engine.details[ID] = Details("web", "", ())
    setting.watcher.rescan()
    assert setting.told.take() == ([1], [])
    assert setting.container_of(1).name == "web"


def test_image_and_labels_learned_later_tell_all_listeners_of_that_container_once(
    setting: Setting,
) -> None:
    setting.kernel.sockets = [listening(1), listening(2, 9000), listening(3, 9001)]
    setting.kernel.owners = {3: OTHER}
    setting.engine.details[ID] = Details("web", "", ())
    setting.watcher.rescan()
    setting.told.take()
    setting.engine.details[ID] = Details("web", "nginx", LABELS)
    setting.kernel.sockets.append(listening(4, 9002))
    setting.watcher.rescan()
    assert setting.told.take() == ([4, 1, 2], [])
    assert setting.container_of(4) == Container(ID, "web", "docker", "nginx", LABELS)
    setting.watcher.rescan()
    assert setting.told.changes == []


def test_all_listeners_of_a_container_share_one_object(setting: Setting) -> None:
    setting.engine.details[ID] = Details("web", "nginx", LABELS)
    setting.kernel.owners = {
        each: Owner(Container(ID, "", "docker"), None, True) for each in range(1, 50)
    }
    for number in range(1, 50):
        setting.kernel.sockets.append(listening(number, 8000 + number))
        setting.watcher.rescan()
    assert len({id(each.container) for each in setting.watcher.listeners.values()}) == 1
    setting.engine.details[ID] = Details("shop", "nginx", LABELS)
    setting.watcher.rescan()
    containers = {id(each.container): each.container for each in setting.watcher.listeners.values()}
    assert list(containers.values()) == [Container(ID, "shop", "docker", "nginx", LABELS)]


def test_nothing_is_kept_of_containers_that_are_gone(setting: Setting) -> None:
    setting.engine.details[ID] = Details("web", "nginx", LABELS)
    setting.kernel.owners = {1: Owner(Container(ID, "", "docker"), None, True)}
    setting.kernel.sockets = [listening(1)]
    setting.watcher.rescan()
    assert len(setting.watcher._containers) == 1
    setting.kernel.sockets = []
    setting.watcher.rescan()
    setting.told.changes.clear()
    gc.collect()
    assert len(setting.watcher._containers) == 0


def test_a_scan_that_fails_after_news_of_a_container_tells_them_next_time(
    setting: Setting,
) -> None:
    setting.kernel.sockets = [listening(1)]
    setting.watcher.rescan()
    setting.told.take()
    setting.engine.details[ID] = Details("web", "nginx", LABELS)
    setting.kernel.sockets = [listening(1), listening(2)]
    setting.kernel.owners_failure = OSError("no /proc")
    setting.watcher.rescan()
    assert setting.told.changes == []
    setting.kernel.owners_failure = None
    setting.watcher.rescan()
    assert setting.told.take() == ([2, 1], [])
    assert setting.container_of(1).image == "nginx"


def test_an_engine_that_knows_only_the_image_takes_no_name_away(setting: Setting) -> None:
    setting.engine.details[ID] = Details("web", "nginx", LABELS)
    setting.kernel.sockets = [listening(1)]
    setting.watcher.rescan()
    setting.told.take()
    setting.engine.details[ID] = Details("", "", LABELS)
    for _ in range(2):
        setting.watcher.rescan()
    assert setting.told.changes == []
    setting.engine.details[ID] = Details("", "", ())
    setting.watcher.rescan()
    assert setting.told.take() == ([1], [])
    assert setting.container_of(1) == Container(ID, "web", "docker", "nginx")


def test_a_name_is_kept_when_the_engine_goes(setting: Setting) -> None:
    setting.engine.details[ID] = Details("web", "nginx", LABELS)
    setting.kernel.sockets = [listening(1)]
    setting.watcher.rescan()
    setting.told.take()
    setting.engine.details.clear()
    setting.watcher.rescan()
    assert setting.told.changes == []
