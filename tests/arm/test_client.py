"""Listings and single reads, as they should be: versions, pages, ids, pacing, statistics."""

from __future__ import annotations

import logging
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

import msgspec
import pytest

from pytest_ampls.arm.client import ArmClient
from pytest_ampls.arm.operations import listing_path
from pytest_ampls.arm.throttle import Rate
from pytest_ampls.errors import ConfigurationError
from pytest_ampls.model.evidence import Reading
from pytest_ampls.model.types import API_VERSIONS
from tests.arm.conftest import TOKEN, FakeClock, StaticCredential, cloud_of
from tests.arm.gaps import throttled
from tests.arm.names import (
    ASSOCIATIONS,
    GROUP,
    RULE,
    RULES,
    RULES_PATH,
    SCOPES,
    SCOPES_PATH,
    SUBSCRIPTION,
    VM,
    ZONE,
)
from tests.arm.server import Asked, Reply, Server


def documents(reading: Reading) -> list[Any]:
    """Return a reading's documents decoded."""
    return [msgspec.json.decode(raw) for raw in reading.documents]


@pytest.mark.parametrize(
    ("resource_type", "scope", "path"),
    [
        (SCOPES, SUBSCRIPTION, SCOPES_PATH),
        (RULES, SUBSCRIPTION, RULES_PATH),
        ("Microsoft.Insights/dataCollectionEndpoints", SUBSCRIPTION, None),
        ("Microsoft.Network/privateDnsZones", SUBSCRIPTION, None),
        (f"{SCOPES}/scopedResources", f"{GROUP}/providers/{SCOPES}/ampls", None),
        ("Microsoft.Network/privateDnsZones/recordSets", ZONE, f"{ZONE}/all"),
        ("Microsoft.Network/privateDnsZones/virtualNetworkLinks", ZONE, f"{ZONE}/virtualNetworkLinks"),
        (ASSOCIATIONS, RULE, f"{RULE}/associations"),
        (ASSOCIATIONS, RULE.replace("Rules", "Endpoints"), None),
        (ASSOCIATIONS, VM, f"{VM}/providers/{ASSOCIATIONS}"),
        ("Microsoft.Compute/virtualMachines/extensions", VM, f"{VM}/extensions"),
    ],
)
def test_lists_each_type_where_it_is_with_its_pinned_version(
    client: ArmClient, server: Server, resource_type: str, scope: str, path: str | None
) -> None:
    """A listing asks one URL with the api-version of the table, whether an SDK or we build it."""
    server.on(path or listing_path(resource_type, scope), Reply({"value": [{"id": "/x", "new": [1]}]}))
    reading = client.list(resource_type, scope)
    assert reading.gap is None
    assert documents(reading) == [{"id": "/x", "new": [1]}]
    (asked,) = server.asked
    assert asked.query["api-version"] == API_VERSIONS[resource_type]
    assert asked.headers["Authorization"] == f"Bearer {TOKEN}"
    assert asked.headers["User-Agent"].startswith("pytest-ampls/")
    assert reading.request.startswith(f"{server.url}/subscriptions/")
    assert (reading.single, reading.source, reading.scope) == (False, "arm", scope)


def test_documents_survive_that_the_sdk_would_stumble_over(client: ArmClient, server: Server) -> None:
    """A property of an unforeseen type in one rule loses neither that rule nor the others."""
    odd = {"id": RULE, "properties": {"dataSources": "none", "destinations": [3], "futureThing": {"a": 1}}}
    server.on(RULES_PATH, Reply({"value": [odd, {"id": "/fine"}]}))
    assert documents(client.list(RULES, SUBSCRIPTION)) == [odd, {"id": "/fine"}]


@pytest.mark.parametrize("end", [None, ""])
@pytest.mark.parametrize("resource_type", [SCOPES, RULES])
def test_follows_pages_to_the_end(
    client: ArmClient, server: Server, resource_type: str, end: str | None
) -> None:
    """An empty page may have a next one; null, empty and missing links end the listing."""
    path = listing_path(resource_type, SUBSCRIPTION)
    server.on(path, Reply({"value": [{"id": "1"}], "nextLink": f"{server.url}/two?%24skiptoken=a{{b}}"}))
    server.on("/two", Reply({"value": [], "nextLink": "/three?page=3"}))
    server.on("/three", Reply({"value": [{"id": "2"}], "nextLink": end}))
    reading = client.list(resource_type, SUBSCRIPTION)
    assert reading.gap is None
    assert [document["id"] for document in documents(reading)] == ["1", "2"]
    assert reading.request == f"{server.url}{path}?api-version={API_VERSIONS[resource_type]}"
    assert server.asked[1].query["$skiptoken"] == "a{b}"


def test_a_path_of_the_callers_is_asked_instead(client: ArmClient, server: Server) -> None:
    """A listing can be asked at another path than the usual one."""
    server.on(f"{GROUP}/providers/{RULES}", Reply({"value": []}))
    assert client.list(RULES, SUBSCRIPTION, f"{GROUP}/providers/{RULES}").gap is None
    assert server.paths() == [f"{GROUP}/providers/{RULES}"]


def test_get_returns_one_document_and_quotes_the_id(client: ArmClient, server: Server) -> None:
    """Blanks, parentheses and a hash in a name reach the server as part of the path."""
    resource = f"{GROUP}/providers/Microsoft.Insights/components/my app (1)#2"
    server.on(f"{GROUP}/providers/microsoft.insights/components/my%20app%20(1)%232", Reply({"id": resource}))
    reading = client.get("Microsoft.Insights/components", resource)
    assert (documents(reading), reading.gap, reading.single) == ([{"id": resource}], None, True)


@pytest.mark.parametrize("body", [b"", {"error": {"code": "ResourceNotFound"}}])
def test_get_of_nothing_is_no_gap(client: ArmClient, server: Server, body: object) -> None:
    """A resource that does not exist is a result: no document, no gap."""
    server.on(RULE, Reply(body, status=404))
    reading = client.get(RULES, RULE)
    assert (reading.documents, reading.gap, reading.single) == ((), None, True)


def test_an_unregistered_provider_has_no_resources(client: ArmClient, server: Server) -> None:
    """A subscription that never used a service has none of its resources, and is no gap."""
    body = {"error": {"code": "MissingSubscriptionRegistration", "message": "not registered"}}
    server.on(f"{SUBSCRIPTION}/providers/Microsoft.HybridCompute/machines", Reply(body, status=409))
    reading = client.list("Microsoft.HybridCompute/machines", SUBSCRIPTION)
    assert (reading.documents, reading.gap) == ((), None)


def test_an_unknown_type_is_a_programming_error(client: ArmClient) -> None:
    """A type without a pinned api-version is not read by guess."""
    with pytest.raises(KeyError):
        client.list("Microsoft.Web/sites", SUBSCRIPTION)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "management.azure.com", "https://a@b", ""])
def test_only_https_endpoints(credential: StaticCredential, url: str) -> None:
    """A token is never set up to go over anything but https."""
    with pytest.raises(ConfigurationError, match="https"):
        ArmClient(cloud_of(url), credential)


def test_a_missing_ca_bundle_is_said_at_once(credential: StaticCredential, server: Server) -> None:
    """The file is named before anything is asked."""
    with pytest.raises(ConfigurationError, match=r"nowhere\.pem"):
        ArmClient(cloud_of(server.url), credential, ca_bundle="nowhere.pem")


# ---------------------------------------------------------------- waiting


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": formatdate(1_700_000_017, usegmt=True)}, 17.0),
        ({"retry-after-ms": "2500"}, 2.5),
        ({"x-ms-retry-after-ms": "1500", "Retry-After": "9"}, 1.5),
        ({"Retry-After": "soon"}, 1.0),
        ({"Retry-After": "-4"}, 1.0),
        ({"Retry-After": "0"}, 0.1),
        ({}, 1.0),
    ],
)
def test_honours_retry_after(
    client: ArmClient, server: Server, clock: FakeClock, headers: dict[str, str], wait: float
) -> None:
    """Seconds, an HTTP date and milliseconds are understood; nonsense counts as not said."""
    server.on(SCOPES_PATH, throttled(headers), Reply({"value": []}))
    assert client.list(SCOPES, SUBSCRIPTION).gap is None
    assert sum(clock.waits) == pytest.approx(wait)
    statistics = client.statistics()
    assert (statistics.calls, statistics.throttled, statistics.retries) == (2, 1, 1)
    assert statistics.throttled_seconds == pytest.approx(wait, abs=0.01)
    assert statistics.calls_by_type == {SCOPES: 2}


def test_six_429s_in_a_row_are_waited_out(client: ArmClient, server: Server, clock: FakeClock) -> None:
    """The documents are all there in the end, and the waiting is told."""
    server.on(RULES_PATH, *[throttled({"Retry-After": "5"})] * 6, Reply({"value": [{"id": "1"}]}))
    reading = client.list(RULES, SUBSCRIPTION)
    assert (reading.gap, len(reading.documents)) == (None, 1)
    assert (client.statistics().throttled, sum(clock.waits)) == (6, 30)


@pytest.mark.parametrize("bad", [Reply(b"<html>", status=503), Reply(status=500), Reply(reset=True)])
def test_passing_failures_are_retried(client: ArmClient, server: Server, bad: Reply) -> None:
    """A server failure or a lost connection is asked again, and then forgotten."""
    server.on(SCOPES_PATH, bad, bad, Reply({"value": [{"id": "1"}]}))
    assert client.list(SCOPES, SUBSCRIPTION).gap is None


def test_progress_tells_of_throttling(
    make_client: Callable[..., ArmClient], server: Server, clock: FakeClock
) -> None:
    """Whoever waits is told what for."""
    said: list[str] = []
    server.on(SCOPES_PATH, throttled({"Retry-After": "40"}), Reply({"value": []}))
    make_client(on_progress=said.append).list(SCOPES, SUBSCRIPTION)
    assert said[0] == f"{SCOPES}: throttled, waiting 40 s"


def test_progress_counts_resources_and_pages(make_client: Callable[..., ArmClient], server: Server) -> None:
    """Whoever waits for a long listing sees it grow."""
    said: list[str] = []
    more = f"{server.url}{SCOPES_PATH}?api-version=1&page=2"
    server.on(SCOPES_PATH, Reply({"value": [{}, {}], "nextLink": more}), Reply({"value": [{}]}))
    client = make_client(on_progress=said.append)
    client.list(SCOPES, SUBSCRIPTION)
    assert said == [
        f"2 resources, 1 pages so far, reading {SCOPES}",
        f"3 resources, 2 pages so far, reading {SCOPES}",
    ]
    assert client.statistics().pages == 2


def test_a_throttled_request_holds_back_its_neighbours(
    make_client: Callable[..., ArmClient], server: Server, clock: FakeClock
) -> None:
    """While one request waits, the others of its provider do too, and those of another do not."""
    components, networks = "Microsoft.Insights/components", "Microsoft.Network/virtualNetworks"
    for kind in (components, networks):
        server.on(f"{SUBSCRIPTION}/providers/{kind}", Reply({"value": []}))
    server.on(SCOPES_PATH, throttled({"Retry-After": "5"}), Reply({"value": []}))
    waits: list[list[float]] = []

    def neighbours(line: str) -> None:
        if "throttled" not in line:
            return
        for kind in (networks, components):
            client.list(kind, SUBSCRIPTION)
            waits.append(list(clock.waits))

    client = make_client(on_progress=neighbours)
    client.list(SCOPES, SUBSCRIPTION)
    assert waits == [[], [5.0]]


def test_paces_itself_per_subscription_and_provider(
    make_client: Callable[..., ArmClient], server: Server, clock: FakeClock
) -> None:
    """Past the burst, one provider of one subscription is asked no faster than its refill."""
    client = make_client(rate=Rate(burst=2, per_second=4))
    other = SUBSCRIPTION.replace("1111-111111111111", "1111-222222222222")
    for scope in (SUBSCRIPTION, other):
        server.on(f"{scope}/providers/{SCOPES}", Reply({"value": []}))
    for _ in range(2):
        client.list(SCOPES, SUBSCRIPTION)
        client.list(SCOPES, other)
    assert clock.waits == []
    client.list(SCOPES, SUBSCRIPTION)
    assert clock.waits == [pytest.approx(0.25)]


def test_slows_down_when_arm_says_little_is_left(
    make_client: Callable[..., ArmClient], server: Server, clock: FakeClock
) -> None:
    """Others may have used up what we thought was ours."""
    client = make_client(rate=Rate(burst=100, per_second=10))
    server.on(SCOPES_PATH, Reply({"value": []}, headers={"x-ms-ratelimit-remaining-subscription-reads": "0"}))
    client.list(SCOPES, SUBSCRIPTION)
    client.list(SCOPES, SUBSCRIPTION)
    assert clock.waits == [pytest.approx(0.1)]


# ---------------------------------------------------------------- the token


def test_the_token_is_asked_once_and_shown_never(
    client: ArmClient, server: Server, credential: StaticCredential, caplog: pytest.LogCaptureFixture
) -> None:
    """No log of any level and no repr holds it."""
    server.on(SCOPES_PATH, Reply({"value": []}))
    server.on(RULES_PATH, Reply({"error": {"code": "X", "message": f"Bearer {TOKEN} is bad"}}, status=403))
    with caplog.at_level(logging.DEBUG):
        readings = [client.list(SCOPES, SUBSCRIPTION), client.list(RULES, SUBSCRIPTION)]
    assert credential.asked == 1
    shown = caplog.text + repr(readings) + repr(client) + repr(vars(client))
    assert TOKEN not in shown


def test_secrets_of_documents_are_dropped_on_arrival(client: ArmClient, server: Server) -> None:
    """What is a secret is nowhere in a reading; the rest is untouched."""
    kind = "Microsoft.ManagedIdentity/userAssignedIdentities"

    def reply(asked: Asked) -> Reply:
        return Reply(
            {"value": [{"id": "/u", "properties": {"clientId": "c", "clientSecretUrl": "https://s"}}]}
        )

    server.on(f"{SUBSCRIPTION}/providers/{kind}", reply)
    assert documents(client.list(kind, SUBSCRIPTION)) == [{"id": "/u", "properties": {"clientId": "c"}}]
