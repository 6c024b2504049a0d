"""What documents lead to: read once, and only where no listing tells."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_ampls.arm.client import ArmClient
from pytest_ampls.arm.inventory import read_estate
from pytest_ampls.arm.references import is_monitor_zone
from tests.arm.estate import (
    BARE,
    ENDPOINT,
    FOREIGN,
    IDENTITIES,
    LISTED,
    NETWORKS,
    NICS,
    PRIVATE_ENDPOINTS,
    VMS,
    WORKSPACES,
    ZONES,
    Estate,
    by_scope,
    denied,
    resource,
)
from tests.arm.names import ASSOCIATIONS, RULE, RULES, SCOPES, SUBSCRIPTION, VM
from tests.arm.server import Reply


def test_foreign_references_are_read_once_whatever_their_case(client: ArmClient, estate: Estate) -> None:
    """A workspace of another subscription that four documents name is one request."""
    far = resource(WORKSPACES, "far", FOREIGN)
    estate.scope(far, far.lower())
    destinations = {"logAnalytics": [{"workspaceResourceId": far.upper()}, {"workspaceResourceId": far}]}
    estate.list(RULES, {"id": RULE, "properties": {"destinations": destinations}})
    estate.list(ASSOCIATIONS, scope=RULE)
    estate.has({"id": far})
    _, readings = read_estate(client, [BARE])
    singles = [reading for reading in readings if reading.single]
    assert [(reading.type, len(reading.documents), reading.gap) for reading in singles] == [
        (WORKSPACES, 1, None)
    ]
    assert [path for path in estate.server.paths() if "far" in path.lower()] == [singles[0].scope]


def test_what_a_complete_listing_does_not_have_is_absent(client: ArmClient, estate: Estate) -> None:
    """An id of a judged subscription needs no read to be known as dangling."""
    estate.scope(resource(WORKSPACES, "gone"))
    _, readings = read_estate(client, [BARE])
    assert [reading for reading in readings if reading.single] == []


def test_what_a_denied_listing_hides_is_read_singly(client: ArmClient, estate: Estate) -> None:
    """The right to list and the right to read one resource can differ."""
    estate.scope(resource(WORKSPACES, "here"), resource(WORKSPACES, "hidden"))
    estate.server.on(f"{SUBSCRIPTION}/providers/{WORKSPACES}", denied())
    estate.has({"id": resource(WORKSPACES, "here")})
    estate.server.on(resource(WORKSPACES, "hidden"), denied())
    _, readings = read_estate(client, [BARE])
    singles = {reading.scope: reading for reading in readings if reading.single}
    assert len(singles[resource(WORKSPACES, "here")].documents) == 1
    assert singles[resource(WORKSPACES, "hidden")].gap is not None


def test_documents_of_a_broken_listing_are_read_singly(client: ArmClient, estate: Estate) -> None:
    """What arrived before a listing broke does not count, so what is named is read by itself."""
    workspace = resource(WORKSPACES, "first-page")
    estate.scope(workspace)
    broken = {"value": [{"id": workspace}], "nextLink": f"{estate.server.url}/broken"}
    estate.server.on(f"{SUBSCRIPTION}/providers/{WORKSPACES}", Reply(broken))
    estate.server.on("/broken", denied())
    estate.has({"id": workspace})
    _, readings = read_estate(client, [BARE])
    assert [reading.scope for reading in readings if reading.single] == [workspace]


def test_nothing_is_followed_from_a_broken_listing(client: ArmClient, estate: Estate) -> None:
    """Nothing may rest on its documents, so neither their children nor what they name is read."""
    destinations = {"logAnalytics": [{"workspaceResourceId": resource(WORKSPACES, "far", FOREIGN)}]}
    rule = {"id": RULE, "properties": {"destinations": destinations}}
    broken = {"value": [rule], "nextLink": f"{estate.server.url}/broken"}
    estate.server.on(f"{SUBSCRIPTION}/providers/{RULES}", Reply(broken))
    estate.server.on("/broken", denied())
    _, readings = read_estate(client, [BARE])
    assert {reading.scope for reading in readings} == {SUBSCRIPTION}


def test_zones_that_a_group_names_are_read_whatever_their_name(client: ArmClient, estate: Estate) -> None:
    """A zone of an unforeseen name matters as soon as a zone group writes to it."""
    end, zone = resource(PRIVATE_ENDPOINTS, "pe"), resource(ZONES, "unforeseen.example")
    own = {"properties": {"privateLinkServiceId": resource(SCOPES, "ampls")}}
    estate.list(PRIVATE_ENDPOINTS, {"id": end, "properties": {"privateLinkServiceConnections": [own]}})
    group = {"id": f"{end}/privateDnsZoneGroups/g",
             "properties": {"privateDnsZoneConfigs": [{"properties": {"privateDnsZoneId": zone.upper()}}]}}  # fmt: skip
    estate.list(f"{PRIVATE_ENDPOINTS}/privateDnsZoneGroups", group, scope=end)
    estate.list(ZONES, {"id": zone, "name": "unforeseen.example"})
    estate.list(f"{ZONES}/virtualNetworkLinks", scope=zone)
    estate.list(f"{ZONES}/recordSets", scope=zone)
    _, readings = read_estate(client, [BARE])
    assert (f"{ZONES}/recordSets", zone) in by_scope(readings)
    assert not any(reading.gap for reading in readings)


def test_a_foreign_private_endpoint_is_followed_to_its_records(client: ArmClient, estate: Estate) -> None:
    """Endpoint, interface, network, zone group, zone, links and records, each once."""
    end, zone = (
        resource(PRIVATE_ENDPOINTS, "pe", FOREIGN),
        resource(ZONES, "privatelink.monitor.azure.com", FOREIGN),
    )
    network = resource(NETWORKS, "hub", FOREIGN)
    scope = resource(SCOPES, "ampls")
    estate.scope(connections=(end,))
    estate.has(
        {
            "id": end,
            "properties": {
                "networkInterfaces": [{"id": resource(NICS, "nic", FOREIGN)}],
                "subnet": {"id": f"{network}/subnets/a"},
                "manualPrivateLinkServiceConnections": [{"properties": {"privateLinkServiceId": scope}}],
            },
        }
    )
    group = {"id": f"{end}/privateDnsZoneGroups/default",
             "properties": {"privateDnsZoneConfigs": [{"properties": {"privateDnsZoneId": zone}}]}}  # fmt: skip
    link = {"id": f"{zone}/virtualNetworkLinks/l",
            "properties": {"virtualNetwork": {"id": resource(NETWORKS, "x", FOREIGN)}}}  # fmt: skip
    for own in (resource(NICS, "nic", FOREIGN), network, zone):
        estate.has({"id": own})
    estate.list(f"{PRIVATE_ENDPOINTS}/privateDnsZoneGroups", group, scope=end)
    estate.list(f"{ZONES}/virtualNetworkLinks", link, scope=zone)
    estate.list(f"{ZONES}/recordSets", {"id": f"{zone}/A/api"}, scope=zone)
    _, readings = read_estate(client, [BARE])
    assert [reading.gap for reading in readings if reading.gap] == []
    far = {
        (reading.type.rpartition("/")[2], reading.single) for reading in readings if FOREIGN in reading.scope
    }
    assert far == {
        ("privateEndpoints", True), ("networkInterfaces", True), ("virtualNetworks", True), ("privateDnsZones", True),
        ("privateDnsZoneGroups", False), ("virtualNetworkLinks", False), ("recordSets", False),
    }  # fmt: skip
    assert not [path for path in estate.server.paths() if path.endswith("/virtualNetworks/x")]


def test_networks_lead_to_peers_but_not_to_peers_of_peers(client: ArmClient, estate: Estate) -> None:
    """A foreign hub is read, its hundred other spokes are not."""
    hub, stranger = resource(NETWORKS, "hub", FOREIGN), resource(NETWORKS, "stranger", FOREIGN)

    def peered(own: str, other: str) -> dict[str, Any]:
        peering = {"properties": {"remoteVirtualNetwork": {"id": other}}}
        return {"id": own, "properties": {"virtualNetworkPeerings": [peering]}}

    estate.list(NETWORKS, peered(resource(NETWORKS, "spoke"), hub))
    estate.has(peered(hub, stranger))
    _, readings = read_estate(client, [BARE])
    assert [reading.scope for reading in readings if reading.single] == [hub]


def test_identities_are_read_where_machines_name_them(client: ArmClient, estate: Estate) -> None:
    """The names of the identity map are ids."""
    far = resource(IDENTITIES, "id", FOREIGN)
    estate.machine(("rule", RULE), ("configurationaccessendpoint", ENDPOINT))
    estate.list(VMS, {"id": VM, "identity": {"userAssignedIdentities": {far: {}}}})
    estate.has({"id": far})
    _, readings = read_estate(client, [BARE])
    assert [reading.type for reading in readings if reading.single] == [IDENTITIES]


def test_private_endpoints_of_other_services_are_left_alone(client: ArmClient, estate: Estate) -> None:
    """The endpoint of a storage account leads nowhere, not even to its zone groups."""
    own = {
        "properties": {"privateLinkServiceId": resource("Microsoft.Storage/storageAccounts", "s", FOREIGN)}
    }
    document = {"id": resource(PRIVATE_ENDPOINTS, "storage"),
                "properties": {"privateLinkServiceConnections": [own],
                               "networkInterfaces": [{"id": resource(NICS, "n", FOREIGN)}]}}  # fmt: skip
    estate.list(PRIVATE_ENDPOINTS, document)
    read_estate(client, [BARE])
    assert len(estate.server.asked) == 1 + len(LISTED)


def test_only_zones_that_matter_are_read(client: ArmClient, estate: Estate) -> None:
    """Links and records are listed for zones of Azure Monitor, not for a hundred others."""
    zones = [resource(ZONES, name) for name in ("privatelink.ods.opinsights.azure.com", "corp.example")]
    estate.list(ZONES, *({"id": own, "name": own.rpartition("/")[2]} for own in zones))
    estate.list(f"{ZONES}/virtualNetworkLinks", scope=zones[0])
    estate.list(f"{ZONES}/recordSets", scope=zones[0])
    _, readings = read_estate(client, [BARE])
    assert {reading.scope for reading in readings} == {SUBSCRIPTION, zones[0]}
    assert not any(reading.gap for reading in readings)


@pytest.mark.parametrize(
    ("name", "matters"),
    [
        ("privatelink.monitor.azure.com", True),
        ("PrivateLink.Monitor.Azure.us", True),
        ("privatelink.adx.monitor.azure.us", True),
        ("privatelink.oms.opinsights.azure.cn", True),
        ("privatelink.agentsvc.azure-automation.net", True),
        ("privatelink.blob.core.usgovcloudapi.net", True),
        ("monitor.azure.com", False),
        ("privatelink.vaultcore.azure.net", False),
        ("privatelink.evilmonitor.azure.com", False),
        ("", False),
    ],
)
def test_monitor_zones(name: str, matters: bool) -> None:
    """The zones of all clouds are recognised, and nothing that only looks alike."""
    assert is_monitor_zone(name) is matters
