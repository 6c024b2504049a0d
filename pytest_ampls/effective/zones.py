"""Which private DNS zone answers which name: the tables per cloud, and what a scope itself demands."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from pytest_ampls.errors import NotReadError
from pytest_ampls.model.estate import Estate
from pytest_ampls.model.monitor import PrivateLinkResource, PrivateLinkScope

__all__ = [
    "AZURE_MONITOR_GROUP",
    "SHARED_LABELS",
    "ZONES",
    "monitor_zones",
    "private_name",
    "public_name",
    "public_suffix",
    "relative_name",
    "required_zones",
    "zone_among",
    "zone_in",
    "zone_of",
    "zones_of_cloud",
]

AZURE_MONITOR_GROUP: Final = "azuremonitor"
"""The only group (sub-resource) that a private link scope offers."""

SHARED_LABELS: Final = ("api", "global.handler.control")
"""Names, relative to the monitor zone, that every scope's private endpoint serves and every client uses."""

_PREFIX: Final = "privatelink."

_ZONES = {
    "AzureCloud": (
        "privatelink.monitor.azure.com",
        "privatelink.oms.opinsights.azure.com",
        "privatelink.ods.opinsights.azure.com",
        "privatelink.agentsvc.azure-automation.net",
        "privatelink.blob.core.windows.net",
    ),
    "AzureUSGovernment": (
        "privatelink.monitor.azure.us",
        "privatelink.adx.monitor.azure.us",
        "privatelink.oms.opinsights.azure.us",
        "privatelink.ods.opinsights.azure.us",
        "privatelink.agentsvc.azure-automation.us",
        "privatelink.blob.core.usgovcloudapi.net",
    ),
    "AzureChinaCloud": (
        "privatelink.monitor.azure.cn",
        "privatelink.oms.opinsights.azure.cn",
        "privatelink.ods.opinsights.azure.cn",
        "privatelink.agentsvc.azure-automation.cn",
        "privatelink.blob.core.chinacloudapi.cn",
    ),
}

ZONES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(_ZONES)
"""Cloud to the zones of an Azure Monitor private endpoint, the monitor zone first.

Source: https://learn.microsoft.com/azure/private-link/private-endpoint-dns. **The China row is not
confirmed**: Microsoft's table has no Azure Monitor row for that cloud. What a scope itself demands
(:func:`required_zones`) comes before this table.
"""

# Query endpoints of an Azure Monitor workspace live below the monitor zone's public name, and have a
# zone per region that is no part of a private link scope.
_PROMETHEUS: Final = re.compile(r"\.(?P<suffix>[^.]+\.prometheus\.monitor\.azure\.[a-z]+)$")


def _plain(name: str) -> str:
    return name.strip().rstrip(".").lower()


def zones_of_cloud(cloud: str) -> tuple[str, ...]:
    """Return the zones of a cloud.

    Raises:
        NotReadError: the cloud is none of :data:`ZONES`.
    """
    if cloud not in ZONES:
        raise NotReadError(
            f"the private DNS zones of Azure Monitor in cloud {cloud!r} are not known, and the private link "
            f"scope does not name them itself. Known clouds: {', '.join(ZONES)}"
        )
    return ZONES[cloud]


def public_suffix(zone: str) -> str:
    """Return the public domain whose names a privatelink zone answers: the zone without ``privatelink.``."""
    return _plain(zone).removeprefix(_PREFIX)


def _normal_zone(name: str) -> str:
    """Return a zone in its privatelink form; answers of 2020 lack the prefix."""
    return _PREFIX + public_suffix(name)


def required_zones(scope: PrivateLinkScope) -> tuple[str, ...]:
    """Return the origins of the zones that a private endpoint of this scope needs.

    They are what the scope's ``privateLinkResources`` names, each in the ``privatelink.`` form;
    where the scope names none, the table of the cloud.

    Raises:
        EvidenceError: the scope's private link resources were not read, or the cloud is not known.
    """
    named = {
        _normal_zone(name): None
        for resource in scope.private_link_resources
        if (resource.properties.group_id or resource.label).lower() == AZURE_MONITOR_GROUP
        for name in resource.properties.required_zone_names or ()
    }
    return tuple(named) or zones_of_cloud(scope.estate.snapshot.cloud)


def zone_among(fqdn: str, zones: Iterable[str]) -> str | None:
    """Return the zone, of those given, that answers a public name: the one with the longest public domain."""
    name = "." + _plain(fqdn)
    fitting = [zone for zone in zones if name.endswith("." + public_suffix(zone))]
    return max(fitting, key=len, default=None)


def zone_of(fqdn: str, cloud: str) -> str | None:
    """Return the origin of the privatelink zone that a public name is answered from, None for other names.

    Args:
        fqdn: a public name such as ``api.monitor.azure.com``; case and a final dot do not matter.
        cloud: a key of :data:`ZONES`.

    Raises:
        NotReadError: the cloud is not known.
    """
    prometheus = _PROMETHEUS.search("." + _plain(fqdn))
    if prometheus is not None:
        return _PREFIX + prometheus["suffix"]
    return zone_among(fqdn, zones_of_cloud(cloud))


def relative_name(fqdn: str, zone: str) -> str:
    """Return the name of a record inside a zone, ``@`` for the zone itself.

    ``fqdn`` is the public name (``api.monitor.azure.com``) or the full private one.

    Raises:
        ValueError: the name does not belong to the zone.
    """
    name, origin = _plain(fqdn), _plain(zone)
    for suffix in (origin, public_suffix(origin)):
        if name == suffix:
            return "@"
        if name.endswith("." + suffix):
            return name[: -len(suffix) - 1]
    raise ValueError(f"{fqdn!r} is not a name of the zone {zone!r}")


def private_name(fqdn: str, zone: str) -> str:
    """Return the name inside a zone that a public name is an alias of.

    ``x.monitor.azure.com`` becomes ``x.privatelink.monitor.azure.com``.

    Raises:
        ValueError: the name does not belong to the zone.
    """
    label = relative_name(fqdn, zone)
    return _plain(zone) if label == "@" else f"{label}.{_plain(zone)}"


def public_name(name: str, zone: str) -> str:
    """Return the public name of a record: the opposite of :func:`private_name`.

    Raises:
        ValueError: the name does not belong to the zone.
    """
    label = relative_name(name, zone)
    return public_suffix(zone) if label == "@" else f"{label}.{public_suffix(zone)}"


def monitor_zones(estate: Estate) -> frozenset[str]:
    """Return the origins of all zones that Azure Monitor private endpoints keep records in.

    Zones of the estate's cloud, and whatever the scopes that were read demand. In a known cloud a scope
    whose demands could not be read adds nothing here; the rules that rest on the demands say so.

    Raises:
        EvidenceError: the cloud is not in the table, and the demands of the scopes were not all read.
    """
    return estate.once(_monitor_zones)


def _monitor_zones(estate: Estate) -> frozenset[str]:
    demanded = (
        _normal_zone(name)
        for resource in estate.known(PrivateLinkResource)
        for name in resource.properties.required_zone_names or ()
    )
    known = frozenset(ZONES.get(estate.snapshot.cloud, ()))
    if not known:  # another cloud: what the scopes demand is all there is, and must have been read
        for gap in (
            *estate.missing(PrivateLinkScope).values(),
            *estate.missing(PrivateLinkResource).values(),
        ):
            raise gap.error()
        for scope in estate.known(PrivateLinkScope):
            required_zones(scope)  # raises for one that names none
    return known.union(demanded)


def zone_in(estate: Estate, fqdn: str) -> str | None:
    """Return the origin of the privatelink zone that a public name is answered from, None for other names.

    As :func:`zone_of`, with the zones that the estate's scopes demand beside those of its cloud.

    Raises:
        EvidenceError: as :func:`monitor_zones`.
    """
    prometheus = _PROMETHEUS.search("." + _plain(fqdn))
    if prometheus is not None:
        return _PREFIX + prometheus["suffix"]
    return zone_among(fqdn, monitor_zones(estate))
