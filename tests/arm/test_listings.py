"""Many listings by few calls are the listings that would have come one by one."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from pytest_ampls.arm.batch import BATCH
from pytest_ampls.arm.client import ArmClient
from pytest_ampls.arm.listings import Listings, Wanted
from pytest_ampls.arm.operations import RESOURCES
from pytest_ampls.arm.reader import Reader
from pytest_ampls.arm.throttle import Rate
from pytest_ampls.model.evidence import GapKind, Reading
from tests.arm.conftest import TOKEN, FakeClock
from tests.arm.server import Asked, Reply, Server

SCOPES = [f"/subscriptions/00000000-0000-0000-0000-{own:012}" for own in range(45)]
CONDITION = "resourceType eq 'Microsoft.Compute/virtualMachines'"
Parts = list[dict[str, Any]]
Make = Callable[..., ArmClient]


def row(scope: str, number: int) -> dict[str, str]:
    """Return a row of ARM's list of resources."""
    return {"id": f"{scope}/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/vm{number}"}


class Tenant:
    """Subscriptions whose lists of resources have some pages, asked for one by one or in batches.

    ``spoil`` changes the answers of the first batch, ``pages`` holds the pages of the subscriptions that have
    more than one. ``instead`` are replies that come in the place of batches.
    """

    def __init__(self, server: Server, pages: dict[str, int] | None = None) -> None:
        self.server = server
        self.pages = pages or {}
        self.spoil: Callable[[Parts], object] | None = None
        self.instead: list[Reply] = []
        self.batches: list[int] = []
        self.headers: dict[str, Any] = {}
        server.on("/batch", self._batch)
        for scope in SCOPES:
            server.on(f"{scope}/resources", self._one)

    def _page(self, scope: str, query: dict[str, str]) -> dict[str, Any]:
        at = int(query.get("$skiptoken", "0"))
        page: dict[str, Any] = {"value": [row(scope, at)]}
        if at + 1 < self.pages.get(scope, 1):
            page["nextLink"] = (
                f"{self.server.url}{scope}/resources?api-version=2021-04-01&$skiptoken={at + 1}"
            )
        return page

    def _one(self, asked: Asked) -> Reply:
        return Reply(self._page(asked.path.rpartition("/")[0], asked.query))

    def _batch(self, asked: Asked) -> Reply:
        reads = json.loads(asked.body)["requests"]
        self.batches.append(len(reads))
        if self.instead:
            return self.instead.pop(0) if len(self.instead) > 1 else self.instead[0]
        parts = []
        for read in reads[::-1]:  # nothing says in which order
            path, _, query = read["url"].partition("?")
            pairs = dict(pair.split("=", 1) for pair in query.split("&"))
            content = self._page(path.rpartition("/")[0], pairs)
            parts.append(
                {"name": read["name"], "httpStatusCode": 200, "headers": self.headers, "content": content}
            )
        if self.spoil is not None:
            spoil, self.spoil = self.spoil, None
            spoil(parts)
        return Reply({"responses": parts})

    def listed(self) -> list[str]:
        """Return the paths of the lists that were asked for one by one."""
        return [asked.path for asked in self.server.asked if asked.path != "/batch"]


@pytest.fixture
def tenant(server: Server) -> Tenant:
    """Subscriptions with a list of one page each."""
    return Tenant(server)


def read(client: ArmClient, scopes: list[str]) -> list[Reading]:
    """Read the lists of subscriptions, and return them in the order of the scopes."""
    found: dict[str, Reading] = {}

    def take(reading: Reading) -> None:
        assert reading.scope not in found
        found[reading.scope] = reading

    wanted = [Wanted(RESOURCES, scope, CONDITION, take) for scope in scopes]
    with Reader(client) as reader:
        reader.follow("lists", Listings(client, wanted).jobs())
    return [found[scope] for scope in scopes]


def plain(client: ArmClient, scopes: list[str]) -> list[Reading]:
    """Read the lists one by one."""
    return [client.list(RESOURCES, scope, condition=CONDITION) for scope in scopes]


def timeless(readings: list[Reading]) -> list[Reading]:
    """Return readings without the time, which is another one at each look."""
    assert all(own.read_at > 1e9 for own in readings)
    return [msgspec.structs.replace(own, read_at=0.0) for own in readings]


def test_a_batch_brings_the_readings_of_single_lists(tenant: Tenant, client: ArmClient) -> None:
    """Twenty in a call, and with the request of each to look at."""
    found = read(client, SCOPES)
    assert sorted(tenant.batches) == [5, 20, 20]
    assert tenant.listed() == []
    statistics = client.statistics()
    assert (statistics.calls_by_type, statistics.pages, statistics.batched) == ({BATCH: 3}, 45, 45)
    assert timeless(found) == timeless(plain(client, SCOPES))
    assert statistics.notes == ()


def test_further_pages_fill_batches_of_their_own(tenant: Tenant, client: ArmClient) -> None:
    """However they are spread: those of forty subscriptions are two calls a page."""
    tenant.pages = dict.fromkeys(SCOPES[:40], 3)
    found = read(client, SCOPES)
    assert sum(tenant.batches) == 45 + 80
    assert len(tenant.batches) <= 3 + 2 * 2 + 1
    assert timeless(found) == timeless(plain(client, SCOPES))
    assert [len(own.documents) for own in found] == [3] * 40 + [1] * 5


def test_pages_that_are_left_wait_for_others(tenant: Tenant, client: ArmClient) -> None:
    """Where few of each batch go on, they go on together."""
    tenant.pages = dict.fromkeys(SCOPES[::2], 3)
    assert [len(own.documents) for own in read(client, SCOPES)] == [3, 1] * 22 + [3]
    assert sum(tenant.batches) == 45 + 46
    assert len(tenant.batches) <= 3 + 4  # each batch for itself would be 3 + 6


def test_a_few_lists_are_asked_for_one_by_one(tenant: Tenant, client: ArmClient) -> None:
    """Four are; five are one batch."""
    assert len(read(client, SCOPES[:4])) == 4
    assert (tenant.batches, len(tenant.listed())) == ([], 4)
    read(client, SCOPES[:5])
    assert (tenant.batches, len(tenant.listed())) == ([5], 4)


def _set(**more: Any) -> Callable[[Parts], object]:
    return lambda parts: parts[0].update(more)


def _link(link: str) -> Callable[[Parts], object]:
    return lambda parts: parts[0]["content"].update(nextLink=link)


ODD: dict[str, Callable[[Parts], object]] = {
    "missing": lambda parts: parts.pop(0),
    "twice": lambda parts: parts.append(parts[0]),
    "twice, and refused once": lambda parts: parts.append({**parts[0], "httpStatusCode": 403}),
    "of an unknown name": _set(name="unknown"),
    "of no shape": lambda parts: parts.__setitem__(0, {"answer": True}),
    "not authorized": _set(httpStatusCode=403, content={"error": {"code": "AuthorizationFailed"}}),
    "refused, though with rows": _set(httpStatusCode=403),
    "not authenticated": _set(httpStatusCode=401),
    "throttled": _set(httpStatusCode=429),
    "failed": _set(httpStatusCode=500),
    "another good status": _set(httpStatusCode=206),
    "a text": _set(content="a page"),
    "nothing": _set(content=None),
    "no page": _set(content={"error": {"code": "Odd"}}),
    "with an item that is none": _set(content={"value": [1]}),
    "of another subscription": _set(content={"value": [row(SCOPES[44], 0)]}),
    "without an id": _set(content={"value": [{"name": "vm"}]}),
    "continued on another host": _link(f"https://127.0.0.2:9{SCOPES[7]}/resources?$skiptoken=0"),
    "continued in another subscription": _link(f"{SCOPES[44]}/resources?api-version=2021-04-01"),
    "continued without a path": _link("https://127.0.0.1"),
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_answer_is_asked_for_again_by_itself(name: str, tenant: Tenant, client: ArmClient) -> None:
    """Whole, from its start; the others of the batch stand."""
    tenant.spoil = ODD[name]
    found = read(client, SCOPES[:8])
    assert tenant.batches == [8]
    assert tenant.listed() == [f"{SCOPES[7]}/resources"]
    assert timeless(found) == timeless(plain(client, SCOPES[:8]))
    assert client.statistics().notes == ()


def test_a_further_page_that_is_odd_loses_nothing(tenant: Tenant, client: ArmClient) -> None:
    """The list is asked for from its start, not from where it broke off."""
    tenant.pages = {SCOPES[3]: 3}

    def later(_parts: Parts) -> None:
        tenant.spoil = ODD["missing"]

    tenant.spoil = later
    found = read(client, SCOPES[:8])
    assert tenant.batches == [8, 1]
    assert tenant.listed() == [f"{SCOPES[3]}/resources"] * 3
    assert [len(own.documents) for own in found] == [1, 1, 1, 3, 1, 1, 1, 1]


def test_pages_that_lead_in_a_circle_end(tenant: Tenant, client: ArmClient) -> None:
    """As for a list that is asked for by itself, which tells of it."""
    tenant.pages = {SCOPES[1]: 2}
    path = f"{SCOPES[1]}/resources"
    circle = {"value": [], "nextLink": f"{tenant.server.url}{path}?api-version=2021-04-01&$skiptoken=1"}

    def again(parts: Parts) -> None:
        tenant.spoil = again
        parts[-2 if len(parts) > 1 else 0]["content"] = circle

    tenant.spoil = again
    tenant.server.on(path, Reply(circle))
    found = read(client, SCOPES[:8])
    assert tenant.batches == [8, 1]
    gap = found[1].gap
    assert gap is not None
    assert "lead in a circle" in gap.message
    assert [own.gap for own in found if own is not found[1]] == [None] * 7


REFUSED = {
    "HTTP 401": Reply({"error": {"code": "InvalidAuthenticationToken", "message": "no"}}, status=401),
    "HTTP 403": Reply({"error": {"code": "AuthorizationFailed", "message": "no"}}, status=403),
    "HTTP 404": Reply({"error": {"code": "NotFound", "message": "no"}}, status=404),
    "HTTP 405": Reply({"error": {"code": "MethodNotAllowed", "message": "no"}}, status=405),
    "HTTP 202": Reply(b"", status=202, headers={"Location": "/batch/1", "Retry-After": "1"}),
    "HTTP 302": Reply(b"", status=302, headers={"Location": "https://example.com"}),
    "HTTP 500": Reply({"error": {"code": "InternalServerError", "message": "no"}}, status=500),
    "HTML": Reply(b"<html>Sign in</html>"),
    "not what was asked for": Reply({"value": []}),
    "empty": Reply(b""),
    "broke off": Reply({"responses": []}, cut=True),
    "no answer": Reply(reset=True),
}


@pytest.mark.parametrize("name", REFUSED)
def test_batches_that_are_refused_are_not_tried_again(
    name: str, tenant: Tenant, make_client: Make, clock: FakeClock
) -> None:
    """Not one of them is repeated; every list is asked for by itself, and a note says so once."""
    client = make_client(concurrency=1)
    tenant.instead = [REFUSED[name]]
    found = read(client, SCOPES)
    assert timeless(found) == timeless(plain(make_client(), SCOPES))
    assert {own.gap for own in found} == {None}
    assert len(tenant.batches) == 1
    assert clock.waits == []
    read(client, SCOPES)
    assert len(tenant.batches) == 1
    statistics = client.statistics()
    assert (statistics.calls_by_type, statistics.batched) == ({BATCH: 1, RESOURCES: 90}, 0)
    if name == "HTTP 401":
        assert statistics.notes == ()  # whatever else is asked says the same
    else:
        (note,) = statistics.notes
        assert note.startswith("ARM did not answer a batch of requests, so lists were asked for one by one: ")
        assert name in note


def test_a_refusal_says_nothing_of_tokens(tenant: Tenant, client: ArmClient) -> None:
    """Neither the refusal of a batch, nor one of its answers."""
    said = {"error": {"code": "Odd", "message": f"Bearer {TOKEN} of eyJhbGciOiJIUzI1NiJ9.x"}}
    tenant.headers = {"Authorization": f"Bearer {TOKEN}", "x-secret": TOKEN}
    tenant.spoil = _set(httpStatusCode=403, content=said)
    readings = read(client, SCOPES[:8])
    tenant.instead = [Reply(said, status=403)]
    readings += read(client, SCOPES[:8])
    shown = f"{readings} {client.statistics()}"
    assert "ARM did not answer a batch" in shown
    assert TOKEN not in shown
    assert "eyJ" not in shown


def test_a_throttled_batch_is_waited_for(tenant: Tenant, client: ArmClient, clock: FakeClock) -> None:
    """As long as it asks for, and is then asked again."""
    answered = Reply({"error": {"code": "TooManyRequests"}}, status=429, headers={"Retry-After": "7"})
    tenant.instead = [answered]
    waited = clock.wait

    def wait(seconds: float, stop: Any) -> None:
        tenant.instead = []
        waited(seconds, stop)

    clock.wait = wait  # type: ignore[method-assign]  # the clock is the tests' own
    assert {own.gap for own in read(client, SCOPES[:8])} == {None}
    assert tenant.batches == [8, 8]
    assert clock.waits[0] == 7.0
    assert (client.statistics().throttled, tenant.listed()) == (1, [])


def test_a_batch_that_stays_throttled_costs_no_more_than_its_budget(
    tenant: Tenant, make_client: Make, clock: FakeClock
) -> None:
    """Then the lists are asked for one by one."""
    tenant.instead = [Reply({"error": {"code": "TooMany"}}, status=429, headers={"Retry-After": "7"})]
    client = make_client(retry_budget=20.0)
    assert {own.gap for own in read(client, SCOPES[:8])} == {None}
    assert sum(clock.waits) < 30
    assert len(tenant.batches) == 3
    assert "HTTP 429" in client.statistics().notes[0]


def test_a_throttled_answer_holds_its_subscription_up(
    tenant: Tenant, client: ArmClient, clock: FakeClock
) -> None:
    """And no other: it is asked by itself when the time has come, not at once."""
    tenant.spoil = _set(httpStatusCode=429, headers={"Retry-After": 7})
    read(client, SCOPES[:8])
    assert clock.waits == [7.0]
    statistics = client.statistics()
    assert (statistics.throttled, statistics.throttled_seconds) == (1, 7.0)
    assert tenant.listed() == [f"{SCOPES[7]}/resources"]


def test_each_read_of_a_batch_counts_for_its_subscription(
    tenant: Tenant, make_client: Make, clock: FakeClock
) -> None:
    """Six reads of one subscription wait as long as one by one, six of six subscriptions not at all."""
    client = make_client(rate=Rate(burst=2.0, per_second=1.0))
    client.batches.read([f"{scope}/resources?api-version=2021-04-01" for scope in SCOPES[:6]])
    assert clock.waits == []
    client.batches.read([f"{SCOPES[9]}/resources?api-version=2021-04-01"] * 6)
    assert clock.waits == [4.0]


def test_what_an_answer_says_is_left_is_believed(tenant: Tenant, make_client: Make, clock: FakeClock) -> None:
    """A subscription that has no reads left waits for the next one; the others do not."""
    client = make_client(rate=Rate(burst=250.0, per_second=1.0))
    tenant.headers = {"x-ms-ratelimit-remaining-subscription-reads": "0"}
    client.batches.read([f"{SCOPES[0]}/resources?api-version=2021-04-01"])
    client.list(RESOURCES, SCOPES[1], condition=CONDITION)
    assert clock.waits == []
    client.list(RESOURCES, SCOPES[0], condition=CONDITION)
    assert clock.waits == [1.0]


def test_a_run_that_was_stopped_ends(tenant: Tenant, client: ArmClient) -> None:
    """Every list has its gap, and nothing was asked."""
    client.stop()
    found = read(client, SCOPES)
    assert {own.gap.kind for own in found if own.gap is not None} == {GapKind.NOT_READ}
    assert len([own for own in found if own.gap is not None]) == 45
    assert (tenant.batches, tenant.listed(), client.statistics().notes) == ([], [], ())
