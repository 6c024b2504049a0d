"""What a lab's documents say about networks, names and machines; nothing here is the product's."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Final

__all__ = ["PLATFORM", "Endpoint", "Estate", "Machine", "Network", "Zone", "estate_of"]

PLATFORM: Final = "168.63.129.16"
ARC_NETWORK: Final = "onprem"
ARC_PREFIX: Final = "192.168.250.0/24"

Document = dict[str, Any]


@dataclass(frozen=True)
class Network:
    """A VNet, or the network of the machines outside of Azure.

    ``servers`` are the DNS servers that it hands out, none where its machines ask the platform's resolver.
    """

    name: str
    prefix: str
    servers: tuple[str, ...] = ()
    peers: frozenset[str] = frozenset()

    def address(self, host: int) -> str:
        """Return an address in it."""
        return f"{self.prefix.rpartition('.')[0]}.{host}"


@dataclass(frozen=True)
class Zone:
    """A private zone: its records (name to addresses), and the VNets that it is linked to."""

    name: str
    records: dict[str, tuple[str, ...]]
    networks: frozenset[str]


@dataclass(frozen=True)
class Endpoint:
    """A private endpoint: the VNet that it is in, and its public names to addresses."""

    name: str
    network: str
    names: dict[str, str]


@dataclass(frozen=True)
class Machine:
    """A machine: where it is, its identities, and the configuration that its agent has downloaded.

    ``chunks`` are the files below ``configchunks``; ``names`` what its agent talks to.
    """

    name: str
    network: str
    address: str
    windows: bool = False
    system_identity: bool = False
    identities: tuple[dict[str, str], ...] = ()
    chunks: dict[str, str] = field(default_factory=dict)
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Estate:
    """All of it, each by name."""

    networks: dict[str, Network]
    zones: tuple[Zone, ...]
    endpoints: tuple[Endpoint, ...]
    machines: dict[str, Machine]

    @property
    def private_names(self) -> dict[str, str]:
        """Each name that a private endpoint serves, and its address there."""
        return {name: address for each in self.endpoints for name, address in each.names.items()}

    def private_zone(self, name: str) -> str:
        """Return the privatelink name that a public name leads to."""
        for suffix in _SUFFIXES:
            if name.endswith(f".{suffix}"):
                return f"{name.removesuffix(suffix)}privatelink.{suffix}"
        raise KeyError(name)


_SUFFIXES: Final = (
    "agentsvc.azure-automation.net",
    "blob.core.windows.net",
    "monitor.azure.com",
    "ods.opinsights.azure.com",
    "oms.opinsights.azure.com",
)


def estate_of(documents: dict[str, list[Document]]) -> Estate:
    """Return what the documents amount to."""
    interfaces = {each["id"].lower(): each for each in documents["Microsoft.Network/networkInterfaces"]}
    networks = {each["name"]: _network(each) for each in documents["Microsoft.Network/virtualNetworks"]}
    virtual = documents["Microsoft.Compute/virtualMachines"]
    machines = [_machine(each, interfaces, documents) for each in virtual]
    resolvers = tuple(dict.fromkeys(server for each in networks.values() for server in each.servers))
    networks[ARC_NETWORK] = Network(ARC_NETWORK, ARC_PREFIX, resolvers, frozenset({"hub"}))
    for number, each in enumerate(documents["Microsoft.HybridCompute/machines"], start=4):
        chunks, names = _configuration(each, documents)
        address = networks[ARC_NETWORK].address(number)
        machines.append(Machine(each["name"], ARC_NETWORK, address, chunks=chunks, names=names))
    return Estate(
        networks,
        tuple(_zone(each, documents) for each in documents["Microsoft.Network/privateDnsZones"]),
        tuple(_endpoint(each, interfaces) for each in documents["Microsoft.Network/privateEndpoints"]),
        {each.name: each for each in machines},
    )


def _named(resource_id: str, kind: str) -> str:
    """Return the name of the resource of a kind in an id."""
    parts = resource_id.lower().split("/")
    return parts[parts.index(kind) + 1]


def _network(document: Document) -> Network:
    parts = document["properties"]
    return Network(
        document["name"],
        parts["addressSpace"]["addressPrefixes"][0],
        tuple(parts.get("dhcpOptions", {}).get("dnsServers", ())),
        frozenset(
            _named(each["properties"]["remoteVirtualNetwork"]["id"], "virtualnetworks")
            for each in parts.get("virtualNetworkPeerings", ())
            if each["properties"]["peeringState"] == "Connected"
        ),
    )


def _zone(document: Document, documents: dict[str, list[Document]]) -> Zone:
    below = document["id"].lower() + "/"

    def children(kind: str) -> list[Document]:
        listed = documents[f"Microsoft.Network/privateDnsZones/{kind}"]
        return [each for each in listed if each["id"].lower().startswith(below)]

    return Zone(
        document["name"],
        {
            each["properties"]["fqdn"].rstrip(".").lower(): tuple(
                record["ipv4Address"] for record in each["properties"]["aRecords"]
            )
            for each in children("A")
            if "aRecords" in each["properties"]
        },
        frozenset(
            _named(each["properties"]["virtualNetwork"]["id"], "virtualnetworks")
            for each in children("virtualNetworkLinks")
            if each["properties"]["virtualNetworkLinkState"] == "Completed"
        ),
    )


def _endpoint(document: Document, interfaces: dict[str, Document]) -> Endpoint:
    parts = document["properties"]
    names = {
        fqdn.lower(): each["properties"]["privateIPAddress"]
        for reference in parts["networkInterfaces"]
        for each in interfaces[reference["id"].lower()]["properties"]["ipConfigurations"]
        for fqdn in each["properties"]["privateLinkConnectionProperties"]["fqdns"]
    }
    return Endpoint(document["name"], _named(parts["subnet"]["id"], "virtualnetworks"), names)


def _machine(
    document: Document, interfaces: dict[str, Document], documents: dict[str, list[Document]]
) -> Machine:
    parts = document["properties"]
    interface = interfaces[parts["networkProfile"]["networkInterfaces"][0]["id"].lower()]
    place = interface["properties"]["ipConfigurations"][0]["properties"]
    identity = document.get("identity") or {}
    attached = identity.get("userAssignedIdentities") or {}
    chunks, names = _configuration(document, documents)
    return Machine(
        document["name"],
        _named(place["subnet"]["id"], "virtualnetworks"),
        place["privateIPAddress"],
        windows=parts["storageProfile"]["osDisk"]["osType"] == "Windows",
        system_identity="systemassigned" in identity.get("type", "").lower(),
        identities=tuple(
            {"mi_res_id": key, "client_id": ids["clientId"], "object_id": ids["principalId"]}
            for key, ids in attached.items()
        ),
        chunks=chunks,
        names=names,
    )


def _configuration(
    machine: Document, documents: dict[str, list[Document]]
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the files that the agent of a machine has downloaded, and the names that it talks to.

    Source of the files' layout: the agent's own troubleshooter (Azure/azure-linux-extensions, ``ama_tst``).
    """

    def found(kind: str, resource_id: str) -> Document | None:
        return next((each for each in documents[kind] if each["id"].lower() == resource_id.lower()), None)

    below = machine["id"].lower() + "/"
    kind = machine["type"]
    held = [
        each["properties"]
        for each in documents[f"{kind}/dataCollectionRuleAssociations"]
        if each["id"].lower().startswith(below)
    ]
    handler = "global.handler.control.monitor.azure.com"
    names = [handler]
    for parts in held:
        endpoint = found(
            "Microsoft.Insights/dataCollectionEndpoints", parts.get("dataCollectionEndpointId", "")
        )
        if endpoint is not None:
            parts = endpoint["properties"]
            for key in ("configurationAccess", "logsIngestion"):
                names.append(parts[key]["endpoint"].removeprefix("https://"))
            handler = names[-2]
    chunks = {}
    for parts in held:
        rule = found("Microsoft.Insights/dataCollectionRules", parts.get("dataCollectionRuleId", ""))
        if rule is not None:
            text, hosts = _chunk(rule["properties"], f"https://{handler}{machine['id']}")
            chunks[f"{rule['properties']['immutableId'][4:16]}.json"] = text
            names += hosts
    return chunks, tuple(dict.fromkeys(names))


def _chunk(rule: Document, handler: str) -> tuple[str, list[str]]:
    channels, hosts = [], []
    for destination in rule["destinations"].get("logAnalytics", ()):
        owner = destination["workspaceId"]
        hosts.append(f"{owner}.ods.opinsights.azure.com")
        token = f"agentConfigurations/{rule['immutableId']}/channels/ods-{owner}/issueIngestionToken"
        channels.append(
            {
                "endpoint": f"https://{hosts[-1]}",
                "tokenEndpointUri": f"{handler}/{token}?platform=linux&api-version=2022-06-02",
                "id": f"ods-{owner}",
                "protocol": "ods",
            }
        )
    return json.dumps({"dataSources": [], "channels": channels}), hosts
