"""Which reads make up an estate, and in what order: wide first, then what that leads to.

Calls grow with containers, not with machines, as far as ARM allows: associations are read from
the rules and endpoints, and a machine is asked only where their answer cannot be relied on. With
Resource Graph (:mod:`pytest_ampls.arm.discovery`) they grow by pages alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import Final

from pytest_ampls.arm.client import ArmClient
from pytest_ampls.arm.confirmation import machines_to_ask
from pytest_ampls.arm.discovery import Index, Known
from pytest_ampls.arm.kinds import ARC, ASSOCIATIONS, INSTANCES, LISTED, PRIVATE_ENDPOINTS, SCALE_SETS, VMS
from pytest_ampls.arm.operations import SUBSCRIPTIONS
from pytest_ampls.arm.reader import Reader, Task
from pytest_ampls.arm.references import Document, decoded, fold, is_monitor_zone
from pytest_ampls.arm.subscriptions import find_subscriptions
from pytest_ampls.errors import ConfigurationError
from pytest_ampls.model.evidence import GapKind, Reading, Subscription

__all__ = ["DISCOVERIES", "children_of", "follow_references", "read_estate", "read_rest"]

DISCOVERIES: Final = ("auto", "graph", "arm")
"""The ways to find machines and what is below them."""

_SCOPES: Final = "Microsoft.Insights/privateLinkScopes"
_RULES: Final = "Microsoft.Insights/dataCollectionRules"
_ENDPOINTS: Final = "Microsoft.Insights/dataCollectionEndpoints"
_NETWORKS: Final = "Microsoft.Network/virtualNetworks"
_ZONE_GROUPS: Final = "Microsoft.Network/privateEndpoints/privateDnsZoneGroups"
_ZONES: Final = "Microsoft.Network/privateDnsZones"
_LINKS: Final = "Microsoft.Network/privateDnsZones/virtualNetworkLinks"
_RECORDS: Final = "Microsoft.Network/privateDnsZones/recordSets"
_RESOLVERS: Final = "Microsoft.Network/dnsResolvers"
_RULESETS: Final = "Microsoft.Network/dnsForwardingRulesets"

# Private zones of public domains that Azure Monitor's names are in: linked somewhere, they answer before the
# alias is ever followed. Single storage accounts are left out; the one of Azure Monitor is not.
_PUBLIC_ZONE: Final = re.compile(
    r"(?i)(?:.+\.)?(?:monitor\.azure|opinsights\.azure|agentsvc\.azure-automation)\.[a-z]+"
    r"|(?:scadvisorcontentpl\.)?blob\.core\.[^.]+\.[a-z]+|(?:core\.)?(?:windows|usgovcloudapi|chinacloudapi)\.[a-z]+"
    r"|azure(?:-automation)?\.[a-z]+|com|net|us|cn"
)
_ROUNDS: Final = 3
# A subscription that failed like this has nothing more to say; asking for each type only costs time.
_HOPELESS: Final = frozenset({GapKind.ABSENT, GapKind.UNAUTHENTICATED, GapKind.UNREACHABLE, GapKind.NOT_READ})
# A listing that failed like this may still allow single resources of it to be read.
_WORTH_A_TRY: Final = frozenset({GapKind.DENIED, GapKind.MALFORMED})


def read_estate(
    client: ArmClient,
    subscriptions: Sequence[str],
    *,
    management_groups: Sequence[str] = (),
    discovery: str = "arm",
    fresh: int | None = None,
    on_progress: Callable[[str], None] | None = None,
    on_left_out: Callable[[Subscription], None] | None = None,
) -> tuple[tuple[Subscription, ...], tuple[Reading, ...]]:
    """Read everything that rules may ask about.

    Args:
        client: an opened client; its ``concurrency`` is how many reads run at once.
        subscriptions: bare GUIDs, or ``/subscriptions/<GUID>``; none, and no management group, means all
            that the identity sees.
        management_groups: names or ids; what is below them is read as well.
        discovery: where that which grows with the machines is read from: ``arm``, the providers
            alone; ``graph``, the index, whose refusal is a gap; ``auto``, the index where it answers
            and the providers where not, with a note in the client's statistics.
        fresh: so many listings of networks, security groups, endpoints and zones are asked of their
            providers although the index could tell; as many as go at once when left out.
        on_progress: gets a line of text per stage.
        on_left_out: gets each subscription that nobody named, and that is not read because it is not in use.

    Returns:
        The subscriptions, and one reading for each request chain. A subscription that could not
        be read is still among the first, and a reading of type
        ``Microsoft.Resources/subscriptions`` says why. Nothing that ARM refuses is raised.

    Raises:
        ConfigurationError: there is no such way of discovery.
    """
    if discovery not in DISCOVERIES:
        raise ConfigurationError(
            f"there is no discovery {discovery!r}; there are {', '.join(DISCOVERIES)}: choose one of them"
        )
    with Reader(client, on_progress) as reader:
        found = find_subscriptions(reader, subscriptions, management_groups, on_left_out)
        index = None
        if discovery != "arm":
            index = Index(client, reader, found, strict=discovery == "graph", fresh=fresh)
        read_rest(reader, found, index)
        return tuple(found), tuple(reader.readings)


def read_rest(reader: Reader, found: Sequence[Subscription], index: Index | Known | None) -> None:
    """Read everything of some subscriptions that the reader does not have yet."""
    _list_subscriptions(reader, found, index)
    _list_children(reader, index)
    if isinstance(index, Index):
        index.read()
    if index is not None and not index.covers(ASSOCIATIONS):
        reader.read("associations", _associations(reader))
    _list_zones(reader)
    _list_machines(reader, index)
    follow_references(reader, reader.all_documents(), reader.named.values())


# ---------------------------------------------------------------- listings


def _list_subscriptions(reader: Reader, found: Iterable[Subscription], index: Index | Known | None) -> None:
    tasks = index.plan() if isinstance(index, Index) else []
    for subscription in found:
        scope = f"/subscriptions/{subscription.id}"
        failed = reader.reading(SUBSCRIPTIONS, scope)
        if failed is not None and failed.gap is not None and failed.gap.kind in _HOPELESS:
            for resource_type in LISTED:
                reader.keep(_skipped(failed, resource_type))
        elif not isinstance(index, Index) or not index.sees(scope):
            tasks += [Task(kind, scope) for kind in LISTED]
    _read(reader, index, "subscriptions' resources", tasks)
    if isinstance(index, Index):
        _read(reader, index, "what may be hidden", index.reconsider())


def _read(reader: Reader, index: Index | Known | None, stage: str, tasks: list[Task]) -> None:
    """Carry out listings; with an index, those that are cut after their first page are left to it."""
    if isinstance(index, Index):
        index.admit(reader.run(stage, tasks))
    else:
        reader.read(stage, tasks)


def _skipped(failed: Reading, resource_type: str) -> Reading:
    return Reading(
        type=resource_type,
        scope=failed.scope,
        request=failed.request,
        read_at=failed.read_at,
        gap=failed.gap,
    )


def children_of(document: Document) -> Iterator[str]:
    """Return the types to list below a resource; machines and zones have stages of their own."""
    if document.type == _SCOPES:
        yield from (
            f"{_SCOPES}/{part}"
            for part in ("scopedResources", "privateEndpointConnections", "privateLinkResources")
        )
    elif document.type == SCALE_SETS and document.is_uniform:
        yield INSTANCES
    elif document.type == PRIVATE_ENDPOINTS and document.leads_to_scope:
        yield _ZONE_GROUPS
    elif document.type == _RESOLVERS:
        yield f"{_RESOLVERS}/inboundEndpoints"
    elif document.type == _RULESETS:
        yield from (f"{_RULESETS}/forwardingRules", f"{_RULESETS}/virtualNetworkLinks")


def _list_children(reader: Reader, index: Index | Known | None) -> None:
    parents = [document for resource_type in LISTED for document in reader.documents(resource_type)]
    tasks = [
        Task(child, parent.id, first_page=child == INSTANCES and index is not None and index.sees(parent.id))
        for parent in parents
        for child in children_of(parent)
    ]
    if index is None:
        tasks += _associations(reader)
    _read(reader, index, "children", tasks)


def _associations(reader: Reader) -> list[Task]:
    """Return the listings of what rules and endpoints are associated with: one each, however many machines."""
    parents = [document for kind in (_RULES, _ENDPOINTS) for document in reader.documents(kind)]
    return [Task(ASSOCIATIONS, parent.id) for parent in parents]


def _list_zones(reader: Reader) -> None:
    """List links and records of the zones that matter: an estate may hold hundreds that do not."""
    groups = reader.documents(_ZONE_GROUPS)
    named = {fold(own) for group in groups for kind, own in group.named() if kind == _ZONES}
    zones = [
        zone
        for zone in reader.documents(_ZONES)
        if is_monitor_zone(zone.name) or _PUBLIC_ZONE.fullmatch(zone.name) or fold(zone.id) in named
    ]
    reader.read("zones", [Task(kind, zone.id) for zone in zones for kind in (_LINKS, _RECORDS)])


def _list_machines(reader: Reader, index: Index | Known | None) -> None:
    extensions = [
        Task(f"{kind}/extensions", machine.id)
        for kind in (VMS, ARC)
        for machine in reader.documents(kind)
        if index is None or not index.has(f"{kind}/extensions", machine.id)
    ]
    own = [Task(ASSOCIATIONS, machine) for machine in machines_to_ask(reader, index)]
    # Side by side, not one after the other: each provider has a rate limit of its own.
    pairs = zip_longest(extensions, own)
    reader.read("machines", [task for pair in pairs for task in pair if task is not None])


# ---------------------------------------------------------------- references


def follow_references(
    reader: Reader, documents: Iterable[Document], more: Iterable[tuple[str, str]] = ()
) -> None:
    """Read what documents name and no listing held, and what that leads to; a few rounds suffice.

    ``more`` are further types and ids that are named.

    The longest way is connection, private endpoint, its zone group, zone, its records. Peers of
    a network of somebody else's, and networks that share somebody else's zone, are not followed:
    in a large organisation that would read all of it.
    """
    sources, ids = list(documents), list(more)
    for number in range(1, _ROUNDS + 1):
        ids += [found for document in sources for found in document.named()]
        tasks = [Task(kind, own, single=True) for kind, own in ids if _is_unknown(reader, kind, own)]
        ids = []
        if not tasks:
            return
        got = reader.read(f"references, round {number}", tasks)
        arrived = [decoded(reading.type, raw) for reading in got for raw in reading.documents]
        children = [
            Task(child, document.id) for document in arrived for child in _children_of_reference(document)
        ]
        below = reader.read(f"references, round {number}: children", children)
        arrived += [decoded(reading.type, raw) for reading in below for raw in reading.documents]
        sources = [document for document in arrived if document.type not in (_NETWORKS, _LINKS)]


def _children_of_reference(document: Document) -> Iterator[str]:
    """Return what to list below a resource of somebody else: not associations, which are theirs."""
    if document.type == _ZONES:
        yield from (_LINKS, _RECORDS)
    elif document.type != SCALE_SETS:
        yield from children_of(document)


def _is_unknown(reader: Reader, kind: str, own: str) -> bool:
    """Tell whether a resource has to be read: no listing tells whether it exists, nor is the read hopeless."""
    listing = reader.reading(kind, own[: own.lower().index("/resourcegroups/")])
    return listing is None or (listing.gap is not None and listing.gap.kind in _WORTH_A_TRY)
