"""What the failures of WinRM mean: each its own kind of gap, with the machine and what to do.

Sources: MS-WSMV (the shell's faults, wsman:QuotaLimit among them), DSP0226 (WS-Management's faults).
"""

from __future__ import annotations

import errno
import re
import socket
import ssl
import struct
import sys
from collections.abc import Iterator
from typing import Final
from xml.etree.ElementTree import ParseError

import requests
from spnego.exceptions import SpnegoError
from urllib3.exceptions import HTTPError, NameResolutionError
from winrm.exceptions import (
    AuthenticationError,
    WinRMError,
    WinRMOperationTimeoutError,
    WinRMTransportError,
    WSManFaultError,
)

from pytest_ampls.errors import printable
from pytest_ampls.guest.access import WinrmTarget
from pytest_ampls.model.gap import Gap, GapKind

__all__ = ["FAILURES", "FloodError", "LateError", "complaint", "gap_of"]


class LateError(Exception):
    """The time is up."""


class FloodError(Exception):
    """The guest sent more than there is room for."""


# pywinrm, and NTLM below it, take an answer apart as if it had to be a good one: what these are raised for is an answer
# that is something else.
_UNFIT: Final = (
    ParseError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    RuntimeError,
    StopIteration,
    TypeError,
    ValueError,
    struct.error,
)


def _errors_of(*modules: str) -> tuple[type[Exception], ...]:
    """Return the exceptions that modules define, of those that were imported by somebody else."""
    return tuple(
        each
        for module in modules
        for each in getattr(sys.modules.get(module), "__dict__", {}).values()
        if isinstance(each, type) and issubclass(each, Exception)
    )


# pywinrm, imported above, has imported the one that is installed. It turns GSSError into an error of requests while it
# makes a token, and nowhere else; it lets BasicAuthError and their base, KrbError, through.
_KERBEROS: Final = _errors_of("kerberos", "winkerberos")

FAILURES: Final[tuple[type[Exception], ...]] = (
    LateError,
    FloodError,
    WinRMError,
    WinRMTransportError,
    WinRMOperationTimeoutError,
    SpnegoError,
    *_KERBEROS,
    HTTPError,
    OSError,  # requests' errors, and NTLM's that nothing was offered
    *_UNFIT,
)
"""Everything that a call may fail with."""

_Said = tuple[GapKind, str, str]
_LATE: Final = (
    "Check route and network security groups, and that WinRM listens there (winrm enumerate "
    "winrm/config/listener)"
)
_LOGIN: Final = (
    "Check the user, AMPLS_WINRM_PASSWORD, and that WinRM takes this way of signing in there (winrm get "
    "winrm/config/service/auth)"
)
_STRANGE: Final = "Check the port in --ampls-guests: it may be another service's"
_RAISE: Final = "Raise --ampls-guest-timeout, or look why commands hang there"
_CLOSED: Final = (errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED)
_QUOTA: Final = re.compile(
    r"QuotaLimit|concurrent (shells|operations)|maximum number of|quota", re.IGNORECASE
)
_CLIXML: Final = "#< CLIXML"
_DENIED_CODE: Final = 5
"""ERROR_ACCESS_DENIED: signed in, but not allowed to use a shell."""


def gap_of(error: Exception, target: WinrmTarget, seconds: float) -> Gap:
    """Return what a failure means."""
    for found in (_own(error, seconds), _login(error, target), _service(error), _network(error)):
        if found is not None:
            kind, what, todo = found
            return Gap(kind=kind, message=f"{target.label}: {what}. {todo}")
    what = f"it answered something that is no message of WS-Management ({_short(error)})"
    return Gap(kind=GapKind.MALFORMED, message=f"{target.label}: {what}. {_STRANGE}")


def complaint(target: WinrmTarget, stderr: bytes) -> Gap:
    """Return the gap for a script that printed nothing but an error."""
    text = stderr.decode("utf-8", "backslashreplace")
    if text.startswith(
        _CLIXML
    ):  # errors as serialized objects: [MS-PSRP] 2.2.5; what is said in them is enough here
        text = re.sub(r"_x000D__x000A_|<[^>]*>", "\n", text.removeprefix(_CLIXML))
    lines = (line.strip() for line in text.splitlines())
    said = printable(next(filter(None, lines), "blanks"))[:200]
    todo = "It needs Windows PowerShell 5.1 that is not held to constrained language mode"
    return Gap(
        kind=GapKind.MALFORMED, message=f"{target.label}: PowerShell did not run the script ({said}). {todo}"
    )


def _own(error: Exception, seconds: float) -> _Said | None:
    if isinstance(error, LateError):
        return GapKind.UNREACHABLE, f"the script did not end within {seconds:.0f} s", _RAISE
    if isinstance(error, FloodError):
        return GapKind.MALFORMED, "it sent far more than the script prints", "Look what floods there"
    return None


def _login(error: Exception, target: WinrmTarget) -> _Said | None:
    if isinstance(error, AuthenticationError):
        return GapKind.UNAUTHENTICATED, "the machine refused the login (HTTP 401)", _LOGIN
    if isinstance(error, SpnegoError) or type(error) is PermissionError:
        return GapKind.UNAUTHENTICATED, f"signing in by {target.transport} failed ({_short(error)})", _LOGIN
    plain = isinstance(error, requests.RequestException) and not isinstance(
        error, requests.ConnectionError | requests.Timeout | requests.TooManyRedirects
    )
    if isinstance(error, _KERBEROS) or (plain and target.transport == "kerberos"):
        todo = "Check the ticket (klist), the realm's name service, and that the pattern names the machine by its name"
        return GapKind.UNAUTHENTICATED, f"signing in by kerberos failed ({_short(error)})", todo
    return None


def _service(error: Exception) -> _Said | None:
    if isinstance(error, WinRMOperationTimeoutError):
        return GapKind.UNREACHABLE, "the WinRM service gave no answer in its own time", _RAISE
    if isinstance(error, WSManFaultError):
        return _fault(error)
    if isinstance(error, WinRMTransportError):
        return GapKind.UNREACHABLE, f"it answered HTTP {error.code}, and not as WinRM does", _STRANGE
    if isinstance(error, requests.TooManyRedirects):
        return GapKind.MALFORMED, "it sends to another address, which is not followed", _STRANGE
    return None


def _fault(error: WSManFaultError) -> _Said:
    reason = printable(" ".join((error.reason or "").split()))[:200]
    code = f"fault {error.wsman_fault_code}" if error.wsman_fault_code is not None else f"HTTP {error.code}"
    if error.wsman_fault_code == _DENIED_CODE or (error.fault_subcode or "").endswith("AccessDenied"):
        todo = "The user has to be an administrator there, or have the rights of one on remote shells"
        return GapKind.DENIED, f"the user may not open a shell ({reason}; {code})", todo
    if _QUOTA.search(f"{error.fault_subcode or ''} {reason}"):
        todo = (
            "Try later, look who leaves shells open there (winrm enumerate shell), or raise MaxShellsPerUser"
        )
        return GapKind.THROTTLED, f"the machine has no shell left ({reason}; {code})", todo
    todo = "Look at Microsoft-Windows-WinRM/Operational in the event log there"
    return GapKind.UNREACHABLE, f"WinRM failed ({reason}; {code})", todo


def _network(error: Exception) -> _Said | None:
    if not isinstance(error, OSError | HTTPError):
        return None
    causes = list(_causes(error))
    for cause in causes:
        said = _cause(cause)
        if said is not None:
            return GapKind.UNREACHABLE, *said
    if isinstance(error, requests.Timeout) or any(isinstance(each, TimeoutError) for each in causes):
        return GapKind.UNREACHABLE, "there was no answer in time", _LATE
    return GapKind.UNREACHABLE, f"the connection failed ({_short(error)})", _LATE


def _cause(cause: BaseException) -> tuple[str, str] | None:
    if isinstance(cause, ssl.SSLCertVerificationError):
        what = f"its certificate is not trusted ({printable(cause.verify_message)[:200]})"
        return what, "Name the authority that it is from: --ampls-ca-bundle"
    if isinstance(cause, ssl.SSLError):
        what = f"TLS was not agreed on ({_short(cause)})"
        return what, "Check the port in --ampls-guests, and that its listener is one for https"
    if isinstance(cause, NameResolutionError | socket.gaierror):
        return "its name could not be resolved", "Use {private_ip} in --ampls-guests"
    number = cause.errno if isinstance(cause, OSError) else None
    if number == errno.ECONNREFUSED:
        return "the connection was refused", "Check that WinRM listens on this port, and the firewall there"
    if number in (errno.EHOSTUNREACH, errno.ENETUNREACH):
        return "there is no route to it", "Run where the machine can be reached"
    if number in _CLOSED or "closed connection without response" in str(cause):
        return "the connection was closed", "Look at the event log there, and at what is in between"
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and those behind it: requests wraps urllib3's, which wrap the system's."""
    waiting, seen = [error], set[int]()
    while waiting:
        here = waiting.pop(0)
        if id(here) in seen:
            continue
        seen.add(id(here))
        yield here
        further = (here.__cause__, here.__context__, getattr(here, "reason", None), *here.args)
        waiting += [each for each in further if isinstance(each, BaseException)]


def _short(error: BaseException) -> str:
    text = printable(" ".join(str(error).split()))[:200]
    return text or type(error).__name__
