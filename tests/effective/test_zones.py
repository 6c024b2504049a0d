"""Which zone answers which name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_ampls.effective.zones import (
    ZONES,
    monitor_zones,
    private_name,
    public_name,
    public_suffix,
    relative_name,
    required_zones,
    zone_among,
    zone_of,
    zones_of_cloud,
)
from pytest_ampls.errors import AccessDeniedError, NotReadError
from tests.builders import AMPLS, LINK_RESOURCES, build_estate, denied, resource_id
from tests.private_estate import MONITOR, ODS, NetworkBlueprint, ampls, private_estate

RECORDED = Path(__file__).parents[3] / "shared" / "data" / "by_type" / "ampls_privateLinkResources.jsonl"


@pytest.mark.parametrize(
    ("fqdn", "cloud", "zone"),
    [
        ("api.monitor.azure.com", "AzureCloud", "privatelink.monitor.azure.com"),
        ("API.Monitor.Azure.com.", "AzureCloud", "privatelink.monitor.azure.com"),
        ("x.ods.opinsights.azure.com", "AzureCloud", "privatelink.ods.opinsights.azure.com"),
        ("x.agentsvc.azure-automation.net", "AzureCloud", "privatelink.agentsvc.azure-automation.net"),
        ("scadvisorcontentpl.blob.core.windows.net", "AzureCloud", "privatelink.blob.core.windows.net"),
        ("x.adx.monitor.azure.us", "AzureUSGovernment", "privatelink.adx.monitor.azure.us"),
        ("api.monitor.azure.us", "AzureUSGovernment", "privatelink.monitor.azure.us"),
        ("api.monitor.azure.cn", "AzureChinaCloud", "privatelink.monitor.azure.cn"),
        (
            "amw-1.westeurope.prometheus.monitor.azure.com",
            "AzureCloud",
            "privatelink.westeurope.prometheus.monitor.azure.com",
        ),
        ("api.loganalytics.io", "AzureCloud", None),
        ("notmonitor.azure.com", "AzureCloud", None),
    ],
)
def test_names_belong_to_the_zone_with_the_longest_public_domain(
    fqdn: str, cloud: str, zone: str | None
) -> None:
    """Every role of every cloud, a zone inside another's domain, and names of nobody."""
    assert zone_of(fqdn, cloud) == zone


def test_an_unknown_cloud_is_an_error_that_names_the_known_ones() -> None:
    """A table that does not exist is never an empty one."""
    with pytest.raises(NotReadError, match=r"'AzureGermanCloud' are not known.*AzureUSGovernment"):
        zones_of_cloud("AzureGermanCloud")


def test_a_name_inside_a_zone_has_privatelink_before_the_domain() -> None:
    """The alias that Azure publishes, label by label."""
    name = "dce-ab12.westeurope-1.handler.control.monitor.azure.com"
    inside = "dce-ab12.westeurope-1.handler.control.privatelink.monitor.azure.com"
    assert private_name(name, MONITOR) == inside
    assert private_name(inside, MONITOR) == inside
    assert public_name(inside, MONITOR) == name
    assert relative_name(name, MONITOR) == "dce-ab12.westeurope-1.handler.control"


def test_the_zone_itself_is_the_at_sign() -> None:
    """A record of the zone's own name."""
    assert relative_name(MONITOR, MONITOR) == "@"
    assert private_name("monitor.azure.com", MONITOR) == MONITOR


def test_a_name_of_another_zone_is_refused() -> None:
    """A mistake of the caller does not make up a name."""
    with pytest.raises(ValueError, match="is not a name of the zone"):
        private_name("api.monitor.azure.com", ODS)


label = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)


@given(labels=st.lists(label, min_size=1, max_size=4), cloud=st.sampled_from(sorted(ZONES)), data=st.data())
def test_private_and_public_names_are_opposites(labels: list[str], cloud: str, data: st.DataObject) -> None:
    """Into the zone and back is the name itself, and the zone is found again."""
    zone = data.draw(st.sampled_from(ZONES[cloud]))
    name = f"{'.'.join(labels)}.{public_suffix(zone)}"
    assert public_name(private_name(name, zone), zone) == name
    assert zone_among(name, [zone]) == zone


@pytest.fixture
def plan() -> NetworkBlueprint:
    """Return the healthy estate."""
    return private_estate()


def test_the_scopes_own_demands_come_first(plan: NetworkBlueprint) -> None:
    """Names of any age and form become privatelink zones, each once."""
    demanded = plan[LINK_RESOURCES, "ampls/azuremonitor"]["properties"]
    demanded["requiredZoneNames"] = ["monitor.azure.com", "privatelink.monitor.azure.com.", "New.azure.com"]
    estate = plan.build()
    assert required_zones(ampls(estate)) == ("privatelink.monitor.azure.com", "privatelink.new.azure.com")
    assert monitor_zones(estate) == {*ZONES["AzureCloud"], "privatelink.new.azure.com"}


def test_without_demands_the_cloud_decides() -> None:
    """A scope that offers nothing needs the zones of its cloud."""
    scope = {"id": resource_id(AMPLS, "ampls"), "name": "ampls", "properties": {}}
    estate = build_estate({AMPLS: [scope]}, cloud="AzureUSGovernment")
    assert required_zones(ampls(estate)) == ZONES["AzureUSGovernment"]


def test_demands_that_could_not_be_read_are_no_demands_of_the_cloud(plan: NetworkBlueprint) -> None:
    """A refused reading is not replaced by a table."""
    plan.gaps[LINK_RESOURCES] = denied()
    estate = plan.build()
    with pytest.raises(AccessDeniedError):
        required_zones(ampls(estate))
    assert monitor_zones(estate) == set(ZONES["AzureCloud"])


@pytest.mark.skipif(not RECORDED.exists(), reason="the recorded responses are not beside the checkout")
def test_a_recorded_answer_of_2020_gives_privatelink_zones() -> None:
    """What Azure really answered, before it named the privatelink zones."""
    body = json.loads(RECORDED.read_text().splitlines()[0])["response_body"]
    document = body["value"][0]
    parent = document["id"].rpartition("/privatelinkresources/")[0]
    scope = {"id": parent, "name": "clitestscopename", "properties": {}}
    subscription = parent.split("/")[2]
    estate = build_estate({AMPLS: [scope], LINK_RESOURCES: [document]}, subscriptions=(subscription,))
    assert required_zones(ampls(estate, "clitestscopename")) == ZONES["AzureCloud"][:4]
