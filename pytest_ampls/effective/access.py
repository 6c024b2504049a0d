"""Who may query, send and fetch configuration, from where: the table of access by path, membership, mode and flag.

Two things decide, and neither replaces the other. An **access mode** limits what clients may do that arrive through
a private endpoint of the scope. A resource's own **public access** decides for everybody else, and for members of no
scope. Uploads to a workspace do not look at access modes at all.

Everything here is a pure function of facts that are given; what the sources do not say is ``UNKNOWN``, never allowed.
A network security perimeter can narrow public access further, and its rules are not read: ``SECURED_BY_PERIMETER``
is therefore unknown for public clients, and what an enforced perimeter does to ``ENABLED`` is not in this table.

Source: https://learn.microsoft.com/azure/azure-monitor/fundamentals/private-link-design. Rows that no page states are
marked ``is_inferred``.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, TypeVar

import msgspec

from pytest_ampls.errors import DocumentError
from pytest_ampls.model.monitor import PrivateLinkScope
from pytest_ampls.model.network import PrivateEndpoint
from pytest_ampls.model.resource import needed, same_id

__all__ = [
    "Access",
    "AccessMode",
    "Outcome",
    "Path",
    "PublicAccess",
    "Reach",
    "configuration_access",
    "effective_mode",
    "query_access",
    "telemetry_access",
    "upload_access",
]

CONFIGURATION_REFUSED: Final = (
    '403 "Data collection endpoint must be used to access configuration over private link"'
)
QUERY_REFUSED: Final = "403 InsufficientAccessError, inner code NspValidationFailedError"
UPLOAD_REFUSED: Final = "403 with an empty body from the workspace's ods name"

_Choice = TypeVar("_Choice", bound=StrEnum)


class Path(StrEnum):
    """How a client gets to a name, by the answer it has for it."""

    PRIVATE = "private"
    """To an address of a private endpoint."""
    PUBLIC = "public"
    NOWHERE = "nowhere"
    """The name does not exist for the client, or has no address."""


class AccessMode(StrEnum):
    """What a scope lets the clients of its private endpoints do with resources that are not its members."""

    OPEN = "Open"
    PRIVATE_ONLY = "PrivateOnly"


class PublicAccess(StrEnum):
    """What a resource says of clients that do not come through a private endpoint."""

    ENABLED = "Enabled"
    DISABLED = "Disabled"
    SECURED_BY_PERIMETER = "SecuredByPerimeter"

    @classmethod
    def parse(cls, value: str) -> PublicAccess:
        """Return what a document's value stands for, whatever its case.

        Raises:
            DocumentError: the value is none that is known.
        """
        return _member(cls, value, "public network access")


class Outcome(StrEnum):
    """What comes of an attempt."""

    ALLOWED = "allowed"
    REFUSED = "refused"
    UNRESOLVABLE = "no address"
    UNKNOWN = "unknown"
    """Neither documentation nor what was read tells. Not a pass."""


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """What comes of an attempt, and why, as a phrase. ``is_inferred``: no page of Azure Monitor states this row."""

    outcome: Outcome
    reason: str
    is_inferred: bool = False


class Reach(msgspec.Struct, frozen=True, kw_only=True):
    """One client and one resource.

    ``path`` is the client's way to the name. ``is_member`` tells whether the resource is in the scope whose private
    endpoint that way ends at; ``is_in_any_scope`` whether it is in some scope at all. ``mode`` is that scope's
    (:func:`effective_mode`), ``public`` is the resource's own flag; each is None where it decides nothing and need
    not be known.
    """

    path: Path
    public: PublicAccess | None = None
    is_member: bool = False
    is_in_any_scope: bool = True
    mode: AccessMode | None = None

    def __post_init__(self) -> None:
        if self.is_member and not self.is_in_any_scope:
            raise ValueError("a member of a scope is in a scope")


def _member(kind: type[_Choice], value: str, noun: str) -> _Choice:
    for each in kind:
        if each.value.lower() == value.strip().lower():
            return each
    raise DocumentError(f"{noun} is {value!r}, which is none of {', '.join(kind)}")


# ------------------------------------------------------------------- what decides on the public path


def _public(reach: Reach, way: str, refusal: str = "") -> Access:
    """Return what a resource's own flag makes of a client that comes by a way which it counts as public."""
    if reach.public is None:
        raise DocumentError(
            f"{way}, and the resource's public network access is not known: no default is assumed"
        )
    if reach.public is PublicAccess.ENABLED:
        return Access(outcome=Outcome.ALLOWED, reason=f"{way}, and the resource takes public clients")
    if reach.public is PublicAccess.SECURED_BY_PERIMETER:
        reason = f"{way}, and a network security perimeter decides, whose rules are not read"
        return Access(outcome=Outcome.UNKNOWN, reason=reason)
    told = f": {refusal}" if refusal else ""
    reason = f"{way}, and the resource refuses public clients{told}{_from_everywhere(reach)}"
    return Access(outcome=Outcome.REFUSED, reason=reason)


def _from_everywhere(reach: Reach) -> str:
    """Say so where nobody can reach a resource: closed to the public since 2021-09, and in no scope."""
    closed = reach.public is PublicAccess.DISABLED and not reach.is_in_any_scope
    return "; it is in no private link scope either, and refused from everywhere" if closed else ""


def _nowhere(what: str, *, is_inferred: bool = False) -> Access:
    reason = f"{what} has no address to go to"
    return Access(outcome=Outcome.UNRESOLVABLE, reason=reason, is_inferred=is_inferred)


# ------------------------------------------------------------------- shared names: the mode counts


def query_access(reach: Reach) -> Access:
    """Return what comes of a query of a workspace or component by the query endpoint.

    ``reach.path`` is the way to ``api.monitor.azure.com``, ``reach.mode`` the query access mode, ``reach.public``
    the resource's ``publicNetworkAccessForQuery``. Queries that Azure Resource Manager passes on (the portal's
    insights, connectors) never come by a private path: to them applies what is said of the public one.

    Raises:
        DocumentError: what decides is not known: the scope's mode, or the resource's public network access.
    """
    return _by_mode(reach, "the query goes", QUERY_REFUSED)


def telemetry_access(reach: Reach) -> Access:
    """Return what comes of telemetry for an Application Insights component.

    ``reach.path`` is the way to the shared ingestion names, ``reach.mode`` the ingestion access mode,
    ``reach.public`` the component's ``publicNetworkAccessForIngestion``.

    Raises:
        DocumentError: as :func:`query_access`.
    """
    return _by_mode(reach, "the telemetry goes")


def _by_mode(reach: Reach, what: str, refusal: str = "") -> Access:
    if reach.path is Path.NOWHERE:
        return _nowhere("the client")
    if reach.path is Path.PUBLIC:
        return _public(reach, f"{what} over the public path", refusal)
    through = f"{what} through the private endpoint"
    if reach.is_member:
        return Access(
            outcome=Outcome.ALLOWED, reason=f"{through} of a scope that the resource is a member of"
        )
    if reach.mode is None:
        raise DocumentError(
            "a client comes through a private endpoint for a resource that is no member of its scope, and that "
            "scope's access mode is not known: it has no default that could be assumed"
        )
    if reach.mode is AccessMode.PRIVATE_ONLY:
        reason = f"{through} of a scope that does not list the resource, and whose mode is PrivateOnly"
        return Access(outcome=Outcome.REFUSED, reason=reason + _from_everywhere(reach))
    return _public(reach, f"{through} of a scope in Open mode that does not list the resource")


# ------------------------------------------------------------------- uploads: the mode does not count


def upload_access(reach: Reach, *, is_endpoint: bool = False) -> Access:
    """Return what comes of an upload to a workspace's ods name, or to an endpoint's ingestion name.

    ``reach.mode`` is not looked at: uploads do not obey access modes. ``reach.public`` is the workspace's
    ``publicNetworkAccessForIngestion``, or, with ``is_endpoint``, the ``networkAcls.publicNetworkAccess`` of a data
    collection endpoint: that the public path obeys it in the same way is inferred.

    Raises:
        DocumentError: the path is public, and the resource's public network access is not known.
    """
    if reach.path is Path.NOWHERE:
        return _nowhere("the upload")
    if reach.path is Path.PUBLIC:
        found = _public(reach, "the upload goes over the public path", "" if is_endpoint else UPLOAD_REFUSED)
        return msgspec.structs.replace(found, is_inferred=is_endpoint)
    if reach.is_member:
        reason = "the upload goes through the private endpoint of a scope that the resource is a member of"
        return Access(outcome=Outcome.ALLOWED, reason=reason)
    reason = (
        "the name leads to a private endpoint of a scope that does not list the resource: a record that no endpoint "
        "would write, and no page says what comes of it"
    )
    return Access(outcome=Outcome.UNKNOWN, reason=reason)


# ------------------------------------------------------------------- configuration


def configuration_access(handler: Path, endpoint: Reach | None) -> Access:
    """Return what comes of an agent that asks for its configuration.

    Args:
        handler: the way to ``global.handler.control``, where every agent begins.
        endpoint: the data collection endpoint that the machine is associated with, by its configuration name and
            its ``networkAcls.publicNetworkAccess``; None where there is no association.

    Raises:
        DocumentError: all is public, and the endpoint's public network access is not known.
    """
    if handler is Path.NOWHERE:
        return _nowhere("the agent")
    if endpoint is None:
        return _without_endpoint(handler)
    if endpoint.path is Path.NOWHERE:
        # Documented for an endpoint outside of the scope: refused, or without an address.
        return _nowhere(
            "the agent's way to its data collection endpoint",
            is_inferred=endpoint.is_member or handler is not Path.PRIVATE,
        )
    return _privately(endpoint) if handler is Path.PRIVATE else _publicly(endpoint)


def _without_endpoint(handler: Path) -> Access:
    if handler is Path.PRIVATE:
        reason = f"the agent arrives over a private link, without a data collection endpoint: {CONFIGURATION_REFUSED}"
        return Access(outcome=Outcome.REFUSED, reason=reason)
    return Access(outcome=Outcome.ALLOWED, reason="the agent asks the public configuration service")


def _privately(endpoint: Reach) -> Access:
    """Return what comes of it where the handler is private, and the machine has an endpoint with an address."""
    if not endpoint.is_member:
        where = "the agent arrives over a private link whose scope does not list its endpoint"
        reason = f"{where}: {CONFIGURATION_REFUSED}"
        return Access(outcome=Outcome.REFUSED, reason=reason, is_inferred=endpoint.path is Path.PRIVATE)
    if endpoint.path is Path.PRIVATE:
        reason = "the agent asks its data collection endpoint, a member of the scope, over the private link"
        return Access(outcome=Outcome.ALLOWED, reason=reason)
    reason = (
        "the handler is private and the name of the endpoint, a member of the scope, is not: no page tells"
    )
    return Access(outcome=Outcome.UNKNOWN, reason=reason)


def _publicly(endpoint: Reach) -> Access:
    """Return what comes of it where the handler is public, and the machine has an endpoint with an address."""
    if endpoint.path is Path.PRIVATE:
        reason = (
            "the handler is public and the endpoint's name private, of one and the same zone: no page tells"
        )
        return Access(outcome=Outcome.UNKNOWN, reason=reason)
    found = _public(endpoint, "the agent asks its data collection endpoint over the public path")
    return msgspec.structs.replace(found, is_inferred=True)


# ------------------------------------------------------------------- the mode of one connection


def effective_mode(scope: PrivateLinkScope, endpoint: PrivateEndpoint, kind: str) -> AccessMode:
    """Return the access mode for the clients of one private endpoint: an exclusion's, else the scope's.

    Args:
        scope: the private link scope.
        endpoint: a private endpoint that connects to it.
        kind: ``query`` or ``ingestion``.

    Raises:
        EvidenceError: the scope or its connections were not read, the document does not tell, or the scope has
            exclusions and lists no connection of the endpoint: which of them would be meant is not known.
    """
    settings = needed(scope.properties.access_mode_settings, scope, "properties.accessModeSettings")
    path = f"properties.accessModeSettings.{kind}AccessMode"
    default = _mode(getattr(settings, f"{kind}_access_mode"), scope, path)
    if not settings.exclusions:
        return default
    names = _connections(scope, endpoint)
    for position, exclusion in enumerate(settings.exclusions):
        path = f"properties.accessModeSettings.exclusions[{position}]"
        named = needed(
            exclusion.private_endpoint_connection_name, scope, f"{path}.privateEndpointConnectionName"
        )
        if named.lower() in names:
            return _mode(getattr(exclusion, f"{kind}_access_mode"), scope, f"{path}.{kind}AccessMode")
    return default


def _mode(value: str | None, scope: PrivateLinkScope, path: str) -> AccessMode:
    return _member(AccessMode, needed(value, scope, path), f"{path} of private link scope {scope.label!r}")


def _connections(scope: PrivateLinkScope, endpoint: PrivateEndpoint) -> frozenset[str]:
    """Return the names, in lower case, of the scope's connections of an endpoint."""
    found = frozenset(
        connection.label.lower()
        for connection in scope.private_endpoint_connections
        if (reference := connection.properties.private_endpoint) is not None
        and same_id(reference.id, endpoint.id)
    )
    if not found:
        raise DocumentError(
            f"private link scope {scope.label!r} lists no connection of private endpoint {endpoint.label!r} "
            f"({endpoint.id}), and has exclusions by connection: which access mode its clients have is not known"
        )
    return found
