"""Answers that say no: a gap that says what, where, and what to do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
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


@pytest.mark.parametrize(
    ("page", "headers", "shown"),
    [
        (
            b"\r\n<!DOCTYPE html><HTML><head><TITLE>\n Access &amp; web\n policy </TITLE></head></HTML>",
            {"Via": "1.1 gate.example (squid/6.6)"},
            '("Access & web policy"; Via: 1.1 gate.example (squid/6.6); Server: BaseHTTP/',
        ),
        (
            b"<html><body>no</body></html>",
            {"Via": "1.1 gate.example"},
            "(Via: 1.1 gate.example; Server: BaseHTTP/",
        ),
        (b"<title>" + b"x" * 5000, {}, "HTTP 403 with a page of HTML (Server: BaseHTTP/"),
    ],
)
def test_a_page_of_html_is_a_proxy_s_refusal(
    client: ArmClient, server: Server, page: bytes, headers: dict[str, str], shown: str
) -> None:
    """ARM refuses in JSON: no role opens what stands in between, which the message shows as far as it shows itself."""
    server.on(RULES_PATH, Reply(page, status=403, headers=headers))
    gap = gap_of(client)
    assert (gap.kind, gap.status, gap.permission) == (GapKind.MALFORMED, 403, None)
    assert "HTTP 403 with a page of HTML" in gap.message
    assert shown in gap.message
    assert "look for a proxy" in gap.message
    assert "Grant" not in gap.message
    assert "Reader" not in gap.message


@pytest.mark.parametrize("body", [b"Blocked by policy", [1], {"error": "odd"}])
def test_a_403_that_is_no_error_of_arm_asks_for_no_role(
    client: ArmClient, server: Server, body: object
) -> None:
    """Whoever wrote it, it was not who decides on roles."""
    server.on(RULES_PATH, Reply(body, status=403))
    gap = gap_of(client)
    assert gap.kind is GapKind.MALFORMED
    assert "look for a proxy" in gap.message
    assert "Grant" not in gap.message


def test_what_a_page_calls_itself_is_another_s_text(client: ArmClient, server: Server) -> None:
    """Nothing of a page's title reaches the report but its words, and few of them."""
    title = "\x1b[31mred\n AMPLS000 \u202e eyJhbGciOiJub25lIn0.eyJ4Ijoi.sig " + "x" * 2000
    server.on(RULES_PATH, Reply(f"<html><title>{title}</title></html>".encode(), status=403))
    message = gap_of(client).message
    assert message.isprintable()
    assert "eyJhbGciOiJub25lIn0" not in message
    assert len(message) < 700


@pytest.mark.parametrize(
    "date", ["Tue Nov 14 22:13:37 2023", "Tue, 14 Nov 2023 22:13:37 -0000", "Tuesday, 14-Nov-23 22:13:37 GMT"]
)
def test_a_date_to_retry_after_is_in_utc(date: str) -> None:
    """Every form of an HTTP date is: in a zone behind it a wait would be hours long, ahead of it none."""
    script = (
        "import sys; from pytest_ampls.arm.refusals import retry_after; "
        "print(retry_after({'retry-after': sys.argv[1]}, 1_700_000_000.0))"
    )
    zone = {**os.environ, "TZ": "UTC+5"}  # as POSIX has it: five hours behind
    told = subprocess.run(
        [sys.executable, "-c", script, date], env=zone, capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == "17.0"


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
