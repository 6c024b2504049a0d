"""1xx: the private link scope, its access modes and its members."""

from __future__ import annotations

from pytest_ampls import (
    ApplicationInsights,
    DataCollectionEndpoint,
    Judge,
    PrivateLinkScope,
    VirtualNetwork,
    Workspace,
    assert_app_insights_in_scope,
    assert_dce_in_scope,
    assert_ingestion_access_mode,
    assert_not_unreachable,
    assert_public_access_disabled,
    assert_query_access_mode,
    assert_reachable_as_intended,
    assert_scoped_resources_resolve,
    assert_workspace_in_scope,
)


def test_ampls101_ingestion_access_mode(ampls: PrivateLinkScope, judge: Judge) -> None:
    """AMPLS101 holds."""
    judge(assert_ingestion_access_mode, ampls)


def test_ampls102_query_access_mode(ampls: PrivateLinkScope, judge: Judge) -> None:
    """AMPLS102 holds."""
    judge(assert_query_access_mode, ampls)


def test_ampls103_workspace_in_scope(workspace: Workspace, judge: Judge) -> None:
    """AMPLS103 holds."""
    judge(assert_workspace_in_scope, workspace)


def test_ampls104_dce_in_scope(dce: DataCollectionEndpoint, judge: Judge) -> None:
    """AMPLS104 holds."""
    judge(assert_dce_in_scope, dce)


def test_ampls105_app_insights_in_scope(app_insights: ApplicationInsights, judge: Judge) -> None:
    """AMPLS105 holds."""
    judge(assert_app_insights_in_scope, app_insights)


def test_ampls106_scoped_resources_resolve(ampls: PrivateLinkScope, judge: Judge) -> None:
    """AMPLS106 holds."""
    judge(assert_scoped_resources_resolve, ampls)


def test_ampls109_public_access_disabled_of_workspace(workspace: Workspace, judge: Judge) -> None:
    """AMPLS109 holds."""
    judge(assert_public_access_disabled, workspace)


def test_ampls109_public_access_disabled_of_app_insights(
    app_insights: ApplicationInsights, judge: Judge
) -> None:
    """AMPLS109 holds."""
    judge(assert_public_access_disabled, app_insights)


def test_ampls109_public_access_disabled_of_dce(dce: DataCollectionEndpoint, judge: Judge) -> None:
    """AMPLS109 holds."""
    judge(assert_public_access_disabled, dce)


def test_ampls110_not_unreachable_of_workspace(workspace: Workspace, judge: Judge) -> None:
    """AMPLS110 holds."""
    judge(assert_not_unreachable, workspace)


def test_ampls110_not_unreachable_of_app_insights(app_insights: ApplicationInsights, judge: Judge) -> None:
    """AMPLS110 holds."""
    judge(assert_not_unreachable, app_insights)


def test_ampls110_not_unreachable_of_dce(dce: DataCollectionEndpoint, judge: Judge) -> None:
    """AMPLS110 holds."""
    judge(assert_not_unreachable, dce)


def test_ampls111_reachable_as_intended(virtual_network: VirtualNetwork, judge: Judge) -> None:
    """AMPLS111 holds."""
    judge(assert_reachable_as_intended, virtual_network)
