"""What a batch says, and what its answer says: several reads of ARM's in one request.

ARM answers ``POST /batch`` by carrying out the requests that are listed in its body. Microsoft does not document
it. Its portal uses it, and so do its own tools, which is what is known of it: up to twenty requests are answered
at once, more of them by a 202 and a place to ask again; each answer has the ``name`` of its request, and nothing
says that they come in the order of the requests. So it may change, or be gone, any day: whatever is not answered
in exactly this way is asked for in the documented way (:mod:`pytest_ampls.arm.listings`).

Source: none of Microsoft's documentation. https://github.com/Azure/azqr (internal/scanners/diagnostics_settings.go),
https://github.com/Azure/policy-compliance-scan (lib/azurePolicy/evaluationHelper.js),
https://github.com/ansible-collections/azure (plugins/inventory/azure_rm.py),
https://maciejporebski.github.io/azure-management-batch-api
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Annotated, Any, Final, Literal

import msgspec

from pytest_ampls.arm.pages import NotAPageError, instead

__all__ = ["BATCH", "BATCH_PATH", "MOST", "Answer", "answers", "batch", "only_reads"]

BATCH: Final = "Microsoft.Resources/batch"
"""What a batch is called where calls are counted."""
BATCH_PATH: Final = "/batch"
MOST: Final = 20
"""So many requests are answered at once."""

_RELATIVE: Final = re.compile(r"/(?!/)[!-\[\]-~]*")  # visible ASCII without the backslash
_HEADERS: Final = frozenset(
    {
        "retry-after",
        "retry-after-ms",
        "x-ms-retry-after-ms",
        "x-ms-ratelimit-remaining-subscription-reads",
    }
)


class _Read(msgspec.Struct, frozen=True, rename="camel"):
    http_method: Literal["GET"]
    name: str
    url: str


class _Batch(msgspec.Struct, frozen=True):
    requests: Annotated[list[_Read], msgspec.Meta(min_length=1, max_length=MOST)]


class Answer(msgspec.Struct, frozen=True, rename="camel"):
    """The answer to one request of a batch: its status, its body, and what its headers say of throttling."""

    name: str
    http_status_code: int
    content: msgspec.Raw = msgspec.Raw(b"")
    headers: dict[str, Any] | None = None

    def told(self) -> Mapping[str, str]:
        """Return the headers that say how fast to ask, by their names in lower case, and no others."""
        told = {str(name).lower(): value for name, value in (self.headers or {}).items()}
        return {
            name: str(value)
            for name, value in told.items()
            if name in _HEADERS and isinstance(value, str | int | float)
        }


class _Answers(msgspec.Struct):
    responses: list[msgspec.Raw]


def batch(reads: Mapping[str, str]) -> bytes:
    """Return the body of a batch that reads URLs: name to a path of ARM's with its query."""
    return msgspec.json.encode(_Batch([_Read("GET", name, url) for name, url in reads.items()]))


def only_reads(body: object) -> bool:
    """Tell whether a body is one that :func:`batch` would write, to the byte: a few GETs of ARM's own paths.

    A name that is there twice, or one more, is not: the service might take another one than we do.
    """
    if not isinstance(body, bytes):
        return False
    try:
        decoded = msgspec.json.decode(body, type=_Batch)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):  # ValidationError is a DecodeError
        return False
    relative = all(_RELATIVE.fullmatch(read.url) for read in decoded.requests)
    return relative and msgspec.json.encode(decoded) == body


def answers(body: bytes, names: Collection[str]) -> dict[str, Answer]:
    """Return the answers to the requests of these names.

    What has another name, the name of another answer, or no shape that is known, is left out.

    Raises:
        NotAPageError: the body is no answer to a batch at all.
    """
    try:
        decoded = msgspec.json.decode(body, type=_Answers)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NotAPageError(instead(body, error)) from error
    found: dict[str, Answer] = {}
    twice: set[str] = set()
    for raw in decoded.responses:
        try:
            answer = msgspec.json.decode(raw, type=Answer)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
        if answer.name in found:
            twice.add(answer.name)
        elif answer.name in names:
            found[answer.name] = answer
    return {name: answer for name, answer in found.items() if name not in twice}
