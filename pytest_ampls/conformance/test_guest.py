"""What machines say themselves: the agent's services, tokens, names, connections, files, log and disk."""

from __future__ import annotations

from pytest_ampls import (
    Judge,
    Machine,
    assert_agent_log_clean,
    assert_agent_reads_dcrs,
    assert_agent_running,
    assert_configuration_downloaded,
    assert_guest_disk,
    assert_guest_reaches_endpoints,
    assert_guest_resolution,
    assert_no_hosts_override,
    assert_token_acquired,
)


def test_ampls313_no_hosts_override(guest_machine: Machine, judge: Judge) -> None:
    """AMPLS313 holds."""
    judge(assert_no_hosts_override, guest_machine)


def test_ampls520_agent_running(guest_machine: Machine, judge: Judge) -> None:
    """AMPLS520 holds."""
    judge(assert_agent_running, guest_machine)


def test_ampls521_token_acquired(guest_machine: Machine, judge: Judge) -> None:
    """AMPLS521 holds."""
    judge(assert_token_acquired, guest_machine)


def test_ampls522_guest_resolution(guest_machine: Machine, judge: Judge) -> None:
    """AMPLS522 holds."""
    judge(assert_guest_resolution, guest_machine)


def test_ampls523_guest_reaches_endpoints(guest_machine: Machine, judge: Judge) -> None:
    """AMPLS523 holds."""
    judge(assert_guest_reaches_endpoints, guest_machine)


def test_ampls524_agent_log_clean(guest_machine: Machine, judge: Judge) -> None:
    """AMPLS524 holds."""
    judge(assert_agent_log_clean, guest_machine)


def test_ampls525_configuration_downloaded(guest_machine: Machine, judge: Judge) -> None:
    """AMPLS525 holds."""
    judge(assert_configuration_downloaded, guest_machine)


def test_ampls526_agent_reads_dcrs(guest_machine: Machine, judge: Judge) -> None:
    """AMPLS526 holds."""
    judge(assert_agent_reads_dcrs, guest_machine)


def test_ampls527_guest_disk(guest_machine: Machine, judge: Judge) -> None:
    """AMPLS527 holds."""
    judge(assert_guest_disk, guest_machine)
