"""Many subscriptions in few calls: what is absent is told by ARM's list, the index and the roles."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from pytest_ampls.arm.batch import BATCH
from pytest_ampls.arm.client import ArmClient
from pytest_ampls.arm.inventory import read_estate
from pytest_ampls.arm.kinds import INDEXED, LISTED
from pytest_ampls.arm.operations import RESOURCES, SUBSCRIPTIONS
from pytest_ampls.lab import Lab
from pytest_ampls.lab.tokens import Authority
from pytest_ampls.model.evidence import GapKind, Reading, Statistics
from tests.arm.conftest import StaticCredential
from tests.arm.discovered import client_of, read
from tests.arm.estate import NETWORKS, PRIVATE_ENDPOINTS, VMS, ZONES
from tests.arm.server import Reply, Server
from tests.arm.test_roles import CUSTOM, OID, Tables, assignment, definition, jwt

FLEET = "fleet:vms=60,subscriptions=20,spoke_size=5"
"""Twelve spokes in twenty subscriptions, and the hub."""
RULESETS = "Microsoft.Network/dnsForwardingRulesets"
WORKSPACES = "Microsoft.OperationalInsights/workspaces"
Readings = tuple[Reading, ...]


def ids(readings: Iterable[Reading]) -> set[tuple[str, str]]:
    """Return type and folded id of every document, as far as its id is told."""
    found = set()
    for own in readings:
        for raw in own.documents:
            text = bytes(raw).decode().lower()
            found.add((own.type, text.partition('"id":')[2].split('"')[1]))
    return found


def of(readings: Readings, kind: str) -> list[Reading]:
    """Return the listings of a type in subscriptions."""
    return [own for own in readings if own.type == kind and own.scope.count("/") == 2]


def listings(statistics: Statistics) -> int:
    """Return how many listings and reads of the types of subscriptions were asked of providers."""
    return sum(statistics.calls_by_type.get(kind, 0) for kind in LISTED)


def test_fewer_calls_than_subscriptions_have_types() -> None:
    """Most types are in few subscriptions: the others are not asked, and what arrives is what ARM has."""
    plain, many = read(FLEET, "arm")
    readings, few = read(FLEET, "auto")
    assert many.calls > 20 * 16
    assert few.calls <= 1 + 60
    assert (few.calls_by_type[BATCH], few.batched) == (1, 20)
    assert RESOURCES not in few.calls_by_type
    assert ids(readings) == ids(plain)
    assert {(own.type, own.scope) for own in readings} >= {
        (kind, own.scope) for kind in LISTED for own in of(plain, WORKSPACES)
    }
    assert few.notes == ()


def test_an_absent_type_is_asked_for_once() -> None:
    """The provider of one subscription has to agree; the rest is ARM's list, which says so of itself."""
    readings, statistics = read(FLEET, "auto")
    assert statistics.calls_by_type[RULESETS] == 1
    empty = of(readings, RULESETS)
    assert len(empty) == 20
    assert {own.source for own in empty} == {"arm"}
    assert sum("/resources?" in own.request and "%20or%20" in own.request for own in empty) == 19
    assert all(own.read_at > 0 for own in empty)


def test_networks_of_many_subscriptions_come_from_the_index() -> None:
    """Those of a few are fresh; endpoints of private link scopes always are."""
    readings, statistics = read(FLEET, "auto", fresh=10)
    assert len([own for own in of(readings, NETWORKS) if own.source == "graph"]) == 13
    assert statistics.calls_by_type[NETWORKS] == 1  # of those that have none, one is asked
    single = [own for own in readings if own.type == PRIVATE_ENDPOINTS and own.single]
    assert [(len(own.documents), own.source) for own in single] == [(1, "arm")]
    readings, statistics = read(FLEET, "auto", fresh=1000)
    assert {own.source for own in readings if own.type in INDEXED} == {"arm"}
    assert statistics.calls_by_type[NETWORKS] == 14


@pytest.mark.parametrize("fault", ["no-roles", "group-roles", "no-resource-list"])
def test_without_roles_every_provider_is_asked(fault: str) -> None:
    """Nobody can tell what is absent from what may not be read, but its provider."""
    plain, _ = read(FLEET, "arm")
    readings, statistics = read(f"{FLEET}+{fault}", "auto")
    assert ids(readings) == ids(plain)
    assert listings(statistics) == 20 * 16
    assert (
        len([note for note in statistics.notes if "320 more listings were asked of the providers" in note])
        == 1
    )


def test_a_type_that_the_role_leaves_out_is_refused_everywhere() -> None:
    """By its own provider, which names the permission; other types cost what they cost before."""
    readings, statistics = read(f"{FLEET}+denied={RULESETS}", "auto")
    found = of(readings, RULESETS)
    assert [own.gap.kind for own in found if own.gap] == [GapKind.DENIED] * 20
    assert statistics.calls_by_type[RULESETS] == 20
    assert statistics.calls_by_type[WORKSPACES] < 4


def test_a_role_that_is_gone_is_found_out() -> None:
    """The index still has it; the one provider that is asked refuses, so all are asked."""
    readings, statistics = read(f"{FLEET}+denied={RULESETS}+lying-roles", "auto")
    assert [own.gap.kind for own in of(readings, RULESETS) if own.gap] == [GapKind.DENIED] * 20
    assert statistics.calls_by_type[WORKSPACES] < 4


@pytest.mark.parametrize("kind", [*LISTED, f"{VMS}/extensions"])
def test_a_list_that_lacks_a_type_is_not_believed(kind: str) -> None:
    """The index has what the list has not, so the provider is asked."""
    plain, _ = read(FLEET, "arm")
    readings, _ = read(f"{FLEET}+short-list={kind}", "auto", fresh=0)
    assert ids(readings) == ids(plain)


@pytest.mark.parametrize("lost", [50, 100])
def test_a_list_that_has_more_is_not_believed_either(lost: int) -> None:
    """An index without its rows is no proof that there are no networks."""
    plain, _ = read(FLEET, "arm")
    readings, _ = read(f"{FLEET}+partial-graph={lost}", "auto", fresh=0)
    kinds = {*INDEXED, VMS}
    assert ids(own for own in readings if own.type in kinds) == ids(own for own in plain if own.type in kinds)


@pytest.mark.parametrize("fault", [f"short-list={NETWORKS}", "partial-graph=100"])
def test_list_and_index_have_to_agree_that_a_type_is_absent(fault: str) -> None:
    """Although the one provider that is asked, of the last subscription, truly has none."""
    plain, _ = read(FLEET, "arm")
    with Lab.from_spec(f"{FLEET}+{fault}") as lab, client_of(lab) as client:
        _, readings = read_estate(client, lab.subscriptions[::-1], discovery="auto")
    assert ids(own for own in readings if own.type == NETWORKS) == ids(
        own for own in plain if own.type == NETWORKS
    )


def test_where_list_and_index_lack_the_same_the_provider_tells() -> None:
    """Both are wrong about zones; the one provider that is asked has some, and then all are asked."""
    plain, _ = read("fleet:vms=4,subscriptions=2,spoke_size=2", "arm")
    spec = "fleet:vms=4,subscriptions=2,spoke_size=2+partial-graph=100"
    readings, statistics = read(f"{spec}+short-list={ZONES}", "auto", fresh=0)
    assert ids(readings) == ids(plain)
    assert statistics.calls_by_type[ZONES] == 2


def test_where_both_lack_machines_pages_of_them_tell() -> None:
    """A first page that is not the last one is as good as a machine."""
    spec = "fleet:vms=8,subscriptions=2,spoke_size=2,page_size=1"
    plain, _ = read(spec, "arm")
    readings, _ = read(f"{spec}+partial-graph=100+short-list={VMS}", "auto")
    assert ids(readings) == ids(plain)


@pytest.mark.parametrize("kind", [RULESETS, NETWORKS, VMS, f"{VMS}/extensions"])
def test_what_one_subscription_denies_is_refused_there(kind: str) -> None:
    """The role of that subscription leaves the type out, so its provider is asked, which says so."""
    spec = "fleet:vms=16,subscriptions=4,spoke_size=5"
    readings, statistics = read(f"{spec}+partly-denied={kind}", "auto", fresh=0)
    refused = [own for own in readings if own.gap is not None and own.scope.count("/") == 2]
    assert [(own.type, own.gap.kind) for own in refused if own.gap] == [(kind, GapKind.DENIED)]
    assert statistics.calls_by_type[WORKSPACES] < 4


def test_a_list_that_may_be_a_part_is_not_believed(
    make_client: Callable[..., ArmClient], server: Server
) -> None:
    """Without the action for the whole list, ARM shows what lies in resource groups that may be read."""
    guids = [f"{number}1111111-1111-1111-1111-111111111111" for number in (1, 2)]
    rows = [assignment("/", CUSTOM)]
    actions = ["Microsoft.Network/*/read"]
    tables = Tables(server, rows, [definition(actions)])
    for own in guids:
        server.on(f"/subscriptions/{own}", Reply({"subscriptionId": own}))
        for path in ("resources", *(f"providers/{kind}" for kind in LISTED)):
            server.on(f"/subscriptions/{own}/{path}", Reply({"value": []}))

    def asked(kind: str) -> int:
        server.asked.clear()
        client = make_client(credential=StaticCredential(jwt(oid=OID)))
        read_estate(client, guids, discovery="auto")
        return sum(own.path.lower().endswith(f"/providers/{kind}".lower()) for own in server.asked)

    assert asked(NETWORKS) == 2
    tables.definitions = [definition([*actions, "Microsoft.Resources/subscriptions/resources/read"])]
    assert asked(NETWORKS) == 1
    assert asked(WORKSPACES) == 2


def test_one_subscription_that_is_denied_costs_its_own_listings() -> None:
    """It is told by ARM in all its types; the others cost what they cost before."""
    readings, statistics = read(f"{FLEET}+denied-subscription", "auto")
    refused = [own for own in readings if own.gap is not None]
    assert {own.type for own in refused} == {SUBSCRIPTIONS, *LISTED}
    assert {own.gap.kind for own in refused if own.gap} == {GapKind.DENIED}
    assert len({own.scope for own in refused}) == 1
    assert listings(statistics) < 16 + 40


def test_many_subscriptions_are_looked_up_in_one_list() -> None:
    """Those that the list does not show are asked for singly, which says why."""
    with Lab.from_spec(f"{FLEET}+denied-subscription") as lab, client_of(lab) as client:
        strange = "99999999-9999-9999-9999-999999999999"
        found, readings = read_estate(client, [*lab.subscriptions, strange], discovery="auto")
        asked = [own.path for own in lab.requests if own.path.count("/") <= 2 and own.method == "GET"]
    assert len(asked) == 3
    assert [own.name for own in found[:2]] == ["fleet-0", "fleet-1"]
    refused = [own.gap.kind for own in readings if own.type == SUBSCRIPTIONS and own.gap]
    assert refused == [GapKind.DENIED, GapKind.ABSENT]


def test_the_identity_is_in_no_reading() -> None:
    """Its object id is asked about, and kept nowhere."""
    own = Authority().object_id
    with Lab.from_spec(FLEET) as lab, client_of(lab) as client:
        assert client.principal() == own
        _, readings = read_estate(client, lab.subscriptions, discovery="auto")
        said = repr((readings, client.statistics(), client)).lower()
    assert own not in said
