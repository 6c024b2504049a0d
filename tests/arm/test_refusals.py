"""Answers that say no: a gap that says what, where, and what to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pytest_ampls.arm.call import Call
from pytest_ampls.arm.client import ArmClient
from pytest_ampls.arm.refusals import trouble_of_answer
from pytest_ampls.model.evidence import GapKind
from tests.arm.gaps import DENIED, error, gap_of
from tests.arm.names import RULE, RULES, RULES_PATH, SCOPES, SUBSCRIPTION
from tests.arm.server import Reply, Server

DATA = Path(__file__).parents[3] / "shared" / "data"


@pytest.mark.parametrize("kind", [RULES, SCOPES])
def test_denied_names_the_permission(client: ArmClient, server: Server, kind: str) -> None:
    """The action is ARM's own word for it, and the advice names it."""
    server.on(f"{SUBSCRIPTION}/providers/{kind}", Reply(error("AuthorizationFailed", DENIED), status=403))
    gap = gap_of(client, kind)
    assert (gap.kind, gap.status) == (GapKind.DENIED, 403)
    assert gap.permission == "Microsoft.Insights/DataCollectionRules/Read"
    assert gap.message.startswith(
        f"Listing {kind} in {SUBSCRIPTION}: HTTP 403 AuthorizationFailed: The client"
    )
    assert gap.message.endswith("Grant the identity the action Microsoft.Insights/DataCollectionRules/Read "
                                "there; the role Reader has it")  # fmt: skip


def test_denied_without_a_word_derives_the_permission(client: ArmClient, server: Server) -> None:
    """Where ARM names no action, it is the type's read action."""
    server.on(RULES_PATH, Reply(status=403))
    gap = gap_of(client)
    assert gap.permission == f"{RULES}/read"
    assert "HTTP 403 without an explanation" in gap.message


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            error("ExpiredAuthenticationToken", "The access token expiry"),
            "ExpiredAuthenticationToken: The access",
        ),
        ({"code": "Denied", "message": "flat"}, "Denied: flat"),
        ({"Code": "429", "Message": "pascal", "Target": None}, "429: pascal"),
        ({"error": {"code": 100026, "message": None}}, "HTTP 401 100026"),
        ({"error": {"code": "503"}}, "HTTP 401 503"),
        (b"<html><body>Sign in</body></html>", "HTTP 401 with a page of HTML"),
        (b"", "HTTP 401 without an explanation"),
        (b"plain", "HTTP 401 with a body that is not JSON"),
        ([1], "HTTP 401 with a body that is no error of ARM's"),
        ({"error": "odd"}, "HTTP 401 with a body that is no error of ARM's"),
    ],
)
def test_every_error_envelope_is_read(client: ArmClient, server: Server, body: object, said: str) -> None:
    """Three shapes, numbers as codes, HTML and nothing at all; none is an exception."""
    server.on(RULES_PATH, Reply(body, status=401))
    gap = gap_of(client)
    assert (gap.kind, gap.status) == (GapKind.UNAUTHENTICATED, 401)
    assert said in gap.message
    assert "az login" in gap.message


def test_foreign_text_is_shortened_and_cleaned(client: ArmClient, server: Server) -> None:
    """A long message, control characters and anything like a token do not reach the report."""
    text = "a\x1b[31m\n\tb Bearer abc.def eyJhbGciOiJub25lIn0.eyJ4Ijoi.sig " + "x" * 500
    server.on(RULES_PATH, Reply(error("Code", text), status=403))
    message = gap_of(client).message
    shown = message.partition("Code: ")[2].partition("…")[0]
    assert len(shown) < 200
    assert shown.startswith("a [31m b [removed] [removed] xxx")


def test_a_listing_of_what_does_not_exist_is_absent(client: ArmClient, server: Server) -> None:
    """An unknown subscription is not an empty one."""
    server.on(RULES_PATH, Reply(error("SubscriptionNotFound", "could not be found"), status=404))
    gap = gap_of(client)
    assert (gap.kind, gap.status) == (GapKind.ABSENT, 404)
    assert "SubscriptionNotFound" in gap.message


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (error("InvalidResourceType", "not in this cloud"), GapKind.UNREACHABLE),
        (b"<html>proxy</html>", GapKind.MALFORMED),
    ],
)
def test_a_404_that_is_not_about_the_resource_proves_nothing(
    client: ArmClient, server: Server, body: object, kind: GapKind
) -> None:
    """A single read must not take every 404 for "does not exist"."""
    server.on(RULE, Reply(body, status=404))
    gap = client.get(RULES, RULE).gap
    assert gap is not None
    assert gap.kind is kind


@pytest.mark.parametrize("status", [400, 409, 412, 418, 202, 204])
def test_any_other_status_is_no_answer(client: ArmClient, server: Server, status: int) -> None:
    """What is neither 200 nor understood is never an empty list."""
    server.on(RULES_PATH, Reply(b"" if status == 204 else error("Odd", "odd"), status=status))
    gap = gap_of(client)
    assert (gap.kind, gap.status) == (GapKind.UNREACHABLE, status)


class Recorded:
    """A recorded answer, as the reader of answers sees it."""

    def __init__(self, record: dict[str, Any]) -> None:
        body = record.get("response_body") or ""
        self.status_code = int(record["status"])
        self.headers = {name.lower(): value for name, value in record["response_headers"].items()}
        self.content = body.encode() if isinstance(body, str) else json.dumps(body).encode()


@pytest.mark.skipif(not DATA.is_dir(), reason="the recorded responses are not beside this checkout")
@pytest.mark.parametrize("name", ["errors_429.jsonl", "by_type/error.jsonl"])
def test_recorded_errors_are_understood(name: str) -> None:
    """Every error that was recorded from the real service gives a code or message in its text."""
    records = [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").splitlines()]
    assert records
    for record in records:
        call = Call(RULES, RULE, single=True, patience=1.0)
        trouble = trouble_of_answer(call, Recorded(record), 0.0)
        assert trouble is not None
        assert trouble.what.startswith(f"HTTP {record['status']} ")
        assert "no error of ARM's" not in trouble.what
        assert ("without an explanation" in trouble.what) == (not record.get("response_body"))
        if record["status"] == 429:
            assert trouble.kind is GapKind.THROTTLED
