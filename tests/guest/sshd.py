"""A real sshd on loopback, and a folder that is laid out like a machine with the agent."""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import shutil
import socket
import subprocess
import textwrap
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

import trustme

from pytest_ampls.guest import GuestAccess

SSHD: Final = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin")
HANDLER: Final = "global.handler.control.example.test"
ODS: Final = "ws.ods.example.test"
NOWHERE: Final = "nowhere.example.test"
RULE: Final = "dcr-03afb10bb4f14cd38dd79599ae76f6f2"
SECRET: Final = "eyJ0b2tlbiI6InNlY3JldCJ9"
CHUNKS: Final = "etc/opt/microsoft/azuremonitoragent/config-cache/configchunks"
LOG: Final = "var/opt/microsoft/azuremonitoragent/log/mdsd.err"

_SYSTEMCTL: Final = """\
#!/bin/sh
# systemctl show -p PROPERTY UNIT
case $3 in
ActiveState) cat "$AMPLS_ROOT/units/$4" 2>/dev/null || echo ActiveState=inactive ;;
LoadState) [ -e "$AMPLS_ROOT/units/$4" ] && echo LoadState=loaded || echo LoadState=not-found ;;
*) echo "$3=60000000" ;;
esac
"""
_GETENT: Final = """\
#!/bin/sh
# getent ahostsv4 NAME: from a file, never from DNS
grep -q " $2\\$" "$AMPLS_ROOT/names" || exit 2
grep " $2\\$" "$AMPLS_ROOT/names" | while read -r address name; do echo "$address STREAM $name"; done
"""
_CURL: Final = """\
#!/bin/sh
# The instance metadata service is asked for real, on loopback; names are never resolved.
for argument; do
    case $argument in */ping) printf 'Healthy (HTTP 200)'; exit 0 ;; esac
done
exec {curl} "$@"
"""


def lay_out(root: Path) -> None:
    """Lay out a machine with a running agent, with one downloaded rule and two errors in its log."""
    for folder in (CHUNKS, "var/opt/microsoft/azuremonitoragent/log", "etc/default", "proc", "units", "bin"):
        (root / folder).mkdir(parents=True)
    (root / "proc/uptime").write_text("7260.00 100.00\n")
    (root / "etc/resolv.conf").write_text("search example.test\nnameserver 192.168.0.4\n")
    (root / "etc/hosts").write_text(
        f"127.0.0.1 localhost\n# 10.0.0.1 {HANDLER}\n10.9.9.9\tother {ODS} # left\n"
    )
    (root / "etc/default/azuremonitoragent").write_text("export ENABLE_MCS=true\n")
    (root / "names").write_text(
        f"127.0.0.1 {HANDLER}\n127.0.0.1 {HANDLER}\n127.0.0.1 {ODS}\n127.0.0.2 {ODS}\n"
    )
    for unit in ("azuremonitoragent", "azuremonitor-coreagent", "azuremonitor-agentlauncher"):
        (root / "units" / unit).write_text("ActiveState=active\n")
    handler = f"https://{HANDLER}/x/agentConfigurations/{RULE}/channels/ods-1/issueIngestionToken"
    channel = {"endpoint": f"https://{ODS}", "tokenEndpointUri": handler, "protocol": "ods"}
    (root / CHUNKS / "1234.json").write_text(json.dumps({"dataSources": [], "channels": [channel]}))
    (root / LOG).write_bytes(
        b"2026-03-01T08:00:00.1230000Z: Failed to upload to ODS: 403, RequestId: 17\n"
        b"2026-03-01T08:01:00.1230000Z: Failed to upload to ODS: 403, RequestId: 18\n"
        b"2026-03-01T08:02:00.1230000Z: noise \xff\x00\x1b[31m 100%\n"
    )
    for name, text in (("systemctl", _SYSTEMCTL), ("getent", _GETENT), ("curl", _CURL)):
        (root / "bin" / name).write_text(text.replace("{curl}", shutil.which("curl") or "false"))
        (root / "bin" / name).chmod(0o755)


class _Imds(BaseHTTPRequestHandler):
    """An instance metadata service that knows the identity ``client_id=1``."""

    def do_GET(self) -> None:  # the name is the protocol's
        """Answer a token request."""
        good = self.headers["Metadata"] == "true" and "client_id=1" in self.path
        refusal = {"error": "invalid_request", "error_description": "Identity not found"}
        body = json.dumps({"access_token": SECRET} if good else refusal).encode()
        self.send_response(200 if good else 400)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def imds() -> Iterator[str]:
    """Serve a token service on loopback; yields its origin."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Imds) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def tls_server(root: Path) -> Iterator[int]:
    """Serve TLS for the test's names on 127.0.0.1; yields the port. The CA is in ``ca.pem``."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(root / "ca.pem")
    leaf = authority.issue_cert(HANDLER, ODS)
    for number, pem in enumerate([leaf.private_key_pem, *leaf.cert_chain_pems]):
        pem.write_to_path(root / "leaf.pem", append=number > 0)
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(root / "leaf.pem")
    with ThreadingHTTPServer(("127.0.0.1", 0), _Imds) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that only shakes hands
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def free_port() -> int:
    """Return a port on loopback that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(frozen=True)
class Keys:
    """Key pairs in a folder: the host's, the user's, and two that are nobody's."""

    folder: Path

    @classmethod
    def make(cls, folder: Path) -> Keys:
        """Generate the keys."""
        for name in ("host", "user", "other_host", "other_user"):
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True
            )
        return cls(folder)

    def public(self, name: str) -> str:
        """Return a public key in one line."""
        kind, key = (self.folder / f"{name}.pub").read_text().split()[:2]
        return f"{kind} {key}"


@dataclass(frozen=True)
class Server:
    """A started sshd."""

    port: int
    folder: Path
    keys: Keys

    @property
    def pattern(self) -> str:
        """The host pattern that leads to it, whatever the machine."""
        return f"ssh://{getpass.getuser()}@127.0.0.1:{self.port}"

    def access(
        self, *, host_key: str | None = "host", user_key: str = "user", query: str = ""
    ) -> GuestAccess:
        """Return an access with these keys; without a host key known_hosts is empty."""
        known = self.folder / f"known_{host_key}"
        line = f"[127.0.0.1]:{self.port} {self.keys.public(host_key)}\n" if host_key else ""
        known.write_text(line)
        config = self.folder / f"config_{host_key}_{user_key}"
        config.write_text(
            f"UserKnownHostsFile {known}\nGlobalKnownHostsFile /dev/null\nIdentityAgent none\nIdentitiesOnly yes\n"
        )
        return GuestAccess(
            hosts=self.pattern + query,
            ssh_config=str(config),
            ssh_identity_file=str(self.keys.folder / user_key),
        )

    @property
    def log(self) -> str:
        """What sshd has written so far."""
        return (self.folder / "sshd.log").read_text()


@contextlib.contextmanager
def sshd(folder: Path, keys: Keys, environment: dict[str, str], *, more: str = "") -> Iterator[Server]:
    """Start an sshd on 127.0.0.1 as this user, with lines of configuration of the test's own."""
    assert SSHD is not None
    folder.mkdir()
    port = free_port()
    (folder / "authorized_keys").write_text(keys.public("user") + "\n")
    # The shell that a login starts must not run what this user has set up for shells.
    settings = " ".join(f'"{name}={value}"' for name, value in {"HOME": folder, **environment}.items())
    (folder / "config").write_text(
        textwrap.dedent(f"""\
            ListenAddress 127.0.0.1
            Port {port}
            HostKey {keys.folder / "host"}
            PidFile none
            UsePAM no
            StrictModes no
            MaxStartups 500
            MaxSessions 500
            PermitRootLogin yes
            AuthorizedKeysFile {folder / "authorized_keys"}
            KbdInteractiveAuthentication no
            LogLevel VERBOSE
            SetEnv {settings}
            """)
        + more
    )
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(
            exist_ok=True
        )  # the folder that sshd locks itself into, as its service makes it
    process = subprocess.Popen([SSHD, "-D", "-E", str(folder / "sshd.log"), "-f", str(folder / "config")])
    try:
        _wait_for(port, process)
        yield Server(port, folder, keys)
    finally:
        process.terminate()
        process.wait()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(200):
        assert process.poll() is None, "sshd did not start"
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.02)
    raise AssertionError("sshd does not listen")
