"""5xx: the agent's extension and its identity."""

from __future__ import annotations

from pytest_ampls import (
    Judge,
    Machine,
    VirtualMachineScaleSet,
    assert_agent_extension,
    assert_agent_identity,
    assert_agent_identity_explicit,
    assert_flexible_instances_use_uami,
    assert_no_legacy_agent,
)


def test_ampls501_agent_extension(machine: Machine, judge: Judge) -> None:
    """AMPLS501 holds."""
    judge(assert_agent_extension, machine)


def test_ampls502_agent_identity(machine: Machine, judge: Judge) -> None:
    """AMPLS502 holds."""
    judge(assert_agent_identity, machine)


def test_ampls503_agent_identity_explicit(machine: Machine, judge: Judge) -> None:
    """AMPLS503 holds."""
    judge(assert_agent_identity_explicit, machine)


def test_ampls504_flexible_instances_use_uami(vmss: VirtualMachineScaleSet, judge: Judge) -> None:
    """AMPLS504 holds."""
    judge(assert_flexible_instances_use_uami, vmss)


def test_ampls507_no_legacy_agent(machine: Machine, judge: Judge) -> None:
    """AMPLS507 holds."""
    judge(assert_no_legacy_agent, machine)
