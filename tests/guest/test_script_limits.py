"""What the script for Linux does with files that are larger than it reads, and with other people's settings."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pytest_ampls.guest.script import Request
from tests.guest.sshd import CHUNKS, LOG, ODS
from tests.guest.test_script import NONCE, QUESTIONS, SHELLS, said, state, tools

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is needed")
REQUEST = Request(nonce=NONCE, questions=QUESTIONS)


@pytest.mark.parametrize("shell", SHELLS)
def test_a_known_error_is_not_drowned(shell: str, environment: dict[str, str], root: Path) -> None:
    """Other messages, however many are newer, do not push out one that says why data stops."""
    words = ("ab", "cd", "ef", "gh", "ij", "kl", "mn", "op", "qr", "st")
    noise = [f"{first}x{second}yz went wrong" for first in words for second in words]
    lines = ["starting", "Failed to upload to ODS: 403, Datatype: X", *noise]
    (root / LOG).write_text("".join(f"2026-03-01T08:00:00.1Z: {line}\n" for line in lines))
    for limit, most in ((0, 20), (3500, 8)):
        found = state(
            said(SHELLS[shell], environment, Request(nonce=NONCE, questions=QUESTIONS, limit=limit))
        )
        assert found.log is not None, found.problems
        told = [entry.line for entry in found.log]
        assert told == ["Failed to upload to ODS: 403, Datatype: X", *noise[1 - most :]]


def test_a_hosts_file_is_read_to_its_end_or_not_believed(environment: dict[str, str], root: Path) -> None:
    """A line behind what the script reads would be an override that nobody saw: the part is not told."""
    hosts = root / "etc/hosts"
    line = f"10.9.9.9 {ODS}\n"
    hosts.write_text("127.0.0.1 localhost\n" * 100 + line)
    found = state(said(["dash"], environment, REQUEST))
    assert found.lookups is not None
    assert {part.name: part.in_hosts_file for part in found.lookups}[ODS] == ("10.9.9.9",)
    hosts.write_text("127.0.0.1 localhost\n" * 60_000 + line)
    found = state(said(["dash"], environment, REQUEST))
    assert found.lookups is None
    assert found.problems["lookups"] == "/etc/hosts has more than 1048576 bytes"


def test_many_chunks_are_told_or_refused(environment: dict[str, str], root: Path) -> None:
    """A machine with thirty rules has many chunks: all of them count, or none does."""
    for number in range(120):
        (root / CHUNKS / f"{number}.json").write_text(
            f'"agentConfigurations/dcr-{number:03}x","protocol":"ods"'
        )
    found = state(said(["dash"], environment, REQUEST))
    assert found.chunks is not None
    assert len({chunk.rule for chunk in found.chunks}) == 121
    for number in range(120, 240):
        (root / CHUNKS / f"{number}.json").write_text("{}")
    found = state(said(["dash"], environment, REQUEST))
    assert found.chunks is None
    assert "more than 200 files" in found.problems["chunks"]


def test_settings_of_the_user_are_not_followed(environment: dict[str, str], root: Path) -> None:
    """A ``.curlrc`` that checks no certificate must not make one trusted, nor write a file."""
    (root / ".curlrc").write_text(f'insecure\ndump-header = "{root}/dumped"\n')
    path = tools(root, "openssl")
    curl = Path(root / "bin/curl").read_text().rsplit("exec ", 1)[1].split()[0]
    (root / "bin/curl").unlink()
    (root / "tools/curl").symlink_to(curl)
    environment = {
        **environment,
        "HOME": str(root),
        "SSL_CERT_FILE": "/dev/null",
        "CURL_CA_BUNDLE": "/dev/null",
    }
    found = state(said(["dash"], environment, REQUEST, path=path))
    assert found.handshakes, found.problems
    assert not any(shake.trusted for shake in found.handshakes)
    assert not (root / "dumped").exists()


def test_wget_leaves_nothing_behind(environment: dict[str, str], root: Path) -> None:
    """Neither the settings of its user nor its list of strict hosts is touched by wget."""
    if shutil.which("wget") is None:
        pytest.skip("there is no wget here")
    (root / ".wgetrc").write_text("check_certificate = off\n")
    environment = {**environment, "HOME": str(root), "SSL_CERT_FILE": "/dev/null"}
    (root / "bin/wget").write_text(
        '#!/bin/sh\nprintf "%s %s\\n" "$HOME" "${WGETRC-unset}" >>"$AMPLS_ROOT/asked"\n'
        f'exec {shutil.which("wget")} "$@"\n'
    )
    (root / "bin/wget").chmod(0o755)
    said(["dash"], environment, REQUEST, path=tools(root, "curl"))
    assert set((root / "asked").read_text().splitlines()) == {"/nonexistent "}
    assert not (root / ".wget-hsts").exists()
