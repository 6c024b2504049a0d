"""The rules about associations, endpoints and destinations, each on a good and on bad estates."""

from __future__ import annotations

import msgspec
import pytest

from pytest_ampls.assertions.data_collection import (
    assert_association_limit,
    assert_config_endpoint_association,
    assert_config_endpoint_in_scope,
    assert_config_endpoint_region,
    assert_destinations_in_scope,
    assert_instances_associated,
    assert_reserved_name_used_well,
    assert_rule_association,
)
from pytest_ampls.catalogue import ConformanceError, Rule, Verdict, judgements
from pytest_ampls.errors import AccessDeniedError, DocumentError, NotReadError
from pytest_ampls.model import Estate, Machine
from tests.assertions.machines import (
    DCE,
    DCR,
    RESERVED,
    MonitoredBlueprint,
    findings,
    machine,
    monitored_estate,
    observed,
    scale_set,
    unassociated,
    why_not_applicable,
)
from tests.builders import (
    ARC_MACHINES,
    ASSOCIATIONS,
    DCES,
    DCRS,
    SCALE_SETS,
    VMS,
    build_estate,
    denied,
    resource_id,
)

MachineRule = Rule[[Machine]]
ON_MACHINES: list[MachineRule] = [
    assert_rule_association,
    assert_config_endpoint_association,
    assert_reserved_name_used_well,
    assert_config_endpoint_in_scope,
    assert_config_endpoint_region,
    assert_destinations_in_scope,
    assert_association_limit,
]
VM1 = resource_id(VMS, "vm1")


@pytest.fixture
def plan() -> MonitoredBlueprint:
    """Documents of an estate that every rule holds on."""
    return monitored_estate()


@pytest.mark.parametrize("name", ["vm1", "flexible_0", "arc", "uniform"])
@pytest.mark.parametrize("rule", ON_MACHINES, ids=[rule.id for rule in ON_MACHINES])
def test_rules_hold_on_monitored_machines(plan: MonitoredBlueprint, rule: MachineRule, name: str) -> None:
    """VM, Flexible instance, Arc machine and Uniform set pass, and the judgement says that they were judged."""
    with judgements() as kept:
        rule(machine(plan.build(), name))
    assert [entry.verdict for entry in kept] == [Verdict.HELD]


@pytest.mark.parametrize("rule", ON_MACHINES, ids=[rule.id for rule in ON_MACHINES])
def test_flexible_sets_are_judged_through_their_instances(
    plan: MonitoredBlueprint, rule: MachineRule
) -> None:
    """A Flexible set carries no associations, so no rule about them applies to it."""
    assert "its instances are virtual machines" in why_not_applicable(rule, scale_set(plan.build()))


@pytest.mark.parametrize("rule", ON_MACHINES, ids=[rule.id for rule in ON_MACHINES])
def test_denied_associations_are_no_verdict(plan: MonitoredBlueprint, rule: MachineRule) -> None:
    """A machine whose listing was refused neither passes nor fails."""
    plan.gaps[ASSOCIATIONS, VM1] = denied("the associations of vm1")
    with pytest.raises(AccessDeniedError, match="the associations of vm1"):
        rule(machine(plan.build()))


@pytest.mark.parametrize("rule", ON_MACHINES, ids=[rule.id for rule in ON_MACHINES])
def test_other_resources_are_refused(plan: MonitoredBlueprint, rule: MachineRule) -> None:
    """A rule about machines says so when it is given something else."""
    (scope,) = plan.build().private_link_scopes
    with pytest.raises(TypeError, match="judges a Machine"):
        findings(rule, scope)


# ------------------------------------------------------------------- AMPLS401


def test_a_machine_without_rule_fails(plan: MonitoredBlueprint) -> None:
    """No association with a rule is a finding that shows the listing to look at."""
    (finding,) = findings(assert_rule_association, unassociated(plan, "vm1", "dcr"))
    assert finding.observed == "no association with a data collection rule"
    assert finding.evidence.endswith(
        "/virtualMachines/vm1/providers/Microsoft.Insights/dataCollectionRuleAssociations"
        '?api-version=2023-03-11"'
    )


def test_a_rule_that_does_not_exist_is_none(plan: MonitoredBlueprint) -> None:
    """An association outlives the rule it names."""
    plan.remove(DCRS, lambda name: True)
    assert observed(assert_rule_association, machine(plan.build())) == (
        f"associated only with rules that do not exist: {DCR.replace('resourceGroups', 'resourcegroups')}"
    )


def test_one_existing_rule_is_enough(plan: MonitoredBlueprint) -> None:
    """A dangling or an unread association beside a good one breaks nothing."""
    plan.associate(VM1, "aaa", dataCollectionRuleId=f"{DCR}-gone")
    plan.associate(VM1, "bbb", dataCollectionRuleId=DCR.replace("0001", "0002"))
    assert findings(assert_rule_association, machine(plan.build())) == ()


def test_a_rule_that_was_not_read_is_no_verdict(plan: MonitoredBlueprint) -> None:
    """The only rule is of a subscription that nobody read: whether it exists is not known."""
    plan[ASSOCIATIONS, "vm1/dcr"]["properties"]["dataCollectionRuleId"] = DCR.replace("0001", "0002")
    with pytest.raises(NotReadError, match="--ampls-subscription"):
        assert_rule_association(machine(plan.build()))


# ------------------------------------------------------------------- AMPLS402


def test_a_machine_without_the_reserved_association_fails(plan: MonitoredBlueprint) -> None:
    """The failure an engineer meets most: its message names the rule, the fix and the region's endpoint."""
    with pytest.raises(ConformanceError) as caught:
        assert_config_endpoint_association(unassociated(plan, "vm1", RESERVED))
    text = str(caught.value)
    assert text.startswith("AMPLS402 A machine has the association configurationAccessEndpoint")
    assert "  virtual machine rg/vm1\n" in text
    assert "    observed  no association of that name\n    evidence  az rest --method get --url" in text
    assert f"--name {RESERVED} --resource {VM1} --endpoint-id {DCE}\n" in text


@pytest.mark.parametrize(
    ("name", "quoted"),
    [
        ("configAccessEndpoint", "'configAccessEndpoint'"),
        ("ConfigurationAccessEndpoint", "'ConfigurationAccessEndpoint', which differs in case,"),
        ("configurationaccessendpoint", "'configurationaccessendpoint', which differs in case,"),
        ("my-dce", "'my-dce'"),
    ],
)
def test_a_near_miss_is_named(plan: MonitoredBlueprint, name: str, quoted: str) -> None:
    """The endpoint is there, under a name that the agent does not look for."""
    unassociated(plan, "vm1", RESERVED)
    plan.associate(VM1, name, dataCollectionEndpointId=DCE)
    estate = plan.build()
    assert observed(assert_config_endpoint_association, machine(estate)) == (
        f"no association of that name; {quoted} holds an endpoint, and the agent does not look there"
    )
    (finding,) = findings(assert_reserved_name_used_well, machine(estate))
    assert finding.property == f"dataCollectionRuleAssociations[{name}].name"
    assert finding.observed == f"{quoted.rstrip(',')}: the agent ignores it"
    assert finding.tokens["association"] == name


@pytest.mark.parametrize("rule", [assert_config_endpoint_in_scope, assert_config_endpoint_region])
def test_rules_on_the_endpoint_point_to_its_absence(plan: MonitoredBlueprint, rule: MachineRule) -> None:
    """Without endpoint there is nothing to judge, and the reason says which rule reports that."""
    without = unassociated(plan, "vm1", RESERVED)
    assert why_not_applicable(rule, without).endswith("AMPLS402 judges that")


def test_the_reserved_name_with_a_rule_is_wrong_twice(plan: MonitoredBlueprint) -> None:
    """The endpoint is missing, and its name is taken."""
    unassociated(plan, "vm1", RESERVED)
    plan.associate(VM1, RESERVED, dataCollectionRuleId=DCR)
    estate = plan.build()
    assert observed(assert_config_endpoint_association, machine(estate)) == (
        "the association of that name holds the data collection rule 'dcr-linux' instead of an endpoint"
    )
    assert observed(assert_reserved_name_used_well, machine(estate)) == "the rule 'dcr-linux'"


def test_the_reserved_name_with_nothing_is_no_verdict(plan: MonitoredBlueprint) -> None:
    """An association that names neither a rule nor an endpoint may hold either: the document does not say."""
    plan[ASSOCIATIONS, f"vm1/{RESERVED}"]["properties"] = {}
    with pytest.raises(DocumentError, match=r"without .*dataCollectionEndpointId"):
        findings(assert_config_endpoint_association, machine(plan.build()))


def test_an_endpoint_that_does_not_exist_fails(plan: MonitoredBlueprint) -> None:
    """An association outlives the endpoint it names."""
    plan.remove(DCES, lambda name: True)
    vm = machine(plan.build())
    assert observed(assert_config_endpoint_association, vm) == f"it holds {DCE.lower()}, which does not exist"
    assert why_not_applicable(assert_config_endpoint_region, vm).endswith("AMPLS402 judges that")


def test_no_endpoint_association_leaves_nothing_to_name(plan: MonitoredBlueprint) -> None:
    """Without any association with an endpoint the rule about names does not apply."""
    without = unassociated(plan, "vm1", RESERVED)
    assert "AMPLS402 judges that" in why_not_applicable(assert_reserved_name_used_well, without)


def seen_from_containers(plan: MonitoredBlueprint) -> Estate:
    """Return the estate as the rules and endpoints list it: ids and names in lower case, no listing of machines."""
    documents = {kind: list(named.values()) for kind, named in plan.documents.items()}
    lowered = [
        msgspec.json.decode(msgspec.json.encode(part).decode().lower()) | {"properties": part["properties"]}
        for part in documents.pop(ASSOCIATIONS)
    ]
    children = {
        (ASSOCIATIONS, container): [part for part in lowered if held in part["properties"]]
        for container, held in ((DCR, "dataCollectionRuleId"), (DCE, "dataCollectionEndpointId"))
    }
    whole = build_estate(documents, children=children)
    machines = {key.lower() for key in (resource_id(kind, "") for kind in (VMS, ARC_MACHINES, SCALE_SETS))}
    kept = tuple(
        reading
        for reading in whole.snapshot.readings
        if reading.type != ASSOCIATIONS or not any(reading.scope.startswith(part) for part in machines)
    )
    return Estate(msgspec.structs.replace(whole.snapshot, readings=kept))


@pytest.mark.parametrize(
    "rule",
    [assert_config_endpoint_association, assert_reserved_name_used_well, assert_config_endpoint_region],
)
def test_a_lower_case_listing_does_not_tell_the_spelling(plan: MonitoredBlueprint, rule: MachineRule) -> None:
    """Endpoints list their machines' associations in lower case: the name neither passes nor fails on that."""
    with pytest.raises(NotReadError, match=r"spelling of the association .* was not confirmed"):
        rule(machine(seen_from_containers(plan)))


def test_a_lower_case_listing_tells_of_rules(plan: MonitoredBlueprint) -> None:
    """A rule's association may have any name, so its listing is enough; what it does not show it says."""
    estate = seen_from_containers(plan)
    assert findings(assert_rule_association, machine(estate)) == ()
    unassociated(plan, "vm1", RESERVED)
    assert observed(assert_config_endpoint_association, machine(seen_from_containers(plan))) == (
        "no association of that name, by the listings of the rules and endpoints that were read"
    )
    unassociated(plan, "vm1")
    lonely = machine(seen_from_containers(plan))
    for rule in (assert_rule_association, assert_config_endpoint_association):
        assert observed(rule, lonely).endswith(", by the listings of the rules and endpoints that were read")


# ------------------------------------------------------------------- AMPLS405, AMPLS410


def test_an_endpoint_of_another_region_fails(plan: MonitoredBlueprint) -> None:
    """Regions compare by name however they are written; the endpoint of the right one is proposed."""
    plan[DCES, "dce"]["location"] = "West Europe"
    assert findings(assert_config_endpoint_region, machine(plan.build())) == ()
    plan[DCES, "dce"]["location"] = "northeurope"
    near = resource_id(DCES, "dce-near")
    plan.add(DCES, near, {}, location="westeurope")
    (finding,) = findings(assert_config_endpoint_region, machine(plan.build()))
    assert (finding.expected, finding.observed) == (
        "a data collection endpoint in westeurope",
        "'dce', which is in northeurope",
    )
    assert finding.tokens["endpoint-id"] == near
    del plan[DCES, "dce"]["location"]
    with pytest.raises(DocumentError, match="without location"):
        assert_config_endpoint_region(machine(plan.build()))


def test_more_rules_than_the_agent_applies_fail(plan: MonitoredBlueprint) -> None:
    """Thirty are fine, one more is not; the limit is an expectation; endpoints do not count."""
    for number in range(29):
        plan.associate(VM1, f"more-{number}", dataCollectionRuleId=f"{DCR}-{number}")
    assert findings(assert_association_limit, machine(plan.build())) == ()
    plan.associate(VM1, "too-many", dataCollectionRuleId=f"{DCR}-30")
    vm = machine(plan.build())
    (finding,) = findings(assert_association_limit, vm)
    assert (finding.expected, finding.observed) == (
        "at most 30 associations with data collection rules",
        "31",
    )
    assert findings(assert_association_limit, vm, limit=31) == ()
    without = unassociated(plan, "vm2", "dcr")
    assert why_not_applicable(assert_association_limit, without).endswith("AMPLS401 judges that")


# ------------------------------------------------------------------- AMPLS413


@pytest.mark.parametrize("name", ["flexible", "uniform"])
def test_associated_scale_sets_pass(plan: MonitoredBlueprint, name: str) -> None:
    """Instances of the Flexible set and the Uniform set itself have both associations."""
    assert findings(assert_instances_associated, scale_set(plan.build(), name)) == ()


def test_an_unassociated_instance_is_named(plan: MonitoredBlueprint) -> None:
    """A Flexible instance that scaled out without associations is a finding for each of them."""
    plan.vm("flexible_1", "spoke1/vm", "192.168.1.11")
    plan[VMS, "flexible_1"]["properties"]["virtualMachineScaleSet"] = {
        "id": resource_id(SCALE_SETS, "flexible")
    }
    found = findings(assert_instances_associated, scale_set(plan.build()))
    assert [(part.resource, part.observed) for part in found] == [
        ("virtual machine rg/flexible_1", "no association with a data collection rule"),
        ("virtual machine rg/flexible_1", "no association of that name"),
    ]


def test_an_unassociated_uniform_set_fails(plan: MonitoredBlueprint) -> None:
    """A Uniform set carries the associations itself; those of no instance count."""
    unassociated(plan, "uniform")
    found = findings(assert_instances_associated, scale_set(plan.build(), "uniform"))
    assert {part.resource for part in found} == {"virtual machine scale set rg/uniform"}
    assert len(found) == 2


def test_a_flexible_set_without_instances_is_not_judged(plan: MonitoredBlueprint) -> None:
    """No instances is no pass."""
    del plan[VMS, "flexible_0"]
    assert "has no instances" in why_not_applicable(assert_instances_associated, scale_set(plan.build()))


def test_instances_must_be_read(plan: MonitoredBlueprint) -> None:
    """Virtual machines that were refused may be instances."""
    plan.gaps[VMS] = denied("virtual machines")
    with pytest.raises(AccessDeniedError):
        assert_instances_associated(scale_set(plan.build()))
    with pytest.raises(TypeError, match="judges a VirtualMachineScaleSet"):
        findings(assert_instances_associated, machine(monitored_estate().build()))
