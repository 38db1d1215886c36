"""The demonstration's image, made from installed packages."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

import pytest

from scripts import demo_image

pytestmark = pytest.mark.skipif(
    shutil.which("dpkg-query") is None or not Path("/bin/nc.openbsd").exists(),
    reason="needs Debian with netcat-openbsd, socat and busybox-static",
)


def test_it_is_built_once_and_the_older_one_is_removed(tmp_path: Path) -> None:
    (tmp_path / "netshoot-000000000000.tar").write_text("old")
    first = demo_image.build(tmp_path)
    made = first.stat().st_mtime_ns
    assert demo_image.build(tmp_path) == first
    assert first.stat().st_mtime_ns == made
    assert list(tmp_path.iterdir()) == [first]


def test_nc_is_openbsds_and_busybox_gives_the_shell(tmp_path: Path) -> None:
    with tarfile.open(demo_image.build(tmp_path)) as archive:
        nc = archive.extractfile("bin/nc")
        assert nc is not None
        assert nc.read() == Path("/bin/nc.openbsd").read_bytes()
        assert archive.getmember("bin/sh").linkname == "busybox"
        names = archive.getnames()
    assert len(names) == len(set(names))
    assert any("ld-linux" in name for name in names)


def test_the_image_carries_its_key_and_starts_a_shell(tmp_path: Path) -> None:
    arguments = demo_image.import_arguments(tmp_path / "netshoot-abc.tar")
    assert "LABEL samehost.key=abc" in arguments
    assert 'CMD ["/bin/sh"]' in arguments
    assert arguments[0] == "import"
    assert arguments[-1] == "samehost/netshoot:latest"


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_image, "PACKAGES", ("no-such-package-here", "libc6"))
    with pytest.raises(RuntimeError, match="apt-get install no-such-package-here"):
        demo_image.cache_key()
