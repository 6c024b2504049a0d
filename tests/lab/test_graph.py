"""Resource Graph as the lab answers it."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_ampls.lab import Lab
from tests.lab.arm_client import ArmClient
from tests.lab.recorded import needs_data, recorded_lines


def _data(arm: ArmClient, query: str, **options: Any) -> list[dict[str, Any]]:
    answered = arm.ask_graph(query, **options)
    assert answered.status == 200, answered.body
    rows: list[dict[str, Any]] = answered.json["data"]
    return rows


@pytest.mark.parametrize(
    ("table", "kind", "count"),
    [
        ("resources", "Microsoft.Compute/virtualMachines", 7),
        ("resources", "Microsoft.Compute/virtualMachines/extensions", 7),
        ("Resources", "microsoft.network/privateDnsZones/virtualNetworkLinks", 5),
        ("insightsresources", "Microsoft.Insights/dataCollectionRuleAssociations", 18),
        ("computeresources", "Microsoft.Compute/virtualMachineScaleSets/virtualMachines", 2),
        ("dnsresources", "microsoft.network/privatednszones/a", 15),
        ("resources", "Microsoft.Insights/privateLinkScopes/scopedResources", 0),
    ],
)
def test_tables(arm: ArmClient, table: str, kind: str, count: int) -> None:
    """Every type is in the table where Azure has it, and nowhere when it is no tracked type."""
    rows = _data(arm, f"{table} | where type =~ '{kind}' | project id, type", **{"$top": 1000})
    assert len(rows) == count
    assert all(row["type"] == kind.lower() for row in rows)


def test_names_of_associations_keep_their_case(arm: ArmClient) -> None:
    """The index, unlike the rule-side listing, keeps the case of association names."""
    rows = _data(arm, "insightsresources | project name")
    assert "configurationAccessEndpoint" in {row["name"] for row in rows}


def test_rows_have_every_column(arm: ArmClient) -> None:
    """Missing texts are empty, missing objects null; the group is lower-cased."""
    (row,) = _data(arm, "resources | where type =~ 'microsoft.insights/privatelinkscopes'")
    assert row["kind"] == ""
    assert row["identity"] is None
    assert row["resourceGroup"] == "amplstest"
    assert row["properties"]["accessModeSettings"]["queryAccessMode"] == "PrivateOnly"


def test_projection_of_paths(arm: ArmClient) -> None:
    """A projected path is named with underscores, or by its alias; what is not there is null."""
    query = (
        "resources | where type in~ ('Microsoft.Compute/virtualMachines', 'x') and name =~ 'FLEX_3f1a2b0c'"
        " | project id, set = properties.virtualMachineScaleSet.id, properties.nothing"
    )
    (row,) = _data(arm, query)
    assert row["set"].endswith("/virtualMachineScaleSets/flex")
    assert row["properties_nothing"] is None


def test_exact_comparison_knows_case(arm: ArmClient) -> None:
    """Types are lower-cased in the index, so == with their usual spelling finds nothing."""
    assert _data(arm, "resources | where type == 'Microsoft.Compute/virtualMachines' | count") == [
        {"Count": 0}
    ]
    assert _data(arm, "resources | where type == 'microsoft.compute/virtualmachines' | count") == [
        {"Count": 7}
    ]


def test_paging(arm: ArmClient) -> None:
    """Pages follow by skip token; flags are strings."""
    query = "insightsresources | project id | order by id asc"
    first = arm.ask_graph(query, **{"$top": 10}).json
    assert (first["count"], first["totalRecords"], first["resultTruncated"]) == (10, 18, "false")
    second = arm.ask_graph(query, **{"$top": 10, "$skipToken": first["$skipToken"]}).json
    assert "$skipToken" not in second
    ids = [row["id"] for row in first["data"] + second["data"]]
    assert ids == sorted(ids)
    assert len(set(ids)) == 18


def test_truncation_without_id(arm: ArmClient) -> None:
    """Without the id column there is no skip token: the rest of the rows is lost."""
    page = arm.ask_graph("insightsresources | project name", **{"$top": 10}).json
    assert page["resultTruncated"] == "true"
    assert "$skipToken" not in page


@pytest.mark.parametrize(
    "query",
    [
        "where where",
        "",
        "nowhere | count",
        "resources | extend x = 1",
        "resources | where name contains 'x'",
        "resources | project a b",
        "resources | order by",
        "resources | limit x",
        "resources | summarize count()",
    ],
)
def test_anything_else_is_refused(arm: ArmClient, query: str) -> None:
    """What is not in the subset is refused, never answered by guesswork."""
    answered = arm.ask_graph(query)
    assert (answered.status, answered.code) == (400, "BadRequest")
    assert [detail["code"] for detail in answered.json["error"]["details"]] == [
        "InvalidQuery",
        "ParserFailure",
    ]


@needs_data
def test_refusal_looks_like_the_recorded_one(arm: ArmClient) -> None:
    """A bad query's refusal has the keys of the recorded one."""
    recorded = next(
        line["response_body"]
        for line in recorded_lines("timelines/resourcegraph_query_error.jsonl")
        if line.get("status") == 400
    )
    refused = arm.ask_graph("where where").json
    assert refused.keys() == recorded.keys()
    assert refused["error"].keys() == recorded["error"].keys()
    assert [detail.keys() for detail in refused["error"]["details"]] == [
        detail.keys() for detail in recorded["error"]["details"]
    ]


def test_unreadable_scope_is_denied(arm: ArmClient) -> None:
    """A query over subscriptions that cannot be read at all is refused."""
    body = b'{"subscriptions": ["none"], "query": "resources | count"}'
    path = "/providers/Microsoft.ResourceGraph/resources?api-version=2024-04-01"
    assert arm.send("POST", path, headers=arm.bearer(), body=body).status == 403


def test_denied_types_are_left_out_silently() -> None:
    """What the principal may not read is missing from the index, without a word."""
    with Lab.from_spec("hub-and-spoke+denied=virtualMachines") as lab:
        arm = ArmClient(lab)
        assert _data(arm, "resources | where type =~ 'microsoft.compute/virtualmachines' | count") == [
            {"Count": 0}
        ]
        assert _data(arm, "insightsresources | count") == [{"Count": 18}]


def test_no_resource_graph() -> None:
    """The index can be denied altogether."""
    with Lab.from_spec("hub-and-spoke+no-resource-graph") as lab:
        answered = ArmClient(lab).ask_graph("resources | count")
        assert (answered.status, answered.code) == (403, "AuthorizationFailed")


def test_versions(arm: ArmClient) -> None:
    """The index has api-versions of its own."""
    path = "/providers/Microsoft.ResourceGraph/resources"
    bad = arm.send("POST", f"{path}?api-version=2020-01-01", headers=arm.bearer(), body=b"{}")
    missing = arm.send("POST", path, headers=arm.bearer(), body=b"{}")
    empty = arm.send("POST", f"{path}?api-version=2021-03-01", headers=arm.bearer(), body=b"{")
    assert [bad.code, missing.code, empty.code] == [
        "InvalidApiVersionParameter",
        "MissingApiVersionParameter",
        "BadRequest",
    ]
