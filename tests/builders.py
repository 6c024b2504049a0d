"""Estates from hand-written documents, for tests of rules and computations.

``build_estate`` takes documents by type and makes an estate that was read completely: what is not given
does not exist. ``Blueprint`` collects documents and lets a test change one of them by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from pytest_ampls.model import (
    Answer,
    Estate,
    Gap,
    GapKind,
    Reading,
    ResourceId,
    Snapshot,
    Subscription,
    VantagePoint,
)
from pytest_ampls.model.resource import key
from pytest_ampls.model.types import API_VERSIONS

Document = dict[str, Any]

SUBSCRIPTION = "00000000-0000-0000-0000-000000000001"
GROUP = "rg"
CUSTOMER = "36b87820-3c7e-41fe-851a-86d2a26e7cc2"

AMPLS = "Microsoft.Insights/privateLinkScopes"
CONNECTIONS = f"{AMPLS}/privateEndpointConnections"
LINK_RESOURCES = f"{AMPLS}/privateLinkResources"
MEMBERS = f"{AMPLS}/scopedResources"
WORKSPACES = "Microsoft.OperationalInsights/workspaces"
COMPONENTS = "Microsoft.Insights/components"
DCES = "Microsoft.Insights/dataCollectionEndpoints"
DCRS = "Microsoft.Insights/dataCollectionRules"
ASSOCIATIONS = "Microsoft.Insights/dataCollectionRuleAssociations"
VMS = "Microsoft.Compute/virtualMachines"
VM_EXTENSIONS = f"{VMS}/extensions"
SCALE_SETS = "Microsoft.Compute/virtualMachineScaleSets"
INSTANCES = f"{SCALE_SETS}/virtualMachines"
ARC_MACHINES = "Microsoft.HybridCompute/machines"
ARC_EXTENSIONS = f"{ARC_MACHINES}/extensions"
VNETS = "Microsoft.Network/virtualNetworks"
NICS = "Microsoft.Network/networkInterfaces"
NSGS = "Microsoft.Network/networkSecurityGroups"
ENDPOINTS = "Microsoft.Network/privateEndpoints"
ZONE_GROUPS = f"{ENDPOINTS}/privateDnsZoneGroups"
PRIVATE_ZONES = "Microsoft.Network/privateDnsZones"
ZONE_LINKS = f"{PRIVATE_ZONES}/virtualNetworkLinks"
RECORDS = f"{PRIVATE_ZONES}/recordSets"
DNS_RESOLVERS = "Microsoft.Network/dnsResolvers"
INBOUND_ENDPOINTS = f"{DNS_RESOLVERS}/inboundEndpoints"
RULESETS = "Microsoft.Network/dnsForwardingRulesets"
FORWARDING_RULES = f"{RULESETS}/forwardingRules"
RULESET_LINKS = f"{RULESETS}/virtualNetworkLinks"

CHILDREN: Mapping[str, tuple[str, ...]] = {
    AMPLS: (CONNECTIONS, LINK_RESOURCES, MEMBERS),
    VMS: (VM_EXTENSIONS, ASSOCIATIONS),
    ARC_MACHINES: (ARC_EXTENSIONS, ASSOCIATIONS),
    SCALE_SETS: (INSTANCES, ASSOCIATIONS),
    ENDPOINTS: (ZONE_GROUPS,),
    PRIVATE_ZONES: (ZONE_LINKS, RECORDS),
    DNS_RESOLVERS: (INBOUND_ENDPOINTS,),
    RULESETS: (FORWARDING_RULES, RULESET_LINKS),
}
"""Parent type to the types that are listed below each of its resources."""

_LISTED_BELOW = {child for children in CHILDREN.values() for child in children}


def resource_id(
    resource_type: str, name: str, *children: str, subscription: str = SUBSCRIPTION, group: str = GROUP
) -> str:
    """Return a resource id; ``children`` are further type and name segments."""
    root = f"/subscriptions/{subscription}/resourceGroups/{group}/providers/{resource_type}/{name}"
    return "/".join([root, *children])


def denied(what: str = "this") -> Gap:
    """Return the gap of a read that was refused."""
    return Gap(kind=GapKind.DENIED, message=f"reading {what} was refused (403)", status=403)


def build_estate(
    documents: Mapping[str, Iterable[Document]] | None = None,
    *,
    children: Mapping[tuple[str, str], Iterable[Document]] | None = None,
    gaps: Mapping[str | tuple[str, str], Gap] | None = None,
    subscriptions: tuple[str, ...] = (SUBSCRIPTION,),
    cloud: str = "AzureCloud",
    vantage_points: Iterable[VantagePoint] = (),
    answers: Iterable[Answer] = (),
) -> Estate:
    """Return an estate that holds exactly these documents.

    Args:
        documents: resource type to documents. Those of child types (``CHILDREN``) are put below the parent
            that their id names; a parent without any has an empty listing.
        children: (child type, parent id) to documents, where the id does not tell, or to add a listing that
            would not exist, such as that of a rule's associations.
        gaps: a type (its listing in every subscription, or below every parent, fails) or a pair of type and
            parent id (only that listing fails) to the gap.
        subscriptions: every other type is listed, completely, in each of these.
        cloud: as in the snapshot.
        vantage_points: as in the snapshot.
        answers: as in the snapshot.
    """
    listings = _listings(documents or {}, children or {}, subscriptions)
    failed = {
        (name, "") if isinstance(name, str) else (name[0], key(name[1])): gap
        for name, gap in (gaps or {}).items()
    }
    listings.update({name: [] for name in failed if name[1]})
    readings = tuple(
        Reading(
            type=kind,
            scope=scope,
            request=f"https://management.azure.com{scope}/{kind}",
            read_at=0.0,
            documents=() if gap else tuple(msgspec.Raw(msgspec.json.encode(part)) for part in listed),
            gap=gap,
        )
        for (kind, scope), listed in listings.items()
        for gap in [failed.get((kind, scope)) or failed.get((kind, ""))]
    )
    return Estate(
        Snapshot(
            cloud=cloud,
            subscriptions=tuple(Subscription(id=each) for each in subscriptions),
            readings=readings,
            vantage_points=tuple(vantage_points),
            answers=tuple(answers),
        )
    )


def _listings(
    documents: Mapping[str, Iterable[Document]],
    children: Mapping[tuple[str, str], Iterable[Document]],
    subscriptions: Iterable[str],
) -> dict[tuple[str, str], list[Document]]:
    """Return (type, scope of the listing) to documents, with an empty listing where there are none."""
    listings: dict[tuple[str, str], list[Document]] = {}
    for kind in API_VERSIONS:
        if kind not in _LISTED_BELOW:
            listings.update({(kind, f"/subscriptions/{each}"): [] for each in subscriptions})
    for kind, given in documents.items():
        for document in given:
            for child in CHILDREN.get(kind, ()):
                listings.setdefault((child, key(document["id"])), [])
            listings.setdefault((kind, _scope_of(kind, document)), []).append(document)
    for (kind, parent), given in children.items():
        listings[kind, key(parent)] = list(given)
    return listings


def _scope_of(kind: str, document: Document) -> str:
    parsed = ResourceId.parse(document["id"])
    if kind in _LISTED_BELOW:
        return key(parsed.parent or "")
    return f"/subscriptions/{parsed.subscription}"


class Blueprint:
    """Documents of an estate, to be changed by a test before it is built.

    ``blueprint[type, name]`` is a document; a child's name is the path below its parent, as in
    ``blueprint[RECORDS, "privatelink.monitor.azure.com/A/api"]``.
    """

    def __init__(self) -> None:
        self.documents: dict[str, dict[str, Document]] = {}
        self.gaps: dict[str | tuple[str, str], Gap] = {}
        self.vantage_points: list[VantagePoint] = []
        self.answers: list[Answer] = []

    def add(self, kind: str, identifier: str, properties: Document | None = None, **more: Any) -> Document:
        """Add a document and return it. Its name is the id's last segment."""
        parsed = ResourceId.parse(identifier)
        document: Document = {"id": identifier, "name": parsed.name, "type": parsed.type, **more}
        if properties is not None:
            document["properties"] = properties
        self.documents.setdefault(kind, {})[_short(identifier)] = document
        return document

    def __getitem__(self, where: tuple[str, str]) -> Document:
        return self.documents[where[0]][where[1].lower()]

    def __delitem__(self, where: tuple[str, str]) -> None:
        del self.documents[where[0]][where[1].lower()]

    def remove(self, kind: str, chosen: Callable[[str], bool]) -> None:
        """Remove the documents of a type whose name is chosen; none chosen is an error of the test."""
        names = [name for name in self.documents[kind] if chosen(name)]
        assert names, f"no {kind} of this name among {list(self.documents[kind])}"
        for name in names:
            del self.documents[kind][name]

    def build(self) -> Estate:
        """Return the estate."""
        return build_estate(
            {kind: list(named.values()) for kind, named in self.documents.items()},
            gaps=self.gaps,
            vantage_points=self.vantage_points,
            answers=self.answers,
        )


def _short(identifier: str) -> str:
    """Return the path below the resource group's provider: name, or name and further segments."""
    tail = identifier.rpartition("/providers/")[2].split("/")[2:]
    kept = [tail[0], *(part for part in tail[1:] if part not in _SEGMENTS)]
    return "/".join(kept).lower()


_SEGMENTS = {
    "virtualNetworkLinks",
    "privateEndpointConnections",
    "privateendpointconnections",
    "privateLinkResources",
    "privatelinkresources",
    "scopedResources",
    "privateDnsZoneGroups",
    "inboundEndpoints",
    "forwardingRules",
    "extensions",
    "virtualMachines",
}
