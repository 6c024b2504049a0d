"""The estate: navigation in both directions, and errors where something was not read."""

from __future__ import annotations

import gc
import json

import msgspec
import pytest

from pytest_ampls.errors import AccessDeniedError, DocumentError, EvidenceError, NotReadError
from pytest_ampls.model import (
    Answer,
    DataCollectionEndpoint,
    Estate,
    Gap,
    GapKind,
    PrivateLinkScope,
    ScopedResource,
    Snapshot,
    VantagePoint,
    VirtualMachine,
    Workspace,
)
from tests.assertions.machines import MonitoredBlueprint, machine, monitored_estate, scale_set
from tests.builders import (
    AMPLS,
    ENDPOINTS,
    INSTANCES,
    MEMBERS,
    NICS,
    SCALE_SETS,
    SUBSCRIPTION,
    VM_EXTENSIONS,
    VMS,
    VNETS,
    WORKSPACES,
    Document,
    build_estate,
    denied,
    resource_id,
)
from tests.model.readings import estate_of, reading
from tests.private_estate import ampls, vnet, workspace

WS = resource_id(WORKSPACES, "ws")
VM1 = resource_id(VMS, "vm1")
ELSEWHERE = resource_id(WORKSPACES, "ws", subscription="another")


@pytest.fixture
def plan() -> MonitoredBlueprint:
    """Documents of a complete estate."""
    return monitored_estate()


# ------------------------------------------------------------------- navigation


def test_a_machine_leads_to_everything_it_uses(plan: MonitoredBlueprint) -> None:
    """From the machine to its rule, workspace, endpoint and network, whatever the case of the ids."""
    vm = machine(plan.build())
    (rule,) = vm.data_collection_rules
    assert rule.label == "dcr-linux"
    assert [part.lower() for part in rule.workspace_ids] == [WS.lower()]
    assert vm.config_endpoint is not None
    assert vm.config_endpoint.label == "dce"
    assert [network.label for network in vm.virtual_networks] == ["spoke1"]
    assert [extension.name for extension in vm.extensions] == ["any-name"]
    assert vm.agents == vm.extensions


def test_scopes_and_members_lead_to_each_other(plan: MonitoredBlueprint) -> None:
    """From the scope to its members, and from each member back."""
    estate = plan.build()
    scope = ampls(estate)
    assert {member.label for member in scope.scoped_resources} == {"ws", "dce"}
    assert scope.contains(WS.upper())
    assert not scope.contains(WS + "2")
    assert workspace(estate).scopes == (scope,)
    (dce,) = estate.data_collection_endpoints
    assert dce.scopes == (scope,)
    assert [endpoint.label for endpoint in scope.private_endpoints] == ["pe"]


def test_scale_sets_and_instances_lead_to_each_other(plan: MonitoredBlueprint) -> None:
    """A Flexible set finds its virtual machines, an instance its set; others belong to none."""
    estate = plan.build()
    (instance,) = scale_set(estate).instances
    assert instance.label == "flexible_0"
    assert isinstance(instance, VirtualMachine)
    assert instance.scale_set is scale_set(estate)
    assert [part.scale_set for part in estate.virtual_machines if part.label == "vm1"] == [None]
    assert scale_set(estate, "uniform").instances == ()


def test_uniform_instances_are_children(plan: MonitoredBlueprint) -> None:
    """A set without orchestration mode is Uniform; its instances are listed below it."""
    document = plan[SCALE_SETS, "uniform"]
    del document["properties"]["orchestrationMode"]
    plan.add(INSTANCES, f"{document['id']}/virtualMachines/0", {"provisioningState": 3}, instanceId="0")
    (instance,) = scale_set(plan.build(), "uniform").instances
    assert instance.label == "0"


def test_networks_know_their_clients(plan: MonitoredBlueprint) -> None:
    """The VNets that machines are in, each once; machines are VMs, Arc machines and Uniform sets."""
    estate = plan.build()
    assert [network.label for network in estate.client_networks] == ["spoke1", "spoke2"]
    assert {part.label for part in estate.machines} == {"vm1", "vm2", "flexible_0", "arc", "uniform"}
    assert {link.label for link in estate.zone_links(vnet(estate, "hub"))} == {"hub"}
    assert estate.zone_links(vnet(estate, "spoke1")) == ()


def test_private_endpoints_of_other_services_are_left_out(plan: MonitoredBlueprint) -> None:
    """Only those of a private link scope count, however many others there are."""
    plan.endpoint("storage", "ampls", "hub/endpoints", {})
    (connection,) = plan[ENDPOINTS, "storage"]["properties"]["privateLinkServiceConnections"]
    connection["properties"]["privateLinkServiceId"] = resource_id("Microsoft.Storage/storageAccounts", "st")
    connection["properties"]["groupIds"] = ["blob"]
    assert [endpoint.label for endpoint in plan.build().private_endpoints] == ["pe"]


def test_an_interface_that_does_not_exist_is_an_error(plan: MonitoredBlueprint) -> None:
    """A machine without network is no answer for a machine whose interface is missing."""
    plan.remove(NICS, lambda name: name == "vm1-nic")
    with pytest.raises(DocumentError, match=r"vm1-nic, which does not exist"):
        machine(plan.build()).virtual_networks  # noqa: B018  # reading it is the test


# ------------------------------------------------------------------- absent, and unread


def test_a_complete_listing_proves_absence() -> None:
    """What a complete listing of its subscription lacks does not exist, in whatever case it is asked for."""
    estate = build_estate()
    assert estate.get(Workspace, WS.upper()) is None
    assert estate.find(WS) is None
    assert estate.workspaces == ()


def test_other_subscriptions_are_not_known() -> None:
    """Nothing was read of it, so it is neither there nor absent; the message says what to add."""
    with pytest.raises(NotReadError, match="Add --ampls-subscription"):
        build_estate().get(Workspace, ELSEWHERE)
    with pytest.raises(NotReadError, match=r"of type Contoso\.Things/things, which is not read"):
        build_estate().find("/subscriptions/s/resourceGroups/rg/providers/Contoso.Things/things/t")


def test_a_single_read_tells_presence_and_absence() -> None:
    """One resource of another subscription was asked for by id: there, or proven not to exist."""
    there = estate_of(reading(WORKSPACES, ELSEWHERE, {"id": ELSEWHERE, "properties": {}}, single=True))
    found = there.get(Workspace, ELSEWHERE.upper())
    assert found is not None
    assert there.known(Workspace) == (found,)
    assert estate_of(reading(WORKSPACES, ELSEWHERE, single=True)).get(Workspace, ELSEWHERE) is None


def test_a_refused_listing_hides_what_it_lacks() -> None:
    """Neither all nor one of it is known, but for what another read brought; children likewise."""
    gap = denied("workspaces")
    estate = build_estate(gaps={WORKSPACES: gap})
    for ask in (lambda: estate.workspaces, lambda: estate.get(Workspace, WS), lambda: estate.find(WS)):
        with pytest.raises(AccessDeniedError, match="workspaces"):
            ask()
    assert estate.known(Workspace) == ()
    assert estate.unread(Workspace) == {f"/subscriptions/{SUBSCRIPTION}": gap}
    both = Estate(
        msgspec.structs.replace(
            estate.snapshot,
            readings=(
                *estate.snapshot.readings,
                reading(WORKSPACES, WS, {"id": WS, "properties": {}}, single=True),
            ),
        )
    )
    assert both.get(Workspace, WS) is not None


def test_one_refused_subscription_leaves_the_other_readable() -> None:
    """A gap counts where it is: what is in the other subscription is found and listed."""
    other = {"id": ELSEWHERE, "properties": {}}
    estate = build_estate({WORKSPACES: [other]}, subscriptions=(SUBSCRIPTION, "another"))
    readings = tuple(
        msgspec.structs.replace(part, gap=denied()) if part.scope.endswith(SUBSCRIPTION) else part
        for part in estate.snapshot.readings
    )
    halved = Estate(msgspec.structs.replace(estate.snapshot, readings=readings))
    assert halved.get(Workspace, ELSEWHERE) is not None
    assert halved.get(Workspace, ELSEWHERE + "2") is None
    with pytest.raises(AccessDeniedError):
        halved.get(Workspace, WS)
    assert [workspace.id for workspace in halved.workspaces] == [ELSEWHERE]
    with pytest.raises(AccessDeniedError):
        halved.require_complete()


def test_children_are_read_or_an_error(plan: MonitoredBlueprint) -> None:
    """An empty listing is an answer; a refused one and one that was never made are none."""
    plan.remove(MEMBERS, lambda name: True)
    assert ampls(plan.build()).scoped_resources == ()
    plan.gaps[MEMBERS, resource_id(AMPLS, "ampls")] = denied("members of ampls")
    with pytest.raises(AccessDeniedError, match="members of ampls"):
        ampls(plan.build()).scoped_resources  # noqa: B018  # reading it is the test
    scope = {"id": resource_id(AMPLS, "ampls"), "properties": {}}
    alone = estate_of(reading(AMPLS, f"/subscriptions/{SUBSCRIPTION}", scope))
    with pytest.raises(NotReadError, match="scoped resources of private link scope"):
        alone.children(ScopedResource, alone.private_link_scopes[0])


# ------------------------------------------------------------------- documents that do not parse


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"id": WS}, "missing required field `properties`"),
        ({"id": WS, "properties": None}, r"Expected `object`, got `null` - at `\$\.properties`"),
        (
            {"id": WS, "properties": {"customerId": 7}},
            r"Expected `str \| null`, got `int` - at `\$\.properties\.customerId`",
        ),
        (f'{{"id": "{WS}", "properties": {{"customerId": "x"', "truncated"),
    ],
)
def test_a_document_that_cannot_be_understood_is_a_gap(document: Document | str, message: str) -> None:
    """It names resource, request and path, spoils the listing, and leaves its neighbours readable."""
    good = resource_id(WORKSPACES, "good")
    estate = estate_of(
        reading(WORKSPACES, f"/subscriptions/{SUBSCRIPTION}", document, {"id": good, "properties": {}})
    )
    with pytest.raises(DocumentError, match=message) as caught:
        estate.workspaces  # noqa: B018  # reading it is the test
    assert f"GET /subscriptions/{SUBSCRIPTION}" in str(caught.value)
    assert [part.label for part in estate.known(Workspace)] == ["good"]
    assert estate.get(Workspace, good) is not None
    if isinstance(document, dict):
        with pytest.raises(DocumentError, match="cannot be understood"):
            estate.get(Workspace, WS)


def test_unknown_and_null_properties_are_harmless() -> None:
    """They do not break parsing, and the document is kept as it came."""
    document = {
        "id": WS,
        "name": "ws",
        "properties": {"customerId": None, "brandNew": {"x": [1.5]}},
        "etag": None,
    }
    estate = build_estate({WORKSPACES: [document]})
    (found,) = estate.workspaces
    assert found.properties.customer_id is None
    assert json.loads(bytes(estate.document(found))) == document


def test_duplicates_are_one_resource() -> None:
    """A resource that two readings hold, in two cases, is listed once."""
    one, two = {"id": WS, "properties": {}}, {"id": WS.lower(), "properties": {}}
    estate = estate_of(
        reading(WORKSPACES, f"/subscriptions/{SUBSCRIPTION}", one),
        reading(WORKSPACES, WS, two, single=True),
    )
    assert len(estate.workspaces) == 1


# ------------------------------------------------------------------- the rest


def test_computations_run_once_for_a_subject(plan: MonitoredBlueprint) -> None:
    """What many rules ask for is computed once per subject and estate."""
    calls: list[str] = []

    def compute(estate: Estate, scope: PrivateLinkScope) -> str:
        calls.append(scope.label)
        return scope.label

    estate = plan.build()
    assert [estate.once(compute, ampls(estate)) for _ in range(3)] == ["ampls"] * 3
    assert calls == ["ampls"]
    plan.build().once(compute, ampls(plan.build()))
    assert calls == ["ampls", "ampls"]


def test_answers_are_found_by_place_and_name() -> None:
    """Names compare without case and final dot; one that was not asked, or not answered, is an error."""
    place = VantagePoint(name="hub", servers=("127.0.0.1:53",))
    gap = Gap(kind=GapKind.UNREACHABLE, message="no answer in 2 s")
    estate = build_estate(
        vantage_points=[place],
        answers=[
            Answer(vantage_point="hub", name="api.monitor.azure.com", addresses=("10.0.0.4",)),
            Answer(vantage_point="hub", name="silent.example", gap=gap),
        ],
    )
    assert estate.answer(place, "API.monitor.azure.com.").addresses == ("10.0.0.4",)
    with pytest.raises(EvidenceError, match="no answer in 2 s"):
        estate.answer(place, "silent.example")
    with pytest.raises(NotReadError, match="was never asked from the vantage point 'hub'"):
        estate.answer(place, "other.example")


def test_an_estate_tells_what_it_is() -> None:
    """One line: the subscriptions and how much was read."""
    assert repr(build_estate()).startswith(f"<Estate of {SUBSCRIPTION}: ")
    assert repr(Estate(Snapshot())) == "<Estate of no subscription: 0 readings>"
    assert Estate(Snapshot()).known(DataCollectionEndpoint) == ()


def test_extensions_of_a_machine_must_be_read(plan: MonitoredBlueprint) -> None:
    """A refused listing of extensions is no machine without agent."""
    plan.gaps[VM_EXTENSIONS, VM1] = denied("extensions of vm1")
    with pytest.raises(AccessDeniedError, match="extensions of vm1"):
        machine(plan.build()).agents  # noqa: B018  # reading it is the test


def test_vnets_that_were_not_read_are_no_absence(plan: MonitoredBlueprint) -> None:
    """A machine's VNet that was refused is not left out of its networks."""
    plan.gaps[VNETS] = denied("virtual networks")
    with pytest.raises(AccessDeniedError, match="virtual networks"):
        machine(plan.build()).virtual_networks  # noqa: B018  # reading it is the test


def test_what_was_not_read_again_is_not_decoded_again(plan: MonitoredBlueprint) -> None:
    """Fresh evidence of one type leaves the resources of all others as they are; the new is seen."""
    estate = plan.build()
    vm1, ws = machine(estate, "vm1"), workspace(estate, "ws")
    before = estate.snapshot.readings
    plan[VMS, "vm1"]["location"] = "northeurope"
    after = tuple(
        fresh if fresh.type == VMS else old
        for old, fresh in zip(before, plan.build().snapshot.readings, strict=True)
    )
    estate.renew(msgspec.structs.replace(estate.snapshot, readings=after))
    assert workspace(estate, "ws") is ws
    assert machine(estate, "vm1") is not vm1
    assert machine(estate, "vm1").location == "northeurope"
    assert estate.get(VirtualMachine, VM1.upper()) is machine(estate, "vm1")


def test_decoding_leaves_the_garbage_collector_as_it_was(plan: MonitoredBlueprint) -> None:
    """It is off while a type is decoded, and neither before nor after."""
    for enabled in (True, False):
        (gc.enable if enabled else gc.disable)()
        try:
            assert plan.build().virtual_machines
            assert gc.isenabled() is enabled
        finally:
            gc.enable()
