"""Vantage points that are computed: which VNet they are, and their answers as evidence."""

from __future__ import annotations

import pytest

from pytest_ampls.effective.computed_points import computed_answers, settled
from pytest_ampls.effective.live import AnswerKind, judged, said_by_answer
from pytest_ampls.errors import AccessDeniedError, ConfigurationError, NotReadError, UnreachableError
from pytest_ampls.model import Answer, VantagePoint
from tests.builders import VNETS, ZONE_LINKS, denied, resource_id
from tests.private_estate import MONITOR, NetworkBlueprint, private_estate
from tests.rulesets import add_inbound, add_rules, set_network_dns

API = "api.monitor.azure.com"
RIGHT = frozenset({"192.168.0.68"})


@pytest.fixture
def plan() -> NetworkBlueprint:
    """Return the healthy estate."""
    return private_estate()


def point(network: str = "spoke1") -> VantagePoint:
    """Return a computed vantage point."""
    return VantagePoint(name="there", servers=(), computed=network, origin="--ampls-resolver")


def computed(plan: NetworkBlueprint, name: str = API, network: str = "spoke1") -> Answer:
    """Return the one answer of a computed vantage point."""
    (answer,) = computed_answers(plan.build(), [point(network)], [name])
    return answer


class TestNetworks:
    def test_a_name_or_an_id(self, plan: NetworkBlueprint) -> None:
        """Whatever its case; other vantage points stay as they are."""
        estate = plan.build()
        other = VantagePoint(name="hub", servers=("127.0.0.1:53",))
        own = resource_id(VNETS, "spoke1")
        found = settled(estate, [point("SPOKE1"), point(own.lower()), other])
        assert [each.virtual_network for each in found] == [own, own, None]
        assert found[2] is other

    def test_a_name_that_is_not_there(self, plan: NetworkBlueprint) -> None:
        """The message says who wrote it, and what was probably meant."""
        with pytest.raises(
            ConfigurationError,
            match=r"resolver 'there' \(from --ampls-resolver\) is computed:spoke11, .* did you mean spoke1\?",
        ):
            settled(plan.build(), [point("spoke11")])

    def test_an_id_that_is_not_there(self, plan: NetworkBlueprint) -> None:
        """Proven not to exist."""
        with pytest.raises(ConfigurationError, match="no virtual network that was read"):
            settled(plan.build(), [point(resource_id(VNETS, "gone"))])

    def test_a_name_that_several_have(self, plan: NetworkBlueprint) -> None:
        """Only an id tells them apart."""
        twin = resource_id(VNETS, "spoke1", group="other")
        plan.documents[VNETS]["twin"] = {"id": twin, "name": "spoke1", "properties": {}}
        with pytest.raises(ConfigurationError, match=f"several virtual networks .* Write an id: .*{twin}"):
            settled(plan.build(), [point()])

    def test_networks_that_were_not_read(self, plan: NetworkBlueprint) -> None:
        """No mistake of the user's: the answers say what is missing."""
        plan.gaps[VNETS] = denied()
        estate = plan.build()
        assert settled(estate, [point()]) == (point(),)
        (answer,) = computed_answers(estate, [point()], [API])
        assert answer.gap is not None
        assert isinstance(answer.gap.error(), AccessDeniedError)


class TestAnswers:
    def test_a_record(self, plan: NetworkBlueprint) -> None:
        """Address, chain and reason."""
        found = computed(plan)
        assert found.addresses == ("192.168.0.68",)
        assert found.chain == (API, f"api.{MONITOR}")
        assert found.reason.startswith(f"zone '{MONITOR}', linked to virtual network 'hub'")
        assert judged(found, RIGHT) is AnswerKind.OWN

    def test_a_public_answer_is_not_an_empty_one(self, plan: NetworkBlueprint) -> None:
        """Its addresses are not known, and that it is public is."""
        del plan[ZONE_LINKS, f"{MONITOR}/hub"]
        found = computed(plan)
        assert (found.status, found.addresses) == ("NOERROR", ())
        assert judged(found, RIGHT) is AnswerKind.PUBLIC
        assert said_by_answer(found) == {"public"}

    def test_a_fallback_is_public(self, plan: NetworkBlueprint) -> None:
        """However it came about."""
        plan.link(MONITOR, "hub", resolutionPolicy="NxDomainRedirect")
        assert judged(computed(plan, "live.monitor.azure.com"), RIGHT) is AnswerKind.PUBLIC

    def test_nothing_and_no_address_are_told_apart(self, plan: NetworkBlueprint) -> None:
        """NXDOMAIN and NODATA."""
        plan.record(MONITOR, "live")
        assert judged(computed(plan, "live.monitor.azure.com"), RIGHT) is AnswerKind.EMPTY
        assert judged(computed(plan, "new.monitor.azure.com"), RIGHT) is AnswerKind.NXDOMAIN

    def test_servers_that_disagree_are_never_right(self, plan: NetworkBlueprint) -> None:
        """One has the right address, the other no such name: all addresses together look right."""
        set_network_dns(plan, "spoke2")
        plan.zone("monitor.azure.com", links=["spoke2"])
        set_network_dns(plan, "spoke1", "192.168.0.4", "192.168.2.4")
        found = computed(plan)
        assert found.addresses == ("192.168.0.68",)
        assert judged(found, RIGHT) is AnswerKind.MIXED

    def test_a_circle_is_no_answer(self, plan: NetworkBlueprint) -> None:
        """As SERVFAIL is none."""
        add_inbound(plan, "hub", "192.168.0.10")
        add_rules(plan, "hub", {"monitor.azure.com": ["192.168.0.10"]})
        gap = computed(plan, network="hub").gap
        assert gap is not None
        assert isinstance(gap.error(), UnreachableError)

    def test_what_cannot_be_computed_has_a_gap(self, plan: NetworkBlueprint) -> None:
        """A DNS server outside of what was read."""
        set_network_dns(plan, "spoke1", "10.9.9.9")
        found = computed(plan)
        assert found.computed == "unverified"
        assert found.gap is not None
        assert isinstance(found.gap.error(), NotReadError)

    def test_points_with_servers_give_none(self, plan: NetworkBlueprint) -> None:
        """They are asked, not computed; and a name is computed once."""
        other = VantagePoint(name="hub", servers=("127.0.0.1:53",))
        assert len(computed_answers(plan.build(), [other, point()], [API, API])) == 1
