"""What the machines of a VNet may do with one resource: the table of access, on the facts of the estate.

Judged are names and settings: where a name leads, whose member the resource is, modes, flags. Whether packets get to
an address is another matter, that of routes and security groups.

Source: https://learn.microsoft.com/azure/azure-monitor/fundamentals/private-link-design.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple

import msgspec

from pytest_ampls.effective.access import (
    Access,
    Outcome,
    Path,
    PublicAccess,
    Reach,
    configuration_access,
    effective_mode,
    query_access,
    telemetry_access,
    upload_access,
)
from pytest_ampls.effective.name_resolution import AnswerStatus, answers, endpoints_at, scopes_of
from pytest_ampls.effective.zones import monitor_zones, public_suffix
from pytest_ampls.errors import NotReadError
from pytest_ampls.model.estate import Estate
from pytest_ampls.model.monitor import (
    ApplicationInsights,
    DataCollectionEndpoint,
    PrivateLinkScope,
    ScopableResource,
    ScopedResource,
    Workspace,
)
from pytest_ampls.model.network import PrivateEndpoint, VirtualNetwork
from pytest_ampls.model.resource import key, needed, same_id

__all__ = ["CLASSES", "Attempt", "Use", "Way", "attempt", "handler_way", "way_to"]


class Use(StrEnum):
    """What a client wants of a resource. A value is the name of an expectation."""

    QUERY = "query"
    INGESTION = "ingestion"
    CONFIGURATION = "configuration"


CLASSES: Final[Mapping[Use, tuple[type[ScopableResource], ...]]] = MappingProxyType(
    {
        Use.QUERY: (Workspace, ApplicationInsights),
        Use.INGESTION: (Workspace, ApplicationInsights, DataCollectionEndpoint),
        Use.CONFIGURATION: (DataCollectionEndpoint,),
    }
)
"""What can be used in which way."""


class Way(NamedTuple):
    """Where a name leads a network.

    ``path`` is None where no row of the table is about it, and ``reason`` says why. ``endpoint`` and ``scope`` are
    there on a private path. ``is_strict``: a membership that is not complete is taken for none.
    """

    name: str
    path: Path | None
    reason: str
    endpoint: PrivateEndpoint | None = None
    scope: PrivateLinkScope | None = None
    is_strict: bool = False

    def lists(self, resource: ScopableResource) -> bool:
        """Tell whether the scope at the end of the way lists a resource."""
        return self.scope is not None and self._counts(self.scope, resource)

    def finds(self, resource: ScopableResource) -> bool:
        """Tell whether any scope lists a resource."""
        return any(self._counts(scope, resource) for scope in resource.scopes)

    def _counts(self, scope: PrivateLinkScope, resource: ScopableResource) -> bool:
        return scope.contains(resource.id) and not (self.is_strict and _incomplete(scope, resource))


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """What comes of one use of one resource, and the way that decided."""

    resource: ScopableResource
    use: Use
    way: Way
    access: Access


# ------------------------------------------------------------------- where a name leads


def way_to(network: VirtualNetwork, fqdn: str) -> Way:
    """Return where a name leads a network, by configuration.

    Raises:
        EvidenceError: what the network is answered cannot be computed, or whose an address is was not read.
    """
    answer = answers(network, fqdn)
    if answer.status is AnswerStatus.MIXED:
        return Way(fqdn, None, f"{fqdn} leads to different places: {answer.reason}")
    if answer.status in {AnswerStatus.PUBLIC, AnswerStatus.FALLBACK}:
        return Way(fqdn, Path.PUBLIC, answer.reason)
    if not answer.addresses:
        return Way(fqdn, Path.NOWHERE, f"{fqdn} is answered {answer.status}: {answer.reason}")
    return _private_way(network, fqdn, answer.addresses)


def _private_way(network: VirtualNetwork, fqdn: str, addresses: tuple[str, ...]) -> Way:
    owners = [endpoints_at(network, address) for address in addresses]
    found = {
        (each.key, scope.key): (each, scope) for own in owners for each in own for scope in scopes_of(each)
    }
    where = f"{fqdn} leads to {', '.join(addresses)}"
    if len(found) != 1 or not all(owners):
        names = (
            ", ".join(sorted({repr(each.label) for own in owners for each in own})) or "none that was read"
        )
        return Way(
            fqdn, None, f"{where}, not to one private endpoint of one scope (private endpoints: {names})"
        )
    endpoint, scope = next(iter(found.values()))
    status = _status(endpoint, scope)
    if status.lower() != "approved":
        reason = f"{where}, of private endpoint {endpoint.label!r}, whose connection to {scope.label!r} is {status}"
        return Way(fqdn, None, reason)
    return Way(fqdn, Path.PRIVATE, f"{where}, of private endpoint {endpoint.label!r}", endpoint, scope)


def _status(endpoint: PrivateEndpoint, scope: PrivateLinkScope) -> str:
    """Return the status of an endpoint's connection: Approved where both sides say so."""
    own = (
        part.properties.private_link_service_connection_state
        for part in endpoint.connections
        if same_id(part.properties.private_link_service_id, scope.id)
    )
    theirs = [
        part.properties.private_link_service_connection_state
        for part in scope.private_endpoint_connections
        if (reference := part.properties.private_endpoint) is not None and same_id(reference.id, endpoint.id)
    ]
    if not theirs:
        for part in scope.private_endpoint_connections:  # one without an id may be this endpoint's
            reference = part.properties.private_endpoint
            needed(reference.id if reference else None, part, "properties.privateEndpoint.id")
        return "not listed by the scope"
    path = "the status of its connection"
    found = [needed(state.status if state else None, endpoint, path) for state in (*own, *theirs)]
    return next((status for status in found if status.lower() != "approved"), "Approved")


def _shared_way(network: VirtualNetwork, label: str) -> Way:
    """Return where a name leads that all scopes share, by its label in the monitor domain."""
    suffixes = (public_suffix(origin) for origin in sorted(monitor_zones(network.estate)))
    domain = next((suffix for suffix in suffixes if suffix.startswith("monitor.")), None)
    if domain is None:
        raise NotReadError(
            f"no private DNS zone for the shared names of Azure Monitor is known, such as {label}"
        )
    return way_to(network, f"{label}.{domain}")


def handler_way(network: VirtualNetwork) -> Way:
    """Return where the agents of a network begin to look for their configuration.

    Raises:
        EvidenceError: as :func:`way_to`.
    """
    return network.estate.once(_to_handler, network)


def _to_handler(_: Estate, network: VirtualNetwork) -> Way:
    return _shared_way(network, "global.handler.control")


def _to_query(_: Estate, network: VirtualNetwork) -> Way:
    return _shared_way(network, "api")


def _to_telemetry(_: Estate, network: VirtualNetwork) -> Way:
    return _shared_way(network, "global.in.ai")


# ------------------------------------------------------------------- what comes of it


def attempt(network: VirtualNetwork, resource: ScopableResource, use: Use) -> Attempt:
    """Return what comes of it where the machines of a network use a resource, by configuration.

    For the configuration of a data collection endpoint: where a machine is associated with it.

    Raises:
        EvidenceError: what decides was not read, or a document lacks it.
        TypeError: the resource has no such use.
    """
    if not isinstance(resource, CLASSES[use]):
        raise TypeError(f"{resource.NOUN} {resource.label!r} has no {use}")
    handler = handler_way(network) if use is Use.CONFIGURATION else None
    if use is Use.QUERY:
        way = network.estate.once(_to_query, network)
    elif isinstance(resource, ApplicationInsights):
        way = network.estate.once(_to_telemetry, network)
    else:
        way = way_to(network, _upload_name(resource) if use is Use.INGESTION else _host(resource, use))
    access = _access(resource, use, way, handler)
    for scope in resource.scopes:
        pending = _incomplete(scope, resource)
        if pending is not None:
            strict = handler._replace(is_strict=True) if handler is not None else None
            other = _access(resource, use, way._replace(is_strict=True), strict)
            access = _either(f"{scope.label}/{pending.label}", pending, access, other)
            break
    return Attempt(resource=resource, use=use, way=way, access=access)


def _access(resource: ScopableResource, use: Use, way: Way, handler: Way | None) -> Access:
    """Return what comes of it; the handler's way is for the configuration of an endpoint."""
    if use is Use.QUERY:
        return _with(resource, use, way, query_access)
    if isinstance(resource, ApplicationInsights):
        return _telemetry(resource, way)
    if handler is None:
        return _own_name(resource, use, way, _upload)
    return _configuration(resource, handler, way)


def _either(name: str, member: ScopedResource, access: Access, other: Access) -> Access:
    """Return what comes of it whether or not a membership counts that is not complete: no page tells."""
    if access.outcome is other.outcome:
        return msgspec.structs.replace(access, is_inferred=access.is_inferred or other.is_inferred)
    state = needed(member.properties.provisioning_state, member, "properties.provisioningState")
    reason = (
        f"the membership {name!r} is {state}, and no page tells whether it counts before it has Succeeded: "
        f"{access.reason}; or {other.reason}"
    )
    return Access(outcome=Outcome.UNKNOWN, reason=reason)


def _incomplete(scope: PrivateLinkScope, resource: ScopableResource) -> ScopedResource | None:
    """Return the membership by which a scope lists a resource, where it has none that is complete."""
    return scope.estate.once(_incomplete_members, scope).get(resource.key)


def _incomplete_members(_: Estate, scope: PrivateLinkScope) -> Mapping[str, ScopedResource]:
    found: dict[str, ScopedResource] = {}
    complete: set[str] = set()
    for member in scope.scoped_resources:
        linked = key(member.properties.linked_resource_id or "")
        if (member.properties.provisioning_state or "").lower() == "succeeded":
            complete.add(linked)
        else:
            found[linked] = member
    return {linked: member for linked, member in found.items() if linked not in complete}


def _with(resource: ScopableResource, use: Use, way: Way, judge: Callable[[Reach], Access]) -> Access:
    """Return what the table says, with a flag and a mode that are looked at only where they decide."""
    if way.path is None:
        return Access(outcome=Outcome.UNKNOWN, reason=way.reason)
    access = judge(_reach(resource, use, way))
    return msgspec.structs.replace(access, reason=f"{access.reason} ({way.reason})")


def _reach(resource: ScopableResource, use: Use, way: Way) -> Reach:
    path = way.path or Path.NOWHERE
    is_member = way.lists(resource)
    decides = path is Path.PUBLIC or (path is Path.PRIVATE and not is_member)
    own_name = use is Use.CONFIGURATION or (
        use is Use.INGESTION and not isinstance(resource, ApplicationInsights)
    )
    mode = None
    if (
        path is Path.PRIVATE
        and not is_member
        and not own_name
        and way.scope is not None
        and way.endpoint is not None
    ):
        mode = effective_mode(way.scope, way.endpoint, use)
    return Reach(
        path=path,
        public=_flag(resource, use) if decides else None,
        is_member=is_member,
        is_in_any_scope=way.finds(resource),
        mode=mode,
    )


def _flag(resource: ScopableResource, use: Use) -> PublicAccess:
    if isinstance(resource, DataCollectionEndpoint):
        acls, path = resource.properties.network_acls, "properties.networkAcls.publicNetworkAccess"
        return PublicAccess.parse(needed(acls.public_network_access if acls else None, resource, path))
    assert isinstance(resource, Workspace | ApplicationInsights)  # there are no others
    parts, path = resource.properties, f"properties.publicNetworkAccessFor{use.capitalize()}"
    value = (
        parts.public_network_access_for_query
        if use is Use.QUERY
        else parts.public_network_access_for_ingestion
    )
    return PublicAccess.parse(needed(value, resource, path))


def _telemetry(resource: ApplicationInsights, way: Way) -> Access:
    """Return what comes of telemetry by the global name; a component has a regional one besides."""
    access = _with(resource, Use.INGESTION, way, telemetry_access)
    if way.path is Path.NOWHERE:
        reason = f"{access.reason}; whether the name of the component's region has one is not known"
        return Access(outcome=Outcome.UNKNOWN, reason=reason)
    if way.path is Path.PRIVATE and not way.lists(resource) and access.outcome is Outcome.ALLOWED:
        reason = f"{access.reason}; whether the name of its region has a private record then, no page tells"
        return Access(outcome=Outcome.UNKNOWN, reason=reason)
    return access


def _own_name(
    resource: ScopableResource, use: Use, way: Way, judge: Callable[[ScopableResource, Use, Way], Access]
) -> Access:
    """Return what comes of it by a resource's own name, of which the sources differ for a resource in no scope.

    Its public name may be no alias of the private one; then no zone stands in the way.
    """
    access = judge(resource, use, way)
    if way.path is not Path.NOWHERE or way.finds(resource):
        return access
    public = way._replace(path=Path.PUBLIC, reason="it is in no scope, so its name may have no alias")
    other = judge(resource, use, public)
    if Outcome.ALLOWED not in {access.outcome, other.outcome}:
        return other
    reason = (
        f"{access.reason}; or {other.reason}: for a resource in no private link scope the sources differ on whether "
        "a linked zone takes its name away"
    )
    return Access(outcome=Outcome.UNKNOWN, reason=reason)


def _upload(resource: ScopableResource, use: Use, way: Way) -> Access:
    is_endpoint = isinstance(resource, DataCollectionEndpoint)
    return _with(resource, use, way, lambda reach: upload_access(reach, is_endpoint=is_endpoint))


def _configuration(resource: ScopableResource, handler: Way, own: Way) -> Access:
    """Return what comes of it where an agent is sent to an endpoint: the handler's scope must list it."""
    if handler.path is None:
        return Access(outcome=Outcome.UNKNOWN, reason=handler.reason)
    path = handler.path

    def by_handler(reach: Reach) -> Access:
        if path is Path.PRIVATE:
            member = handler.lists(resource) and (own.path is not Path.PRIVATE or own.lists(resource))
            reach = msgspec.structs.replace(
                reach, is_member=member, is_in_any_scope=member or reach.is_in_any_scope
            )
        return configuration_access(path, reach)

    def judge(resource: ScopableResource, use: Use, way: Way) -> Access:
        return _with(resource, use, way, by_handler)

    return _own_name(resource, Use.CONFIGURATION, own, judge)


# ------------------------------------------------------------------- names


def _upload_name(resource: ScopableResource) -> str:
    if isinstance(resource, DataCollectionEndpoint):
        return _host(resource, Use.INGESTION)
    assert isinstance(resource, Workspace)  # components have shared names
    owner = needed(resource.properties.customer_id, resource, "properties.customerId").lower()
    suffixes = (public_suffix(origin) for origin in sorted(monitor_zones(resource.estate)))
    domain = next((suffix for suffix in suffixes if suffix.startswith("ods.")), None)
    if domain is None:
        raise NotReadError(
            f"no private DNS zone for uploads is known, so neither is the name of {resource.label!r}"
        )
    return f"{owner}.{domain}"


def _host(resource: ScopableResource, use: Use) -> str:
    """Return the host of a data collection endpoint for a use."""
    assert isinstance(resource, DataCollectionEndpoint)  # as the table of uses says
    parts = resource.properties
    name, url = (
        ("configurationAccess", parts.configuration_access)
        if use is Use.CONFIGURATION
        else ("logsIngestion", parts.logs_ingestion)
    )
    host = url.host if url is not None else None
    return needed(host, resource, f"a URL in properties.{name}.endpoint").lower()
