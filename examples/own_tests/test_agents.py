"""What our platform team demands of every machine that sends telemetry."""

import pytest

from pytest_ampls import (
    Estate,
    Machine,
    PrivateLinkScope,
    VirtualMachine,
    assert_agent_identity_explicit,
    assert_config_endpoint_association,
    assert_query_access_mode,
)


def test_agent_config(machine: Machine) -> None:
    """Every machine fetches its configuration through a data collection endpoint."""
    assert_config_endpoint_association(machine)


@pytest.mark.ampls(os="linux", name="spoke*")
def test_linux_spokes_name_their_identity(vm: VirtualMachine) -> None:
    """Linux machines in the spokes name the identity that the agent uses."""
    assert_agent_identity_explicit(vm)


@pytest.mark.ampls(resource_group="amplstest")
def test_queries_stay_private(ampls: PrivateLinkScope) -> None:
    """Nobody behind the private endpoint queries foreign workspaces."""
    assert_query_access_mode(ampls, expected="PrivateOnly")


def test_configuration_comes_from_the_same_region(vm: VirtualMachine) -> None:
    """No assertion of the plugin is needed where a plain one says it."""
    assert vm.config_endpoint is not None
    assert vm.config_endpoint.location == vm.location


def test_one_scope_for_all(estate: Estate) -> None:
    """The whole estate shares one private link scope, and every workspace is in it."""
    (scope,) = estate.private_link_scopes
    assert [workspace for workspace in estate.workspaces if scope not in workspace.scopes] == []
