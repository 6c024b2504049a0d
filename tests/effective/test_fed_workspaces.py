"""Which workspaces machines send to: each once, and what could not be read is left out."""

from __future__ import annotations

from pytest_ampls.effective.collection import workspaces_fed
from tests.assertions.machines import monitored_estate
from tests.builders import ASSOCIATIONS, DCRS, WORKSPACES, denied, resource_id

WS = resource_id(WORKSPACES, "ws")
OTHER = resource_id(WORKSPACES, "other")


def test_each_workspace_is_named_once() -> None:
    """Several machines and rules, ids in any case, and destinations that are no workspace."""
    plan = monitored_estate()
    destinations = plan[DCRS, "dcr-linux"]["properties"]["destinations"]["logAnalytics"]
    destinations += [{"workspaceResourceId": WS.upper()}, {"workspaceResourceId": OTHER}, {"name": "x"}]
    assert [own.lower() for own in workspaces_fed(plan.build())] == [WS.lower(), OTHER.lower()]


def test_a_rule_of_no_machine_feeds_nothing() -> None:
    """A workspace that nobody sends to is not asked."""
    plan = monitored_estate()
    lonely = resource_id(DCRS, "lonely")
    plan.add(DCRS, lonely, {"destinations": {"logAnalytics": [{"workspaceResourceId": OTHER}]}})
    assert [own.lower() for own in workspaces_fed(plan.build())] == [WS.lower()]


def test_what_could_not_be_read_is_left_out() -> None:
    """The rules that need it say why; here nothing is raised."""
    plan = monitored_estate()
    plan.gaps[ASSOCIATIONS] = denied("associations")
    assert workspaces_fed(plan.build()) == ()
