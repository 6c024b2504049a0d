"""The rules that hold answers against one another, and the names that stay public."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_ampls.assertions.dns_agreement import assert_public_resolution, assert_resolvers_agree
from pytest_ampls.assertions.name_resolution import assert_private_resolution
from pytest_ampls.catalogue import ConformanceError
from pytest_ampls.effective.computed_points import computed_answers, settled
from pytest_ampls.errors import NotReadError, UnreachableError
from pytest_ampls.model import Gap, GapKind, VantagePoint, VirtualNetwork
from tests.assertions.asked_estate import API, answer, asked, asked_of
from tests.assertions.machines import findings, observed, why_not_applicable
from tests.builders import WORKSPACES, ZONE_LINKS, resource_id
from tests.private_estate import MONITOR, NetworkBlueprint, member_name, private_estate, vnet
from tests.rulesets import set_interface_dns, set_network_dns

OUTSIDE = "11111111-2222-4333-8444-555555555555"
OUTSIDE_NAME = f"{OUTSIDE}.ods.opinsights.azure.com"


@pytest.fixture
def plan() -> NetworkBlueprint:
    """Return the healthy estate, asked from its first spoke."""
    return asked(private_estate())


def judged(plan: NetworkBlueprint) -> VirtualNetwork:
    """Return the first spoke."""
    return vnet(plan.build(), "spoke1")


class TestAgreement:
    def test_what_is_answered_is_what_is_configured(self, plan: NetworkBlueprint) -> None:
        """For all names of the endpoint."""
        assert_resolvers_agree(judged(plan))

    def test_an_answer_that_the_configuration_does_not_explain(self, plan: NetworkBlueprint) -> None:
        """The finding has both, the configuration with its reason."""
        answer(plan, API, "20.1.1.1")
        (found,) = findings(assert_resolvers_agree, judged(plan))
        assert found.property == f"answers for {API}"
        assert found.observed == "20.1.1.1, asked from there"
        assert found.expected == (
            f"one answer: 192.168.0.68 (zone '{MONITOR}', linked to virtual network 'hub', has the record 'api'), "
            "by configuration"
        )

    def test_both_public_is_agreement(self, plan: NetworkBlueprint) -> None:
        """Which public address it is, configuration does not say."""
        del plan[ZONE_LINKS, f"{MONITOR}/hub"]
        for name in ("api", "dce-global", "dce-config", "dce-logs"):
            answer(plan, member_name(name), "20.1.1.1")
        assert_resolvers_agree(judged(plan))

    def test_vantage_points_that_differ(self, plan: NetworkBlueprint) -> None:
        """Where the DNS server is somewhere else, they are all there is."""
        set_network_dns(plan, "spoke1", "10.9.9.9")
        point = plan.vantage_points[0]
        plan.vantage_points.append(
            VantagePoint(name="second", servers=("127.0.0.1:5302",), virtual_network=point.virtual_network)
        )
        first = [each for each in plan.answers if each.name != API]
        for each in (*first, *plan.answers[:1]):
            plan.answers.append(
                type(each)(
                    vantage_point="second",
                    name=each.name,
                    addresses=("192.168.0.99",) if each.name == API else each.addresses,
                )
            )
        assert observed(assert_resolvers_agree, judged(plan)) == "192.168.0.99, asked from second"

    def test_servers_of_the_network_that_disagree(self, plan: NetworkBlueprint) -> None:
        """By configuration alone; which of them answered is chance."""
        set_network_dns(plan, "spoke2")
        set_network_dns(plan, "spoke1", "192.168.0.4", "192.168.2.4")
        assert findings(assert_resolvers_agree, judged(plan))[0].expected.startswith(
            "one answer: mixed (by hub: "
        )

    def test_an_interface_with_servers_of_its_own(self, plan: NetworkBlueprint) -> None:
        """Its machine is answered otherwise than the network's others."""
        set_interface_dns(plan, "vm1-nic", "168.63.129.16")
        found = findings(assert_resolvers_agree, judged(plan))
        assert found[0].observed == (
            f"public (no zone '{MONITOR}' is linked to virtual network 'spoke1'), by the DNS servers of network "
            "interface 'vm1-nic'"
        )
        set_interface_dns(plan, "vm1-nic", "192.168.0.4")
        assert_resolvers_agree(judged(plan))

    def test_an_interface_whose_server_is_out_of_sight(self, plan: NetworkBlueprint) -> None:
        """Nothing is known of what that machine is answered."""
        set_interface_dns(plan, "vm1-nic", "10.9.9.9")
        with pytest.raises(NotReadError):
            assert_resolvers_agree(judged(plan))

    def test_a_vantage_point_without_an_answer(self, plan: NetworkBlueprint) -> None:
        """A timeout agrees with nothing."""
        answer(plan, API, gap=Gap(kind=GapKind.UNREACHABLE, message="no answer"))
        with pytest.raises(UnreachableError):
            assert_resolvers_agree(judged(plan))

    def test_a_network_that_nobody_asks_for(self, plan: NetworkBlueprint) -> None:
        """Configuration alone agrees with itself."""
        reason = why_not_applicable(assert_resolvers_agree, vnet(plan.build(), "spoke2"))
        assert reason == "nothing but the configuration answers for virtual network 'spoke2'"


class TestComputedVantagePoint:
    @staticmethod
    def computed(plan: NetworkBlueprint) -> NetworkBlueprint:
        """Let the vantage point be computed instead of asked."""
        point = VantagePoint(name="there", servers=(), computed="spoke1")
        names = [each.name for each in plan.answers]
        estate = plan.build()
        plan.vantage_points = list(settled(estate, [point]))
        plan.answers = list(computed_answers(estate, plan.vantage_points, names))
        return plan

    def test_it_is_judged_as_any_other(self, plan: NetworkBlueprint) -> None:
        """The healthy estate answers privately."""
        assert_private_resolution(*asked_of(self.computed(plan).build()))

    def test_a_public_answer_is_called_public(self, plan: NetworkBlueprint) -> None:
        """With the reason in place of the addresses, and the documents to look at in place of dig."""
        del plan[ZONE_LINKS, f"{MONITOR}/hub"]
        found = findings(assert_private_resolution, *asked_of(self.computed(plan).build()))
        (api,) = [each for each in found if each.property.startswith(API)]
        assert api.observed.startswith(f"public: no zone '{MONITOR}' is linked to virtual network 'hub'")
        assert api.evidence is not None
        assert api.evidence.startswith("az rest")

    def test_servers_that_disagree_are_a_finding(self, plan: NetworkBlueprint) -> None:
        """Never green because one of them is right."""
        set_network_dns(plan, "spoke2")
        set_network_dns(plan, "spoke1", "192.168.0.4", "192.168.2.4")
        with pytest.raises(ConformanceError, match="mixed: by hub: private record"):
            assert_private_resolution(*asked_of(self.computed(plan).build()))


class TestPublic:
    @staticmethod
    def outside(plan: NetworkBlueprint, *addresses: str, **more: Any) -> NetworkBlueprint:
        """Add a workspace in no scope, and what its name is answered with."""
        properties = {"customerId": OUTSIDE.upper(), "publicNetworkAccessForIngestion": "Enabled"}
        plan.add(WORKSPACES, resource_id(WORKSPACES, "outside"), properties)
        answer(plan, OUTSIDE_NAME, *addresses, **more)
        return plan

    def test_a_public_answer(self, plan: NetworkBlueprint) -> None:
        """As it must be."""
        assert_public_resolution(judged(self.outside(plan, "20.1.1.1")))

    def test_a_name_that_vanishes_or_turns_private(self, plan: NetworkBlueprint) -> None:
        """A zone that answers for it too."""
        assert observed(assert_public_resolution, judged(self.outside(plan, status="NXDOMAIN"))) == (
            "NXDOMAIN"
        )
        assert observed(assert_public_resolution, judged(self.outside(plan, "10.1.1.1"))) == "10.1.1.1"
        assert observed(assert_public_resolution, judged(self.outside(plan, "10.1.1.1", "20.1.1.1")))

    def test_declared_names(self, plan: NetworkBlueprint) -> None:
        """They take the place of those that are found."""
        answer(plan, "www.example.com", "20.1.1.1")
        assert_public_resolution(judged(plan), names=("www.example.com",))
        with pytest.raises(ConformanceError):
            assert_public_resolution(judged(plan), names=(API,))

    def test_a_name_that_was_never_asked(self, plan: NetworkBlueprint) -> None:
        """Not known is not public."""
        with pytest.raises(NotReadError):
            assert_public_resolution(judged(plan), names=("www.example.com",))

    def test_a_closed_workspace_has_no_public_name(self, plan: NetworkBlueprint) -> None:
        """Nor has one that is in a scope."""
        self.outside(plan, status="NXDOMAIN")
        plan[WORKSPACES, "outside"]["properties"]["publicNetworkAccessForIngestion"] = "Disabled"
        assert "no name is declared" in why_not_applicable(assert_public_resolution, judged(plan))

    def test_without_a_vantage_point_nothing_is_said(self, plan: NetworkBlueprint) -> None:
        """Configuration cannot tell whether the public name is an alias."""
        self.outside(plan, "20.1.1.1")
        reason = why_not_applicable(assert_public_resolution, vnet(plan.build(), "spoke2"))
        assert reason == "virtual network 'spoke2' has no vantage point"
