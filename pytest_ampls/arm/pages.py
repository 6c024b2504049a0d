"""One page of a listing, and one document, from bytes: decoded strictly where paging needs it."""

from __future__ import annotations

import msgspec

from pytest_ampls.arm.origin import printable
from pytest_ampls.arm.redaction import redacted

__all__ = ["NotAPageError", "Page", "document", "page"]

_BOM = b"\xef\xbb\xbf"


class NotAPageError(ValueError):
    """A body that cannot be understood; the text says what it is instead."""


class Page(msgspec.Struct, frozen=True):
    """The documents of one page, without secrets, and the next page's URL.

    ``odd`` counts items that are no objects: they are left out, and the listing is incomplete.
    """

    documents: tuple[msgspec.Raw, ...]
    next_link: str | None
    odd: int = 0


class _Body(msgspec.Struct, rename="camel"):
    value: list[msgspec.Raw]
    next_link: str | None = None


def page(body: bytes) -> Page:
    """Return the page in a body.

    ``nextLink`` may be missing, null or empty on the last page; a page may be empty and still
    have a next one.

    Raises:
        NotAPageError: the body is empty, no JSON, or has no list ``value``.
    """
    try:
        decoded = msgspec.json.decode(_text(body), type=_Body)
    except (
        msgspec.DecodeError,
        UnicodeDecodeError,
        RecursionError,
    ) as error:  # ValidationError is a DecodeError
        raise NotAPageError(_instead(body, error)) from error
    objects = [item for item in decoded.value if bytes(memoryview(item)[:1]) == b"{"]
    odd = len(decoded.value) - len(objects)
    return Page(documents=redacted(objects), next_link=decoded.next_link or None, odd=odd)


def document(body: bytes) -> msgspec.Raw:
    """Return the one document in a body, without secrets.

    Raises:
        NotAPageError: the body is empty or no JSON object.
    """
    text = _text(body)
    try:
        msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NotAPageError(_instead(body, error)) from error
    return redacted([msgspec.Raw(text)])[0]


def _text(body: bytes) -> bytes:
    return body.removeprefix(_BOM).strip()


def _instead(body: bytes, error: Exception) -> str:
    if not body.strip():
        return "the answer is empty"
    if body.lstrip()[:1] == b"<":
        return "the answer is a page of HTML, not JSON"
    if isinstance(error, msgspec.ValidationError):
        return f"the answer is not what was asked for: {printable(str(error))}"
    return f"the answer is not JSON: {printable(str(error))}"
