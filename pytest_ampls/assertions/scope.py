"""1xx: the private link scope, its access modes and its members."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_ampls.assertions.membership import ADD_MEMBER, membership_findings, only_scope, scope_tokens
from pytest_ampls.catalogue import Finding, Fix, NotApplicable, Severity, az_rest, rule
from pytest_ampls.effective.clients import machines_sending_to
from pytest_ampls.effective.name_resolution import scopes_reached
from pytest_ampls.errors import DocumentError
from pytest_ampls.model.monitor import (
    ApplicationInsights,
    DataCollectionEndpoint,
    PrivateLinkScope,
    ScopableResource,
    ScopedResource,
    Workspace,
)
from pytest_ampls.model.resource import ResourceId, key, needed

__all__ = [
    "assert_app_insights_in_scope",
    "assert_dce_in_scope",
    "assert_ingestion_access_mode",
    "assert_not_unreachable",
    "assert_public_access_disabled",
    "assert_query_access_mode",
    "assert_scoped_resources_resolve",
    "assert_workspace_in_scope",
]

_LEARN = "https://learn.microsoft.com/azure/azure-monitor/fundamentals/"
_SCOPES_READ = "Microsoft.Insights/privateLinkScopes/read"
_MEMBERS_READ = "Microsoft.Insights/privateLinkScopes/scopedResources/read"
_WORKSPACES_READ = "Microsoft.OperationalInsights/workspaces/read"
_COMPONENTS_READ = "Microsoft.Insights/components/read"
_ENDPOINTS_READ = "Microsoft.Insights/dataCollectionEndpoints/read"
_CLOSED = ("Disabled", "SecuredByPerimeter")


def _access_mode_findings(scope: PrivateLinkScope, kind: str, expected: str) -> Iterator[Finding]:
    """Compare one access mode, and every exclusion that gives a connection another one."""
    settings = needed(scope.properties.access_mode_settings, scope, "properties.accessModeSettings")
    path = f"properties.accessModeSettings.{kind}AccessMode"
    mode = needed(getattr(settings, f"{kind}_access_mode"), scope, path)
    if mode.lower() != expected.lower():
        yield Finding.on(scope, path, expected=expected, observed=mode, tokens={"mode": expected})
    for position, exclusion in enumerate(settings.exclusions or ()):
        other = getattr(exclusion, f"{kind}_access_mode")
        # An exclusion replaces both modes for the clients of one connection (FACTS: exclusions).
        if other is not None and other.lower() != expected.lower():
            yield Finding.on(
                scope,
                f"properties.accessModeSettings.exclusions[{position}].{kind}AccessMode",
                expected=f"{expected} for every connection",
                observed=f"{other} for clients of connection {exclusion.private_endpoint_connection_name}",
                tokens={"mode": expected},
            )


@rule(
    "AMPLS101",
    "Clients of the scope's private endpoints may send telemetry only to members of the scope",
    severity=Severity.HIGH,
    why="""In Open mode a client behind the private endpoint may send to any Application Insights component that
    accepts public traffic, a way to take data out. The mode governs clients that come through the private
    endpoint; what the internet may send is decided by the resources' own settings.""",
    fix=Fix(
        az="az monitor private-link-scope update --name <name> --resource-group <resource-group> "
        "--set accessModeSettings.ingestionAccessMode=<mode>",
        terraform='azurerm_monitor_private_link_scope "<name>" { ingestion_access_mode = "<mode>" }',
        bicep="Microsoft.Insights/privateLinkScopes: properties.accessModeSettings.ingestionAccessMode: '<mode>'",
    ),
    learn=_LEARN + "private-link-design#control-how-private-links-apply-to-your-networks",
    permissions=(_SCOPES_READ,),
    controls=("NS-2",),
)
def assert_ingestion_access_mode(
    ampls: PrivateLinkScope, *, expected: str = "PrivateOnly"
) -> Iterator[Finding]:
    """Assert the scope's ingestion access mode, exclusions counted in.

    Args:
        ampls: the private link scope.
        expected: ``PrivateOnly`` or ``Open``.
    """
    yield from _access_mode_findings(ampls, "ingestion", expected)


@rule(
    "AMPLS102",
    "Clients of the scope's private endpoints may query only members of the scope",
    severity=Severity.HIGH,
    why="""In Open mode a client behind the private endpoint may query every workspace that accepts public
    queries, whoever owns it. The query endpoint is shared by all workspaces, so the mode is the only thing that
    tells them apart on this path.""",
    fix=Fix(
        az="az monitor private-link-scope update --name <name> --resource-group <resource-group> "
        "--set accessModeSettings.queryAccessMode=<mode>",
        terraform='azurerm_monitor_private_link_scope "<name>" { query_access_mode = "<mode>" }',
        bicep="Microsoft.Insights/privateLinkScopes: properties.accessModeSettings.queryAccessMode: '<mode>'",
    ),
    learn=_LEARN + "private-link-design#control-how-private-links-apply-to-your-networks",
    permissions=(_SCOPES_READ,),
    controls=("NS-2",),
)
def assert_query_access_mode(ampls: PrivateLinkScope, *, expected: str = "PrivateOnly") -> Iterator[Finding]:
    """Assert the scope's query access mode, exclusions counted in.

    Args:
        ampls: the private link scope.
        expected: ``PrivateOnly`` or ``Open``.
    """
    yield from _access_mode_findings(ampls, "query", expected)


@rule(
    "AMPLS103",
    "A workspace is a member of the private link scope that its clients use",
    severity=Severity.HIGH,
    why="""A workspace outside of the scope gets no private records: agents send over the public path, or not at
    all once the workspace refuses public ingestion, and queries through the private endpoint are refused.""",
    fix=ADD_MEMBER,
    learn=_LEARN + "private-link-configure#connect-resources-to-the-ampls",
    permissions=(_SCOPES_READ, _MEMBERS_READ, _WORKSPACES_READ),
    controls=("NS-2",),
)
def assert_workspace_in_scope(workspace: Workspace) -> Iterator[Finding]:
    """Assert that a private link scope lists the workspace, and so does every scope its clients' DNS leads to.

    Clients are the machines whose data collection rules send to the workspace.

    Args:
        workspace: the Log Analytics workspace.
    """
    wanted: dict[str, PrivateLinkScope] = {}
    for machine in machines_sending_to(workspace):
        for network in machine.virtual_networks:
            wanted.update({scope.key: scope for scope in scopes_reached(network)})
    yield from membership_findings(workspace, tuple(wanted.values()))


@rule(
    "AMPLS104",
    "A data collection endpoint is a member of a private link scope",
    severity=Severity.HIGH,
    why="""The agent fetches its configuration through the endpoint's own host name. Outside of the scope that name
    has no private address, and the configuration service refuses agents that arrive over a private link without
    an endpoint of the scope (403, "Data collection endpoint must be used to access configuration over private
    link").""",
    fix=ADD_MEMBER,
    learn=_LEARN + "private-link-vm-kubernetes",
    permissions=(_SCOPES_READ, _MEMBERS_READ, _ENDPOINTS_READ),
    controls=("NS-2",),
)
def assert_dce_in_scope(dce: DataCollectionEndpoint) -> Iterator[Finding]:
    """Assert that a private link scope lists the data collection endpoint.

    Whether it is the scope that each machine's DNS leads to is judged by machine, in AMPLS404.

    Args:
        dce: the data collection endpoint.
    """
    yield from membership_findings(dce, only_scope(dce))


@rule(
    "AMPLS105",
    "An Application Insights component is a member of a private link scope",
    severity=Severity.HIGH,
    why="""All Application Insights endpoints are shared by all components. Once a network resolves them privately,
    telemetry for a component outside of the scope fails the private link's validation and is lost.""",
    fix=ADD_MEMBER,
    learn=_LEARN + "private-link-design",
    permissions=(_SCOPES_READ, _MEMBERS_READ, _COMPONENTS_READ),
    controls=("NS-2",),
)
def assert_app_insights_in_scope(app_insights: ApplicationInsights) -> Iterator[Finding]:
    """Assert that a private link scope lists the component.

    Args:
        app_insights: the Application Insights component.
    """
    yield from membership_findings(app_insights, only_scope(app_insights))


@rule(
    "AMPLS106",
    "Every scoped resource points to something that exists and agrees",
    severity=Severity.MEDIUM,
    why="""A membership that points to nothing, is still being provisioned, or is known to one side only gives no
    private path, although the portal lists it.""",
    fix=Fix(
        az="az monitor private-link-scope scoped-resource delete --name <member> --scope-name <name> "
        "--resource-group <resource-group>  # then create it again for a resource that exists",
        terraform='terraform apply -replace of the azurerm_monitor_private_link_scoped_service named "<member>"',
        bicep="Microsoft.Insights/privateLinkScopes/scopedResources '<member>': remove it, or correct linkedResourceId",
    ),
    learn=_LEARN + "private-link-configure#connect-resources-to-the-ampls",
    permissions=(_SCOPES_READ, _MEMBERS_READ, _WORKSPACES_READ, _COMPONENTS_READ, _ENDPOINTS_READ),
)
def assert_scoped_resources_resolve(ampls: PrivateLinkScope) -> Iterator[Finding]:
    """Assert that each scoped resource exists, is provisioned, and reports the membership itself.

    Memberships of kind metrics point to a subscription and are left out. A resource that reports no
    memberships at all (older api-versions omit them) is not held against the scope.

    Args:
        ampls: the private link scope.
    """
    for member in ampls.scoped_resources:
        yield from _member_findings(ampls, member)


def _member_findings(scope: PrivateLinkScope, member: ScopedResource) -> Iterator[Finding]:
    linked = needed(member.properties.linked_resource_id, member, "properties.linkedResourceId")
    state = member.properties.provisioning_state
    if state is not None and state.lower() != "succeeded":
        yield _on_member(scope, member, "properties.provisioningState", expected="Succeeded", observed=state)
    try:
        ResourceId.parse(linked)
    except DocumentError:
        return  # a subscription, which kind metrics links as a whole
    path = "properties.linkedResourceId"
    resource = scope.estate.find(linked)
    if resource is None:
        yield _on_member(
            scope, member, path, expected="a resource that exists", observed=f"{linked}, which does not"
        )
    elif isinstance(resource, ScopableResource) and resource.scope_references:
        references = {key(entry.resource_id or "") for entry in resource.scope_references}
        guids = {(entry.scope_id or "").lower() for entry in resource.scope_references}
        own_guid = (scope.properties.scope_id or "").lower()
        # Which of the two says it is not documented: either will do.
        if not (own_guid and own_guid in guids) and not any(
            name.startswith(scope.key + "/") for name in references
        ):
            yield _on_member(
                scope,
                member,
                path,
                expected=f"{resource.NOUN} {resource.label!r} lists this scope in privateLinkScopedResources",
                observed="it lists only " + ", ".join(sorted(references)),
                evidence=az_rest(resource),
            )


def _on_member(
    scope: PrivateLinkScope,
    member: ScopedResource,
    path: str,
    *,
    expected: str,
    observed: str,
    evidence: str | None = None,
) -> Finding:
    return Finding.on(
        scope,
        f"scopedResources[{member.label}].{path}",
        expected=expected,
        observed=observed,
        evidence=evidence or az_rest(scope, ScopedResource.ARM_TYPE),
        tokens={"member": member.label},
    )


def _public_access(resource: ScopableResource) -> dict[str, str]:
    """Return property path to value for every public access flag that the resource has."""
    if isinstance(resource, DataCollectionEndpoint):
        acls = resource.properties.network_acls
        path = "properties.networkAcls.publicNetworkAccess"
        return {path: needed(acls.public_network_access if acls else None, resource, path)}
    if isinstance(resource, Workspace | ApplicationInsights):
        found = {}
        for use in ("Ingestion", "Query"):
            path = f"properties.publicNetworkAccessFor{use}"
            value = getattr(resource.properties, f"public_network_access_for_{use.lower()}")
            found[path] = needed(value, resource, path)
        return found
    raise TypeError(f"{resource!r} has no public access flags")


@rule(
    "AMPLS109",
    "A workspace, component or data collection endpoint refuses public traffic",
    severity=Severity.HIGH,
    why="""Only the resource's own flags close it to the internet: a private link scope in PrivateOnly mode limits
    the clients of its private endpoints and does not stop anybody else.""",
    fix=Fix(
        az="az resource update --ids <id> --set <property>=<value>",
        terraform="azurerm_log_analytics_workspace / azurerm_application_insights "
        "{ internet_ingestion_enabled = false, internet_query_enabled = false }\n"
        "azurerm_monitor_data_collection_endpoint { public_network_access_enabled = false }",
        bicep="<property>: '<value>'",
    ),
    learn=_LEARN + "private-link-configure#configure-access-to-your-resources",
    permissions=(_WORKSPACES_READ, _COMPONENTS_READ, _ENDPOINTS_READ),
    controls=("NS-2",),
)
def assert_public_access_disabled(
    resource: ScopableResource, *, expected: tuple[str, ...] | list[str] | str = _CLOSED
) -> Iterator[Finding]:
    """Assert that each public access flag of the resource has one of the expected values.

    Args:
        resource: a workspace, an Application Insights component or a data collection endpoint.
        expected: the values that count as closed, ``Disabled`` and ``SecuredByPerimeter`` by default.
    """
    allowed = (expected,) if isinstance(expected, str) else tuple(expected)
    for path, value in _public_access(resource).items():
        if value.lower() not in {choice.lower() for choice in allowed}:
            yield Finding.on(
                resource,
                path,
                expected=" or ".join(allowed),
                observed=value,
                tokens={"property": path, "value": allowed[0]},
            )


@rule(
    "AMPLS110",
    "A resource that refuses public traffic is reachable through a private link scope",
    severity=Severity.HIGH,
    why="""With public access off and no private link scope a resource cannot be reached from anywhere: every agent
    and every query is refused.""",
    fix=ADD_MEMBER,
    learn=_LEARN + "private-link-configure#configure-access-to-your-resources",
    permissions=(_SCOPES_READ, _MEMBERS_READ, _WORKSPACES_READ, _COMPONENTS_READ, _ENDPOINTS_READ),
)
def assert_not_unreachable(resource: ScopableResource) -> Iterator[Finding]:
    """Assert that the resource is in a scope, or accepts public traffic of some kind.

    ``SecuredByPerimeter`` is left out: what a perimeter lets in is not judged here.

    Args:
        resource: a workspace, an Application Insights component or a data collection endpoint.
    """
    closed = [path for path, value in _public_access(resource).items() if value.lower() == "disabled"]
    if not closed:
        raise NotApplicable(f"{resource.NOUN} {resource.label!r} does not have public access Disabled")
    if not resource.scopes:
        target = only_scope(resource)
        yield Finding.on(
            resource,
            ", ".join(closed),
            expected="a member of a private link scope, or public access",
            observed="Disabled, and in no private link scope that was read: unreachable from everywhere",
            evidence=az_rest(target[0], ScopedResource.ARM_TYPE) if target else None,
            tokens=scope_tokens(target[0] if target else None),
        )
