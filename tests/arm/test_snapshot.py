"""Snapshots: what goes in comes out, and damage is told apart."""

from __future__ import annotations

import gzip
import os
import stat
from pathlib import Path

import msgspec
import pytest

from pytest_ampls.arm.snapshot import load, save
from pytest_ampls.errors import SnapshotError
from pytest_ampls.model.evidence import (
    SNAPSHOT_VERSION,
    Answer,
    Gap,
    GapKind,
    Reading,
    Snapshot,
    Statistics,
    Subscription,
    VantagePoint,
)

DOCUMENT = b'{"id": "/a", "n\\u00e4me": "x\\ny", "deep": [1.50, null, {"a": true}]}'
SNAPSHOT = Snapshot(
    cloud="AzureChinaCloud",
    arm_endpoint="https://arm",
    read_at=12.5,
    subscriptions=(Subscription(id="1", name="one"),),
    readings=(
        Reading(
            type="T", scope="/s", request="https://arm/s", read_at=1.0, documents=(msgspec.Raw(DOCUMENT),)
        ),
        Reading(
            type="T",
            scope="/x",
            request="https://arm/x",
            read_at=2.0,
            gap=Gap(kind=GapKind.DENIED, message="no", status=403, permission="T/read"),
            single=True,
        ),
    ),
    vantage_points=(VantagePoint(name="hub", servers=("127.0.0.1:53",)),),
    answers=(Answer(vantage_point="hub", name="n", addresses=("10.0.0.4",), ttl=10),),
    statistics=Statistics(calls=2, calls_by_type={"T": 2}),
)


def plain(snapshot: Snapshot) -> object:
    """Return a snapshot as builtins, which compare by value."""
    return msgspec.json.decode(msgspec.json.encode(snapshot))


def test_round_trip(tmp_path: Path) -> None:
    """Everything comes back, documents byte for byte."""
    path = tmp_path / "run.ampls"
    save(path, SNAPSHOT)
    loaded = load(path)
    assert plain(loaded) == plain(SNAPSHOT)
    assert bytes(loaded.readings[0].documents[0]) == DOCUMENT
    assert loaded.readings[1].gap == SNAPSHOT.readings[1].gap


def test_the_same_snapshot_is_the_same_file_and_only_the_owners(tmp_path: Path) -> None:
    """Two files of one snapshot do not differ, and nobody else may read them."""
    for name in ("a", "b"):
        save(tmp_path / name, SNAPSHOT)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (tmp_path / "a").read_bytes()[4:8] == bytes(4)  # gzip's own time stamp, RFC 1952
    if os.name == "posix":
        assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o600


def test_a_failed_write_leaves_the_old_file_and_no_rest(tmp_path: Path) -> None:
    """What cannot be written must not destroy what was there."""
    target = tmp_path / "kept"
    target.mkdir()
    (target / "file").write_text("old")
    with pytest.raises(SnapshotError, match="cannot be written"):
        save(target, SNAPSHOT)
    assert [entry.name for entry in tmp_path.iterdir()] == ["kept"]
    assert (target / "file").read_text() == "old"


def test_a_missing_folder_is_said(tmp_path: Path) -> None:
    """The message names the path and what to check."""
    with pytest.raises(SnapshotError, match=r"nowhere.*folder exists"):
        save(tmp_path / "nowhere" / "run", SNAPSHOT)


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    """A wrong path is not a damaged snapshot."""
    with pytest.raises(SnapshotError, match=r"There is no snapshot .*gone"):
        load(tmp_path / "gone")


def whole(tmp_path: Path) -> bytes:
    """Return the bytes of a good snapshot."""
    save(tmp_path / "whole", SNAPSHOT)
    return (tmp_path / "whole").read_bytes()


def packed(header: bytes, body: bytes = b"{}") -> bytes:
    """Return a file with a header and a body of ours."""
    return gzip.compress(header + b"\n" + body, mtime=0)


NEWER = b'{"format":"pytest-ampls snapshot","version":%d}' % (SNAPSHOT_VERSION + 1)
OURS = b'{"format":"pytest-ampls snapshot","version":%d}' % SNAPSHOT_VERSION


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b'{"a": 1}', "not a snapshot"),
        (gzip.compress(b"something else", mtime=0), "not a snapshot"),
        (packed(b'{"format":"other","version":1}'), "not a snapshot"),
        (packed(b'{"format":"pytest-ampls snapshot"}'), "not a snapshot"),
        (packed(b"[1]"), "not a snapshot"),
        (packed(NEWER, b"future"), "newer pytest-ampls"),
        (packed(OURS, b'{"readings": 3}'), r"damaged: .*readings"),
        (packed(OURS, b'{"readings": ['), "damaged"),
        (packed(OURS, b"\xff"), "damaged"),
    ],
)
def test_files_that_are_none(tmp_path: Path, content: bytes, said: str) -> None:
    """Each kind of wrong file has a message of its own."""
    path = tmp_path / "wrong"
    path.write_bytes(content)
    with pytest.raises(SnapshotError, match=said):
        load(path)


def test_cut_short_anywhere_is_never_a_snapshot(tmp_path: Path) -> None:
    """Every shorter file is refused; past the magic it is told that it was cut."""
    content, path = whole(tmp_path), tmp_path / "cut"
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(SnapshotError) as caught:
            load(path)
        if length > 10:
            assert "cut short" in str(caught.value)


def test_a_flipped_bit_is_found(tmp_path: Path) -> None:
    """The checksum covers all of the content; what fills the last byte of the packed data is no content."""
    content, path = whole(tmp_path), tmp_path / "flipped"
    checksums = len(content) - 8  # CRC-32 and length (RFC 1952, 2.3.1)
    for position in (*range(10, checksums - 1, 7), *range(checksums, len(content))):
        flipped = bytearray(content)
        flipped[position] ^= 0x10
        path.write_bytes(flipped)
        with pytest.raises(SnapshotError):
            load(path)


def test_a_folder_is_not_readable_as_snapshot(tmp_path: Path) -> None:
    """An error of the file system comes as one of ours."""
    with pytest.raises(SnapshotError, match="cannot be read"):
        load(tmp_path)
