"""Faults of ARM's batch endpoint: it is refused or gone, or one of its answers is not what was asked for.

No verdict may rest on a batch, so none may change.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import msgspec

from pytest_ampls.lab.batch import is_batch
from pytest_ampls.lab.fault.registry import Answer, Meddling, wire_fault
from pytest_ampls.lab.messages import Request, Response, error, json_response
from pytest_ampls.lab.spec import LabError
from pytest_ampls.lab.store import Estate, guid
from pytest_ampls.lab.targets import authorization_failed

__all__ = ["PARTLY", "WHOLE"]

T = TypeVar("T")

Part = dict[str, Any]
"""One answer of a batch."""


def _on_batch(meddling: Meddling, change: Callable[[Response], Response]) -> None:
    def wrapper(request: Request, answer: Answer) -> Response:
        response = answer(request)
        return change(response) if is_batch(request) and response.status == 200 else response

    meddling.wrappers.append(wrapper)


def _page() -> Response:
    return Response(200, b"<html><body>Sign in to the proxy</body></html>", content_type="text/html")


def _later() -> Response:
    return Response(202, b"", {"Location": "/batch/operations/1", "Retry-After": "1"})


def _too_many() -> Response:
    response = error(429, "TooManyRequests", "Number of requests exceeded.")
    response.headers["Retry-After"] = "1"
    return response


WHOLE: Final[dict[str, Callable[[], Response]]] = {
    "denied": lambda: authorization_failed("Microsoft.Resources/batch/action", "/batch", guid("object")),
    "absent": lambda: error(404, "NotFound", "The request URI names nothing that exists here."),
    "not-allowed": lambda: error(405, "MethodNotAllowed", "The HTTP method is not allowed."),
    "unauthenticated": lambda: error(401, "InvalidAuthenticationToken", "The access token is invalid."),
    "failed": lambda: error(500, "InternalServerError", "Something went wrong."),
    "throttled": _too_many,
    "html": _page,
    "later": _later,
    "empty": lambda: json_response(200, {}),
    "reset": lambda: Response(200, reset=True),
}
"""How a batch may be answered as a whole."""


@wire_fault(
    "no-batch",
    "ARM's batch endpoint does not answer batches",
    argument=f"how: {', '.join(WHOLE)}; denied when left out",
)
def no_batch(_estate: Estate, meddling: Meddling, argument: str | None) -> None:
    """Answer every batch as a whole in a way that is no answer."""
    answer = _chosen("no-batch", argument or "denied", WHOLE)
    _on_batch(meddling, lambda _response: answer())


def _refused(status: int, code: str, headers: dict[str, str] | None = None) -> Callable[[list[Part]], None]:
    def change(parts: list[Part]) -> None:
        content = {"error": {"code": code, "message": "This one was refused."}}
        parts[0].update(httpStatusCode=status, content=content, headers=headers or {})

    return change


def _swap(parts: list[Part]) -> None:
    parts[0]["content"], parts[-1]["content"] = parts[-1]["content"], parts[0]["content"]


def _link(link: str) -> Callable[[list[Part]], None]:
    """Return the change that lets a page lead to another one."""

    def change(parts: list[Part]) -> None:
        if isinstance(parts[0]["content"], dict):
            parts[0]["content"]["nextLink"] = link

    return change


def _spoil(parts: list[Part]) -> None:
    parts[0]["content"] = "not a page"


def _rename(parts: list[Part]) -> None:
    parts[0]["name"] = "another"


def _odd_item(parts: list[Part]) -> None:
    parts[0]["content"] = {"value": ["not an object"]}


PARTLY: Final[dict[str, Callable[[list[Part]], None]]] = {
    "throttled": _refused(429, "TooManyRequests", {"Retry-After": "1"}),
    "denied": _refused(403, "AuthorizationFailed"),
    "failed": _refused(500, "InternalServerError"),
    "missing": lambda parts: parts.__delitem__(0),
    "twice": lambda parts: parts.append(dict(parts[0])),
    "renamed": _rename,
    "garbage": _spoil,
    "null": lambda parts: parts[0].update(content=None),
    "odd-item": _odd_item,
    "swapped": _swap,
    "elsewhere": _link("https://127.0.0.2:9/subscriptions/elsewhere/resources"),
    "foreign-page": _link(f"/subscriptions/{guid('foreign')}/resources?api-version=2021-04-01"),
    "shapeless": lambda parts: parts.__setitem__(0, {"answer": 1}),
}
"""How one answer of a batch may be wrong."""


@wire_fault(
    "odd-batch",
    "one answer of each batch is not what was asked for",
    argument=f"how: {', '.join(PARTLY)}; missing when left out",
)
def odd_batch(_estate: Estate, meddling: Meddling, argument: str | None) -> None:
    """Spoil the first answer of every batch."""
    spoil = _chosen("odd-batch", argument or "missing", PARTLY)

    def change(response: Response) -> Response:
        document = msgspec.json.decode(response.body)
        spoil(document["responses"])
        response.body = msgspec.json.encode(document)
        return response

    _on_batch(meddling, change)


def _chosen(fault: str, argument: str, kinds: dict[str, T]) -> T:
    if argument not in kinds:
        raise LabError(f"lab: {fault}={argument} is none of {', '.join(kinds)}")
    return kinds[argument]
