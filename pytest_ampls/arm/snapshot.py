"""All evidence of a run in one file: gzip around one line of header and one of JSON.

``zcat FILE`` shows what is in it; no token and no secret is.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import tempfile
import zlib
from pathlib import Path
from typing import Final

import msgspec

from pytest_ampls.errors import SnapshotError
from pytest_ampls.model.evidence import SNAPSHOT_VERSION, Snapshot

__all__ = ["check_target", "load", "save"]

_FORMAT: Final = "pytest-ampls snapshot"
_GZIP_MAGIC: Final = b"\x1f\x8b"
_LEVEL: Final = 1  # large estates are written and read by every run under xdist; size matters less


class _Header(msgspec.Struct, frozen=True):
    format: str
    version: int


def save(path: str | Path, snapshot: Snapshot) -> None:
    """Write a snapshot, for the owner's eyes only (mode 0600).

    The file is there completely or not at all: a file of that name stays as it was until the
    new one is whole.

    Raises:
        SnapshotError: the file cannot be written.
    """
    header = msgspec.json.encode(_Header(format=_FORMAT, version=snapshot.version))
    content = gzip.compress(header + b"\n" + msgspec.json.encode(snapshot), _LEVEL, mtime=0)
    target = Path(path)
    temporary = ""
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except OSError as error:
        if temporary:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
        raise SnapshotError(
            f"The snapshot {str(target)!r} cannot be written: {error.strerror or error}. "
            "Check that the folder exists, is writable and has room"
        ) from error


def check_target(path: str | Path) -> None:
    """Find out whether a snapshot can be written, before it is read; nothing is made or changed for it.

    What only comes up when it is written (a full disk) is told by :func:`save`.

    Raises:
        SnapshotError: it cannot.
    """
    target = Path(path)
    try:
        obstacle = _obstacle(target)
    except OSError as error:
        obstacle = f"{error.strerror or error}. Name a file that you may write"
    if obstacle:
        raise SnapshotError(f"The snapshot {str(target)!r} cannot be written: {obstacle}")


def _obstacle(target: Path) -> str:
    folder = target.parent
    if not folder.exists():
        return f"there is no folder {str(folder)!r}. Make it, or name a file in one that there is"
    if not folder.is_dir():
        return f"{str(folder)!r} is not a folder. Name a file in one that there is"
    if target.is_dir():
        return "it is a folder. Name a file in it"
    if target.exists() and not target.is_file():
        return "it is a device or the like, which it would replace. Name a file"
    effective = os.access in os.supports_effective_ids
    if not os.access(folder, os.W_OK | os.X_OK, effective_ids=effective):
        return (
            f"the folder {str(folder)!r} may not be written to. Name a file in another, or change its rights"
        )
    return ""


def load(path: str | Path) -> Snapshot:
    """Read a snapshot.

    Raises:
        SnapshotError: there is no such file, it is no snapshot, was cut short, was damaged, or
            was written by a newer version.
    """
    name = repr(str(path))
    header, _, body = _unpacked(name, _content(name, Path(path))).partition(b"\n")
    _check(name, header)
    try:
        return msgspec.json.decode(body, type=Snapshot)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SnapshotError(f"The snapshot {name} is damaged: {error}. Record it anew") from error


def _content(name: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise SnapshotError(f"There is no snapshot {name}. Check the path, or record one first") from error
    except OSError as error:
        raise SnapshotError(f"The snapshot {name} cannot be read: {error.strerror or error}") from error


def _unpacked(name: str, content: bytes) -> bytes:
    if not content:
        raise SnapshotError(f"The snapshot {name} is empty. Record it anew")
    if not content.startswith(_GZIP_MAGIC):
        raise _no_snapshot(name)
    try:
        return gzip.decompress(content)
    except EOFError as error:
        raise SnapshotError(f"The snapshot {name} was cut short. Copy it again, or record it anew") from error
    except (OSError, zlib.error) as error:
        raise SnapshotError(f"The snapshot {name} is damaged: {error}. Record it anew") from error


def _check(name: str, header: bytes) -> None:
    try:
        found = msgspec.json.decode(header, type=_Header)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise _no_snapshot(name) from None
    if found.format != _FORMAT:
        raise _no_snapshot(name)
    if found.version > SNAPSHOT_VERSION:
        raise SnapshotError(
            f"The snapshot {name} has version {found.version}, written by a newer pytest-ampls; this one "
            f"reads up to version {SNAPSHOT_VERSION}. Upgrade pytest-ampls, or record the snapshot with this one"
        )


def _no_snapshot(name: str) -> SnapshotError:
    return SnapshotError(f"The file {name} is not a snapshot of pytest-ampls")
