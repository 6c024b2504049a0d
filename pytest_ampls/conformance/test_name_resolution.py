"""3xx: zones, links, records and live answers."""

from __future__ import annotations

from pytest_ampls import (
    Judge,
    PrivateDnsZone,
    PrivateEndpoint,
    Resolver,
    VirtualNetwork,
    assert_answer_matches_configuration,
    assert_blob_zone_shared,
    assert_forwarders,
    assert_no_empty_zone,
    assert_no_internet_fallback,
    assert_private_resolution,
    assert_public_resolution,
    assert_records_current,
    assert_records_present,
    assert_resolvers_agree,
    assert_single_scope_per_dns_boundary,
    assert_zone_reaches_vnet,
    assert_zones_consistent,
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


def test_ampls306_blob_zone_shared(private_dns_zone: PrivateDnsZone, judge: Judge) -> None:
    """AMPLS306 holds."""
    judge(assert_blob_zone_shared, private_dns_zone)


def test_ampls307_no_internet_fallback(private_dns_zone: PrivateDnsZone, judge: Judge) -> None:
    """AMPLS307 holds."""
    judge(assert_no_internet_fallback, private_dns_zone)


def test_ampls308_forwarders(virtual_network: VirtualNetwork, judge: Judge) -> None:
    """AMPLS308 holds."""
    judge(assert_forwarders, virtual_network)


def test_ampls309_zones_consistent(virtual_network: VirtualNetwork, judge: Judge) -> None:
    """AMPLS309 holds."""
    judge(assert_zones_consistent, virtual_network)


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


def test_ampls312_resolvers_agree(virtual_network: VirtualNetwork, judge: Judge) -> None:
    """AMPLS312 holds."""
    judge(assert_resolvers_agree, virtual_network)


def test_ampls314_public_resolution(virtual_network: VirtualNetwork, judge: Judge) -> None:
    """AMPLS314 holds."""
    judge(assert_public_resolution, virtual_network)
