"""The rules about zones, links and records, each on a good and on bad estates."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from pytest_ampls.assertions.name_resolution import (
    assert_answer_matches_configuration,
    assert_no_empty_zone,
    assert_private_resolution,
    assert_records_current,
    assert_records_present,
    assert_single_scope_per_dns_boundary,
    assert_zone_reaches_vnet,
)
from pytest_ampls.catalogue import ConformanceError, Rule, Verdict, judgements
from pytest_ampls.errors import AccessDeniedError, EvidenceError, NotReadError
from tests.assertions.asked_estate import (
    API,
    OTHER_SUBSCRIPTION,
    asked,
    asked_of,
    monitor,
    pe,
    second_scope,
    spoke,
)
from tests.assertions.machines import findings, observed, why_not_applicable
from tests.builders import (
    AMPLS,
    DCES,
    ENDPOINTS,
    LINK_RESOURCES,
    MEMBERS,
    NICS,
    PRIVATE_ZONES,
    RECORDS,
    VMS,
    VNETS,
    WORKSPACES,
    ZONE_GROUPS,
    ZONE_LINKS,
    denied,
    resource_id,
)
from tests.private_estate import (
    AGENTSVC,
    MONITOR,
    ODS,
    NetworkBlueprint,
    ampls,
    private_estate,
    vnet,
    zone,
)


@pytest.fixture
def plan() -> NetworkBlueprint:
    """Return the healthy estate, asked from its first spoke, to be broken."""
    return asked(private_estate())


SUBJECTS: list[tuple[Rule[Any], Any, tuple[str, ...]]] = [
    (
        assert_zone_reaches_vnet,
        spoke,
        (VMS, NICS, ENDPOINTS, AMPLS, LINK_RESOURCES, PRIVATE_ZONES, ZONE_LINKS, RECORDS),
    ),
    (assert_records_present, pe, (NICS, ZONE_GROUPS, PRIVATE_ZONES, RECORDS, ZONE_LINKS, VNETS)),
    (assert_records_current, monitor, (RECORDS, ENDPOINTS, NICS, ZONE_GROUPS)),
    (
        assert_single_scope_per_dns_boundary,
        spoke,
        (VMS, ENDPOINTS, ZONE_GROUPS, AMPLS, PRIVATE_ZONES, ZONE_LINKS, RECORDS),
    ),
    (assert_no_empty_zone, monitor, (ZONE_LINKS, RECORDS)),
    (assert_private_resolution, asked_of, (NICS, AMPLS, VNETS, ZONE_LINKS, RECORDS, ZONE_GROUPS)),
    (assert_answer_matches_configuration, asked_of, (NICS, AMPLS, VNETS, ZONE_LINKS, RECORDS)),
]


@pytest.mark.parametrize(("rule", "subject", "kinds"), SUBJECTS, ids=lambda part: getattr(part, "id", ""))
def test_holds_on_the_healthy_estate(
    rule: Rule[Any], subject: Any, kinds: tuple[str, ...], plan: NetworkBlueprint
) -> None:
    """Every rule of the family looks at the healthy estate and holds."""
    with judgements() as made:
        rule(*subject(plan.build()))
    assert [judgement.verdict for judgement in made] == [Verdict.HELD]


@pytest.mark.parametrize(
    ("rule", "subject", "kind"),
    [(rule, subject, kind) for rule, subject, kinds in SUBJECTS for kind in kinds],
    ids=lambda part: getattr(part, "id", part if isinstance(part, str) else ""),
)
def test_denied_evidence_is_never_a_pass(
    rule: Rule[Any], subject: Any, kind: str, plan: NetworkBlueprint
) -> None:
    """Whatever a rule rests on, refused reading of it is an error and neither a pass nor a failure."""
    plan.gaps[kind] = denied(kind)
    subjects = subject(plan.build())
    with pytest.raises(AccessDeniedError, match="refused"):
        rule(*subjects)


class TestZoneReachesVnet:
    def test_a_hub_that_resolves_for_its_spokes_is_enough(self, plan: NetworkBlueprint) -> None:
        """Zones that are linked to the hub only reach a spoke whose DNS server is in the hub."""
        assert [link.label for link in vnet(plan.build(), "spoke1").zone_links] == []
        assert findings(assert_zone_reaches_vnet, vnet(plan.build(), "spoke1")) == ()

    def test_a_zone_that_the_hub_does_not_see_is_named(self, plan: NetworkBlueprint) -> None:
        """The finding says which network the link has to go to, and why that one."""
        del plan[ZONE_LINKS, f"{ODS}/hub"]
        (finding,) = findings(assert_zone_reaches_vnet, vnet(plan.build(), "spoke1"))
        assert finding.property == f"zone {ODS}"
        assert finding.expected == (
            "linked to virtual network 'hub', which holds the DNS server 192.168.0.4 of 'spoke1'"
        )
        assert finding.observed == "the zone in 'rg' is linked to no network"
        assert finding.tokens["network-id"] == resource_id(VNETS, "hub")
        assert "/virtualNetworkLinks?" in finding.evidence

    def test_peering_shares_no_zones(self, plan: NetworkBlueprint) -> None:
        """A spoke with Azure-provided DNS needs links of its own, although it is peered with the hub."""
        plan[VNETS, "spoke1"]["properties"]["dhcpOptions"]["dnsServers"] = []
        found = findings(assert_zone_reaches_vnet, vnet(plan.build(), "spoke1"))
        assert len(found) == 5
        assert found[0].expected == "linked to virtual network 'spoke1'"
        assert found[0].observed == "the zone in 'rg' is linked to only 'hub'"

    def test_a_link_that_is_being_made_does_not_count(self, plan: NetworkBlueprint) -> None:
        """A link works once its state is Completed."""
        plan.link(ODS, "hub", virtualNetworkLinkState="InProgress")
        assert observed(assert_zone_reaches_vnet, vnet(plan.build(), "spoke1")) == (
            "link 'hub' is in state InProgress"
        )

    def test_a_zone_that_nobody_has_is_named(self, plan: NetworkBlueprint) -> None:
        """A required zone that was read nowhere is a finding."""
        plan[LINK_RESOURCES, "ampls/azuremonitor"]["properties"]["requiredZoneNames"].append("new.azure.com")
        assert (
            observed(assert_zone_reaches_vnet, vnet(plan.build(), "spoke1"))
            == "no zone of this name was read"
        )

    def test_a_zone_of_another_subscription_is_unverified(self, plan: NetworkBlueprint) -> None:
        """A zone that an endpoint writes to and that was not read may well be the linked one."""
        for kind in (PRIVATE_ZONES, ZONE_LINKS, RECORDS):
            plan.remove(kind, lambda name: name.startswith(ODS))
        configs = plan[ZONE_GROUPS, "pe/default"]["properties"]["privateDnsZoneConfigs"]
        ods = next(each for each in configs if ODS in each["properties"]["privateDnsZoneId"])
        ods["properties"]["privateDnsZoneId"] = resource_id(
            PRIVATE_ZONES, ODS, subscription=OTHER_SUBSCRIPTION
        )
        with pytest.raises(NotReadError, match="Add --ampls-subscription"):
            assert_zone_reaches_vnet(vnet(plan.build(), "spoke1"))

    def test_a_server_outside_of_azure_is_unverified(self, plan: NetworkBlueprint) -> None:
        """Where the DNS server is not in a VNet that was read, the message says what to do instead."""
        plan[VNETS, "spoke1"]["properties"]["dhcpOptions"]["dnsServers"] = ["10.9.9.9"]
        with pytest.raises(NotReadError) as error:
            assert_zone_reaches_vnet(vnet(plan.build(), "spoke1"))
        assert "DNS server 10.9.9.9 of virtual network rg/spoke1 lies in no VNet that was read" in str(
            error.value
        )
        assert "--ampls-resolver=spoke1=10.9.9.9" in str(error.value)

    def test_a_network_without_machines_is_not_concerned_unless_asked(self, plan: NetworkBlueprint) -> None:
        """A VNet without machines is skipped with a reason, and judged on demand."""
        plan.vnet("lonely", "10.1.0.0/24", peers=["hub"])
        lonely = vnet(plan.build(), "lonely")
        assert why_not_applicable(assert_zone_reaches_vnet, lonely) == (
            "no machine that was read is in virtual network 'lonely'"
        )
        assert len(findings(assert_zone_reaches_vnet, lonely, judge_without_machines=True)) == 5

    def test_a_network_far_from_every_scope_is_not_concerned(self, plan: NetworkBlueprint) -> None:
        """Neither DNS, nor peers, nor what its machines send to lead to a scope."""
        plan.vnet("island", "10.1.0.0/24", vm="10.1.0.0/26")
        plan.vm("castaway", "island/vm", "10.1.0.4")
        assert "has to do with no private link scope" in why_not_applicable(
            assert_zone_reaches_vnet, vnet(plan.build(), "island")
        )


class TestSingleScopePerDnsBoundary:
    def test_what_is_in_one_of_two_scopes_only_is_named(self, plan: NetworkBlueprint) -> None:
        """Each resource that is missing in one of the scopes is a finding."""
        second_scope(plan, members=[resource_id(WORKSPACES, "ws")])
        with pytest.raises(ConformanceError) as error:
            assert_single_scope_per_dns_boundary(vnet(plan.build(), "spoke2"))
        (finding,) = error.value.findings
        assert finding.observed == "2 scopes; 'dce' is a member of 'ampls', not of 'second'"
        assert finding.property == (
            "scopes that its private zones lead to ('second' by 'pe2'; 'ampls' by 'pe')"
        )
        assert "--name dce --scope-name second --resource-group rg" in str(error.value)

    def test_two_scopes_with_the_same_members_are_sound(self, plan: NetworkBlueprint) -> None:
        """While every resource is in both, it does not matter which one a client is led to."""
        second_scope(plan, members=[resource_id(WORKSPACES, "ws").upper(), resource_id(DCES, "dce")])
        assert findings(assert_single_scope_per_dns_boundary, vnet(plan.build(), "spoke2")) == ()

    def test_an_endpoint_that_lost_its_records_is_still_in_the_boundary(self, plan: NetworkBlueprint) -> None:
        """A zone group that names the zones will write again: the boundary is shared even without a record."""
        plan.scope("second")
        plan.endpoint("pe2", "second", "spoke1/vm", {"api": (API, "192.168.1.40")})
        plan.zone_group("pe2", {MONITOR: {}})
        assert len(findings(assert_single_scope_per_dns_boundary, vnet(plan.build(), "spoke1"))) == 2

    def test_dns_that_leads_to_no_scope_is_not_concerned(self, plan: NetworkBlueprint) -> None:
        """Without a zone there is no boundary."""
        plan[VNETS, "spoke1"]["properties"]["dhcpOptions"]["dnsServers"] = []
        assert "leads to no private link scope" in why_not_applicable(
            assert_single_scope_per_dns_boundary, vnet(plan.build(), "spoke1")
        )


class TestNoEmptyZone:
    def test_an_empty_monitor_zone_stops_every_network_it_is_linked_to(self, plan: NetworkBlueprint) -> None:
        """The shared names are aliases for everybody, so nobody finds them any more, scope or not."""
        plan.remove(RECORDS, lambda name: name.startswith(MONITOR))
        plan.link(MONITOR, "spoke2")
        (finding,) = findings(assert_no_empty_zone, zone(plan.build(), MONITOR))
        assert finding.expected.startswith(
            "records for the names that all clients share (api.monitor.azure.com"
        )
        assert finding.observed == (
            "no address record, and links to 'hub', 'spoke2': NXDOMAIN for every name there"
        )

    def test_an_empty_workspace_zone_counts_once_a_workspace_is_in_a_scope(
        self, plan: NetworkBlueprint
    ) -> None:
        """The workspace's names are aliases as soon as it is a member of a scope."""
        plan.remove(RECORDS, lambda name: name.startswith(AGENTSVC))
        plan.documents[ENDPOINTS].clear()
        (finding,) = findings(assert_no_empty_zone, zone(plan.build(), AGENTSVC))
        assert finding.expected == "records for the workspaces in private link scopes (ws), or no link"

    def test_an_empty_workspace_zone_of_nobody_is_not_concerned(self, plan: NetworkBlueprint) -> None:
        """Nothing that was read has a name in it."""
        plan.remove(RECORDS, lambda name: name.startswith(AGENTSVC))
        plan.documents[ENDPOINTS].clear()
        plan.documents[MEMBERS].clear()
        assert "nothing that was read has a name in it" in why_not_applicable(
            assert_no_empty_zone, zone(plan.build(), AGENTSVC)
        )

    def test_links_that_fall_back_to_the_internet_are_left_out(self, plan: NetworkBlueprint) -> None:
        """With NxDomainRedirect no name vanishes."""
        plan.remove(RECORDS, lambda name: name.startswith(MONITOR))
        plan.link(MONITOR, "hub", resolutionPolicy="NxDomainRedirect")
        assert "falls back to the internet" in why_not_applicable(
            assert_no_empty_zone, zone(plan.build(), MONITOR)
        )

    def test_a_zone_without_links_is_not_concerned(self, plan: NetworkBlueprint) -> None:
        """What nobody sees harms nobody."""
        plan.remove(ZONE_LINKS, lambda name: name.startswith(MONITOR))
        assert "is linked to no network" in why_not_applicable(
            assert_no_empty_zone, zone(plan.build(), MONITOR)
        )


@pytest.mark.parametrize(("rule", "subject", "kinds"), SUBJECTS, ids=lambda part: getattr(part, "id", ""))
def test_nothing_passes_on_a_bare_subject(
    rule: Rule[Any], subject: Any, kinds: tuple[str, ...], plan: NetworkBlueprint
) -> None:
    """A subject that has nothing around it fails, is unverified or not concerned; it never passes."""
    for kind in set(plan.documents) - {ENDPOINTS, VNETS, PRIVATE_ZONES}:
        plan.documents[kind].clear()
    plan[ENDPOINTS, "pe"]["properties"].update(networkInterfaces=[], customDnsConfigs=[])
    plan.answers = []
    with judgements() as made, suppress(ConformanceError, EvidenceError):
        rule(*subject(plan.build()))
    assert made[0].verdict is not Verdict.HELD


def test_the_scope_of_the_healthy_estate_is_reached(plan: NetworkBlueprint) -> None:
    """The estate that the tests break is one that works."""
    assert ampls(plan.build()).label == "ampls"
