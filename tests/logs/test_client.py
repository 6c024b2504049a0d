"""Asking workspaces over real sockets: what is sent, and what becomes of every answer."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from azure.core.pipeline import PipelineContext, PipelineRequest
from azure.core.rest import HttpRequest

from pytest_ampls.arm.client import ArmClient
from pytest_ampls.arm.cloud import CLOUDS, Cloud
from pytest_ampls.arm.policies import ReadOnlyPolicy
from pytest_ampls.errors import ConfigurationError, ReadOnlyError
from pytest_ampls.logs import ask_all
from pytest_ampls.logs.client import CONCURRENT_QUERIES, QUERY
from pytest_ampls.model.gap import Gap, GapKind
from tests.arm.conftest import TOKEN, FakeClock, StaticCredential
from tests.arm.dribbling import Dribbling
from tests.arm.server import Asked, Authority, Reply, Server
from tests.logs.answers import CUSTOMER, ID, PATH, answer, refusal, row
from tests.logs.conftest import WORKSPACE, Ask


def gap_of(ask: Ask, **options: float) -> Gap:
    """Return why the one workspace could not be read."""
    (reading,) = ask(**options)
    assert reading.gap is not None
    assert not reading.heartbeats
    return reading.gap


def test_one_query_with_a_token_of_its_own(server: Server, ask: Ask, clock: FakeClock) -> None:
    """The contract's text, by POST, to the workspace's GUID, with a bound for the service."""
    server.on(PATH, Reply(answer(row())))
    (reading,) = ask()
    assert reading.gap is None
    assert reading.answered
    assert [beat.machine for beat in reading.heartbeats] == [ID]
    assert reading.read_at == clock.now
    assert reading.now == reading.answered_at != clock.now  # the server's Date is by the real clock
    assert (reading.workspace, reading.customer_id, reading.endpoint) == (WORKSPACE, CUSTOMER, server.url)
    (asked,) = server.asked
    headers = {name.lower(): value for name, value in asked.headers.items()}
    assert (asked.method, json.loads(asked.body)["query"]) == ("POST", QUERY)
    assert headers["content-type"] == "application/json"
    assert headers["prefer"] == "wait=5"
    assert headers["authorization"] == f"Bearer {TOKEN}"
    assert headers["user-agent"].startswith("pytest-ampls/")


class Audience(StaticCredential):
    """A credential that remembers what tokens are for."""

    def get_token(self, *scopes: str, **kwargs: Any) -> AccessToken:
        """Return the token, and note the scope."""
        self.scopes = scopes
        return super().get_token(*scopes)


def test_the_token_is_for_the_endpoint(server: Server, clock: FakeClock) -> None:
    """Log Analytics takes no token of Azure Resource Manager's."""
    server.on(PATH, Reply(answer()))
    credential = Audience()
    cloud = Cloud(
        name="x", arm_endpoint="https://127.0.0.1:9", authority="", audience="arm", logs_endpoint=server.url
    )
    with ArmClient(cloud, credential, ca_bundle=server.authority.bundle, clock=clock) as client:
        ask_all(client, [(WORKSPACE, "ws", CUSTOMER)], {ID})
    assert credential.scopes == (f"{server.url}/.default",)


def test_endpoints_of_the_known_clouds() -> None:
    """Each cloud has a direct endpoint, and none of them is Azure Resource Manager's."""
    assert {name: cloud.logs_endpoint for name, cloud in CLOUDS.items()} == {
        "AzureCloud": "https://api.loganalytics.io",
        "AzureUSGovernment": "https://api.loganalytics.us",
        "AzureChinaCloud": "https://api.loganalytics.azure.cn",
    }


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:9", "https://127.0.0.1:9/v1", "ftp://x", "nowhere"])
def test_a_token_goes_to_https_alone(ask: Ask, endpoint: str) -> None:
    """An endpoint that is none is an error of the configuration."""
    with pytest.raises(ConfigurationError, match="leave --ampls-logs out"):
        ask(endpoint=endpoint)


def test_a_network_refusal_is_told_by_its_inner_code(server: Server, ask: Ask) -> None:
    """The network that was refused, and what to do about networks; nothing of rights."""
    server.on(PATH, refusal(403, "InsufficientAccessError", "NspValidationFailedError", "from '203.0.113.9'"))
    (reading,) = ask()
    assert reading.refused_by_network
    assert reading.gap is not None
    assert (reading.gap.kind, reading.gap.status, reading.gap.permission) == (GapKind.DENIED, 403, None)
    assert "NspValidationFailedError: inner from '203.0.113.9'" in reading.gap.message
    assert "private link scope" in reading.gap.message


def test_only_a_403_is_a_refusal_for_the_network(server: Server, ask: Ask) -> None:
    """A failing service that names the network's code has failed, and refused nothing."""
    server.on(PATH, refusal(503, "ServiceUnavailable", "NspValidationFailedError"))
    (reading,) = ask()
    assert not reading.refused_by_network
    assert reading.gap is not None
    assert reading.gap.kind is GapKind.UNREACHABLE


@pytest.mark.parametrize("inner", ["", "UnauthorizedClient", "SomethingNew"])
def test_another_403_is_about_rights(server: Server, ask: Ask, inner: str) -> None:
    """Without an inner code, and with one that is not the network's."""
    server.on(PATH, refusal(403, "InsufficientAccessError", inner))
    (reading,) = ask()
    assert not reading.refused_by_network
    assert not reading.answered
    assert reading.gap is not None
    assert reading.gap.permission == "Microsoft.OperationalInsights/workspaces/query/read"
    assert "Log Analytics Reader" in reading.gap.message
    assert inner in reading.gap.message


@pytest.mark.parametrize(
    ("reply", "kind", "said"),
    [
        (refusal(403, "InvalidAuthenticationTokenAudience"), GapKind.UNAUTHENTICATED, "Sign in again"),
        (refusal(401, "AuthenticationFailed"), GapKind.UNAUTHENTICATED, "Sign in again"),
        (refusal(404, "PathNotFoundError"), GapKind.UNREACHABLE, "HTTP 404 PathNotFoundError"),
        (refusal(400, "BadArgumentError"), GapKind.UNREACHABLE, "HTTP 400 BadArgumentError"),
        (refusal(500, "InternalServerError"), GapKind.UNREACHABLE, "tried|HTTP 500"),
        (refusal(504, "GatewayTimeout"), GapKind.UNREACHABLE, "HTTP 504"),
        (
            Reply(status=302, headers={"Location": "https://elsewhere.example/"}),
            GapKind.MALFORMED,
            "not followed",
        ),
        (Reply(b"<html>blocked</html>", status=403), GapKind.MALFORMED, "page of HTML.*look for a proxy"),
        (Reply(b""), GapKind.MALFORMED, "empty body"),
        (Reply(b"<html>"), GapKind.MALFORMED, "cannot be understood"),
        (Reply(b"x" * 50, cut=True), GapKind.MALFORMED, "broke off"),
        (Reply(reset=True), GapKind.UNREACHABLE, "no answer"),
        (Reply(answer(row(), without="TimeGenerated")), GapKind.MALFORMED, "lacks the column TimeGenerated"),
    ],
)
def test_every_other_answer_is_a_gap(
    server: Server, ask: Ask, reply: Reply, kind: GapKind, said: str
) -> None:
    """Each has its kind and its words; none of them becomes an empty list, and none names another service."""
    server.on(PATH, reply)
    gap = gap_of(ask)
    assert gap.kind is kind
    with pytest.raises(AssertionError, match=said):
        raise AssertionError(gap.message)
    assert gap.message.startswith(f"Querying workspace ws at {server.url}: ")
    assert "ARM" not in gap.message
    assert "Resource Manager" not in gap.message
    assert "Grant" not in gap.message


@pytest.mark.parametrize("status", [400, 401, 403, 429, 500])
def test_a_refusal_of_any_depth_is_a_gap(server: Server, ask: Ask, status: int) -> None:
    """Brackets without end in the body of a refusal end one reading, and not the run."""
    server.on(PATH, Reply(b'{"error":' * 50_000, status=status))
    gap = gap_of(ask, budget=1.0)
    assert gap.status == status
    assert "not JSON" in gap.message


def test_no_content_is_an_answer_and_proves_nothing(server: Server, ask: Ask) -> None:
    """204 is documented for a workspace without data; that nothing arrived is not verified by it."""
    server.on(PATH, Reply(status=204))
    (reading,) = ask()
    assert reading.answered
    assert reading.gap is not None
    assert reading.gap.status == 204


def test_a_part_of_the_rows_is_kept_with_its_gap(server: Server, ask: Ask) -> None:
    """A 200 with an error inside was answered, and is not whole."""
    server.on(PATH, Reply(answer(row(), error={"code": "PartialError", "message": "half"})))
    (reading,) = ask()
    assert reading.answered
    assert len(reading.heartbeats) == 1
    assert reading.gap is not None
    assert "PartialError: half" in reading.gap.message


def test_throttling_within_the_budget_is_waited_out(server: Server, ask: Ask, clock: FakeClock) -> None:
    """Retry-After is honoured, and the answer counts."""
    server.on(PATH, refusal(429, "ThrottledError", **{"Retry-After": "7"}), Reply(answer(row())))
    (reading,) = ask()
    assert reading.gap is None
    assert clock.waits == [7.0]


def test_throttling_beyond_the_budget_is_unverified(server: Server, ask: Ask) -> None:
    """The message says how long was waited, and which option is for that."""
    server.on(PATH, refusal(429, "ThrottledError", **{"Retry-After": "7"}))
    gap = gap_of(ask, budget=20.0)
    assert gap.kind is GapKind.THROTTLED
    assert "would exceed the retry budget of 20 s" in gap.message


def test_a_slow_service_is_not_waited_for(server: Server, ask: Ask) -> None:
    """An answer that does not come is asked for once more, and then it is a gap."""
    done = threading.Event()

    def silent(_asked: Asked) -> Reply:
        done.wait(30)
        return Reply(answer(row()))

    server.on(PATH, silent)
    try:
        gap = gap_of(ask, timeout=0.1)
    finally:
        done.set()
    assert gap.kind is GapKind.UNREACHABLE
    assert "no answer in time" in gap.message
    assert len(server.asked) == 2


def test_an_answer_that_drips_for_ever_is_ended(authority: Authority, ask: Ask) -> None:
    """Bytes that never make an answer do not hold the run."""
    with Dribbling(authority, "body") as drip:
        (reading,) = ask(endpoint=drip.url, timeout=0.2)
    assert reading.gap is not None
    assert "no answer in time" in reading.gap.message


def test_a_workspace_without_a_guid_is_not_asked(server: Server, ask: Ask) -> None:
    """What is no workspace id never becomes part of a URL."""
    for customer in ("", "../../subscriptions", f"{CUSTOMER}/x"):
        (reading,) = ask((WORKSPACE, "ws", customer))
        assert reading.gap is not None
        assert reading.gap.kind is GapKind.NOT_READ
    assert not server.asked


def test_workspaces_are_asked_side_by_side_and_not_too_many(server: Server, ask: Ask) -> None:
    """Five queries at once, as the service allows; each workspace has its own outcome, in order."""
    lock, under_way, most = threading.Lock(), 0, 0

    def counted(asked: Asked) -> Reply:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        time.sleep(0.05)
        with lock:
            under_way -= 1
        odd = int(asked.path.split("/")[3][-1], 16) % 2
        return refusal(403, "InsufficientAccessError") if odd else Reply(answer(row()))

    guids = [f"{CUSTOMER[:-2]}{number:02x}" for number in range(20)]
    for guid in guids:
        server.on(f"/v1/workspaces/{guid}/query", counted)
    readings = ask(*((f"{WORKSPACE}{guid}", guid, guid) for guid in guids))
    assert [reading.customer_id for reading in readings] == guids
    assert [reading.gap is None for reading in readings] == [True, False] * 10
    assert 1 < most <= CONCURRENT_QUERIES


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/providers/Microsoft.ResourceGraph/resources"),
        ("POST", "/v1/workspaces/x/query"),
        ("POST", f"{PATH}/more"),
        ("PUT", PATH),
        ("DELETE", PATH),
    ],
)
def test_nothing_but_the_query_is_let_through(method: str, path: str) -> None:
    """The guard of this pipeline knows one POST, which no other pipeline knows."""
    context = PipelineContext(None)
    policy = ReadOnlyPolicy(log_queries=True)
    with pytest.raises(ReadOnlyError, match="was stopped"):
        policy.on_request(PipelineRequest(HttpRequest(method, f"https://127.0.0.1:9{path}"), context))
    query = PipelineRequest(HttpRequest("POST", f"https://127.0.0.1:9{PATH}"), context)
    policy.on_request(query)
    with pytest.raises(ReadOnlyError):
        ReadOnlyPolicy(run_command=True).on_request(query)


def test_an_interruption_asks_no_more_workspaces(server: Server, clock: FakeClock) -> None:
    """Ctrl-C is not kept waiting until every workspace has had its minute."""
    done = threading.Event()

    def slow(asked: Asked) -> Reply:
        if not asked.path.endswith("00/query"):
            done.wait(1)
        return Reply(answer(row()))

    def interrupt(_text: str) -> None:
        raise KeyboardInterrupt

    guids = [f"{CUSTOMER[:-2]}{number:02x}" for number in range(40)]
    for guid in guids:
        server.on(f"/v1/workspaces/{guid}/query", slow)
    cloud = Cloud(
        name="x", arm_endpoint="https://127.0.0.1:9", authority="", audience="arm", logs_endpoint=server.url
    )
    bundle = server.authority.bundle
    with (
        pytest.raises(KeyboardInterrupt),
        ArmClient(cloud, StaticCredential(), ca_bundle=bundle, clock=clock) as client,
    ):
        ask_all(client, [(f"/{each}", each, each) for each in guids], {ID}, on_progress=interrupt)
    asked = len(server.asked)
    done.set()
    for thread in threading.enumerate():  # whoever still connects when the server goes leaves a socket behind
        if thread.name.startswith("ampls-side"):
            thread.join(60)
    assert asked <= 2 * CONCURRENT_QUERIES


def test_nothing_to_ask_asks_nothing(clock: FakeClock) -> None:
    """An estate without workspaces needs no endpoint."""
    cloud = Cloud(name="x", arm_endpoint="https://127.0.0.1:9", authority="", audience="arm")
    with ArmClient(cloud, StaticCredential(), clock=clock) as client:
        assert ask_all(client, (), {ID}) == ()


def test_names_are_printed_without_control_characters(server: Server, ask: Ask) -> None:
    """Neither a workspace's name nor the service's text reaches a terminal as it is."""
    evil = "\x1b[2J\nAMPLS000 all held"
    server.on(PATH, refusal(403, "InsufficientAccessError", "NspValidationFailedError", evil))
    (reading,) = ask((WORKSPACE, f"ws{evil}", CUSTOMER))
    assert reading.gap is not None
    assert reading.gap.message.isprintable()
