"""The rules about records: missing, stale, overwritten."""

from __future__ import annotations

import pytest

from pytest_ampls.assertions.name_resolution import (
    assert_no_empty_zone,
    assert_records_current,
    assert_records_present,
)
from pytest_ampls.catalogue import ConformanceError
from pytest_ampls.errors import NotReadError
from tests.assertions.asked_estate import (
    API,
    OTHER_SUBSCRIPTION,
    asked,
    second_scope,
)
from tests.assertions.machines import findings, observed, why_not_applicable
from tests.builders import (
    AMPLS,
    CONNECTIONS,
    DCES,
    ENDPOINTS,
    PRIVATE_ZONES,
    RECORDS,
    WORKSPACES,
    ZONE_GROUPS,
    ZONE_LINKS,
    resource_id,
)
from tests.private_estate import (
    BLOB,
    MONITOR,
    ODS,
    NetworkBlueprint,
    endpoint,
    private_estate,
    zone,
)


@pytest.fixture
def plan() -> NetworkBlueprint:
    """Return the healthy estate, asked from its first spoke, to be broken."""
    return asked(private_estate())


class TestRecordsPresent:
    def test_a_missing_record_is_named_with_the_address_it_should_have(self, plan: NetworkBlueprint) -> None:
        """The finding is about the zone, and its fix writes the record."""
        del plan[RECORDS, f"{MONITOR}/A/api"]
        with pytest.raises(ConformanceError) as error:
            assert_records_present(endpoint(plan.build()))
        (finding,) = error.value.findings
        assert finding.resource == f"private DNS zone rg/{MONITOR}"
        assert finding.expected == f"192.168.0.68, for {API} of private endpoint 'pe'"
        assert finding.observed == "no such record"
        assert f"/privateDnsZones/{MONITOR}/ALL?api-version" in finding.evidence
        assert "--record-set-name api --ipv4-address 192.168.0.68" in str(error.value)

    def test_a_record_without_address_is_no_record(self, plan: NetworkBlueprint) -> None:
        """A record set that was created and never filled answers nobody."""
        plan.record(MONITOR, "api")
        assert observed(assert_records_present, endpoint(plan.build())) == "a record set without an address"

    def test_a_zone_that_is_nowhere_is_one_finding(self, plan: NetworkBlueprint) -> None:
        """Without any zone for the names there is nothing to count records in."""
        for kind in (PRIVATE_ZONES, ZONE_LINKS, RECORDS):
            plan.remove(kind, lambda name: name.startswith(MONITOR))
        (finding,) = findings(assert_records_present, endpoint(plan.build()))
        assert finding.property == f"zone {MONITOR}"
        assert finding.observed == "none in the endpoint's zone group, and none that its virtual network sees"

    def test_a_hand_made_record_in_a_linked_zone_is_a_record(self, plan: NetworkBlueprint) -> None:
        """Who wrote the record does not matter here: AMPLS203 judges the zone group."""
        plan.documents[ZONE_GROUPS].clear()
        assert findings(assert_records_present, endpoint(plan.build())) == ()

    def test_a_second_zone_of_the_same_name_needs_the_records_too(self, plan: NetworkBlueprint) -> None:
        """The zone group may write to one zone while the network sees another one."""
        twin = resource_id(PRIVATE_ZONES, MONITOR, group="other")
        configs = plan[ZONE_GROUPS, "pe/default"]["properties"]["privateDnsZoneConfigs"]
        configs[0]["properties"]["privateDnsZoneId"] = twin
        plan.documents[PRIVATE_ZONES]["twin"] = {"id": twin, "name": MONITOR, "properties": {}}
        found = findings(assert_records_present, endpoint(plan.build()))
        assert {finding.resource for finding in found} == {f"private DNS zone other/{MONITOR}"}
        assert len(found) == 4

    def test_an_endpoint_without_names_is_not_concerned(self, plan: NetworkBlueprint) -> None:
        """The reason points to the rule that judges missing names."""
        plan[ENDPOINTS, "pe"]["properties"].update(networkInterfaces=[], customDnsConfigs=[])
        assert "AMPLS205 judges that" in why_not_applicable(assert_records_present, endpoint(plan.build()))


class TestRecordsCurrent:
    def test_a_stale_record_is_told(self, plan: NetworkBlueprint) -> None:
        """An address that no endpoint has is stale, and the right one is named."""
        plan.record(MONITOR, "api", "192.168.0.99")
        (finding,) = findings(assert_records_current, zone(plan.build(), MONITOR))
        assert finding.expected == "192.168.0.68 of private endpoint 'pe' (scope 'ampls')"
        assert finding.observed == "192.168.0.99, stale: the address of no private endpoint that was read"
        assert f"/privateDnsZones/{MONITOR}/A/api?api-version=2024-06-01" in finding.evidence

    def test_a_record_that_no_endpoint_serves_is_left_over(self, plan: NetworkBlueprint) -> None:
        """A record of a name that nobody serves should not be there."""
        plan.record(ODS, "11111111-1111-1111-1111-111111111111", "192.168.0.98")
        (finding,) = findings(assert_records_current, zone(plan.build(), ODS))
        assert finding.expected == "no such record: no private endpoint that was read serves this name"

    def test_the_address_of_another_name_is_told_from_a_stale_one(self, plan: NetworkBlueprint) -> None:
        """A record that holds an endpoint's address for something else was not written by it."""
        plan.record(MONITOR, "api", "192.168.0.69")
        assert observed(assert_records_current, zone(plan.build(), MONITOR)) == (
            "192.168.0.69, overwritten or made by hand: the address of private endpoint 'pe' (scope 'ampls'), "
            "which does not serve this name there"
        )

    def test_a_record_taken_over_by_a_scope_that_lacks_members_is_overwritten(
        self, plan: NetworkBlueprint
    ) -> None:
        """The endpoint that wrote last wins the shared names; what is not in its scope is cut off."""
        second_scope(plan, members=[])
        (finding,) = findings(assert_records_current, zone(plan.build(), MONITOR))
        assert finding.property == "A record api"
        # What was seen is not expected as well, though an endpoint serves the name there.
        assert finding.expected == "192.168.0.68 of private endpoint 'pe' (scope 'ampls')"
        assert finding.observed == (
            "192.168.0.100, overwritten by private endpoint 'pe2' (scope 'second'), which lacks members of scope "
            "'ampls' of private endpoint 'pe'"
        )

    def test_a_record_taken_over_by_a_scope_with_all_members_is_sound(self, plan: NetworkBlueprint) -> None:
        """Two scopes may share a zone while every resource is a member of both."""
        second_scope(plan, members=[resource_id(WORKSPACES, "ws"), resource_id(DCES, "dce")])
        assert findings(assert_records_current, zone(plan.build(), MONITOR)) == ()

    def test_nothing_is_called_stale_while_an_endpoint_is_unread(self, plan: NetworkBlueprint) -> None:
        """The address could be one of an endpoint in another subscription."""
        plan.record(MONITOR, "api", "192.168.0.99")
        far = resource_id(ENDPOINTS, "far", subscription=OTHER_SUBSCRIPTION)
        plan.add(
            CONNECTIONS,
            resource_id(AMPLS, "ampls", "privateEndpointConnections", "far"),
            {"privateEndpoint": {"id": far}},
        )
        with pytest.raises(NotReadError, match=r"private endpoint .*/far was not read"):
            assert_records_current(zone(plan.build(), MONITOR))

    def test_records_of_storage_accounts_are_not_judged(self, plan: NetworkBlueprint) -> None:
        """The blob zone is shared with storage accounts, whose endpoints are not read."""
        plan.record(BLOB, "account", "10.200.0.4")
        assert findings(assert_records_current, zone(plan.build(), BLOB)) == ()

    def test_a_zone_of_another_service_is_not_concerned(self, plan: NetworkBlueprint) -> None:
        """Zones that Azure Monitor does not use are left alone."""
        plan.zone("privatelink.azurecr.io", links=["hub"], records={"registry": ["10.0.0.4"]})
        zone_ = zone(plan.build(), "privatelink.azurecr.io")
        reason = "zone 'privatelink.azurecr.io' is none of Azure Monitor's zones"
        assert why_not_applicable(assert_records_current, zone_) == reason
        assert why_not_applicable(assert_no_empty_zone, zone_) == reason

    def test_an_empty_zone_is_not_passed(self, plan: NetworkBlueprint) -> None:
        """Without records there is nothing to hold: other rules judge that."""
        plan.remove(RECORDS, lambda name: name.startswith(ODS))
        assert "holds no address record" in why_not_applicable(
            assert_records_current, zone(plan.build(), ODS)
        )
