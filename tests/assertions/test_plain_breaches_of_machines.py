"""Machines that break a demand in a way that is easily overlooked: each was once green, or told too little."""

from __future__ import annotations

import pytest

from pytest_ampls.assertions import (
    assert_agent_identity,
    assert_config_endpoint_in_scope,
    assert_flexible_instances_use_uami,
    assert_instances_associated,
    assert_rule_association,
)
from pytest_ampls.errors import DocumentError
from pytest_ampls.model import DataCollectionRuleAssociation
from tests.assertions.machines import (
    DCR,
    UAMI,
    findings,
    machine,
    monitored_estate,
    observed,
    scale_set,
)
from tests.builders import (
    ASSOCIATIONS,
    DCRS,
    MEMBERS,
    SCALE_SETS,
    build_estate,
)

OTHER_SUBSCRIPTION = "00000000-0000-0000-0000-000000000002"


@pytest.mark.parametrize("kind", ["AgentSettings", "WorkspaceTransforms", "platformtelemetry"])
def test_a_rule_that_collects_nothing_is_no_rule(kind: str) -> None:
    """Agent settings and transformations have no data sources for a machine."""
    plan = monitored_estate()
    plan[DCRS, "dcr-linux"]["kind"] = kind
    estate = plan.build()
    assert "collect nothing" in observed(assert_rule_association, machine(estate))
    assert "collect nothing" in observed(assert_instances_associated, machine(estate, "uniform"))


@pytest.mark.parametrize("kind", [None, "", "Linux", "Windows", "SomethingNew"])
def test_other_kinds_of_rules_count(kind: str | None) -> None:
    """A kind that is absent or unknown is not held against the rule."""
    plan = monitored_estate()
    plan[DCRS, DCR.rpartition("/")[2]]["kind"] = kind
    assert not findings(assert_rule_association, machine(plan.build()))


def test_an_identity_that_was_deleted_gives_no_token() -> None:
    """Its id stays on the machine, and the settings name it: the agent asks in vain."""
    plan = monitored_estate()
    plan.remove("Microsoft.ManagedIdentity/userAssignedIdentities", lambda _: True)
    assert observed(assert_agent_identity, machine(plan.build())) == (
        f"the agent asks for {UAMI.lower()}, which was deleted; the machine only has its id"
    )


def test_an_association_without_a_machine_in_its_id_is_unverified() -> None:
    """An id that names no machine ends in an error that names it."""
    nobody = f"/providers/{ASSOCIATIONS}/nobody"
    estate = build_estate(
        children={(ASSOCIATIONS, DCR): [{"id": nobody, "name": "nobody", "properties": {}}]}
    )
    (association,) = estate.known(DataCollectionRuleAssociation)
    with pytest.raises(DocumentError, match="a machine in its id"):
        _ = association.target_id


# ------------------------------------------------------------------- commands


def test_commands_for_a_scale_set_are_complete() -> None:
    """Scale sets are named by group and name: their extension command takes no ids."""
    plan = monitored_estate()
    plan[SCALE_SETS, "flexible"]["identity"] = None
    with pytest.raises(AssertionError) as raised:
        assert_flexible_instances_use_uami(scale_set(plan.build(), "flexible"))
    assert "az vmss identity assign --resource-group rg --name flexible --identities <identity-id>" in str(
        raised.value
    )
    assert "--vmss-name flexible --publisher Microsoft.Azure.Monitor --name AzureMonitorLinuxAgent" in str(
        raised.value
    )


def test_the_command_for_an_instance_knows_the_only_endpoint() -> None:
    """Both associations are in the fix, and so is the endpoint where there is no choice."""
    plan = monitored_estate()
    plan.remove(ASSOCIATIONS, lambda name: name.startswith("flexible_0"))
    with pytest.raises(AssertionError) as raised:
        assert_instances_associated(scale_set(plan.build(), "flexible"))
    assert "<endpoint-id>" not in str(raised.value)


def test_the_command_for_an_arc_machine_knows_the_only_scope() -> None:
    """Where there is one scope it is the one to propose."""
    plan = monitored_estate()
    plan.remove(MEMBERS, lambda name: name.endswith("/dce"))
    with pytest.raises(AssertionError, match="--scope-name ampls --resource-group rg"):
        assert_config_endpoint_in_scope(machine(plan.build(), "arc"))
