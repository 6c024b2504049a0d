"""Answers with a 200 that are none, links that lead away, and requests that must not leave."""

from __future__ import annotations

import pytest
from azure.core.rest import HttpRequest

from pytest_ampls.arm.call import OPTION, Call
from pytest_ampls.arm.client import ArmClient
from pytest_ampls.errors import ReadOnlyError
from pytest_ampls.model.evidence import GapKind
from tests.arm.gaps import DENIED, error, gap_of
from tests.arm.names import RULE, RULES, RULES_PATH, SCOPES, SCOPES_PATH, SUBSCRIPTION
from tests.arm.server import Authority, Reply, Server


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
