"""What a private endpoint of a scope must serve: the scope's required members, and its resources' names."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

from pytest_ampls.effective.zones import AZURE_MONITOR_GROUP, public_suffix, required_zones
from pytest_ampls.errors import DocumentError
from pytest_ampls.model.monitor import DataCollectionEndpoint, PrivateLinkScope, Workspace
from pytest_ampls.model.network import PrivateEndpoint
from pytest_ampls.model.resource import Resource, ResourceId, needed

__all__ = ["missing_members", "names_of_resource", "required_members", "scoped_resources_with_names"]

# Azure has called the members differently over the years, and calls those of a workspace by workspace or by
# region. The public name that a member stands for is what stays.
_MEMBER_NAMES: Final[Mapping[str, str]] = {
    "api": r"api\.monitor\.",
    "draft": r"api\.monitor\.",
    "global.in.ai": r"global\.in\.ai\.monitor\.",
    "breeze": r"[^.]+\.in\.ai\.monitor\.",
    "applicationinsights_ingestion": r"[^.]+\.in\.ai\.monitor\.",
    "live": r"live\.monitor\.",
    "livemetrics": r"live\.monitor\.",
    "profiler": r"profiler\.monitor\.",
    "snapshot": r"snapshot\.monitor\.",
    "snapshotdebugger": r"snapshot\.monitor\.",
    "diagservicesquery": r"diagservices-query\.monitor\.",
    "dce-global": r"global\.handler\.control\.monitor\.",
    "agentsolutionpackstore": r"scadvisorcontentpl\.blob\.",
}
_WORKSPACE_MEMBERS: Final = re.compile(r"(?P<role>oms|ods|agent)-(?P<of>.+)")
_WORKSPACE_DOMAINS: Final[Mapping[str, str]] = {
    "oms": "oms.opinsights.",
    "ods": "ods.opinsights.",
    "agent": "agentsvc.azure-automation.",
}
_GUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def required_members(scope: PrivateLinkScope) -> tuple[str, ...]:
    """Return the names of the members that a private endpoint of the scope must have, as the scope lists them.

    Raises:
        EvidenceError: the scope's private link resources were not read.
    """
    return tuple(
        member
        for resource in scope.private_link_resources
        if (resource.properties.group_id or resource.label).lower() == AZURE_MONITOR_GROUP
        for member in resource.properties.required_members or ()
    )


def missing_members(scope: PrivateLinkScope, endpoint: PrivateEndpoint) -> Iterator[str]:
    """Yield the required members of the scope that the endpoint does not have.

    A member is there if an interface has an address for it, or if the endpoint serves the public name it stands for.

    Raises:
        EvidenceError: interfaces or private link resources were not read, or a member of an unknown name
            cannot be looked for because the interfaces name no members.
    """
    named = {
        part.properties.private_link_connection_properties.required_member_name.lower()
        for nic in endpoint.interfaces
        for part in nic.properties.ip_configurations or ()
        if part.properties.private_ip_address
        and part.properties.private_link_connection_properties is not None
        and part.properties.private_link_connection_properties.required_member_name
    }
    served = _by_owner(endpoint.members)
    members = required_members(scope)
    if not members:
        raise DocumentError(
            f"private link scope {scope.label!r} names no member of group {AZURE_MONITOR_GROUP} in its "
            f"privateLinkResources: what private endpoint {endpoint.label!r} must serve is not known"
        )
    for member in members:
        if member.lower() in named:
            continue
        pattern = _pattern(member.lower())
        owner = _owner(member.lower())
        candidates = served.get(owner, ()) if owner else endpoint.members
        if pattern and _any_match(pattern, candidates):
            continue
        if pattern is None and not named:
            raise DocumentError(
                f"private link scope {scope.label!r} requires the member {member!r}; which public name that is "
                f"cannot be told, and the interfaces of private endpoint {endpoint.label!r} name no members"
            )
        yield member


def _by_owner(names: Iterable[str]) -> Mapping[str, list[str]]:
    """Return first label to names: a scope may have thousands of workspaces, each with names of its own."""
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(name.partition(".")[0], []).append(name)
    return found


def _owner(member: str) -> str | None:
    """Return the workspace id in a required member, None where it is not one workspace's."""
    match = _WORKSPACE_MEMBERS.fullmatch(member)
    return match["of"] if match is not None and _GUID.fullmatch(match["of"]) else None


def _pattern(member: str) -> str | None:
    """Return a regular expression for the public names that a required member stands for."""
    match = _WORKSPACE_MEMBERS.fullmatch(member)
    return rf"[^.]+\.{re.escape(_WORKSPACE_DOMAINS[match['role']])}" if match else _MEMBER_NAMES.get(member)


def _any_match(pattern: str, names: Collection[str]) -> bool:
    return any(re.match(pattern, name) for name in names)


def scoped_resources_with_names(scope: PrivateLinkScope) -> Iterator[Workspace | DataCollectionEndpoint]:
    """Yield the workspaces and data collection endpoints that are members of the scope and exist.

    A membership that is still being provisioned is left out, and so is one that links a whole subscription.

    Raises:
        EvidenceError: members were not read, or one of them was not.
    """
    for member in scope.scoped_resources:
        linked = needed(member.properties.linked_resource_id, member, "properties.linkedResourceId")
        if (member.properties.provisioning_state or "succeeded").lower() != "succeeded":
            continue
        try:
            kind = ResourceId.parse(linked).type.lower()
        except DocumentError:
            continue  # members of kind metrics link a subscription
        cls = {each.ARM_TYPE.lower(): each for each in (Workspace, DataCollectionEndpoint)}.get(kind)
        resource: Resource | None = scope.estate.get(cls, linked) if cls else None
        if isinstance(resource, Workspace | DataCollectionEndpoint):
            yield resource


def names_of_resource(
    scope: PrivateLinkScope, resource: Workspace | DataCollectionEndpoint
) -> tuple[str, ...]:
    """Return the public names that a private endpoint of the scope serves for one of its members.

    A workspace has one in each of the oms, ods and agentsvc zones that the scope requires; a data collection
    endpoint those of its own document.

    Raises:
        EvidenceError: a document lacks what the names are made of.
    """
    if isinstance(resource, DataCollectionEndpoint):
        parts = resource.properties
        for name, url in (
            ("configurationAccess", parts.configuration_access),
            ("logsIngestion", parts.logs_ingestion),
        ):
            needed(url.host if url is not None else None, resource, f"a URL in properties.{name}.endpoint")
        return tuple(host.lower() for host in resource.hosts)
    owner = needed(resource.properties.customer_id, resource, "properties.customerId").lower()
    suffixes = (public_suffix(zone) for zone in required_zones(scope))
    return tuple(
        f"{owner}.{suffix}" for suffix in suffixes if suffix.startswith(tuple(_WORKSPACE_DOMAINS.values()))
    )
