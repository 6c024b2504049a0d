"""Resource Graph's answers: pages of rows become documents, and lost rows are never passed over."""

from __future__ import annotations

import json
from threading import Event
from typing import Any

import msgspec
import pytest

from pytest_ampls.arm.client import ArmClient
from pytest_ampls.arm.concurrency import Gates
from pytest_ampls.arm.graph import Rows
from pytest_ampls.arm.projection import projection_of
from pytest_ampls.arm.throttle import QueryQuota, Rate, Throttle
from pytest_ampls.model.evidence import Gap, GapKind
from tests.arm.conftest import FakeClock
from tests.arm.estate import BARE, NICS, VMS, denied
from tests.arm.names import ASSOCIATIONS, GROUP, VM
from tests.arm.server import Reply, Server

GRAPH = "/providers/Microsoft.ResourceGraph/resources"
EXTENSIONS = f"{VMS}/extensions"


def page(
    *rows: Any, total: int | None = None, token: str = "", truncated: str = "false", **headers: str
) -> Reply:
    """Return a page as the index sends it; keywords are headers, with underscores for dashes."""
    body: dict[str, Any] = {
        "totalRecords": len(rows) if total is None else total,
        "count": len(rows),
        "data": rows,
        "facets": [],
        "resultTruncated": truncated,
    }
    if token:
        body["$skipToken"] = token
    return Reply(body, headers={name.replace("_", "-"): value for name, value in headers.items()})


def row(name: str = "vm", **more: Any) -> dict[str, Any]:
    """Return a row of a VM."""
    return {"id": f"{GROUP}/providers/{VMS}/{name}", "name": name, "location": "", "tags": None, **more}


def documents(rows: Rows) -> list[dict[str, Any]]:
    """Return the documents of an answer that is whole."""
    assert rows.gap is None, rows.gap
    return [msgspec.json.decode(raw) for raw in rows.documents]


def gap_of(client: ArmClient, server: Server, *replies: Reply) -> Gap:
    """Return the gap of a query that is answered like this."""
    server.on(GRAPH, *replies)
    gap = client.ask(VMS, [BARE]).gap
    assert gap is not None
    return gap


def test_rows_become_documents(client: ArmClient, server: Server) -> None:
    """Columns are nested again under ARM's names, and what is empty is left out as ARM leaves it out."""
    server.on(
        GRAPH,
        page(
            row(
                identity_type="SystemAssigned",
                identity_userAssignedIdentities=None,
                properties_storageProfile_osDisk_osType="Linux",
                properties_networkProfile_networkInterfaces=[{"id": "nic"}],
            )
        ),
    )
    assert documents(client.ask(VMS, [BARE])) == [
        {
            "id": VM,
            "name": "vm",
            "type": VMS,
            "identity": {"type": "SystemAssigned"},
            "properties": {
                "storageProfile": {"osDisk": {"osType": "Linux"}},
                "networkProfile": {"networkInterfaces": [{"id": "nic"}]},
            },
        }
    ]


def test_pages_follow_by_token(client: ArmClient, server: Server) -> None:
    """A thousand rows a page, narrow, ordered by id; the token leads on; a row that comes twice counts once."""
    server.on(GRAPH, page(row("a"), row("b"), total=3, token="next"), page(row("B"), row("c"), total=3))
    assert [document["name"] for document in documents(client.ask(VMS, [BARE]))] == ["a", "b", "c"]
    first, second = (json.loads(asked.body) for asked in server.asked)
    assert first["subscriptions"] == [BARE]
    assert (first["options"]["$top"], first["options"]["resultFormat"]) == (1000, "objectArray")
    assert second["options"]["$skipToken"] == "next"
    assert first["query"].startswith(
        "resources | where type =~ 'microsoft.compute/virtualmachines' | project id, "
    )
    assert first["query"].endswith(" | order by id asc")
    assert {asked.query["api-version"] for asked in server.asked} == {"2024-04-01"}
    assert client.statistics().calls_by_type == {"Microsoft.ResourceGraph/resources": 2}


@pytest.mark.parametrize(
    ("resource_type", "table", "column"),
    [
        (EXTENSIONS, "resources", "properties_settings = properties.settings"),
        (NICS, "resources", "properties_ipConfigurations = properties.ipConfigurations"),
        (
            ASSOCIATIONS,
            "insightsresources",
            "properties_dataCollectionRuleId = properties.dataCollectionRuleId",
        ),
        (
            "microsoft.compute/virtualMachineScaleSets/virtualmachines",
            "computeresources",
            "properties_provisioningState",
        ),
        ("Microsoft.HybridCompute/machines", "resources", "properties_osName = properties.osName"),
    ],
)
def test_each_type_has_its_table_and_columns(resource_type: str, table: str, column: str) -> None:
    """The columns are the model's fields: no whole property bag is asked for, and no column that a table lacks."""
    query = projection_of(resource_type).query()
    assert query.startswith(f"{table} | where type =~ '{resource_type.lower()}' | project id, name, ")
    assert column in query
    assert "instanceId" not in query
    assert ", properties," not in query


LOST = {
    "truncated": (page(row(), truncated="true"), "truncated, and no page follows"),
    "too many subscriptions": (
        page(row(), x_ms_tenant_subscription_limit_hit="true"),
        "too many subscriptions in the tenant",
    ),
    "fewer than announced": (page(row(), total=2), "1 of 2 arrived"),
    "no id": (page({"name": "vm"}), "a row has no id"),
    "no rows": (Reply({"data": {"columns": []}}), "not a page of rows"),
    "no JSON": (Reply(b"<html>"), "not a page of rows"),
}


@pytest.mark.parametrize(("reply", "says"), LOST.values(), ids=list(LOST))
def test_lost_rows_are_a_gap(client: ArmClient, server: Server, reply: Reply, says: str) -> None:
    """An answer that admits that rows are missing is not believed at all."""
    gap = gap_of(client, server, reply)
    assert gap.kind is GapKind.MALFORMED
    assert f"Asking Resource Graph for {VMS} in 1 subscription: " in gap.message
    assert says in gap.message
    assert "--ampls-discovery=arm" in gap.message


def test_a_circle_of_tokens_ends(client: ArmClient, server: Server) -> None:
    """A token that leads back to its own page is followed once."""
    gap = gap_of(client, server, page(row(), total=9, token="again"))
    assert "circle" in gap.message
    assert len(server.asked) == 2


def test_a_refusal_names_the_permission(client: ArmClient, server: Server) -> None:
    """A 403 says what the identity lacks; a cloud without the index answers 404."""
    gap = gap_of(client, server, denied())
    assert (gap.kind, gap.permission) == (GapKind.DENIED, "Microsoft.ResourceGraph/resources/read")
    assert gap_of(client, server, Reply(status=404)).kind is GapKind.ABSENT


def test_secrets_do_not_stay(client: ArmClient, server: Server) -> None:
    """Settings of extensions are kept without what is secret in them, as from ARM."""
    own = f"{VM}/extensions/x"
    server.on(GRAPH, page({"id": own, "properties_settings": {"storageAccountKey": "abc", "level": 1}}))
    (document,) = documents(client.ask(EXTENSIONS, [BARE]))
    assert document["properties"]["settings"] == {"level": 1}


def test_types_that_are_not_indexed_are_not_asked(client: ArmClient) -> None:
    """The scopes' access modes, for one, are only in ARM."""
    with pytest.raises(KeyError):
        client.ask("Microsoft.Insights/privateLinkScopes", [BARE])


# ------------------------------------------------------------------- quota


def test_the_quota_is_obeyed_before_it_is_used_up(
    client: ArmClient, server: Server, clock: FakeClock
) -> None:
    """With nothing left, the next page waits until the quota is renewed, and no 429 comes."""
    quota = {"x_ms_user_quota_remaining": "0", "x_ms_user_quota_resets_after": "00:00:04"}
    server.on(GRAPH, page(row("a"), total=2, token="t", **quota), page(row("b"), total=2, **quota))
    assert len(documents(client.ask(VMS, [BARE]))) == 2
    assert clock.waits == [4.0]
    assert client.statistics().throttled == 0


def told(remaining: str, resets_after: str) -> dict[str, str]:
    """Return the headers of an answer."""
    return {"x-ms-user-quota-remaining": remaining, "x-ms-user-quota-resets-after": resets_after}


def test_queries_under_way_are_taken_off_the_quota(clock: FakeClock) -> None:
    """Three threads with two queries left: the answer of one leaves none, as two are on their way."""
    quota = QueryQuota(Rate(), clock)
    assert [quota.reserve() for _ in range(3)] == [0, 0, 0]
    quota.observe(told("2", "00:00:05"))
    assert quota.reserve() == 5
    clock.now += 5
    assert quota.reserve() == 0


@pytest.mark.parametrize("headers", [{}, told("x", "00:00:05"), told("0", "soon"), told("0", "")])
def test_a_quota_that_is_not_understood_stops_nobody(clock: FakeClock, headers: dict[str, str]) -> None:
    """Headers that are missing or strange say nothing."""
    quota = QueryQuota(Rate(), clock)
    quota.reserve()
    quota.observe(headers)
    assert quota.reserve() == 0


def test_a_long_reset_is_not_waited_out(clock: FakeClock) -> None:
    """Every wait is bounded: after ten seconds the service may answer 429, which has a budget of its own."""
    quota = (
        Throttle(Rate(), clock, Gates(16, Event()))
        .service(f"https://arm{GRAPH}?api-version=2024-04-01")
        .bucket
    )
    quota.reserve()
    quota.observe(told("0", "01:00:00"))
    assert quota.reserve() == 10


def test_a_held_quota_waits(clock: FakeClock) -> None:
    """A 429 holds the queries back as it holds back everything else."""
    quota = QueryQuota(Rate(), clock)
    quota.hold(3)
    assert quota.reserve() == 3
