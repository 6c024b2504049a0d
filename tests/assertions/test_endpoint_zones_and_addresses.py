"""The rules about an endpoint's zone group and addresses, on bad estates."""

from __future__ import annotations

import pytest

from pytest_ampls.assertions.private_endpoint import (
    assert_endpoint_addresses,
    assert_zone_group_complete,
    assert_zone_group_zones_exist,
)
from pytest_ampls.errors import DocumentError, NotReadError
from tests.assertions.endpoint_documents import ip_configurations, zone_config
from tests.assertions.machines import findings, observed, why_not_applicable
from tests.builders import (
    AMPLS,
    CUSTOMER,
    ENDPOINTS,
    LINK_RESOURCES,
    MEMBERS,
    PRIVATE_ZONES,
    VNETS,
    WORKSPACES,
    ZONE_GROUPS,
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
)

OTHER_SUBSCRIPTION = "00000000-0000-0000-0000-000000000002"


@pytest.fixture
def plan() -> NetworkBlueprint:
    """Return the healthy estate, to be broken."""
    return private_estate()


class TestZoneGroupComplete:
    def test_a_zone_that_is_left_out_is_named(self, plan: NetworkBlueprint) -> None:
        """A missing zone is named with those that are there, and the fix knows its id."""
        group = plan[ZONE_GROUPS, "pe/default"]["properties"]
        group["privateDnsZoneConfigs"] = [
            each
            for each in group["privateDnsZoneConfigs"]
            if ODS not in each["properties"]["privateDnsZoneId"]
        ]
        (finding,) = findings(assert_zone_group_complete, endpoint(plan.build()))
        assert finding.expected == f"a zone group that names {ODS}"
        assert finding.observed == f"the zone group names {MONITOR}, {OMS}, {AGENTSVC}, {BLOB}"
        assert finding.tokens["zone-id"] == resource_id(PRIVATE_ZONES, ODS)
        assert "/privateDnsZoneGroups?" in finding.evidence

    def test_succeeded_without_records_is_a_finding(self, plan: NetworkBlueprint) -> None:
        """A group may be Succeeded and have written nothing."""
        zone_config(plan, MONITOR)["recordSets"] = []
        (finding,) = findings(assert_zone_group_complete, endpoint(plan.build()))
        assert finding.expected == (
            "a record for api.monitor.azure.com, global.handler.control.monitor.azure.com, "
            "dce-ab12.westeurope-1.handler.control.monitor.azure.com …"
        )
        assert finding.observed == "no record set was written (state Succeeded)"

    def test_a_zone_that_no_member_has_a_name_in_needs_no_records(self, plan: NetworkBlueprint) -> None:
        """Without a workspace in the scope the agent service zone stays empty, rightly."""
        zone_config(plan, AGENTSVC)["recordSets"] = []
        ip_configurations(plan)[:] = [
            part for part in ip_configurations(plan) if not part["name"].startswith("agent-")
        ]
        configs = plan[ENDPOINTS, "pe"]["properties"]["customDnsConfigs"]
        configs[:] = [part for part in configs if "agentsvc" not in part["fqdn"]]
        assert findings(assert_zone_group_complete, endpoint(plan.build())) == ()

    def test_no_group_at_all_names_every_zone(self, plan: NetworkBlueprint) -> None:
        """Without a zone group every required zone is a finding; none passes on an empty listing."""
        plan.documents[ZONE_GROUPS].clear()
        found = findings(assert_zone_group_complete, endpoint(plan.build()))
        assert [finding.observed for finding in found] == ["no DNS zone group"] * 5

    def test_an_endpoint_whose_names_are_unknown_needs_records_in_every_zone(
        self, plan: NetworkBlueprint
    ) -> None:
        """Without names nothing says that a zone may stay empty."""
        plan[ENDPOINTS, "pe"]["properties"].update(networkInterfaces=[], customDnsConfigs=[])
        zone_config(plan, AGENTSVC)["recordSets"] = []
        (finding,) = findings(assert_zone_group_complete, endpoint(plan.build()))
        assert finding.expected == "records"

    def test_a_group_that_is_not_provisioned_is_named(self, plan: NetworkBlueprint) -> None:
        """The group's own state counts."""
        plan[ZONE_GROUPS, "pe/default"]["properties"]["provisioningState"] = "Failed"
        assert observed(assert_zone_group_complete, endpoint(plan.build())) == "Failed"

    def test_zone_names_of_2020_mean_the_privatelink_zones(self, plan: NetworkBlueprint) -> None:
        """A scope that answers with public names demands the same zones."""
        demanded = plan[LINK_RESOURCES, "ampls/azuremonitor"]["properties"]["requiredZoneNames"]
        demanded[:] = [name.removeprefix("privatelink.") for name in demanded]
        assert findings(assert_zone_group_complete, endpoint(plan.build())) == ()

    def test_without_demands_of_the_scope_the_cloud_decides(self, plan: NetworkBlueprint) -> None:
        """A scope that names no zones needs those of its cloud."""
        plan[LINK_RESOURCES, "ampls/azuremonitor"]["properties"]["requiredZoneNames"] = []
        configs = plan[ZONE_GROUPS, "pe/default"]["properties"]["privateDnsZoneConfigs"]
        del configs[-1]
        assert (
            findings(assert_zone_group_complete, endpoint(plan.build()))[0].expected
            == f"a zone group that names {BLOB}"
        )

    def test_a_full_group_is_not_held_against_six_zones(self, plan: NetworkBlueprint) -> None:
        """A group takes five zones; a cloud that needs six cannot be served by it alone."""
        demanded = plan[LINK_RESOURCES, "ampls/azuremonitor"]["properties"]["requiredZoneNames"]
        demanded.append("privatelink.adx.monitor.azure.us")
        assert findings(assert_zone_group_complete, endpoint(plan.build())) == ()


class TestZoneGroupZonesExist:
    def test_a_zone_that_was_deleted_is_named(self, plan: NetworkBlueprint) -> None:
        """A reference to nothing is a finding with the id."""
        del plan[PRIVATE_ZONES, ODS]
        (finding,) = findings(assert_zone_group_zones_exist, endpoint(plan.build()))
        assert finding.observed == f"{resource_id(PRIVATE_ZONES, ODS)}, which does not"
        assert finding.tokens["zone"] == ODS

    def test_a_zone_of_another_subscription_is_unverified(self, plan: NetworkBlueprint) -> None:
        """A zone that was never read is neither there nor missing."""
        zone_config(plan, ODS)["privateDnsZoneId"] = resource_id(
            PRIVATE_ZONES, ODS, subscription=OTHER_SUBSCRIPTION
        )
        with pytest.raises(NotReadError, match="was not read"):
            assert_zone_group_zones_exist(endpoint(plan.build()))

    def test_a_config_without_zone_is_unverified(self, plan: NetworkBlueprint) -> None:
        """A document that lacks the id names the path."""
        del zone_config(plan, ODS)["privateDnsZoneId"]
        plan[ZONE_GROUPS, "pe/default"]["properties"]["privateDnsZoneConfigs"][0]["name"] = "first"
        with pytest.raises(DocumentError, match="privateDnsZoneId"):
            assert_zone_group_zones_exist(endpoint(plan.build()))

    def test_without_a_group_another_rule_speaks(self, plan: NetworkBlueprint) -> None:
        """The reason points to the rule that judges a missing group."""
        plan.documents[ZONE_GROUPS].clear()
        assert "AMPLS203 judges that" in why_not_applicable(
            assert_zone_group_zones_exist, endpoint(plan.build())
        )


class TestEndpointAddresses:
    def test_an_address_outside_of_the_subnet_is_named(self, plan: NetworkBlueprint) -> None:
        """Each name's address lies in the endpoint's subnet."""
        ip_configurations(plan)[0]["properties"]["privateIPAddress"] = "192.168.0.4"
        (finding,) = findings(assert_endpoint_addresses, endpoint(plan.build()))
        assert finding.property == "address of api.monitor.azure.com"
        assert finding.expected == "an address of the endpoint's subnet (192.168.0.64/26)"
        assert finding.observed == "192.168.0.4"

    def test_a_name_without_address_is_named(self, plan: NetworkBlueprint) -> None:
        """A DNS config without addresses is no address."""
        plan[ENDPOINTS, "pe"]["properties"]["customDnsConfigs"].append({"fqdn": "live.monitor.azure.com"})
        assert observed(assert_endpoint_addresses, endpoint(plan.build())) == "no address"

    def test_an_endpoint_without_names_is_broken(self, plan: NetworkBlueprint) -> None:
        """No interface and no DNS configs is one finding, not a pass."""
        properties = plan[ENDPOINTS, "pe"]["properties"]
        properties.update(customDnsConfigs=[], networkInterfaces=[])
        assert observed(assert_endpoint_addresses, endpoint(plan.build())) == "no interface"

    def test_a_required_member_that_is_missing_is_named(self, plan: NetworkBlueprint) -> None:
        """Every member that the scope lists must be there."""
        plan[LINK_RESOURCES, "ampls/azuremonitor"]["properties"]["requiredMembers"].append("profiler")
        (finding,) = findings(assert_endpoint_addresses, endpoint(plan.build()))
        assert finding.expected == "an address for the member 'profiler' that scope 'ampls' requires"
        assert finding.observed == "none among 8 names"

    @pytest.mark.parametrize(
        "member", ["draft", "oms-westeurope", "ods-westeurope", "agent-westeurope", f"ODS-{CUSTOMER.upper()}"]
    )
    def test_renamed_members_are_found_by_the_name_they_stand_for(
        self, plan: NetworkBlueprint, member: str
    ) -> None:
        """Azure renamed members over the years, and lists them by workspace or by region."""
        plan[LINK_RESOURCES, "ampls/azuremonitor"]["properties"]["requiredMembers"] = [member]
        assert findings(assert_endpoint_addresses, endpoint(plan.build())) == ()

    def test_a_member_of_another_workspace_is_not_taken_for_this_one(self, plan: NetworkBlueprint) -> None:
        """A member that names a workspace is that workspace's."""
        other = "ods-00000000-1111-2222-3333-444444444444"
        plan[LINK_RESOURCES, "ampls/azuremonitor"]["properties"]["requiredMembers"] = [other]
        assert findings(assert_endpoint_addresses, endpoint(plan.build()))[0].property == f"member {other}"

    def test_an_unknown_member_is_unverified_where_interfaces_name_none(self, plan: NetworkBlueprint) -> None:
        """What a new member is called publicly cannot be guessed."""
        plan[LINK_RESOURCES, "ampls/azuremonitor"]["properties"]["requiredMembers"] = ["somethingnew"]
        for part in ip_configurations(plan):
            del part["properties"]["privateLinkConnectionProperties"]["requiredMemberName"]
        with pytest.raises(DocumentError, match="'somethingnew'; which public name that is cannot be told"):
            assert_endpoint_addresses(endpoint(plan.build()))

    def test_a_workspace_that_was_added_later_needs_its_names(self, plan: NetworkBlueprint) -> None:
        """A member of the scope that the endpoint has no names for is a finding with the names."""
        late = "11111111-1111-1111-1111-111111111111"
        plan.add(WORKSPACES, resource_id(WORKSPACES, "late"), {"customerId": late})
        plan.add(
            MEMBERS,
            resource_id(AMPLS, "ampls", "scopedResources", "late"),
            {"linkedResourceId": resource_id(WORKSPACES, "late"), "provisioningState": "Succeeded"},
        )
        (finding,) = findings(assert_endpoint_addresses, endpoint(plan.build()))
        assert finding.property == "names of workspace late"
        assert f"none for {late}.oms.opinsights.azure.com, {late}.ods" in finding.observed

    def test_a_subnet_that_does_not_exist_is_unverified(self, plan: NetworkBlueprint) -> None:
        """Addresses cannot be compared with a subnet that nobody has."""
        plan[VNETS, "hub"]["properties"]["subnets"] = []
        with pytest.raises(DocumentError, match="subnet that exists"):
            assert_endpoint_addresses(endpoint(plan.build()))
