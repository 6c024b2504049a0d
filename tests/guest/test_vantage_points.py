"""Machines as vantage points: what a guest resolves is judged like the answer of any server."""

from __future__ import annotations

import pytest

from pytest_ampls.catalogue import Verdict
from pytest_ampls.errors import ConfigurationError
from pytest_ampls.model import Estate, VantagePoint
from pytest_ampls.reading import read_snapshot
from pytest_ampls.resolver import parse_option
from pytest_ampls.settings import Settings
from tests.guards.suite import judge_all

POINT = VantagePoint(name="vm", servers=(), guest="spoke1", origin="--ampls-resolver")


def seen(spec: str, point: VantagePoint = POINT, *, run_command: bool = True) -> Estate:
    """Read a lab estate with a machine as a vantage point."""
    settings = Settings(
        lab=spec, run_command=run_command, guest_timeout=5.0, dns_timeout=5.0, origins={"lab": "--ampls-lab"}
    )
    return Estate(read_snapshot(settings, vantage_points=(point,)))


def verdicts(estate: Estate) -> dict[str, Verdict]:
    """Return what the rules on answers say from this vantage point, and of its network."""
    outcomes = judge_all(estate)
    return {
        rule: verdict
        for (rule, label), verdict in outcomes.items()
        if label.endswith("resolver=vm") or (rule == "AMPLS312" and label == "virtual_network=spoke1")
    }


def test_a_guest_that_resolves_as_it_should() -> None:
    """It is asked for every name of the private endpoint, and speaks for its own network."""
    estate = seen("hub-and-spoke")
    point = next(point for point in estate.vantage_points if point.name == "vm")
    assert (point.virtual_network or "").endswith("/spoke1")
    assert verdicts(estate) == dict.fromkeys(("AMPLS310", "AMPLS311", "AMPLS312"), Verdict.HELD)


def test_a_hosts_file_is_seen_from_the_machine_alone() -> None:
    """What only this machine sees breaks the rules from there, and agrees with no server."""
    found = verdicts(seen("hub-and-spoke+hosts-override"))
    assert found == dict.fromkeys(("AMPLS310", "AMPLS311", "AMPLS312"), Verdict.BROKEN)


@pytest.mark.parametrize("spec", ["hub-and-spoke+guest-silent", "hub-and-spoke+guest-garbage"])
def test_a_guest_that_tells_nothing_is_unverified(spec: str) -> None:
    """No answer of a guest is no answer, whatever the servers say."""
    assert set(verdicts(seen(spec)).values()) == {Verdict.UNVERIFIED}


def test_without_access_it_is_unverified() -> None:
    """A machine that nobody may look at answers nothing."""
    assert set(verdicts(seen("hub-and-spoke", run_command=False)).values()) == {Verdict.UNVERIFIED}


@pytest.mark.parametrize("name", ["spok1", "/subscriptions/1/resourceGroups/g/providers/x/y/spoke1"])
def test_a_machine_that_is_not_there(name: str) -> None:
    """The option is named, and what it says."""
    point = VantagePoint(name="vm", servers=(), guest=name, origin="--ampls-resolver")
    with pytest.raises(
        ConfigurationError, match=r"'vm' \(from --ampls-resolver\) is guest:.*no virtual machine"
    ):
        seen("hub-and-spoke", point)


def test_the_option() -> None:
    """A name or an id stands behind guest:, and nothing is no machine."""
    assert parse_option("vm=guest:spoke1") == POINT
    with pytest.raises(ConfigurationError, match="followed by the name or id of a virtual machine"):
        parse_option("vm=guest:")
