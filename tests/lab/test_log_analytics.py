"""Log Analytics over the wire: paths, tokens, headers, answers, and unmodified clients."""

from __future__ import annotations

import http.client
import ipaddress
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError
from azure.identity import ClientSecretCredential
from azure.monitor.query import LogsQueryClient, LogsQueryPartialResult, LogsQueryResult

from pytest_ampls.lab import Lab, LabError
from tests.lab.log_client import AUDIENCE, LogClient, serving
from tests.logs.answers import COLUMNS

LATEST = (
    "Heartbeat | where TimeGenerated > ago(1d)"
    " | summarize arg_max(TimeGenerated, ComputerIP, ComputerPrivateIPs, Category, Computer) by _ResourceId"
)


def _client(lab: Lab, **more: Any) -> LogsQueryClient:
    credential = ClientSecretCredential(
        lab.tenant_id,
        lab.client_id,
        lab.client_secret,
        authority=lab.authority,
        disable_instance_discovery=True,
        connection_verify=str(lab.ca_bundle),
    )
    return LogsQueryClient(
        credential,
        endpoint=lab.log_analytics_endpoint,
        connection_verify=str(lab.ca_bundle),
        **more,
    )


@pytest.fixture(scope="module")
def sdk(healthy: Lab) -> Iterator[LogsQueryClient]:
    """The SDK's own client of the healthy estate."""
    with _client(healthy, audience=AUDIENCE) as client:
        yield client


# -- the SDK -------------------------------------------------------------------------------------


def test_the_sdk_reads_a_heartbeat_of_each_machine(sdk: LogsQueryClient, logs: LogClient) -> None:
    """azure-monitor-query gets a row of each machine, young, typed, and with the private address in it."""
    answer = sdk.query_workspace(logs.workspace, LATEST, timespan=None)
    assert isinstance(answer, LogsQueryResult)
    (table,) = answer.tables
    assert table.name == "PrimaryResult"
    assert dict(zip(table.columns, table.columns_types, strict=True)) == COLUMNS
    assert len(table.rows) == 10
    now = datetime.now(UTC)
    for row in table.rows:
        assert timedelta(0) <= now - row["TimeGenerated"] < timedelta(seconds=90)
        assert row["Category"] == "Azure Monitor Agent"
        (private,) = json.loads(row["ComputerPrivateIPs"])
        seen = ipaddress.IPv6Address(row["ComputerIP"])
        assert seen in ipaddress.ip_network("fd40::/16")
        assert int(seen) & 0xFFFFFFFF == int(ipaddress.IPv4Address(private))


def test_the_endpoint_is_an_audience_too(healthy: Lab, logs: LogClient) -> None:
    """Without an audience the SDK asks for a token for the endpoint, as in a cloud of its own."""
    with _client(healthy) as client:
        answer = client.query_workspace(logs.workspace, "Heartbeat | count", timespan=timedelta(hours=1))
    assert isinstance(answer, LogsQueryResult)
    assert answer.tables[0].rows[0][0] == pytest.approx(600, abs=10)


def test_the_sdk_reports_refusals(sdk: LogsQueryClient) -> None:
    """A workspace that there is not is refused like one that the client may not see."""
    with pytest.raises(HttpResponseError) as caught:
        sdk.query_workspace("00000000-0000-0000-0000-000000000000", LATEST, timespan=None)
    assert caught.value.status_code == 403
    assert caught.value.error
    assert caught.value.error.code == "InsufficientAccessError"
    assert not caught.value.error.innererror


def test_the_sdk_reports_partial_answers() -> None:
    """An answer that lacks half of the machines has the error beside the rows."""
    with serving("hub-and-spoke+query-partial") as logs, _client(logs.lab) as client:
        answer = client.query_workspace(logs.workspace, LATEST, timespan=None)
    assert isinstance(answer, LogsQueryPartialResult)
    assert len(answer.partial_data[0].rows) == 5
    assert answer.partial_error
    assert answer.partial_error.code == "PartialError"


def test_the_sdk_waits_as_it_is_told() -> None:
    """After 429 with Retry-After the SDK asks again, and is answered."""
    with serving("hub-and-spoke+query-throttled=2") as logs, _client(logs.lab) as client:
        answer = client.query_workspace(logs.workspace, "Heartbeat | count", timespan=None)
        assert isinstance(answer, LogsQueryResult)
        assert [asked.status for asked in logs.lab.queries] == [429, 429, 200]


# -- where it is ---------------------------------------------------------------------------------


def test_cloud_metadata_names_the_endpoint(logs: LogClient) -> None:
    """The cloud's description has the endpoint, which is not that of ARM; a lab that is not started has none."""
    lab = logs.lab
    for version in ("2019-05-01", "2022-09-01"):
        found = logs.arm.send("GET", f"/metadata/endpoints?api-version={version}").json
        cloud = found[0] if isinstance(found, list) else found
        assert cloud["logAnalyticsResourceId"] == lab.log_analytics_endpoint
    assert lab.log_analytics_endpoint != lab.arm_endpoint
    with pytest.raises(LabError, match="not started"):
        _ = Lab.from_spec("empty").log_analytics_endpoint


def test_queries_are_logged_apart_from_arm() -> None:
    """A query is in the record of queries, and in no record of ARM."""
    with serving("hub-and-spoke") as logs:
        logs.rows("Heartbeat | count")
        assert [(asked.method, asked.path, asked.status) for asked in logs.lab.queries] == [
            ("POST", logs.path(), 200)
        ]
        assert not logs.lab.requests


def test_other_paths_do_not_exist(logs: LogClient) -> None:
    """Neither other paths nor other methods are there; a path is found whatever its case."""
    query = {"content-type": "application/json", **logs.bearer()}
    body = b'{"query": "Heartbeat | count"}'
    for method, path in (
        ("GET", "/"),
        ("GET", f"/v1/workspaces/{logs.workspace}"),
        ("POST", f"/v2/workspaces/{logs.workspace}/query"),
        ("POST", f"/v1/subscriptions/{logs.lab.subscriptions[0]}/query"),
        ("PUT", logs.path()),
        ("DELETE", logs.path()),
    ):
        answered = logs.send(method, path, headers=query, body=body)
        assert (answered.status, answered.code) == (404, "PathNotFoundError"), path
    assert logs.send("POST", logs.path().upper(), headers=query, body=body).status == 200


# -- tokens --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("token", "status", "code"),
    [
        ("", 401, "AuthenticationFailed"),
        ("Bearer nonsense", 403, "InvalidAuthenticationToken"),
        ("Basic abc", 403, "InvalidAuthenticationToken"),
    ],
)
def test_a_token_is_needed(logs: LogClient, token: str, status: int, code: str) -> None:
    """Without a token there is 401 and a challenge, with a bad one 403; nothing else is looked at before."""
    headers = {"authorization": token} if token else {}
    answered = logs.send("POST", "/anything", headers=headers)
    assert (answered.status, answered.code) == (status, code)
    assert ("www-authenticate" in answered.headers) is (status == 401)


def test_a_token_is_good_for_its_audience_only(logs: LogClient) -> None:
    """ARM's token does not query logs, and the other way round."""
    path = f"{logs.path()}?query=Heartbeat"
    for audience in ("https://management.azure.com", logs.lab.arm_endpoint, "https://vault.azure.net"):
        answered = logs.send("GET", path, headers=logs.bearer(audience))
        assert (answered.status, answered.code) == (403, "InvalidAuthenticationTokenAudience")
    for audience in (AUDIENCE, logs.lab.log_analytics_endpoint):
        assert logs.send("GET", path, headers=logs.bearer(audience)).status == 200
        refused = logs.arm.send("GET", "/subscriptions?api-version=2022-12-01", headers=logs.bearer(audience))
        assert (refused.status, refused.code) == (401, "InvalidAuthenticationTokenAudience")


def test_a_token_of_another_lab_is_foreign(logs: LogClient) -> None:
    """A token that another lab signed is invalid."""
    with serving("empty") as other:
        answered = logs.send("GET", f"{logs.path()}?query=Heartbeat", headers=other.bearer())
    assert (answered.status, answered.code) == (403, "InvalidAuthenticationToken")


# -- requests ------------------------------------------------------------------------------------


def test_get_and_post_say_the_same(logs: LogClient) -> None:
    """GET takes the query and the timespan from the URL."""
    assert logs.get("Heartbeat | distinct Computer").json == logs.ask("Heartbeat | distinct Computer").json
    assert logs.get("Heartbeat | where TimeGenerated > ago(5m) | count", "PT2M").json["tables"][0][
        "rows"
    ] == [[20]]


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("", b'{"query": "Heartbeat"}'),
        ("text/plain", b'{"query": "Heartbeat"}'),
        ("application/json", b""),
        ("application/json", b"{"),
        ("application/json", b"[" * 100_000),
    ],
)
def test_a_post_without_json_is_answered_with_nothing(
    logs: LogClient, content_type: str, body: bytes
) -> None:
    """Documented, and easily mistaken for an empty result: 200 without a body."""
    headers = {**logs.bearer(), **({"content-type": content_type} if content_type else {})}
    answered = logs.send("POST", logs.path(), headers=headers, body=body)
    assert (answered.status, answered.body) == (200, b"")


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"{}",
        b'{"query": 1}',
        b'{"query": "Heartbeat", "workspaces": ["other"]}',
        b'{"query": "Heartbeat", "timespan": 5}',
        b'{"query": "Heartbeat", "timespan": "yesterday"}',
        b'{"query": "Heartbeat", "timespan": "P"}',
        b'{"query": "Heartbeat", "timespan": "2026-01-01/"}',
        b'{"query": "Heartbeat", "timespan": "P%sD"}' % (b"9" * 400),
    ],
)
def test_bad_requests(logs: LogClient, body: bytes) -> None:
    """What is JSON and no question is a bad argument."""
    headers = {"content-type": "application/json; charset=utf-8", **logs.bearer()}
    answered = logs.send("POST", logs.path(), headers=headers, body=body)
    assert (answered.status, answered.code) == (400, "BadArgumentError")


def test_timespans(logs: LogClient) -> None:
    """Durations and intervals narrow the rows, beside what the query says."""
    now = datetime.now(UTC)
    hour_ago = (now - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    two_ago = (now - timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
    for timespan in (f"{two_ago}/{hour_ago}", f"{two_ago}/PT1H", f"PT1H/{hour_ago}"):
        (row,) = logs.rows("Heartbeat | where Computer == 'hub' | count", timespan=timespan)
        assert 60 <= row["Count"] <= 61, timespan
    for timespan, count in (("PT600.0S", 10), ("PT10M", 10), ("P1D", 1440), ("P1W", 1440)):
        assert logs.rows("Heartbeat | where Computer == 'hub' | count", timespan=timespan) == [
            {"Count": count}
        ]


@pytest.mark.parametrize("wait", ["0", "601", "-1", "x", "", "²", "9" * 5000])
def test_the_wait_must_be_a_number_of_seconds(logs: LogClient, wait: str) -> None:
    """A preference that the service does not take is refused."""
    answered = logs.ask("Heartbeat | count", headers={"prefer": f"include-statistics=true,wait={wait}"})
    assert (answered.status, answered.code) == (400, "BadArgumentError")


def test_the_wait_is_honoured() -> None:
    """A query that takes longer than the client lets the service wait is given up with 504."""
    with serving("hub-and-spoke+query-slow=2") as logs:
        answered = logs.ask("Heartbeat | count", headers={"prefer": "wait=1"})
        assert (answered.status, answered.code) == (504, "GatewayTimeout")
        assert logs.ask("Heartbeat | count", headers={"prefer": "wait=30"}).status == 200


def _answering() -> bool:
    """Say whether a thread serves a connection at this moment."""
    return any("process_request_thread" in thread.name for thread in threading.enumerate())


def test_stopping_ends_slow_queries() -> None:
    """A lab that is stopped leaves no thread behind that still waits with an answer."""
    before = set(threading.enumerate())
    with serving("hub-and-spoke+query-slow=60") as logs, ThreadPoolExecutor() as pool:
        logs.bearer()
        asking = pool.submit(logs.ask, "Heartbeat | count")
        deadline = time.monotonic() + 20
        while not _answering() and time.monotonic() < deadline:
            time.sleep(0.02)
        logs.lab.stop()
        wait([asking], timeout=20)
    assert set(threading.enumerate()) <= before


# -- answers that are none -----------------------------------------------------------------------


def test_a_workspace_without_data_has_no_content() -> None:
    """The workspace that a fault adds has never been sent anything: 204."""
    with serving("hub-and-spoke+destination-out-of-scope+query-open") as logs:
        documents = logs.lab.estate.of_type("Microsoft.OperationalInsights/workspaces")
        (audit,) = [found for found in documents if found["name"] == "audit"]
        audit["properties"]["publicNetworkAccessForQuery"] = "Enabled"
        answered = logs.ask("Heartbeat | count", workspace=audit["properties"]["customerId"])
        assert (answered.status, answered.body) == (204, b"")


def test_an_empty_body() -> None:
    """The fault answers 200 with nothing."""
    with serving("hub-and-spoke+query-empty-body") as logs:
        answered = logs.ask(LATEST)
        assert (answered.status, answered.body) == (200, b"")


def test_throttling_counts_per_workspace() -> None:
    """The fault refuses the first queries of each workspace, with the seconds to wait."""
    with serving("hub-and-spoke+query-throttled") as logs:
        first = logs.ask("Heartbeat | count")
        assert (first.status, first.code, first.headers["retry-after"]) == (429, "ThrottledError", "1")
        assert logs.ask("Heartbeat | count").status == 200


def test_the_rate_is_limited_where_it_is_asked_for() -> None:
    """With throttle=on the 201st request within half a minute is refused; a healthy lab has no limit."""
    with serving("hub-and-spoke:throttle=on") as logs:
        headers = logs.bearer()
        connection = http.client.HTTPSConnection(
            "127.0.0.1", int(logs.lab.log_analytics_endpoint.rpartition(":")[2]), context=logs.context
        )
        began = time.monotonic()
        statuses = []
        for _ in range(201):
            connection.request("GET", f"{logs.path()}?query=Heartbeat%20%7C%20count", headers=headers)
            response = connection.getresponse()
            response.read()
            statuses.append(response.status)
        connection.close()
        if time.monotonic() - began > 29:
            pytest.skip("too slow to reach the limit within its window")
    assert statuses == [200] * 200 + [429]
    assert 1 <= int(response.headers["retry-after"]) <= 31
