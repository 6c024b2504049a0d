"""Documents of machines as their providers send them: VMs, scale sets, Arc, extensions, identities."""

from __future__ import annotations

import copy
from typing import Any

from pytest_ampls.lab.estate.site import Site
from pytest_ampls.lab.ids import name_of
from pytest_ampls.lab.store import TENANT_ID, Document, guid

__all__ = [
    "agent_extension",
    "agent_settings",
    "arc_extension",
    "arc_machine",
    "flexible_set",
    "network_interface",
    "uniform_instance",
    "uniform_set",
    "user_assigned",
    "user_assigned_identity",
    "virtual_machine",
]

_MACHINES = "Microsoft.Compute/virtualMachines"
_SETS = "Microsoft.Compute/virtualMachineScaleSets"
_CREATED = "2026-03-01T09:02:11.2472472+00:00"

_IMAGES = {
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


def user_assigned(site: Site, *identities: Document) -> dict[str, Any]:
    """Return the ``identity`` block of a machine with these user-assigned identities."""
    return {
        "type": "UserAssigned",
        "userAssignedIdentities": {
            site.id("Microsoft.ManagedIdentity/userAssignedIdentities", identity["name"]): {
                "principalId": identity["properties"]["principalId"],
                "clientId": identity["properties"]["clientId"],
            }
            for identity in identities
        },
    }


def agent_settings(site: Site, identity: Document) -> dict[str, Any]:
    """Return the agent's settings that name the identity it authenticates with."""
    return {
        "authentication": {
            "managedIdentity": {
                "identifier-name": "mi_res_id",
                "identifier-value": site.id(
                    "Microsoft.ManagedIdentity/userAssignedIdentities", identity["name"]
                ),
            }
        }
    }


def network_interface(site: Site, name: str, machine_id: str, subnet_id: str, address: str) -> Document:
    """Return the network interface of a VM."""
    nic_id = site.id("Microsoft.Network/networkInterfaces", name)
    tag = f'W/"{guid("etag", nic_id)}"'
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


def _os_profile(name: str, os_type: str) -> dict[str, Any]:
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
) -> Document:
    """Return a VM; ``scale_set`` is the id of the Flexible scale set it is an instance of."""
    machine_id = site.id(_MACHINES, name)
    properties: dict[str, Any] = {
        "hardwareProfile": {"vmSize": "Standard_B1s"},
        "provisioningState": "Succeeded",
        "vmId": guid("vm", machine_id),
        "storageProfile": {
            "imageReference": dict(_IMAGES[os_type]),
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
        "osProfile": _os_profile(name, os_type),
        "networkProfile": {"networkInterfaces": [{"id": nic_id}]},
        "timeCreated": _CREATED,
    }
    if scale_set is not None:
        properties["virtualMachineScaleSet"] = {"id": scale_set}
    return {
        "name": name,
        "id": machine_id,
        "type": _MACHINES,
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
        "type": f"{_MACHINES}/extensions",
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


def _set_extension(settings: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": "AzureMonitorLinuxAgent",
        "properties": {
            "autoUpgradeMinorVersion": True,
            "enableAutomaticUpgrade": True,
            "publisher": "Microsoft.Azure.Monitor",
            "type": "AzureMonitorLinuxAgent",
            "typeHandlerVersion": "1.0",
            "settings": settings,
        },
    }


def _set_profile(name: str, subnet_id: str, settings: dict[str, Any]) -> dict[str, Any]:
    return {
        "osProfile": {
            "computerNamePrefix": name[:9],
            "adminUsername": "azureuser",
            "linuxConfiguration": {"disablePasswordAuthentication": True, "provisionVMAgent": True},
            "secrets": [],
            "allowExtensionOperations": True,
            "requireGuestProvisionSignal": True,
        },
        "storageProfile": {
            "osDisk": {
                "osType": "Linux",
                "createOption": "FromImage",
                "caching": "ReadWrite",
                "managedDisk": {"storageAccountType": "Premium_LRS"},
                "diskSizeGB": 30,
            },
            "imageReference": dict(_IMAGES["Linux"]),
        },
        "networkProfile": {"networkInterfaceConfigurations": [_set_interface(name, subnet_id)]},
        "extensionProfile": {"extensions": [_set_extension(settings)]},
    }


def _set_interface(name: str, subnet_id: str) -> dict[str, Any]:
    return {
        "name": f"{name}-nic",
        "properties": {
            "primary": True,
            "enableAcceleratedNetworking": False,
            "disableTcpStateTracking": False,
            "dnsSettings": {"dnsServers": []},
            "enableIPForwarding": False,
            "ipConfigurations": [
                {
                    "name": "ipconfig1",
                    "properties": {
                        "primary": True,
                        "subnet": {"id": subnet_id},
                        "privateIPAddressVersion": "IPv4",
                    },
                }
            ],
        },
    }


def _scale_set(site: Site, name: str, identity: dict[str, Any], properties: dict[str, Any]) -> Document:
    set_id = site.id(_SETS, name)
    return {
        "name": name,
        "id": set_id,
        "type": _SETS,
        "location": site.location,
        "tags": {},
        "identity": identity,
        "sku": {"name": "Standard_B1s", "tier": "Standard", "capacity": 2},
        "etag": '"1"',
        "properties": {
            "singlePlacementGroup": False,
            **properties,
            "provisioningState": "Succeeded",
            "uniqueId": guid("vmss", set_id),
            "timeCreated": _CREATED,
        },
    }


def flexible_set(
    site: Site, name: str, subnet_id: str, identity: dict[str, Any], settings: dict[str, Any]
) -> Document:
    """Return a Flexible scale set; its instances are VMs of their own."""
    return _scale_set(
        site,
        name,
        identity,
        {
            "orchestrationMode": "Flexible",
            "virtualMachineProfile": _set_profile(name, subnet_id, settings),
            "platformFaultDomainCount": 1,
        },
    )


def uniform_set(
    site: Site, name: str, subnet_id: str, identity: dict[str, Any], settings: dict[str, Any]
) -> Document:
    """Return a Uniform scale set; its instances are its children."""
    return _scale_set(
        site,
        name,
        identity,
        {
            "orchestrationMode": "Uniform",
            "upgradePolicy": {"mode": "Automatic"},
            "virtualMachineProfile": _set_profile(name, subnet_id, settings),
            "overprovision": False,
        },
    )


def uniform_instance(site: Site, scale_set: Document, number: int) -> Document:
    """Return an instance of a Uniform scale set, made after the set's own profile."""
    name = f"{scale_set['name']}_{number}"
    instance_id = f"{scale_set['id']}/virtualMachines/{number}"
    profile = scale_set["properties"]["virtualMachineProfile"]
    configurations = copy.deepcopy(profile["networkProfile"]["networkInterfaceConfigurations"])
    return {
        "name": name,
        "id": instance_id,
        "type": f"{_SETS}/virtualMachines",
        "location": site.location,
        "tags": {},
        "identity": copy.deepcopy(scale_set["identity"]),
        "instanceId": str(number),
        "sku": {"name": "Standard_B1s", "tier": "Standard"},
        "properties": {
            "latestModelApplied": True,
            "modelDefinitionApplied": "VirtualMachineScaleSet",
            "networkProfileConfiguration": {"networkInterfaceConfigurations": configurations},
            "provisioningState": "Succeeded",
            "hardwareProfile": {"vmSize": "Standard_B1s"},
            "vmId": guid("vm", instance_id),
            "storageProfile": {
                "imageReference": dict(_IMAGES["Linux"]),
                "osDisk": {"osType": "Linux", "name": f"{name}_disk1", "createOption": "FromImage"},
                "dataDisks": [],
            },
            "osProfile": _os_profile(name, "Linux"),
            "networkProfile": {
                "networkInterfaces": [
                    {"id": f"{instance_id}/networkInterfaces/{configuration['name']}"}
                    for configuration in configurations
                ]
            },
            "timeCreated": _CREATED,
        },
        "etag": '"1"',
        "resources": [_instance_extension(site, name, extension) for extension in _extensions(profile)],
    }


def _extensions(profile: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = profile["extensionProfile"]["extensions"]
    return found


def _instance_extension(site: Site, instance: str, extension: dict[str, Any]) -> dict[str, Any]:
    """Return an extension as an instance lists it: its id is that of a VM which does not exist."""
    return {
        "name": extension["name"],
        "id": site.id(f"{_MACHINES}/extensions", instance, extension["name"]),
        "type": f"{_MACHINES}/extensions",
        "location": site.location,
        "properties": {**copy.deepcopy(extension["properties"]), "provisioningState": "Succeeded"},
    }


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
            "osProfile": {"computerName": name_of(machine_id)},
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
