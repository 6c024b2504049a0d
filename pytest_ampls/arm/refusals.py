"""What went wrong, from an error or an answer of ARM: the one place where foreign errors are read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import unescape
from typing import Any, Final, Protocol

import msgspec
import requests
from azure.core.exceptions import (
    AzureError,
    IncompleteReadError,
    ServiceRequestError,
    ServiceRequestTimeoutError,
    ServiceResponseError,
    ServiceResponseTimeoutError,
)

from pytest_ampls.arm.call import Call, Retry, Trouble
from pytest_ampls.arm.dates import http_date
from pytest_ampls.arm.origin import printable
from pytest_ampls.model.evidence import GapKind

__all__ = ["Answered", "reason", "retry_after", "trouble_of_answer", "trouble_of_error"]

_ACTION: Final = re.compile(r"perform action '([\w./*-]+)'")
# A 404 with one of these is about the request, and says nothing about the resource.
_NOT_ABOUT_THE_RESOURCE: Final = frozenset(
    {
        "invalidresourcetype",
        "invalidresourcenamespace",
        "noregisteredproviderfound",
        "invalidapiversionparameter",
    }
)
_TITLE: Final = re.compile(rb"<title[^>]*>([^<]{1,1000})</title", re.IGNORECASE)
_BETWEEN: Final = ("Via", "Server")
"""Headers by which what stands in between may give its name. Source: RFC 9110, 7.6.3 and 10.2.4."""
_LONGEST_NAME: Final = 100
_MILLISECONDS: Final = ("retry-after-ms", "x-ms-retry-after-ms")

_TODO_NETWORK: Final = "Check the network, the proxy and the ARM endpoint, then run again"
_TODO_TRUST: Final = "The certificate is not trusted here: name the file of its CA as the CA bundle"
_TODO_SIGN_IN: Final = (
    "Sign in again (az login, or AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET), and check that "
    "the tenant and the cloud are those of the subscription"
)
_TODO_ABSENT: Final = "Check the id, and that the identity's tenant is the one it belongs to"
_TODO_STRANGE: Final = (
    "Azure Resource Manager does not answer like this: "
    "look for a proxy in between, check the endpoint, or run again"
)
_TODO_BETWEEN: Final = (
    "Azure Resource Manager does not refuse like this, so it is no role that is missing: "
    "look for a proxy or a firewall in between, and let the request through there"
)
_TODO_SERVICE: Final = "The service failed, not the estate: run again later, or look at its health"
_TODO_REQUEST: Final = "Check that this cloud offers the resource type at that api-version"


class Answered(Protocol):
    """The part of an azure-core response that is read here."""

    @property
    def status_code(self) -> int:
        """The HTTP status."""

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers; names in any case."""

    @property
    def content(self) -> bytes:
        """The body, whole."""


class _Envelope(msgspec.Struct, frozen=True):
    """What an error body says. ``strange`` describes a body that is none of ARM's."""

    code: str = ""
    message: str = ""
    strange: str = ""

    @property
    def said(self) -> str:
        text = ": ".join(part for part in (printable(self.code, 80), printable(self.message)) if part)
        return text or (f"with {self.strange}" if self.strange else "without an explanation")


def _envelope(body: bytes, headers: Mapping[str, str]) -> _Envelope:
    """Read an error body: ``{"error": {code, message}}``, ``{code, message}`` or ``{Code, Message}``."""
    if not body.strip():
        return _Envelope()
    try:
        value = msgspec.json.decode(body.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        html = body.lstrip()[:1] == b"<"
        return _Envelope(strange=_page(body, headers) if html else "a body that is not JSON")
    inner = _folded(value)
    if isinstance(inner.get("error"), dict):
        inner = _folded(inner["error"])
    code, message = inner.get("code"), inner.get("message")
    if not isinstance(code, str | int) and not isinstance(message, str):
        return _Envelope(strange="a body that is no error of ARM's")
    return _Envelope(
        code="" if code is None else str(code), message=message if isinstance(message, str) else ""
    )


def _page(body: bytes, headers: Mapping[str, str]) -> str:
    """Return what a page of HTML is, by its title and by the names of who sent it or passed it on."""
    title = _TITLE.search(body)
    text = printable(unescape(title[1].decode("utf-8", "replace")), _LONGEST_NAME) if title else ""
    found = {name: printable(headers.get(name.lower()) or "", _LONGEST_NAME) for name in _BETWEEN}
    names = [f"{name}: {value}" for name, value in found.items() if value]
    shown = "; ".join([f'"{text}"', *names] if text else names)
    return f"a page of HTML ({shown})" if shown else "a page of HTML"


def _folded(value: Any) -> dict[str, Any]:
    return {str(name).lower(): item for name, item in value.items()} if isinstance(value, dict) else {}


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds that an answer asks to wait, or None where it does not say.

    Understands ``Retry-After`` as seconds or as an HTTP date (RFC 9110, 10.2.3), and the two
    headers in milliseconds that Azure services send. What cannot be understood does not count.
    """
    for name in _MILLISECONDS:
        milliseconds = _number(headers.get(name))
        if milliseconds is not None:
            return milliseconds / 1000
    text = headers.get("retry-after")
    seconds = _number(text)
    if seconds is not None or text is None:
        return seconds
    date = http_date(text)
    return None if date is None else max(0.0, date - now)


def _number(text: str | None) -> float | None:
    if text is None or not re.fullmatch(r"\s*\d{1,9}(\.\d+)?\s*", text):
        return None
    return float(text)


def trouble_of_error(error: AzureError) -> Trouble:
    """Return what a request that got no whole answer ran into."""
    cause = _cause(error)
    said = reason(cause)
    if isinstance(cause, requests.exceptions.ContentDecodingError | requests.exceptions.ChunkedEncodingError):
        return _cut(said)
    if isinstance(error, IncompleteReadError):
        return _cut(said)
    if isinstance(cause, requests.exceptions.SSLError) and "CERTIFICATE_VERIFY_FAILED" in str(cause):
        return _silent(f"TLS failed: {said}", _TODO_TRUST, Retry.NEVER)
    if isinstance(error, ServiceRequestTimeoutError | ServiceResponseTimeoutError):
        return _silent(f"no answer in time: {said}", _TODO_NETWORK, Retry.ONCE)
    if isinstance(error, ServiceRequestError | ServiceResponseError):
        return _silent(f"no answer: {said}", _TODO_NETWORK, Retry.BRIEFLY)
    return _cut(said)


def reason(error: BaseException) -> str:
    """Return why a connection failed; urllib3 hides it behind a wrapper that repeats the URL."""
    inner = error.args[0] if error.args else None
    hidden = getattr(inner, "reason", None)
    if isinstance(hidden, Exception):
        return printable(str(hidden))
    if isinstance(inner, Exception) and inner.args and isinstance(inner.args[0], str):
        first, *rest = inner.args  # ProtocolError("Connection aborted.", RemoteDisconnected("Remote end …"))
        more = [str(part) for part in rest if repr(part) not in first]
        return printable(": ".join([first.rstrip("."), *more]))
    return printable(str(error))


def _cause(error: AzureError) -> BaseException:
    inner: BaseException | None = error.inner_exception
    return inner if inner is not None else error


def _cut(said: str) -> Trouble:
    what = f"the answer's body broke off or could not be unpacked ({said})"
    return Trouble(GapKind.MALFORMED, what, _TODO_STRANGE, Retry.BRIEFLY)


def _silent(what: str, todo: str, retry: Retry) -> Trouble:
    return Trouble(GapKind.UNREACHABLE, what, todo, retry, answered=False)


def trouble_of_answer(call: Call, answer: Answered, now: float) -> Trouble | None:
    """Return what an answer refuses, or None for a 200. ``now`` is seconds since the epoch."""
    status = answer.status_code
    if status == 200 or (status == 202 and call.accepts):
        return None
    if 300 <= status < 400:
        location = printable(answer.headers.get("location") or "nowhere")
        what = f"HTTP {status} redirects to {location}, which was not followed: a token must not travel"
        return Trouble(GapKind.MALFORMED, what, _TODO_STRANGE, status=status)
    envelope = _envelope(answer.content, answer.headers)
    wait = retry_after(answer.headers, now)
    what = f"HTTP {status} {envelope.said}"
    if status in (408, 429) or status >= 500:
        return _passing(status, what, wait, envelope)
    return _lasting(call, status, what, envelope)


def _passing(status: int, what: str, wait: float | None, envelope: _Envelope) -> Trouble:
    """Throttling and server failures: asking again may help."""
    throttled = status == 429 or (status == 503 and wait is not None)
    return Trouble(
        GapKind.THROTTLED if throttled else GapKind.UNREACHABLE,
        what,
        _TODO_SERVICE,
        Retry.WITHIN_BUDGET if throttled else Retry.BRIEFLY,
        wait,
        status,
        envelope.code,
    )


def _lasting(call: Call, status: int, what: str, envelope: _Envelope) -> Trouble:
    """Everything else in the 400s: asking again gives the same answer."""
    kind, todo, permission = GapKind.UNREACHABLE, _TODO_REQUEST, None
    if status == 401:
        kind, todo = GapKind.UNAUTHENTICATED, _TODO_SIGN_IN
    elif status == 403 and envelope.strange:
        kind, todo = GapKind.MALFORMED, _TODO_BETWEEN
    elif status == 403:
        named = _ACTION.search(envelope.message)
        # Listing record sets of every type is an action of its own name.
        permission = named[1] if named else f"{call.type.replace('/recordSets', '/ALL')}/read"
        kind = GapKind.DENIED
        todo = f"Grant the identity the action {permission} there; the role Reader has it"
    elif status == 404 and envelope.strange:
        kind, todo = GapKind.MALFORMED, _TODO_STRANGE
    elif status == 404 and envelope.code.lower() not in _NOT_ABOUT_THE_RESOURCE:
        kind, todo = GapKind.ABSENT, _TODO_ABSENT
    return Trouble(kind, what, todo, status=status, code=envelope.code, permission=permission)
