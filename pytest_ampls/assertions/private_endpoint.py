"""2xx: the scope's private endpoints: approval, zone groups and addresses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from pytest_ampls.assertions.connection import MADE_ANEW, endpoint_side, on_connections, scope_side
from pytest_ampls.assertions.endpoint_address import (
    address_findings,
    existing_scopes,
    member_findings,
    scope_gone_findings,
)
from pytest_ampls.catalogue import Finding, Fix, NotApplicable, Severity, az_rest, rule
from pytest_ampls.effective.thoroughness import each
from pytest_ampls.effective.zones import required_zones, zone_among
from pytest_ampls.errors import EvidenceError
from pytest_ampls.model.monitor import PrivateLinkScope
from pytest_ampls.model.network import PrivateEndpoint, VirtualNetwork
from pytest_ampls.model.private_dns import PrivateDnsZone, PrivateDnsZoneGroup, ZoneConfig
from pytest_ampls.model.resource import ResourceId, key, needed, same_id

__all__ = [
    "assert_connection_approved",
    "assert_endpoint_addresses",
    "assert_single_scope_per_vnet",
    "assert_zone_group_complete",
    "assert_zone_group_zones_exist",
]

_CONFIGURE = "https://learn.microsoft.com/azure/azure-monitor/fundamentals/private-link-configure"
_DESIGN = "https://learn.microsoft.com/azure/azure-monitor/fundamentals/private-link-design"
_INTEGRATION = "https://learn.microsoft.com/azure/private-link/private-endpoint-dns-integration"
_SCOPES_READ = "Microsoft.Insights/privateLinkScopes/read"
_CONNECTIONS_READ = "Microsoft.Insights/privateLinkScopes/privateEndpointConnections/read"
_LINK_RESOURCES_READ = "Microsoft.Insights/privateLinkScopes/privateLinkResources/read"
_MEMBERS_READ = "Microsoft.Insights/privateLinkScopes/scopedResources/read"
_WORKSPACES_READ = "Microsoft.OperationalInsights/workspaces/read"
_DCES_READ = "Microsoft.Insights/dataCollectionEndpoints/read"
_ENDPOINTS_READ = "Microsoft.Network/privateEndpoints/read"
_GROUPS_READ = "Microsoft.Network/privateEndpoints/privateDnsZoneGroups/read"
_INTERFACES_READ = "Microsoft.Network/networkInterfaces/read"
_NETWORKS_READ = "Microsoft.Network/virtualNetworks/read"
_ZONES_READ = "Microsoft.Network/privateDnsZones/read"

_GROUP_LIMIT: Final = 5
"""Zones that a zone group takes (private-endpoint-dns-integration); US Government has six to offer."""


@rule(
    "AMPLS201",
    "A private link scope has a private endpoint, and every connection is approved on both sides",
    severity=Severity.HIGH,
    why="""Without an approved connection the private addresses answer nobody, while the private DNS records still
    send every client there: agents and queries time out.""",
    fix=Fix(
        az="az monitor private-link-scope private-endpoint-connection approve --name <connection> --scope-name <name> "
        "--resource-group <resource-group>\n"
        "# where there is none: az network private-endpoint create --group-id azuremonitor "
        "--private-connection-resource-id <id> …",
        terraform="azurerm_private_endpoint { private_service_connection { is_manual_connection = false, "
        'private_connection_resource_id = "<id>", subresource_names = ["azuremonitor"] } }',
        bicep="Microsoft.Insights/privateLinkScopes/privateEndpointConnections '<connection>': "
        "properties.privateLinkServiceConnectionState.status: 'Approved'",
    ),
    learn=_CONFIGURE + "#review-and-approve-the-private-endpoint-connection",
    permissions=(_SCOPES_READ, _CONNECTIONS_READ, _ENDPOINTS_READ),
    controls=("NS-1", "NS-2"),
)
def assert_connection_approved(ampls: PrivateLinkScope) -> Iterator[Finding]:
    """Assert that the scope has a connection, that each is Approved and provisioned, and that both sides agree.

    Args:
        ampls: the private link scope.
    """
    connections = ampls.private_endpoint_connections
    unread: list[EvidenceError] = []
    for connection in connections:
        yield from scope_side(ampls, connection)
        try:
            yield from endpoint_side(ampls, connection)
        except EvidenceError as error:
            unread.append(error)
    listed = {
        key(ref.id) for ref in (part.properties.private_endpoint for part in connections) if ref and ref.id
    }
    strangers = [endpoint for endpoint in ampls.private_endpoints if endpoint.key not in listed]
    for endpoint in strangers:
        yield on_connections(
            ampls,
            "privateEndpointConnections",
            expected=f"a connection of private endpoint {endpoint.label!r}, which names this scope",
            observed=f"the scope lists no connection of it ({len(connections)} of others)",
            tokens={"connection": endpoint.label, "endpoint-id": endpoint.id},
            fix=MADE_ANEW,
        )
    if not connections and not strangers:
        yield on_connections(
            ampls,
            "privateEndpointConnections",
            expected="at least one approved private endpoint connection",
            observed="no connection: no network reaches the scope",
        )
    if unread:
        raise unread[0]


@rule(
    "AMPLS202",
    "A virtual network has private endpoints of one private link scope only",
    severity=Severity.HIGH,
    why="""All scopes share the same host names, so a network can be led to one of them only. The private endpoint
    that was made last takes the names over, and what is only in the other scope becomes unreachable.""",
    fix=Fix(
        az="az network private-endpoint delete --name <endpoint> --resource-group <endpoint-resource-group>  "
        "# after its resources are members of the scope that stays",
        terraform='azurerm_private_endpoint "<endpoint>": remove it, or put it in a virtual network with its own DNS',
        bicep="Microsoft.Network/privateEndpoints '<endpoint>': remove it, or put it in a network with its own DNS",
    ),
    learn=_DESIGN + "#plan-by-network-topology",
    permissions=(_NETWORKS_READ, _ENDPOINTS_READ),
    controls=("NS-2",),
)
def assert_single_scope_per_vnet(virtual_network: VirtualNetwork) -> Iterator[Finding]:
    """Assert that the private endpoints inside the VNet connect to one private link scope.

    Connections that were rejected or have been cut off by the scope lead nowhere and are not counted.
    That networks which share DNS zones share a scope is judged in AMPLS304.

    Args:
        virtual_network: the VNet.
    """
    inside: dict[str, list[PrivateEndpoint]] = {}
    names: dict[str, str] = {}
    unread: EvidenceError | None = None
    for endpoint in virtual_network.estate.private_endpoints:
        try:
            place = needed(endpoint.virtual_network_id, endpoint, "properties.subnet.id")
        except EvidenceError as error:  # two scopes are two, wherever this one is
            unread = unread or error
            continue
        if same_id(place, virtual_network.id):
            for scope in _live_scopes(endpoint):
                names.setdefault(key(scope), ResourceId.parse(scope).name)
                inside.setdefault(key(scope), []).append(endpoint)
    if unread is not None and len(inside) < 2:
        raise unread
    if not inside:
        raise NotApplicable(
            f"virtual network {virtual_network.label!r} holds no private endpoint of a private link scope"
        )
    if len(inside) > 1:
        seen = "; ".join(
            f"scope {names[scope]!r} by {', '.join(repr(part.label) for part in endpoints)}"
            for scope, endpoints in inside.items()
        )
        last = list(inside.values())[-1][-1]
        yield Finding.on(
            virtual_network,
            "private endpoints in its subnets",
            expected="private endpoints of one private link scope",
            observed=f"{len(inside)} scopes: {seen}",
            evidence=az_rest(last),
            tokens={"endpoint": last.label, "endpoint-resource-group": last.resource_group},
        )


def _live_scopes(endpoint: PrivateEndpoint) -> Iterator[str]:
    for connection in endpoint.connections:
        service = connection.properties.private_link_service_id or ""
        state = connection.properties.private_link_service_connection_state
        status = (state.status or "") if state is not None else ""
        if "/privatelinkscopes/" in key(service) and status.lower() not in {"rejected", "disconnected"}:
            yield service


def _groups_call(endpoint: PrivateEndpoint) -> str:
    return az_rest(endpoint, PrivateDnsZoneGroup.ARM_TYPE)


def _origin(config: ZoneConfig, group: PrivateDnsZoneGroup) -> str:
    """Return the origin of a zone group's zone: the last segment of the zone's id."""
    return ResourceId.parse(_zone_id(config, group)).name.lower()


def _zone_id(config: ZoneConfig, group: PrivateDnsZoneGroup) -> str:
    path = f"properties.privateDnsZoneConfigs[{config.name}].properties.privateDnsZoneId"
    return needed(config.properties.private_dns_zone_id, group, path)


_ADD_ZONE = Fix(
    az="az network private-endpoint dns-zone-group <verb> --endpoint-name <name> --resource-group <resource-group> "
    "--name <group> --zone-name <zone> --private-dns-zone <zone-id>",
    terraform='azurerm_private_endpoint "<name>" { private_dns_zone_group { private_dns_zone_ids = [… "<zone-id>"] } }',
    bicep="Microsoft.Network/privateEndpoints/privateDnsZoneGroups '<group>': properties.privateDnsZoneConfigs: "
    "[… { name: '<zone>', properties: { privateDnsZoneId: '<zone-id>' } }]",
)


@rule(
    "AMPLS203",
    "The endpoint's DNS zone group names every zone that the scope requires, and wrote its records",
    severity=Severity.HIGH,
    why="""Azure keeps the private records up to date only in the zones of the zone group. A zone that is left out
    has no records: its names stay public, and what is closed to the public cannot be reached (uploads end in
    403).""",
    fix=_ADD_ZONE,
    learn=_INTEGRATION + "#private-dns-zone-group",
    permissions=(_ENDPOINTS_READ, _GROUPS_READ, _INTERFACES_READ, _SCOPES_READ, _LINK_RESOURCES_READ),
    controls=("NS-2",),
)
def assert_zone_group_complete(private_endpoint: PrivateEndpoint) -> Iterator[Finding]:
    """Assert that the zone group names each required zone, is provisioned, and wrote records where there are names.

    Required is what the scope's ``privateLinkResources`` demand, else the zones of the cloud. A full group
    (five zones) is not held against a cloud that has more; AMPLS302 judges the records themselves.

    Args:
        private_endpoint: the private endpoint of a private link scope.
    """
    groups = private_endpoint.zone_groups
    scopes = existing_scopes(private_endpoint)
    required = tuple(dict.fromkeys(zone for scope in scopes for zone in required_zones(scope)))
    named = {_origin(config, group): config for group in groups for config in group.zone_configs}
    # Full is a group of required zones only: others take the place of one that is needed.
    full = len(set(required) & set(named)) >= _GROUP_LIMIT
    for zone in required:
        if zone not in named and not full:
            yield _on_group(
                private_endpoint,
                "privateDnsZoneConfigs",
                expected=f"a zone group that names {zone}",
                observed=f"the zone group names {', '.join(named) or 'no zone'}"
                if groups
                else "no DNS zone group",
                zone=zone,
            )
    yield from each(groups, lambda group: _group_findings(private_endpoint, group, required))


def _on_group(
    endpoint: PrivateEndpoint, path: str, *, expected: str, observed: str, zone: str = "<zone>"
) -> Finding:
    groups = endpoint.zone_groups
    zones = [known for known in endpoint.estate.known(PrivateDnsZone) if known.origin == zone]
    label = groups[0].label if groups else "default"
    return Finding.on(
        endpoint,
        f"privateDnsZoneGroups[{label}].properties.{path}" if groups else "privateDnsZoneGroups",
        expected=expected,
        observed=observed,
        evidence=_groups_call(endpoint),
        tokens={
            "verb": "add" if groups else "create",
            "group": label,
            "zone": zone,
            **({"zone-id": zones[0].id} if zones else {}),
        },
    )


def _group_findings(
    endpoint: PrivateEndpoint, group: PrivateDnsZoneGroup, required: Iterable[str]
) -> Iterator[Finding]:
    state = needed(group.properties.provisioning_state, group, "properties.provisioningState")
    if state.lower() != "succeeded":
        yield _on_group(endpoint, "provisioningState", expected="Succeeded", observed=state)
    members = endpoint.members
    for config in group.zone_configs:
        origin = _origin(config, group)
        inside = [name for name in members if zone_among(name, required) == origin]
        # Succeeded says nothing about records. A zone may be without any while no member has a name in it.
        if not config.properties.record_sets and (inside or not members) and origin in required:
            yield _on_group(
                endpoint,
                f"privateDnsZoneConfigs[{config.name}].properties.recordSets",
                expected=f"a record for {', '.join(inside[:3])}{' …' if len(inside) > 3 else ''}"
                if inside
                else "records",
                observed=f"no record set was written (state {state})",
                zone=origin,
            )


@rule(
    "AMPLS204",
    "Every zone that the endpoint's DNS zone group names exists",
    severity=Severity.HIGH,
    why="""A zone group that points to a deleted zone cannot write records. Whatever answers for that name now is
    not kept up to date by the private endpoint.""",
    fix=Fix(
        az="az network private-dns zone create --name <zone> --resource-group <zone-resource-group>  "
        "# then remove and add the zone of group <group> of endpoint <name>, so that records are written",
        terraform='azurerm_private_dns_zone "<zone>", and apply -replace of the azurerm_private_endpoint "<name>"',
        bicep="Microsoft.Network/privateDnsZones '<zone>': create it, and deploy the zone group '<group>' again",
    ),
    learn=_INTEGRATION + "#private-dns-zone-group",
    permissions=(_ENDPOINTS_READ, _GROUPS_READ, _ZONES_READ),
)
def assert_zone_group_zones_exist(private_endpoint: PrivateEndpoint) -> Iterator[Finding]:
    """Assert that the zones of the endpoint's zone group exist and can be read.

    Args:
        private_endpoint: the private endpoint of a private link scope.
    """
    entries = [(config, group) for group in private_endpoint.zone_groups for config in group.zone_configs]
    if not entries:
        raise NotApplicable(
            f"private endpoint {private_endpoint.label!r} has no zone in a DNS zone group; AMPLS203 judges that"
        )
    unread: list[EvidenceError] = []
    for config, group in entries:
        zone_id = _zone_id(config, group)
        try:
            zone = private_endpoint.estate.get(PrivateDnsZone, zone_id)
        except EvidenceError as error:
            unread.append(error)
            continue
        if zone is None:
            parsed = ResourceId.parse(zone_id)
            yield Finding.on(
                private_endpoint,
                f"privateDnsZoneGroups[{group.label}].properties.privateDnsZoneConfigs[{config.name}]"
                ".properties.privateDnsZoneId",
                expected="a private DNS zone that exists",
                observed=f"{zone_id}, which does not",
                evidence=_groups_call(private_endpoint),
                tokens={
                    "group": group.label,
                    "zone": parsed.name,
                    "zone-resource-group": parsed.resource_group,
                },
            )
    if unread:
        raise unread[0]


@rule(
    "AMPLS205",
    "The endpoint has an address of its subnet for every member that the scope requires",
    severity=Severity.HIGH,
    why="""Each member stands for a service that agents or queries use: a name without an address in the endpoint's
    subnet is answered publicly, or not at all.""",
    fix=Fix(
        az="az network private-endpoint delete --name <name> --resource-group <resource-group>  "
        "# then create it again: --group-id azuremonitor, a subnet of /27 or larger",
        terraform='terraform apply -replace of the azurerm_private_endpoint "<name>", in a subnet of /27 or larger',
        bicep="Microsoft.Network/privateEndpoints '<name>': deploy it again, in a subnet of /27 or larger",
    ),
    learn=_CONFIGURE + "#create-an-azure-monitor-private-link-scope-ampls",
    permissions=(
        _ENDPOINTS_READ,
        _INTERFACES_READ,
        _NETWORKS_READ,
        _SCOPES_READ,
        _LINK_RESOURCES_READ,
        _MEMBERS_READ,
        _WORKSPACES_READ,
        _DCES_READ,
    ),
)
def assert_endpoint_addresses(private_endpoint: PrivateEndpoint) -> Iterator[Finding]:
    """Assert that the endpoint serves every required member, each with addresses of the endpoint's subnet.

    Required are the members of the scope's ``privateLinkResources``, and the names of the workspaces and data
    collection endpoints in the scope. Members are compared by name or, because Azure has renamed them, by the
    public name they stand for.

    Args:
        private_endpoint: the private endpoint of a private link scope.
    """
    unread: list[EvidenceError] = []
    parts = (scope_gone_findings, address_findings, member_findings)
    for part in (judge(private_endpoint) for judge in parts):
        try:
            yield from part
        except EvidenceError as error:
            unread.append(error)
    if unread:
        raise unread[0]
