"""Documents of scale sets: Flexible ones have VMs, Uniform ones have instances of their own."""

from __future__ import annotations

import copy
from typing import Any

from pytest_ampls.lab.estate.compute import CREATED, IMAGES, MACHINES, os_profile
from pytest_ampls.lab.estate.site import Site
from pytest_ampls.lab.store import Document, guid

__all__ = ["flexible_set", "uniform_instance", "uniform_set"]

_SETS = "Microsoft.Compute/virtualMachineScaleSets"


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
            "imageReference": dict(IMAGES["Linux"]),
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
            "timeCreated": CREATED,
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
                "imageReference": dict(IMAGES["Linux"]),
                "osDisk": {"osType": "Linux", "name": f"{name}_disk1", "createOption": "FromImage"},
                "dataDisks": [],
            },
            "osProfile": os_profile(name, "Linux"),
            "networkProfile": {
                "networkInterfaces": [
                    {"id": f"{instance_id}/networkInterfaces/{configuration['name']}"}
                    for configuration in configurations
                ]
            },
            "timeCreated": CREATED,
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
        "id": site.id(f"{MACHINES}/extensions", instance, extension["name"]),
        "type": f"{MACHINES}/extensions",
        "location": site.location,
        "properties": {**copy.deepcopy(extension["properties"]), "provisioningState": "Succeeded"},
    }
