"""The same verdicts by the index and by ARM alone, whatever is wrong with the estate or with the index."""

from __future__ import annotations

import os

import pytest

from pytest_ampls.catalogue import Verdict
from pytest_ampls.lab import faults
from tests.arm.discovered import judge
from tests.guards.suite import lab_outcomes

_EVERY = [
    f"{estate}+{fault.name}"
    for fault in faults().values()
    if fault.kind == "estate"
    for estate in fault.estates
    if estate != "fleet"
]
_SAMPLE = [spec for spec in _EVERY if spec.startswith("hub-and-spoke")][::8]
SPECS = ["hub-and-spoke", "two-scopes", *(_EVERY if os.environ.get("AMPLS_TEST_WHOLE_MATRIX") else _SAMPLE)]
"""All estates with every fault take half a minute; a sample of them is judged by default."""


def small_pages(spec: str) -> str:
    """Return the same estate, listed in pages so small that the index is needed."""
    estate, plus, fault = spec.partition("+")
    return f"{estate}:page_size=3{plus}{fault}"


@pytest.mark.parametrize("spec", SPECS)
def test_the_index_changes_no_verdict(spec: str) -> None:
    """Every rule says of every resource what it says of ARM's own evidence."""
    outcomes, _ = judge(small_pages(spec), "graph", spec)
    assert outcomes == lab_outcomes(spec)


@pytest.mark.parametrize("fault", ["stale-graph", "partial-graph", "partial-graph=70", "no-resource-graph"])
@pytest.mark.parametrize("spec", ["hub-and-spoke", "hub-and-spoke+agent-missing"])
def test_a_bad_index_changes_no_verdict(spec: str, fault: str) -> None:
    """Rows that are old, lost or refused leave the verdicts as the providers have them."""
    for listed in (spec, small_pages(spec)):
        outcomes, _ = judge(f"{listed}+{fault}", "auto", spec)
        assert outcomes == lab_outcomes(spec)


@pytest.mark.parametrize("spec", [*SPECS[:2], *SPECS[2::3]])
def test_networks_from_the_index_change_no_verdict(spec: str) -> None:
    """However many there are: what fails on them is confirmed, and what they lead to is read as ever."""
    outcomes, _ = judge(spec, "auto", spec, fresh=0)
    assert outcomes == lab_outcomes(spec)


FLEET = "fleet:vms=60,subscriptions=4,spoke_size=10"
_ROLES = ["no-roles", "group-roles", "lying-roles", "no-resource-list", "short-list", "partial-graph=70"]


@pytest.mark.parametrize("fault", [*_ROLES, "stale-graph+short-list", "partial-graph=100+lying-roles"])
@pytest.mark.parametrize("spec", ["hub-and-spoke", FLEET, f"{FLEET}+denied-subscription=1"])
def test_roles_and_lists_change_no_verdict(spec: str, fault: str) -> None:
    """Roles that are unknown, or wrong, and lists that are refused, or short, cost calls and nothing else."""
    outcomes, _ = judge(f"{spec}+{fault}", "auto", spec, fresh=0)
    assert outcomes == lab_outcomes(spec)


_DENIED = [
    "Microsoft.Network/virtualNetworks",
    "privateEndpoints",
    "privateDnsZones",
    "dnsForwardingRulesets",
    "Microsoft.Insights/components",
    "Microsoft.HybridCompute/machines",
    "networkInterfaces",
    "dataCollectionRuleAssociations",
]


@pytest.mark.parametrize("fault", ["", "+lying-roles", "+lying-roles+partial-graph=100"])
@pytest.mark.parametrize("kind", _DENIED)
def test_what_is_denied_is_never_green(kind: str, fault: str) -> None:
    """Neither by a role that leaves the type out, nor by one that the index still has."""
    spec = f"hub-and-spoke+denied={kind}"
    outcomes, _ = judge(f"{spec}{fault}", "auto", spec, fresh=0)
    assert outcomes == lab_outcomes(spec)
    assert Verdict.UNVERIFIED in outcomes.values()


@pytest.mark.parametrize("kind", ["virtualMachines", "Microsoft.Compute/virtualMachines/extensions"])
def test_what_may_not_be_read_stays_unverified(kind: str) -> None:
    """A denied type is missing from the index without a word, and no rule takes that for an answer."""
    spec = f"hub-and-spoke+denied={kind}"
    outcomes, _ = judge(small_pages(spec), "auto", spec)
    assert outcomes == lab_outcomes(spec)
    assert Verdict.UNVERIFIED in outcomes.values()
