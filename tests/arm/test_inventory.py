"""The inventory: what is listed, in the lab and of subscriptions that refuse; and odd documents."""

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
from pytest_ampls.arm.operations import SUBSCRIPTIONS
from pytest_ampls.arm.references import decoded, top_level
from pytest_ampls.lab import Lab
from pytest_ampls.model.evidence import GapKind
from tests.arm.estate import (
    BARE,
    LISTED,
    SETS,
    VMS,
    Estate,
    by_scope,
    denied,
)
from tests.arm.names import RULE, RULES, SUBSCRIPTION
from tests.arm.server import Reply, Server


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
    assert {kind for kind in LISTED if not count[kind]} == {
        "Microsoft.Network/dnsResolvers",
        "Microsoft.Network/dnsForwardingRulesets",
    }, "this estate has no resolver of its own"
    assert count["Microsoft.Network/privateDnsZones/recordSets"] >= 11
    assert count[f"{SETS}/virtualMachines"] == 2
    assert statistics.calls == len(readings) + 1
    assert len(by_scope(readings)) == len(readings)


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
    assert said == ["reading subscriptions: 1 request", "reading subscriptions' resources: 16 requests"]


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
