"""The image of the helper container, where a package has put it."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from desktop.machines.helper_image import ARCHIVE_NAME, REPOSITORY, find_image

TAG = f"{REPOSITORY}:0123456789ab"


def put(folder: Path, manifest: Any, name: str = "manifest.json", arch: str = "x86_64") -> Path:
    """An image as `docker save` makes it, but for its layers."""
    content = json.dumps(manifest).encode()
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    folder.mkdir(exist_ok=True)
    with tarfile.open(folder / ARCHIVE_NAME.format(arch), "w") as archive:
        archive.addfile(entry, io.BytesIO(content))
    return folder


@pytest.mark.parametrize("architecture", ["x86_64", "amd64"])
def test_it_is_found_by_either_name_of_the_architecture(tmp_path: Path, architecture: str) -> None:
    folder = put(tmp_path, [{"RepoTags": [TAG]}])
    image = find_image(architecture, [tmp_path / "nowhere", folder])
    assert image is not None
    assert image.tag == TAG
    assert image.read() == (folder / ARCHIVE_NAME.format("x86_64")).read_bytes()


def test_the_first_folder_that_has_one_counts(tmp_path: Path) -> None:
    first = put(tmp_path / "first", [{"RepoTags": [TAG]}])
    second = put(tmp_path / "second", [{"RepoTags": [f"{REPOSITORY}:other"]}])
    image = find_image("x86_64", [first, second])
    assert image is not None
    assert image.tag == TAG


def test_there_is_none_for_another_architecture(tmp_path: Path) -> None:
    put(tmp_path, [{"RepoTags": [TAG]}])
    assert find_image("aarch64", [tmp_path]) is None
    assert find_image("", [tmp_path]) is None


@pytest.mark.parametrize(
    "manifest", [[], {}, [{}], [{"RepoTags": []}], [{"RepoTags": [7]}], [{"RepoTags": ["x:y"]}]]
)
def test_one_that_is_not_ours_is_none(tmp_path: Path, manifest: Any) -> None:
    assert find_image("x86_64", [put(tmp_path, manifest)]) is None


def test_a_damaged_one_is_none(tmp_path: Path) -> None:
    (tmp_path / ARCHIVE_NAME.format("x86_64")).write_bytes(b"nothing of an archive")
    assert find_image("x86_64", [tmp_path]) is None
    assert find_image("x86_64", [put(tmp_path, [], name="other.json")]) is None
