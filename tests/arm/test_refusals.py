"""Every way to be refused or answered badly: a gap that says what, where, and what to do."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError
from azure.core.rest import HttpRequest

from pytest_ampls.arm.call import OPTION, Call
from pytest_ampls.arm.client import ArmClient
from pytest_ampls.arm.refusals import trouble_of_answer
from pytest_ampls.errors import ReadOnlyError
from pytest_ampls.model.evidence import Gap, GapKind
from tests.arm.conftest import TOKEN, FakeClock, StaticCredential, cloud_of
from tests.arm.server import Asked, Authority, Reply, Server
from tests.arm.test_client import RULE, RULES, RULES_PATH, SCOPES, SCOPES_PATH, SUBSCRIPTION, throttled

DATA = Path(__file__).parents[3] / "shared" / "data"
DENIED = (
    "The client 'c' with object id 'o' does not have authorization to perform action "
    "'Microsoft.Insights/DataCollectionRules/Read' over scope '/subscriptions/1' or the scope is invalid."
)


def gap_of(client: ArmClient, kind: str = RULES) -> Gap:
    """Return the gap of a listing that must have one."""
    gap = client.list(kind, SUBSCRIPTION).gap
    assert gap is not None
    return gap


def error(code: str, message: str) -> dict[str, Any]:
    """Return ARM's usual error body."""
    return {"error": {"code": code, "message": message}}


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


# ---------------------------------------------------------------- throttling and failures


def test_throttled_for_ever_ends_within_the_budget(
    make_client: Callable[..., ArmClient], server: Server, clock: FakeClock
) -> None:
    """The gap says how often, how long, and what was asked for last."""
    server.on(RULES_PATH, throttled({"Retry-After": "40"}))
    gap = gap_of(make_client(retry_budget=100))
    assert (gap.kind, gap.status) == (GapKind.THROTTLED, 429)
    assert sum(clock.waits) == 80
    assert "after 3 attempts and 80 s of waiting (Retry-After was 40 s the last time)" in gap.message
    assert "the retry budget of 100 s. Nothing of this was read" in gap.message


@pytest.mark.parametrize("headers", [{}, {"Retry-After": "0"}])
def test_throttled_without_a_usable_hint_ends_too(
    client: ArmClient, server: Server, clock: FakeClock, headers: dict[str, str]
) -> None:
    """Neither a missing hint nor one of zero seconds makes an endless loop."""
    server.on(RULES_PATH, throttled(headers))
    assert gap_of(client).kind is GapKind.THROTTLED
    assert sum(clock.waits) <= 120
    assert len(server.asked) <= 41


def test_pages_share_one_budget(
    make_client: Callable[..., ArmClient], server: Server, clock: FakeClock
) -> None:
    """A listing that is throttled on every page waits no longer than one that is on the first."""
    later = throttled({"Retry-After": "30"})
    server.on(RULES_PATH, later, Reply({"value": [{"id": "1"}], "nextLink": f"{server.url}/2"}))
    server.on("/2", later, Reply({"value": [{"id": "2"}], "nextLink": f"{server.url}/3"}))
    server.on("/3", later, Reply({"value": []}))
    reading = make_client(retry_budget=70).list(RULES, SUBSCRIPTION)
    assert reading.gap is not None
    assert reading.gap.kind is GapKind.THROTTLED
    assert sum(clock.waits) == 60


def test_the_whole_run_has_a_bound(
    make_client: Callable[..., ArmClient], server: Server, clock: FakeClock
) -> None:
    """Many listings that are throttled for ever cost three budgets together, not one each."""
    client = make_client(retry_budget=50)
    server.on(RULES_PATH, throttled({"Retry-After": "50"}))
    gaps = [gap_of(client) for _ in range(6)]
    assert {gap.kind for gap in gaps} == {GapKind.THROTTLED}
    assert sum(clock.waits) == 150
    assert "what the whole run may wait" in gaps[-1].message
    assert client.statistics().throttled_seconds == 150


@pytest.mark.parametrize(
    ("reply", "kind", "said"),
    [
        (Reply(b"<html>bad gateway</html>", status=502), GapKind.UNREACHABLE, "HTTP 502 with a page of HTML"),
        (Reply(error("503", "busy"), status=503), GapKind.UNREACHABLE, "HTTP 503 503: busy"),
        (Reply({"value": []}, cut=True), GapKind.MALFORMED, "body broke off"),
        (Reply(b"\x1f\x8bno", headers={"Content-Encoding": "gzip"}), GapKind.MALFORMED, "unpacked"),
        (Reply(reset=True), GapKind.UNREACHABLE, "no answer"),
    ],
)
def test_failures_that_do_not_pass(
    client: ArmClient, server: Server, clock: FakeClock, reply: Reply, kind: GapKind, said: str
) -> None:
    """Four attempts with short waits, then a gap that says so."""
    server.on(RULES_PATH, reply)
    gap = gap_of(client)
    assert gap.kind is kind
    assert said in gap.message
    assert "tried 4 times" in gap.message
    assert clock.waits == [0.5, 1.0, 2.0]


def test_a_server_that_is_away_is_unreachable_and_then_left_alone(
    make_client: Callable[..., ArmClient], authority: Authority
) -> None:
    """After enough silence no further call is made: a dead endpoint costs a bounded time."""
    with Server(authority) as gone:
        url = gone.url
    client = make_client(cloud=cloud_of(url), concurrency=2)
    gaps = [gap_of(client, SCOPES) for _ in range(6)]
    assert {gap.kind for gap in gaps} == {GapKind.UNREACHABLE}
    assert "Connection refused" in gaps[0].message
    assert "not asked any more" in gaps[-1].message
    assert client.statistics().calls == 16


def test_a_server_that_says_nothing_times_out(make_client: Callable[..., ArmClient], server: Server) -> None:
    """An answer that never comes ends in a gap, after one more try."""
    release = threading.Event()

    def hang(asked: Asked) -> Reply:
        release.wait(20)
        return Reply({"value": []})

    server.on(SCOPES_PATH, hang)
    try:
        gap = gap_of(make_client(timeout=0.2), SCOPES)
    finally:
        release.set()
    assert gap.kind is GapKind.UNREACHABLE
    assert "no answer in time" in gap.message
    assert len(server.asked) == 2


def test_an_untrusted_certificate_is_told_apart(
    make_client: Callable[..., ArmClient], server: Server, tmp_path: Path, clock: FakeClock
) -> None:
    """A certificate that is not trusted does not get better by trying; the CA bundle is the advice."""
    stranger = Authority(tmp_path)
    gap = gap_of(make_client(ca_bundle=stranger.bundle), SCOPES)
    assert gap.kind is GapKind.UNREACHABLE
    assert "CA bundle" in gap.message
    assert (server.asked, clock.waits) == ([], [])


def test_a_stopped_client_reads_nothing_more(client: ArmClient, server: Server) -> None:
    """After an interruption every read ends at once, and says that it was not read."""
    client.stop()
    assert gap_of(client).kind is GapKind.NOT_READ
    assert server.asked == []


# ---------------------------------------------------------------- strange answers


@pytest.mark.parametrize("kind", [RULES, SCOPES])
@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"value": [{"id": "1"}', "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"", "empty"),
        (b"<!DOCTYPE html><html></html>", "HTML"),
        ([], "not what was asked for"),
        ({"items": []}, "not what was asked for"),
        ({"value": None}, "not what was asked for"),
        ({"value": {"id": "1"}}, "not what was asked for"),
        ({"value": [], "nextLink": 3}, "not what was asked for"),
        ({"value": [{"id": "1"}, None, 4]}, "2 of 3 items are no objects"),
    ],
)
def test_a_page_that_is_none(client: ArmClient, server: Server, kind: str, body: object, said: str) -> None:
    """Whatever comes with a 200 but is no page is a gap, never an empty list."""
    server.on(f"{SUBSCRIPTION}/providers/{kind}", Reply(body))
    gap = gap_of(client, kind)
    assert gap.kind is GapKind.MALFORMED
    assert said in gap.message


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'"text"', b"<html>"])
def test_a_document_that_is_none(client: ArmClient, server: Server, body: bytes) -> None:
    """A single read needs one JSON object."""
    server.on(RULE, Reply(body))
    gap = client.get(RULES, RULE).gap
    assert gap is not None
    assert gap.kind is GapKind.MALFORMED
    assert gap.message.startswith(f"Reading {RULES} {RULE}: the answer is")


def test_a_listing_that_breaks_on_a_later_page_is_incomplete(client: ArmClient, server: Server) -> None:
    """What had arrived may be shown, but the listing has a gap."""
    server.on(RULES_PATH, Reply({"value": [{"id": "1"}], "nextLink": f"{server.url}/2"}))
    server.on("/2", Reply(error("AuthorizationFailed", DENIED), status=403))
    reading = client.list(RULES, SUBSCRIPTION)
    assert len(reading.documents) == 1
    assert reading.gap is not None
    assert reading.gap.kind is GapKind.DENIED


def test_pages_in_a_circle_end(client: ArmClient, server: Server) -> None:
    """Two pages that point to each other do not keep us for ever."""
    server.on(RULES_PATH, Reply({"value": [{"id": "1"}], "nextLink": f"{server.url}/2"}))
    server.on("/2", Reply({"value": [{"id": "2"}], "nextLink": f"{server.url}/3"}))
    server.on("/3", Reply({"value": [], "nextLink": f"{server.url}/2"}))
    gap = gap_of(client)
    assert gap.kind is GapKind.MALFORMED
    assert "in a circle" in gap.message


def test_empty_pages_without_end_end(client: ArmClient, server: Server) -> None:
    """A server that invents a new next page each time is stopped as well."""
    count = iter(range(1000))
    server.on(
        RULES_PATH, lambda _: Reply({"value": [], "nextLink": f"{server.url}{RULES_PATH}?n={next(count)}"})
    )
    assert gap_of(client).kind is GapKind.MALFORMED
    assert len(server.asked) < 100


@pytest.mark.parametrize("kind", [RULES, SCOPES])
def test_the_token_does_not_follow_a_foreign_link(
    client: ArmClient, server: Server, authority: Authority, kind: str
) -> None:
    """A next page on another host is refused; the other host hears nothing at all."""
    with Server(authority, "127.0.0.2") as foreign:
        link = f"{foreign.url}/next"
        server.on(f"{SUBSCRIPTION}/providers/{kind}", Reply({"value": [{"id": "1"}], "nextLink": link}))
        gap = gap_of(client, kind)
        assert foreign.asked == []
    assert gap.kind is GapKind.MALFORMED
    assert f"points to {link}, which is not on {server.url}" in gap.message


@pytest.mark.parametrize(
    "link",
    [
        "http://{host}/next",
        "https://{host}@127.0.0.2/next",
        "https://127.0.0.2\\@{host}/next",
        "https://{host}.evil.example/next",
        "//127.0.0.2/next",
        "https://127.0.0.1:1/next",
        "ftp://{host}/next",
        "https://{host}:99999/next",
        "https://{host}/a b",
        "javascript:alert(1)",
    ],
)
def test_links_that_pretend_are_refused(client: ArmClient, server: Server, link: str) -> None:
    """User information, backslashes, other schemes and ports do not fool the guard."""
    link = link.format(host=server.url.removeprefix("https://"))
    server.on(SCOPES_PATH, Reply({"value": [], "nextLink": link}))
    gap = gap_of(client, SCOPES)
    assert gap.kind is GapKind.MALFORMED
    assert "must not leave" in gap.message
    assert len(server.asked) == 1


def test_redirects_are_not_followed(client: ArmClient, server: Server, authority: Authority) -> None:
    """A redirect is a foreign link by other means."""
    with Server(authority, "127.0.0.2") as foreign:
        server.on(SCOPES_PATH, Reply(status=307, headers={"Location": f"{foreign.url}/x"}))
        gap = gap_of(client, SCOPES)
        assert foreign.asked == []
    assert (gap.kind, gap.status) == (GapKind.MALFORMED, 307)


# ---------------------------------------------------------------- only reads


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "POST", "HEAD"])
def test_nothing_but_reads_leaves_the_process(client: ArmClient, server: Server, method: str) -> None:
    """A request that could change something is stopped before it is sent."""
    call = Call(RULES, RULE, single=True, patience=1.0)
    with pytest.raises(ReadOnlyError, match=f"{method} .* was stopped"):
        client._pipeline.run(HttpRequest(method, f"{server.url}{RULE}"), **{OPTION: call})
    assert server.asked == []


def test_the_resource_graph_query_is_the_one_post(client: ArmClient, server: Server) -> None:
    """The query endpoint of Resource Graph reads, although it is a POST."""
    path = "/providers/Microsoft.ResourceGraph/resources"
    server.on(path, Reply({"data": []}))
    call = Call(RULES, "/", single=True, patience=1.0)
    client._pipeline.run(HttpRequest("POST", f"{server.url}{path}?api-version=1", json={}), **{OPTION: call})
    assert [asked.method for asked in server.asked] == ["POST"]


# ---------------------------------------------------------------- no token


class Refusing:
    """A credential that always fails in the same way."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.asked = 0

    def get_token(self, *scopes: str, **kwargs: Any) -> AccessToken:
        """Fail."""
        self.asked += 1
        raise self.error


CHAIN = """DefaultAzureCredential failed to retrieve a token from the included credentials.
Attempted credentials:
\tEnvironmentCredential: EnvironmentCredential authentication unavailable.
\tManagedIdentityCredential: no response from the IMDS endpoint.
\tAzureCliCredential: Azure CLI not found on path
To mitigate this issue, please refer to the troubleshooting guidelines here at https://aka.ms/x."""
AADSTS = "Authentication failed: AADSTS7000215: Invalid client secret provided for app 'x'.\r\nTrace ID: 1"


@pytest.mark.parametrize(
    ("failure", "kind", "said"),
    [
        (
            ClientAuthenticationError(CHAIN),
            GapKind.UNAUTHENTICATED,
            "tried EnvironmentCredential, ManagedIdentityCredential, AzureCliCredential; none of them",
        ),
        (ClientAuthenticationError(AADSTS), GapKind.UNAUTHENTICATED, "AADSTS7000215: Invalid client secret"),
        (ValueError("authority is odd"), GapKind.UNAUTHENTICATED, "authority is odd"),
        (ServiceRequestError("refused"), GapKind.UNREACHABLE, "its authority does not answer: refused"),
    ],
)
def test_no_token_is_told_in_one_line_and_asked_for_once(
    make_client: Callable[..., ArmClient], server: Server, failure: Exception, kind: GapKind, said: str
) -> None:
    """Nothing is sent without a token, and the chain of credentials is not started for each call."""
    credential = Refusing(failure)
    client = make_client(credential=credential)
    gaps = [gap_of(client, kind) for kind in (RULES, SCOPES, RULES)]
    assert {gap.kind for gap in gaps} == {kind}
    assert all(said in gap.message and "\n" not in gap.message for gap in gaps)
    assert (credential.asked, server.asked, client.statistics().calls) == (1, [], 0)


def test_a_forgotten_failure_is_tried_again(
    make_client: Callable[..., ArmClient], server: Server, clock: FakeClock
) -> None:
    """A minute later the credential may have recovered."""
    credential = Refusing(ClientAuthenticationError("no"))
    client = make_client(credential=credential)
    gap_of(client)
    clock.now += 61
    gap_of(client)
    assert credential.asked == 2


def test_an_expired_token_is_replaced(
    make_client: Callable[..., ArmClient], server: Server, clock: FakeClock
) -> None:
    """A token is renewed before it ends, so that no request carries a dead one."""

    class Short(StaticCredential):
        def get_token(self, *scopes: str, **kwargs: Any) -> AccessToken:
            self.asked += 1
            return AccessToken(f"{TOKEN}-{self.asked}", int(clock.now) + 600)

    server.on(SCOPES_PATH, Reply({"value": []}))
    client = make_client(credential=Short())
    for step in (0, 200, 200):
        clock.now += step
        client.list(SCOPES, SUBSCRIPTION)
    assert [asked.headers["Authorization"][-1] for asked in server.asked] == ["1", "1", "2"]


# ---------------------------------------------------------------- recorded errors


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
