"""The table ``Heartbeat``: a row a minute from every machine whose agent sends logs to a workspace.

Nothing is stored: a machine is a series of rows, the last one within the last minute. The rows are those of the
healthy estate. What is wrong with machines and their configuration elsewhere does not stop them, so that a fault
shows where it is and nowhere else; faults of their own stop, delay or expose heartbeats.

Columns: the table's reference on learn.microsoft.com. Addresses: blog.cloudtrooper.net, 2022-03-11, where five of
five machines behind a private link have an IPv6 address that ends in their private IPv4 address.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable, Iterator, Set
from functools import cached_property
from typing import Any, Final

from pytest_ampls.lab.fault.registry import QueryFlaws
from pytest_ampls.lab.ids import name_of, resource_group_of, subscription_of
from pytest_ampls.lab.logs.lexer import TICKS
from pytest_ampls.lab.logs.relation import STEP, TIME, Relation, Row, Series
from pytest_ampls.lab.store import Document, Index, guid

__all__ = ["COLUMNS", "Heartbeats"]

COLUMNS: Final = {
    "TenantId": "string",
    "SourceSystem": "string",
    TIME: "datetime",
    "Computer": "string",
    "Category": "string",
    "ComputerIP": "string",
    "ComputerPrivateIPs": "dynamic",
    "ComputerEnvironment": "string",
    "OSType": "string",
    "OSName": "string",
    "Version": "string",
    "VMUUID": "string",
    "SubscriptionId": "string",
    "ResourceGroup": "string",
    "ResourceProvider": "string",
    "ResourceType": "string",
    "Resource": "string",
    "ResourceId": "string",
    "Type": "string",
    "_ResourceId": "string",
    "_SubscriptionId": "string",
}

DAY: Final = 24 * 60
"""Rows of a day."""
STALE: Final = 3 * 60
"""Minutes since the last row of a machine that stopped sending, or was switched off."""

_MACHINES: Final = "microsoft.compute/virtualmachines"
_SETS: Final = "microsoft.compute/virtualmachinescalesets"
_ARC: Final = "microsoft.hybridcompute/machines"
_ASSOCIATIONS: Final = "microsoft.insights/datacollectionruleassociations"
_AGENT: Final = "microsoft.azure.monitor"


class Heartbeats:
    """The rows of an estate, for each workspace. ``healthy`` returns the estate as it is without faults.

    ``not_running`` are the lower-cased ids of machines that are off, or on their way: they sent until that began.
    """

    def __init__(
        self, healthy: Callable[[], Index], flaws: QueryFlaws, not_running: Set[str] = frozenset()
    ) -> None:
        self._healthy = healthy
        self._flaws = flaws
        self._not_running = not_running

    def table(self, workspace_id: str, now: int) -> Relation:
        """Return a workspace's table at a moment in ticks; the workspace is named by its lower-cased resource id."""
        found = []
        for fields in self._rows.get(workspace_id, ()):
            machine = fields["_ResourceId"]
            phase = int(fields["VMUUID"][:6], 16) * TICKS // 1_000 % STEP
            newest, count = (now - phase) // STEP * STEP + phase, DAY
            if machine in self._flaws.missing:
                continue
            if machine in self._flaws.stale or machine in self._not_running:
                newest, count = newest - STALE * STEP, count - STALE
            if machine in self._flaws.public:
                fields = {**fields, "ComputerIP": f"203.0.113.{phase % 200 + 10}"}
            found.append(Series(fields, newest, count))
        if self._flaws.partial:
            found = found[: len(found) // 2]
        return Relation(COLUMNS, series=tuple(found))

    def ever(self, workspace_id: str) -> bool:
        """Say whether anything was ever sent to a workspace."""
        return workspace_id in self._rows

    @cached_property
    def _rows(self) -> dict[str, list[Row]]:
        """What does not change about each machine's rows, by workspace."""
        index = self._healthy()
        found: dict[str, list[Row]] = {}
        for machine, holder, address in _sending(index):
            for workspace in _workspaces(index, holder["id"].lower()):
                row = _fields(machine, address, workspace["properties"]["customerId"])
                found.setdefault(workspace["id"].lower(), []).append(row)
        return found


def _sending(index: Index) -> Iterator[tuple[Document, Document, str]]:
    """Yield machines with a working agent: (machine, what its associations are on, its private address)."""
    for machine in index.by_type.get(_MACHINES, []):
        if _has_agent(index.children(machine["id"].lower(), f"{_MACHINES}/extensions")):
            yield machine, machine, _address_of(index, machine)
    for instance in index.by_type.get(f"{_SETS}/virtualmachines", []):
        if _has_agent(instance.get("resources", [])):
            scale_set = index.by_id[instance["id"].lower().partition("/virtualmachines/")[0]]
            yield instance, scale_set, _address_in_subnet(index, instance)
    for number, machine in enumerate(index.by_type.get(_ARC, [])):
        if _has_agent(index.children(machine["id"].lower(), f"{_ARC}/extensions")):
            yield machine, machine, f"172.16.0.{number + 10}"


def _has_agent(extensions: list[Document]) -> bool:
    return any(
        extension["properties"]["publisher"].lower() == _AGENT
        and extension["properties"]["provisioningState"] == "Succeeded"
        for extension in extensions
    )


def _address_of(index: Index, machine: Document) -> str:
    (reference, *_) = machine["properties"]["networkProfile"]["networkInterfaces"]
    nic = index.by_id[reference["id"].lower()]
    address: str = nic["properties"]["ipConfigurations"][0]["properties"]["privateIPAddress"]
    return address


def _address_in_subnet(index: Index, instance: Document) -> str:
    """Return an address for an instance of a Uniform scale set: ARM lists none here."""
    network_profile = instance["properties"]["networkProfileConfiguration"]
    (interface, *_) = network_profile["networkInterfaceConfigurations"]
    subnet_id: str = interface["properties"]["ipConfigurations"][0]["properties"]["subnet"]["id"]
    network = index.by_id[subnet_id.partition("/subnets/")[0].lower()]
    prefix = ipaddress.ip_network(network["properties"]["addressSpace"]["addressPrefixes"][0])
    return str(prefix.network_address + 20 + int(instance["instanceId"]))


def _workspaces(index: Index, holder: str) -> list[Document]:
    """Return the workspaces that the rules of a machine, or of its scale set, send logs to."""
    found: dict[str, Document] = {}
    for association in index.children(holder, _ASSOCIATIONS):
        rule = index.by_id.get(association["properties"].get("dataCollectionRuleId", "").lower())
        if rule is None:
            continue
        for destination in rule["properties"].get("destinations", {}).get("logAnalytics", []):
            workspace = index.by_id.get(destination["workspaceResourceId"].lower())
            if workspace is not None:
                found[workspace["id"].lower()] = workspace
    return list(found.values())


def _behind_private_link(vm_id: str, address: str) -> str:
    """Return the address that a workspace sees: of the prefix, of a link, and the private address at its end."""
    link = vm_id.replace("-", "")
    high, low = divmod(int(ipaddress.IPv4Address(address)), 0x10000)
    return str(
        ipaddress.IPv6Address(f"fd40:1085:12:{link[:4]}:{link[4:6]}12:100:{high:x}:{low:x}").compressed
    )


def _fields(machine: Document, address: str, customer: str) -> Row:
    """Return a machine's columns, but for the time."""
    own, properties = machine["id"], machine["properties"]
    kind, computer = own.lower().partition("/providers/")[2], properties["osProfile"]["computerName"]
    system = properties.get("osType") or properties["storageProfile"]["osDisk"]["osType"]
    windows = system.lower() == "windows"
    vm_id = properties.get("vmId") or guid("vm", own)
    fields: dict[str, Any] = {
        "TenantId": customer,
        "SourceSystem": "OpsManager" if windows else "Linux",
        "Computer": computer,
        "Category": "Azure Monitor Agent",
        "ComputerIP": _behind_private_link(vm_id, address),
        "ComputerPrivateIPs": json.dumps([address]),
        "ComputerEnvironment": "Non-Azure" if _ARC in own.lower() else "Azure",
        "OSType": "Windows" if windows else "Linux",
        "OSName": "Windows Server 2022 Datacenter" if windows else "Ubuntu 24.04",
        "Version": "1.35.4",
        "VMUUID": vm_id,
        "SubscriptionId": subscription_of(own),
        "ResourceGroup": resource_group_of(own),
        "ResourceProvider": kind.partition("/")[0],
        "ResourceType": kind.split("/")[1],
        "Resource": name_of(own),
        "ResourceId": own,
        "Type": "Heartbeat",
        "_ResourceId": own.lower(),
        "_SubscriptionId": subscription_of(own),
    }
    return fields
