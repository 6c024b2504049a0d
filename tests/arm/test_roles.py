"""What the identity may read, by its own role assignments: only what was seen to be granted counts."""

from __future__ import annotations

import json
import logging
from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Any

import pytest

from pytest_ampls.arm.client import ArmClient
from pytest_ampls.arm.roles import Roles, read_roles
from tests.arm.conftest import StaticCredential
from tests.arm.estate import BARE, denied
from tests.arm.names import SUBSCRIPTION
from tests.arm.server import Asked, Reply, Server

GRAPH = "/providers/Microsoft.ResourceGraph/resources"
OID = "0a1b2c3d-1111-2222-3333-444455556666"
NETWORKS = "Microsoft.Network/virtualNetworks"
ZONES = "Microsoft.Network/privateDnsZones"
READER = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
CUSTOM = "77777777-0000-0000-0000-000000000000"
MANAGEMENT_GROUP = "/providers/Microsoft.Management/managementGroups"
Make = Callable[..., ArmClient]


def jwt(**claims: Any) -> str:
    """Return a token of the right shape; nobody signed it."""
    part = urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"{part}.{part}.nobody"


def assignment(scope: str, role: str, principal: str = OID, condition: str | None = None) -> dict[str, Any]:
    """Return a row as it comes over the wire: the columns of the query."""
    return {
        "id": f"{scope}/providers/Microsoft.Authorization/roleAssignments/{role}-{principal}",
        "name": "n",
        "properties_principalId": principal,
        "properties_roleDefinitionId": f"{SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions/{role}",
        "properties_scope": scope,
        "properties_condition": condition,
    }


def definition(actions: list[str], not_actions: Any = (), name: str = CUSTOM, **more: str) -> dict[str, Any]:
    """Return the row of a role."""
    permission = {"actions": actions, "notActions": not_actions, **more}
    own = f"/providers/microsoft.authorization/roledefinitions/{name}"
    return {"id": own, "name": name, "properties_permissions": [permission]}


class Tables:
    """Answers the queries of roles, and remembers their bodies."""

    def __init__(self, server: Server, assignments: list[Any], definitions: list[Any]) -> None:
        self.assignments = assignments
        self.definitions = definitions
        self.groups = ["near", "far"]
        self.bodies: list[dict[str, Any]] = []
        server.on(GRAPH, self.answer)

    def answer(self, asked: Asked) -> Reply:
        """Return the rows of the table that is asked for, whatever is asked of it."""
        body = json.loads(asked.body)
        self.bodies.append(body)
        rows: list[Any] = []
        if "roleassignments" in body["query"]:
            rows = self.assignments
        elif "roledefinitions" in body["query"]:
            rows = self.definitions
        elif "resourcecontainers" in body["query"]:
            chain = [{"name": name, "displayName": name} for name in self.groups]
            rows = [
                {"id": SUBSCRIPTION.upper(), "name": "s", "properties_managementGroupAncestorsChain": chain}
            ]
        return Reply(
            {"totalRecords": len(rows), "count": len(rows), "data": rows, "resultTruncated": "false"}
        )


@pytest.fixture
def known(make_client: Make) -> ArmClient:
    """A client whose token says who it is."""
    return make_client(credential=StaticCredential(jwt(oid=OID.upper())))


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        (SUBSCRIPTION.upper(), True),
        (f"{MANAGEMENT_GROUP}/Near", True),
        (f"{MANAGEMENT_GROUP}/far", True),
        ("/", True),
        (f"{MANAGEMENT_GROUP}/elsewhere", False),
        (f"{SUBSCRIPTION}/resourceGroups/rg", False),
        ("/subscriptions/22222222-2222-2222-2222-222222222222", False),
    ],
)
def test_a_role_holds_at_its_scope_and_below(
    known: ArmClient, server: Server, scope: str, expected: bool
) -> None:
    """The subscription itself, a management group above it, the root; not a part of it, and not another."""
    Tables(server, [assignment(scope, READER)], [])
    assert read_roles(known, [BARE]).may_read(NETWORKS, SUBSCRIPTION) is expected


@pytest.mark.parametrize(
    ("roles", "networks", "zones"),
    [
        ([definition(["*"])], True, True),
        ([definition(["*/READ"])], True, True),
        ([definition(["Microsoft.Network/*/read"])], True, True),
        ([definition(["microsoft.network/virtualnetworks/*"])], True, False),
        ([definition(["*/read"], ["Microsoft.Network/virtualNetworks/read"])], False, True),
        ([definition(["*/read"], ["Microsoft.Network/*"])], False, False),
        ([definition(["*/read"], None)], True, True),
        ([definition(["Microsoft.Network/virtualNetworks/write"])], False, False),
        ([definition(["*/read"], condition="@Resource[…]")], False, False),
        ([definition(["*/read"], name=READER)], False, False),
        ([], False, False),
    ],
)
def test_actions_without_not_actions(
    known: ArmClient, server: Server, roles: list[Any], networks: bool, zones: bool
) -> None:
    """A wildcard spans slashes, case does not matter, and a role that cannot be seen grants nothing."""
    Tables(server, [assignment(SUBSCRIPTION, CUSTOM)], roles)
    found = read_roles(known, [BARE])
    assert (found.may_read(NETWORKS, SUBSCRIPTION), found.may_read(ZONES, SUBSCRIPTION)) == (networks, zones)


def test_what_one_role_leaves_out_another_may_grant(known: ArmClient, server: Server) -> None:
    """What is not granted by a role is not denied by it."""
    other = "88888888-0000-0000-0000-000000000000"
    roles = [
        definition(["*/read"], ["Microsoft.Network/*"]),
        definition(["Microsoft.Network/virtualNetworks/read"], name=other),
    ]
    Tables(server, [assignment(SUBSCRIPTION, CUSTOM), assignment("/", other)], roles)
    found = read_roles(known, [BARE])
    assert found.may_read(NETWORKS, SUBSCRIPTION)
    assert not found.may_read(ZONES, SUBSCRIPTION)


@pytest.mark.parametrize(
    "row",
    [
        assignment(SUBSCRIPTION, READER, condition="@Principal[…]"),
        assignment(SUBSCRIPTION, READER, principal=CUSTOM),
    ],
)
def test_what_may_not_hold_does_not_count(known: ArmClient, server: Server, row: dict[str, Any]) -> None:
    """An assignment under a condition, and that of a group or of anybody else."""
    Tables(server, [row], [])
    assert not read_roles(known, [BARE]).may_read(NETWORKS, SUBSCRIPTION)


@pytest.mark.parametrize(
    "token",
    [
        "opaque",
        "a.b.c",
        "a.!!!.c",
        "a..c",
        jwt(),
        jwt(oid=7),
        jwt(oid="it's"),
        jwt(sub=OID),
        f"x.{urlsafe_b64encode(bytes([255, 254])).decode()}.y",
    ],
)
def test_a_token_that_does_not_tell(make_client: Make, server: Server, token: str) -> None:
    """Then nothing is known, and nobody is asked."""
    client = make_client(credential=StaticCredential(token))
    assert client.principal() is None
    assert not read_roles(client, [BARE]).may_read(NETWORKS, SUBSCRIPTION)
    assert server.asked == []


@pytest.mark.parametrize("reply", [denied(), Reply(b"<html>"), Reply({"data": [{"name": "x"}]})])
def test_a_table_that_is_refused(known: ArmClient, server: Server, reply: Reply) -> None:
    """Nothing is known, and nothing is raised."""
    server.on(GRAPH, reply)
    assert not read_roles(known, [BARE]).may_read(NETWORKS, SUBSCRIPTION)


@pytest.mark.parametrize(
    "broken",
    [
        {"properties_scope": None},
        {"properties_scope": 7},
        {"properties_condition": {"odd": True}},
    ],
)
def test_a_row_of_another_shape(known: ArmClient, server: Server, broken: dict[str, Any]) -> None:
    """Who knows what it says: then nothing is known at all."""
    good = assignment("/", READER)
    Tables(server, [good, {**assignment(SUBSCRIPTION, CUSTOM), **broken}], [])
    assert not read_roles(known, [BARE]).may_read(NETWORKS, SUBSCRIPTION)


@pytest.mark.parametrize("odd", ["Microsoft.Network/*", {"a": 1}, [7]])
def test_a_role_of_another_shape(known: ArmClient, server: Server, odd: Any) -> None:
    """What it leaves out cannot be told, so that it grants nothing."""
    Tables(server, [assignment(SUBSCRIPTION, CUSTOM)], [definition(["*/read"], odd)])
    assert not read_roles(known, [BARE]).may_read(NETWORKS, SUBSCRIPTION)


def test_what_is_asked(known: ArmClient, server: Server) -> None:
    """Roles are asked for at the subscriptions and above; a role that everybody knows is not asked for."""
    tables = Tables(server, [assignment(SUBSCRIPTION, READER)], [])
    read_roles(known, [BARE])
    (body,) = tables.bodies
    assert body["options"]["authorizationScopeFilter"] == "AtScopeAndAbove"
    assert f"properties.principalId =~ '{OID}'" in body["query"]
    tables.assignments = [assignment(f"{MANAGEMENT_GROUP}/near", CUSTOM)]
    read_roles(known, [BARE])
    definitions, chains = tables.bodies[2:]
    assert f"name in~ ('{CUSTOM}')" in definitions["query"]
    assert definitions["options"]["authorizationScopeFilter"] == "AtScopeAndAbove"
    assert "authorizationScopeFilter" not in chains["options"]


def test_many_subscriptions_are_asked_about_in_groups(known: ArmClient, server: Server) -> None:
    """No query names more than three hundred."""
    tables = Tables(server, [assignment(SUBSCRIPTION, READER)], [])
    read_roles(known, [BARE, *(f"{number:08d}-0000-0000-0000-000000000000" for number in range(300))])
    assert sorted(len(body["subscriptions"]) for body in tables.bodies) == [1, 300]


def test_without_roles_nothing_is_known() -> None:
    """The roles of nobody grant nothing."""
    assert not Roles().allow("Microsoft.Network/virtualNetworks/read", SUBSCRIPTION)


def test_nobody_is_told_who_asks(make_client: Make, server: Server, caplog: pytest.LogCaptureFixture) -> None:
    """The object id and the token are in no log, representation, gap or note."""
    token = jwt(oid=OID)
    client = make_client(credential=StaticCredential(token))
    caplog.set_level(logging.DEBUG)
    Tables(server, [assignment(SUBSCRIPTION, READER)], [])
    roles = read_roles(client, [BARE])
    server.on(GRAPH, denied())
    read_roles(client, [BARE])
    said = f"{caplog.text} {roles!r} {vars(roles)!r} {client!r} {client.statistics()!r}"
    assert roles.may_read(NETWORKS, SUBSCRIPTION)
    assert caplog.records
    assert OID not in said
    assert token not in said
