"""Azure Monitor's own resources: scopes, workspaces, components, endpoints, rules, associations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

import msgspec

from pytest_ampls.model.resource import Part, Resource, ResourceId, key, needed

if TYPE_CHECKING:
    from pytest_ampls.model.estate import Estate
    from pytest_ampls.model.network import PrivateEndpoint

__all__ = [
    "CONFIG_ENDPOINT_ASSOCIATION",
    "AccessModeExclusion",
    "AccessModeSettings",
    "ApplicationInsights",
    "DataCollectionEndpoint",
    "DataCollectionRule",
    "DataCollectionRuleAssociation",
    "PrivateEndpointConnection",
    "PrivateLinkResource",
    "PrivateLinkScope",
    "ScopedResource",
    "Workspace",
]

CONFIG_ENDPOINT_ASSOCIATION = "configurationAccessEndpoint"
"""The reserved name of the association that tells the agent where to fetch its configuration."""


class AccessModeExclusion(Part, frozen=True, kw_only=True):
    """Another access mode for the clients of one private endpoint connection."""

    private_endpoint_connection_name: str | None = None
    query_access_mode: str | None = None
    ingestion_access_mode: str | None = None


class AccessModeSettings(Part, frozen=True, kw_only=True):
    """What clients that come through the scope's private endpoints may reach beyond the scope."""

    query_access_mode: str | None = None
    ingestion_access_mode: str | None = None
    exclusions: tuple[AccessModeExclusion, ...] | None = None


class PrivateLinkScopeProperties(Part, frozen=True, kw_only=True):
    """``properties`` of a private link scope; ``scope_id`` is a GUID, not a resource id."""

    scope_id: str | None = None
    provisioning_state: str | None = None
    access_mode_settings: AccessModeSettings | None = None


class PrivateLinkScope(Resource, frozen=True, kw_only=True):
    """An Azure Monitor Private Link Scope (AMPLS)."""

    ARM_TYPE: ClassVar[str] = "Microsoft.Insights/privateLinkScopes"
    NOUN: ClassVar[str] = "private link scope"

    properties: PrivateLinkScopeProperties

    @property
    def scoped_resources(self) -> tuple[ScopedResource, ...]:
        """What the scope connects: workspaces, components, data collection endpoints."""
        return self.estate.children(ScopedResource, self)

    @property
    def private_endpoint_connections(self) -> tuple[PrivateEndpointConnection, ...]:
        """The scope's side of its private endpoint connections."""
        return self.estate.children(PrivateEndpointConnection, self)

    @property
    def private_link_resources(self) -> tuple[PrivateLinkResource, ...]:
        """What a private endpoint of this scope must offer: members and zones."""
        return self.estate.children(PrivateLinkResource, self)

    @property
    def private_endpoints(self) -> tuple[PrivateEndpoint, ...]:
        """The private endpoints, of those that were read, that connect to this scope."""
        return tuple(pe for pe in self.estate.private_endpoints if self.key in pe.service_keys)

    def contains(self, resource_id: str) -> bool:
        """Tell whether the scope lists this resource, whatever the state of the membership.

        Raises an EvidenceError where memberships were not read, or one does not tell whose it is.
        """
        return key(resource_id) in self.estate.once(_member_keys, self)


def _member_keys(_estate: Estate, scope: PrivateLinkScope) -> frozenset[str]:
    """Return what a scope lists; large estates ask for each machine."""
    linked = ((each, each.properties.linked_resource_id) for each in scope.scoped_resources)
    return frozenset(key(needed(own, each, "properties.linkedResourceId")) for each, own in linked)


class ScopedResourceProperties(Part, frozen=True, kw_only=True):
    """``properties`` of a membership. ``linked_resource_id`` may be a whole subscription."""

    linked_resource_id: str | None = None
    provisioning_state: str | None = None
    kind: str | None = None


class ScopedResource(Resource, frozen=True, kw_only=True):
    """The membership of one resource in a private link scope."""

    ARM_TYPE: ClassVar[str] = "Microsoft.Insights/privateLinkScopes/scopedResources"
    NOUN: ClassVar[str] = "scoped resource"

    properties: ScopedResourceProperties


class ConnectionState(Part, frozen=True, kw_only=True):
    """State of a private endpoint connection; ``description`` is prose and proves nothing."""

    status: str | None = None
    description: str | None = None
    actions_required: str | None = None


class IdReference(Part, frozen=True, kw_only=True):
    """A reference to another resource."""

    id: str | None = None


class PrivateEndpointConnectionProperties(Part, frozen=True, kw_only=True):
    """``properties`` of a connection as the scope sees it."""

    private_endpoint: IdReference | None = None
    private_link_service_connection_state: ConnectionState | None = None
    provisioning_state: str | None = None


class PrivateEndpointConnection(Resource, frozen=True, kw_only=True):
    """A private endpoint connection as the scope sees it."""

    ARM_TYPE: ClassVar[str] = "Microsoft.Insights/privateLinkScopes/privateEndpointConnections"
    NOUN: ClassVar[str] = "private endpoint connection"

    properties: PrivateEndpointConnectionProperties


class PrivateLinkResourceProperties(Part, frozen=True, kw_only=True):
    """Members and zones that a private endpoint of the scope must have."""

    group_id: str | None = None
    required_members: tuple[str, ...] | None = None
    required_zone_names: tuple[str, ...] | None = None


class PrivateLinkResource(Resource, frozen=True, kw_only=True):
    """What the scope offers to a private endpoint (group ``azuremonitor``)."""

    ARM_TYPE: ClassVar[str] = "Microsoft.Insights/privateLinkScopes/privateLinkResources"
    NOUN: ClassVar[str] = "private link resource"

    properties: PrivateLinkResourceProperties


class ScopeReference(Part, frozen=True, kw_only=True):
    """One entry of ``privateLinkScopedResources``: the membership seen from the member."""

    resource_id: str | None = None
    scope_id: str | None = None


class ScopableResource(Resource, frozen=True, kw_only=True):
    """A resource that can be a member of private link scopes."""

    @property
    def scopes(self) -> tuple[PrivateLinkScope, ...]:
        """The scopes, of those that were read, that list this resource."""
        return tuple(scope for scope in self.estate.private_link_scopes if scope.contains(self.id))

    @property
    def scope_references(self) -> tuple[ScopeReference, ...]:
        """The memberships that the resource itself reports; empty where it reports none."""
        return ()


class WorkspaceProperties(Part, frozen=True, kw_only=True):
    """``properties`` of a Log Analytics workspace; ``customer_id`` is the workspace id of its endpoints."""

    customer_id: str | None = None
    provisioning_state: str | None = None
    public_network_access_for_ingestion: str | None = None
    public_network_access_for_query: str | None = None
    private_link_scoped_resources: tuple[ScopeReference, ...] | None = None


class Workspace(ScopableResource, frozen=True, kw_only=True):
    """A Log Analytics workspace."""

    ARM_TYPE: ClassVar[str] = "Microsoft.OperationalInsights/workspaces"
    NOUN: ClassVar[str] = "workspace"

    properties: WorkspaceProperties

    @property
    def scope_references(self) -> tuple[ScopeReference, ...]:
        """The memberships that the workspace itself reports."""
        return self.properties.private_link_scoped_resources or ()


class ComponentScopeReference(Part, frozen=True, kw_only=True):
    """One entry of a component's ``PrivateLinkScopedResources``, which is spelt in Pascal case."""

    resource_id: str | None = msgspec.field(default=None, name="ResourceId")
    scope_id: str | None = msgspec.field(default=None, name="ScopeId")


class ApplicationInsightsProperties(Part, frozen=True, kw_only=True):
    """``properties`` of a component: ARM mixes Pascal and camel case here."""

    workspace_resource_id: str | None = msgspec.field(default=None, name="WorkspaceResourceId")
    provisioning_state: str | None = None
    public_network_access_for_ingestion: str | None = None
    public_network_access_for_query: str | None = None
    private_link_scoped_resources: tuple[ComponentScopeReference, ...] | None = msgspec.field(
        default=None, name="PrivateLinkScopedResources"
    )


class ApplicationInsights(ScopableResource, frozen=True, kw_only=True):
    """An Application Insights component."""

    ARM_TYPE: ClassVar[str] = "Microsoft.Insights/components"
    NOUN: ClassVar[str] = "Application Insights component"

    properties: ApplicationInsightsProperties

    @property
    def scope_references(self) -> tuple[ScopeReference, ...]:
        """The memberships that the component itself reports."""
        references = self.properties.private_link_scoped_resources or ()
        return tuple(
            ScopeReference(resource_id=entry.resource_id, scope_id=entry.scope_id) for entry in references
        )


class EndpointUrl(Part, frozen=True, kw_only=True):
    """One endpoint of a data collection endpoint, as a URL."""

    endpoint: str | None = None

    @property
    def host(self) -> str | None:
        """The host name of the URL, or None where there is none to be found in it."""
        try:
            return urlsplit(self.endpoint).hostname if self.endpoint else None
        except ValueError:  # brackets around something that is no address
            return None


class NetworkAcls(Part, frozen=True, kw_only=True):
    """Network rules of a data collection endpoint."""

    public_network_access: str | None = None


class DataCollectionEndpointProperties(Part, frozen=True, kw_only=True):
    """``properties`` of a DCE. Its host names carry a random suffix: read them, never build them."""

    immutable_id: str | None = None
    configuration_access: EndpointUrl | None = None
    logs_ingestion: EndpointUrl | None = None
    metrics_ingestion: EndpointUrl | None = None
    network_acls: NetworkAcls | None = None
    provisioning_state: str | None = None
    private_link_scoped_resources: tuple[ScopeReference, ...] | None = None


class DataCollectionEndpoint(ScopableResource, frozen=True, kw_only=True):
    """A data collection endpoint (DCE)."""

    ARM_TYPE: ClassVar[str] = "Microsoft.Insights/dataCollectionEndpoints"
    NOUN: ClassVar[str] = "data collection endpoint"

    properties: DataCollectionEndpointProperties

    @property
    def scope_references(self) -> tuple[ScopeReference, ...]:
        """The memberships that the endpoint itself reports."""
        return self.properties.private_link_scoped_resources or ()

    @property
    def hosts(self) -> tuple[str, ...]:
        """The host names of its endpoints: configuration access, logs and metrics ingestion."""
        parts = self.properties
        urls = (parts.configuration_access, parts.logs_ingestion, parts.metrics_ingestion)
        return tuple(url.host for url in urls if url is not None and url.host)


class LogAnalyticsDestination(Part, frozen=True, kw_only=True):
    """A workspace that a data collection rule sends to."""

    workspace_resource_id: str | None = None
    workspace_id: str | None = None
    name: str | None = None


class Destinations(Part, frozen=True, kw_only=True):
    """Where a data collection rule sends."""

    log_analytics: tuple[LogAnalyticsDestination, ...] | None = None


class DataFlow(Part, frozen=True, kw_only=True):
    """Which streams go to which destinations."""

    streams: tuple[str, ...] | None = None
    destinations: tuple[str, ...] | None = None


class DataCollectionRuleProperties(Part, frozen=True, kw_only=True):
    """``properties`` of a DCR. ``data_sources`` is kept as it came: its kinds grow with every version."""

    immutable_id: str | None = None
    data_collection_endpoint_id: str | None = None
    data_sources: Mapping[str, Any] | None = None
    destinations: Destinations | None = None
    data_flows: tuple[DataFlow, ...] | None = None
    provisioning_state: str | None = None


class DataCollectionRule(Resource, frozen=True, kw_only=True):
    """A data collection rule (DCR). ``kind`` is unset where the rule serves every operating system."""

    ARM_TYPE: ClassVar[str] = "Microsoft.Insights/dataCollectionRules"
    NOUN: ClassVar[str] = "data collection rule"

    properties: DataCollectionRuleProperties
    kind: str | None = None

    @property
    def workspace_ids(self) -> tuple[str, ...]:
        """The ids of the workspaces it sends to, each once, in the document's order."""
        destinations = self.properties.destinations
        entries = (destinations.log_analytics or ()) if destinations else ()
        found = {
            key(entry.workspace_resource_id): entry.workspace_resource_id
            for entry in entries
            if entry.workspace_resource_id
        }
        return tuple(found.values())


class AssociationProperties(Part, frozen=True, kw_only=True):
    """``properties`` of an association: a rule or an endpoint, never both."""

    data_collection_rule_id: str | None = None
    data_collection_endpoint_id: str | None = None
    description: str | None = None


class DataCollectionRuleAssociation(Resource, frozen=True, kw_only=True):
    """The association of a machine with a data collection rule or a data collection endpoint."""

    ARM_TYPE: ClassVar[str] = "Microsoft.Insights/dataCollectionRuleAssociations"
    NOUN: ClassVar[str] = "data collection rule association"

    properties: AssociationProperties

    @property
    def target_id(self) -> str:
        """The id of the machine, in the spelling of this document; a DocumentError where it has none."""
        return needed(ResourceId.parse(self.id).parent, self, "a machine in its id")

    @property
    def spelling_is_known(self) -> bool:
        """Tell whether the name is spelt as it was created.

        The listings of rules and endpoints lower-case names; the machine's own listing and the index
        keep them.
        """
        listed_by: str = self.__dict__["_listed_by"]
        return (
            self.__dict__["_source"] == "graph"
            or key(listed_by) in (key(self.target_id), self.key)
            or self.label != self.label.lower()
        )

    @property
    def rule(self) -> DataCollectionRule | None:
        """The rule it names, None where it names none or that rule does not exist."""
        rule_id = self.properties.data_collection_rule_id
        return self.estate.get(DataCollectionRule, rule_id) if rule_id else None

    @property
    def endpoint(self) -> DataCollectionEndpoint | None:
        """The endpoint it names, None where it names none or that endpoint does not exist."""
        endpoint_id = self.properties.data_collection_endpoint_id
        return self.estate.get(DataCollectionEndpoint, endpoint_id) if endpoint_id else None
