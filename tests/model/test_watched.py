"""What a verdict looked at, so that only that is read again."""

from __future__ import annotations

from pytest_ampls import assert_config_endpoint_association, assert_zone_reaches_vnet
from pytest_ampls.model import Estate
from tests.guards.suite import lab_snapshot

LINKS = "Microsoft.Network/privateDnsZones/virtualNetworkLinks"
ASSOCIATIONS = "Microsoft.Insights/dataCollectionRuleAssociations"


def test_what_is_computed_once_is_looked_at_by_everyone() -> None:
    """The second rule that rests on a shared computation is known to rest on what it read."""
    estate = Estate(lab_snapshot("hub-and-spoke"))
    first, second = estate.client_networks[1:3]
    looked_at = []
    for network in (first, first, second):
        with estate.watched() as types:
            assert_zone_reaches_vnet(network)
        looked_at.append(types)
    assert LINKS in looked_at[0]
    assert looked_at[0] == looked_at[1] == looked_at[2]


def test_a_verdict_on_a_machine_looks_at_no_zone() -> None:
    """Associations are looked at, and what has nothing to do with them is not."""
    estate = Estate(lab_snapshot("hub-and-spoke"))
    for machine in estate.virtual_machines[:2]:
        with estate.watched() as types:
            assert_config_endpoint_association(machine)
        assert ASSOCIATIONS in types
        assert LINKS not in types


def test_whoever_watches_sees_what_is_watched_inside() -> None:
    """Watching nests, and ends with its block, after fresh evidence too."""
    estate = Estate(lab_snapshot("hub-and-spoke"))
    with estate.watched() as outer:
        with estate.watched() as inner:
            assert estate.workspaces
        estate.renew(estate.snapshot)
        assert estate.private_dns_zones
    assert inner == {"Microsoft.OperationalInsights/workspaces"}
    assert outer == inner | {"Microsoft.Network/privateDnsZones"}
    assert estate.virtual_networks
    assert "Microsoft.Network/virtualNetworks" not in outer
