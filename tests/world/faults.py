"""Faults of the world: each is a context in which something is wrong, for real, and after which it is right again."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from typing import Final

from tests.world.documents import Estate
from tests.world.files import LOG, imds_state
from tests.world.names import forwarder
from tests.world.nodes import Node
from tests.world.wires import IMDS, PUBLIC_RESOLVER
from tests.world.world import DNS_SERVER, ESTATE, World

__all__ = [
    "VICTIM",
    "a_scope_without_the_resources_overwrote_the_records",
    "address_gone",
    "agent_stopped",
    "another_scope_overwrote_the_records",
    "chain_resigned",
    "configuration_not_downloaded",
    "disk_full",
    "documents_with",
    "forwarder_asks_the_public_dns",
    "hosts_file_overrides",
    "identities_without_a_choice",
    "identity_not_found",
    "legacy_mode",
    "metadata_service_gone",
    "port_443_dropped",
    "resolvers_keep_an_old_address",
    "tls_1_0_only",
    "uploads_refused",
]

VICTIM: Final = "spoke1"
"""The machine that faults of a single machine are on."""


def documents_with(fault: str) -> Callable[[World], AbstractContextManager[object]]:
    """Return a fault of the configuration: the lab's documents have it, and the world follows them."""
    return lambda world: world.serving(f"{ESTATE}+{fault}")


@contextmanager
def another_scope_overwrote_the_records(world: World) -> Iterator[None]:
    """A second scope has an endpoint in the hub, and wrote its addresses into the zone that both use.

    Names of a single resource stay: both scopes have the shared ones, and the last to write wins.
    """
    with world.serving(f"{ESTATE}+second-scope-in-vnet") as estate, _second_endpoint(world, estate) as other:
        overwritten = {
            estate.private_zone(name): (address,)
            for name, address in other.items()
            if name.endswith(".monitor.azure.com") and not name.startswith("dce-")
        }
        with world.being(_with_records(estate, overwritten)):
            yield


@contextmanager
def a_scope_without_the_resources_overwrote_the_records(world: World) -> Iterator[None]:
    """The same, by the documents' own account, and the second scope has none of the resources that machines use."""
    with world.serving(f"{ESTATE}+second-scope-beside") as estate, _second_endpoint(world, estate):
        yield


@contextmanager
def _second_endpoint(world: World, estate: Estate) -> Iterator[Mapping[str, str]]:
    """Let the addresses of an estate's second endpoint answer like those of the first; yields its names."""
    (other,) = (each for each in estate.endpoints if each.name != world.estate.endpoints[0].name)
    addresses = sorted(set(other.names.values()))
    try:
        world.front.ip(*(f"addr add {address}/24 dev eth0" for address in addresses))
        yield other.names
    finally:
        world.front.ip(*(f"addr del {address}/24 dev eth0" for address in reversed(addresses)))


def _with_records(estate: Estate, records: Mapping[str, tuple[str, ...]]) -> Estate:
    zones = (
        dataclasses.replace(
            zone, records={name: records.get(name, found) for name, found in zone.records.items()}
        )
        for zone in estate.zones
    )
    return dataclasses.replace(estate, zones=tuple(zones))


@contextmanager
def resolvers_keep_an_old_address(world: World) -> Iterator[None]:
    """The platform still answers with the address that the workspace had in an endpoint that is gone."""
    estate = world.estate
    name = next(each for each in estate.private_names if ".ods." in each)
    with world.being(_with_records(estate, {estate.private_zone(name): ("192.168.0.99",)})):
        yield


@contextmanager
def forwarder_asks_the_public_dns(world: World) -> Iterator[None]:
    """The DNS server in the hub forwards to a public one, past the private zones."""
    right = world.forwarder.command
    try:
        world.forwarder.command = forwarder(DNS_SERVER, PUBLIC_RESOLVER)
        world.forwarder.restart()
        yield
    finally:
        world.forwarder.command = right
        world.forwarder.restart()


@contextmanager
def hosts_file_overrides(world: World) -> Iterator[None]:
    """A line in the machine's hosts file gives an old address for its workspace's ingestion name."""
    hosts = world.folder / VICTIM / "etc/hosts"
    before = hosts.read_text()
    name = next(each for each in world.estate.machines[VICTIM].names if ".ods." in each)
    try:
        hosts.write_text(f"{before}192.168.0.99 {name}  # test, remove me\n")
        yield
    finally:
        hosts.write_text(before)


@contextmanager
def port_443_dropped(world: World) -> Iterator[None]:
    """What the endpoint answers to the machine is lost on its way: its connections time out."""
    lost = f"from all to {world.estate.machines[VICTIM].address}/32 pref 100 blackhole"
    try:
        world.front.ip(f"rule add {lost}")
        yield
    finally:
        world.front.ip(f"rule del {lost}")


@contextmanager
def address_gone(world: World) -> Iterator[None]:
    """Nothing at all answers at the endpoint's address for uploads: no interface has it any more."""
    (lost,) = {address for name, address in world.estate.private_names.items() if ".ods." in name}
    try:
        world.front.ip(f"addr del {lost}/24 dev eth0")
        yield
    finally:
        world.front.ip(f"addr add {lost}/24 dev eth0")


@contextmanager
def _service(world: World, *, certificate: str = "endpoint", protocols: str = "") -> Iterator[None]:
    try:
        world.set_service(certificate=certificate, protocols=protocols)
        world.service.restart()
        yield
    finally:
        world.set_service()
        world.service.restart()


def tls_1_0_only(world: World) -> AbstractContextManager[None]:
    """What answers on the endpoint's addresses speaks no TLS newer than 1.0."""
    return _service(world, protocols="TLSv1")


def chain_resigned(world: World) -> AbstractContextManager[None]:
    """A proxy breaks TLS open, and presents certificates of its own authority."""
    return _service(world, certificate="resigned")


@contextmanager
def identity_not_found(world: World) -> Iterator[None]:
    """The metadata service knows none of the machine's identities."""
    machine = world.estate.machines[VICTIM]
    folder = world.folder / VICTIM
    try:
        imds_state(folder, machine, system=False, identities=0)
        yield
    finally:
        imds_state(folder, machine)


identities_without_a_choice: Final = documents_with("identity-ambiguous")
"""A machine has two identities, and its agent names none: the documents say so, and its metadata service too."""


@contextmanager
def metadata_service_gone(world: World) -> Iterator[None]:
    """Nothing answers at the metadata service's address."""
    node = world.guests[VICTIM]
    try:
        node.ip(f"addr del {IMDS}/32 dev lo")
        yield
    finally:
        node.ip(f"addr add {IMDS}/32 dev lo")


@contextmanager
def agent_stopped(world: World) -> Iterator[None]:
    """The agent's main service has ended."""
    unit = "azuremonitoragent"
    try:
        world.stop_unit(VICTIM, unit)
        yield
    finally:
        world.start_unit(VICTIM, unit)


@contextmanager
def uploads_refused(world: World) -> Iterator[None]:
    """The agent's log is full of refusals by the workspace's ingestion."""
    log = world.folder / VICTIM / LOG
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    line = "Failed to upload to ODS: 403, Datatype: LINUX_SYSLOGS_BLOB, RequestId: {:08x}"
    try:
        log.write_text("".join(f"{now}.0000000Z: {line.format(number)}\n" for number in range(20_000)))
        yield
    finally:
        log.write_text("")


@contextmanager
def configuration_not_downloaded(world: World) -> Iterator[None]:
    """No configuration chunk is on the machine's disk."""
    chunks = world.folder / VICTIM / "etc/opt/microsoft/azuremonitoragent/config-cache/configchunks"
    aside = chunks.with_name("aside")
    try:
        chunks.rename(aside)
        chunks.mkdir()
        yield
    finally:
        chunks.rmdir()
        aside.rename(chunks)


@contextmanager
def legacy_mode(world: World) -> Iterator[None]:
    """The agent's settings have it ignore data collection rules."""
    settings = world.folder / VICTIM / "etc/default/azuremonitoragent"
    before = settings.read_text()
    try:
        settings.write_text(before.replace("ENABLE_MCS=true", "ENABLE_MCS=false"))
        yield
    finally:
        settings.write_text(before)


@contextmanager
def disk_full(world: World) -> Iterator[None]:
    """The file system of the agent's state has a single megabyte."""
    node: Node = world.guests[VICTIM]
    place = "/var/opt/microsoft/azuremonitoragent"
    node.run("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place)
    try:
        node.run("mkdir", f"{place}/log")
        yield
    finally:
        node.run("umount", place)
