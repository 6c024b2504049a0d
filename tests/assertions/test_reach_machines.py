"""AMPLS111 without an intent: what the machines of a network use, and what is left to other rules."""

from __future__ import annotations

import pytest

from pytest_ampls.errors import NotReadError
from tests.assertions.machines import MonitoredBlueprint, unassociated
from tests.assertions.reach import (
    OFF,
    ON,
    OTHER_HOST,
    becomes,
    close,
    estate_with_strangers,
    falling_back,
    found,
    in_another_scope,
    publicly,
    rule_names,
    why_not,
)
from tests.builders import CONNECTIONS, CUSTOMER, DCES, ENDPOINTS, MEMBERS, RECORDS, WORKSPACES, resource_id
from tests.private_estate import DCE_HOST, MONITOR, ODS


@pytest.fixture
def plan() -> MonitoredBlueprint:
    """Documents of an estate that every rule holds on, with resources that are in no scope besides."""
    return estate_with_strangers()


def test_machines_without_an_endpoint_are_left_to_their_rule(plan: MonitoredBlueprint) -> None:
    """Over a private link they are refused, over the public path served: AMPLS402 asks for the association."""
    unassociated(plan, "vm2", "configurationAccessEndpoint")
    reason = why_not(plan, "spoke2")
    assert reason.startswith("'vm2' has no data collection endpoint")
    assert "Data collection endpoint must be used to access configuration over private link" in reason
    assert reason.endswith("AMPLS402 judges that")
    publicly(plan)
    close(plan, WORKSPACES, "ws", ON)
    assert "over the public path" in why_not(plan, "spoke2")
    assert found(plan, "spoke2", query={"ws": "allowed"}) == ()


def test_what_the_machines_use_is_reached(plan: MonitoredBlueprint) -> None:
    """The healthy estate holds on networks with machines and does not concern the others."""
    assert found(plan) == ()
    assert found(plan, "spoke2") == ()
    assert why_not(plan, "hub") == "no machine that was read is in virtual network 'hub'"


def test_an_endpoint_of_a_rule_in_another_scope_is_found(plan: MonitoredBlueprint) -> None:
    """No other rule sees it: what machines send there finds no address."""
    in_another_scope(plan, DCES, "dce-other")
    close(plan, DCES, "dce-other", OFF)
    rule_names(plan, "dce-other")
    (finding,) = found(plan)
    assert finding.property == "ingestion of data collection endpoint 'dce-other'"
    assert finding.expected == "allowed: data collection rule 'dcr-linux' sends there"
    assert finding.observed.startswith("no address: the upload has no address to go to")
    assert finding.tokens["scope"] == "ampls"
    assert finding.tokens["member-id"] == resource_id(DCES, "dce-other")
    assert finding.tokens["host"] == f"{OTHER_HOST}.ingest.monitor.azure.com"
    assert "/privatelinkscopes/ampls/scopedResources?" in finding.evidence
    assert found(plan, ingestion={"dce-other": "refused"}) == ()  # the intent takes the place of the default


def test_over_the_public_path_an_endpoint_of_another_scope_is_no_verdict(plan: MonitoredBlueprint) -> None:
    """With fallback the flag would decide, which is inferred."""
    in_another_scope(plan, DCES, "dce-other")
    close(plan, DCES, "dce-other", OFF)
    falling_back(plan)
    rule_names(plan, "dce-other")
    with pytest.raises(
        NotReadError, match=r"'dcr-linux' reaches its endpoint 'dce-other' from virtual network 'spoke1'"
    ):
        found(plan)


def test_an_endpoint_of_a_rule_in_both_scopes_is_reached(plan: MonitoredBlueprint) -> None:
    """The agent's own endpoint as a rule's one, in a second scope besides."""
    in_another_scope(plan, DCES, "dce")
    rule_names(plan, "dce")
    assert found(plan) == ()


@pytest.mark.parametrize(
    ("kind", "name", "says"),
    [
        (MEMBERS, "ampls/ws", "AMPLS407"),
        (MEMBERS, "ampls/dce", "AMPLS404"),
        (RECORDS, f"{ODS}/A/{CUSTOMER}", "AMPLS3xx"),
        (RECORDS, f"{MONITOR}/A/global.handler.control", "AMPLS3xx"),
        (WORKSPACES, "ws", "'ws' does not exist: AMPLS407 judges that"),
    ],
)
def test_what_other_rules_judge_is_left_to_them(
    plan: MonitoredBlueprint, kind: str, name: str, says: str
) -> None:
    """A missing member, record or resource is found once, and never counts as held here."""
    close(plan, WORKSPACES, "ws", OFF)
    close(plan, DCES, "dce", OFF)
    del plan[kind, name]
    assert says in why_not(plan)


def test_an_endpoint_of_a_rule_that_configures_the_agents_is_left_to_their_rule(
    plan: MonitoredBlueprint,
) -> None:
    """AMPLS404 asks whose member it is, for the machines that are associated with it."""
    del plan[MEMBERS, "ampls/dce"]
    in_another_scope(plan, DCES, "dce")
    for part in ("handler.control", "ingest"):
        del plan[RECORDS, f"{MONITOR}/A/{DCE_HOST}.{part}"]
    rule_names(plan, "dce")
    assert "AMPLS404" in why_not(plan)


def test_an_endpoint_of_a_rule_that_is_in_no_scope_is_left_to_its_rule(plan: MonitoredBlueprint) -> None:
    """AMPLS104 asks for a scope; one that does not exist has none to be asked for."""
    close(plan, DCES, "dce-other", OFF)
    rule_names(plan, "dce-other")
    assert "AMPLS104" in why_not(plan)
    rule_names(plan, "dce-gone")
    assert why_not(plan) == "data collection endpoint 'dce-gone' of rule 'dcr-linux' does not exist"


@pytest.mark.parametrize("member", ["ws", "dce"])
def test_a_membership_that_is_not_complete_is_left_to_its_rule(plan: MonitoredBlueprint, member: str) -> None:
    """AMPLS106 finds it, and nothing is held here."""
    plan[MEMBERS, f"ampls/{member}"]["properties"]["provisioningState"] = "Failed"
    assert "AMPLS106" in why_not(plan)


def test_a_public_path_is_not_the_intended_one(plan: MonitoredBlueprint) -> None:
    """Open to the public, everything is reached, and yet nothing by the private path."""
    publicly(plan)
    close(plan, WORKSPACES, "ws", ON)
    close(plan, DCES, "dce", ON)
    assert "over the public path" in why_not(plan)


@pytest.mark.parametrize("others", [["192.168.0.200"], ["192.168.0.68", "192.168.0.200"]])
def test_an_address_of_nobody_is_left_to_its_rule(plan: MonitoredBlueprint, others: list[str]) -> None:
    """A stale record, alone or beside the right one, leads to no endpoint whose scope would decide."""
    plan.record(MONITOR, "api", *others)
    assert becomes(plan, "query", "ws") == "unverified"
    plan.record(MONITOR, "global.handler.control", *others)
    with pytest.raises(NotReadError, match=r"global\.handler\.control\.\S+ leads to 192\.168"):
        found(plan, configuration={"dce": "allowed"})
    plan.record(ODS, CUSTOMER, *others)
    assert "not to one private endpoint of one scope" in why_not(plan)


@pytest.mark.parametrize("side", ["endpoint", "scope", "neither"])
def test_a_connection_that_is_not_approved_is_left_to_its_rule(plan: MonitoredBlueprint, side: str) -> None:
    """Whichever side says so, an intent is not verified through it, and without one nothing is held."""
    state = {"status": "Rejected"}
    if side == "endpoint":
        connection = plan[ENDPOINTS, "pe"]["properties"]["privateLinkServiceConnections"][0]
        connection["properties"]["privateLinkServiceConnectionState"] = state
    elif side == "scope":
        plan[CONNECTIONS, "ampls/pe.connection"]["properties"]["privateLinkServiceConnectionState"] = state
    else:
        plan.remove(CONNECTIONS, lambda name: True)
    assert "whose connection to 'ampls' is" in why_not(plan)
    assert becomes(plan, "query", "ws") == "unverified"
