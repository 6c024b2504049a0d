"""Responses of the real Azure Resource Manager decode: every recorded sample of a type that is modelled.

The samples lie beside the checkout and are no part of the project; without them these tests are skipped.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pytest_ampls.errors import DocumentError
from pytest_ampls.model import (
    DataCollectionEndpoint,
    DataCollectionRuleAssociation,
    Estate,
    PrivateEndpointConnection,
    Reading,
    RecordSet,
    Resource,
    ResourceId,
    ScaleSetInstance,
    ScopedResource,
    Snapshot,
    UserAssignedIdentity,
    VirtualMachineScaleSet,
    Workspace,
)
from pytest_ampls.model.estate import RESOURCE_CLASSES
from pytest_ampls.model.machine import Identity
from pytest_ampls.model.resource import key

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
FILES = sorted([*DATA.glob("by_type/*.jsonl"), *DATA.glob("*_samples.jsonl"), *DATA.glob("ama_*.jsonl")])
RECORDS = "microsoft.network/privatednszones/"
NOT_RECORDED_LIVE = {
    "ArcMachine",
    "ArcMachineExtension",
    "DnsForwardingRuleset",
    "NetworkSecurityGroup",
    "DnsResolver",
    "ForwardingRule",
    "InboundEndpoint",
    "RulesetLink",
    "VirtualNetwork",
}

pytestmark = pytest.mark.skipif(not FILES, reason=f"no recorded samples at {DATA}")


def bodies(file: Path) -> Iterator[Any]:
    """Yield the body of every successful response that says what a resource is."""
    for line in file.read_text(encoding="utf-8").splitlines():
        sample = json.loads(line)
        if sample.get("status") in (200, 201) and isinstance(sample.get("response_body"), dict):
            yield sample["response_body"]


def documents(file: Path) -> Iterator[tuple[type[Resource], dict[str, Any]]]:
    """Yield each document of a modelled type, from single bodies and from listings."""
    for body in bodies(file):
        listed = body["value"] if isinstance(body.get("value"), list) else [body]
        for document in listed:
            # Two quirk samples are cut down to the identity that they show.
            if isinstance(document, dict) and document.get("id") and "properties" in document:
                cls = class_of(document)
                if cls is not None:
                    yield cls, document


def class_of(document: dict[str, Any]) -> type[Resource] | None:
    """Return the class that models a document, by its type or else its id."""
    try:
        kind = (document.get("type") or ResourceId.parse(document["id"]).type).lower()
    except DocumentError:
        return None  # a registration of a resource provider, which is no resource
    if kind.startswith(RECORDS) and kind.count("/") == 2 and not kind.endswith("links"):
        return RecordSet
    return RESOURCE_CLASSES.get(kind)


def read(cls: type[Resource], *found: dict[str, Any]) -> Estate:
    """Return an estate that was read from these documents of a class."""
    raw = tuple(msgspec.Raw(msgspec.json.encode(part)) for part in found)
    reading = Reading(
        type=cls.ARM_TYPE, scope="/subscriptions/0", request="recorded", read_at=0, documents=raw
    )
    return Estate(Snapshot(readings=(reading,)))


def recorded(cls: type[Resource]) -> list[dict[str, Any]]:
    """Return the documents of a class in all files."""
    return [document for file in FILES for kind, document in documents(file) if kind is cls]


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
def test_every_recorded_document_decodes(file: Path) -> None:
    """No recorded document of a modelled type is a defect, and its id keeps its meaning."""
    for cls, document in documents(file):
        estate = read(cls, document)
        assert not estate.unread(cls), document["id"]
        (resource,) = estate.known(cls)
        assert resource.key == key(document["id"])
        assert resource.label
        assert json.loads(bytes(estate.document(resource))) == document


def test_the_samples_cover_the_model() -> None:
    """Every modelled type has a recorded sample, but for those that are known to have none."""
    found = {cls.__name__ for file in FILES for cls, _ in documents(file)}
    assert {cls.__name__ for cls in RESOURCE_CLASSES.values()} - found == NOT_RECORDED_LIVE


def test_numbers_for_states_survive() -> None:
    """Instances of scale sets tell their provisioning state as a number in some listings."""
    states = {type(_instance(part).properties.provisioning_state) for part in recorded(ScaleSetInstance)}
    assert int in states


def _instance(document: dict[str, Any]) -> ScaleSetInstance:
    (found,) = read(ScaleSetInstance, document).known(ScaleSetInstance)
    return found


def test_both_identities_are_told() -> None:
    """``SystemAssigned, UserAssigned`` has a blank after the comma; values of identities may be empty."""
    recorded_blocks = [
        body["identity"] for body in bodies(DATA / "quirk_samples.jsonl") if "identity" in body
    ]
    blocks = [msgspec.convert(block, Identity) for block in recorded_blocks]
    both = [block for block in blocks if block.type == "SystemAssigned, UserAssigned"]
    assert both
    assert all(block.has_system_assigned and block.user_assigned_ids for block in both)
    assert not any(block.has_system_assigned for block in blocks if block not in both)
    assert any(not value for block in blocks for value in (block.user_assigned_identities or {}).values())


def test_the_agent_is_told_by_publisher_and_type() -> None:
    """The extension's name varies; the agent is found in recorded scale sets all the same."""
    sets = [
        found
        for part in recorded(VirtualMachineScaleSet)
        for found in read(VirtualMachineScaleSet, part).known(VirtualMachineScaleSet)
    ]
    names = {agent.name for found in sets for agent in found.agents}
    assert {"Microsoft.Azure.Monitor.AzureMonitorLinuxAgent"} <= names
    assert any(found.os_type == "linux" and found.virtual_network_ids for found in sets)


def test_an_association_knows_its_machine() -> None:
    """The target is the id up to the association, in the listing of a rule as in that of the machine."""
    estate = read(DataCollectionRuleAssociation, *recorded(DataCollectionRuleAssociation))
    for association in estate.known(DataCollectionRuleAssociation):
        assert (
            key(association.target_id).rpartition("/")[0].endswith(("/virtualmachines", "/managedclusters"))
        )
        held = association.properties
        assert (held.data_collection_rule_id is None) != (held.data_collection_endpoint_id is None)


def test_hosts_are_read_and_not_built() -> None:
    """Recorded endpoints carry a random suffix in their host names."""
    estate = read(DataCollectionEndpoint, *recorded(DataCollectionEndpoint))
    hosts = [host for dce in estate.known(DataCollectionEndpoint) for host in dce.hosts]
    assert hosts
    assert all(".monitor.azure.com" in host and "/" not in host for host in hosts)


TOLD: list[tuple[type[Resource], str]] = [
    (ScopedResource, "linked_resource_id"),
    (PrivateEndpointConnection, "private_link_service_connection_state"),
    (UserAssignedIdentity, "client_id"),
    (Workspace, "public_network_access_for_query"),
    (RecordSet, "fqdn"),
]


@pytest.mark.parametrize(("cls", "field"), TOLD)
def test_what_rules_look_at_is_decoded(cls: type[Resource], field: str) -> None:
    """Membership, state, ids, flags and names come through from recorded documents, and not as None."""
    estate = read(cls, *recorded(cls))
    assert any(getattr(part.properties, field) for part in estate.known(cls))  # type: ignore[attr-defined]  # each of them has properties
