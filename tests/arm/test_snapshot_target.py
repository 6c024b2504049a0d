"""Where a snapshot cannot be written, that is found out without writing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path

import pytest

from pytest_ampls.arm.snapshot import check_target
from pytest_ampls.errors import SnapshotError

NOBODY = 65_534

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs rights and devices of POSIX")


@contextmanager
def _without_rights() -> Iterator[None]:
    """Be somebody else meanwhile, where this process may do everything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_folder_that_is_there_is_enough(tmp_path: Path) -> None:
    """A new file and an old one may be written; neither is made or touched for that."""
    old = tmp_path / "old.ampls"
    old.write_bytes(b"as it was")
    before = old.stat()
    check_target(tmp_path / "new.ampls")
    check_target(old)
    assert old.stat() == before
    assert list(tmp_path.iterdir()) == [old]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere/run.ampls", "there is no folder 'nowhere'. Make it"),
        ("file/run.ampls", "'file' is not a folder"),
        ("folder", "it is a folder. Name a file in it"),
        ("pipe", "it is a device or the like"),
        ("shut/run.ampls", "the folder 'shut' may not be written to"),
        ("dark/folder/run.ampls", "Permission denied. Name a file that you may write"),
    ],
)
def test_what_stands_in_the_way_is_named(tmp_path: Path, name: str, message: str) -> None:
    """The path, the reason and what to do."""
    for folder, mode in (("folder", 0o700), ("shut", 0o555), ("dark", 0o600)):
        (tmp_path / folder).mkdir(mode=mode)
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    tmp_path.chmod(0o755)
    # In the folder itself: those above it are not everybody's.
    with chdir(tmp_path), _without_rights(), pytest.raises(SnapshotError, match=message) as caught:
        check_target(name)
    assert str(caught.value).startswith(f"The snapshot {name!r} cannot be written: ")
