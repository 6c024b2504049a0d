"""6xx: what arrives in workspaces, and whether they answer queries from here."""

from __future__ import annotations

from pytest_ampls import (
    Judge,
    Machine,
    Workspace,
    assert_heartbeat,
    assert_heartbeat_private,
    assert_query_path,
)


def test_ampls601_heartbeat(logged_machine: Machine, judge: Judge) -> None:
    """AMPLS601 holds."""
    judge(assert_heartbeat, logged_machine)


def test_ampls602_heartbeat_private(logged_machine: Machine, judge: Judge) -> None:
    """AMPLS602 holds."""
    judge(assert_heartbeat_private, logged_machine)


def test_ampls606_query_path(queried_workspace: Workspace, judge: Judge) -> None:
    """AMPLS606 holds."""
    judge(assert_query_path, queried_workspace)
