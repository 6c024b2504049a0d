"""What the lab tells of roles and lists: no more than Azure tells, and nothing that contradicts its refusals."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest

from pytest_ampls.arm.client import ArmClient
from pytest_ampls.arm.operations import RESOURCES
from pytest_ampls.arm.projection import Projection
from pytest_ampls.arm.roles import Roles, read_roles
from pytest_ampls.lab import Lab
from pytest_ampls.lab.kql import parse_query
from pytest_ampls.lab.roles import ASSIGNMENT, DEFINITION, OWN, READER
from tests.arm.discovered import client_of
from tests.arm.estate import NETWORKS, NICS, VMS

FLEET = "fleet:vms=20,subscriptions=3,spoke_size=5"


def asking(kind: str) -> Projection:
    """Return the question for all rows of a type."""
    return Projection(type=kind, table="authorizationresources", paths=(("properties",),))


@contextmanager
def opened(spec: str) -> Iterator[tuple[ArmClient, list[str]]]:
    """Start a lab, and open a client of it."""
    with Lab.from_spec(spec) as lab, client_of(lab) as client:
        yield client, list(lab.subscriptions)


def rows(client: ArmClient, kind: str, subscriptions: list[str], *, above: bool) -> list[dict[str, Any]]:
    """Return the documents of a type of the table of roles."""
    found = client.query(asking(kind), subscriptions, above=above)
    assert found.gap is None
    return [msgspec.json.decode(raw) for raw in found.documents]


def roles_of(spec: str) -> tuple[Roles, list[str]]:
    """Return what a lab's index tells of the principal, and the scopes of the subscriptions."""
    with opened(spec) as (client, subscriptions):
        return read_roles(client, subscriptions), [f"/subscriptions/{own}" for own in subscriptions]


def test_what_is_above_is_told_only_on_demand() -> None:
    """Built-in roles and assignments at management groups belong to no subscription."""
    with opened(FLEET) as (client, subscriptions):
        below = rows(client, ASSIGNMENT, subscriptions, above=False)
        assert [own["properties"]["scope"] for own in below] == [f"/subscriptions/{subscriptions[0]}"]
        assert rows(client, DEFINITION, subscriptions, above=False) == []
        above = rows(client, ASSIGNMENT, subscriptions, above=True)
        own = {row["properties"]["scope"] for row in above if row["properties"]["principalId"] == OWN}
        assert own == {
            f"/subscriptions/{subscriptions[0]}",
            "/providers/Microsoft.Management/managementGroups/landing-zones",
        }
        assert [row["name"] for row in rows(client, DEFINITION, subscriptions, above=True)] == [READER]


@pytest.mark.parametrize("spec", [FLEET, "hub-and-spoke"])
def test_the_principal_reads_everything(spec: str) -> None:
    """Directly in the first subscription, by the management group in the others."""
    roles, scopes = roles_of(spec)
    assert all(roles.may_read(NETWORKS, scope) for scope in scopes)


def test_what_a_fault_denies_the_role_leaves_out() -> None:
    """The index does not promise what the provider refuses, unless it is told to."""
    roles, scopes = roles_of(f"{FLEET}+denied={NETWORKS}")
    assert {(roles.may_read(NETWORKS, own), roles.may_read(VMS, own)) for own in scopes} == {(False, True)}
    roles, scopes = roles_of(f"{FLEET}+denied={NETWORKS}+lying-roles")
    assert all(roles.may_read(NETWORKS, own) for own in scopes)
    roles, scopes = roles_of(f"{FLEET}+denied-subscription=1")
    assert [roles.may_read(VMS, own) for own in scopes] == [True, False, True]


@pytest.mark.parametrize("fault", ["no-roles", "group-roles"])
def test_roles_that_nobody_tells(fault: str) -> None:
    """By a refusal, or because the assignment is a group's."""
    roles, scopes = roles_of(f"{FLEET}+{fault}")
    assert not any(roles.may_read(VMS, own) for own in scopes)


def test_several_types_in_one_list() -> None:
    """All resources of any of them, each once, in any case."""
    with opened("hub-and-spoke") as (client, (own,)):
        scope = f"/subscriptions/{own}"
        single = [
            client.list(RESOURCES, scope, condition=f"resourceType eq '{kind}'") for kind in (VMS, NICS)
        ]
        both = f"resourceType eq '{VMS.upper()}' or resourcetype EQ '{NICS}' or resourceType eq '{VMS}'"
        together = client.list(RESOURCES, scope, condition=both)
    assert len(together.documents) == sum(len(part.documents) for part in single) > 7
    assert set(map(bytes, together.documents)) == {bytes(raw) for part in single for raw in part.documents}


@pytest.mark.parametrize(
    "condition",
    [
        "resourceTypes eq 'a/b'",
        "resourceType eq 'a/b' or kind eq 'x'",
        "resourceType eq 'a/b' and resourceType eq 'c/d'",
        "resourceType eq 'a/b' or",
        "resourceType eq a/b",
    ],
)
def test_any_other_filter_is_refused(condition: str) -> None:
    """As Azure refuses what it does not know; and what it knows beyond this, nobody needs here."""
    with opened("empty") as (client, (own,)):
        reading = client.list(RESOURCES, f"/subscriptions/{own}", condition=condition)
    assert reading.gap is not None
    assert reading.gap.status == 400


def test_the_questions_are_understood() -> None:
    """The subset of KQL has what is asked: of several types, under a condition."""
    text = asking(ASSIGNMENT).query("name in~ ('a', 'b')")
    assert parse_query(text).table == "authorizationresources"
