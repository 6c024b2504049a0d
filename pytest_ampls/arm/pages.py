"""Pages of a listing, and one document, from bytes: decoded strictly where paging needs it."""

from __future__ import annotations

from typing import Final

import msgspec

from pytest_ampls.arm.call import Call, RefusalError
from pytest_ampls.arm.origin import printable
from pytest_ampls.arm.redaction import redacted
from pytest_ampls.model.evidence import GapKind

__all__ = ["TODO_PAGE", "NotAPageError", "Page", "Pages", "document", "instead", "page"]

TODO_PAGE: Final = "Look for a proxy in between, check the ARM endpoint, or run again"
_BOM = b"\xef\xbb\xbf"
_MOST_PAGES: Final = 10_000
_EMPTY_PAGES: Final = 50


class NotAPageError(ValueError):
    """A body that cannot be understood; the text says what it is instead."""


class Page(msgspec.Struct, frozen=True):
    """The documents of one page, without secrets, and the next page's URL.

    ``odd`` counts items that are no objects: they are left out, and the listing is incomplete.
    """

    documents: tuple[msgspec.Raw, ...]
    next_link: str | None
    odd: int = 0


class Pages:
    """The pages of one listing as they arrive. ``documents`` are those of all pages so far."""

    def __init__(self, call: Call) -> None:
        self.documents: list[msgspec.Raw] = []
        self._call = call
        self._next: str | None = None
        self._seen: set[str] = set()
        self._empty = self._odd = 0

    @property
    def has_more(self) -> bool:
        """Whether another page follows the last one that was taken."""
        return self._next is not None

    def take(self, body: bytes) -> int:
        """Take a page, and return how many documents it has.

        Raises:
            RefusalError: it is none.
        """
        try:
            current = page(body)
        except NotAPageError as error:
            raise self.refusal(str(error)) from error
        self.documents.extend(current.documents)
        self._odd += current.odd
        self._empty = 0 if current.documents else self._empty + 1
        self._next = current.next_link
        return len(current.documents)

    def follow(self) -> str:
        """Return the next page's link.

        Raises:
            RefusalError: it leads to where we were, or there is no end of pages.
        """
        link = self._next or ""
        if link in self._seen or len(self._seen) >= _MOST_PAGES or self._empty > _EMPTY_PAGES:
            what = (
                f"the pages lead in a circle: after {len(self._seen) + 1} of them there is still a next one"
            )
            raise RefusalError(
                self._call.gap(GapKind.MALFORMED, what, "Run again; if it stays so, report it to Azure")
            )
        self._seen.add(link)
        return link

    def finish(self) -> None:
        """Make sure that all items of all pages could be taken.

        Raises:
            RefusalError: some could not.
        """
        if self._odd:
            raise self.refusal(f"{self._odd} of {self._odd + len(self.documents)} items are no objects")

    def refusal(self, what: str) -> RefusalError:
        """Return the refusal of an answer that came, and is not what was asked for."""
        return RefusalError(self._call.gap(GapKind.MALFORMED, what, TODO_PAGE, status=200))


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
        raise NotAPageError(instead(body, error)) from error
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
        raise NotAPageError(instead(body, error)) from error
    return redacted([msgspec.Raw(text)])[0]


def _text(body: bytes) -> bytes:
    return body.removeprefix(_BOM).strip()


def instead(body: bytes, error: Exception) -> str:
    """Return what a body is that could not be decoded."""
    if not body.strip():
        return "the answer is empty"
    if body.lstrip()[:1] == b"<":
        return "the answer is a page of HTML, not JSON"
    if isinstance(error, msgspec.ValidationError):
        return f"the answer is not what was asked for: {printable(str(error))}"
    return f"the answer is not JSON: {printable(str(error))}"
