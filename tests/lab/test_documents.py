"""The documents are what Azure sends: held against the specifications and recorded answers."""

from __future__ import annotations

import re
from typing import Any

import pytest

from pytest_ampls.lab import Lab
from pytest_ampls.lab.resource_types import RESOURCE_TYPES
from tests.lab.recorded import key_paths, live, needs_data, recorded_lines, specified, versions

# Maps whose keys are the customer's or the extension publisher's, and a property the platform
# leaves on the records it writes.
_FREE = re.compile(
    r"tags\.\w+$|identity\.userAssignedIdentities\.\*|settings\.authentication|properties\.metadata\.creator$"
)
# The data has neither field tables nor recordings of these.
_NO_DATA = {
    "microsoft.network/virtualnetworks",
    "microsoft.network/networksecuritygroups",
    "microsoft.network/privatednszones/soa",
}


def _documents(spec: str) -> list[dict[str, Any]]:
    return Lab.from_spec(spec).documents()


@needs_data
@pytest.mark.parametrize("spec", ["hub-and-spoke", "two-scopes", "fleet:vms=3"])
def test_every_key_exists(spec: str) -> None:
    """Every property the lab sends is in the specifications, or was seen in a live answer."""
    unknown: set[str] = set()
    checked = 0
    for document in _documents(spec):
        kind = document["type"].lower()
        if kind in _NO_DATA:
            continue
        known = specified().get(kind, frozenset()) | live().get(kind, frozenset())
        assert known, f"there is no data for {kind}"
        for path in key_paths(document):
            checked += 1
            if path not in known and not _FREE.search(path):
                unknown.add(f"{kind}: {path}")
    assert not unknown
    assert checked > 500


@needs_data
def test_api_versions_exist() -> None:
    """Every api-version of the field tables is served, for every type the lab has."""
    compared = 0
    for name, known in versions().items():
        entry = RESOURCE_TYPES.get(name)
        if entry is not None:
            assert known <= set(entry.versions), name
            compared += 1
    assert compared > 15


def _first(documents: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    return next(document for document in documents if document["type"].lower() == kind.lower())


@pytest.fixture(scope="module")
def documents() -> list[dict[str, Any]]:
    """The documents of the healthy estate."""
    return _documents("hub-and-spoke")


def test_scope_is_lower_cased(documents: list[dict[str, Any]]) -> None:
    """A scope answers in lower case, and sends no empty list of connections (quirks 1, 3, 4)."""
    scope = _first(documents, "microsoft.insights/privateLinkScopes")
    assert scope["type"] == "microsoft.insights/privatelinkscopes"
    assert "/resourceGroups/amplstest/providers/microsoft.insights/privatelinkscopes/ampls" in scope["id"]
    assert scope["kind"] is None
    assert scope["location"] == "global"
    assert scope["properties"]["accessModeSettings"]["queryAccessMode"] == "PrivateOnly"
    pending = _documents("hub-and-spoke+connection-disconnected")
    assert "privateEndpointConnections" not in _first(pending, scope["type"])["properties"]


def test_two_casings_in_one_body(documents: list[dict[str, Any]]) -> None:
    """A scoped resource has camel-case groups in its id and lower-case ones in its link (quirk 2)."""
    member = _first(documents, "microsoft.insights/privatelinkscopes/scopedresources")
    assert "/resourceGroups/" in member["id"]
    assert "/resourcegroups/" in member["properties"]["linkedResourceId"]
    assert "/microsoft.operationalinsights/workspaces/" in member["properties"]["linkedResourceId"]


def test_membership_is_written_on_both_sides(documents: list[dict[str, Any]]) -> None:
    """Workspace and endpoint name the scope in camel case, the component in Pascal case (quirk 28)."""
    scope = _first(documents, "microsoft.insights/privatelinkscopes")["properties"]["scopeId"]
    workspace = _first(documents, "Microsoft.OperationalInsights/workspaces")
    endpoint = _first(documents, "Microsoft.Insights/dataCollectionEndpoints")
    component = _first(documents, "microsoft.insights/components")
    for document in (workspace, endpoint):
        assert document["properties"]["privateLinkScopedResources"][0]["scopeId"] == scope
    assert component["properties"]["PrivateLinkScopedResources"][0]["ScopeId"] == scope


def test_identities_and_destinations_mix_casings(documents: list[dict[str, Any]]) -> None:
    """Identities write resourcegroups, and two rules write the same workspace twice (quirks 19, 30)."""
    identity = _first(documents, "Microsoft.ManagedIdentity/userAssignedIdentities")
    assert "/resourcegroups/" in identity["id"]
    destinations = {
        document["properties"]["destinations"]["logAnalytics"][0]["workspaceResourceId"]
        for document in documents
        if document["type"] == "Microsoft.Insights/dataCollectionRules"
    }
    assert len(destinations) == 2
    assert len({destination.lower() for destination in destinations}) == 1


def test_associations_have_one_key(documents: list[dict[str, Any]]) -> None:
    """An association has a rule or an endpoint, never the other one's key (quirk 17)."""
    seen = set()
    for document in documents:
        if document["type"].endswith("/dataCollectionRuleAssociations"):
            assert len(document["properties"]) == 1
            seen.update(document["properties"])
    assert seen == {"dataCollectionRuleId", "dataCollectionEndpointId"}


def test_endpoint_hosts_carry_suffix_and_shard(documents: list[dict[str, Any]]) -> None:
    """A collection endpoint's hosts have a random suffix and the region's shard (quirk 21)."""
    properties = _first(documents, "Microsoft.Insights/dataCollectionEndpoints")["properties"]
    host = r"https://dce-westeurope-[0-9a-f]{4}\.westeurope-1"
    control = properties["configurationAccess"]["endpoint"]
    assert re.fullmatch(host + r"\.handler\.control\.monitor\.azure\.com", control)
    ingest = properties["logsIngestion"]["endpoint"]
    assert re.fullmatch(host + r"\.ingest\.monitor\.azure\.com", ingest)


@needs_data
def test_association_rows_look_like_the_recorded_one() -> None:
    """The rule-side listing has exactly the keys, and the lower case, of the recorded one (quirk 16)."""
    from pytest_ampls.lab.wire_forms import association_row

    lines = recorded_lines("by_type/dcr_associations.jsonl")
    recorded = next(iter(lines))["response_body"]["value"][0]
    document = _first(_documents("hub-and-spoke"), "Microsoft.Insights/dataCollectionRuleAssociations")
    row = association_row(document)
    assert list(key_paths(row)) == list(key_paths(recorded))
    assert row["id"] == row["id"].lower()
    assert row["type"] == recorded["type"]


def test_endpoint_is_consistent(documents: list[dict[str, Any]]) -> None:
    """Endpoint, interface, zone group and records agree on every name's address."""
    endpoint = _first(documents, "Microsoft.Network/privateEndpoints")["properties"]
    by_endpoint = {entry["fqdn"]: entry["ipAddresses"][0] for entry in endpoint["customDnsConfigs"]}
    by_interface = {
        fqdn: configuration["properties"]["privateIPAddress"]
        for document in documents
        if document["id"] == endpoint["networkInterfaces"][0]["id"]
        for configuration in document["properties"]["ipConfigurations"]
        for fqdn in configuration["properties"]["privateLinkConnectionProperties"]["fqdns"]
    }
    group = _first(documents, "Microsoft.Network/privateEndpoints/privateDnsZoneGroups")["properties"]
    by_group = {
        entry["fqdn"]: entry["ipAddresses"][0]
        for config in group["privateDnsZoneConfigs"]
        for entry in config["properties"]["recordSets"]
    }
    by_record = {
        document["properties"]["fqdn"].rstrip("."): document["properties"]["aRecords"][0]["ipv4Address"]
        for document in documents
        if document["type"] == "Microsoft.Network/privateDnsZones/A"
    }
    assert by_endpoint == by_interface
    assert by_group == by_record
    assert sorted(by_endpoint.values()) == sorted(by_record.values())
    assert len(by_record) == 15


@needs_data
def test_the_published_addresses_are_kept() -> None:
    """The eleven records that the original lab published have their addresses here."""
    import json

    from tests.lab.recorded import DATA

    cases = json.loads((DATA / "dns_evidence.json").read_text(encoding="utf-8"))["cases"]
    published = next(case for case in cases if case["id"] == "erjosito-2022-zone-contents")["a_records"]
    records = {
        document["properties"]["fqdn"]: document["properties"]["aRecords"][0]["ipv4Address"]
        for document in _documents("hub-and-spoke")
        if document["type"] == "Microsoft.Network/privateDnsZones/A"
    }
    assert len(published) == 11
    assert {name: records[name] for name in published} == published


def test_documents_are_copies() -> None:
    """Changing what documents() returned changes nothing that is served."""
    lab = Lab.from_spec("hub-and-spoke")
    lab.documents()[0]["name"] = "changed"
    assert lab.documents()[0]["name"] != "changed"
