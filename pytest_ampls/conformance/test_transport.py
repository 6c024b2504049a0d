"""9xx: what answers at the addresses of private endpoints."""

from __future__ import annotations

from pytest_ampls import (
    Judge,
    PrivateEndpoint,
    assert_chain_not_resigned,
    assert_endpoint_reachable,
    assert_tls_minimum,
)


def test_ampls901_tls_minimum(private_endpoint: PrivateEndpoint, judge: Judge) -> None:
    """AMPLS901 holds."""
    judge(assert_tls_minimum, private_endpoint)


def test_ampls902_chain_not_resigned(private_endpoint: PrivateEndpoint, judge: Judge) -> None:
    """AMPLS902 holds."""
    judge(assert_chain_not_resigned, private_endpoint)


def test_ampls903_endpoint_reachable(private_endpoint: PrivateEndpoint, judge: Judge) -> None:
    """AMPLS903 holds."""
    judge(assert_endpoint_reachable, private_endpoint)
