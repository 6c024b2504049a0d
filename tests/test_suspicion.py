"""Machines that a verdict is about to fail on, found before the tests; and what was seen to hold meanwhile."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from pytest_ampls import assert_config_endpoint_association, assert_heartbeat
from pytest_ampls.catalogue import ConformanceError
from pytest_ampls.errors import ConfigurationError
from pytest_ampls.model import Estate
from pytest_ampls.requirements import Requirements, load_requirements
from pytest_ampls.suspicion import suspects
from tests.guards.suite import lab_snapshot

DEFAULTS = Requirements()


def _spoke1(estate: Estate) -> str:
    return next(vm.id for vm in estate.virtual_machines if vm.name == "spoke1")


def test_only_what_fails_is_suspicious() -> None:
    """One machine lacks its endpoint, and that one is named."""
    estate = Estate(lab_snapshot("hub-and-spoke+missing-config-endpoint"))
    assert list(suspects(estate, DEFAULTS)) == [_spoke1(estate)]


def test_what_was_seen_to_hold_is_not_judged_twice() -> None:
    """A healthy machine's rules hold by what was seen, and only those that were seen."""
    estate = Estate(lab_snapshot("hub-and-spoke"))
    machine = estate.virtual_machines[0]
    assert not estate.holds(machine, "AMPLS402")
    assert list(suspects(estate, DEFAULTS)) == []
    assert estate.holds(machine, "AMPLS402")
    assert not estate.holds(machine, "AMPLS520")


def test_other_documents_are_judged_anew() -> None:
    """After fresh evidence nothing that was seen before counts, though the machine itself is the same."""
    estate = Estate(lab_snapshot("hub-and-spoke"))
    assert list(suspects(estate, DEFAULTS)) == []
    machine = next(vm for vm in estate.virtual_machines if vm.name == "spoke1")
    broken = lab_snapshot("hub-and-spoke+missing-config-endpoint")
    kind = "Microsoft.Insights/dataCollectionRuleAssociations"
    readings = (
        *(reading for reading in estate.snapshot.readings if reading.type != kind),
        *(reading for reading in broken.readings if reading.type == kind),
    )
    estate.renew(msgspec.structs.replace(estate.snapshot, readings=readings))
    assert not estate.holds(machine, "AMPLS402")
    with pytest.raises(ConformanceError):
        assert_config_endpoint_association(machine)


def test_nothing_is_remembered_where_something_is_suspicious() -> None:
    """What is about to be read again may change any verdict."""
    estate = Estate(lab_snapshot("hub-and-spoke+missing-config-endpoint"))
    assert list(suspects(estate, DEFAULTS))
    assert not any(estate.holds(vm, "AMPLS501") for vm in estate.virtual_machines)


def test_nothing_is_remembered_of_expectations_of_ones_own(tmp_path: Path) -> None:
    """What is expected otherwise than by default is judged as it is expected."""
    path = tmp_path / "ampls.toml"
    path.write_text("[[leave-out]]\nrule = 'AMPLS501'\nresource = 'spoke*'\nreason = 'not yet'\n")
    estate = Estate(lab_snapshot("hub-and-spoke"))
    assert list(suspects(estate, load_requirements(path))) == []
    assert not any(estate.holds(vm, "AMPLS402") for vm in estate.virtual_machines)


def test_a_wrong_expectation_is_no_suspicion(tmp_path: Path) -> None:
    """The test of the rule will say so; the pre-scan goes on."""
    file = tmp_path / "ampls.toml"
    file.write_text('[[expect]]\nrule = "AMPLS601"\nwithin = 0\n')
    estate = Estate(lab_snapshot("hub-and-spoke", logs=True))
    with pytest.raises(ConfigurationError, match="within=0"):
        assert_heartbeat(estate.virtual_machines[0], within=0)
    assert list(suspects(estate, load_requirements(file))) == []
