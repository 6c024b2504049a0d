"""What one document says about others: ids it names, and the little that steers further reads.

Tolerant on purpose. A document that cannot be understood here names nothing; whether it can be
judged is decided where it is judged.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Any, Final

import msgspec

from pytest_ampls.model.types import API_VERSIONS

__all__ = ["Document", "decoded", "fold", "is_monitor_zone", "target_of", "top_level"]

_SPELLING: Final = {name.lower(): name for name in API_VERSIONS}
_TOP_LEVEL: Final = re.compile(
    r"(?i)(/subscriptions/[^/]+/resourcegroups/[^/]+/providers/([^/]+/[^/]+)/[^/]+)(?:/|$)"
)
_TARGET: Final = re.compile(r"(?i)(.+)/providers/microsoft\.insights/datacollectionruleassociations/[^/]+/?")
_MONITOR_ZONE: Final = re.compile(
    r"(?i)privatelink\.(?:.+\.)?"
    r"(?:monitor\.azure\.\w+|opinsights\.azure\.\w+|agentsvc\.azure-automation\.\w+|blob\.core\..+)"
)
_SCOPES: Final = "microsoft.insights/privatelinkscopes"

_CONNECTIONS: Final = (
    "properties.privateLinkServiceConnections.*.properties.privateLinkServiceId",
    "properties.manualPrivateLinkServiceConnections.*.properties.privateLinkServiceId",
)
_IDENTITIES: Final = ("identity.userAssignedIdentities.@",)
_NAMED: Final[dict[str, tuple[str, ...]]] = {
    f"{_SCOPES}/scopedresources": ("properties.linkedResourceId",),
    f"{_SCOPES}/privateendpointconnections": ("properties.privateEndpoint.id",),
    "microsoft.insights/datacollectionrules": (
        "properties.destinations.logAnalytics.*.workspaceResourceId",
        "properties.dataCollectionEndpointId",
    ),
    "microsoft.insights/datacollectionruleassociations": (
        "properties.dataCollectionRuleId",
        "properties.dataCollectionEndpointId",
    ),
    "microsoft.network/privateendpoints": (
        "properties.networkInterfaces.*.id",
        "properties.subnet.id",
        *_CONNECTIONS,
    ),
    "microsoft.network/privateendpoints/privatednszonegroups": (
        "properties.privateDnsZoneConfigs.*.properties.privateDnsZoneId",
    ),
    "microsoft.network/privatednszones/virtualnetworklinks": ("properties.virtualNetwork.id",),
    "microsoft.network/virtualnetworks": (
        "properties.virtualNetworkPeerings.*.properties.remoteVirtualNetwork.id",
    ),
    "microsoft.compute/virtualmachines": _IDENTITIES,
    "microsoft.compute/virtualmachinescalesets": _IDENTITIES,
    "microsoft.hybridcompute/machines": _IDENTITIES,
}
"""Where a type names other resources. ``*`` is every item of a list, ``@`` the names of an object."""

_INTERFACES: Final = {
    "microsoft.compute/virtualmachines": "properties.networkProfile.networkInterfaces.*.id",
    "microsoft.network/privateendpoints": "properties.networkInterfaces.*.id",
}
"""Where a type names network interfaces. They are of its own subscription, and listed there."""


def fold(resource_id: str) -> str:
    """Return the form of an id that compares; ARM's ids differ in case from call to call."""
    return resource_id.strip().rstrip("/").lower()


@lru_cache(maxsize=4096)  # thousands of machines name the same few rules, endpoints and identities
def top_level(resource_id: str) -> tuple[str, str] | None:
    """Return type and id of the top-level resource in an id, or None where we do not read the type.

    The id of a subnet gives its VNet. The type comes in ARM's spelling.
    """
    found = _TOP_LEVEL.match(resource_id.strip())
    if found is None or found[2].lower() not in _SPELLING:
        return None
    return _SPELLING[found[2].lower()], found[1]


def target_of(association_id: str) -> str | None:
    """Return the folded id of the machine that an association belongs to."""
    found = _TARGET.fullmatch(association_id.strip())
    return fold(found[1]) if found else None


def is_monitor_zone(name: str) -> bool:
    """Tell whether a private DNS zone holds endpoints of Azure Monitor, in any cloud."""
    return _MONITOR_ZONE.fullmatch(name) is not None


class Document(msgspec.Struct, frozen=True):
    """What was understood of a document. ``id`` is empty where it has none."""

    type: str
    id: str
    content: dict[str, Any]

    def texts(self, path: str) -> Iterator[str]:
        """Return every text at a dotted path; whatever has another form is passed over."""
        return _texts(self.content, _steps(path))

    def text(self, path: str) -> str:
        """Return the first text at a dotted path, or an empty one."""
        return next(self.texts(path), "")

    @property
    def name(self) -> str:
        """The name, from the id where the document has none."""
        return self.text("name") or self.id.rstrip("/").rpartition("/")[2]

    def named(self) -> Iterator[tuple[str, str]]:
        """Return type and id of each top-level resource that the document names."""
        folded = self.type.lower()
        if folded == "microsoft.network/privateendpoints" and not self.leads_to_scope:
            return
        for path in _NAMED.get(folded, ()):
            for text in self.texts(path):
                found = top_level(text)
                if found is not None:
                    yield found

    def interfaces(self) -> Iterator[str]:
        """Return the ids of the network interfaces that a VM or a private endpoint names."""
        path = _INTERFACES.get(self.type.lower())
        return self.texts(path) if path else iter(())

    @property
    def leads_to_scope(self) -> bool:
        """Whether this is a private endpoint of a private link scope."""
        ids = (text for path in _CONNECTIONS for text in self.texts(path))
        return any(f"/providers/{_SCOPES}/" in text.lower() for text in ids)

    @property
    def is_uniform(self) -> bool:
        """Whether this scale set runs its own instances, which is so where it does not say."""
        return self.text("properties.orchestrationMode").lower() != "flexible"


def decoded(resource_type: str, raw: msgspec.Raw) -> Document:
    """Return what can be understood of a document; at worst that is nothing."""
    try:
        content: Any = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        content = None
    if not isinstance(content, dict):
        content = {}
    own = content.get("id")
    return Document(resource_type, own if isinstance(own, str) else "", content)


@cache
def _steps(path: str) -> tuple[str, ...]:
    return tuple(path.split("."))


def _texts(value: Any, path: tuple[str, ...], at: int = 0) -> Iterator[str]:
    for number in range(at, len(path)):
        step = path[number]
        if step == "*":
            for item in value if isinstance(value, list) else ():
                yield from _texts(item, path, number + 1)
            return
        if not isinstance(value, dict):
            return
        if step == "@":
            yield from (name for name in value if name)
            return
        value = value.get(step)
    if isinstance(value, str) and value:
        yield value
