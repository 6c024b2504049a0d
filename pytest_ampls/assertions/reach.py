"""111: what the machines of a network may do with the resources of the estate, held against the intent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Final, NamedTuple

from pytest_ampls.catalogue import Finding, Fix, NotApplicable, Severity, az_rest, rule
from pytest_ampls.effective.access import Outcome, Path, configuration_access
from pytest_ampls.effective.clients import Uses, machines_in, uses_of
from pytest_ampls.effective.name_resolution import scopes_reached
from pytest_ampls.effective.reach import CLASSES, Attempt, Use, attempt, handler_way
from pytest_ampls.errors import ConfigurationError, EvidenceError, NotReadError
from pytest_ampls.model.estate import Estate
from pytest_ampls.model.monitor import DataCollectionEndpoint, ScopableResource, ScopedResource, Workspace
from pytest_ampls.model.network import VirtualNetwork
from pytest_ampls.model.resource import ResourceId, covers

__all__ = ["assert_reachable_as_intended"]

_LEARN: Final = "https://learn.microsoft.com/azure/azure-monitor/fundamentals/"
_READ: Final = (
    "Microsoft.Insights/privateLinkScopes/read",
    "Microsoft.Insights/privateLinkScopes/scopedResources/read",
    "Microsoft.Insights/privateLinkScopes/privateEndpointConnections/read",
    "Microsoft.OperationalInsights/workspaces/read",
    "Microsoft.Insights/components/read",
    "Microsoft.Insights/dataCollectionEndpoints/read",
    "Microsoft.Insights/dataCollectionRules/read",
    "Microsoft.Insights/dataCollectionRuleAssociations/read",
    "Microsoft.Compute/virtualMachines/read",
    "Microsoft.Compute/virtualMachineScaleSets/read",
    "Microsoft.Network/networkInterfaces/read",
    "Microsoft.Network/virtualNetworks/read",
    "Microsoft.Network/privateEndpoints/read",
    "Microsoft.Network/privateDnsZones/read",
    "Microsoft.Network/privateDnsZones/virtualNetworkLinks/read",
    "Microsoft.Network/privateDnsZones/ALL/read",
    "Microsoft.Network/dnsResolvers/read",
    "Microsoft.Network/dnsResolvers/inboundEndpoints/read",
    "Microsoft.Network/dnsForwardingRulesets/read",
    "Microsoft.Network/dnsForwardingRulesets/forwardingRules/read",
    "Microsoft.Network/dnsForwardingRulesets/virtualNetworkLinks/read",
)
_WORDS: Final = ("allowed", "refused")
_WHOSE: Final = {
    Use.INGESTION: "AMPLS103, AMPLS104, AMPLS106, AMPLS201, AMPLS407 and the rules of name resolution (AMPLS3xx)",
    Use.CONFIGURATION: "AMPLS106, AMPLS201, AMPLS402, AMPLS404 and the rules of name resolution (AMPLS3xx)",
}

Intents = Mapping[str, str] | str
"""Pattern of resources to ``allowed`` or ``refused``, or one of these words for all."""


class _Stated(NamedTuple):
    """What is to come of one use of one resource, by which pattern."""

    resource: ScopableResource
    use: Use
    word: str
    pattern: str


@rule(
    "AMPLS111",
    "The machines of a network reach what they use and are refused what they are not to reach",
    severity=Severity.HIGH,
    why="""Access modes limit the clients of a private endpoint, the resources' own settings everybody else, an
    exclusion changes the modes for one connection, and uploads obey no mode at all. Only all of it together, for one
    network, says who gets where: an endpoint of another scope that a data collection rule names has no address here,
    and what is sent to it is lost.""",
    fix=Fix(
        az="az monitor private-link-scope scoped-resource create --name <member> --scope-name <scope> "
        "--resource-group <scope-resource-group> --linked-resource <member-id>  # or, where it is not to be reached: "
        "delete it, set the scope's access modes to PrivateOnly, close the resource to the public",
        terraform='azurerm_monitor_private_link_scoped_service { scope_name = "<scope>", '
        'linked_resource_id = "<member-id>" }  # or, where it is not to be reached: remove it, and '
        'azurerm_monitor_private_link_scope { query_access_mode = "PrivateOnly", ingestion_access_mode = '
        '"PrivateOnly" }',
        bicep="Microsoft.Insights/privateLinkScopes/scopedResources '<scope>/<member>': properties.linkedResourceId: "
        "'<member-id>', or, where it is not to be reached: remove it, and set properties.accessModeSettings of the "
        "scope to PrivateOnly",
    ),
    learn=_LEARN + "private-link-design#control-how-private-links-apply-to-your-networks",
    permissions=_READ,
    controls=("NS-2",),
)
def assert_reachable_as_intended(
    virtual_network: VirtualNetwork,
    *,
    query: Intents | None = None,
    ingestion: Intents | None = None,
    configuration: Intents | None = None,
) -> Iterator[Finding]:
    """Assert that the effective access of the VNet's machines to each resource is the intended one.

    Without an intent of its own, what the machines use is to be reached over the private path: destination
    workspaces, the endpoints that data collection rules name, those that agents are configured through. Where
    it is not because of a name, a missing membership or association, the rules that judge these say so and this one
    does not apply; what none of them sees, an endpoint of a rule that is a member of other scopes only, is found here.

    An intent is judged in full, by where the names lead the network, membership, access modes, exclusions
    and the resource's own settings. Refused stands for anything that does not get there, a name without an address too.
    What no page of Azure Monitor states is unverified either way, such as what a membership is worth that is not
    ``Succeeded``. With an intent the rule applies, whatever other
    rules have to say of the rest. Queries that Azure Resource Manager passes on do
    not come from the network and are not judged.

    Args:
        virtual_network: the VNet.
        query: pattern of workspaces and components to ``allowed`` or ``refused``: their queries. Of several patterns
            that match, the last holds; a pattern is matched as those of the requirements file are. A word alone is
            for all of them.
        ingestion: the same for uploads to workspaces, components and data collection endpoints.
        configuration: the same for the configuration of an agent that is sent to a data collection endpoint.
    """
    intents = {Use.QUERY: query, Use.INGESTION: ingestion, Use.CONFIGURATION: configuration}
    stated = tuple(
        each for use, given in intents.items() for each in _stated(virtual_network.estate, use, given)
    )
    if not stated and not machines_in(virtual_network):
        raise NotApplicable(f"no machine that was read is in virtual network {virtual_network.label!r}")
    unread: list[EvidenceError] = []
    for each in stated:
        try:
            yield from _stated_findings(virtual_network, each)
        except EvidenceError as error:  # what is wrong with the others must not be lost
            unread.append(error)
    deferred: list[str] = []
    yield from _used_findings(
        virtual_network, {(each.use, each.resource.key) for each in stated}, unread, deferred
    )
    if unread:
        raise unread[0]
    if deferred and not stated:
        more = f" (and {len(deferred) - 1} more like this)" if len(deferred) > 1 else ""
        raise NotApplicable(deferred[0] + more)


# ------------------------------------------------------------------- what was stated


def _stated(estate: Estate, use: Use, intents: Intents | None) -> tuple[_Stated, ...]:
    """Return what was stated, for each resource that a pattern matches; the last one holds."""
    found: dict[str, _Stated] = {}
    for pattern, word in _checked(use, intents).items():
        matching = [each for cls in CLASSES[use] for each in estate.known(cls) if covers(pattern, each)]
        for cls in CLASSES[use]:
            estate.all(cls)  # one that could not be read may match as well
        if not matching and pattern != "*":
            nouns = ", ".join(cls.NOUN for cls in CLASSES[use])
            raise ConfigurationError(f"{use}: {pattern!r} matches nothing that was read ({nouns})")
        found.update({each.key: _Stated(each, use, word.lower(), pattern) for each in matching})
    return tuple(found.values())


def _checked(use: Use, intents: Any) -> Mapping[str, str]:
    """Return intents that have the form of intents: a file can hold anything."""
    if intents is None:
        return {}
    if isinstance(intents, str):
        intents = {"*": intents}
    if not isinstance(intents, Mapping):
        raise ConfigurationError(
            f'{use}={intents!r} is no table of patterns, such as {{ "law-*" = "refused" }}'
        )
    for pattern, word in intents.items():
        if not isinstance(word, str) or word.lower() not in _WORDS:
            raise ConfigurationError(
                f"{use}: {pattern!r} is to be {word!r}: there are {' and '.join(_WORDS)}"
            )
    return intents


def _stated_findings(network: VirtualNetwork, stated: _Stated) -> Iterator[Finding]:
    found = attempt(network, stated.resource, stated.use)
    access = found.access
    if access.outcome is Outcome.UNKNOWN or access.is_inferred:
        raise NotReadError(
            f"whether {stated.use} of {stated.resource.NOUN} {stated.resource.label!r} is {stated.word} from virtual "
            f"network {network.label!r} is not known: {access.reason}"
            + (", which is inferred and stated nowhere" if access.is_inferred else "")
        )
    if (access.outcome is Outcome.ALLOWED) is not (stated.word == "allowed"):
        yield _finding(network, found, f"{stated.word}, as stated for {stated.pattern!r}")


def _finding(network: VirtualNetwork, found: Attempt, expected: str) -> Finding:
    resource, scope = found.resource, found.way.scope
    if scope is None:
        scope = next(iter(scopes_reached(network)), None)
    tokens = {"member": resource.label, "member-id": resource.id, "host": found.way.name}
    if scope is not None:
        tokens |= {"scope": scope.label, "scope-resource-group": scope.resource_group}
    return Finding.on(
        network,
        f"{found.use} of {resource.NOUN} {resource.label!r}",
        expected=expected,
        observed=f"{found.access.outcome}: {found.access.reason}",
        evidence=az_rest(scope, ScopedResource.ARM_TYPE) if scope is not None else az_rest(resource),
        tokens=tokens,
    )


# ------------------------------------------------------------------- what the machines use


def _used_findings(
    network: VirtualNetwork, judged: set[tuple[Use, str]], unread: list[EvidenceError], deferred: list[str]
) -> Iterator[Finding]:
    """Judge what the machines use; what other rules judge, or could not be told, is added to the lists."""
    uses = uses_of(network)
    checks: dict[tuple[Use, str], Callable[[], Iterator[Finding | str]]] = {}
    for own, (workspace_id, _) in uses.workspaces.items():
        checks[Use.INGESTION, own] = partial(_workspace, network, workspace_id)
    for own, endpoint in uses.configuration.items():
        checks[Use.CONFIGURATION, own] = partial(_configuration, network, endpoint)
    for own in uses.uploads:
        checks[Use.INGESTION, own] = partial(_upload, network, own, uses)
    if uses.without_endpoint:
        checks[Use.CONFIGURATION, ""] = partial(_without_endpoint, network, uses)
    for which, check in checks.items():
        try:
            for found in check() if which not in judged else ():
                if isinstance(found, Finding):
                    yield found
                else:
                    deferred.append(found)
        except EvidenceError as error:
            unread.append(error)


def _deferred(found: Attempt) -> Iterator[str]:
    """Yield why something is not reached privately, and which rules judge that; nothing where it is."""
    if found.access.outcome is Outcome.ALLOWED and found.way.path is Path.PRIVATE:
        return
    what = f"{found.use} of {found.resource.NOUN} {found.resource.label!r}"
    yield f"{what} is left to {_WHOSE[found.use]}: {found.access.outcome}, {found.access.reason}"


def _workspace(network: VirtualNetwork, workspace_id: str) -> Iterator[str]:
    workspace = network.estate.get(Workspace, workspace_id)
    if workspace is None:
        name = ResourceId.parse(workspace_id).name
        yield f"workspace {name!r} does not exist: AMPLS407 judges that"
    else:
        yield from _deferred(attempt(network, workspace, Use.INGESTION))


def _configuration(network: VirtualNetwork, endpoint: DataCollectionEndpoint) -> Iterator[str]:
    yield from _deferred(attempt(network, endpoint, Use.CONFIGURATION))


def _upload(network: VirtualNetwork, own: str, uses: Uses) -> Iterator[Finding | str]:
    """Judge the endpoint that a rule sends to: no other rule asks whose member it is, but as an agent's own."""
    endpoint_id, part = uses.uploads[own]
    endpoint = network.estate.get(DataCollectionEndpoint, endpoint_id)
    if endpoint is None:
        name = ResourceId.parse(endpoint_id).name
        yield f"data collection endpoint {name!r} of rule {part.label!r} does not exist"
        return
    found = attempt(network, endpoint, Use.INGESTION)
    scopes = scopes_reached(network)
    is_elsewhere = bool(scopes and endpoint.scopes) and not any(
        scope.contains(endpoint.id) for scope in scopes
    )
    if not is_elsewhere or own in uses.configuration or found.access.outcome is Outcome.ALLOWED:
        yield from _deferred(found)
    elif found.access.outcome is Outcome.UNKNOWN or found.access.is_inferred:
        raise NotReadError(
            f"whether data collection rule {part.label!r} reaches its endpoint {endpoint.label!r} from virtual network "
            f"{network.label!r} is not known: {found.access.reason}"
        )
    else:
        yield _finding(network, found, f"allowed: data collection rule {part.label!r} sends there")


def _without_endpoint(network: VirtualNetwork, uses: Uses) -> Iterator[str]:
    """Say what comes of machines that no endpoint configures: AMPLS402 finds them."""
    path = handler_way(network).path
    access = configuration_access(path, None) if path is not None else None
    reason = access.reason if access is not None else handler_way(network).reason
    name = uses.without_endpoint[0].label
    yield f"{name!r} has no data collection endpoint to be configured through, {reason}: AMPLS402 judges that"
