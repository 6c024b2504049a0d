"""3xx: zones, links, records and live answers."""

from __future__ import annotations

from pytest_ampls import (
    Judge,
    PrivateDnsZone,
    PrivateEndpoint,
    Resolver,
    VirtualNetwork,
    assert_answer_matches_configuration,
    assert_no_empty_zone,
    assert_private_resolution,
    assert_records_current,
    assert_records_present,
    assert_single_scope_per_dns_boundary,
    assert_zone_reaches_vnet,
)


def test_ampls301_zone_reaches_vnet(virtual_network: VirtualNetwork, judge: Judge) -> None:
    """AMPLS301 holds."""
    judge(assert_zone_reaches_vnet, virtual_network)


def test_ampls302_records_present(private_endpoint: PrivateEndpoint, judge: Judge) -> None:
    """AMPLS302 holds."""
    judge(assert_records_present, private_endpoint)


def test_ampls303_records_current(private_dns_zone: PrivateDnsZone, judge: Judge) -> None:
    """AMPLS303 holds."""
    judge(assert_records_current, private_dns_zone)


def test_ampls304_single_scope_per_dns_boundary(virtual_network: VirtualNetwork, judge: Judge) -> None:
    """AMPLS304 holds."""
    judge(assert_single_scope_per_dns_boundary, virtual_network)


def test_ampls305_no_empty_zone(private_dns_zone: PrivateDnsZone, judge: Judge) -> None:
    """AMPLS305 holds."""
    judge(assert_no_empty_zone, private_dns_zone)


def test_ampls310_private_resolution(
    private_endpoint: PrivateEndpoint, resolver: Resolver, judge: Judge
) -> None:
    """AMPLS310 holds."""
    judge(assert_private_resolution, private_endpoint, resolver)


def test_ampls311_answer_matches_configuration(
    private_endpoint: PrivateEndpoint, resolver: Resolver, judge: Judge
) -> None:
    """AMPLS311 holds."""
    judge(assert_answer_matches_configuration, private_endpoint, resolver)
