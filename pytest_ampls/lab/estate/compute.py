"""Documents of machines as their providers send them: VMs, extensions, identities."""

from __future__ import annotations

from typing import Any

from pytest_ampls.lab.estate.site import Site, weak_entity_tag
from pytest_ampls.lab.store import TENANT_ID, Document, guid

__all__ = [
    "CREATED",
    "IMAGES",
    "MACHINES",
    "agent_extension",
    "agent_settings",
    "network_interface",
    "os_profile",
    "user_assigned",
    "user_assigned_identity",
    "virtual_machine",
]

MACHINES = "Microsoft.Compute/virtualMachines"
CREATED = "2026-03-01T09:02:11.2472472+00:00"

IMAGES = {
    "Linux": {"publisher": "Canonical", "offer": "ubuntu-24_04-lts", "sku": "server", "version": "latest"},
    "Windows": {
        "publisher": "MicrosoftWindowsServer",
        "offer": "WindowsServer",
        "sku": "2022-datacenter-azure-edition",
        "version": "latest",
    },
}


def user_assigned_identity(site: Site, name: str) -> Document:
    """Return a user-assigned identity; its provider always writes ``resourcegroups``."""
    path = f"/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{name}"
    identity_id = site.lower_group() + path
    return {
        "location": site.location,
        "tags": {},
        "id": identity_id,
        "name": name,
        "type": "Microsoft.ManagedIdentity/userAssignedIdentities",
        "properties": {
            "tenantId": TENANT_ID,
            "principalId": guid("principal", identity_id.lower()),
            "clientId": guid("client", identity_id.lower()),
        },
    }


def _identity_reference(identity: Document) -> str:
    """Return an identity's id as machines and settings write it."""
    reference: str = identity["id"].replace("/resourcegroups/", "/resourceGroups/")
    return reference


def user_assigned(*identities: Document) -> dict[str, Any]:
    """Return the ``identity`` block of a machine with these user-assigned identities."""
    return {
        "type": "UserAssigned",
        "userAssignedIdentities": {
            _identity_reference(identity): {
                "principalId": identity["properties"]["principalId"],
                "clientId": identity["properties"]["clientId"],
            }
            for identity in identities
        },
    }


def agent_settings(identity: Document) -> dict[str, Any]:
    """Return the agent's settings that name the identity it authenticates with."""
    return {
        "authentication": {
            "managedIdentity": {
                "identifier-name": "mi_res_id",
                "identifier-value": _identity_reference(identity),
            }
        }
    }


def network_interface(site: Site, name: str, machine_id: str, subnet_id: str, address: str) -> Document:
    """Return the network interface of a VM."""
    nic_id = site.id("Microsoft.Network/networkInterfaces", name)
    tag = weak_entity_tag(nic_id)
    return {
        "name": name,
        "id": nic_id,
        "etag": tag,
        "type": "Microsoft.Network/networkInterfaces",
        "location": site.location,
        "kind": "Regular",
        "properties": {
            "provisioningState": "Succeeded",
            "resourceGuid": guid("nic", nic_id),
            "ipConfigurations": [
                {
                    "name": "ipconfig1",
                    "id": f"{nic_id}/ipConfigurations/ipconfig1",
                    "etag": tag,
                    "type": "Microsoft.Network/networkInterfaces/ipConfigurations",
                    "properties": {
                        "provisioningState": "Succeeded",
                        "privateIPAddress": address,
                        "privateIPAllocationMethod": "Dynamic",
                        "subnet": {"id": subnet_id},
                        "primary": True,
                        "privateIPAddressVersion": "IPv4",
                    },
                }
            ],
            "dnsSettings": {"dnsServers": [], "appliedDnsServers": []},
            "enableAcceleratedNetworking": False,
            "enableIPForwarding": False,
            "disableTcpStateTracking": False,
            "primary": True,
            "virtualMachine": {"id": machine_id},
            "hostedWorkloads": [],
            "tapConfigurations": [],
            "nicType": "Standard",
        },
    }


def os_profile(name: str, os_type: str) -> dict[str, Any]:
    """Return the ``osProfile`` of a machine."""
    profile: dict[str, Any] = {
        "computerName": name[:15],
        "adminUsername": "azureuser",
        "secrets": [],
        "allowExtensionOperations": True,
        "requireGuestProvisionSignal": True,
    }
    if os_type == "Windows":
        profile["windowsConfiguration"] = {"provisionVMAgent": True, "enableAutomaticUpdates": True}
    else:
        profile["linuxConfiguration"] = {"disablePasswordAuthentication": True, "provisionVMAgent": True}
    return profile


def virtual_machine(
    site: Site,
    name: str,
    *,
    nic_id: str,
    identity: dict[str, Any],
    os_type: str = "Linux",
    scale_set: str | None = None,
    tags: dict[str, str] | None = None,
    power: str = "running",
) -> Document:
    """Return a VM; ``scale_set`` is the id of the Flexible scale set it is an instance of.

    ``power`` is its power state, which the estate notes: its document does not tell.
    """
    machine_id = site.id(MACHINES, name)
    if power != "running":
        site.estate.power[machine_id.lower()] = power
    properties: dict[str, Any] = {
        "hardwareProfile": {"vmSize": "Standard_B1s"},
        "provisioningState": "Succeeded",
        "vmId": guid("vm", machine_id),
        "storageProfile": {
            "imageReference": dict(IMAGES[os_type]),
            "osDisk": {
                "osType": os_type,
                "name": f"{name}_OsDisk_1",
                "createOption": "FromImage",
                "caching": "ReadWrite",
                "managedDisk": {
                    "storageAccountType": "Premium_LRS",
                    "id": site.id("Microsoft.Compute/disks", f"{name}_OsDisk_1"),
                },
                "deleteOption": "Detach",
                "diskSizeGB": 30,
            },
            "dataDisks": [],
            "diskControllerType": "SCSI",
        },
        "osProfile": os_profile(name, os_type),
        "networkProfile": {"networkInterfaces": [{"id": nic_id}]},
        "timeCreated": CREATED,
    }
    if scale_set is not None:
        properties["virtualMachineScaleSet"] = {"id": scale_set}
    return {
        "name": name,
        "id": machine_id,
        "type": MACHINES,
        "location": site.location,
        "tags": tags or {},
        "identity": identity,
        "properties": properties,
        "etag": '"1"',
    }


def agent_extension(
    site: Site, machine: Document, settings: dict[str, Any], *, name: str | None = None
) -> Document:
    """Return the Azure Monitor Agent extension of a VM, for the VM's operating system."""
    os_type = machine["properties"]["storageProfile"]["osDisk"]["osType"]
    kind = f"AzureMonitor{os_type}Agent"
    name = name or kind
    return {
        "name": name,
        "id": f"{machine['id']}/extensions/{name}",
        "type": f"{MACHINES}/extensions",
        "location": site.location,
        "properties": {
            "autoUpgradeMinorVersion": True,
            "provisioningState": "Succeeded",
            "enableAutomaticUpgrade": True,
            "publisher": "Microsoft.Azure.Monitor",
            "type": kind,
            "typeHandlerVersion": "1.0",
            "settings": settings,
        },
    }
