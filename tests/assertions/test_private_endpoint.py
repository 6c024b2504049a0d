"""The rules about connections, zone groups and addresses, each on a good and on bad estates."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from pytest_ampls.assertions.private_endpoint import (
    assert_connection_approved,
    assert_endpoint_addresses,
    assert_single_scope_per_vnet,
    assert_zone_group_complete,
    assert_zone_group_zones_exist,
)
from pytest_ampls.catalogue import ConformanceError, Rule, Verdict, judgements
from pytest_ampls.errors import AccessDeniedError, DocumentError, EvidenceError, NotReadError
from pytest_ampls.model import Estate
from tests.assertions.endpoint_documents import connection, own_connection, set_status
from tests.assertions.machines import findings, observed, why_not_applicable
from tests.builders import (
    AMPLS,
    CONNECTIONS,
    ENDPOINTS,
    LINK_RESOURCES,
    MEMBERS,
    NICS,
    PRIVATE_ZONES,
    VNETS,
    WORKSPACES,
    ZONE_GROUPS,
    denied,
    resource_id,
)
from tests.private_estate import (
    NetworkBlueprint,
    ampls,
    endpoint,
    private_estate,
    vnet,
)

OTHER_SUBSCRIPTION = "00000000-0000-0000-0000-000000000002"


@pytest.fixture
def plan() -> NetworkBlueprint:
    """Return the healthy estate, to be broken."""
    return private_estate()


SUBJECTS: list[tuple[Rule[Any], Any]] = [
    (assert_connection_approved, ampls),
    (assert_single_scope_per_vnet, lambda estate: vnet(estate, "hub")),
    (assert_zone_group_complete, endpoint),
    (assert_zone_group_zones_exist, endpoint),
    (assert_endpoint_addresses, endpoint),
]


@pytest.mark.parametrize(("rule", "subject"), SUBJECTS, ids=lambda part: getattr(part, "id", ""))
def test_holds_on_the_healthy_estate(rule: Rule[Any], subject: Any, plan: NetworkBlueprint) -> None:
    """Every rule of the family looks at the healthy estate and holds."""
    with judgements() as made:
        rule(subject(plan.build()))
    assert [judgement.verdict for judgement in made] == [Verdict.HELD]


@pytest.mark.parametrize(
    ("rule", "subject", "kind"),
    [
        (rule, subject, kind)
        for (rule, subject), kinds in zip(
            SUBJECTS,
            [
                (CONNECTIONS, ENDPOINTS),
                (ENDPOINTS,),
                (ZONE_GROUPS, LINK_RESOURCES, AMPLS, NICS),
                (ZONE_GROUPS, PRIVATE_ZONES),
                (NICS, VNETS, LINK_RESOURCES, MEMBERS, WORKSPACES),
            ],
            strict=True,
        )
        for kind in kinds
    ],
    ids=lambda part: getattr(part, "id", part if isinstance(part, str) else ""),
)
def test_denied_evidence_is_never_a_pass(
    rule: Rule[Any], subject: Any, kind: str, plan: NetworkBlueprint
) -> None:
    """Whatever a rule rests on, refused reading of it is an error and neither a pass nor a failure."""
    plan.gaps[kind] = denied(kind)
    estate = plan.build()
    with pytest.raises(AccessDeniedError, match="refused"):
        rule(subject(estate))


class TestConnectionApproved:
    @pytest.mark.parametrize("status", ["Pending", "Rejected", "Disconnected"])
    def test_a_status_that_is_not_approved_is_named(self, plan: NetworkBlueprint, status: str) -> None:
        """A connection that is not Approved is a finding on the scope's listing, even if its text says approved."""
        set_status(plan, status)
        (finding,) = findings(assert_connection_approved, ampls(plan.build()))
        assert (finding.expected, finding.observed) == ("Approved", status)
        assert finding.property == (
            "privateEndpointConnections[pe.connection].properties.privateLinkServiceConnectionState.status"
        )
        assert "/privateEndpointConnections?api-version=2021-09-01" in finding.evidence

    def test_a_connection_that_is_not_provisioned_is_named(self, plan: NetworkBlueprint) -> None:
        """Approval alone is not enough: the connection must be provisioned."""
        connection(plan)["provisioningState"] = "Provisioning"
        assert observed(assert_connection_approved, ampls(plan.build())) == "Provisioning"

    def test_sides_that_disagree_are_a_finding_on_the_endpoint(self, plan: NetworkBlueprint) -> None:
        """What the endpoint says must be what the scope says."""
        own_connection(plan)["privateLinkServiceConnectionState"]["status"] = "Disconnected"
        (finding,) = findings(assert_connection_approved, ampls(plan.build()))
        assert finding.resource == "private endpoint rg/pe"
        assert finding.expected == "Approved, as the scope 'ampls' has it for this endpoint"
        assert finding.observed == "Disconnected"

    def test_a_scope_without_connection_is_broken(self, plan: NetworkBlueprint) -> None:
        """A scope that no endpoint connects to never passes on its empty listing."""
        plan.documents[CONNECTIONS].clear()
        plan.documents[ENDPOINTS].clear()
        estate = plan.build()
        assert observed(assert_connection_approved, ampls(estate)) == (
            "no connection: no network reaches the scope"
        )

    def test_an_endpoint_that_the_scope_does_not_list_is_named(self, plan: NetworkBlueprint) -> None:
        """An endpoint may believe in a connection that the scope does not have."""
        plan.documents[CONNECTIONS].clear()
        (finding,) = findings(assert_connection_approved, ampls(plan.build()))
        assert finding.expected == "a connection of private endpoint 'pe', which names this scope"
        assert finding.observed == "the scope lists no connection of it (0 of others)"
        # Nothing is there to be approved, and what the scope's side removed does not come back.
        fix = assert_connection_approved.fix_of(finding)
        assert "approve" not in fix.az
        assert "az network private-endpoint delete --ids <endpoint-id>" in fix.az
        assert finding.tokens["endpoint-id"].endswith("/privateEndpoints/pe")

    def test_a_connection_to_nowhere_is_named(self, plan: NetworkBlueprint) -> None:
        """The endpoint of a connection must exist."""
        gone = resource_id(ENDPOINTS, "gone")
        plan.add(
            CONNECTIONS,
            resource_id(AMPLS, "ampls", "privateEndpointConnections", "old"),
            connection(plan) | {"privateEndpoint": {"id": gone}},
        )
        assert observed(assert_connection_approved, ampls(plan.build())) == f"{gone}, which does not"

    def test_an_endpoint_of_another_subscription_is_unverified(self, plan: NetworkBlueprint) -> None:
        """An endpoint that was never read cannot be called missing."""
        connection(plan)["privateEndpoint"]["id"] = resource_id(
            ENDPOINTS, "pe", subscription=OTHER_SUBSCRIPTION
        )
        del plan[ENDPOINTS, "pe"]
        with pytest.raises(NotReadError, match="Add --ampls-subscription"):
            assert_connection_approved(ampls(plan.build()))

    def test_what_is_broken_is_said_before_what_is_unread(self, plan: NetworkBlueprint) -> None:
        """One connection that is pending is a failure, although another endpoint could not be read."""
        set_status(plan, "Pending")
        elsewhere = resource_id(ENDPOINTS, "far", subscription=OTHER_SUBSCRIPTION)
        other = {
            "provisioningState": "Succeeded",
            "privateEndpoint": {"id": elsewhere},
            "privateLinkServiceConnectionState": {"status": "Approved"},
        }
        plan.add(CONNECTIONS, resource_id(AMPLS, "ampls", "privateEndpointConnections", "far"), other)
        with pytest.raises(ConformanceError) as error:
            assert_connection_approved(ampls(plan.build()))
        assert "unverified besides: private endpoint" in str(error.value)

    def test_a_connection_without_status_is_unverified(self, plan: NetworkBlueprint) -> None:
        """A document that lacks the status says nothing, and the error names the path."""
        del connection(plan)["privateLinkServiceConnectionState"]
        with pytest.raises(
            DocumentError, match=r"without properties\.privateLinkServiceConnectionState\.status"
        ):
            assert_connection_approved(ampls(plan.build()))


class TestSingleScopePerVnet:
    def test_two_scopes_in_one_network_are_named_with_their_endpoints(self, plan: NetworkBlueprint) -> None:
        """The finding says which scopes meet, and through which endpoints."""
        plan.scope("second")
        plan.endpoint("pe2", "second", "hub/endpoints", {"api": ("api.monitor.azure.com", "192.168.0.100")})
        (finding,) = findings(assert_single_scope_per_vnet, vnet(plan.build(), "hub"))
        assert finding.observed == "2 scopes: scope 'ampls' by 'pe'; scope 'second' by 'pe2'"
        assert finding.tokens["endpoint"] == "pe2"

    def test_two_endpoints_of_one_scope_are_fine(self, plan: NetworkBlueprint) -> None:
        """Several endpoints may lead to the same scope."""
        plan.endpoint("pe2", "ampls", "hub/endpoints", {"api": ("api.monitor.azure.com", "192.168.0.100")})
        assert findings(assert_single_scope_per_vnet, vnet(plan.build(), "hub")) == ()

    def test_a_rejected_connection_does_not_count(self, plan: NetworkBlueprint) -> None:
        """A second scope that refused the endpoint is no second scope."""
        plan.scope("second")
        plan.endpoint("pe2", "second", "hub/endpoints", {"api": ("api.monitor.azure.com", "192.168.0.100")})
        own_connection(plan, "pe2")["privateLinkServiceConnectionState"]["status"] = "Rejected"
        assert findings(assert_single_scope_per_vnet, vnet(plan.build(), "hub")) == ()

    def test_a_network_without_endpoint_is_not_concerned(self, plan: NetworkBlueprint) -> None:
        """The reason says why there was nothing to judge."""
        assert why_not_applicable(assert_single_scope_per_vnet, vnet(plan.build(), "spoke1")) == (
            "virtual network 'spoke1' holds no private endpoint of a private link scope"
        )


def test_messages_are_whole(plan: NetworkBlueprint) -> None:
    """A failure says what, where, expected, observed, why, how to mend it, and how to see it."""
    set_status(plan, "Pending")
    with pytest.raises(ConformanceError) as error:
        assert_connection_approved(ampls(plan.build()))
    message = str(error.value)
    assert message.startswith("AMPLS201 A private link scope has a private endpoint")
    assert "private-endpoint-connection approve --name pe.connection --scope-name ampls" in message
    assert "<" not in message


def empty_estates() -> list[tuple[Rule[Any], Any, Estate]]:
    """Return each rule with a subject that nothing else was read with."""
    plan = private_estate()
    for kind in set(plan.documents) - {AMPLS, ENDPOINTS, VNETS}:
        plan.documents[kind].clear()
    plan[ENDPOINTS, "pe"]["properties"].update(networkInterfaces=[], customDnsConfigs=[])
    estate = plan.build()
    alone = (part for part in SUBJECTS if part[0] is not assert_single_scope_per_vnet)
    return [(rule, subject, estate) for rule, subject in alone]


@pytest.mark.parametrize(
    ("rule", "subject", "estate"), empty_estates(), ids=lambda part: getattr(part, "id", "")
)
def test_nothing_passes_on_a_bare_subject(rule: Rule[Any], subject: Any, estate: Estate) -> None:
    """A subject that has nothing around it fails, is unverified or not concerned; it never passes."""
    with judgements() as made, suppress(ConformanceError, EvidenceError):
        rule(subject(estate))
    assert made[0].verdict is not Verdict.HELD
