"""The rules about policies, rulesets and other owners' names, each on a good and on bad estates."""

from __future__ import annotations

import pytest

from pytest_ampls.assertions.dns_configuration import (
    assert_blob_zone_shared,
    assert_forwarders,
    assert_no_internet_fallback,
    assert_zones_consistent,
)
from pytest_ampls.assertions.name_resolution import assert_zone_reaches_vnet
from pytest_ampls.catalogue import judgements
from pytest_ampls.errors import AccessDeniedError, NotReadError
from tests.assertions.machines import findings, observed, why_not_applicable
from tests.builders import ENDPOINTS, RULESETS, ZONE_LINKS, denied
from tests.private_estate import (
    AGENTSVC,
    BLOB,
    MONITOR,
    ODS,
    OMS,
    NetworkBlueprint,
    private_estate,
    vnet,
    zone,
)
from tests.rulesets import add_inbound, add_rules, set_network_dns

INBOUND = "192.168.0.10"
DOMAINS = tuple(each.removeprefix("privatelink.") for each in (MONITOR, OMS, ODS, AGENTSVC, BLOB))


@pytest.fixture
def plan() -> NetworkBlueprint:
    """Return the healthy estate."""
    return private_estate()


@pytest.fixture
def forwarding(plan: NetworkBlueprint) -> NetworkBlueprint:
    """Return the estate with a first spoke whose ruleset forwards all domains to a resolver in the hub."""
    set_network_dns(plan, "spoke1")
    add_inbound(plan, "hub", INBOUND)
    add_rules(plan, "spoke1", {domain: [INBOUND] for domain in DOMAINS})
    return plan


class TestBlobZone:
    @staticmethod
    def storage(plan: NetworkBlueprint, place: str = "hub/endpoints") -> None:
        """Add the private endpoint of a storage account."""
        plan.endpoint("storage", "unused", place, {"blob": ("logs1.blob.core.windows.net", "192.168.0.120")})
        connection = plan[ENDPOINTS, "storage"]["properties"]["privateLinkServiceConnections"][0][
            "properties"
        ]
        connection["privateLinkServiceId"] = "/subscriptions/s/resourceGroups/g/providers/x.y/z/logs1"

    def test_a_zone_without_others(self, plan: NetworkBlueprint) -> None:
        """Nothing is taken away from nobody."""
        assert_blob_zone_shared(zone(plan.build(), BLOB))

    def test_an_account_whose_record_is_elsewhere(self, plan: NetworkBlueprint) -> None:
        """The finding says which name is gone, where."""
        self.storage(plan)
        (found,) = findings(assert_blob_zone_shared, zone(plan.build(), BLOB))
        assert found.observed == "none: NXDOMAIN for logs1.blob.core.windows.net in virtual network 'hub'"
        assert found.expected == "a record for logs1.blob.core.windows.net, of private endpoint 'storage'"

    def test_an_account_with_its_record_is_fine(self, plan: NetworkBlueprint) -> None:
        """One central zone."""
        self.storage(plan)
        plan.record(BLOB, "logs1", "192.168.0.120")
        assert_blob_zone_shared(zone(plan.build(), BLOB))

    def test_a_fallback_takes_nothing_away(self, plan: NetworkBlueprint) -> None:
        """The name is looked up publicly then."""
        self.storage(plan)
        plan.link(BLOB, "hub", resolutionPolicy="NxDomainRedirect")
        assert_blob_zone_shared(zone(plan.build(), BLOB))

    def test_an_account_out_of_reach_is_another_environments(self, plan: NetworkBlueprint) -> None:
        """Its clients are in networks that this zone is not linked to."""
        plan.vnet("far", "10.1.0.0/24", endpoints="10.1.0.0/26")
        self.storage(plan, "far/endpoints")
        assert_blob_zone_shared(zone(plan.build(), BLOB))

    def test_other_zones_and_unlinked_ones_are_not_concerned(self, plan: NetworkBlueprint) -> None:
        """The reason says so."""
        assert "is not the blob zone" in why_not_applicable(assert_blob_zone_shared, zone(plan.build(), ODS))
        del plan[ZONE_LINKS, f"{BLOB}/hub"]
        assert "linked to no network" in why_not_applicable(assert_blob_zone_shared, zone(plan.build(), BLOB))

    def test_denied_endpoints_are_an_error(self, plan: NetworkBlueprint) -> None:
        """Which names there are is not known then."""
        plan.gaps[ENDPOINTS] = denied()
        with pytest.raises(AccessDeniedError):
            assert_blob_zone_shared(zone(plan.build(), BLOB))


class TestFallback:
    def test_no_policy_is_the_default(self, plan: NetworkBlueprint) -> None:
        """Older documents have no such property."""
        assert_no_internet_fallback(zone(plan.build(), MONITOR))
        found = findings(
            assert_no_internet_fallback, zone(plan.build(), MONITOR), expected="NxDomainRedirect"
        )
        assert [each.observed for each in found] == ["Default"]

    def test_a_link_that_falls_back(self, plan: NetworkBlueprint) -> None:
        """Red by default, right where it is expected; the case does not matter."""
        plan.link(MONITOR, "hub", resolutionPolicy="NXDOMAINRedirect")
        (found,) = findings(assert_no_internet_fallback, zone(plan.build(), MONITOR))
        assert found.property == "virtualNetworkLinks/hub: properties.resolutionPolicy"
        assert (found.expected, found.observed) == ("Default", "NXDOMAINRedirect")
        assert_no_internet_fallback(zone(plan.build(), MONITOR), expected="NxDomainRedirect")

    def test_denied_links_are_an_error(self, plan: NetworkBlueprint) -> None:
        """Not the same as no link."""
        plan.gaps[ZONE_LINKS] = denied()
        with pytest.raises(AccessDeniedError):
            assert_no_internet_fallback(zone(plan.build(), MONITOR))


class TestForwarders:
    def test_rules_for_the_public_names(self, forwarding: NetworkBlueprint) -> None:
        """The zones are linked to the network of the target."""
        spoke = vnet(forwarding.build(), "spoke1")
        assert_forwarders(spoke)
        assert_zone_reaches_vnet(spoke)
        assert_zones_consistent(spoke)

    def test_a_rule_of_every_name_will_do(self, plan: NetworkBlueprint) -> None:
        """All goes to the hub."""
        set_network_dns(plan, "spoke1")
        add_inbound(plan, "hub", INBOUND)
        add_rules(plan, "spoke1", {"": [INBOUND]})
        assert_forwarders(vnet(plan.build(), "spoke1"))

    def test_a_domain_without_a_rule(self, plan: NetworkBlueprint) -> None:
        """Answered publicly: the commonest mistake."""
        set_network_dns(plan, "spoke1")
        add_inbound(plan, "hub", INBOUND)
        add_rules(plan, "spoke1", {domain: [INBOUND] for domain in DOMAINS if not domain.startswith("ods.")})
        spoke = vnet(plan.build(), "spoke1")
        assert observed(assert_forwarders, spoke) == (
            "no rule for ods.opinsights.azure.com, and the zone is not linked: answered publicly"
        )
        (found,) = findings(assert_zones_consistent, spoke)
        assert found.observed.endswith(f"; public: {ODS}")
        (unlinked,) = findings(assert_zone_reaches_vnet, spoke)
        assert unlinked.expected == "linked to virtual network 'spoke1'"

    def test_a_linked_zone_needs_no_rule(self, plan: NetworkBlueprint) -> None:
        """One zone linked here, the others forwarded."""
        set_network_dns(plan, "spoke1")
        add_inbound(plan, "hub", INBOUND)
        add_rules(plan, "spoke1", {domain: [INBOUND] for domain in DOMAINS if not domain.startswith("ods.")})
        plan.link(ODS, "spoke1")
        assert_forwarders(vnet(plan.build(), "spoke1"))

    def test_a_rule_for_the_privatelink_name(self, plan: NetworkBlueprint) -> None:
        """No client asks for it."""
        set_network_dns(plan, "spoke1")
        add_inbound(plan, "hub", INBOUND)
        add_rules(plan, "spoke1", {f"privatelink.{domain}": [INBOUND] for domain in DOMAINS})
        found = findings(assert_forwarders, vnet(plan.build(), "spoke1"))
        assert len(found) == len(DOMAINS)
        assert found[0].observed == (
            f"a rule for {MONITOR}, a name that clients never ask for: they ask for names in monitor.azure.com, "
            "which are answered publicly"
        )

    def test_a_target_that_does_not_see_the_zone(self, plan: NetworkBlueprint) -> None:
        """The rule is right, its target is not; AMPLS301 names the network that it leads to."""
        set_network_dns(plan, "spoke1")
        set_network_dns(plan, "spoke2")
        add_rules(plan, "spoke1", {"": ["192.168.2.4"]})
        spoke = vnet(plan.build(), "spoke1")
        wrong = findings(assert_forwarders, spoke)
        assert {each.observed for each in wrong} == {
            "192.168.2.4 for every name, in virtual network 'spoke2', which does not see it"
        }
        assert findings(assert_zone_reaches_vnet, spoke)[0].expected == (
            "linked to virtual network 'spoke2', which forwarding rules send the questions of 'spoke1' to"
        )

    def test_a_rule_inside_a_domain_counts_too(self, forwarding: NetworkBlueprint) -> None:
        """One name of the domain goes somewhere else."""
        set_network_dns(forwarding, "spoke2")
        rules = {domain: [INBOUND] for domain in DOMAINS} | {"api.monitor.azure.com": ["192.168.2.4"]}
        add_rules(forwarding, "spoke1", rules)
        assert observed(assert_forwarders, vnet(forwarding.build(), "spoke1")) == (
            "192.168.2.4 for api.monitor.azure.com, in virtual network 'spoke2', which does not see it"
        )

    def test_a_circle(self, plan: NetworkBlueprint) -> None:
        """The hub's own ruleset sends names to the hub's resolver: neither rule calls that well."""
        add_inbound(plan, "hub", INBOUND)
        add_rules(plan, "hub", {domain: [INBOUND] for domain in DOMAINS})
        hub = vnet(plan.build(), "hub")
        found = findings(assert_forwarders, hub, judge_without_machines=True)
        broken = findings(assert_zone_reaches_vnet, hub, judge_without_machines=True)
        assert found[0].observed.endswith("from where rules lead back: a circle, and no answer")
        assert broken[0].observed == "forwarding rules that lead in a circle: no answer at all"

    def test_a_target_out_of_sight_is_unverified(self, plan: NetworkBlueprint) -> None:
        """A DNS server on premises may well be right."""
        set_network_dns(plan, "spoke1")
        add_rules(plan, "spoke1", {"": ["10.9.9.9"]})
        with pytest.raises(NotReadError):
            assert_forwarders(vnet(plan.build(), "spoke1"))

    def test_without_rules_for_azure_monitor_there_is_nothing_to_judge(self, plan: NetworkBlueprint) -> None:
        """A ruleset for the names of the company."""
        set_network_dns(plan, "spoke1")
        add_rules(plan, "spoke1", {"corp.example.com": ["10.9.9.9"]})
        reason = why_not_applicable(assert_forwarders, vnet(plan.build(), "spoke1"))
        assert reason.startswith("no forwarding ruleset that applies to virtual network 'spoke1'")

    def test_denied_rulesets_are_an_error(self, plan: NetworkBlueprint) -> None:
        """Not the same as no ruleset."""
        plan.gaps[RULESETS] = denied()
        with pytest.raises(AccessDeniedError):
            assert_forwarders(vnet(plan.build(), "spoke1"))


class TestConsistent:
    def test_all_zones_or_none(self, plan: NetworkBlueprint) -> None:
        """That none is seen is another rule's finding."""
        assert_zones_consistent(vnet(plan.build(), "spoke1"))
        plan.documents[ZONE_LINKS].clear()
        spoke = vnet(plan.build(), "spoke1")
        assert_zones_consistent(spoke)
        assert findings(assert_zone_reaches_vnet, spoke)

    def test_some_private_and_some_public(self, plan: NetworkBlueprint) -> None:
        """The most common failure of all: the monitor zone is linked, the ods zone is not."""
        del plan[ZONE_LINKS, f"{ODS}/hub"]
        (found,) = findings(assert_zones_consistent, vnet(plan.build(), "spoke1"))
        assert found.observed == f"private: {MONITOR}, {OMS}, {AGENTSVC}, {BLOB}; public: {ODS}"

    def test_one_server_sees_a_zone_and_another_does_not(self, plan: NetworkBlueprint) -> None:
        """Private by one DNS server, public by the other."""
        set_network_dns(plan, "spoke2")
        set_network_dns(plan, "spoke1", "192.168.0.4", "192.168.2.4")
        (found,) = findings(assert_zones_consistent, vnet(plan.build(), "spoke1"))
        assert found.observed.count(MONITOR) == 2

    def test_a_network_without_machines_or_scope(self, plan: NetworkBlueprint) -> None:
        """It is judged by nobody unless that is asked for."""
        assert "no machine" in why_not_applicable(assert_zones_consistent, vnet(plan.build(), "hub"))
        plan.vnet("far", "10.1.0.0/24")
        far = vnet(plan.build(), "far")
        with judgements() as kept:
            assert_zones_consistent(far, judge_without_machines=True)
        assert "has to do with no private link scope" in kept[0].reason
