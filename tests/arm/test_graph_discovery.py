"""Discovery by the index: few calls, held against ARM, and without the index the same in more calls."""

from __future__ import annotations

import json
from collections.abc import Callable

import msgspec
import pytest

from pytest_ampls.arm.client import ArmClient
from pytest_ampls.arm.discovery import Index
from pytest_ampls.arm.inventory import read_estate
from pytest_ampls.arm.operations import GRAPH, RESOURCES, SUBSCRIPTIONS
from pytest_ampls.arm.reader import Reader
from pytest_ampls.errors import ConfigurationError
from pytest_ampls.lab import Lab
from pytest_ampls.model.evidence import GapKind, Reading, Subscription
from tests.arm.discovered import client_of, read
from tests.arm.estate import NICS, SETS, VMS
from tests.arm.names import ASSOCIATIONS
from tests.arm.server import Asked, Reply, Server

EXTENSIONS = f"{VMS}/extensions"
Readings = tuple[Reading, ...]


def ids(readings: Readings, kind: str, source: str | None = None) -> set[str]:
    """Return the folded ids of the documents of a type, of one source or of both."""
    chosen = [own for own in readings if own.type == kind and source in (None, own.source)]
    return {msgspec.json.decode(raw)["id"].lower() for own in chosen for raw in own.documents}


def gaps(readings: Readings) -> list[tuple[str, GapKind]]:
    """Return type and kind of every gap."""
    return [(own.type, own.gap.kind) for own in readings if own.gap is not None]


def test_a_thousand_machines_take_sixty_calls() -> None:
    """The calls grow by pages alone, and what arrives is what ARM has."""
    readings, few = read("fleet:vms=300", "graph")
    assert len(ids(readings, VMS, "graph")) == 300
    readings, many = read("fleet:vms=1000", "graph")
    assert len(ids(readings, VMS)) == len(ids(readings, EXTENSIONS)) == 1000
    assert len(ids(readings, ASSOCIATIONS)) == 2000
    assert few.calls <= many.calls <= 60
    assert many.calls_by_type[GRAPH] - few.calls_by_type[GRAPH] <= 3
    assert not gaps(readings)
    assert many.notes == ()


@pytest.mark.parametrize(
    "spec", ["hub-and-spoke", "hub-and-spoke:page_size=2", "two-scopes:page_size=1", "empty"]
)
def test_all_ways_find_the_same_resources(spec: str) -> None:
    """The ids of every type are the same, however they were found."""
    (arm, _), (graph, _), (auto, _) = (read(spec, way) for way in ("arm", "graph", "auto"))
    kinds = {own.type for own in arm}
    assert {kind: ids(arm, kind) for kind in kinds} == {kind: ids(graph, kind) for kind in kinds}
    assert {own.type for own in graph} == {own.type for own in auto} == kinds
    assert not gaps(graph)


def test_machines_come_from_the_index_and_scale_sets_from_arm() -> None:
    """Where the index agrees with ARM's list; of instances only those beyond the first page."""
    readings, _ = read("hub-and-spoke", "graph")
    assert len(ids(readings, VMS, "graph")) == 7
    assert ids(readings, NICS, "graph")
    assert ids(readings, EXTENSIONS, "graph")
    assert not ids(readings, f"{SETS}/virtualMachines", "graph")
    readings, _ = read("hub-and-spoke:page_size=1", "graph")
    assert len(ids(readings, f"{SETS}/virtualMachines", "graph")) == 2


def test_without_roles_what_one_page_holds_stays_with_arm() -> None:
    """A handful of machines is listed by ARM itself, which says whether they may be read."""
    readings, _ = read("hub-and-spoke+group-roles", "graph")
    assert ids(readings, VMS, "graph") == ids(readings, NICS, "graph") == set()
    assert ids(readings, EXTENSIONS, "graph")
    readings, _ = read("hub-and-spoke:page_size=2+group-roles", "graph")
    assert len(ids(readings, VMS, "graph")) == 7


def test_without_the_index_everything_is_read_from_arm() -> None:
    """Refused altogether, the index costs a note and more calls, and no evidence."""
    readings, statistics = read("hub-and-spoke+no-resource-graph", "auto")
    plain, _ = read("hub-and-spoke", "arm")
    assert {(own.type, own.scope.lower()) for own in readings} == {
        (own.type, own.scope.lower()) for own in plain
    }
    assert {own.source for own in readings} == {"arm"}
    (note,) = statistics.notes
    assert note.startswith("Resource Graph was not used, ARM was read instead. Asking Resource Graph for ")
    assert "HTTP 403" in note


def test_graph_alone_keeps_the_refusal() -> None:
    """Where the index is demanded, its refusal is a gap of every type that it would have told."""
    readings, statistics = read("hub-and-spoke:page_size=2+no-resource-graph", "graph")
    kinds = {VMS, EXTENSIONS, NICS, ASSOCIATIONS}
    assert kinds <= {kind for kind, _ in gaps(readings)}
    assert {kind for _, kind in gaps(readings)} == {GapKind.DENIED}
    assert statistics.notes == ()


def test_a_way_that_does_not_exist_is_refused(client: ArmClient) -> None:
    """A misspelt way is an error that names the right ones."""
    with pytest.raises(ConfigurationError, match="no discovery 'arg'; there are auto, graph, arm"):
        read_estate(client, [], discovery="arg")


# ------------------------------------------------------------------- held against ARM


@pytest.mark.parametrize("kind", [VMS, EXTENSIONS, NICS, ASSOCIATIONS])
@pytest.mark.parametrize("page", ["", ":page_size=2"])
def test_what_may_not_be_read_is_a_gap_and_not_empty(kind: str, page: str) -> None:
    """The index leaves a denied type out without a word; the provider says so."""
    readings, statistics = read(f"hub-and-spoke{page}+denied={kind}", "graph")
    assert (kind, GapKind.DENIED) in gaps(readings)
    assert statistics.calls_by_type[kind] <= 2  # the refusal of one speaks for all
    assert not ids(readings, kind)


def test_a_subscription_that_is_not_seen_is_not_asked_for() -> None:
    """Its own refusal stands; the index would give no rows for it, and no reason."""
    with Lab.from_spec(f"hub-and-spoke+denied={SUBSCRIPTIONS}") as lab, client_of(lab) as client:
        _, readings = read_estate(client, lab.subscriptions, discovery="graph")
        assert (SUBSCRIPTIONS, GapKind.DENIED) in gaps(readings)
        assert not [asked for asked in lab.requests if asked.method == "POST"]
    assert ids(readings, EXTENSIONS)


@pytest.mark.parametrize("way", ["graph", "auto"])
def test_a_machine_that_is_gone_is_not_found(way: str) -> None:
    """The index still has it, ARM's list of resources does not: the provider decides."""
    readings, statistics = read("hub-and-spoke:page_size=2+stale-graph", way)
    assert not [own for own in ids(readings, VMS) if own.endswith("-gone")]
    assert len(ids(readings, VMS, "arm")) == 7
    assert any(f"differ on {VMS}" in note for note in statistics.notes)


def test_a_lost_extension_is_read_from_its_machine() -> None:
    """ARM's list of resources has an extension that the index lacks: that machine is asked, and no other."""
    readings, statistics = read("hub-and-spoke+stale-graph", "graph")
    plain, _ = read("hub-and-spoke", "arm")
    assert ids(readings, EXTENSIONS) == ids(plain, EXTENSIONS)
    assert ids(readings, EXTENSIONS, "graph")
    assert statistics.calls_by_type[EXTENSIONS] == 1


def test_lost_interfaces_are_read_one_by_one() -> None:
    """An interface that a machine names and the index lacks is no interface that does not exist."""
    readings, _ = read("hub-and-spoke:page_size=2+stale-graph", "graph")
    plain, _ = read("hub-and-spoke", "arm")
    assert ids(readings, NICS) == ids(plain, NICS)
    assert len(ids(readings, NICS, "arm")) == 1


def test_an_index_that_shows_nothing_is_not_believed() -> None:
    """With all rows lost every type is read from its provider, as if there were no index."""
    readings, _ = read("hub-and-spoke:page_size=2+partial-graph=100", "graph")
    plain, _ = read("hub-and-spoke", "arm")
    assert {own.source for own in readings} == {"arm"}
    for kind in (VMS, EXTENSIONS, NICS, ASSOCIATIONS):
        assert ids(readings, kind) == ids(plain, kind)


def test_the_count_is_read_where_it_decides() -> None:
    """Machines and extensions are held against ARM's list, which holds neither associations nor instances."""
    with Lab.from_spec("hub-and-spoke:page_size=1") as lab, client_of(lab) as client:
        read_estate(client, lab.subscriptions, discovery="graph")
        statistics = client.statistics()
    assert statistics.calls_by_type[RESOURCES] == 3  # VMs, their extensions, the Arc machine's extensions


def test_a_machine_is_looked_at_only_where_it_tells_something() -> None:
    """With known roles and rows of the index no machine's own listing is asked for."""
    _, statistics = read("hub-and-spoke", "graph")
    assert not statistics.calls_by_type.keys() & {EXTENSIONS, ASSOCIATIONS}
    _, statistics = read("hub-and-spoke+group-roles", "graph")
    assert statistics.calls_by_type[EXTENSIONS] == statistics.calls_by_type[ASSOCIATIONS] == 1
    # Nor is an index believed that shows nothing: the machine that is looked at has an extension.
    _, statistics = read("hub-and-spoke+partial-graph=100", "graph")
    assert statistics.calls_by_type[EXTENSIONS] > 1


def test_three_hundred_subscriptions_a_call(server: Server, make_client: Callable[..., ArmClient]) -> None:
    """More subscriptions than one query may name are asked about in groups."""
    server.on("/providers/Microsoft.ResourceGraph/resources", _no_rows)
    guids = [f"{number:08d}-0000-0000-0000-000000000000" for number in range(301)]
    client = make_client()
    with Reader(client) as reader:
        for own in guids:
            document = {"id": f"/subscriptions/{own}/resourceGroups/g/providers/{SETS}/s", "properties": {}}
            raw = msgspec.Raw(json.dumps(document).encode())
            reader.keep(
                Reading(type=SETS, scope=f"/subscriptions/{own}", request="", read_at=0, documents=(raw,))
            )
        Index(client, reader, [Subscription(id=own) for own in guids], strict=False).read()
    sizes = [len(json.loads(asked.body)["subscriptions"]) for asked in server.asked if asked.method == "POST"]
    assert sorted(sizes) == [1, 300]


def _no_rows(_asked: Asked) -> Reply:
    return Reply({"totalRecords": 0, "count": 0, "data": [], "resultTruncated": "false"})
