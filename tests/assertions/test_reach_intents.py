"""AMPLS111 with intents, by patterns and from the requirements file; its evidence, and estates of the lab."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_ampls.assertions.reach import assert_reachable_as_intended as rule
from pytest_ampls.catalogue import ConformanceError
from pytest_ampls.effective.reach import Use, attempt
from pytest_ampls.errors import AccessDeniedError, ConfigurationError, EvidenceError, NotReadError
from pytest_ampls.model import DataCollectionEndpoint, Estate, VirtualNetwork
from pytest_ampls.requirements import load_requirements
from tests.assertions.machines import DCE, MonitoredBlueprint, monitored_estate
from tests.assertions.reach import (
    OFF,
    ON,
    PERIMETER,
    close,
    estate_with_strangers,
    found,
    in_another_scope,
    modes,
    why_not,
)
from tests.builders import (
    AMPLS,
    ASSOCIATIONS,
    COMPONENTS,
    CONNECTIONS,
    DCES,
    DCRS,
    ENDPOINTS,
    MEMBERS,
    RECORDS,
    VMS,
    VNETS,
    WORKSPACES,
    ZONE_LINKS,
    denied,
    resource_id,
)
from tests.guards.suite import lab_snapshot
from tests.private_estate import vnet, workspace


@pytest.fixture
def plan() -> MonitoredBlueprint:
    """Documents of an estate that every rule holds on, with resources that are in no scope besides."""
    return estate_with_strangers()


# ------------------------------------------------------------------- intents


def test_a_broken_intent_says_everything(plan: MonitoredBlueprint) -> None:
    """The finding names use, resource, intent, row and way."""
    modes(plan)["queryAccessMode"] = "Open"
    close(plan, WORKSPACES, "other", ON)
    (finding,) = found(plan, query={"oth*": "Refused"})
    assert finding.resource == "virtual network rg/spoke1"
    assert finding.property == "query of workspace 'other'"
    assert finding.expected == "refused, as stated for 'oth*'"
    assert finding.observed == (
        "allowed: the query goes through the private endpoint of a scope in Open mode that does not list the resource, "
        "and the resource takes public clients (api.monitor.azure.com leads to 192.168.0.68, of private endpoint 'pe')"
    )


def test_what_nobody_reaches_is_said_to_be_so(plan: MonitoredBlueprint) -> None:
    """Closed and in no scope it is refused from everywhere, a member of another scope is reached there."""
    close(plan, WORKSPACES, "other", OFF)
    (finding,) = found(plan, query={"other": "allowed"})
    assert "refused from everywhere" in finding.observed
    in_another_scope(plan, WORKSPACES, "other")
    (finding,) = found(plan, query={"other": "allowed"})
    assert "refused from everywhere" not in finding.observed


def test_the_last_pattern_holds(plan: MonitoredBlueprint) -> None:
    """Patterns are names, group/name or ids, and a word alone is for everything."""
    close(plan, WORKSPACES, "other", OFF)
    close(plan, COMPONENTS, "appi", OFF)
    assert found(plan, query={"*": "refused", "rg/ws": "allowed"}) == ()
    assert found(plan, query={"*": "refused", resource_id(WORKSPACES, "WS"): "allowed"}) == ()
    assert [each.property for each in found(plan, query="refused")] == ["query of workspace 'ws'"]
    broken = found(plan, query={"rg/ws": "allowed", "*": "refused"})
    assert [each.property for each in broken] == ["query of workspace 'ws'"]


def test_an_intent_is_judged_where_no_machine_is(plan: MonitoredBlueprint) -> None:
    """What is stated for a network is stated for its future machines too."""
    (finding,) = found(plan, "hub", query={"ws": "refused"})
    assert finding.observed.startswith("allowed")


@pytest.mark.parametrize(
    ("intents", "message"),
    [
        ({"query": {"nothing": "refused"}}, "query: 'nothing' matches nothing that was read"),
        ({"query": {"dce": "refused"}}, "query: 'dce' matches nothing that was read"),
        ({"ingestion": {"ws": "denied"}}, "ingestion: 'ws' is to be 'denied': there are allowed and refused"),
        ({"ingestion": {"ws": True}}, "ingestion: 'ws' is to be True"),
        ({"configuration": ["dce"]}, "is no table of patterns"),
        ({"configuration": "never"}, "is to be 'never'"),
    ],
)
def test_an_intent_that_says_nothing_is_an_error(
    plan: MonitoredBlueprint, intents: dict[str, Any], message: str
) -> None:
    """A typing error must not quietly weaken the suite."""
    with pytest.raises(ConfigurationError, match=message):
        found(plan, **intents)


@pytest.mark.parametrize("use", [Use.QUERY, Use.INGESTION, Use.CONFIGURATION])
def test_a_word_for_all_may_be_for_none(use: Use) -> None:
    """An estate without resources of the kind has nothing to be judged, which is no error and not held."""
    plan = monitored_estate()
    for kind in (WORKSPACES, DCES, MEMBERS, DCRS, ASSOCIATIONS):
        plan.remove(kind, lambda name: True)
    assert why_not(plan, "hub", **{use: "refused"}) == "no machine that was read is in virtual network 'hub'"


def test_an_intent_comes_from_the_requirements_file(plan: MonitoredBlueprint, tmp_path: Path) -> None:
    """A table of TOML is a table of patterns, for the networks that the entry names."""
    file = tmp_path / "ampls.toml"
    file.write_text('[[expect]]\nrule = "AMPLS111"\nresource = "spoke1"\nquery = { "w*" = "refused" }\n')
    requirements = load_requirements(file)
    estate = plan.build()
    with pytest.raises(ConformanceError, match=r"refused, as stated for 'w\*'"):
        rule(vnet(estate, "spoke1"), **requirements.keywords(rule, vnet(estate, "spoke1")))
    rule(vnet(estate, "spoke2"), **requirements.keywords(rule, vnet(estate, "spoke2")))


# ------------------------------------------------------------------- evidence


@pytest.mark.parametrize("kind", [WORKSPACES, COMPONENTS])
def test_what_may_match_must_have_been_read(plan: MonitoredBlueprint, kind: str) -> None:
    """A resource that was refused to the reader may be one that the pattern means."""
    plan.gaps[kind] = denied(kind)
    with pytest.raises(AccessDeniedError, match=kind):
        found(plan, query={"*": "refused"})


@pytest.mark.parametrize("kind", [AMPLS, MEMBERS, CONNECTIONS, ENDPOINTS, RECORDS, ZONE_LINKS, VMS, DCRS])
def test_what_decides_must_have_been_read(plan: MonitoredBlueprint, kind: str) -> None:
    """No verdict without scopes, members, connections, endpoints, records, links, machines or rules."""
    plan.gaps[kind] = denied(kind)
    with pytest.raises(EvidenceError):
        found(plan)


def test_dns_that_leads_elsewhere_is_no_verdict(plan: MonitoredBlueprint) -> None:
    """A DNS server outside of what was read may answer anything; a finding that was made before is kept."""
    plan[VNETS, "spoke1"]["properties"]["dhcpOptions"]["dnsServers"] = ["172.31.0.4"]
    with pytest.raises(NotReadError, match=r"DNS server 172\.31\.0\.4"):
        found(plan)
    with pytest.raises(NotReadError, match=r"DNS server 172\.31\.0\.4"):
        found(plan, query={"ws": "allowed"})


def test_what_is_known_is_found_beside_what_is_not(plan: MonitoredBlueprint) -> None:
    """An intent that cannot be verified hides no broken one."""
    modes(plan)["queryAccessMode"] = "Open"
    close(plan, WORKSPACES, "other", PERIMETER)
    with pytest.raises(ConformanceError, match=r"unverified besides: .*network security perimeter") as caught:
        rule(vnet(plan.build(), "spoke1"), query={"other": "refused", "ws": "refused"})
    assert len(caught.value.findings) == 1


def test_servers_that_disagree_are_no_verdict(plan: MonitoredBlueprint) -> None:
    """One DNS server of the network knows the zones, the other does not."""
    plan.vnet("lonely", "10.8.0.0/24")
    plan[VNETS, "spoke1"]["properties"]["dhcpOptions"]["dnsServers"] = ["192.168.0.4", "10.8.0.4"]
    with pytest.raises(NotReadError, match="leads to different places"):
        found(plan, query={"ws": "allowed"})


@pytest.mark.parametrize("kind", [Use.QUERY, Use.CONFIGURATION])
def test_a_use_that_a_resource_does_not_have_is_an_error(plan: MonitoredBlueprint, kind: Use) -> None:
    """Endpoints are not queried, workspaces configure no agent."""
    estate = plan.build()
    (dce,) = [each for each in estate.all(DataCollectionEndpoint) if each.id == DCE]
    with pytest.raises(TypeError, match=f"has no {kind}"):
        attempt(vnet(estate, "spoke1"), dce if kind is Use.QUERY else workspace(estate), kind)


# ------------------------------------------------------------------- estates of the lab


def lab_network(spec: str) -> VirtualNetwork:
    """Return spoke1 of a lab estate."""
    estate = Estate(lab_snapshot(f"hub-and-spoke+{spec}"))
    return next(network for network in estate.virtual_networks if network.label == "spoke1")


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("query-open", True),
        ("query-exclusion-open", True),
        ("ingestion-exclusion-open", False),
    ],
)
def test_a_weaker_mode_lets_queries_out(spec: str, expected: bool) -> None:
    """An open workspace in no scope is queried from the spoke once the mode of its connection is Open."""
    network = lab_network(f"workspace-not-in-scope+workspace-public-query+{spec}")
    findings = list(rule.check(network, query={"amplstest12345": "refused"}))
    assert bool(findings) is expected


def test_the_lab_s_fault_is_found_with_its_fix() -> None:
    """The message proposes the membership that is missing, by name."""
    with pytest.raises(ConformanceError) as caught:
        rule(lab_network("rule-endpoint-of-another-scope"))
    message = str(caught.value)
    assert "ingestion of data collection endpoint 'dce-platform'" in message
    assert "scoped-resource create --name dce-platform --scope-name ampls" in message
