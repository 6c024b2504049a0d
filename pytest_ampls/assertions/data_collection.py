"""4xx: what tells a machine's agent what to collect, where to ask and where to send."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final

from pytest_ampls.assertions.association import (
    ENDPOINT_PATH,
    config_endpoint_findings,
    how_misnamed,
    listing,
    proposed_endpoint,
    rule_findings,
)
from pytest_ampls.assertions.machine import flexible_instances_apart, of_kind
from pytest_ampls.catalogue import Finding, Fix, NotApplicable, Severity, az_rest, rule
from pytest_ampls.effective.collection import destinations, misnamed_associations, scopes_without
from pytest_ampls.effective.thoroughness import each
from pytest_ampls.model.associations import require_object, says_nothing
from pytest_ampls.model.compute import VirtualMachineScaleSet
from pytest_ampls.model.machine import Machine
from pytest_ampls.model.monitor import (
    CONFIG_ENDPOINT_ASSOCIATION,
    DataCollectionEndpoint,
    DataCollectionRule,
    ScopedResource,
)
from pytest_ampls.model.resource import ResourceId, needed, region

__all__ = [
    "assert_association_limit",
    "assert_config_endpoint_association",
    "assert_config_endpoint_in_scope",
    "assert_config_endpoint_region",
    "assert_destinations_in_scope",
    "assert_instances_associated",
    "assert_reserved_name_used_well",
    "assert_rule_association",
]

_LEARN: Final = "https://learn.microsoft.com/azure/azure-monitor/"
_MACHINES_READ: Final = (
    "Microsoft.Compute/virtualMachines/read",
    "Microsoft.Compute/virtualMachineScaleSets/read",
    "Microsoft.HybridCompute/machines/read",
)
_ASSOCIATIONS_READ: Final = (*_MACHINES_READ, "Microsoft.Insights/dataCollectionRuleAssociations/read")
_RULES_READ: Final = "Microsoft.Insights/dataCollectionRules/read"
_ENDPOINTS_READ: Final = "Microsoft.Insights/dataCollectionEndpoints/read"
_SCOPES_READ: Final = (
    "Microsoft.Insights/privateLinkScopes/read",
    "Microsoft.Insights/privateLinkScopes/scopedResources/read",
)
# What it takes to tell which scope a machine's DNS leads to.
_NAMES_READ: Final = (
    "Microsoft.Network/networkInterfaces/read",
    "Microsoft.Network/virtualNetworks/read",
    "Microsoft.Network/privateEndpoints/read",
    "Microsoft.Network/privateDnsZones/read",
    "Microsoft.Network/privateDnsZones/virtualNetworkLinks/read",
    "Microsoft.Network/privateDnsZones/recordsets/read",
)
_ASSOCIATE_RULE: Final = Fix(
    az="az monitor data-collection rule association create --name <association> --resource <id> "
    "--rule-id <rule-id>",
    terraform='azurerm_monitor_data_collection_rule_association { name = "<association>", '
    'target_resource_id = "<id>", data_collection_rule_id = "<rule-id>" }',
    bicep="Microsoft.Insights/dataCollectionRuleAssociations with scope: <name>, "
    "properties.dataCollectionRuleId: '<rule-id>'",
)


@rule(
    "AMPLS401",
    "A machine is associated with a data collection rule that exists",
    severity=Severity.HIGH,
    why="""Rules tell the agent what to collect and where to send it. Without one an agent that is
    installed, authenticated and connected collects nothing, not even a heartbeat.""",
    fix=_ASSOCIATE_RULE,
    learn=_LEARN + "data-collection/data-collection-rule-associations",
    permissions=(*_ASSOCIATIONS_READ, _RULES_READ),
    controls=("LT-3",),
)
def assert_rule_association(machine: Machine) -> Iterator[Finding]:
    """Assert that at least one existing data collection rule is associated with the machine.

    Args:
        machine: a virtual machine, an Arc machine, or a Uniform scale set, which carries associations itself.
    """
    flexible_instances_apart(machine)
    yield from rule_findings(machine)


_ASSOCIATE_ENDPOINT: Final = Fix(
    az=f"az monitor data-collection rule association create --name {CONFIG_ENDPOINT_ASSOCIATION} "
    "--resource <id> --endpoint-id <endpoint-id>",
    terraform=f'azurerm_monitor_data_collection_rule_association {{ name = "{CONFIG_ENDPOINT_ASSOCIATION}", '
    'target_resource_id = "<id>", data_collection_endpoint_id = "<endpoint-id>" }',
    bicep=f"Microsoft.Insights/dataCollectionRuleAssociations '{CONFIG_ENDPOINT_ASSOCIATION}' with "
    "scope: <name>, properties.dataCollectionEndpointId: '<endpoint-id>'",
)


@rule(
    "AMPLS402",
    f"A machine has the association {CONFIG_ENDPOINT_ASSOCIATION}, and it holds an endpoint that exists",
    severity=Severity.HIGH,
    why="""Where the configuration service resolves privately it refuses every agent that does not come
    through a data collection endpoint (403, "Data collection endpoint must be used to access configuration
    over private link"). The association of exactly this name tells the agent which endpoint; under any
    other name it is listed and ignored.""",
    fix=_ASSOCIATE_ENDPOINT,
    learn=_LEARN + "fundamentals/private-link-vm-kubernetes#associate-vm-or-cluster-with-dce",
    permissions=(*_ASSOCIATIONS_READ, _ENDPOINTS_READ),
    controls=("NS-2",),
)
def assert_config_endpoint_association(machine: Machine) -> Iterator[Finding]:
    """Assert the association named exactly ``configurationAccessEndpoint``, with an endpoint that exists.

    It does not apply to a machine without one that uses no private link at all: neither its DNS, nor its network's
    neighbours, nor what it sends to leads to a private link scope.

    The name counts in its exact spelling. Where only a listing that lower-cases names tells of it, the
    spelling is not known and the rule is unverified.

    Args:
        machine: a virtual machine, an Arc machine, or a Uniform scale set, which carries associations itself.
    """
    flexible_instances_apart(machine)
    yield from config_endpoint_findings(machine)


@rule(
    "AMPLS403",
    f"Endpoints are associated under the name {CONFIG_ENDPOINT_ASSOCIATION}, and rules never are",
    severity=Severity.MEDIUM,
    why="""An endpoint under any other name does nothing. A rule under the reserved name, which Terraform
    takes by default where the association has no name, keeps the name from the endpoint that needs it.""",
    fix=Fix(
        az="az monitor data-collection rule association delete --name <association> --resource <id>\n"
        "# then create it again: endpoints as "
        + CONFIG_ENDPOINT_ASSOCIATION
        + ", rules under any other name",
        terraform="azurerm_monitor_data_collection_rule_association: leave name out only where "
        "data_collection_endpoint_id is set",
        bicep="Microsoft.Insights/dataCollectionRuleAssociations '<association>': correct its name",
    ),
    learn=_LEARN + "fundamentals/private-link-vm-kubernetes#associate-vm-or-cluster-with-dce",
    permissions=_ASSOCIATIONS_READ,
)
def assert_reserved_name_used_well(machine: Machine) -> Iterator[Finding]:
    """Assert that no endpoint is held under another name, and no rule under the reserved one.

    Args:
        machine: a virtual machine, an Arc machine, or a Uniform scale set, which carries associations itself.
    """
    flexible_instances_apart(machine)
    reserved, misnamed = machine.config_endpoint_association, misnamed_associations(machine)
    if reserved is None and not misnamed and not any(map(says_nothing, machine.associations)):
        raise NotApplicable(f"{machine.label!r} has no association with an endpoint: AMPLS402 judges that")
    if reserved is not None and reserved.properties.data_collection_rule_id:
        yield Finding.on(
            machine,
            f"dataCollectionRuleAssociations[{reserved.label}].properties.dataCollectionRuleId",
            expected="no rule under the reserved name",
            observed=f"the rule {ResourceId.parse(reserved.properties.data_collection_rule_id).name!r}",
            evidence=listing(machine),
            tokens={"association": reserved.label},
        )
    for association in misnamed:
        yield Finding.on(
            machine,
            f"dataCollectionRuleAssociations[{association.label}].name",
            expected=f"exactly {CONFIG_ENDPOINT_ASSOCIATION} for an association that holds an endpoint",
            observed=f"{how_misnamed(association.label).rstrip(',')}: the agent ignores it",
            evidence=listing(machine),
            tokens={"association": association.label},
        )
    for association in machine.associations:
        require_object(association)  # one that does not say what it holds may hold an endpoint, or a rule


def _config_endpoint(machine: Machine) -> DataCollectionEndpoint:
    endpoint = machine.config_endpoint
    if endpoint is None:
        raise NotApplicable(f"{machine.label!r} has no configuration endpoint: AMPLS402 judges that")
    return endpoint


def _outside_findings(machine: Machine, path: str, noun: str, resource_id: str) -> Iterator[Finding]:
    """Report each scope of the machine that does not list a resource."""
    name = ResourceId.parse(resource_id).name
    for scope in scopes_without(machine, resource_id):
        tokens = {"linked-id": resource_id, "linked": name}
        shown = scope or machine.estate.private_link_scopes[0]
        if scope is None:
            listed = ", ".join(repr(part.label) for part in machine.estate.private_link_scopes)
            expected = f"{noun} that is a member of a private link scope"
            observed = f"{name!r}, which no private link scope lists (scopes that were read: {listed})"
        else:
            expected = (
                f"{noun} that is a member of {scope.label!r}, the scope that the machine's DNS leads to"
            )
            observed = f"{name!r}, which the scope {scope.label!r} does not list"
        if scope is not None or len(machine.estate.private_link_scopes) == 1:
            tokens |= {"scope": shown.label, "scope-resource-group": shown.resource_group}
        yield Finding.on(
            machine,
            path,
            expected=expected,
            observed=observed,
            evidence=az_rest(shown, ScopedResource.ARM_TYPE),
            tokens=tokens,
        )


_ADD_MEMBER: Final = Fix(
    az="az monitor private-link-scope scoped-resource create --name <linked> --scope-name <scope> "
    "--resource-group <scope-resource-group> --linked-resource <linked-id>",
    terraform='azurerm_monitor_private_link_scoped_service { scope_name = "<scope>", '
    'linked_resource_id = "<linked-id>" }',
    bicep="Microsoft.Insights/privateLinkScopes/scopedResources: properties.linkedResourceId: '<linked-id>'",
)


@rule(
    "AMPLS404",
    "The endpoint that a machine fetches its configuration from is in the scope that its DNS leads to",
    severity=Severity.HIGH,
    why="""The configuration service serves an agent that arrives over a private link only through an
    endpoint of that private link's scope. The name of an endpoint outside of it has no private record: the
    agent is refused, or finds no address.""",
    fix=_ADD_MEMBER,
    learn=_LEARN + "fundamentals/private-link-vm-kubernetes#add-dces-to-ampls",
    permissions=(*_ASSOCIATIONS_READ, _ENDPOINTS_READ, *_SCOPES_READ, *_NAMES_READ),
    controls=("NS-2",),
)
def assert_config_endpoint_in_scope(machine: Machine) -> Iterator[Finding]:
    """Assert that every scope that the machine's DNS leads to lists its configuration endpoint.

    For an Arc machine, whose DNS is not known to Azure, one scope is enough.

    Args:
        machine: a virtual machine, an Arc machine, or a Uniform scale set, which carries associations itself.
    """
    flexible_instances_apart(machine)
    endpoint = _config_endpoint(machine)
    yield from _outside_findings(machine, ENDPOINT_PATH, "an endpoint", endpoint.id)


@rule(
    "AMPLS405",
    "The endpoint that a machine fetches its configuration from is in the machine's region",
    severity=Severity.HIGH,
    why="""An agent can use only an endpoint of its own region to fetch its configuration. With one of
    another region it starts, authenticates and never learns what to collect.""",
    fix=_ASSOCIATE_ENDPOINT,
    learn=_LEARN + "data-collection/data-collection-endpoint-overview",
    permissions=(*_ASSOCIATIONS_READ, _ENDPOINTS_READ),
)
def assert_config_endpoint_region(machine: Machine) -> Iterator[Finding]:
    """Assert that the configuration endpoint and the machine have the same region.

    Args:
        machine: a virtual machine, an Arc machine, or a Uniform scale set, which carries associations itself.
    """
    flexible_instances_apart(machine)
    endpoint = _config_endpoint(machine)
    theirs = needed(endpoint.location, endpoint, "location")
    ours = needed(machine.location, machine, "location")
    if region(theirs) != region(ours):
        yield Finding.on(
            machine,
            ENDPOINT_PATH,
            expected=f"a data collection endpoint in {ours}",
            observed=f"{endpoint.label!r}, which is in {theirs}",
            evidence=az_rest(endpoint),
            tokens=proposed_endpoint(machine),
        )


@rule(
    "AMPLS407",
    "Every workspace that a machine sends to is in the scope that its DNS leads to",
    severity=Severity.HIGH,
    why="""The agent uploads to the workspace's own host name. For a workspace outside of the scope that
    name has no private record: data takes the public path, or is refused and lost.""",
    fix=_ADD_MEMBER,
    learn=_LEARN + "fundamentals/private-link-vm-kubernetes#configure-log-analytics-workspace",
    permissions=(*_ASSOCIATIONS_READ, _RULES_READ, *_SCOPES_READ, *_NAMES_READ),
    controls=("NS-2",),
)
def assert_destinations_in_scope(machine: Machine) -> Iterator[Finding]:
    """Assert that every scope that the machine's DNS leads to lists the workspaces of all its rules.

    For an Arc machine, whose DNS is not known to Azure, one scope is enough.

    Args:
        machine: a virtual machine, an Arc machine, or a Uniform scale set, which carries associations itself.
    """
    flexible_instances_apart(machine)
    yield from each(destinations(machine), lambda sent: _outside_of(machine, *sent))


def _outside_of(machine: Machine, part: DataCollectionRule, workspace_id: str) -> Iterator[Finding]:
    path = f"dataCollectionRules[{part.label}].properties.destinations.logAnalytics"
    return _outside_findings(machine, path, "a workspace", workspace_id)


@rule(
    "AMPLS410",
    "A machine has no more data collection rules than its agent applies",
    severity=Severity.MEDIUM,
    why="""An agent applies at most 30 data collection rules. What the others ask for is not collected,
    and nothing says so.""",
    fix=Fix(
        az="az monitor data-collection rule association delete --name <association> --resource <id>",
        terraform="remove an azurerm_monitor_data_collection_rule_association of <id>, or merge rules",
        bicep="Microsoft.Insights/dataCollectionRuleAssociations: remove one of <name>, or merge rules",
    ),
    learn=_LEARN + "data-collection/data-collection-rule-overview",
    permissions=_ASSOCIATIONS_READ,
)
def assert_association_limit(machine: Machine, *, limit: int = 30) -> Iterator[Finding]:
    """Assert that no more than ``limit`` associations of the machine hold a data collection rule.

    Args:
        machine: a virtual machine, an Arc machine, or a Uniform scale set, which carries associations itself.
        limit: how many there may be, Azure Monitor's limit by default.
    """
    flexible_instances_apart(machine)
    count = sum(1 for part in machine.associations if part.properties.data_collection_rule_id)
    silent = [part for part in machine.associations if says_nothing(part)]
    if not count and not silent:
        raise NotApplicable(f"{machine.label!r} has no association with a rule: AMPLS401 judges that")
    if count > limit:
        yield Finding.on(
            machine,
            "dataCollectionRuleAssociations",
            expected=f"at most {limit} associations with data collection rules",
            observed=f"{count}",
            evidence=listing(machine),
        )
    elif count + len(silent) > limit:
        require_object(silent[0])  # any of them may be one too many


@rule(
    "AMPLS413",
    "Every instance of a Flexible scale set, and every Uniform set itself, has both associations",
    severity=Severity.HIGH,
    why="""Associations are no part of a scale set's model. A new Flexible instance gets agent and
    identity from the set, and neither rule nor endpoint: it collects nothing until something, a policy as a
    rule, associates it.""",
    fix=Fix(
        az=f"{_ASSOCIATE_RULE.az}\n{_ASSOCIATE_ENDPOINT.az}\n# new instances: assign the built-in policies",
        terraform="azurerm_resource_group_policy_assignment, one for the rule and one for the endpoint, of "
        "'Configure Linux Machines to be associated with a Data Collection Rule or a Data Collection Endpoint'",
        bicep="Microsoft.Authorization/policyAssignments of the same policies, with an identity",
    ),
    learn=_LEARN + "data-collection/data-collection-rule-associations#create-new-association",
    permissions=(*_ASSOCIATIONS_READ, _RULES_READ, _ENDPOINTS_READ),
    controls=("LT-3",),
)
def assert_instances_associated(vmss: VirtualMachineScaleSet) -> Iterator[Finding]:
    """Assert rule and endpoint association on each Flexible instance, or on the Uniform set itself.

    Args:
        vmss: the scale set.
    """
    of_kind(vmss, VirtualMachineScaleSet)
    carriers: tuple[Machine, ...] = (vmss,)
    if vmss.is_flexible:
        carriers = tuple(part for part in vmss.instances if isinstance(part, Machine))
        if not carriers:
            raise NotApplicable(f"Flexible scale set {vmss.label!r} has no instances")
    yield from each(carriers, lambda machine: each(_BOTH, lambda judge: judge(machine)))


def _endpoint_findings(machine: Machine) -> Iterator[Finding]:
    with suppress(NotApplicable):  # which leaves the rule to be judged
        yield from config_endpoint_findings(machine)


_BOTH: Final[tuple[Callable[[Machine], Iterator[Finding]], ...]] = (rule_findings, _endpoint_findings)
