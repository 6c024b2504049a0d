"""What a batch may say, what is believed of its answer, and that nothing but reads leaves the process."""

from __future__ import annotations

import json
from typing import Any

import pytest
from azure.core.rest import HttpRequest

from pytest_ampls.arm.batch import BATCH, answers, batch, only_reads
from pytest_ampls.arm.call import Call
from pytest_ampls.arm.client import ArmClient
from pytest_ampls.arm.pages import NotAPageError
from pytest_ampls.arm.policies import ReadOnlyPolicy
from pytest_ampls.errors import ReadOnlyError
from tests.arm.names import SUBSCRIPTION
from tests.arm.server import Server

READ = {"httpMethod": "GET", "name": "one", "url": f"{SUBSCRIPTION}/resources?api-version=2021-04-01"}


def body(*reads: Any, **more: Any) -> bytes:
    """Return a body as compact as the product writes it."""
    return json.dumps({"requests": list(reads), **more}, separators=(",", ":")).encode()


GOOD = body(READ)
BROKEN = {
    "a PUT inside": body(READ, {**READ, "httpMethod": "PUT"}),
    "a DELETE alone": body({**READ, "httpMethod": "DELETE"}),
    "a method in lower case": body({**READ, "httpMethod": "get"}),
    "another host": body({**READ, "url": "https://example.com/subscriptions"}),
    "another host without a scheme": body({**READ, "url": "//example.com/subscriptions"}),
    "another host for some parsers": body({**READ, "url": "/\\example.com/subscriptions"}),
    "a path that is not absolute": body({**READ, "url": "subscriptions"}),
    "no path": body({**READ, "url": ""}),
    "a blank in the path": body({**READ, "url": "/subscriptions HTTP/1.1"}),
    "a line break in the path": body({**READ, "url": "/subscriptions\r\nx: y"}),
    "too many": body(*[READ] * 21),
    "none": body(),
    "content": body({**READ, "content": {"properties": {}}}),
    "headers": body({**READ, "requestHeaderDetails": {"commandName": "x"}}),
    "a second place for the URL": body({**READ, "relativeUrl": "/subscriptions"}),
    "more beside the requests": body(READ, action="delete"),
    "the method twice": GOOD.replace(b'{"httpMethod"', b'{"httpMethod":"PUT","httpMethod"'),
    "the method twice, in another case": GOOD.replace(b'{"httpMethod"', b'{"HttpMethod":"PUT","httpMethod"'),
    "the requests twice": GOOD.replace(b'{"requests"', b'{"requests":[{"httpMethod":"PUT"}],"requests"'),
    "blanks": json.dumps({"requests": [READ]}).encode(),
    "something behind it": GOOD + b"{}",
    "no JSON": b"requests=GET",
    "nothing": b"",
}


def test_what_is_written_is_let_through() -> None:
    """The body of a batch is one that the guard knows, up to twenty reads of it."""
    assert batch({"one": READ["url"]}) == GOOD
    assert only_reads(GOOD)
    assert only_reads(
        batch({str(own): "/subscriptions?api-version=1&$filter=a%20eq%20'b'" for own in range(20)})
    )


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_batch_of_reads_does_not_leave_the_process(
    name: str, client: ArmClient, server: Server
) -> None:
    """Whatever is in a body besides a few GETs of ARM's own paths, the request is stopped before it is sent."""
    call = Call(BATCH, "/", single=False, patience=1.0)
    request = HttpRequest("POST", "/batch?api-version=2020-06-01", content=BROKEN[name])
    with pytest.raises(ReadOnlyError, match=r"POST https://.*/batch.* was stopped: this program only reads"):
        client.send(call, request)
    assert server.asked == []


@pytest.mark.parametrize(
    "request_",
    [
        HttpRequest("POST", "https://x/batch", json={"requests": [READ]}),
        HttpRequest("POST", "https://x/batch", content=iter([GOOD])),
        HttpRequest("POST", "https://x/batch"),
        HttpRequest("PUT", "https://x/batch", content=GOOD),
        HttpRequest("POST", "https://x/batch/operations", content=GOOD),
        HttpRequest("POST", "https://x/BATCH", content=GOOD),
        HttpRequest("POST", "https://x/subscriptions?batch=/batch", content=GOOD),
    ],
)
def test_only_bytes_to_the_one_path(request_: HttpRequest) -> None:
    """A body that is made elsewhere, or another method or path, is not looked at twice."""
    with pytest.raises(ReadOnlyError):
        ReadOnlyPolicy().on_request(_Holding(request_))  # type: ignore[arg-type]  # all of it that is read


def test_the_pipeline_to_log_analytics_sends_no_batch() -> None:
    """Its guard lets the query through, and nothing else."""
    good = _Holding(HttpRequest("POST", "https://x/batch", content=GOOD))
    ReadOnlyPolicy().on_request(good)  # type: ignore[arg-type]  # all of it that is read
    with pytest.raises(ReadOnlyError):
        ReadOnlyPolicy(log_queries=True).on_request(good)  # type: ignore[arg-type]  # all of it that is read


class _Holding:
    """A pipeline's request, as far as a guard looks at it."""

    def __init__(self, request: HttpRequest) -> None:
        self.http_request = request


def answer(name: str, status: int = 200, **more: Any) -> dict[str, Any]:
    """Return one answer as ARM gives it."""
    return {"name": name, "httpStatusCode": status, "headers": {}, "content": {"value": []}, **more}


def test_answers_are_told_by_their_names() -> None:
    """In any order; unknown names, names that are there twice, and what has no shape are left out."""
    given = [answer("b", 403), answer("a", contentLength=12), answer("c"), answer("c", 404), answer("d"), 7]
    given += [{"name": "e"}, {"name": "f", "httpStatusCode": "200"}, answer("g", headers=[]), {}]
    found = answers(json.dumps({"responses": given}).encode(), ("a", "b", "c", "e", "f", "g", "h"))
    assert {name: own.http_status_code for name, own in found.items()} == {"a": 200, "b": 403}
    assert bytes(found["a"].content) == b'{"value": []}'


@pytest.mark.parametrize(
    "given", [b"", b"<html>", b"{}", b"[]", b'{"value":[]}', b'{"responses":{}}', b"\xff"]
)
def test_what_is_no_answer_to_a_batch(given: bytes) -> None:
    """Is said to be none, in words."""
    with pytest.raises(NotAPageError, match="the answer is "):
        answers(given, ("a",))


def test_of_the_headers_only_those_of_throttling_are_kept() -> None:
    """They are told by any case of their names, and as any kind of number."""
    headers = {
        "Retry-After": 17,
        "X-Ms-Ratelimit-Remaining-Subscription-Reads": "3",
        "Authorization": "Bearer x",
    }
    found = answers(json.dumps({"responses": [answer("a", 429, headers=headers)]}).encode(), ("a",))
    assert found["a"].told() == {"retry-after": "17", "x-ms-ratelimit-remaining-subscription-reads": "3"}
    assert answers(json.dumps({"responses": [answer("a", headers=None)]}).encode(), ("a",))["a"].told() == {}
