"""Faults of data collection: associations, endpoints, rules (rules 401 to 413)."""

from __future__ import annotations

from pytest_ampls.lab.estate import monitor
from pytest_ampls.lab.estate.endpoint import admit_members
from pytest_ampls.lab.estate.monitor import add_to_scope
from pytest_ampls.lab.fault.pick import (
    CONFIG_ENDPOINT,
    association,
    client,
    first,
    rule_association_of,
    site_of,
)
from pytest_ampls.lab.fault.registry import estate_fault
from pytest_ampls.lab.store import Document, Estate, guid

__all__: list[str] = []

_ASSOCIATIONS = "Microsoft.Insights/dataCollectionRuleAssociations"
_WORKSPACE = "Microsoft.OperationalInsights/workspaces"
_EVERYWHERE = "hub-and-spoke two-scopes fleet"


@estate_fault(
    "missing-rule-association",
    "a machine is associated with no data collection rule",
    breaks="401",
    estates=_EVERYWHERE,
)
def missing_rule_association(estate: Estate) -> None:
    """Delete a machine's association with its rule."""
    estate.remove(rule_association_of(estate, client(estate))["id"])


@estate_fault(
    "missing-config-endpoint",
    "a machine has no configurationAccessEndpoint association",
    breaks="402",
    estates=_EVERYWHERE,
)
def missing_config_endpoint(estate: Estate) -> None:
    """Delete a machine's association with the data collection endpoint."""
    estate.remove(association(estate, client(estate), CONFIG_ENDPOINT)["id"])


@estate_fault(
    "near-miss-association",
    "a machine's endpoint association is called configAccessEndpoint",
    breaks="402 403",
    estates=_EVERYWHERE,
)
def near_miss_association(estate: Estate) -> None:
    """Give the endpoint association a name that only looks right."""
    machine = client(estate)
    old = estate.remove(association(estate, machine, CONFIG_ENDPOINT)["id"])
    endpoint_id = old["properties"]["dataCollectionEndpointId"]
    estate.add(monitor.endpoint_association(machine["id"], endpoint_id, name="configAccessEndpoint"))


@estate_fault(
    "reserved-name-holds-rule",
    "a machine's configurationAccessEndpoint association carries a rule",
    breaks="402 403",
    estates=_EVERYWHERE,
)
def reserved_name_holds_rule(estate: Estate) -> None:
    """Store the rule association under the reserved name, as a forgotten default does."""
    machine = client(estate)
    rule_id = estate.remove(rule_association_of(estate, machine)["id"])["properties"]["dataCollectionRuleId"]
    properties = association(estate, machine, CONFIG_ENDPOINT)["properties"]
    properties.clear()
    properties["dataCollectionRuleId"] = rule_id


def _reassociate(estate: Estate, endpoint: Document) -> None:
    properties = association(estate, client(estate), CONFIG_ENDPOINT)["properties"]
    properties["dataCollectionEndpointId"] = endpoint["id"]


@estate_fault(
    "config-endpoint-out-of-scope",
    "a machine's endpoint association leads to an endpoint that is in no scope",
    breaks="104 110 404",
)
def config_endpoint_out_of_scope(estate: Estate) -> None:
    """Associate a machine with a second endpoint that was never put into the scope."""
    endpoint = monitor.collection_endpoint(site_of(estate), "dce-forgotten")
    estate.add(endpoint)
    _reassociate(estate, endpoint)


@estate_fault(
    "config-endpoint-other-region",
    "a machine's endpoint association leads to an endpoint in another region",
    breaks="405",
)
def config_endpoint_other_region(estate: Estate) -> None:
    """Associate a machine with an endpoint of northeurope that is in the scope."""
    site = site_of(estate, "northeurope")
    endpoint = monitor.collection_endpoint(site, "dce-northeurope")
    site.add(endpoint)
    add_to_scope(site, first(estate, "Microsoft.Insights/privateLinkScopes"), endpoint)
    admit_members(estate, first(estate, "Microsoft.Network/privateEndpoints"), [endpoint])
    _reassociate(estate, endpoint)


@estate_fault(
    "destination-out-of-scope",
    "a machine has a second rule, whose workspace is in no scope",
    breaks="103 110 407",
)
def destination_out_of_scope(estate: Estate) -> None:
    """Add a workspace outside of the scope and a rule that sends a machine's data there."""
    site = site_of(estate)
    workspace = monitor.workspace(site, "audit", guid("customer", "audit"))
    rule = monitor.collection_rule(site, "dcr-audit", "Linux", workspace)
    machine = client(estate)
    site.add(workspace, rule, monitor.rule_association(machine["id"], "dcr-audit-association", rule["id"]))


@estate_fault("too-many-rules", "a machine has 31 data collection rules", breaks="410", estates=_EVERYWHERE)
def too_many_rules(estate: Estate) -> None:
    """Associate a machine with thirty further rules, each with a counter of its own."""
    site, machine, workspace = site_of(estate), client(estate), first(estate, _WORKSPACE)
    for number in range(1, 31):
        rule = monitor.collection_rule(site, f"dcr-extra-{number:02d}", "Linux", workspace)
        counters = rule["properties"]["dataSources"]["performanceCounters"][0]
        counters["counterSpecifiers"] = [f"Process(app{number})\\% Processor Time"]
        del rule["properties"]["dataSources"]["syslog"]
        rule["properties"]["dataFlows"][0]["streams"] = ["Microsoft-Perf"]
        name = f"dcr-extra-{number:02d}-association"
        site.add(rule, monitor.rule_association(machine["id"], name, rule["id"]))


def _without_associations(estate: Estate, target: Document) -> None:
    for found in estate.children(target["id"], _ASSOCIATIONS):
        estate.remove(found["id"])


@estate_fault(
    "flexible-instance-unassociated",
    "a new instance of the Flexible scale set has no associations",
    breaks="401 402 413",
)
def flexible_instance_unassociated(estate: Estate) -> None:
    """Take both associations off one instance of the Flexible scale set."""
    machines = estate.of_type("Microsoft.Compute/virtualMachines")
    instances = [machine for machine in machines if "virtualMachineScaleSet" in machine["properties"]]
    _without_associations(estate, instances[-1])


@estate_fault("uniform-set-unassociated", "the Uniform scale set has no associations", breaks="401 402 413")
def uniform_set_unassociated(estate: Estate) -> None:
    """Take both associations off the Uniform scale set."""
    sets = estate.of_type("Microsoft.Compute/virtualMachineScaleSets")
    uniform = next(found for found in sets if found["properties"]["orchestrationMode"] == "Uniform")
    _without_associations(estate, uniform)
