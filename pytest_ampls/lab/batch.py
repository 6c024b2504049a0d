"""ARM's batch endpoint: several GETs in one request, stricter than Azure.

Azure takes PUT and DELETE in a batch, absolute URLs, and up to 500 requests, which it answers later; the lab
refuses all of these by name, because nothing that only reads a lab needs them. What each request of a batch is
answered, it is answered by the lab as ever: by the same faults, limits and permissions.
Source: none of Microsoft's documentation; https://github.com/Azure/azqr and
https://maciejporebski.github.io/azure-management-batch-api show bodies and answers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NoReturn

import msgspec

from pytest_ampls.lab.messages import Request, Response, json_response
from pytest_ampls.lab.targets import RefusedError, refuse

__all__ = ["BATCH_PATH", "answer_batch", "is_batch"]

BATCH_PATH: Final = "/batch"
_VERSIONS: Final = frozenset({"2015-11-01", "2020-06-01", "2022-12-01"})
_AT_ONCE: Final = 20
_KEYS: Final = frozenset({"httpMethod", "name", "url"})


def is_batch(request: Request) -> bool:
    """Tell whether a request is a batch."""
    return request.method == "POST" and request.path.lower().rstrip("/") == BATCH_PATH


def answer_batch(request: Request, answer: Callable[[Request], Response]) -> Response:
    """Answer a batch that carries a good token, each of its requests by ``answer``; 400 for what the lab takes not."""
    try:
        reads = _checked(request)
    except RefusedError as refused:
        return refused.response
    carried = {name: value for name, value in request.headers.items() if name in ("authorization", "host")}
    answered = [_answered(name, answer(Request("GET", url, carried))) for name, url in reads.items()]
    return json_response(200, {"responses": answered})


def _checked(request: Request) -> Mapping[str, str]:
    """Return the URLs by name; RefusedError where anything is not as it has to be."""
    version = request.query().get("api-version", "")
    if version not in _VERSIONS:
        refuse(400, "InvalidApiVersionParameter", f"The api-version '{version}' is invalid for a batch.")
    try:
        body: Any = msgspec.json.decode(request.body)
    except msgspec.DecodeError:
        body = None
    requests = body.get("requests") if isinstance(body, dict) and len(body) == 1 else None
    if not isinstance(requests, list) or not requests:
        _refuse_content("a batch is an object whose only property 'requests' is a list that is not empty")
    if len(requests) > _AT_ONCE:
        _refuse_content(f"{len(requests)} requests: the lab answers {_AT_ONCE} at once, and none later (202)")
    reads: dict[str, str] = {}
    for one in requests:
        _check(one)
        if one["name"] in reads:
            _refuse_content(f"two requests have the name '{one['name']}'")
        reads[one["name"]] = one["url"]
    return reads


def _check(one: object) -> None:
    if (
        not isinstance(one, dict)
        or one.keys() != _KEYS
        or not all(isinstance(own, str) for own in one.values())
    ):
        _refuse_content(f"a request has the texts {', '.join(sorted(_KEYS))} here, and nothing else")
    if one["httpMethod"] != "GET":
        _refuse_content(f"the lab takes no {one['httpMethod']} in a batch")
    if not one["name"]:
        _refuse_content("a request has no name")
    if not one["url"].startswith("/") or one["url"].startswith("//"):
        _refuse_content(f"the lab takes no URL in a batch that is not a path: '{one['url']}'")


def _refuse_content(what: str) -> NoReturn:
    refuse(400, "InvalidRequestContent", f"The request content was invalid: {what}.")


def _answered(name: str, response: Response) -> dict[str, Any]:
    """Return one answer of a batch; a connection that breaks inside of ARM is its own gateway's trouble."""
    if response.reset:
        return {"name": name, "httpStatusCode": 502, "headers": {}, "content": None, "contentLength": 0}
    content: Any = msgspec.Raw(response.body)
    try:
        msgspec.json.decode(response.body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        content = response.body.decode("utf-8", "replace")
    headers = {"Content-Type": response.content_type, **response.headers}
    return {
        "name": name,
        "httpStatusCode": response.status,
        "headers": headers,
        "content": content,
        "contentLength": len(response.body),
    }
