"""The addresses of a private endpoint, and the names they stand for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import AddressValueError, IPv4Address, IPv4Network

from pytest_ampls.catalogue import Finding, NotApplicable, az_rest
from pytest_ampls.effective.members import missing_members, names_of_resource, scoped_resources_with_names
from pytest_ampls.effective.name_resolution import scopes_of
from pytest_ampls.model.monitor import PrivateLinkResource, PrivateLinkScope
from pytest_ampls.model.network import PrivateEndpoint, VirtualNetwork
from pytest_ampls.model.resource import key, needed

__all__ = ["address_findings", "existing_scopes", "member_findings", "scope_gone_findings"]


def existing_scopes(endpoint: PrivateEndpoint) -> tuple[PrivateLinkScope, ...]:
    """Return the scopes that an endpoint connects to.

    Raises:
        NotApplicable: none of them exists, so nothing is required of the endpoint.
        EvidenceError: a scope was not read.
    """
    scopes = scopes_of(endpoint)
    if not scopes:
        raise NotApplicable(
            f"private endpoint {endpoint.label!r} connects to no private link scope that exists; AMPLS205 judges that"
        )
    return scopes


def scope_gone_findings(endpoint: PrivateEndpoint) -> Iterator[Finding]:
    """Report an endpoint whose scopes were deleted: its addresses answer nobody."""
    if not scopes_of(endpoint):
        yield Finding.on(
            endpoint,
            "privateLinkServiceConnections[].properties.privateLinkServiceId",
            expected="a private link scope that exists",
            observed=f"{', '.join(sorted(endpoint.service_keys))}, which does not",
        )


def _on_addresses(endpoint: PrivateEndpoint, path: str, *, expected: str, observed: str) -> Finding:
    interfaces = endpoint.interfaces
    evidence = az_rest(interfaces[0]) if interfaces else None
    return Finding.on(endpoint, path, expected=expected, observed=observed, evidence=evidence)


def address_findings(endpoint: PrivateEndpoint) -> Iterator[Finding]:
    """Judge whether every name of the endpoint has addresses, all of them of its subnet."""
    members = endpoint.members
    existing = {nic.key for nic in endpoint.interfaces}
    for reference in endpoint.properties.network_interfaces or ():
        if reference.id and key(reference.id) not in existing:
            yield Finding.on(
                endpoint,
                "networkInterfaces[].id",
                expected="an interface that exists",
                observed=f"{reference.id}, which does not",
            )
    if not members:
        count = len(endpoint.interfaces)
        observed = f"{count} interfaces without names, and no customDnsConfigs" if count else "no interface"
        yield _on_addresses(endpoint, "networkInterfaces", expected="names with addresses", observed=observed)
        return
    prefixes = _subnet_prefixes(endpoint)
    where = ", ".join(map(str, prefixes))
    for name, addresses in members.items():
        strange = [address for address in addresses if not _lies_in(address, prefixes)]
        if not addresses or strange:
            yield _on_addresses(
                endpoint,
                f"address of {name}",
                expected=f"an address of the endpoint's subnet ({where})",
                observed=", ".join(strange) or "no address",
            )


def _subnet_prefixes(endpoint: PrivateEndpoint) -> tuple[IPv4Network, ...]:
    reference = endpoint.properties.subnet
    subnet_id = needed(reference.id if reference else None, endpoint, "properties.subnet.id")
    network = needed(endpoint.virtual_network_id, endpoint, "properties.subnet.id")
    found = endpoint.estate.get(VirtualNetwork, network)
    subnet = found.subnet(subnet_id) if found is not None else None
    subnet = needed(subnet, endpoint, f"properties.subnet.id of a subnet that exists ({subnet_id})")
    return needed(subnet.prefixes or None, found or endpoint, f"an IPv4 prefix of subnet {subnet.name}")


def _lies_in(address: str, prefixes: Iterable[IPv4Network]) -> bool:
    try:
        return any(IPv4Address(address) in prefix for prefix in prefixes)
    except AddressValueError:
        return False


def member_findings(endpoint: PrivateEndpoint) -> Iterator[Finding]:
    """Judge whether the endpoint serves the scope's required members, and the names of its resources."""
    members = endpoint.members
    if not members:
        return  # one finding says it
    for scope in scopes_of(endpoint):
        evidence = az_rest(scope, PrivateLinkResource.ARM_TYPE)
        for member in missing_members(scope, endpoint):
            yield Finding.on(
                endpoint,
                f"member {member}",
                expected=f"an address for the member {member!r} that scope {scope.label!r} requires",
                observed=f"none among {len(members)} names",
                evidence=evidence,
            )
        for resource in scoped_resources_with_names(scope):
            absent = [name for name in names_of_resource(scope, resource) if name not in members]
            if absent:
                yield _on_addresses(
                    endpoint,
                    f"names of {resource.NOUN} {resource.label}",
                    expected=f"an address for each of its names: it is a member of scope {scope.label!r}",
                    observed=f"none for {', '.join(absent)}",
                )
