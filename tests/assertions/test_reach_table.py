"""AMPLS111: each row of the table of access as a verdict on documents."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_ampls.errors import DocumentError, NotReadError
from tests.assertions.machines import MonitoredBlueprint
from tests.assertions.reach import (
    OFF,
    ON,
    OTHER_CUSTOMER,
    OTHER_HOST,
    PERIMETER,
    becomes,
    close,
    estate_with_strangers,
    falling_back,
    found,
    in_another_scope,
    in_the_scope,
    modes,
    publicly,
)
from tests.builders import (
    AMPLS,
    COMPONENTS,
    DCES,
    MEMBERS,
    PRIVATE_ZONES,
    RECORDS,
    VNETS,
    WORKSPACES,
    ZONE_LINKS,
    resource_id,
)
from tests.private_estate import DCE_HOST, MONITOR, ODS


@pytest.fixture
def plan() -> MonitoredBlueprint:
    """Documents of an estate that every rule holds on, with resources that are in no scope besides."""
    return estate_with_strangers()


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


# ------------------------------------------------------------------- memberships that are not complete


@pytest.mark.parametrize("state", ["Provisioning", "Failed", "Canceled"])
@pytest.mark.parametrize(
    ("use", "name"), [("query", "ws"), ("ingestion", "ws"), ("ingestion", "dce"), ("configuration", "dce")]
)
def test_a_membership_that_is_not_complete_is_no_verdict(
    plan: MonitoredBlueprint, use: str, name: str, state: str
) -> None:
    """No page tells whether it counts; as a stranger the resource would be refused, or nothing would be known."""
    plan[MEMBERS, f"ampls/{name}"]["properties"]["provisioningState"] = state
    assert becomes(plan, use, name) == "unverified"
    intents: dict[str, Any] = {use: {name: "allowed"}}
    with pytest.raises(NotReadError, match=f"the membership 'ampls/{name}' is {state}"):
        found(plan, **intents)


def test_where_a_membership_decides_nothing_its_state_does_not_either(plan: MonitoredBlueprint) -> None:
    """Member or not, queries are answered in Open mode, and on the public path."""
    plan[MEMBERS, "ampls/ws"]["properties"]["provisioningState"] = "Provisioning"
    close(plan, WORKSPACES, "ws", ON)
    modes(plan)["queryAccessMode"] = "Open"
    assert becomes(plan, "query", "ws") == "allowed"
    publicly(plan)
    assert becomes(plan, "query", "ws") == "allowed"
    close(plan, WORKSPACES, "ws", OFF)
    assert becomes(plan, "ingestion", "ws") == "refused"


def test_a_second_membership_that_is_complete_counts(plan: MonitoredBlueprint) -> None:
    """A resource may be listed twice, and one complete membership is one."""
    in_the_scope(plan, WORKSPACES, "ws")
    again = {"linkedResourceId": resource_id(WORKSPACES, "ws"), "provisioningState": "Failed"}
    plan.add(MEMBERS, resource_id(AMPLS, "ampls", "scopedResources", "ws-again"), again)
    assert becomes(plan, "query", "ws") == "allowed"


def test_a_name_that_waits_for_its_membership_is_no_verdict(plan: MonitoredBlueprint) -> None:
    """Without an address yet it is as if it were in no scope, of which the sources differ while it is open."""
    in_another_scope(plan, WORKSPACES, "other")
    close(plan, WORKSPACES, "other", ON)
    assert becomes(plan, "ingestion", "other") == "refused"
    plan[MEMBERS, "another/other"]["properties"]["provisioningState"] = "Provisioning"
    assert becomes(plan, "ingestion", "other") == "unverified"


def test_a_membership_without_a_state_is_no_verdict(plan: MonitoredBlueprint) -> None:
    """Its document lacks what decides."""
    del plan[MEMBERS, "ampls/ws"]["properties"]["provisioningState"]
    with pytest.raises(DocumentError, match="provisioningState"):
        found(plan, query={"ws": "allowed"})
