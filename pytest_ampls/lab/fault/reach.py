"""Faults of what a network reaches in the end (rule 111)."""

from __future__ import annotations

from pytest_ampls.lab.estate import monitor, network
from pytest_ampls.lab.estate.endpoint import add_private_endpoint
from pytest_ampls.lab.estate.site import Site
from pytest_ampls.lab.estate.topology import add_zones, subnet_of
from pytest_ampls.lab.fault.pick import client, rule_association_of, site_of
from pytest_ampls.lab.fault.registry import estate_fault
from pytest_ampls.lab.store import Estate, guid

__all__: list[str] = []


@estate_fault(
    "rule-endpoint-of-another-scope",
    "a data collection rule sends to an endpoint that only another network's scope lists",
    breaks="111",
)
def rule_endpoint_of_another_scope(estate: Estate) -> None:
    """Let a rule name the endpoint of a platform team, whose scope serves a network and zones of its own."""
    site = site_of(estate)
    team = estate.add_group(site.group.split("/")[2], "platform-team", site.location)
    other = Site(estate, team, site.location)
    place = network.virtual_network(other, "platform", "192.168.200.0/24", {"endpoints": "192.168.200.64/26"})
    scope = monitor.private_link_scope(other, "ampls-platform", query="PrivateOnly", ingestion="PrivateOnly")
    endpoint = monitor.collection_endpoint(other, "dce-platform")
    workspace = monitor.workspace(other, "platform", guid("customer", "platform"))
    other.add(place, scope, endpoint, workspace)
    for resource in (endpoint, workspace):
        monitor.add_to_scope(other, scope, resource)
    add_private_endpoint(
        other,
        "pe-platform",
        scope=scope,
        subnet_id=subnet_of(place, "endpoints"),
        addresses=(f"192.168.200.{number}" for number in range(68, 127)),
        resources=(endpoint, workspace),
        zones=add_zones(other, [place]),
    )
    association = rule_association_of(estate, client(estate))
    rule = estate.get(association["properties"]["dataCollectionRuleId"])
    rule["properties"]["dataCollectionEndpointId"] = endpoint["id"]
