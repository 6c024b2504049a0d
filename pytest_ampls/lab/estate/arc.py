"""Documents of Arc machines: machines outside of Azure, with a system-assigned identity."""

from __future__ import annotations

from pytest_ampls.lab.estate.site import Site
from pytest_ampls.lab.store import TENANT_ID, Document, guid

__all__ = ["arc_extension", "arc_machine"]


def arc_machine(site: Site, name: str) -> Document:
    """Return an Arc machine: a system-assigned identity, and no VNet."""
    machine_id = site.id("Microsoft.HybridCompute/machines", name)
    return {
        "id": machine_id,
        "name": name,
        "type": "Microsoft.HybridCompute/machines",
        "location": site.location,
        "tags": {},
        "identity": {
            "type": "SystemAssigned",
            "principalId": guid("principal", machine_id),
            "tenantId": TENANT_ID,
        },
        "properties": {
            "locationData": {"name": "Datacentre 1"},
            "osProfile": {"computerName": name},
            "provisioningState": "Succeeded",
            "status": "Connected",
            "lastStatusChange": "2026-03-02T10:00:00.1234567Z",
            "agentVersion": "1.52.02994.2077",
            "vmId": guid("vm", machine_id),
            "displayName": name,
            "osName": "linux",
            "osVersion": "6.8.0-31-generic",
            "osType": "linux",
            "osSku": "Ubuntu 24.04.1 LTS",
            "domainName": "",
            "dnsFqdn": f"{name}.corp.example",
        },
    }


def arc_extension(site: Site, machine: Document) -> Document:
    """Return the agent's extension on an Arc machine; no identity is named, there is only one."""
    name = "AzureMonitorLinuxAgent"
    extension_id = f"{machine['id']}/extensions/{name}"
    return {
        "id": extension_id,
        "name": name,
        "type": "Microsoft.HybridCompute/machines/extensions",
        "location": site.location,
        "tags": {},
        "properties": {
            "publisher": "Microsoft.Azure.Monitor",
            "type": name,
            "typeHandlerVersion": "1.35.4",
            "enableAutomaticUpgrade": True,
            "autoUpgradeMinorVersion": False,
            "provisioningState": "Succeeded",
            "instanceView": {
                "name": name,
                "type": name,
                "typeHandlerVersion": "1.35.4",
                "status": {"code": "0", "level": "Information", "message": "Enable succeeded"},
            },
        },
    }
