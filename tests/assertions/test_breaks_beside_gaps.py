"""A break that was seen is told, whatever else could not be read: each was once hidden by what stands beside it."""

from __future__ import annotations

import pytest

from pytest_ampls.assertions import (
    assert_destinations_in_scope,
    assert_heartbeat,
    assert_heartbeat_private,
    assert_ingestion_access_mode,
    assert_instances_associated,
    assert_no_legacy_agent,
    assert_not_unreachable,
    assert_public_access_disabled,
    assert_single_scope_per_dns_boundary,
    assert_single_scope_per_vnet,
    assert_workspace_in_scope,
)
from pytest_ampls.catalogue import ConformanceError
from pytest_ampls.effective.thoroughness import each
from pytest_ampls.errors import AccessDeniedError, DocumentError, EvidenceError, NotReadError
from tests.assertions.asked_estate import second_scope
from tests.assertions.log_readings import beat, read, vm1
from tests.assertions.machines import (
    OMS_AGENT,
    MonitoredBlueprint,
    machine,
    monitored_estate,
    scale_set,
)
from tests.builders import (
    AMPLS,
    ASSOCIATIONS,
    DCRS,
    ENDPOINTS,
    MEMBERS,
    NICS,
    VMS,
    WORKSPACES,
    denied,
    resource_id,
)
from tests.private_estate import MONITOR, ampls, vnet, workspace

OUTSIDE = resource_id(WORKSPACES, "outside")
ELSEWHERE = resource_id(DCRS, "elsewhere", subscription="00000000-0000-0000-0000-000000000002")
VM1 = resource_id(VMS, "vm1")


@pytest.fixture
def plan() -> MonitoredBlueprint:
    """Return an estate that every rule holds on, to be broken."""
    return monitored_estate()


def told(error: pytest.ExceptionInfo[ConformanceError]) -> str:
    """Return what was observed, of the one finding that has something unverified beside it."""
    (finding,) = error.value.findings
    assert error.value.unverified
    return finding.observed


def test_each_subject_is_judged() -> None:
    """The first error is raised behind everything that was found, be it the judge's or the subjects' own."""

    def subjects() -> list[int]:
        return [1, 2, 3]

    def judge(number: int) -> list[int]:
        if number == 2:
            raise NotReadError("two")
        return [number]

    seen: list[int] = []
    with pytest.raises(NotReadError, match="two"):
        seen += each(each(subjects(), judge), lambda number: (number,))
    assert seen == [1, 3]


def test_an_unread_rule_hides_no_workspace_outside(plan: MonitoredBlueprint) -> None:
    """AMPLS407: another rule sends to a workspace that is not in the scope."""
    plan.associate(VM1, "a-first", dataCollectionRuleId=ELSEWHERE)
    plan[DCRS, "dcr-linux"]["properties"]["destinations"]["logAnalytics"][0]["workspaceResourceId"] = OUTSIDE
    with pytest.raises(ConformanceError) as error:
        assert_destinations_in_scope(machine(plan.build()))
    assert told(error) == "'outside', which the scope 'ampls' does not list"


def test_a_destination_without_a_workspace_hides_no_other(plan: MonitoredBlueprint) -> None:
    """AMPLS407: the destination before it does not name its workspace."""
    properties = plan[DCRS, "dcr-linux"]["properties"]
    properties["destinations"]["logAnalytics"] = [{"name": "?"}, {"workspaceResourceId": OUTSIDE}]
    with pytest.raises(ConformanceError) as error:
        assert_destinations_in_scope(machine(plan.build()))
    assert "'outside'" in told(error)


def test_an_unread_rule_hides_no_fresh_heartbeat(plan: MonitoredBlueprint) -> None:
    """AMPLS601 holds by one workspace; without a fresh row there the unread rule may name another one."""
    plan.associate(VM1, "a-first", dataCollectionRuleId=ELSEWHERE)
    assert_heartbeat(vm1(read(beat()), plan=plan))
    with pytest.raises(NotReadError, match="elsewhere"):
        assert_heartbeat(vm1(read(beat(minutes=60)), plan=plan))


def test_the_fix_alone_needs_the_interface(plan: MonitoredBlueprint) -> None:
    """AMPLS602: that the row came from a public address is known without the machine's network."""
    plan.gaps[NICS] = denied("interfaces")
    with pytest.raises(ConformanceError, match="a public address") as error:
        assert_heartbeat_private(vm1(read(beat()), plan=plan))
    assert error.value.unverified is None


def test_unread_members_of_another_scope_hide_no_public_path(plan: MonitoredBlueprint) -> None:
    """AMPLS602: the scope that lists the workspace is known."""
    plan.scope("zz", [])
    plan.gaps[MEMBERS, resource_id(AMPLS, "zz")] = denied("members of zz")
    with pytest.raises(ConformanceError, match="a public address"):
        assert_heartbeat_private(vm1(read(beat()), plan=plan))


def test_an_unread_instance_hides_no_other(plan: MonitoredBlueprint) -> None:
    """AMPLS413: the associations of one instance are refused, another instance has none."""
    plan.vm("flexible_1", "spoke1/vm", "192.168.1.11")
    plan[VMS, "flexible_1"]["properties"]["virtualMachineScaleSet"] = plan[VMS, "flexible_0"]["properties"][
        "virtualMachineScaleSet"
    ]
    plan.gaps[ASSOCIATIONS, resource_id(VMS, "flexible_0")] = denied("associations of flexible_0")
    with pytest.raises(ConformanceError) as error:
        assert_instances_associated(scale_set(plan.build()))
    assert len(error.value.findings) == 2
    assert "flexible_0" in str(error.value.unverified)


def test_an_exclusion_is_judged_beside_one_that_says_nothing(plan: MonitoredBlueprint) -> None:
    """AMPLS101: neither a missing mode of the scope nor one of another exclusion hides the weak one."""
    plan[AMPLS, "ampls"]["properties"]["accessModeSettings"] = {
        "exclusions": [
            {"privateEndpointConnectionName": "pe.connection"},
            {"privateEndpointConnectionName": "pe.connection", "ingestionAccessMode": "Open"},
        ]
    }
    with pytest.raises(ConformanceError) as error:
        assert_ingestion_access_mode(ampls(plan.build()))
    assert told(error) == "Open for clients of connection pe.connection"


def test_one_open_flag_is_open(plan: MonitoredBlueprint) -> None:
    """AMPLS109 and AMPLS110: the other flag is missing."""
    properties = plan[WORKSPACES, "ws"]["properties"]
    properties["publicNetworkAccessForQuery"] = "Enabled"
    with pytest.raises(ConformanceError) as error:
        assert_public_access_disabled(workspace(plan.build()))
    assert told(error) == "Enabled"
    properties["publicNetworkAccessForQuery"] = "Disabled"
    plan.remove(MEMBERS, lambda name: name.endswith("/ws"))
    with pytest.raises(ConformanceError, match="unreachable from everywhere"):
        assert_not_unreachable(workspace(plan.build()))
    properties["publicNetworkAccessForQuery"] = "Enabled"
    with pytest.raises(DocumentError, match="publicNetworkAccessForIngestion"):
        assert_not_unreachable(workspace(plan.build()))


def test_an_unread_client_hides_no_scope_of_another(plan: MonitoredBlueprint) -> None:
    """AMPLS103: the DNS of vm1 leads to a scope that does not list the workspace."""
    plan.remove(MEMBERS, lambda name: name.endswith("/ws"))
    plan.scope("other", [resource_id(WORKSPACES, "ws")])
    plan.gaps[ASSOCIATIONS, resource_id(VMS, "vm2")] = denied("associations of vm2")
    with pytest.raises(ConformanceError) as error:
        assert_workspace_in_scope(workspace(plan.build()))
    assert told(error) == "a member only of 'other'"
    plan.remove(MEMBERS, lambda name: name.startswith("other/"))
    plan.scope("ampls", [resource_id(WORKSPACES, "ws")])
    with pytest.raises(AccessDeniedError, match="vm2"):
        assert_workspace_in_scope(workspace(plan.build()))


def test_an_endpoint_without_a_place_hides_no_second_scope(plan: MonitoredBlueprint) -> None:
    """AMPLS202: two scopes are in the network, wherever the third endpoint is."""
    for name in ("second", "third"):
        plan.scope(name)
        plan.endpoint(f"a-{name}", name, "hub/endpoints", {})
    plan[ENDPOINTS, "a-third"]["properties"]["subnet"] = None
    with pytest.raises(ConformanceError, match="2 scopes"):
        assert_single_scope_per_vnet(vnet(plan.build(), "hub"))


def test_unread_members_hide_no_other_scopes_difference(plan: MonitoredBlueprint) -> None:
    """AMPLS304: of three scopes in a boundary, the members of one were refused."""
    second_scope(plan, members=[])
    plan.scope("third", [])
    plan.endpoint("pe3", "third", "spoke1/vm", {})
    plan.zone_group("pe3", {MONITOR: {}})
    plan.gaps[MEMBERS, resource_id(AMPLS, "third")] = denied("members of third")
    with pytest.raises(ConformanceError) as error:
        assert_single_scope_per_dns_boundary(vnet(plan.build(), "spoke1"))
    assert {finding.tokens["scope"] for finding in error.value.findings} == {"second"}
    assert "members of third" in str(error.value.unverified)


def test_an_extension_that_says_nothing_hides_no_legacy_agent(plan: MonitoredBlueprint) -> None:
    """AMPLS507: what another extension is, is not known."""
    plan.extend(VM1, "a-first", {"provisioningState": "Succeeded"})
    with pytest.raises(EvidenceError, match="'a-first'"):
        assert_no_legacy_agent(machine(plan.build()))
    plan.extend(VM1, "oms", dict(OMS_AGENT))
    with pytest.raises(ConformanceError) as error:
        assert_no_legacy_agent(machine(plan.build()))
    assert "OmsAgentForLinux" in told(error)


def test_a_machine_in_two_networks(plan: MonitoredBlueprint) -> None:
    """AMPLS407: the DNS of one network cannot be told, that of the other leads to a scope without the workspace."""
    plan[DCRS, "dcr-linux"]["properties"]["destinations"]["logAnalytics"][0]["workspaceResourceId"] = OUTSIDE
    plan.vnet("apart", "10.7.0.0/24", dns=["10.99.0.4"], vm="10.7.0.0/26")
    plan.vm("second", "apart/vm", "10.7.0.4")
    interfaces = plan[VMS, "vm1"]["properties"]["networkProfile"]["networkInterfaces"]
    interfaces.insert(0, {"id": resource_id(NICS, "second-nic")})
    with pytest.raises(ConformanceError) as error:
        assert_destinations_in_scope(machine(plan.build()))
    assert "'outside'" in told(error)
