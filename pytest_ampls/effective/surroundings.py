"""What lies around a machine on the way of its data: networks, endpoints, scopes, zones, vantage points, names."""

from __future__ import annotations

from collections.abc import Iterable

from pytest_ampls.catalogue import Finding
from pytest_ampls.effective.guest_names import GLOBAL_HANDLER, agent_names, guest_questions, rule_hosts
from pytest_ampls.effective.name_resolution import can_route, endpoints_reached, scopes_of, zones_seen
from pytest_ampls.effective.zones import monitor_zones, relative_name, zone_among
from pytest_ampls.errors import DocumentError
from pytest_ampls.model.compute import ArcMachine
from pytest_ampls.model.estate import Estate
from pytest_ampls.model.machine import Machine
from pytest_ampls.model.monitor import PrivateLinkScope
from pytest_ampls.model.network import PrivateEndpoint, VirtualNetwork
from pytest_ampls.model.private_dns import PrivateDnsZone
from pytest_ampls.model.resource import key
from pytest_ampls.model.vantage import Resolver

__all__ = [
    "concerns",
    "configuration_names",
    "endpoints_around",
    "networks_around",
    "resolvers_around",
    "scopes_around",
    "upload_names",
    "zones_around",
]


def networks_around(machine: Machine) -> tuple[VirtualNetwork, ...]:
    """Return the VNets that a machine is in, none for an Arc machine.

    Raises:
        EvidenceError: they were not read, or the machine was read without any.
    """
    networks = machine.virtual_networks
    if not networks and not isinstance(machine, ArcMachine):
        raise DocumentError(
            f"{machine.NOUN} {machine.label!r} ({machine.id}) was read without a virtual network that exists"
        )
    return networks


def endpoints_around(machine: Machine) -> tuple[PrivateEndpoint, ...]:
    """Return the private endpoints that a machine's DNS leads to; where it leads to none, those in its reach.

    For an Arc machine, whose network Azure does not know, that is every private endpoint of a scope.

    Raises:
        EvidenceError: what decides was not read completely.
    """
    networks = networks_around(machine)
    if not networks:
        return machine.estate.private_endpoints
    return tuple({own.key: own for network in networks for own in _of_network(network)}.values())


def _of_network(network: VirtualNetwork) -> tuple[PrivateEndpoint, ...]:
    return network.estate.once(_endpoints_of_network, network)


def _endpoints_of_network(estate: Estate, network: VirtualNetwork) -> tuple[PrivateEndpoint, ...]:
    reached = tuple(endpoints_reached(network))
    return reached or tuple(each for each in estate.private_endpoints if can_route(network, each))


def scopes_around(machine: Machine) -> tuple[PrivateLinkScope, ...]:
    """Return the scopes of the endpoints around a machine.

    Raises:
        EvidenceError: what decides was not read completely.
    """
    found = {scope.key: scope for endpoint in endpoints_around(machine) for scope in scopes_of(endpoint)}
    return tuple(found.values())


def zones_around(machine: Machine) -> tuple[PrivateDnsZone, ...]:
    """Return the zones of Azure Monitor that a machine is answered from.

    Raises:
        EvidenceError: what decides was not read completely.
    """
    wanted = monitor_zones(machine.estate)
    found = {
        each.zone.key: each.zone
        for network in networks_around(machine)
        for origin, several in zones_seen(network).items()
        if origin in wanted
        for each in several
    }
    return tuple(found.values())


def resolvers_around(machine: Machine) -> tuple[Resolver, ...]:
    """Return the vantage points that speak for a machine's VNets, and those whose VNet is not known.

    Raises:
        EvidenceError: the machine's VNets were not read.
    """
    own = {network.key for network in networks_around(machine)}
    points = (Resolver(machine.estate, point) for point in machine.estate.vantage_points)
    return tuple(each for each in points if _speaks_for(each, own))


def _speaks_for(resolver: Resolver, networks: Iterable[str]) -> bool:
    named = resolver.vantage_point.virtual_network
    return named is None or key(named) in networks


# ------------------------------------------------------------------- names


def configuration_names(machine: Machine) -> tuple[str, ...]:
    """Return the names that a machine's agent fetches its configuration from: the handler's, and its endpoint's.

    Raises:
        EvidenceError: not even the global handler's name is known.
    """
    known = guest_questions(machine).names
    if not any(name.startswith(GLOBAL_HANDLER) for name in known):
        known = agent_names(machine)  # raises, and says why
    own = _configuration_hosts(machine) if machine.config_endpoint is not None else frozenset()
    return tuple(name for name in known if name.startswith(GLOBAL_HANDLER) or name in own)


def _configuration_hosts(machine: Machine) -> frozenset[str]:
    endpoint = machine.config_endpoint
    url = endpoint.properties.configuration_access if endpoint is not None else None
    return frozenset({url.host.lower()}) if url is not None and url.host else frozenset()


def upload_names(machine: Machine) -> tuple[str, ...]:
    """Return the names that a machine's agent uploads to: its workspaces', and those of its rules' endpoints.

    Raises:
        EvidenceError: associations, rules, endpoints or workspaces were not read.
    """
    other = {*configuration_names(machine), *_idle_hosts(machine)}
    return tuple(name for name in agent_names(machine) if name not in other)


def _idle_hosts(machine: Machine) -> set[str]:
    """Return the ingestion host of the configuration endpoint, unless a rule sends there."""
    endpoint = machine.config_endpoint
    url = endpoint.properties.logs_ingestion if endpoint is not None else None
    if url is None or not url.host:
        return set()
    return {url.host.lower()} - set(rule_hosts(machine))


# ------------------------------------------------------------------- what a finding is about


def concerns(finding: Finding, names: tuple[str, ...], machine: Machine) -> bool:
    """Tell whether what is wrong is in the way of one of the names.

    A finding says what it is about by its tokens (a host, a record of a zone, a zone) or by a name in its phrases. One
    that says nothing is in the way unless the endpoints around the machine serve all of the names.

    Raises:
        EvidenceError: the zones or endpoints are not known.
    """
    tokens = finding.tokens
    if "host" in tokens:
        return tokens["host"] in names
    zone, record = tokens.get("zone", "<zone>"), tokens.get("record")
    if zone != "<zone>":
        return any(_is_in(name, zone, record, machine) for name in names)
    said = f"{finding.property} {finding.observed}"
    if any(name in said for name in names):
        return True
    served = {name for endpoint in endpoints_around(machine) for name in endpoint.members}
    return not any(name in said for name in served) and not set(names) <= served


def _is_in(name: str, zone: str, record: str | None, machine: Machine) -> bool:
    if zone_among(name, monitor_zones(machine.estate)) != zone:
        return False
    return record is None or relative_name(name, zone).lower() == record.lower()
