"""A subscription of which nothing can be read costs what lies in it and what leads into it, and no more."""

from __future__ import annotations

import pytest

from pytest_ampls.catalogue import Verdict
from pytest_ampls.errors import AccessDeniedError
from pytest_ampls.model import Estate
from pytest_ampls.model.monitor import Workspace
from tests.guards.suite import judge_all, lab_snapshot

FLEET = "fleet:vms=12,spoke_size=2,subscriptions=4"


def test_verdicts_of_the_other_subscriptions_are_as_they_were() -> None:
    """With one subscription denied, every other verdict is that of the healthy estate, and the rest is unverified."""
    healthy = judge_all(Estate(lab_snapshot(FLEET)))
    denied = judge_all(Estate(lab_snapshot(f"{FLEET}+denied-subscription")))
    changed = {test: verdict for test, verdict in denied.items() if healthy.get(test) != verdict}
    assert changed
    assert set(changed.values()) == {Verdict.UNVERIFIED}
    elsewhere = {label for _, label in changed if "=unread-" not in label}
    assert elsewhere == {"private_endpoint=ampls/resolver=spoke3"}  # the vantage point of its own VNet
    lost = {label for rule, label in healthy if (rule, label) not in denied}
    assert lost == {"machine=vm00005", "machine=vm00006", "virtual_network=spoke3", "vmss=none"}


def test_what_leads_into_it_is_unverified() -> None:
    """Where the hub's subscription is denied, whoever needs hub, scope or zones is not verified, and never held."""
    healthy = judge_all(Estate(lab_snapshot(FLEET)))
    denied = judge_all(Estate(lab_snapshot(f"{FLEET}+denied-subscription=0")))
    changed = {denied[test] for test in healthy if test in denied and denied[test] != healthy[test]}
    assert changed == {Verdict.UNVERIFIED}
    rules = {
        rule for (rule, label), verdict in denied.items() if verdict is Verdict.HELD and "machine=" in label
    }
    assert rules.isdisjoint({"AMPLS402", "AMPLS404", "AMPLS405", "AMPLS407"})


def test_a_denied_type_of_a_readable_subscription_stays_missing() -> None:
    """Where anything else of the subscription can be read, a refused type is missing for everybody."""
    estate = Estate(lab_snapshot(f"{FLEET}+denied=Microsoft.OperationalInsights/workspaces"))
    assert len([where for where in estate.missing(Workspace) if where.count("/") == 2]) == 4
    with pytest.raises(AccessDeniedError):
        estate.workspaces  # noqa: B018  # the property raises
