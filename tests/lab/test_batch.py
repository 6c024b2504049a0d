"""The lab's batch endpoint: what a batch asks for is answered as ever, and what is no batch is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pytest_ampls.lab import Lab, LabError
from pytest_ampls.lab.fault.batch import PARTLY, WHOLE
from tests.lab.arm_client import Answered, ArmClient

VERSION = "api-version=2021-04-01"
FLEET = "fleet:vms=12,subscriptions=3,spoke_size=4"


def ask(arm: ArmClient, body: Any, *, version: str = "2020-06-01", **headers: str) -> Answered:
    """Send a batch."""
    encoded = body if isinstance(body, bytes) else json.dumps(body).encode()
    return arm.send(
        "POST", f"/batch?api-version={version}", headers={**arm.bearer(), **headers}, body=encoded
    )


def reading(url: str, name: str = "one", **more: Any) -> dict[str, Any]:
    """Return a request of a batch."""
    return {"httpMethod": "GET", "name": name, "url": url, **more}


def parts(answered: Answered) -> dict[str, Any]:
    """Return the answers of a batch by their names."""
    assert answered.status == 200
    return {part["name"]: part for part in answered.json["responses"]}


def test_answers_are_those_of_single_requests() -> None:
    """With status, body, headers and absolute links to further pages."""
    with Lab.from_spec(f"{FLEET},page_size=2") as lab:
        arm = ArmClient(lab)
        urls = [f"/subscriptions/{own}/resources?{VERSION}" for own in lab.subscriptions]
        machines = "providers/Microsoft.Compute/virtualMachines?api-version=2024-11-01"
        urls += [
            f"/subscriptions/{lab.subscriptions[1]}/{machines}",
            f"/subscriptions/{lab.tenant_id}?{VERSION}",
        ]
        found = parts(ask(arm, {"requests": [reading(url, str(at)) for at, url in enumerate(urls)]}))
        for at, url in enumerate(urls):
            single = arm.get(url)
            part = found[str(at)]
            assert (part["httpStatusCode"], part["content"]) == (single.status, single.json)
            assert part["contentLength"] == len(single.body)
            assert "x-ms-request-id" in part["headers"]
        assert found["3"]["content"]["nextLink"].startswith(f"{lab.arm_endpoint}/subscriptions/")
        assert [own["httpStatusCode"] for own in found.values()] == [200, 200, 200, 200, 404]


GOOD = reading("/subscriptions?api-version=2022-12-01")
REFUSED: dict[str, Any] = {
    "no JSON": b"requests",
    "an empty body": b"",
    "a list": [GOOD],
    "no requests": {"requests": []},
    "requests that are no list": {"requests": {}},
    "more beside the requests": {"requests": [GOOD], "more": 1},
    "too many": {"requests": [reading(GOOD["url"], str(own)) for own in range(21)]},
    "a PUT": {"requests": [{**GOOD, "httpMethod": "PUT"}]},
    "content": {"requests": [{**GOOD, "content": {}}]},
    "another host": {"requests": [reading("https://example.com/subscriptions")]},
    "another host without a scheme": {"requests": [reading("//example.com/subscriptions")]},
    "no name": {"requests": [reading(GOOD["url"], "")]},
    "a name twice": {"requests": [GOOD, GOOD]},
    "a text": {"requests": ["GET /subscriptions"]},
    "no URL": {"requests": [{"httpMethod": "GET", "name": "one"}]},
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_batch_of_reads_is_refused(name: str) -> None:
    """By 400, although Azure takes some of it."""
    with Lab.from_spec(FLEET) as lab:
        answered = ask(ArmClient(lab), REFUSED[name])
    assert (answered.status, answered.code) == (400, "InvalidRequestContent")
    if name == "too many":
        assert "21 requests: the lab answers 20 at once, and none later (202)" in str(answered.json)


def test_what_else_is_refused() -> None:
    """A version that is unknown, a token that is missing, a GET."""
    with Lab.from_spec(FLEET) as lab:
        arm = ArmClient(lab)
        assert ask(arm, {"requests": [GOOD]}, version="2024-01-01").code == "InvalidApiVersionParameter"
        assert ask(arm, {"requests": [GOOD]}, authorization="Bearer x").status == 401
        assert arm.get("/batch?api-version=2020-06-01").status == 404


def test_one_batch_is_one_request() -> None:
    """However much it asks for."""
    with Lab.from_spec(FLEET) as lab:
        arm = ArmClient(lab)
        found = parts(ask(arm, {"requests": [reading(GOOD["url"], str(own)) for own in range(20)]}))
        assert len(found) == 20
        assert [(own.method, own.path) for own in lab.requests] == [("POST", "/batch")]


def test_each_request_takes_a_read_of_its_subscription() -> None:
    """A batch is no way around the limits."""
    with Lab.from_spec(f"{FLEET},throttle=on") as lab:
        arm = ArmClient(lab)
        url = f"/subscriptions/{lab.subscriptions[1]}?{VERSION}"
        batch = {"requests": [reading(url, str(own)) for own in range(20)]}
        left = "x-ms-ratelimit-remaining-subscription-reads"
        first = parts(ask(arm, batch))
        assert int(first["19"]["headers"][left]) < 250 - 19 + 3
        refused = [
            own for _ in range(20) for own in parts(ask(arm, batch)).values() if own["httpStatusCode"] == 429
        ]
        assert refused
        assert int(refused[0]["headers"]["Retry-After"]) > 0
        other = f"/subscriptions/{lab.subscriptions[2]}?{VERSION}"
        assert parts(ask(arm, {"requests": [reading(other)]}))["one"]["httpStatusCode"] == 200


def test_faults_hit_what_is_in_a_batch() -> None:
    """A type that may not be read is refused there as well; a connection that breaks is the gateway's trouble."""
    rules = "providers/Microsoft.Insights/dataCollectionRules?api-version=2023-03-11"
    for fault, status in (
        ("denied", 403),
        ("connection-reset", 502),
        ("html-error", 503),
        ("malformed-json", 200),
    ):
        with Lab.from_spec(f"{FLEET}+{fault}=dataCollectionRules") as lab:
            url = f"/subscriptions/{lab.subscriptions[0]}/{rules}"
            found = parts(ask(ArmClient(lab), {"requests": [reading(url), reading(GOOD["url"], "two")]}))
        assert (found["one"]["httpStatusCode"], found["two"]["httpStatusCode"]) == (status, 200)
        assert isinstance(found["one"]["content"], str) == (fault in ("html-error", "malformed-json"))


STATUS = {
    "denied": 403,
    "absent": 404,
    "not-allowed": 405,
    "unauthenticated": 401,
    "failed": 500,
    "throttled": 429,
    "html": 200,
    "later": 202,
    "empty": 200,
}


@pytest.mark.parametrize("how", sorted(WHOLE.keys() - {"reset"}))
def test_no_batch(how: str) -> None:
    """Every batch is answered alike, and no other request."""
    with Lab.from_spec(f"{FLEET}+no-batch={how}") as lab:
        arm = ArmClient(lab)
        answered = ask(arm, {"requests": [GOOD]})
        assert answered.status == STATUS[how]
        assert b'"responses"' not in answered.body
        assert arm.get(GOOD["url"]).status == 200


def test_a_batch_may_break_off() -> None:
    """The connection is reset."""
    with Lab.from_spec(f"{FLEET}+no-batch=reset") as lab, pytest.raises(OSError, match=r".*"):
        ask(ArmClient(lab), {"requests": [GOOD]})


@pytest.mark.parametrize("how", PARTLY)
def test_odd_batch(how: str) -> None:
    """One answer is another one than without the fault; those in between are not."""
    spec = f"{FLEET}+odd-batch={how}"
    with Lab.from_spec(FLEET) as healthy, Lab.from_spec(spec) as lab:
        urls = [f"/subscriptions/{own}/resources?{VERSION}" for own in lab.subscriptions]
        batch = {"requests": [reading(url, str(at)) for at, url in enumerate(urls)]}
        good, odd = (ask(ArmClient(own), batch).json["responses"] for own in (healthy, lab))
        for part in (*good, *odd):
            for name in ("headers", "contentLength"):
                part.pop(name, None)
    assert odd != good
    assert good[1] in odd


@pytest.mark.parametrize("fault", ["no-batch=sometimes", "odd-batch=often"])
def test_arguments_that_mean_nothing(fault: str) -> None:
    """What is on offer is said."""
    with pytest.raises(LabError, match=rf"{fault} is none of \w+, "):
        Lab.from_spec(f"{FLEET}+{fault}")
