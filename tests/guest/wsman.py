"""A stand-in for the WinRM service of a Windows machine: HTTPS, NTLM or Basic, and the messages of its command shell.

Sources: MS-WSMV (the shell's messages), DSP0226 (WS-Management), RFC 4559 (Negotiate). Behind it a function answers for
the machine: what a command gets, and its standard input, to exit code and both outputs.
"""

from __future__ import annotations

import base64
import hashlib
import os
import ssl
import struct
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree
from xml.sax.saxutils import escape, quoteattr

import spnego
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from spnego.channel_bindings import GssChannelBindings

USER: Final = "operator"
PASSWORD: Final = "Tr0ub4dor&3 of the tests"
RECEIVE_TIMED_OUT: Final = 2150858793

_ENVELOPE: Final = "http://www.w3.org/2003/05/soap-envelope"
_ADDRESSING: Final = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
_WSMAN: Final = "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"
_SHELL: Final = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
_SEALED: Final = "application/HTTP-SPNEGO-session-encrypted"
_FAULT: Final = "http://schemas.microsoft.com/wbem/wsman/1/wsmanfault"

Outcome = tuple[int, bytes, bytes]
Machine = Callable[[str, bytes], Outcome]


@dataclass(frozen=True)
class Fault:
    """A fault in place of an answer: its subcode, its number, and what it says."""

    subcode: str
    code: int
    text: str


@dataclass
class _Command:
    line: str
    stdin: bytes = b""
    outcome: Outcome | None = None
    late: int = 0


@dataclass
class Service:
    """How the service is, and what it was asked.

    ``faults`` are by the last word of an action (``Create``, ``Receive`` and so on), ``bodies`` are what is sent in
    place of an answer. ``late`` is how many times a Receive ends without a word before the output comes, and ``drip``
    how many bytes of it come at once.
    """

    machine: Machine
    schemes: tuple[str, ...] = ("Negotiate",)
    faults: dict[str, Fault] = field(default_factory=dict)
    bodies: dict[str, bytes] = field(default_factory=dict)
    status: int = 200
    location: str = ""
    late: int = 0
    drip: int = 1 << 20
    silent: bool = False
    open_door: bool = False
    trickle: bool = False
    asked: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    inputs: list[bytes] = field(default_factory=list)
    options: list[dict[str, str]] = field(default_factory=list)
    running: dict[str, _Command] = field(default_factory=dict)
    shells: set[str] = field(default_factory=set)
    bodies_seen: list[bytes] = field(default_factory=list)
    bindings: GssChannelBindings | None = None
    ended: threading.Event = field(default_factory=threading.Event)
    port: int = 0


class _Handler(BaseHTTPRequestHandler):
    """One connection: NTLM signs in connections, not requests."""

    protocol_version = "HTTP/1.1"
    server: _Server
    _context: Any = None
    _signed_in = False

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        """Answer a message."""
        service = self.server.service
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if service.silent:
            service.ended.wait(30)
            return
        if service.trickle:
            self._trickle()
            return
        if service.location:
            self._send(307, b"", Location=service.location)
        elif service.status != 200:
            self._send(service.status, b"<html>somebody else</html>", **{"Content-Type": "text/html"})
        elif self._may_pass():
            service.bodies_seen.append(body)
            self._answer(service, body)

    def _answer(self, service: Service, body: bytes) -> None:
        if not body:
            self._send(200, b"")
        elif not self.headers.get("Content-Type", "").startswith("multipart/encrypted"):
            self._send(*_answered(service, body))
        else:
            status, answer = _answered(service, _opened(self._context, body))
            kind = f'multipart/encrypted;protocol="{_SEALED}";boundary="Encrypted Boundary"'
            self._send(status, _sealed(self._context, answer), **{"Content-Type": kind})

    def _trickle(self) -> None:
        self.server.service.asked.append("trickle")
        with suppress(OSError):
            self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Filler: ")
            while not self.server.service.ended.wait(0.05):
                self.wfile.write(b"x")

    def _may_pass(self) -> bool:
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        if self._signed_in or self.server.service.open_door:
            return True
        if scheme == "Basic" and "Basic" in self.server.service.schemes:
            self._signed_in = base64.b64decode(token).decode() == f"{USER}:{PASSWORD}"
            return self._signed_in or self._refuse()
        if scheme == "Negotiate" and "Negotiate" in self.server.service.schemes:
            return self._negotiate(base64.b64decode(token))
        return self._refuse()

    def _negotiate(self, token: bytes) -> bool:
        if self._context is None:
            bindings = self.server.service.bindings
            self._context = spnego.server(protocol="ntlm", channel_bindings=bindings)
        try:
            answer = self._context.step(token)
        except spnego.exceptions.SpnegoError:
            return self._refuse()
        if self._context.complete:
            self._signed_in = True
            return True
        self._send(401, b"", **{"WWW-Authenticate": f"Negotiate {base64.b64encode(answer).decode()}"})
        return False

    def _refuse(self) -> bool:
        self._send(401, b"", **{"WWW-Authenticate": ", ".join(self.server.service.schemes)})
        return False

    def _send(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/soap+xml;charset=UTF-8", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    service: Service
    pending: dict[str, _Command]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that leave are part of the tests."""


def _opened(context: Any, body: bytes) -> bytes:
    """Take the message out of its envelope: MS-WSMV 2.2.9.1."""
    sealed = body.partition(b"application/octet-stream\r\n")[2].removesuffix(b"--Encrypted Boundary--\r\n")
    (length,) = struct.unpack("<i", sealed[:4])
    assert length == 16
    message: bytes = context.unwrap(sealed[4:]).data
    return message


def _sealed(context: Any, answer: bytes) -> bytes:
    sealed = context.wrap(answer, encrypt=True).data
    return (
        f"--Encrypted Boundary\r\n\tContent-Type: {_SEALED}\r\n\tOriginalContent: type=application/soap+xml;"
        f"charset=UTF-8;Length={len(answer)}\r\n--Encrypted Boundary\r\n\tContent-Type: application/octet-stream\r\n"
    ).encode() + b"".join((struct.pack("<i", 16), sealed, b"--Encrypted Boundary--\r\n"))


def _answered(service: Service, body: bytes) -> tuple[int, bytes]:
    message = ElementTree.fromstring(body)
    action = _text(message, f".//{{{_ADDRESSING}}}Action").rpartition("/")[2]
    relates = _text(message, f".//{{{_ADDRESSING}}}MessageID")
    service.asked.append(action)
    service.options.append(
        {each.get("Name", ""): each.text or "" for each in message.iter(f"{{{_WSMAN}}}Option")}
    )
    if action in service.bodies:
        return 200, service.bodies[action]
    if action in service.faults:
        return 500, _fault(service.faults[action])
    answer = {
        "Create": _create,
        "Command": _command,
        "Send": _send,
        "Receive": _receive,
        "Signal": lambda *_: f"<rsp:SignalResponse xmlns:rsp='{_SHELL}'/>",
        "Delete": _delete,
    }[action](service, message)
    if isinstance(answer, Fault):
        return 500, _fault(answer)
    return 200, _envelope(answer, relates)


def _create(service: Service, _message: ElementTree.Element) -> str:
    shell = str(uuid.uuid4()).upper()
    service.shells.add(shell)
    selector = f"<w:Selector Name='ShellId'>{shell}</w:Selector>"
    return (
        "<x:ResourceCreated xmlns:x='http://schemas.xmlsoap.org/ws/2004/09/transfer'>"
        f"<a:ReferenceParameters><w:SelectorSet>{selector}</w:SelectorSet></a:ReferenceParameters></x:ResourceCreated>"
    )


def _delete(service: Service, message: ElementTree.Element) -> str:
    service.shells.discard(_text(message, f".//{{{_WSMAN}}}Selector"))
    return ""


def _command(service: Service, message: ElementTree.Element) -> str:
    line = _text(message, f".//{{{_SHELL}}}Command")
    service.commands.append(line)
    name = str(uuid.uuid4()).upper()
    service.running[name] = _Command(line, late=service.late)
    return f"<rsp:CommandResponse xmlns:rsp='{_SHELL}'><rsp:CommandId>{name}</rsp:CommandId></rsp:CommandResponse>"


def _send(service: Service, message: ElementTree.Element) -> str:
    (stream,) = message.iter(f"{{{_SHELL}}}Stream")
    running = service.running[stream.attrib["CommandId"]]
    running.stdin += base64.b64decode(stream.text or "")
    if stream.attrib.get("End") == "true":
        service.inputs.append(running.stdin)
    return f"<rsp:SendResponse xmlns:rsp='{_SHELL}'/>"


def _receive(service: Service, message: ElementTree.Element) -> str | Fault:
    (desired,) = message.iter(f"{{{_SHELL}}}DesiredStream")
    name = desired.attrib["CommandId"]
    running = service.running[name]
    if running.late:
        running.late -= 1
        time.sleep(0.02)
        return Fault(
            "w:TimedOut",
            RECEIVE_TIMED_OUT,
            "The WS-Management service cannot complete the operation in time.",
        )
    if running.outcome is None:
        running.outcome = service.machine(running.line, running.stdin)
    code, out, error = running.outcome
    piece, rest = out[: service.drip], out[service.drip :]
    running.outcome = (code, rest, b"")
    state = "Running" if rest else "Done"
    exit_code = "" if rest else f"<rsp:ExitCode>{code}</rsp:ExitCode>"
    return (
        f"<rsp:ReceiveResponse xmlns:rsp='{_SHELL}'>{_stream('stdout', name, piece)}{_stream('stderr', name, error)}"
        f"<rsp:CommandState CommandId='{name}' State='{_SHELL}/CommandState/{state}'>{exit_code}</rsp:CommandState>"
        "</rsp:ReceiveResponse>"
    )


def _stream(name: str, command: str, data: bytes) -> str:
    text = base64.b64encode(data).decode()
    return f"<rsp:Stream Name='{name}' CommandId='{command}'>{text}</rsp:Stream>" if data else ""


def _text(message: ElementTree.Element, path: str) -> str:
    found = message.find(path)
    return "" if found is None else found.text or ""


def _envelope(body: str, relates: str) -> bytes:
    return (
        f"<s:Envelope xmlns:s='{_ENVELOPE}' xmlns:a='{_ADDRESSING}' xmlns:w='{_WSMAN}'><s:Header>"
        f"<a:RelatesTo>{escape(relates)}</a:RelatesTo></s:Header><s:Body>{body}</s:Body></s:Envelope>"
    ).encode()


def _fault(fault: Fault) -> bytes:
    detail = f"<f:WSManFault xmlns:f='{_FAULT}' Code={quoteattr(str(fault.code))}/>"
    return (
        f"<s:Envelope xmlns:s='{_ENVELOPE}' xmlns:w='{_WSMAN}'><s:Body><s:Fault><s:Code><s:Value>s:Receiver</s:Value>"
        f"<s:Subcode><s:Value>{fault.subcode}</s:Value></s:Subcode></s:Code><s:Reason><s:Text xml:lang='en-US'>"
        f"{escape(fault.text)}</s:Text></s:Reason><s:Detail>{detail}</s:Detail></s:Fault></s:Body></s:Envelope>"
    ).encode()


@contextmanager
def users(folder: Path) -> Iterator[None]:
    """Let NTLM know the user: pyspnego's accepting side takes the file of them from its environment alone."""
    before = os.environ.get("NTLM_USER_FILE")
    (folder / "users").write_text(f":{USER}:{PASSWORD}\n")
    os.environ["NTLM_USER_FILE"] = str(folder / "users")
    try:
        yield
    finally:
        if before is None:
            del os.environ["NTLM_USER_FILE"]
        else:
            os.environ["NTLM_USER_FILE"] = before


@contextmanager
def served(service: Service, authority: trustme.CA | None) -> Iterator[Service]:
    """Serve on a loopback port, over TLS where there is an authority."""
    with ExitStack() as stack:
        server = _Server(("127.0.0.1", 0), _Handler)
        stack.callback(server.server_close)
        server.service, service.port = service, server.server_address[1]
        if authority is not None:
            leaf = authority.issue_cert("127.0.0.1")
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            leaf.configure_cert(context)
            der = x509.load_pem_x509_certificate(leaf.cert_chain_pems[0].bytes()).public_bytes(Encoding.DER)
            binding = b"tls-server-end-point:" + hashlib.sha256(der).digest()
            service.bindings = GssChannelBindings(application_data=binding)
            server.socket = context.wrap_socket(
                server.socket, server_side=True, do_handshake_on_connect=False
            )
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        stack.callback(server.shutdown)
        stack.callback(service.ended.set)
        yield service
