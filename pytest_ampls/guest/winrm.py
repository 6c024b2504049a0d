"""Windows guests over WinRM: testinfra's backend, made safe to leave alone.

Imports pywinrm, which is an extra: :class:`~pytest_ampls.guest.access.GuestAccess` has looked that it is there.
"""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

import requests
from requests.adapters import HTTPAdapter
from testinfra.backend.base import CommandResult
from testinfra.backend.winrm import WinRMBackend
from urllib3 import HTTPResponse
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from winrm.exceptions import WinRMOperationTimeoutError
from winrm.protocol import Protocol

from pytest_ampls.guest.access import GuestAccess, WinrmTarget
from pytest_ampls.guest.process import Finished
from pytest_ampls.guest.winrm_failures import FAILURES, FloodError, LateError, complaint, gap_of
from pytest_ampls.model.gap import Gap
from pytest_ampls.severable import Interruption, Severable

__all__ = ["LAUNCH", "GuestWinrm", "complaint"]

MOST_BYTES: Final = 1 << 26
CONNECT_SECONDS: Final = 10.0
_OPERATION_SECONDS: Final = 20
_GRACE: Final = 2.0
"""Seconds for ending the command, and again for closing the shell, when the time is up."""
_UTF8: Final = 65001

_READER: Final = (
    '& ([ScriptBlock]::Create(@($input) -join "`n")) | ForEach-Object { [Console]::Out.WriteLine($_) }'
)
LAUNCH: Final = "powershell.exe -NoProfile -NonInteractive -EncodedCommand " + base64.b64encode(
    _READER.encode("utf-16-le")
).decode("ascii")
"""The command that runs a script from its standard input: short, whatever the script's length.

A command line of cmd.exe ends at 8,191 characters, which the script does not fit in. ``-Command -`` would take standard
input for what somebody types, statement by statement (PowerShell/PowerShell#3223); here it is read whole, and then run.
``[Console]::Out`` writes each line as it is: what the host formats may be broken at the width of a console.
"""


class _Allowance(Severable):
    """What is left of the time and of the room of one call."""

    def __init__(self, seconds: float, room: int) -> None:
        super().__init__()
        self._end = time.monotonic() + seconds
        self._room = room

    def left(self) -> float:
        """Return the seconds that are left.

        Raises:
            LateError: none are.
        """
        seconds = self._end - time.monotonic()
        if seconds <= 0 or self.is_severed:
            raise LateError
        return seconds

    def spend(self, size: int) -> None:
        """Take note of some bytes.

        Raises:
            FloodError: there is no room for them.
            LateError: the time is up.
        """
        self.left()
        self._room -= size
        if self._room < 0:
            raise FloodError

    def give_up(self) -> None:
        """Let the time be up now; what is read at the moment breaks off."""
        self._end = time.monotonic()
        self.cut()

    def last_moment(self) -> None:
        """Leave a little time for cleaning up."""
        self._end = time.monotonic() + _GRACE


class _Bounded(requests.Response):
    """An answer that is read as far as the allowance goes."""

    allowance: _Allowance

    def iter_content(self, chunk_size: int | None = 1, decode_unicode: bool = False) -> Iterator[Any]:
        """Yield the body in pieces."""
        try:
            for piece in super().iter_content(chunk_size, decode_unicode):
                self.allowance.spend(len(piece))
                yield piece
        except requests.ConnectionError:
            self.allowance.left()  # what broke it off may be that the time is up
            raise
        except (LateError, FloodError):
            self.close()  # nobody reads the rest
            raise


class _Adapter(HTTPAdapter):
    """Keeps every exchange within the allowance; pywinrm bounds single reads only."""

    def __init__(self, allowance: _Allowance) -> None:
        self._allowance = allowance
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **more: Any) -> None:
        """Make the pools, of connections that the allowance knows."""
        super().init_poolmanager(*arguments, **more)
        allowance = self._allowance

        class Plain(HTTPConnection):
            def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # as urllib3's own
                allowance.hold(self.sock)
                return super().getresponse()

        class Secure(HTTPSConnection):
            def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # as urllib3's own
                allowance.hold(self.sock)
                return super().getresponse()

        self.poolmanager.pool_classes_by_scheme = {
            "http": type("_PlainPool", (HTTPConnectionPool,), {"ConnectionCls": Plain}),
            "https": type("_SecurePool", (HTTPSConnectionPool,), {"ConnectionCls": Secure}),
        }

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: float | tuple[float, float] | tuple[float, None] | None = None,
        verify: bool | str = True,
        cert: bytes | str | tuple[bytes | str, bytes | str] | None = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Send a request, with no more time than is left."""
        left = self._allowance.left()
        read = min(timeout, left) if isinstance(timeout, int | float) else left
        within = (min(CONNECT_SECONDS, left), read)
        try:
            return super().send(
                request, stream=stream, timeout=within, verify=verify, cert=cert, proxies=proxies
            )
        except requests.Timeout:
            self._allowance.left()  # where none is left, it is this call that is over, whoever was waited for
            raise

    def build_response(self, req: requests.PreparedRequest, resp: Any) -> requests.Response:
        """Return the answer as one that is bounded."""
        bounded = _Bounded()
        bounded.__dict__.update(super().build_response(req, resp).__dict__)
        bounded.allowance = self._allowance
        return bounded


class GuestWinrm(WinRMBackend):  # type: ignore[misc]  # testinfra's classes are untyped for mypy
    """testinfra's winrm backend with checked certificates, without a proxy, and with an end in sight.

    Args:
        target: the host.
        access: who signs in, and the authorities to trust.
        timeout: seconds that one command may take, connecting included.
        most: bytes of output that one command may have.
        interruption: what ends a command before its time.
    """

    def __init__(
        self,
        target: WinrmTarget,
        access: GuestAccess,
        *,
        timeout: float,
        most: int = MOST_BYTES,
        interruption: Interruption | None = None,
    ) -> None:
        operation = max(1, min(_OPERATION_SECONDS, int(timeout)))
        super().__init__(
            target.hostspec,
            no_ssl=target.no_ssl,
            no_verify_ssl=target.no_verify_ssl,
            read_timeout_sec=operation + int(CONNECT_SECONDS),
            operation_timeout_sec=operation,
        )
        self.conn_args |= {
            "transport": target.transport,
            "username": target.user or None,
            "password": access.login.password,
            "ca_trust_path": access.ca_bundle or None,
            "proxy": "",  # None would have requests change os.environ, for all threads, at every message
            "message_encryption": "never",  # TLS encrypts; where there is none, see _talk
        }
        self._target = target
        self._seconds = timeout
        self._most = most
        self._interruption = interruption or Interruption()

    def run_winrm(self, command: str) -> CommandResult:
        """Run a command in cmd.exe.

        Raises:
            EvidenceError: it could not be run, did not end in time, or printed too much.
        """
        done = self._run(command)
        if isinstance(done, Gap):
            raise done.error()
        return self.result(done.status, command.encode(), done.stdout, done.stderr)

    def feed(self, script: str) -> Finished | Gap:
        """Run a PowerShell script that goes over standard input: one shell, one command, no file."""
        return self._run(LAUNCH, script.encode("ascii"))

    def _run(self, command: str, stdin: bytes = b"") -> Finished | Gap:
        """Run a command in a thread of its own: a guest that sends one byte now and then ends no read."""
        outcome: list[Finished | Exception] = []
        # Output comes as base64 in XML: a third more, and envelopes around it.
        allowance = _Allowance(self._seconds, 2 * self._most + (1 << 20))
        told = threading.Event()

        def work() -> None:
            try:
                outcome.append(self._talk(allowance, command, stdin))
            except FAILURES as error:
                outcome.append(error)
            finally:
                told.set()

        def interrupt() -> None:
            allowance.give_up()
            told.set()

        thread = threading.Thread(target=work, name="ampls-winrm", daemon=True)
        thread.start()
        with self._interruption.ending(interrupt):
            told.wait(self._seconds + 3 * _GRACE)
        if self._interruption.is_over:
            # It closes the shell, of which Windows has few. Not without TLS: there a message is sealed for its
            # connection, and that one was cut.
            thread.join(_GRACE)
        done = outcome[0] if outcome else LateError()  # what follows from the cut tells nothing
        allowance.sever()  # so that no thread stays behind
        return gap_of(done, self._target, self._seconds) if isinstance(done, Exception) else done

    def _talk(self, allowance: _Allowance, command: str, stdin: bytes) -> Finished:
        protocol = Protocol(**self.conn_args)
        session = protocol.transport.build_session()
        session.trust_env, session.proxies = False, {}
        session.mount("https://", _Adapter(allowance))
        session.mount("http://", _Adapter(allowance))
        session.max_redirects = 0  # a login is for this host
        try:
            if self._target.no_ssl:  # it sends a first message, which the adapters above have to bound
                protocol.transport.setup_encryption(session)
            shell = protocol.open_shell(codepage=_UTF8)
            try:
                return self._execute(protocol, allowance, shell, command, stdin)
            finally:
                allowance.last_moment()
                with suppress(*FAILURES):
                    protocol.close_shell(shell)
        finally:
            protocol.transport.close_session()

    def _execute(
        self, protocol: Protocol, allowance: _Allowance, shell: str, command: str, stdin: bytes
    ) -> Finished:
        running = protocol.run_command(shell, command, console_mode_stdin=not stdin)
        try:
            if stdin:
                protocol.send_command_input(shell, running, stdin, end=True)
            return self._receive(protocol, allowance, shell, running)
        finally:
            allowance.last_moment()
            with suppress(*FAILURES):
                protocol.cleanup_command(shell, running)

    def _receive(self, protocol: Protocol, allowance: _Allowance, shell: str, running: str) -> Finished:
        stdout, stderr, status, is_done = bytearray(), bytearray(), 0, False
        while not is_done:
            allowance.left()
            with suppress(WinRMOperationTimeoutError):  # it has nothing to say yet
                out, error, status, is_done = protocol.get_command_output_raw(shell, running)
                stdout += out
                stderr += error
            if len(stdout) + len(stderr) > self._most:
                raise FloodError
        return Finished(status=status, stdout=bytes(stdout), stderr=bytes(stderr))

    def get_encoding(self) -> str:
        """Return UTF-8, which is the code page of the shells that are opened here."""
        return "utf-8"

    def decode(self, data: bytes) -> str:
        """Return output as text; bytes that are no UTF-8 stay visible."""
        return data.decode("utf-8", "backslashreplace")
