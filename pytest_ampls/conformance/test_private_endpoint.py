"""2xx: private endpoints, their connections and their DNS zone groups."""

from __future__ import annotations

from pytest_ampls import (
    Judge,
    PrivateEndpoint,
    PrivateLinkScope,
    VirtualNetwork,
    assert_connection_approved,
    assert_endpoint_addresses,
    assert_endpoint_network_policies,
    assert_nsg_allows_endpoint,
    assert_route_to_endpoint,
    assert_single_scope_per_vnet,
    assert_subnet_capacity,
    assert_zone_group_complete,
    assert_zone_group_zones_exist,
)


def test_ampls201_connection_approved(ampls: PrivateLinkScope, judge: Judge) -> None:
    """AMPLS201 holds."""
    judge(assert_connection_approved, ampls)


def test_ampls202_single_scope_per_vnet(virtual_network: VirtualNetwork, judge: Judge) -> None:
    """AMPLS202 holds."""
    judge(assert_single_scope_per_vnet, virtual_network)


def test_ampls203_zone_group_complete(private_endpoint: PrivateEndpoint, judge: Judge) -> None:
    """AMPLS203 holds."""
    judge(assert_zone_group_complete, private_endpoint)


def test_ampls204_zone_group_zones_exist(private_endpoint: PrivateEndpoint, judge: Judge) -> None:
    """AMPLS204 holds."""
    judge(assert_zone_group_zones_exist, private_endpoint)


def test_ampls205_endpoint_addresses(private_endpoint: PrivateEndpoint, judge: Judge) -> None:
    """AMPLS205 holds."""
    judge(assert_endpoint_addresses, private_endpoint)


def test_ampls206_subnet_capacity(private_endpoint: PrivateEndpoint, judge: Judge) -> None:
    """AMPLS206 holds."""
    judge(assert_subnet_capacity, private_endpoint)


def test_ampls207_route_to_endpoint(virtual_network: VirtualNetwork, judge: Judge) -> None:
    """AMPLS207 holds."""
    judge(assert_route_to_endpoint, virtual_network)


def test_ampls208_nsg_allows_endpoint(private_endpoint: PrivateEndpoint, judge: Judge) -> None:
    """AMPLS208 holds."""
    judge(assert_nsg_allows_endpoint, private_endpoint)


def test_ampls209_endpoint_network_policies(private_endpoint: PrivateEndpoint, judge: Judge) -> None:
    """AMPLS209 holds."""
    judge(assert_endpoint_network_policies, private_endpoint)
