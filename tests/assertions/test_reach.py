"""AMPLS111: each row of the table of access as a verdict on documents, intents, and what is left to other rules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_ampls.assertions.reach import assert_reachable_as_intended as rule
from pytest_ampls.catalogue import ConformanceError, Finding, NotApplicable
from pytest_ampls.effective.reach import Use, attempt
from pytest_ampls.errors import AccessDeniedError, ConfigurationError, EvidenceError, NotReadError
from pytest_ampls.model import DataCollectionEndpoint, Estate, VirtualNetwork
from pytest_ampls.requirements import load_requirements
from tests.assertions.machines import DCE, MonitoredBlueprint, monitored_estate, unassociated
from tests.builders import (
    AMPLS,
    ASSOCIATIONS,
    COMPONENTS,
    CONNECTIONS,
    CUSTOMER,
    DCES,
    DCRS,
    ENDPOINTS,
    MEMBERS,
    PRIVATE_ZONES,
    RECORDS,
    VMS,
    VNETS,
    WORKSPACES,
    ZONE_LINKS,
    Document,
    denied,
    resource_id,
)
from tests.guards.suite import lab_snapshot
from tests.private_estate import AGENTSVC, DCE_HOST, MONITOR, ODS, OMS, vnet, workspace

ON, OFF, PERIMETER = "Enabled", "Disabled", "SecuredByPerimeter"
OTHER_CUSTOMER = "99999999-0000-4000-8000-000000000009"
OTHER_HOST = "dce-other-cd34.westeurope-1"


@pytest.fixture
def plan() -> MonitoredBlueprint:
    """Documents of an estate that every rule holds on, with resources that are in no scope besides."""
    plan = monitored_estate()
    plan.add(WORKSPACES, resource_id(WORKSPACES, "other"), {"customerId": OTHER_CUSTOMER})
    hosts = {
        key: {"endpoint": f"https://{OTHER_HOST}.{part}.monitor.azure.com"}
        for key, part in (("configurationAccess", "handler.control"), ("logsIngestion", "ingest"))
    }
    plan.add(DCES, resource_id(DCES, "dce-other"), {**hosts}, location="westeurope")
    plan.add(COMPONENTS, resource_id(COMPONENTS, "appi"), {}, location="westeurope")
    plan.record(MONITOR, "global.in.ai", "192.168.0.68")
    for kind, name in ((WORKSPACES, "ws"), (DCES, "dce")):
        close(plan, kind, name, OFF)
    return plan


def close(plan: MonitoredBlueprint, kind: str, name: str, flag: str) -> None:
    """Set every public access flag of a resource."""
    properties = plan[kind, name]["properties"]
    if kind == DCES:
        properties["networkAcls"] = {"publicNetworkAccess": flag}
    else:
        properties.update(publicNetworkAccessForIngestion=flag, publicNetworkAccessForQuery=flag)


def modes(plan: MonitoredBlueprint) -> Document:
    """Return the access mode settings of the scope, to be changed."""
    settings: Document = plan[AMPLS, "ampls"]["properties"]["accessModeSettings"]
    return settings


def in_another_scope(plan: MonitoredBlueprint, kind: str, name: str) -> None:
    """Put a resource into a second scope, which serves none of the networks."""
    plan.scope("another", [resource_id(kind, name)])


def in_the_scope(plan: MonitoredBlueprint, kind: str, name: str) -> None:
    """Put a resource into the scope; its names are the test's."""
    linked = {"linkedResourceId": resource_id(kind, name).lower(), "provisioningState": "Succeeded"}
    plan.add(MEMBERS, resource_id(AMPLS, "ampls", "scopedResources", name), linked)


def publicly(plan: MonitoredBlueprint) -> None:
    """Let every network resolve all names publicly."""
    plan.remove(ZONE_LINKS, lambda name: True)


def falling_back(plan: MonitoredBlueprint) -> None:
    """Let every link ask the internet for what its zone does not have."""
    for zone in (MONITOR, ODS, OMS, AGENTSVC):
        plan.link(zone, "hub", resolutionPolicy="NxDomainRedirect")


def found(plan: MonitoredBlueprint, network: str = "spoke1", **intents: Any) -> tuple[Finding, ...]:
    """Return what the rule finds on a network."""
    return tuple(rule.check(vnet(plan.build(), network), **intents))


def becomes(plan: MonitoredBlueprint, use: str, name: str) -> str:
    """Return which of the two intents for one use of one resource holds; ``unverified`` where neither is decided."""
    verdicts: dict[str, bool | None] = {}
    for word in ("allowed", "refused"):
        intents: dict[str, Any] = {use: {name: word}}
        try:
            verdicts[word] = not found(plan, **intents)
        except EvidenceError:
            verdicts[word] = None
    if set(verdicts.values()) == {None}:
        return "unverified"
    (held,) = [word for word, holds in verdicts.items() if holds]
    assert set(verdicts.values()) == {True, False}
    return held


def why_not(plan: MonitoredBlueprint, network: str = "spoke1", **intents: Any) -> str:
    """Return why the rule does not apply to a network."""
    findings = rule.check(vnet(plan.build(), network), **intents)
    try:
        finding = next(findings, None)
    except NotApplicable as reason:
        return str(reason)
    raise AssertionError(f"the rule applies, and found {finding}")


# ------------------------------------------------------------------- the table: queries


@pytest.mark.parametrize("flag", [ON, OFF, PERIMETER])
@pytest.mark.parametrize("mode", ["Open", "PrivateOnly"])
def test_members_are_queried_privately_whatever_mode_and_flag(
    plan: MonitoredBlueprint, mode: str, flag: str
) -> None:
    """A member of the scope at the end of the private path answers."""
    modes(plan)["queryAccessMode"] = mode
    close(plan, WORKSPACES, "ws", flag)
    assert becomes(plan, "query", "ws") == "allowed"


@pytest.mark.parametrize("kind", [WORKSPACES, COMPONENTS])
@pytest.mark.parametrize(
    ("mode", "flag", "expected"),
    [
        ("PrivateOnly", ON, "refused"),
        ("PrivateOnly", OFF, "refused"),
        ("PrivateOnly", PERIMETER, "refused"),
        ("Open", ON, "allowed"),
        ("Open", OFF, "refused"),
        ("Open", PERIMETER, "unverified"),
    ],
)
def test_strangers_are_queried_by_mode_then_flag(
    plan: MonitoredBlueprint, kind: str, mode: str, flag: str, expected: str
) -> None:
    """Through the private endpoint the mode decides on what is no member, in Open mode its own flag."""
    name = "other" if kind == WORKSPACES else "appi"
    modes(plan)["queryAccessMode"] = mode
    close(plan, kind, name, flag)
    assert becomes(plan, "query", name) == expected


@pytest.mark.parametrize("name", ["ws", "other"])
@pytest.mark.parametrize(("flag", "expected"), [(ON, "allowed"), (OFF, "refused"), (PERIMETER, "unverified")])
def test_on_the_public_path_the_flag_decides(
    plan: MonitoredBlueprint, name: str, flag: str, expected: str
) -> None:
    """PrivateOnly closes nothing to clients that resolve publicly, members included."""
    publicly(plan)
    close(plan, WORKSPACES, name, flag)
    assert becomes(plan, "query", name) == expected
    assert becomes(plan, "ingestion", name) == expected


@pytest.mark.parametrize("kind", [WORKSPACES, COMPONENTS])
def test_each_use_has_a_setting_of_its_own(plan: MonitoredBlueprint, kind: str) -> None:
    """On the public path queries obey one setting and uploads the other."""
    publicly(plan)
    name = "other" if kind == WORKSPACES else "appi"
    flags = {"publicNetworkAccessForIngestion": ON, "publicNetworkAccessForQuery": OFF}
    plan[kind, name]["properties"].update(flags)
    assert (becomes(plan, "ingestion", name), becomes(plan, "query", name)) == ("allowed", "refused")
    plan[kind, name]["properties"].update(publicNetworkAccessForQuery=ON, publicNetworkAccessForIngestion=OFF)
    assert (becomes(plan, "ingestion", name), becomes(plan, "query", name)) == ("refused", "allowed")


@pytest.mark.parametrize(("connection", "expected"), [("pe.connection", "allowed"), ("another", "refused")])
def test_an_exclusion_counts_for_the_networks_behind_its_connection(
    plan: MonitoredBlueprint, connection: str, expected: str
) -> None:
    """The mode is that of the connection which the network's names lead to."""
    close(plan, WORKSPACES, "other", ON)
    opened = {"queryAccessMode": "Open", "ingestionAccessMode": "Open"}
    modes(plan)["exclusions"] = [{"privateEndpointConnectionName": connection, **opened}]
    assert becomes(plan, "query", "other") == expected


def test_networks_behind_different_endpoints_get_different_verdicts(plan: MonitoredBlueprint) -> None:
    """Two endpoints of one scope, each with zones of its own: the exclusion is for the clients of one of them."""
    plan.vnet("dmz", "10.9.0.0/24", endpoints="10.9.0.0/26")
    plan.endpoint("pe2", "ampls", "dmz/endpoints", {"api": ("api.monitor.azure.com", "10.9.0.5")})
    own = resource_id(PRIVATE_ZONES, MONITOR).replace("/rg/", "/rg-dmz/")
    assert own != resource_id(PRIVATE_ZONES, MONITOR)
    linked = {"virtualNetwork": {"id": resource_id(VNETS, "dmz")}, "virtualNetworkLinkState": "Completed"}
    plan.documents[PRIVATE_ZONES]["dmz"] = {
        "id": own, "name": MONITOR, "type": PRIVATE_ZONES, "properties": {}
    }  # fmt: skip
    plan.documents[ZONE_LINKS]["dmz"] = {
        "id": f"{own}/virtualNetworkLinks/dmz", "name": "dmz", "type": ZONE_LINKS, "properties": linked
    }  # fmt: skip
    record = {"fqdn": f"api.{MONITOR}.", "aRecords": [{"ipv4Address": "10.9.0.5"}]}
    plan.documents[RECORDS]["dmz"] = {
        "id": f"{own}/A/api",
        "name": "api",
        "type": f"{PRIVATE_ZONES}/A",
        "properties": record,
    }
    close(plan, WORKSPACES, "other", ON)
    opened = {"queryAccessMode": "Open", "ingestionAccessMode": "Open"}
    modes(plan)["exclusions"] = [{"privateEndpointConnectionName": "pe2.connection", **opened}]
    assert found(plan, query={"other": "refused"}) == ()
    (finding,) = found(plan, "dmz", query={"other": "refused"})
    assert "10.9.0.5, of private endpoint 'pe2'" in finding.observed


# ------------------------------------------------------------------- the table: telemetry


@pytest.mark.parametrize(
    ("is_member", "mode", "flag", "expected"),
    [
        (True, "PrivateOnly", OFF, "allowed"),
        (True, "Open", ON, "allowed"),
        (False, "PrivateOnly", ON, "refused"),
        (False, "Open", OFF, "refused"),
        (False, "Open", ON, "unverified"),  # whether its region has a private record is not documented
    ],
)
def test_telemetry_obeys_the_ingestion_mode(
    plan: MonitoredBlueprint, is_member: bool, mode: str, flag: str, expected: str
) -> None:
    """The names of telemetry are shared: the table is that of queries, with the other mode and the other flag."""
    modes(plan).update(
        ingestionAccessMode=mode, queryAccessMode="Open" if mode == "PrivateOnly" else "PrivateOnly"
    )
    close(plan, COMPONENTS, "appi", flag)
    if is_member:
        in_the_scope(plan, COMPONENTS, "appi")
    assert becomes(plan, "ingestion", "appi") == expected


def test_a_global_name_without_an_address_says_nothing_of_the_region(plan: MonitoredBlueprint) -> None:
    """A component sends to a name of its region, which may have a record where the global one has none."""
    in_the_scope(plan, COMPONENTS, "appi")
    del plan[RECORDS, f"{MONITOR}/A/global.in.ai"]
    assert becomes(plan, "ingestion", "appi") == "unverified"


# ------------------------------------------------------------------- the table: uploads


@pytest.mark.parametrize("mode", ["Open", "PrivateOnly"])
@pytest.mark.parametrize("flag", [ON, OFF])
def test_uploads_to_members_are_allowed_whatever_mode_and_flag(
    plan: MonitoredBlueprint, mode: str, flag: str
) -> None:
    """A record of the zone leads to the endpoint, and uploads obey no mode."""
    modes(plan)["ingestionAccessMode"] = mode
    close(plan, WORKSPACES, "ws", flag)
    assert becomes(plan, "ingestion", "ws") == "allowed"
    assert becomes(plan, "ingestion", "dce") == "allowed"


@pytest.mark.parametrize("mode", ["Open", "PrivateOnly"])
@pytest.mark.parametrize("flag", [ON, OFF])
def test_a_member_of_another_scope_has_no_name_here(plan: MonitoredBlueprint, mode: str, flag: str) -> None:
    """The linked zone has no record, whatever the mode and the flag: no upload gets there."""
    modes(plan)["ingestionAccessMode"] = mode
    close(plan, WORKSPACES, "other", flag)
    in_another_scope(plan, WORKSPACES, "other")
    assert becomes(plan, "ingestion", "other") == "refused"


@pytest.mark.parametrize(("flag", "expected"), [(ON, "allowed"), (OFF, "refused")])
def test_with_fallback_a_member_of_another_scope_is_reached_publicly(
    plan: MonitoredBlueprint, flag: str, expected: str
) -> None:
    """The link asks the internet for what the zone lacks, and then the flag decides."""
    falling_back(plan)
    close(plan, WORKSPACES, "other", flag)
    in_another_scope(plan, WORKSPACES, "other")
    assert becomes(plan, "ingestion", "other") == expected


@pytest.mark.parametrize(("flag", "expected"), [(ON, "unverified"), (OFF, "refused")])
def test_where_the_sources_differ_only_what_both_give_is_a_verdict(
    plan: MonitoredBlueprint, flag: str, expected: str
) -> None:
    """A workspace in no scope may keep its public name or lose it: closed it is refused in both cases."""
    close(plan, WORKSPACES, "other", flag)
    assert becomes(plan, "ingestion", "other") == expected


def test_a_record_that_no_endpoint_would_write_is_no_verdict(plan: MonitoredBlueprint) -> None:
    """The name of a stranger leads to the endpoint: no page says what comes of it."""
    plan.record(ODS, OTHER_CUSTOMER, "192.168.0.73")
    close(plan, WORKSPACES, "other", ON)
    with pytest.raises(NotReadError, match="no page says what comes of it"):
        found(plan, ingestion={"other": "refused"})


@pytest.mark.parametrize("flag", [ON, OFF])
def test_uploads_to_endpoints_over_the_public_path_are_inferred(plan: MonitoredBlueprint, flag: str) -> None:
    """What a data collection endpoint's flag does to them no page states."""
    publicly(plan)
    close(plan, DCES, "dce", flag)
    with pytest.raises(NotReadError, match="inferred and stated nowhere"):
        found(plan, ingestion={"dce": "allowed"})
    assert becomes(plan, "ingestion", "dce") == "unverified"


# ------------------------------------------------------------------- the table: configuration


def test_configuration_comes_through_an_endpoint_of_the_scope(plan: MonitoredBlueprint) -> None:
    """The handler is private: the scope's own endpoint is allowed, that of another scope has no address."""
    assert becomes(plan, "configuration", "dce") == "allowed"
    in_another_scope(plan, DCES, "dce-other")
    assert becomes(plan, "configuration", "dce-other") == "refused"


def test_an_endpoint_of_no_scope_is_refused_by_its_name_or_by_the_handler(plan: MonitoredBlueprint) -> None:
    """Sources differ on its name; the private handler refuses it where it has one."""
    close(plan, DCES, "dce-other", ON)
    (finding,) = found(plan, configuration={"dce-other": "allowed"})
    assert "Data collection endpoint must be used" in finding.observed
    assert becomes(plan, "configuration", "dce-other") == "refused"


def test_with_fallback_an_endpoint_of_another_scope_is_refused_by_the_handler(
    plan: MonitoredBlueprint,
) -> None:
    """Its name is public, the handler private: the documented refusal."""
    falling_back(plan)
    close(plan, DCES, "dce-other", ON)
    in_another_scope(plan, DCES, "dce-other")
    (finding,) = found(plan, configuration={"dce-other": "allowed"})
    assert finding.observed.startswith(
        "refused: the agent arrives over a private link whose scope does not list"
    )


@pytest.mark.parametrize("name", ["dce", "dce-other"])
def test_a_name_and_a_handler_of_different_scopes_are_no_verdict(plan: MonitoredBlueprint, name: str) -> None:
    """The handler leads to one scope and the endpoint's name to another, of which one lists the endpoint."""
    in_another_scope(plan, DCES, "dce-other")
    close(plan, DCES, "dce-other", OFF)
    host = OTHER_HOST if name == "dce-other" else DCE_HOST
    fqdn = f"{host}.handler.control.monitor.azure.com"
    plan.endpoint("pe2", "another", "hub/endpoints", {"dce-config": (fqdn, "192.168.0.110")})
    plan.record(MONITOR, f"{host}.handler.control", "192.168.0.110")
    assert becomes(plan, "configuration", name) == "unverified"


@pytest.mark.parametrize("flag", [ON, OFF])
def test_configuration_over_the_public_path_is_inferred(plan: MonitoredBlueprint, flag: str) -> None:
    """What an endpoint's flag does to public agents no page states."""
    publicly(plan)
    close(plan, DCES, "dce", flag)
    assert becomes(plan, "configuration", "dce") == "unverified"


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


# ------------------------------------------------------------------- without an intent


def test_what_the_machines_use_is_reached(plan: MonitoredBlueprint) -> None:
    """The healthy estate holds on networks with machines and does not concern the others."""
    assert found(plan) == ()
    assert found(plan, "spoke2") == ()
    assert why_not(plan, "hub") == "no machine that was read is in virtual network 'hub'"


def rule_names(plan: MonitoredBlueprint, endpoint: str) -> None:
    """Let the data collection rule name an endpoint."""
    plan[DCRS, "dcr-linux"]["properties"]["dataCollectionEndpointId"] = resource_id(DCES, endpoint).lower()


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
