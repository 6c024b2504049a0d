"""Which machines are asked for their associations, and what their answers lead to."""

from __future__ import annotations

import pytest

from pytest_ampls.arm.client import ArmClient
from pytest_ampls.arm.inventory import read_estate
from tests.arm.estate import (
    BARE,
    ENDPOINT,
    FOREIGN,
    SETS,
    VMS,
    Estate,
    by_scope,
    denied,
    resource,
)
from tests.arm.names import ASSOCIATIONS, RULE, RULES, SUBSCRIPTION, VM


@pytest.mark.parametrize(
    ("associations", "asked"),
    [
        ((("my-rule", RULE), ("configurationaccessendpoint", ENDPOINT)), True),
        ((("my-rule", RULE), ("myconfigaccess", ENDPOINT)), True),
        ((("my-rule", RULE), ("configurationAccessEndpoint", ENDPOINT)), False),
        ((("my-rule", RULE), ("something-else", ENDPOINT)), False),
        ((("my-rule", RULE), ("My-configaccess", ENDPOINT)), False),
        ((("my-rule", RULE),), True),
        ((("configurationAccessEndpoint", ENDPOINT),), True),
        ((), True),
    ],
)
def test_a_machine_is_asked_where_the_listings_leave_a_doubt(
    client: ArmClient, estate: Estate, associations: tuple[tuple[str, str], ...], asked: bool
) -> None:
    """Lower-cased names need their spelling, and what is missing may be in a subscription that is not read."""
    estate.machine(*associations)
    _, readings = read_estate(client, [BARE])
    assert ((ASSOCIATIONS, VM) in by_scope(readings)) is asked
    assert (f"{VMS}/extensions", VM) in by_scope(readings)


def test_machines_are_asked_where_a_listing_was_refused(client: ArmClient, estate: Estate) -> None:
    """What rules and endpoints do not tell, the machines can."""
    estate.machine(("r", RULE), ("configurationAccessEndpoint", ENDPOINT))
    estate.list(RULES, {"id": RULE}, {"id": f"{RULE}-secret"})
    estate.server.on(f"{RULE}-secret/associations", denied())
    _, readings = read_estate(client, [BARE])
    assert (ASSOCIATIONS, VM) in by_scope(readings)


def test_a_rule_of_another_subscription_is_found_through_the_machine(
    client: ArmClient, estate: Estate
) -> None:
    """The machine names the central rule, which is then read."""
    central = resource(RULES, "central", FOREIGN)
    estate.machine(("configurationAccessEndpoint", ENDPOINT), own=(("central", central),))
    estate.has({"id": central})
    _, readings = read_estate(client, [BARE])
    assert by_scope(readings)[RULES, central].documents
    assert not [path for path in estate.server.paths() if path.startswith(f"{central}/")]


def test_uniform_sets_have_instances_and_flexible_ones_do_not(client: ArmClient, estate: Estate) -> None:
    """Instances of Flexible sets are VMs of their own; a set that does not say is Uniform."""
    uniform, silent, flexible = (resource(SETS, name) for name in ("uniform", "silent", "flexible"))
    estate.list(
        SETS,
        {"id": uniform, "properties": {"orchestrationMode": "Uniform"}},
        {"id": silent, "properties": {}},
        {"id": flexible, "properties": {"orchestrationMode": "Flexible"}},
    )
    for own in (uniform, silent):
        estate.list(f"{SETS}/virtualMachines", scope=own)
        estate.list(ASSOCIATIONS, scope=own)
    _, readings = read_estate(client, [BARE])
    assert {(kind, own) for kind, own in by_scope(readings) if own != SUBSCRIPTION} == {
        (kind, own) for kind in (f"{SETS}/virtualMachines", ASSOCIATIONS) for own in (uniform, silent)
    }
