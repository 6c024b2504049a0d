"""1xx: the private link scope, its access modes and its members."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Final

from pytest_ampls.assertions.expectation import one_of
from pytest_ampls.assertions.membership import ADD_MEMBER, membership_findings, only_scope, scope_tokens
from pytest_ampls.assertions.scoped_resource import scope_findings
from pytest_ampls.catalogue import Finding, Fix, NotApplicable, Severity, az_rest, rule
from pytest_ampls.effective.clients import known_senders
from pytest_ampls.effective.name_resolution import scopes_reached
from pytest_ampls.effective.reported_scopes import require_reported_scopes_read
from pytest_ampls.effective.thoroughness import each
from pytest_ampls.errors import EvidenceError
from pytest_ampls.model.machine import Machine
from pytest_ampls.model.monitor import (
    AccessModeExclusion,
    AccessModeSettings,
    ApplicationInsights,
    DataCollectionEndpoint,
    PrivateLinkScope,
    ScopableResource,
    ScopedResource,
    Workspace,
)
from pytest_ampls.model.resource import ResourceId, needed
from pytest_ampls.model.types import api_version

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
_ACCESS_MODES: Final = ("Open", "PrivateOnly")
# Access modes came with 2021-09-01; a command without a version may take an older one, which drops them.
_MODES_VERSION = api_version(PrivateLinkScope.ARM_TYPE)
_SET_MODE = f"az resource update --ids <id> --api-version {_MODES_VERSION} --set <setting>=<mode>"


def _access_mode_findings(scope: PrivateLinkScope, kind: str, expected: str) -> Iterator[Finding]:
    """Compare one access mode, and every exclusion that gives a connection another one."""
    expected = one_of(_ACCESS_MODES, expected)
    settings = needed(scope.properties.access_mode_settings, scope, "properties.accessModeSettings")
    parts: list[AccessModeSettings | AccessModeExclusion] = [settings, *(settings.exclusions or ())]
    yield from each(enumerate(parts, -1), lambda part: _mode_findings(scope, kind, expected, *part))


def _mode_findings(
    scope: PrivateLinkScope,
    kind: str,
    expected: str,
    position: int,
    part: AccessModeSettings | AccessModeExclusion,
) -> Iterator[Finding]:
    """Compare the mode of the scope (position -1) or of an exclusion.

    An exclusion replaces both modes for the clients of one connection: one it lacks is not known.
    """
    name = part.private_endpoint_connection_name if isinstance(part, AccessModeExclusion) else None
    if name and _is_gone(scope, name):
        return
    where = "" if position < 0 else f".exclusions[{position}]"
    path = f"properties.accessModeSettings{where}.{kind}AccessMode"
    mode = needed(part.query_access_mode if kind == "query" else part.ingestion_access_mode, scope, path)
    if mode.lower() != expected.lower():
        yield Finding.on(
            scope,
            path,
            expected=expected if position < 0 else f"{expected} for every connection",
            observed=mode if position < 0 else f"{mode} for clients of connection {name}",
            tokens={"mode": expected, "setting": path},
        )


def _is_gone(scope: PrivateLinkScope, name: str) -> bool:
    """Tell whether an exclusion is for a connection that the scope has no more: it has no clients.

    Where the connections cannot be told the exclusion counts: it is in the scope's own document.
    """
    with suppress(EvidenceError):
        connections = scope.private_endpoint_connections
        references = (part.properties.private_endpoint for part in connections)
        endpoints = [ResourceId.parse(each.id).name for each in references if each is not None and each.id]
        names = {known.lower() for known in (*(part.label for part in connections), *endpoints)}
        return name.lower() not in names
    return False


@rule(
    "AMPLS101",
    "Clients of the scope's private endpoints may send telemetry only to members of the scope",
    severity=Severity.HIGH,
    why="""In Open mode a client behind the private endpoint may send to any Application Insights component that
    accepts public traffic, a way to take data out. The mode governs clients that come through the private
    endpoint; what the internet may send is decided by the resources' own settings.""",
    fix=Fix(
        az=_SET_MODE,
        terraform='azurerm_monitor_private_link_scope "<name>" { ingestion_access_mode = "<mode>" }  '
        "# exclusions: azapi_update_resource",
        bicep="Microsoft.Insights/privateLinkScopes: <setting>: '<mode>'",
    ),
    learn=_LEARN + "private-link-design#control-how-private-links-apply-to-your-networks",
    permissions=(_SCOPES_READ,),
    controls=("NS-2",),
)
def assert_ingestion_access_mode(
    ampls: PrivateLinkScope, *, expected: str = "PrivateOnly"
) -> Iterator[Finding]:
    """Assert the scope's ingestion access mode, exclusions of connections that exist counted in.

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
        az=_SET_MODE,
        terraform='azurerm_monitor_private_link_scope "<name>" { query_access_mode = "<mode>" }  '
        "# exclusions: azapi_update_resource",
        bicep="Microsoft.Insights/privateLinkScopes: <setting>: '<mode>'",
    ),
    learn=_LEARN + "private-link-design#control-how-private-links-apply-to-your-networks",
    permissions=(_SCOPES_READ,),
    controls=("NS-2",),
)
def assert_query_access_mode(ampls: PrivateLinkScope, *, expected: str = "PrivateOnly") -> Iterator[Finding]:
    """Assert the scope's query access mode, exclusions of connections that exist counted in.

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
    unread: EvidenceError | None = None
    try:
        for scope in each(known_senders(workspace), _scopes_of_dns):
            wanted[scope.key] = scope
    except EvidenceError as error:  # other clients may use other scopes
        unread = error
    if not wanted and not workspace.scopes:
        require_reported_scopes_read(workspace)  # nobody's DNS demands a scope: the one it says will do
    yield from membership_findings(workspace, tuple(wanted.values()))
    if unread is not None:
        raise unread


def _scopes_of_dns(machine: Machine) -> Iterator[PrivateLinkScope]:
    return each(machine.virtual_networks, scopes_reached)


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
    """Assert that each scoped resource exists, is provisioned, and that both sides know of the membership.

    Memberships of kind metrics point to a subscription and are left out. A resource that reports no
    memberships at all (older api-versions omit them) is not held against the scope.

    Args:
        ampls: the private link scope.
    """
    yield from scope_findings(ampls)


def _public_access(resource: ScopableResource) -> Iterator[tuple[str, str]]:
    """Yield property path and value for every public access flag that the resource has.

    Raises:
        DocumentError: the document lacks one; raised last.
    """
    return each(_flags(resource).items(), lambda flag: ((flag[0], needed(flag[1], resource, flag[0])),))


def _flags(resource: ScopableResource) -> dict[str, str | None]:
    if isinstance(resource, DataCollectionEndpoint):
        acls = resource.properties.network_acls
        path = "properties.networkAcls.publicNetworkAccess"
        return {path: acls.public_network_access if acls else None}
    if isinstance(resource, Workspace | ApplicationInsights):
        return {
            "properties.publicNetworkAccessForIngestion": resource.properties.public_network_access_for_ingestion,
            "properties.publicNetworkAccessForQuery": resource.properties.public_network_access_for_query,
        }
    raise TypeError(f"{resource!r} has no public access flags")


@rule(
    "AMPLS109",
    "A workspace, component or data collection endpoint refuses public traffic",
    severity=Severity.HIGH,
    why="""Only the resource's own flags close it to the internet: a private link scope in PrivateOnly mode limits
    the clients of its private endpoints and does not stop anybody else.""",
    fix=Fix(
        az="az resource update --ids <id> --set <property>=<value>",
        terraform='azurerm_log_analytics_workspace { internet_ingestion_access_type = "<value>", '
        'internet_query_access_type = "<value>" }\n'
        "azurerm_application_insights, and the workspace before azurerm 5 "
        "{ internet_ingestion_enabled = false, internet_query_enabled = false }\n"
        "azurerm_monitor_data_collection_endpoint { public_network_access_enabled = false }",
        bicep="<property>: '<value>'",
    ),
    learn=_LEARN + "private-link-configure#configure-access-to-your-resources",
    permissions=(_WORKSPACES_READ, _COMPONENTS_READ, _ENDPOINTS_READ),
    controls=("NS-2",),
)
def assert_public_access_disabled(
    resource: ScopableResource, *, expected: Sequence[str] | str = _CLOSED
) -> Iterator[Finding]:
    """Assert that each public access flag of the resource has one of the expected values.

    Args:
        resource: a workspace, an Application Insights component or a data collection endpoint.
        expected: the values that count as closed, ``Disabled`` and ``SecuredByPerimeter`` by default.
    """
    allowed = (expected,) if isinstance(expected, str) else tuple(expected)
    for path, value in _public_access(resource):
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
    closed: list[str] = []
    try:
        closed += (path for path, value in _public_access(resource) if value.lower() == "disabled")
    except EvidenceError:
        if not closed:  # the other one may be
            raise
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
