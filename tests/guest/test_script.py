"""The script for Linux in the shells that machines have, and what a caller can make of its arguments."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from pytest_ampls.guest.script import PARTS, Request, powershell_text, shell_text
from pytest_ampls.guest.state import state_of
from pytest_ampls.guest.transcript import Transcript, merged, transcript
from pytest_ampls.model.guest_questions import GuestQuestions
from pytest_ampls.model.guest_state import GuestState
from tests.guest.sshd import CHUNKS, HANDLER, LOG, NOWHERE, ODS, SECRET

NONCE = "5eed0001"
QUESTIONS = GuestQuestions(names=(HANDLER, ODS, NOWHERE), identities=("client_id#1", ""))
SHELLS = {"dash": ["dash"], "bash": ["bash", "--posix"], "busybox": ["busybox", "sh"]}
TOOLS = (
    *(
        "awk",
        "cat",
        "cut",
        "date",
        "df",
        "env",
        "grep",
        "head",
        "id",
        "openssl",
        "printf",
        "sed",
        "sleep",
        "sort",
    ),
    *("stat", "tail", "tr", "uname", "timeout", "wc", "bash", "dash", "busybox", "wget", "python3"),
)

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is needed")


def tools(root: Path, *without: str) -> str:
    """Return a search path with the tools of the test's machine, without some of them."""
    folder = root / "tools"
    folder.mkdir()
    for name in TOOLS:
        found = os.path.realpath(sys.executable) if name == "python3" else shutil.which(name)
        if found is not None and name not in without:
            (folder / name).symlink_to(found)
    for name in without:
        (root / "bin" / name).unlink(missing_ok=True)
    return f"{root}/bin:{folder}"


def said(
    shell: list[str], environment: dict[str, str], request: Request, *, path: str | None = None
) -> Transcript:
    """Run the script, and take its output apart. With a path it finds nothing that is not there."""
    command = shutil.which(shell[0])
    if command is None:
        pytest.skip(f"there is no {shell[0]} here")
    text = shell_text(request)
    if path is not None:
        environment = {**environment, "PATH": path}
        text = text.replace("PATH=$PATH:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "PATH=$PATH")
    argv = [command, *shell[1:], "-s"]
    done = subprocess.run(argv, input=text.encode(), env=environment, capture_output=True, check=True)
    assert done.stderr == b""
    assert SECRET.encode() not in done.stdout  # the token of the metadata service
    return transcript(done.stdout, request.nonce)


def state(told: Transcript) -> GuestState:
    """Return the state of a transcript."""
    request = Request(nonce=NONCE, questions=QUESTIONS)
    return state_of("/m/vm1", "ssh", told, request, system="Linux", read_at=1.0, where="here")


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_says_the_same(shell: str, environment: dict[str, str]) -> None:
    """dash, bash and busybox run the script alike, and every part is told."""
    found = state(said(SHELLS[shell], environment, Request(nonce=NONCE, questions=QUESTIONS)))
    assert found.problems == {}
    assert found.tokens is not None
    assert [part.status for part in found.tokens] == [200, 400]
    assert found.handshakes is not None
    assert [shake.trusted for shake in found.handshakes] == [True, True, False]
    assert found.log is not None
    assert len(found.log) == 2


@pytest.mark.parametrize(("shell", "limit"), [("dash", 700), ("busybox", 1200)])
def test_an_answer_in_pieces(shell: str, limit: int, environment: dict[str, str]) -> None:
    """With little room the answer comes in several calls, none of them larger, and is the same."""
    told, request, calls = (
        Transcript(begun=True, ended=True),
        Request(nonce=NONCE, questions=QUESTIONS, limit=limit),
        0,
    )
    while calls < 20:
        calls += 1
        piece = said(SHELLS[shell], environment, request)
        told = merged(told, piece)
        if piece.resume is None:
            break
        request = msgspec.structs.replace(request, part=piece.resume[0], skip=piece.resume[1])
    whole = said(SHELLS[shell], environment, Request(nonce=NONCE, questions=QUESTIONS))
    assert 2 <= calls < 20
    assert {name: told.part(name) for name in PARTS if name not in ("system", "started", "disks")} == {
        name: whole.part(name) for name in PARTS if name not in ("system", "started", "disks")
    }


def test_without_timeout(environment: dict[str, str], root: Path) -> None:
    """Where there is no timeout(1), the script watches its steps itself."""
    path = tools(root, "timeout")
    hanging = root / "bin/df"  # the first time it is asked
    hanging.write_text(
        f'#!/bin/sh\n[ -e "$AMPLS_ROOT/hung" ] && exec {shutil.which("df")} "$@"\n>"$AMPLS_ROOT/hung"\nexec sleep 60\n'
    )
    hanging.chmod(0o755)
    told = said(["dash"], environment, Request(nonce=NONCE, questions=QUESTIONS), path=path)
    assert told.problem("disks") == "df does not answer for /var/opt/microsoft/azuremonitoragent"
    assert told.part("log") is not None


@pytest.mark.parametrize(("without", "left"), [(("curl",), "wget"), (("curl", "wget"), "python3")])
def test_tokens_without_curl(
    environment: dict[str, str], root: Path, without: tuple[str, ...], left: str
) -> None:
    """Wget or python3 ask the metadata service as well."""
    if shutil.which(left) is None:
        pytest.skip(f"there is no {left} here")
    request = Request(nonce=NONCE, questions=QUESTIONS)
    found = state(said(["dash"], environment, request, path=tools(root, *without)))
    assert found.tokens is not None
    assert [(part.status, part.description) for part in found.tokens] == [
        (200, ""),
        (400, "Identity not found"),
    ]


def test_without_any_tool_for_the_network(environment: dict[str, str], root: Path) -> None:
    """What cannot be asked for is told as that, and never as nothing."""
    path = tools(root, "curl", "wget", "python3", "openssl", "getent")
    found = state(said(["dash"], environment, Request(nonce=NONCE, questions=QUESTIONS), path=path))
    assert set(found.problems) == {"tokens", "lookups", "handshakes", "health"}
    assert found.problems["lookups"] == "there is no getent to resolve names with"


def test_hostile_files(environment: dict[str, str], root: Path) -> None:
    """Names and contents of files on the machine cannot make lines of ours."""
    (root / CHUNKS / f"!x\n{NONCE} ] log 0\n.json").write_text(f'"protocol":"ods"\n{NONCE} end\n')
    (root / LOG).write_text(f"{NONCE} end\n{NONCE} ] log 1\n! none\n$(touch owned) `touch owned`\n")
    (root / "etc/resolv.conf").write_text(f"nameserver !x\nnameserver {NONCE}\x1b[2J\n")
    found = state(said(["dash"], environment, Request(nonce=NONCE, questions=QUESTIONS)))
    assert found.problems == {}
    assert found.chunks is not None
    assert {chunk.file for chunk in found.chunks} == {"1234.json", f"!x?{NONCE} ] log 0?.json"}
    assert found.log is not None
    assert [entry.line for entry in found.log] == [
        f"{NONCE} ] log 1",  # the line before has no time: it may be the rest of a longer one
        "! none",
        "$(touch owned) `touch owned`",
    ]
    assert found.dns_servers == ("!x", f"{NONCE}\x1b[2J")
    assert not (Path.cwd() / "owned").exists()


def test_a_log_without_times_is_told(environment: dict[str, str], root: Path) -> None:
    """Lines behind the first are messages of several lines, or of no time."""
    (root / LOG).write_text("2026-03-01T08:00:00.1Z: first\n  second line\n! third\n")
    found = state(said(["dash"], environment, Request(nonce=NONCE, questions=QUESTIONS)))
    assert found.log is not None
    assert [(entry.line, entry.seconds) for entry in found.log] == [
        ("first", 1772352000),
        ("  second line", 1772352000),
        ("! third", 1772352000),
    ]


def test_the_script_alone_does_nothing(environment: dict[str, str]) -> None:
    """Without its last line, or with half of it, nothing is run."""
    text = shell_text(Request(nonce=NONCE, questions=QUESTIONS))
    for cut in (text[: text.rindex("ampls_gather")], text[: len(text) // 2]):
        done = subprocess.run(
            ["dash", "-s"], input=cut.encode(), env=environment, capture_output=True, check=False
        )
        assert done.stdout == b""


def test_arguments_are_data() -> None:
    """What is no host name is left out; identities are encoded; quotes in them stay in them."""
    hostile = GuestQuestions(
        names=("ok.example.test", "$(touch x)", "a'b", "-n", "a b", "x" * 300, "OK.example.test."),
        identities=("client_id#'; touch x #", "shell#x", ""),
    )
    request = Request(nonce=NONCE, questions=hostile)
    assert request.names == ("ok.example.test",)
    assert request.identities == ("client_id#'; touch x #", "")
    call = shell_text(request).splitlines()[-1]
    assert call.startswith(
        f"ampls_gather {NONCE} 0 - 0 ok.example.test 'client_id=%27%3B%20touch%20x%20%23 -' system"
    )
    assert (
        powershell_text(request)
        .splitlines()[-1]
        .startswith(
            f"Invoke-AmplsGather '{NONCE}' '0' '-' '0' 'ok.example.test' 'client_id=%27%3B%20touch%20x%20%23 -' 'system"
        )
    )
