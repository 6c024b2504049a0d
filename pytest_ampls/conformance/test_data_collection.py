"""4xx: associations, data collection endpoints and rules."""

from __future__ import annotations

from pytest_ampls import (
    Judge,
    Machine,
    VirtualMachineScaleSet,
    assert_association_limit,
    assert_config_endpoint_association,
    assert_config_endpoint_in_scope,
    assert_config_endpoint_region,
    assert_destinations_in_scope,
    assert_instances_associated,
    assert_reserved_name_used_well,
    assert_rule_association,
)


def test_ampls401_rule_association(machine: Machine, judge: Judge) -> None:
    """AMPLS401 holds."""
    judge(assert_rule_association, machine)


def test_ampls402_config_endpoint_association(machine: Machine, judge: Judge) -> None:
    """AMPLS402 holds."""
    judge(assert_config_endpoint_association, machine)


def test_ampls403_reserved_name_used_well(machine: Machine, judge: Judge) -> None:
    """AMPLS403 holds."""
    judge(assert_reserved_name_used_well, machine)


def test_ampls404_config_endpoint_in_scope(machine: Machine, judge: Judge) -> None:
    """AMPLS404 holds."""
    judge(assert_config_endpoint_in_scope, machine)


def test_ampls405_config_endpoint_region(machine: Machine, judge: Judge) -> None:
    """AMPLS405 holds."""
    judge(assert_config_endpoint_region, machine)


def test_ampls407_destinations_in_scope(machine: Machine, judge: Judge) -> None:
    """AMPLS407 holds."""
    judge(assert_destinations_in_scope, machine)


def test_ampls410_association_limit(machine: Machine, judge: Judge) -> None:
    """AMPLS410 holds."""
    judge(assert_association_limit, machine)


def test_ampls413_instances_associated(vmss: VirtualMachineScaleSet, judge: Judge) -> None:
    """AMPLS413 holds."""
    judge(assert_instances_associated, vmss)
