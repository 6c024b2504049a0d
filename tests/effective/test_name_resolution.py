"""What a VNet is answered, computed: DNS servers followed, zones seen, names answered, scopes reached."""

from __future__ import annotations

import pytest

from pytest_ampls.effective.name_resolution import (
    AnswerStatus,
    answers,
    can_route,
    endpoints_at,
    endpoints_reached,
    resolving_networks,
    scopes_reached,
    zone_addresses,
    zones_seen,
)
from pytest_ampls.errors import AccessDeniedError, NotReadError
from pytest_ampls.model import Estate
from tests.builders import (
    ENDPOINTS,
    PRIVATE_ZONES,
    RECORDS,
    VNETS,
    ZONE_LINKS,
    denied,
    resource_id,
)
from tests.private_estate import (
    AGENTSVC,
    BLOB,
    MONITOR,
    ODS,
    OMS,
    NetworkBlueprint,
    endpoint,
    private_estate,
    vnet,
    zone,
)

API = "api.monitor.azure.com"


@pytest.fixture
def plan() -> NetworkBlueprint:
    """Return the healthy estate."""
    return private_estate()


def set_dns(plan: NetworkBlueprint, network: str, *servers: str) -> None:
    """Give a VNet DNS servers."""
    plan[VNETS, network]["properties"]["dhcpOptions"]["dnsServers"] = list(servers)


def resolving(estate: Estate, name: str) -> list[str]:
    """Return the names of the VNets that resolve for a VNet."""
    return [network.label for network in resolving_networks(vnet(estate, name))]


class TestResolvingNetworks:
    def test_azure_provided_dns_is_asked_in_the_network_itself(self, plan: NetworkBlueprint) -> None:
        """No servers, Azure's own address, or a server of the network's own."""
        assert resolving(plan.build(), "hub") == ["hub"]
        set_dns(plan, "hub", "168.63.129.16")
        assert resolving(plan.build(), "hub") == ["hub"]
        set_dns(plan, "hub", "192.168.0.4")
        assert resolving(plan.build(), "hub") == ["hub"]

    def test_a_custom_server_leads_to_the_network_that_holds_it(self, plan: NetworkBlueprint) -> None:
        """The hub lab: spokes ask a machine in the hub."""
        assert resolving(plan.build(), "spoke1") == ["hub"]

    def test_a_hub_that_names_its_own_server_is_the_end(self, plan: NetworkBlueprint) -> None:
        """The server itself can only ask Azure-provided DNS where it is, whatever else its network names."""
        set_dns(plan, "hub", "192.168.0.4", "192.168.2.4")
        set_dns(plan, "spoke2")
        assert resolving(plan.build(), "spoke1") == ["hub"]

    def test_servers_of_the_holding_network_are_followed(self, plan: NetworkBlueprint) -> None:
        """A server in a network that hands out yet other servers."""
        set_dns(plan, "spoke1", "192.168.2.4")
        set_dns(plan, "spoke2", "192.168.0.4")
        assert resolving(plan.build(), "spoke1") == ["hub"]

    def test_a_circle_ends(self, plan: NetworkBlueprint) -> None:
        """Two networks that name each other's servers."""
        set_dns(plan, "spoke1", "192.168.2.4")
        set_dns(plan, "spoke2", "192.168.1.4")
        assert resolving(plan.build(), "spoke1") == ["spoke1"]

    def test_several_servers_lead_to_each_of_their_networks_once(self, plan: NetworkBlueprint) -> None:
        """Two servers in the hub and one in a spoke are two networks."""
        set_dns(plan, "spoke2")
        set_dns(plan, "spoke1", "192.168.0.4", "192.168.0.5", "192.168.2.4")
        assert resolving(plan.build(), "spoke1") == ["hub", "spoke2"]

    def test_overlapping_networks_are_told_apart_by_peering(self, plan: NetworkBlueprint) -> None:
        """Separate environments reuse addresses; peered networks cannot overlap."""
        plan.vnet("copy", "192.168.0.0/16")
        assert resolving(plan.build(), "spoke1") == ["hub"]

    def test_an_address_in_several_far_networks_is_unverified(self, plan: NetworkBlueprint) -> None:
        """Which of them is meant cannot be known."""
        plan.vnet("one", "10.1.0.0/16")
        plan.vnet("two", "10.0.0.0/8")
        set_dns(plan, "spoke1", "10.1.0.4")
        with pytest.raises(NotReadError, match=r"lies in several VNets .* \(one, two\)"):
            resolving(plan.build(), "spoke1")

    def test_an_address_in_no_network_is_unverified(self, plan: NetworkBlueprint) -> None:
        """A server on premises: the message names it and the way out."""
        set_dns(plan, "spoke1", "192.168.0.4", "10.9.9.9")
        with pytest.raises(
            NotReadError, match=r"DNS server 10\.9\.9\.9 of virtual network rg/spoke1 lies in no VNet"
        ):
            resolving(plan.build(), "spoke1")


class TestZonesSeen:
    def test_zones_come_with_link_and_network(self, plan: NetworkBlueprint) -> None:
        """A spoke sees the five zones by the hub's links."""
        seen = zones_seen(vnet(plan.build(), "spoke1"))
        assert set(seen) == {MONITOR, OMS, ODS, AGENTSVC, BLOB}
        ((found, link, via),) = seen[MONITOR]
        assert (found.label, link.label, via.label) == (MONITOR, "hub", "hub")

    def test_denied_links_are_no_links_that_do_not_exist(self, plan: NetworkBlueprint) -> None:
        """A listing that was refused for one zone leaves open what is linked."""
        plan.gaps[ZONE_LINKS, resource_id(PRIVATE_ZONES, BLOB)] = denied()
        with pytest.raises(AccessDeniedError):
            zones_seen(vnet(plan.build(), "spoke1"))


class TestAnswers:
    def test_a_record_of_a_linked_zone(self, plan: NetworkBlueprint) -> None:
        """The private address, and the reason."""
        found = answers(vnet(plan.build(), "spoke1"), "API.monitor.azure.com.")
        assert (found.status, found.addresses) == (AnswerStatus.RECORD, ("192.168.0.68",))
        assert found.reason == f"zone '{MONITOR}', linked to virtual network 'hub', has the record 'api'"

    def test_a_linked_zone_without_the_record(self, plan: NetworkBlueprint) -> None:
        """NXDOMAIN: a linked zone answers for all of its names."""
        found = answers(vnet(plan.build(), "spoke1"), "live.monitor.azure.com")
        assert (found.status, found.zone and found.zone.label) == (AnswerStatus.NXDOMAIN, MONITOR)

    def test_a_record_set_without_address(self, plan: NetworkBlueprint) -> None:
        """The name exists and leads nowhere."""
        plan.record(MONITOR, "api")
        assert answers(vnet(plan.build(), "spoke1"), API).status is AnswerStatus.NODATA

    def test_no_linked_zone_is_public(self, plan: NetworkBlueprint) -> None:
        """The reason names the zone and the network that would need the link."""
        del plan[ZONE_LINKS, f"{MONITOR}/hub"]
        found = answers(vnet(plan.build(), "spoke1"), API)
        assert found.status is AnswerStatus.PUBLIC
        assert found.reason == f"no zone '{MONITOR}' is linked to virtual network 'hub'"

    def test_a_name_of_another_service_is_public(self, plan: NetworkBlueprint) -> None:
        """A name without a privatelink zone."""
        assert answers(vnet(plan.build(), "hub"), "example.com").status is AnswerStatus.PUBLIC

    def test_a_missing_record_with_fallback_is_public(self, plan: NetworkBlueprint) -> None:
        """NxDomainRedirect sends the question on to the internet."""
        plan.link(MONITOR, "hub", resolutionPolicy="NxDomainRedirect")
        estate = plan.build()
        assert answers(vnet(estate, "hub"), "live.monitor.azure.com").status is AnswerStatus.FALLBACK
        assert answers(vnet(estate, "hub"), API).status is AnswerStatus.RECORD

    def test_a_private_zone_of_the_public_domain_goes_before_the_alias(self, plan: NetworkBlueprint) -> None:
        """Such a zone answers the public name itself, so the privatelink zone is never asked."""
        plan.zone("monitor.azure.com", links=["hub"], records={"live": ["10.7.7.7"]})
        estate = plan.build()
        assert answers(vnet(estate, "spoke1"), "live.monitor.azure.com").addresses == ("10.7.7.7",)
        assert answers(vnet(estate, "spoke1"), API).status is AnswerStatus.NXDOMAIN

    def test_servers_that_lead_to_different_answers(self, plan: NetworkBlueprint) -> None:
        """Two DNS servers in differently linked networks: which one is asked is chance."""
        set_dns(plan, "spoke2")
        set_dns(plan, "spoke1", "192.168.0.4", "192.168.2.4")
        found = answers(vnet(plan.build(), "spoke1"), API)
        assert found.status is AnswerStatus.MIXED
        assert found.addresses == ("192.168.0.68",)
        assert found.reason.startswith("by hub: private record, zone")
        assert "; by spoke2: public, no zone" in found.reason


class TestZoneAddresses:
    def test_wildcards_and_aliases_are_followed(self, plan: NetworkBlueprint) -> None:
        """Records that people add by hand."""
        plan.record(MONITOR, "*.handler.control", "10.7.7.7")
        alias = plan.record(MONITOR, "live")
        alias["type"] = "Microsoft.Network/privateDnsZones/CNAME"
        alias["properties"] = {"cnameRecord": {"cname": f"api.{MONITOR}."}}
        found = zone(plan.build(), MONITOR)
        assert zone_addresses(found, f"new.handler.control.{MONITOR}") == ("10.7.7.7",)
        assert zone_addresses(found, f"live.{MONITOR}") == ("192.168.0.68",)
        assert zone_addresses(found, f"nothing.{MONITOR}") is None

    def test_aliases_in_a_circle_end(self, plan: NetworkBlueprint) -> None:
        """A circle has no address."""
        alias = plan.record(MONITOR, "live")
        alias["type"] = "Microsoft.Network/privateDnsZones/CNAME"
        alias["properties"] = {"cnameRecord": {"cname": f"live.{MONITOR}"}}
        assert zone_addresses(zone(plan.build(), MONITOR), f"live.{MONITOR}") == ()


class TestReached:
    def test_records_lead_to_endpoint_and_scope(self, plan: NetworkBlueprint) -> None:
        """From every network that sees the zones."""
        estate = plan.build()
        for name in ("hub", "spoke1", "spoke2"):
            assert [each.label for each in endpoints_reached(vnet(estate, name))] == ["pe"]
            assert [each.label for each in scopes_reached(vnet(estate, name))] == ["ampls"]

    def test_the_scope_of_the_shared_names_comes_first(self, plan: NetworkBlueprint) -> None:
        """The query API decides where most clients go."""
        plan.scope("second")
        plan.endpoint("pe2", "second", "spoke1/vm", {"api": (API, "192.168.1.40")})
        plan.record(MONITOR, "api", "192.168.1.40")
        reached = scopes_reached(vnet(plan.build(), "spoke2"))
        assert [scope.label for scope in reached] == ["second", "ampls"]

    def test_no_zone_leads_nowhere(self, plan: NetworkBlueprint) -> None:
        """Proven absence is an empty answer, not an error."""
        set_dns(plan, "spoke1")
        assert scopes_reached(vnet(plan.build(), "spoke1")) == ()

    def test_a_stale_record_leads_nowhere(self, plan: NetworkBlueprint) -> None:
        """An address of nobody is nobody's scope."""
        plan.documents[RECORDS].clear()
        plan.record(MONITOR, "api", "192.168.0.99")
        assert scopes_reached(vnet(plan.build(), "spoke1")) == ()

    @pytest.mark.parametrize("kind", [ENDPOINTS, RECORDS, ZONE_LINKS, PRIVATE_ZONES])
    def test_denied_evidence_is_an_error(self, plan: NetworkBlueprint, kind: str) -> None:
        """Nothing is concluded from what was not read."""
        plan.gaps[kind] = denied()
        network = vnet(plan.build(), "spoke1")
        with pytest.raises(AccessDeniedError):
            scopes_reached(network)

    def test_reused_addresses_belong_to_the_endpoint_within_reach(self, plan: NetworkBlueprint) -> None:
        """Two environments with the same address range."""
        plan.vnet("copy", "192.168.0.0/24", endpoints="192.168.0.64/26")
        plan.scope("second")
        plan.endpoint("pe2", "second", "copy/endpoints", {"api": (API, "192.168.0.68")})
        estate = plan.build()
        assert [each.label for each in endpoints_at(vnet(estate, "spoke1"), "192.168.0.68")] == ["pe"]
        assert [each.label for each in endpoints_at(vnet(estate, "copy"), "192.168.0.68")] == ["pe2"]

    def test_routes_are_the_own_network_and_connected_peers(self, plan: NetworkBlueprint) -> None:
        """A peering that is not Connected is no route."""
        estate = plan.build()
        assert can_route(vnet(estate, "hub"), endpoint(estate))
        assert can_route(vnet(estate, "spoke1"), endpoint(estate))
        plan[VNETS, "spoke1"]["properties"]["virtualNetworkPeerings"][0]["properties"]["peeringState"] = (
            "Disconnected"
        )
        estate = plan.build()
        assert not can_route(vnet(estate, "spoke1"), endpoint(estate))
