"""Inbound endpoints, rulesets and their order: in which VNet a name is decided, and with what answer."""

from __future__ import annotations

import msgspec
import pytest

from pytest_ampls.effective.computed_answer import AnswerStatus, answers, answers_by
from pytest_ampls.effective.dns_path import resolving_networks, rules_for
from pytest_ampls.effective.name_resolution import zones_seen
from pytest_ampls.errors import AccessDeniedError, DocumentError, NotReadError
from pytest_ampls.model import Estate
from tests.builders import (
    FORWARDING_RULES,
    INBOUND_ENDPOINTS,
    PRIVATE_ZONES,
    RECORDS,
    RULESETS,
    ZONE_LINKS,
    denied,
)
from tests.private_estate import MONITOR, ODS, NetworkBlueprint, private_estate, vnet
from tests.rulesets import add_inbound, add_rules, set_network_dns

API = "api.monitor.azure.com"
INBOUND = "192.168.0.10"


@pytest.fixture
def plan() -> NetworkBlueprint:
    """Return an estate whose first spoke asks Azure-provided DNS, with a resolver in the hub."""
    plan = private_estate()
    set_network_dns(plan, "spoke1")
    add_inbound(plan, "hub", INBOUND)
    return plan


def resolving(estate: Estate, name: str, domain: str | None = None) -> list[str]:
    """Return the names of the VNets that decide for a VNet."""
    return [network.label for network in resolving_networks(vnet(estate, name), domain)]


class TestInboundEndpoints:
    def test_an_inbound_endpoint_answers_as_its_network(self, plan: NetworkBlueprint) -> None:
        """The DNS servers of the hub are for machines: an inbound endpoint there does not ask them."""
        set_network_dns(plan, "hub", "192.168.2.4")
        set_network_dns(plan, "spoke2")
        set_network_dns(plan, "spoke1", INBOUND)
        assert resolving(plan.build(), "spoke1") == ["hub"]
        set_network_dns(plan, "spoke1", "192.168.0.4")
        assert resolving(plan.build(), "spoke1") == ["spoke2"]

    def test_denied_inbound_endpoints_leave_it_open(self, plan: NetworkBlueprint) -> None:
        """Whether a server's address is one of them cannot be told then."""
        set_network_dns(plan, "hub", "192.168.2.4")
        set_network_dns(plan, "spoke1", INBOUND)
        plan.gaps[INBOUND_ENDPOINTS] = denied()
        with pytest.raises(AccessDeniedError):
            resolving(plan.build(), "spoke1")


class TestRulesets:
    def test_a_rule_for_the_public_name_leads_to_the_hub(self, plan: NetworkBlueprint) -> None:
        """The zones of the hub answer, for the domain of the rule and no other."""
        add_rules(plan, "spoke1", {"monitor.azure.com": [INBOUND]})
        estate = plan.build()
        found = answers(vnet(estate, "spoke1"), API)
        assert (found.status, found.addresses) == (AnswerStatus.RECORD, ("192.168.0.68",))
        assert found.chain == (API, f"api.{MONITOR}")
        assert resolving(estate, "spoke1", "monitor.azure.com") == ["hub"]
        assert resolving(estate, "spoke1", "ods.opinsights.azure.com") == ["spoke1"]
        assert set(zones_seen(vnet(estate, "spoke1"))) == {MONITOR}
        assert resolving(estate, "spoke1") == ["spoke1", "hub"]

    def test_the_longest_domain_wins(self, plan: NetworkBlueprint) -> None:
        """The rule of every name is the last resort."""
        add_rules(
            plan,
            "spoke1",
            {"": ["192.168.2.4"], "azure.com": ["192.168.2.4"], "monitor.azure.com": [INBOUND]},
        )
        set_network_dns(plan, "spoke2")
        estate = plan.build()
        (rule,) = rules_for(vnet(estate, "spoke1"), API)
        assert rule.domain == "monitor.azure.com"
        assert resolving(estate, "spoke1", "monitor.azure.com") == ["hub"]
        assert resolving(estate, "spoke1", "blob.core.windows.net") == ["spoke2"]

    def test_a_disabled_rule_does_not_count(self, plan: NetworkBlueprint) -> None:
        """It is as good as not there."""
        add_rules(plan, "spoke1", {"monitor.azure.com": [INBOUND]}, state="Disabled")
        assert answers(vnet(plan.build(), "spoke1"), API).status is AnswerStatus.PUBLIC

    def test_a_linked_zone_goes_before_rules(self, plan: NetworkBlueprint) -> None:
        """A private zone of the public name is looked at first."""
        plan.zone("monitor.azure.com", links=["spoke1"], records={"api": ["10.7.7.7"]})
        add_rules(plan, "spoke1", {"monitor.azure.com": [INBOUND]})
        assert answers(vnet(plan.build(), "spoke1"), API).addresses == ("10.7.7.7",)

    def test_rules_do_not_apply_to_machines_with_other_servers(self, plan: NetworkBlueprint) -> None:
        """A ruleset is consulted by Azure-provided DNS, which custom servers take the place of."""
        add_rules(plan, "spoke1", {"monitor.azure.com": [INBOUND]})
        set_network_dns(plan, "spoke2")
        set_network_dns(plan, "spoke1", "192.168.2.4")
        assert resolving(plan.build(), "spoke1", "monitor.azure.com") == ["spoke2"]

    def test_a_target_out_of_sight_is_unverified(self, plan: NetworkBlueprint) -> None:
        """A DNS server on premises; names that no rule covers are not touched by it."""
        add_rules(plan, "spoke1", {"monitor.azure.com": ["10.9.9.9"]})
        network = vnet(plan.build(), "spoke1")
        with pytest.raises(
            NotReadError, match=r"DNS server 10\.9\.9\.9 of virtual network rg/spoke1 lies in no"
        ):
            answers(network, API)
        assert answers(network, "x.ods.opinsights.azure.com").status is AnswerStatus.PUBLIC

    def test_azures_own_address_is_no_target(self, plan: NetworkBlueprint) -> None:
        """Where 168.63.129.16 would be asked is not documented."""
        add_rules(plan, "spoke1", {"monitor.azure.com": ["168.63.129.16"]})
        with pytest.raises(NotReadError, match=r"sends monitor\.azure\.com to 168\.63\.129\.16"):
            answers(vnet(plan.build(), "spoke1"), API)

    def test_targets_that_disagree(self, plan: NetworkBlueprint) -> None:
        """The first is asked while it answers; the others are asked one day."""
        set_network_dns(plan, "spoke2")
        add_rules(plan, "spoke1", {"monitor.azure.com": [INBOUND, "192.168.2.4"]})
        found = answers(vnet(plan.build(), "spoke1"), API)
        assert (found.status, found.addresses) == (AnswerStatus.MIXED, ("192.168.0.68",))

    def test_a_rule_that_leads_back_is_a_circle(self, plan: NetworkBlueprint) -> None:
        """The resolver's own network is linked to the ruleset: its documentation warns of it."""
        add_rules(plan, "hub", {"monitor.azure.com": [INBOUND]})
        estate = plan.build()
        found = answers(vnet(estate, "hub"), API)
        assert found.status is AnswerStatus.LOOP
        assert found.reason == "the forwarding rules of virtual network 'hub' lead back to it"
        assert resolving(estate, "hub", "monitor.azure.com") == []

    def test_a_rule_for_the_privatelink_name_is_not_documented(self, plan: NetworkBlueprint) -> None:
        """Nobody asks for that name; whether Azure looks at the rule for an alias, its pages do not say."""
        add_rules(plan, "spoke1", {MONITOR: [INBOUND]})
        with pytest.raises(NotReadError, match=r"not documented: public if not .*, private record if so"):
            answers(vnet(plan.build(), "spoke1"), API)
        assert resolving(plan.build(), "spoke1", "monitor.azure.com") == ["spoke1"]

    def test_it_does_not_matter_where_both_readings_agree(self, plan: NetworkBlueprint) -> None:
        """The zone is linked here too: with the rule or without, the same record answers."""
        plan.link(MONITOR, "spoke1")
        add_rules(plan, "spoke1", {MONITOR: [INBOUND]})
        assert answers(vnet(plan.build(), "spoke1"), API).status is AnswerStatus.RECORD

    @pytest.mark.parametrize("kind", [RULESETS, FORWARDING_RULES])
    def test_denied_rulesets_are_no_missing_rulesets(self, plan: NetworkBlueprint, kind: str) -> None:
        """What was not read may send the name anywhere."""
        add_rules(plan, "spoke1", {"monitor.azure.com": [INBOUND]})
        plan.gaps[kind] = denied()
        with pytest.raises(AccessDeniedError):
            answers(vnet(plan.build(), "spoke1"), API)

    def test_a_rule_without_domain_or_target_is_an_error(self, plan: NetworkBlueprint) -> None:
        """A document that lacks what decides."""
        add_rules(plan, "spoke1", {"monitor.azure.com": []})
        with pytest.raises(DocumentError, match="targetDnsServers"):
            answers(vnet(plan.build(), "spoke1"), API)
        plan[FORWARDING_RULES, "spoke1-rules/rule0"]["properties"].pop("domainName")
        with pytest.raises(DocumentError, match="domainName"):
            answers(vnet(plan.build(), "spoke1"), API)


class TestAnswers:
    def test_servers_of_an_interface_take_the_place_of_the_networks(self, plan: NetworkBlueprint) -> None:
        """The same network, other servers."""
        network = vnet(plan.build(), "spoke1")
        assert answers(network, API).status is AnswerStatus.PUBLIC
        assert answers_by(network, (INBOUND,), API).status is AnswerStatus.RECORD

    def test_an_alias_leads_into_another_zone(self, plan: NetworkBlueprint) -> None:
        """Zones are looked at for each name of a chain."""
        alias = plan.record(MONITOR, "live")
        alias["type"] = "Microsoft.Network/privateDnsZones/CNAME"
        alias["properties"] = {"cnameRecord": {"cname": f"new.{ODS}."}}
        plan.record(ODS, "new", "10.7.7.7")
        found = answers(vnet(plan.build(), "hub"), "live.monitor.azure.com")
        assert found.addresses == ("10.7.7.7",)
        assert found.chain == ("live.monitor.azure.com", f"live.{MONITOR}", f"new.{ODS}")

    def test_aliases_in_a_circle(self, plan: NetworkBlueprint) -> None:
        """No answer, and no hang."""
        alias = plan.record(MONITOR, "live")
        alias["type"] = "Microsoft.Network/privateDnsZones/CNAME"
        alias["properties"] = {"cnameRecord": {"cname": "live.monitor.azure.com"}}
        assert answers(vnet(plan.build(), "hub"), "live.monitor.azure.com").status is AnswerStatus.LOOP

    def test_a_name_between_stops_wildcards(self, plan: NetworkBlueprint) -> None:
        """RFC 4592: what lies below an existing name is not the wildcard's above it."""
        plan.record(MONITOR, "*", "10.7.7.7")
        estate = plan.build()
        assert answers(vnet(estate, "hub"), "new.monitor.azure.com").addresses == ("10.7.7.7",)
        assert (
            answers(vnet(estate, "hub"), "new.handler.control.monitor.azure.com").status
            is AnswerStatus.NXDOMAIN
        )
        assert answers(vnet(estate, "hub"), "handler.control.monitor.azure.com").status is AnswerStatus.NODATA

    def test_the_fallback_is_for_privatelink_zones(self, plan: NetworkBlueprint) -> None:
        """The policy of another zone's link has no effect."""
        plan.zone("monitor.azure.com", records={"live": ["10.7.7.7"]})
        plan.link("monitor.azure.com", "hub", resolutionPolicy="NxDomainRedirect")
        assert answers(vnet(plan.build(), "hub"), API).status is AnswerStatus.NXDOMAIN

    def test_an_ipv6_server_is_unverified(self, plan: NetworkBlueprint) -> None:
        """Its place is not looked for."""
        set_network_dns(plan, "spoke1", "fd00::4")
        with pytest.raises(
            NotReadError, match=r"DNS server fd00::4 .* is an IPv6 address, which is not followed"
        ):
            answers(vnet(plan.build(), "spoke1"), API)

    def test_denied_records_matter_where_their_zone_is_asked(self, plan: NetworkBlueprint) -> None:
        """A name of no linked zone is public, whatever the records are."""
        plan.gaps[RECORDS] = denied()
        del plan[ZONE_LINKS, f"{ODS}/hub"]
        estate = plan.build()
        assert answers(vnet(estate, "hub"), "x.ods.opinsights.azure.com").status is AnswerStatus.PUBLIC
        with pytest.raises(AccessDeniedError):
            answers(vnet(estate, "hub"), API)


def test_a_zone_whose_links_nobody_listed_is_not_taken_for_unlinked(plan: NetworkBlueprint) -> None:
    """A private zone of the public domain would answer first; names outside of it are not touched."""
    del plan.documents[PRIVATE_ZONES][MONITOR]
    plan.zone("monitor.azure.com")
    estate = plan.build()
    unlisted = tuple(
        reading
        for reading in estate.snapshot.readings
        if not (reading.type == ZONE_LINKS and reading.scope.endswith("/monitor.azure.com"))
    )
    hub = vnet(Estate(msgspec.structs.replace(estate.snapshot, readings=unlisted)), "hub")
    with pytest.raises(NotReadError, match=r"lies in private DNS zone 'monitor\.azure\.com' .* not read"):
        answers(hub, API)
    assert answers(hub, "x.ods.opinsights.azure.com").status is AnswerStatus.NXDOMAIN
