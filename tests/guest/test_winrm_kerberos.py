"""What a Kerberos library raises over WinRM, with a stand-in for the library: a gap each, and no traceback."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

# Names, bases and forms of the errors are those of pykerberos' kerberos.c and of winkerberos.c: an error of GSSAPI has
# two pairs of text and number.
LIBRARY = """
import os

class KrbError(Exception): pass
class BasicAuthError(KrbError): pass
class GSSError(KrbError): pass

GSS_C_DELEG_FLAG, GSS_C_MUTUAL_FLAG, GSS_C_SEQUENCE_FLAG = 1, 2, 8
NO_TICKET = (("Unspecified GSS failure", 851968), ("No Kerberos credentials available\\x1b[2J", 2529639053))

def _step(name):
    stage, _, error = os.environ["FAILS"].partition(" ")
    if stage == name:
        raise globals()[error](*NO_TICKET)

def authGSSClientInit(service, **more):
    _step("init")
    return 1, object()

def authGSSClientStep(context, challenge, **more):
    return 1

def authGSSClientResponse(context):
    return "dG9rZW4="

def authGSSWinRMEncryptMessage(context, message):
    _step("wrap")
    return message, b"0123456789abcdef"
"""
ASK = """
import sys
from pytest_ampls.guest.access import GuestAccess, WinrmTarget
from pytest_ampls.guest.winrm import GuestWinrm

target = WinrmTarget(host="127.0.0.1", port=sys.argv[1], user="u", no_ssl=True, transport="kerberos")
gap = GuestWinrm(target, GuestAccess(), timeout=30).feed("x")
print(gap.kind)
print(gap.message)
"""


class _Negotiating(BaseHTTPRequestHandler):
    """Takes whatever token a client has, and answers without a word."""

    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        """Ask for a token, or be content with the one that is there."""
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        known = "Authorization" in self.headers
        self.send_response(200 if known else 401)
        self.send_header("WWW-Authenticate", "Negotiate dG9rZW4=" if known else "Negotiate")
        self.send_header("Content-Length", "0")
        self.end_headers()


@pytest.fixture
def port() -> Iterator[int]:
    """Serve on a loopback port; returns the port."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Negotiating) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.mark.parametrize("library", ["kerberos", "winkerberos"])
@pytest.mark.parametrize("fails", ["init GSSError", "init BasicAuthError", "init KrbError", "wrap GSSError"])
def test_what_the_library_raises_is_a_gap(tmp_path: Path, port: int, fails: str, library: str) -> None:
    """Wherever it is raised, wrapped by pywinrm or not, it is a sign-in that failed, with what the library says."""
    (tmp_path / "kerberos.py").write_text("raise ImportError")
    (tmp_path / f"{library}.py").write_text(LIBRARY)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "FAILS": fails}
    done = subprocess.run(
        [sys.executable, "-c", ASK, str(port)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stderr == ""
    kind, message = done.stdout.splitlines()
    assert kind == "unauthenticated"
    assert message.startswith(f"WinRM to u@127.0.0.1:{port}: signing in by kerberos failed (")
    assert "No Kerberos credentials available" in message
    assert "Check the ticket (klist)" in message
    assert message.isprintable()
