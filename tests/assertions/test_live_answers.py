"""The rules about live answers, on servers that answer wrongly."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_ampls.assertions.name_resolution import (
    assert_answer_matches_configuration,
    assert_private_resolution,
)
from pytest_ampls.catalogue import ConformanceError
from pytest_ampls.errors import NotReadError, UnreachableError
from pytest_ampls.model import Gap, GapKind
from tests.assertions.asked_estate import (
    API,
    ODS_NAME,
    answer,
    asked,
    asked_of,
)
from tests.assertions.machines import findings, observed, why_not_applicable
from tests.builders import (
    PRIVATE_ZONES,
    RECORDS,
    VNETS,
    ZONE_LINKS,
    resource_id,
)
from tests.private_estate import (
    MONITOR,
    PLACES,
    NetworkBlueprint,
    member_name,
    private_estate,
)


@pytest.fixture
def plan() -> NetworkBlueprint:
    """Return the healthy estate, asked from its first spoke, to be broken."""
    return asked(private_estate())


class TestPrivateResolution:
    @pytest.mark.parametrize(
        ("addresses", "more", "expected"),
        [
            (
                ("203.0.113.7",),
                {"end": "oi-ods.trafficmanager.net"},
                "public: 203.0.113.7 (by way of oi-ods.trafficmanager.net)",
            ),
            (
                (),
                {"end": "x.privatelink.ods.opinsights.azure.com", "status": "NXDOMAIN"},
                "NXDOMAIN: x.privatelink.ods.opinsights.azure.com does not exist",
            ),
            ((), {}, f"no address: {ODS_NAME} exists without one"),
            (
                ("10.99.0.1",),
                {},
                "private, but foreign: 10.99.0.1, the address of no private endpoint that was read",
            ),
            (
                ("192.168.0.68",),
                {},
                "private, but foreign: 192.168.0.68, the endpoint's address for other names",
            ),
            (
                ("192.168.0.73", "203.0.113.7"),
                {},
                "mixed: 192.168.0.73 (the endpoint's), 203.0.113.7 (public)",
            ),
            (
                ("0.0.0.0",),
                {},
                "neither private nor public: 0.0.0.0, which a filter or a hosts file answers with",
            ),
        ],
        ids=["public", "nxdomain", "empty", "foreign", "other-name", "mixed", "sinkhole"],
    )
    def test_wrong_answers_are_told_apart(
        self, plan: NetworkBlueprint, addresses: tuple[str, ...], more: dict[str, Any], expected: str
    ) -> None:
        """Each kind of wrong answer has a phrase of its own; a privatelink name in the chain saves none."""
        answer(plan, ODS_NAME, *addresses, **more)
        (finding,) = findings(assert_private_resolution, *asked_of(plan.build()))
        assert finding.property == f"{ODS_NAME} asked from there"
        assert finding.expected == "192.168.0.73, of private endpoint 'pe'"
        assert finding.observed == expected
        assert finding.evidence == f"dig @127.0.0.1 -p 5301 {ODS_NAME} A"

    def test_an_address_of_another_endpoint_is_named(self, plan: NetworkBlueprint) -> None:
        """A private address that belongs to the endpoint of another scope says so."""
        plan.scope("second")
        plan.endpoint("pe2", "second", "spoke1/vm", {"api": (API, "192.168.1.40")})
        answer(plan, API, "192.168.1.40")
        assert observed(assert_private_resolution, *asked_of(plan.build())) == (
            "private, but foreign: 192.168.1.40, an address of private endpoint 'pe2'"
        )

    def test_another_endpoint_of_the_same_scope_is_right_too(self, plan: NetworkBlueprint) -> None:
        """Two endpoints of one scope lead to the same place."""
        plan.endpoint("pe2", "ampls", "spoke1/vm", {"api": (API, "192.168.1.40")})
        answer(plan, API, "192.168.1.40")
        assert findings(assert_private_resolution, *asked_of(plan.build())) == ()

    def test_no_answer_is_unverified(self, plan: NetworkBlueprint) -> None:
        """A timeout is neither a pass nor a failure."""
        gap = Gap(kind=GapKind.UNREACHABLE, message="no answer within 5 s")
        answer(plan, ODS_NAME, gap=gap)
        with pytest.raises(UnreachableError, match="no answer within 5 s"):
            assert_private_resolution(*asked_of(plan.build()))

    def test_a_name_that_was_never_asked_is_unverified(self, plan: NetworkBlueprint) -> None:
        """Silence about a name is not consent."""
        plan.answers = [kept for kept in plan.answers if kept.name != ODS_NAME]
        with pytest.raises(NotReadError, match=f"{ODS_NAME} was never asked"):
            assert_private_resolution(*asked_of(plan.build()))

    def test_a_wrong_answer_outweighs_a_missing_one(self, plan: NetworkBlueprint) -> None:
        """What is known to be broken is a failure, and what is unknown is said beside it."""
        answer(plan, API, "203.0.113.7")
        answer(plan, ODS_NAME, gap=Gap(kind=GapKind.UNREACHABLE, message="no answer within 5 s"))
        with pytest.raises(ConformanceError, match="unverified besides: no answer within 5 s"):
            assert_private_resolution(*asked_of(plan.build()))

    def test_a_vantage_point_without_way_to_the_endpoint_is_not_concerned(
        self, plan: NetworkBlueprint
    ) -> None:
        """A VNet whose DNS leads nowhere and that is not peered has other business."""
        plan.vnet("island", "10.1.0.0/24")
        asked(plan, network="island")
        answer(plan, API, "203.0.113.7")
        assert why_not_applicable(assert_private_resolution, *asked_of(plan.build())) == (
            "vantage point 'there' speaks for virtual network 'island', which is neither the network of private "
            "endpoint 'pe' nor peered with it"
        )

    def test_a_peered_network_whose_dns_leads_nowhere_is_judged(self, plan: NetworkBlueprint) -> None:
        """A spoke that bypasses the hub's DNS is what this rule is for."""
        plan[VNETS, "spoke1"]["properties"]["dhcpOptions"]["dnsServers"] = []
        answer(plan, API, "203.0.113.7")
        assert observed(assert_private_resolution, *asked_of(plan.build())) == "public: 203.0.113.7"

    def test_a_network_of_another_endpoint_is_not_concerned(self, plan: NetworkBlueprint) -> None:
        """DNS that leads to another endpoint by design is not held against this one."""
        other_environment(plan)
        asked(plan, network="other")
        answer(plan, API, "10.1.0.10")
        assert why_not_applicable(assert_private_resolution, *asked_of(plan.build())) == (
            "vantage point 'there' speaks for virtual network 'other', whose DNS leads to private endpoint 'pe2', "
            "not to 'pe'"
        )

    def test_without_a_network_the_answers_tell_whom_they_concern(self, plan: NetworkBlueprint) -> None:
        """Answers that lead to another endpoint only are not held against this one."""
        other_environment(plan)
        asked(plan, network=None)
        for member in PLACES:
            answer(plan, member_name(member), "10.1.0.10")
        assert why_not_applicable(assert_private_resolution, *asked_of(plan.build())) == (
            "vantage point 'there' answers with addresses of private endpoint 'pe2', with none of 'pe'"
        )

    def test_without_a_network_public_answers_are_findings(self, plan: NetworkBlueprint) -> None:
        """A vantage point of unknown place that answers publicly is judged, not excused."""
        asked(plan, network=None)
        for member in PLACES:
            answer(plan, member_name(member), "203.0.113.7")
        assert len(findings(assert_private_resolution, *asked_of(plan.build()))) == len(PLACES)

    def test_a_server_outside_of_azure_is_what_asking_is_for(self, plan: NetworkBlueprint) -> None:
        """Configuration cannot tell what such a server answers; the live answers are judged."""
        plan[VNETS, "spoke1"]["properties"]["dhcpOptions"]["dnsServers"] = ["10.9.9.9"]
        answer(plan, API, "203.0.113.7")
        assert observed(assert_private_resolution, *asked_of(plan.build())) == "public: 203.0.113.7"


def other_environment(plan: NetworkBlueprint) -> None:
    """Add a second environment of its own: VNet, zone, scope and endpoint."""
    plan.vnet("other", "10.1.0.0/24", endpoints="10.1.0.0/26")
    plan.scope("second")
    plan.endpoint("pe2", "second", "other/endpoints", {"api": (API, "10.1.0.10")})
    apart = resource_id(PRIVATE_ZONES, MONITOR, group="other")
    plan.documents[PRIVATE_ZONES]["apart"] = {"id": apart, "name": MONITOR, "properties": {}}
    plan.documents[ZONE_LINKS]["apart"] = {
        "id": f"{apart}/virtualNetworkLinks/other",
        "name": "other",
        "properties": {
            "virtualNetwork": {"id": resource_id(VNETS, "other")},
            "virtualNetworkLinkState": "Completed",
        },
    }
    plan.documents[RECORDS]["apart"] = {
        "id": f"{apart}/A/api",
        "name": "api",
        "type": "Microsoft.Network/privateDnsZones/A",
        "properties": {"aRecords": [{"ipv4Address": "10.1.0.10"}]},
    }


class TestAnswerMatchesConfiguration:
    def test_an_answer_that_differs_is_the_odd_one_out(self, plan: NetworkBlueprint) -> None:
        """Endpoint and zone agree: the DNS server is wrong."""
        answer(plan, API, "192.168.0.99")
        (finding,) = findings(assert_answer_matches_configuration, *asked_of(plan.build()))
        assert finding.expected == "one address in all three: 192.168.0.68"
        assert finding.observed == (
            "endpoint 192.168.0.68; zone record 192.168.0.68; answer of there 192.168.0.99: "
            "the answer is the odd one out"
        )

    def test_a_record_that_differs_is_the_odd_one_out(self, plan: NetworkBlueprint) -> None:
        """The server answers from somewhere else than the zone that was read."""
        plan.record(MONITOR, "api", "192.168.0.99")
        assert observed(assert_answer_matches_configuration, *asked_of(plan.build())).endswith(
            "zone record 192.168.0.99; answer of there 192.168.0.68: the zone record is the odd one out"
        )

    def test_an_endpoint_that_differs_is_the_odd_one_out(self, plan: NetworkBlueprint) -> None:
        """A stale record that is answered faithfully."""
        plan.record(MONITOR, "api", "192.168.0.99")
        answer(plan, API, "192.168.0.99")
        assert observed(assert_answer_matches_configuration, *asked_of(plan.build())).endswith(
            "the endpoint is the odd one out: zone and answer agree"
        )

    def test_a_missing_record_says_why(self, plan: NetworkBlueprint) -> None:
        """Without a record the reason stands in its place."""
        del plan[RECORDS, f"{MONITOR}/A/api"]
        answer(plan, API, status="NXDOMAIN")
        assert observed(assert_answer_matches_configuration, *asked_of(plan.build())) == (
            "endpoint 192.168.0.68; zone record none (zone 'privatelink.monitor.azure.com', linked to virtual network "
            "'hub', has no record 'api'); answer of there NXDOMAIN: the endpoint is the odd one out: zone and answer "
            "agree"
        )

    def test_all_three_may_differ(self, plan: NetworkBlueprint) -> None:
        """Nobody agrees with anybody."""
        plan.record(MONITOR, "api", "192.168.0.99")
        answer(plan, API, "203.0.113.7")
        assert observed(assert_answer_matches_configuration, *asked_of(plan.build())).endswith(
            "all three differ"
        )

    def test_without_a_network_the_endpoints_own_zones_are_compared(self, plan: NetworkBlueprint) -> None:
        """A vantage point of unknown place is compared with what the zone group's zones hold."""
        asked(plan, network=None)
        plan.record(MONITOR, "api", "192.168.0.99")
        assert "zone record 192.168.0.99; answer of there 192.168.0.68" in observed(
            assert_answer_matches_configuration, *asked_of(plan.build())
        )

    def test_an_unseen_zone_is_as_public_as_a_public_answer(self, plan: NetworkBlueprint) -> None:
        """Configuration says public, the server says public: the endpoint stands alone."""
        del plan[ZONE_LINKS, f"{MONITOR}/hub"]
        answer(plan, API, "203.0.113.7")
        (*_, finding) = [
            each
            for each in findings(assert_answer_matches_configuration, *asked_of(plan.build()))
            if each.property.startswith(API)
        ]
        assert (
            "no zone 'privatelink.monitor.azure.com' is linked to virtual network 'hub'" in finding.observed
        )
        assert finding.observed.endswith("the endpoint is the odd one out: zone and answer agree")
