"""Which scopes a VNet has to do with."""

from __future__ import annotations

import pytest

from pytest_ampls.effective.boundaries import has_machines, lacking, scopes_concerning, scopes_in_boundary
from pytest_ampls.errors import AccessDeniedError
from tests.builders import (
    AMPLS,
    ASSOCIATIONS,
    DCES,
    DCRS,
    MEMBERS,
    SUBSCRIPTION,
    VMS,
    VNETS,
    WORKSPACES,
    denied,
    resource_id,
)
from tests.private_estate import NetworkBlueprint, ampls, private_estate, vnet


@pytest.fixture
def plan() -> NetworkBlueprint:
    """Return the healthy estate with a lone machine in a VNet that has nothing to do with the hub."""
    plan = private_estate()
    plan.vnet("island", "10.1.0.0/24", vm="10.1.0.0/26")
    plan.vm("castaway", "island/vm", "10.1.0.4")
    return plan


def concerning(plan: NetworkBlueprint, name: str) -> list[str]:
    """Return the names of the scopes that concern a VNet."""
    return [scope.label for scope in scopes_concerning(vnet(plan.build(), name))]


def test_dns_and_neighbours_decide(plan: NetworkBlueprint) -> None:
    """By its DNS; by a peer's endpoint where its DNS leads nowhere; by nothing."""
    assert concerning(plan, "spoke1") == ["ampls"]
    plan[VNETS, "spoke1"]["properties"]["dhcpOptions"]["dnsServers"] = []
    assert concerning(plan, "spoke1") == ["ampls"]
    assert concerning(plan, "island") == []


@pytest.mark.parametrize("destination", ["workspace", "endpoint"])
def test_what_machines_send_to_decides_last(plan: NetworkBlueprint, destination: str) -> None:
    """A machine far from every endpoint whose workspace, or configuration endpoint, is in a scope."""
    machine = resource_id(VMS, "castaway")
    where = f"{machine}/providers/{ASSOCIATIONS}"
    if destination == "workspace":
        rule = resource_id(DCRS, "dcr")
        sink = {
            "logAnalytics": [{"workspaceResourceId": resource_id(WORKSPACES, "ws").lower(), "name": "ws"}]
        }
        plan.add(DCRS, rule, {"destinations": sink})
        plan.add(ASSOCIATIONS, f"{where}/dcr", {"dataCollectionRuleId": rule})
    else:
        plan.add(
            ASSOCIATIONS,
            f"{where}/configurationAccessEndpoint",
            {"dataCollectionEndpointId": resource_id(DCES, "dce")},
        )
    assert concerning(plan, "island") == ["ampls"]


def test_machines_make_a_client_network(plan: NetworkBlueprint) -> None:
    """A VNet without machines is told from one with, and from one that cannot be told."""
    estate = plan.build()
    assert has_machines(vnet(estate, "island"))
    assert not has_machines(vnet(estate, "hub"))
    plan.gaps[VMS] = denied()
    with pytest.raises(AccessDeniedError):
        has_machines(vnet(plan.build(), "island"))


def test_a_boundary_has_its_scopes_with_their_endpoints(plan: NetworkBlueprint) -> None:
    """Scope by scope, each with the endpoints that meet there."""
    ((scope, endpoints),) = scopes_in_boundary(vnet(plan.build(), "spoke1")).values()
    assert (scope.label, [each.label for each in endpoints]) == ("ampls", ["pe"])
    assert scopes_in_boundary(vnet(plan.build(), "island")) == {}


def test_what_a_scope_lacks_is_compared_without_case_and_without_subscriptions(
    plan: NetworkBlueprint,
) -> None:
    """Memberships of kind metrics link a subscription, which has no name in DNS."""
    plan.scope("second", [resource_id(WORKSPACES, "WS")])
    plan.add(
        MEMBERS,
        resource_id(AMPLS, "ampls", "scopedResources", "metrics"),
        {"linkedResourceId": f"/subscriptions/{SUBSCRIPTION}", "kind": "metrics"},
    )
    estate = plan.build()
    assert lacking(ampls(estate, "second"), ampls(estate)) == (resource_id(DCES, "dce").lower(),)
    assert lacking(ampls(estate), ampls(estate, "second")) == ()
