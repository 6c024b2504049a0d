"""The inventory: what is listed, what is followed, and what is not asked a second time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from pytest_ampls.arm.client import ArmClient
from pytest_ampls.arm.cloud import discover
from pytest_ampls.arm.credential import lab_credential
from pytest_ampls.arm.inventory import read_estate
from pytest_ampls.arm.operations import SUBSCRIPTIONS, listing_path
from pytest_ampls.arm.references import decoded, is_monitor_zone, top_level
from pytest_ampls.lab import Lab
from pytest_ampls.model.evidence import GapKind, Reading
from tests.arm.server import Reply, Server
from tests.arm.test_client import ASSOCIATIONS, GROUP, RULE, RULES, SCOPES, SUBSCRIPTION, VM

OTHER = "/subscriptions/22222222-2222-2222-2222-222222222222"
FOREIGN = f"{OTHER}/resourceGroups/far"
BARE = SUBSCRIPTION.rpartition("/")[2]
ENDPOINTS = "Microsoft.Insights/dataCollectionEndpoints"
WORKSPACES = "Microsoft.OperationalInsights/workspaces"
VMS = "Microsoft.Compute/virtualMachines"
SETS = "Microsoft.Compute/virtualMachineScaleSets"
NETWORKS = "Microsoft.Network/virtualNetworks"
NICS = "Microsoft.Network/networkInterfaces"
PRIVATE_ENDPOINTS = "Microsoft.Network/privateEndpoints"
ZONES = "Microsoft.Network/privateDnsZones"
IDENTITIES = "Microsoft.ManagedIdentity/userAssignedIdentities"
LISTED = (
    SCOPES, WORKSPACES, "Microsoft.Insights/components", ENDPOINTS, RULES, VMS, SETS,
    "Microsoft.HybridCompute/machines", IDENTITIES, NETWORKS, PRIVATE_ENDPOINTS, NICS, ZONES,
)  # fmt: skip
ENDPOINT = f"{GROUP}/providers/{ENDPOINTS}/dce"


def resource(kind: str, name: str, group: str = GROUP) -> str:
    """Return the id of a resource."""
    return f"{group}/providers/{kind}/{name}"


def denied() -> Reply:
    """Return a refusal."""
    return Reply({"error": {"code": "AuthorizationFailed", "message": "no"}}, status=403)


class Estate:
    """A subscription on the server that is empty until it is filled."""

    def __init__(self, server: Server, subscription: str = SUBSCRIPTION) -> None:
        self.server = server
        self.subscription = subscription
        server.on(subscription, Reply({"id": subscription, "displayName": "Test"}))
        for kind in LISTED:
            self.list(kind)

    def list(self, kind: str, *items: Any, scope: str = "") -> None:
        """Let a listing answer with these documents."""
        path = listing_path(kind, scope or self.subscription)
        self.server.on(path.replace("/ALL", "/all"), Reply({"value": list(items)}))

    def has(self, document: dict[str, Any]) -> None:
        """Let a single read answer with a document."""
        self.server.on(document["id"], Reply(document))

    def scope(self, *linked: str, connections: tuple[str, ...] = ()) -> None:
        """Add a private link scope with members and connections."""
        own = resource(SCOPES, "ampls").lower()
        self.list(SCOPES, {"id": own})
        parts = [{"id": f"{own}/scopedresources/{n}", "properties": {"linkedResourceId": target}}
                 for n, target in enumerate(linked)]  # fmt: skip
        ends = [{"id": f"{own}/privateendpointconnections/{n}", "properties": {"privateEndpoint": {"id": end}}}
                for n, end in enumerate(connections)]  # fmt: skip
        self.list(f"{SCOPES}/scopedResources", *parts, scope=own)
        self.list(f"{SCOPES}/privateEndpointConnections", *ends, scope=own)
        self.list(f"{SCOPES}/privateLinkResources", scope=own)

    def machine(self, *associations: tuple[str, str], own: tuple[tuple[str, str], ...] = ()) -> None:
        """Add one VM, a rule, an endpoint, and the associations that these list (in lower case)."""
        self.list(VMS, {"id": VM})
        self.list(f"{VMS}/extensions", scope=VM)
        self.list(RULES, {"id": RULE})
        self.list(ENDPOINTS, {"id": ENDPOINT})
        of_rule = [_association(name, RULE) for name, target in associations if target == RULE]
        of_endpoint = [_association(name, ENDPOINT) for name, target in associations if target == ENDPOINT]
        self.list(ASSOCIATIONS, *of_rule, scope=RULE)
        self.list(ASSOCIATIONS, *of_endpoint, scope=ENDPOINT)
        self.list(ASSOCIATIONS, *[_association(name, target, VM) for name, target in own], scope=VM)


def _association(name: str, target: str, machine: str = VM.lower()) -> dict[str, Any]:
    kind = "dataCollectionEndpointId" if "endpoints" in target.lower() else "dataCollectionRuleId"
    return {"id": f"{machine}/providers/{ASSOCIATIONS}/{name}", "name": name, "properties": {kind: target}}


@pytest.fixture
def estate(server: Server) -> Estate:
    """An empty subscription."""
    return Estate(server)


def by_scope(readings: tuple[Reading, ...]) -> dict[tuple[str, str], Reading]:
    """Return readings by type and scope, both as they were asked."""
    return {(reading.type, reading.scope): reading for reading in readings}


# ---------------------------------------------------------------- the lab


def test_the_healthy_lab_is_read_without_a_gap() -> None:
    """Everything of the hub-and-spoke estate arrives, through the unmodified SDKs and a real token."""
    with Lab.from_spec("hub-and-spoke") as lab:
        cloud = discover(lab.arm_endpoint, lab.ca_bundle)
        credential = lab_credential(
            lab.authority, lab.tenant_id, lab.client_id, lab.client_secret, lab.ca_bundle
        )
        with ArmClient(cloud, credential, ca_bundle=lab.ca_bundle) as client:
            subscriptions, readings = read_estate(client, lab.subscriptions)
            statistics = client.statistics()
    assert [subscription.id for subscription in subscriptions] == list(lab.subscriptions)
    assert [reading.gap.message for reading in readings if reading.gap] == []
    count: Counter[str] = Counter()
    for reading in readings:
        count[reading.type] += len(reading.documents)
    assert min(count[kind] for kind in LISTED) >= 1
    assert count["Microsoft.Network/privateDnsZones/recordSets"] >= 11
    assert count[f"{SETS}/virtualMachines"] == 2
    assert statistics.calls == len(readings) + 1
    assert len(by_scope(readings)) == len(readings)


# ---------------------------------------------------------------- subscriptions


def test_an_empty_subscription_is_listed_once_per_type(client: ArmClient, estate: Estate) -> None:
    """Thirteen listings, no children, no gap."""
    subscriptions, readings = read_estate(client, [BARE])
    assert [(one.id, one.name) for one in subscriptions] == [(BARE, "Test")]
    assert sorted(reading.type for reading in readings) == sorted(LISTED)
    assert not any(reading.gap or reading.documents for reading in readings)
    assert len(estate.server.asked) == 1 + len(LISTED)


def test_subscriptions_may_be_named_twice_and_as_ids(client: ArmClient, estate: Estate) -> None:
    """Case, the prefix and repetition make no second subscription."""
    subscriptions, _ = read_estate(client, [BARE, SUBSCRIPTION.upper(), f" {BARE}/"])
    assert [one.id for one in subscriptions] == [BARE]


def test_without_a_name_all_visible_subscriptions_are_read(client: ArmClient, estate: Estate) -> None:
    """The identity's own view decides."""
    document = {"id": SUBSCRIPTION, "subscriptionId": BARE, "displayName": "Seen"}
    estate.server.on("/subscriptions", Reply({"value": [document]}))
    subscriptions, readings = read_estate(client, [])
    assert [(one.id, one.name) for one in subscriptions] == [(BARE, "Seen")]
    assert len(readings) == len(LISTED)


@pytest.mark.parametrize(
    ("reply", "kind"), [(Reply({"value": []}), GapKind.ABSENT), (denied(), GapKind.DENIED)]
)
def test_seeing_no_subscription_is_a_gap(
    client: ArmClient, server: Server, reply: Reply, kind: GapKind
) -> None:
    """No subscription at all is never an empty estate."""
    server.on("/subscriptions", reply)
    subscriptions, (reading,) = read_estate(client, [])
    assert subscriptions == ()
    assert (reading.type, reading.scope) == (SUBSCRIPTIONS, "/")
    assert reading.gap is not None
    assert reading.gap.kind is kind


@pytest.mark.parametrize(("status", "kind"), [(404, GapKind.ABSENT), (401, GapKind.UNAUTHENTICATED)])
def test_a_hopeless_subscription_is_not_asked_for_each_type(
    client: ArmClient, server: Server, status: int, kind: GapKind
) -> None:
    """Its reason stands for every type, and one request is enough to know it."""
    server.on(SUBSCRIPTION, Reply(status=status))
    subscriptions, readings = read_estate(client, [BARE])
    assert [one.id for one in subscriptions] == [BARE]
    assert {reading.gap.kind for reading in readings if reading.gap} == {kind}
    assert sorted(reading.type for reading in readings) == sorted([SUBSCRIPTIONS, *LISTED])
    assert readings[0].scope == SUBSCRIPTION
    assert len(server.asked) == 1


def test_a_denied_subscription_is_still_listed(client: ArmClient, estate: Estate) -> None:
    """An identity that may not read the subscription may well read what is in it."""
    estate.server.on(SUBSCRIPTION, denied())
    subscriptions, readings = read_estate(client, [BARE])
    assert [(one.id, one.name) for one in subscriptions] == [(BARE, "")]
    assert [reading.type for reading in readings if reading.gap] == [SUBSCRIPTIONS]
    assert len(readings) == 1 + len(LISTED)


def test_one_denied_listing_leaves_the_others(client: ArmClient, estate: Estate) -> None:
    """A gap is where it is, and nowhere else."""
    estate.server.on(f"{SUBSCRIPTION}/providers/{VMS}", denied())
    _, readings = read_estate(client, [BARE])
    assert [reading.type for reading in readings if reading.gap] == [VMS]


# ---------------------------------------------------------------- references


def test_foreign_references_are_read_once_whatever_their_case(client: ArmClient, estate: Estate) -> None:
    """A workspace of another subscription that four documents name is one request."""
    far = resource(WORKSPACES, "far", FOREIGN)
    estate.scope(far, far.lower())
    destinations = {"logAnalytics": [{"workspaceResourceId": far.upper()}, {"workspaceResourceId": far}]}
    estate.list(RULES, {"id": RULE, "properties": {"destinations": destinations}})
    estate.list(ASSOCIATIONS, scope=RULE)
    estate.has({"id": far})
    _, readings = read_estate(client, [BARE])
    singles = [reading for reading in readings if reading.single]
    assert [(reading.type, len(reading.documents), reading.gap) for reading in singles] == [
        (WORKSPACES, 1, None)
    ]
    assert [path for path in estate.server.paths() if "far" in path.lower()] == [singles[0].scope]


def test_what_a_complete_listing_does_not_have_is_absent(client: ArmClient, estate: Estate) -> None:
    """An id of a judged subscription needs no read to be known as dangling."""
    estate.scope(resource(WORKSPACES, "gone"))
    _, readings = read_estate(client, [BARE])
    assert [reading for reading in readings if reading.single] == []


def test_what_a_denied_listing_hides_is_read_singly(client: ArmClient, estate: Estate) -> None:
    """The right to list and the right to read one resource can differ."""
    estate.scope(resource(WORKSPACES, "here"), resource(WORKSPACES, "hidden"))
    estate.server.on(f"{SUBSCRIPTION}/providers/{WORKSPACES}", denied())
    estate.has({"id": resource(WORKSPACES, "here")})
    estate.server.on(resource(WORKSPACES, "hidden"), denied())
    _, readings = read_estate(client, [BARE])
    singles = {reading.scope: reading for reading in readings if reading.single}
    assert len(singles[resource(WORKSPACES, "here")].documents) == 1
    assert singles[resource(WORKSPACES, "hidden")].gap is not None


def test_a_foreign_private_endpoint_is_followed_to_its_records(client: ArmClient, estate: Estate) -> None:
    """Endpoint, interface, network, zone group, zone, links and records, each once."""
    end, zone = (
        resource(PRIVATE_ENDPOINTS, "pe", FOREIGN),
        resource(ZONES, "privatelink.monitor.azure.com", FOREIGN),
    )
    network = resource(NETWORKS, "hub", FOREIGN)
    scope = resource(SCOPES, "ampls")
    estate.scope(connections=(end,))
    estate.has(
        {
            "id": end,
            "properties": {
                "networkInterfaces": [{"id": resource(NICS, "nic", FOREIGN)}],
                "subnet": {"id": f"{network}/subnets/a"},
                "manualPrivateLinkServiceConnections": [{"properties": {"privateLinkServiceId": scope}}],
            },
        }
    )
    group = {"id": f"{end}/privateDnsZoneGroups/default",
             "properties": {"privateDnsZoneConfigs": [{"properties": {"privateDnsZoneId": zone}}]}}  # fmt: skip
    link = {"id": f"{zone}/virtualNetworkLinks/l",
            "properties": {"virtualNetwork": {"id": resource(NETWORKS, "x", FOREIGN)}}}  # fmt: skip
    for own in (resource(NICS, "nic", FOREIGN), network, zone):
        estate.has({"id": own})
    estate.list(f"{PRIVATE_ENDPOINTS}/privateDnsZoneGroups", group, scope=end)
    estate.list(f"{ZONES}/virtualNetworkLinks", link, scope=zone)
    estate.list(f"{ZONES}/recordSets", {"id": f"{zone}/A/api"}, scope=zone)
    _, readings = read_estate(client, [BARE])
    assert [reading.gap for reading in readings if reading.gap] == []
    far = {
        (reading.type.rpartition("/")[2], reading.single) for reading in readings if FOREIGN in reading.scope
    }
    assert far == {
        ("privateEndpoints", True), ("networkInterfaces", True), ("virtualNetworks", True), ("privateDnsZones", True),
        ("privateDnsZoneGroups", False), ("virtualNetworkLinks", False), ("recordSets", False),
    }  # fmt: skip
    assert not [path for path in estate.server.paths() if path.endswith("/virtualNetworks/x")]


def test_networks_lead_to_peers_but_not_to_peers_of_peers(client: ArmClient, estate: Estate) -> None:
    """A foreign hub is read, its hundred other spokes are not."""
    hub, stranger = resource(NETWORKS, "hub", FOREIGN), resource(NETWORKS, "stranger", FOREIGN)

    def peered(own: str, other: str) -> dict[str, Any]:
        peering = {"properties": {"remoteVirtualNetwork": {"id": other}}}
        return {"id": own, "properties": {"virtualNetworkPeerings": [peering]}}

    estate.list(NETWORKS, peered(resource(NETWORKS, "spoke"), hub))
    estate.has(peered(hub, stranger))
    _, readings = read_estate(client, [BARE])
    assert [reading.scope for reading in readings if reading.single] == [hub]


def test_identities_are_read_where_machines_name_them(client: ArmClient, estate: Estate) -> None:
    """The names of the identity map are ids."""
    far = resource(IDENTITIES, "id", FOREIGN)
    estate.machine(("rule", RULE), ("configurationaccessendpoint", ENDPOINT))
    estate.list(VMS, {"id": VM, "identity": {"userAssignedIdentities": {far: {}}}})
    estate.has({"id": far})
    _, readings = read_estate(client, [BARE])
    assert [reading.type for reading in readings if reading.single] == [IDENTITIES]


def test_private_endpoints_of_other_services_are_left_alone(client: ArmClient, estate: Estate) -> None:
    """The endpoint of a storage account leads nowhere, not even to its zone groups."""
    own = {
        "properties": {"privateLinkServiceId": resource("Microsoft.Storage/storageAccounts", "s", FOREIGN)}
    }
    document = {"id": resource(PRIVATE_ENDPOINTS, "storage"),
                "properties": {"privateLinkServiceConnections": [own],
                               "networkInterfaces": [{"id": resource(NICS, "n", FOREIGN)}]}}  # fmt: skip
    estate.list(PRIVATE_ENDPOINTS, document)
    read_estate(client, [BARE])
    assert len(estate.server.asked) == 1 + len(LISTED)


def test_only_zones_that_matter_are_read(client: ArmClient, estate: Estate) -> None:
    """Links and records are listed for zones of Azure Monitor, not for a hundred others."""
    zones = [resource(ZONES, name) for name in ("privatelink.ods.opinsights.azure.com", "corp.example")]
    estate.list(ZONES, *({"id": own, "name": own.rpartition("/")[2]} for own in zones))
    estate.list(f"{ZONES}/virtualNetworkLinks", scope=zones[0])
    estate.list(f"{ZONES}/recordSets", scope=zones[0])
    _, readings = read_estate(client, [BARE])
    assert {reading.scope for reading in readings} == {SUBSCRIPTION, zones[0]}
    assert not any(reading.gap for reading in readings)


@pytest.mark.parametrize(
    ("name", "matters"),
    [
        ("privatelink.monitor.azure.com", True),
        ("PrivateLink.Monitor.Azure.us", True),
        ("privatelink.adx.monitor.azure.us", True),
        ("privatelink.oms.opinsights.azure.cn", True),
        ("privatelink.agentsvc.azure-automation.net", True),
        ("privatelink.blob.core.usgovcloudapi.net", True),
        ("monitor.azure.com", False),
        ("privatelink.vaultcore.azure.net", False),
        ("privatelink.evilmonitor.azure.com", False),
        ("", False),
    ],
)
def test_monitor_zones(name: str, matters: bool) -> None:
    """The zones of all clouds are recognised, and nothing that only looks alike."""
    assert is_monitor_zone(name) is matters


# ---------------------------------------------------------------- machines


@pytest.mark.parametrize(
    ("associations", "asked"),
    [
        ((("my-rule", RULE), ("configurationaccessendpoint", ENDPOINT)), True),
        ((("my-rule", RULE), ("myconfigaccess", ENDPOINT)), True),
        ((("my-rule", RULE), ("configurationAccessEndpoint", ENDPOINT)), False),
        ((("my-rule", RULE), ("something-else", ENDPOINT)), False),
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
    estate.server.on(f"{RULE}/associations", denied())
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


# ---------------------------------------------------------------- robustness


ODD: tuple[Any, ...] = (
    {}, {"id": 3}, {"id": None, "properties": []}, {"properties": "x"}, {"id": "nowhere"}, {"id": "/subscriptions"},
    {"id": RULE, "name": 4, "properties": {"destinations": [], "orchestrationMode": 1, "subnet": "x",
     "privateDnsZoneConfigs": {"a": 1}, "virtualNetwork": [], "networkInterfaces": [None, 3, {"id": {}}]},
     "identity": "none"},
)  # fmt: skip


@pytest.mark.parametrize("kind", LISTED)
def test_odd_documents_are_kept_and_never_raise(client: ArmClient, estate: Estate, kind: str) -> None:
    """Documents without properties or ids, or with wrong types, are for the rules to judge."""
    estate.list(kind, *ODD)
    _, readings = read_estate(client, [BARE])
    assert len(by_scope(readings)[kind, SUBSCRIPTION].documents) == len(ODD)


def test_documents_that_are_no_json_name_nothing() -> None:
    """The last resort is a document without an id."""
    assert decoded(RULES, msgspec.Raw(b"{")).id == ""
    assert list(decoded(RULES, msgspec.Raw(b"[]")).named()) == []
    assert top_level("/subscriptions/1/resourceGroups/g/providers/Microsoft.Web/sites/x") is None


def test_progress_names_the_stages(client: ArmClient, estate: Estate) -> None:
    """A reader of the log sees how far it is."""
    said: list[str] = []
    read_estate(client, [BARE], on_progress=said.append)
    assert said == ["reading subscriptions: 1 request", "reading subscriptions' resources: 13 requests"]


def test_an_interruption_ends_the_reading(make_client: Callable[..., ArmClient], estate: Estate) -> None:
    """Ctrl-C is not swallowed, and no thread goes on to read."""

    def interrupt(text: str) -> None:
        if "resources" in text:
            raise KeyboardInterrupt

    client = make_client()
    with pytest.raises(KeyboardInterrupt):
        read_estate(client, [BARE], on_progress=interrupt)
    gap = client.list(VMS, SUBSCRIPTION).gap
    assert gap is not None
    assert gap.kind is GapKind.NOT_READ
