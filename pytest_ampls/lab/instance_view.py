"""The run-time state of a VM: ``{vm}/instanceView``, and ``$expand=instanceView`` of the VM itself.

Sources: recorded answers of both (a machine that is off tells neither its name nor its system, and nothing of its
agent); Microsoft Learn, "States and billing status of Azure Virtual Machines", for the states that no recording has.
Not verified: what is left of the view while a machine is on its way to another state; here it is as if it were off.
"""

from __future__ import annotations

import re
from typing import Any, Final

from pytest_ampls.lab.resource_types import RESOURCE_TYPES
from pytest_ampls.lab.store import Document, Index
from pytest_ampls.lab.targets import refuse

__all__ = ["RUNNING", "STATES", "expanded", "instance_view", "machine_asked_for"]

RUNNING: Final = "running"
STATES: Final = (RUNNING, "deallocated", "stopped", "starting", "stopping", "deallocating", "unknown")

_TYPE: Final = "microsoft.compute/virtualmachines/instanceview"
_EXTENSIONS: Final = "microsoft.compute/virtualmachines/extensions"
_PATH: Final = re.compile(
    r"(?P<machine>/subscriptions/[^/]+/resourcegroups/[^/]+/providers/microsoft\.compute/virtualmachines/[^/]+)"
    r"/instanceview/?"
)
_SUCCEEDED: Final = {"code": "ProvisioningState/succeeded", "level": "Info"}
_WHEN: Final = "2026-03-01T09:02:30.5281555+00:00"


def machine_asked_for(path: str, query: dict[str, str]) -> str | None:
    """Return the lower-cased id of the VM whose instance view a path asks for, None where it is another path.

    RefusedError for an api-version that Compute does not have, and for any other parameter: there is none.
    """
    match = _PATH.fullmatch(path.lower())
    if match is None:
        return None
    known = RESOURCE_TYPES[_TYPE].versions
    if query["api-version"].lower() not in known:
        text = (
            f"No registered resource provider found for API version '{query['api-version']}' for type "
            f"'virtualMachines/instanceView'. The supported api-versions are '{', '.join(known)}'."
        )
        refuse(400, "NoRegisteredProviderFound", text)
    more = sorted(set(query) - {"api-version"})
    if more:
        refuse(400, "BadRequest", f"The query parameters {', '.join(more)} are not supported.")
    return match["machine"]


def instance_view(machine: Document, index: Index) -> dict[str, Any]:
    """Return the view of a VM, whose power state the index has."""
    power = index.power.get(machine["id"].lower(), RUNNING)
    properties = machine["properties"]
    disk = properties["storageProfile"]["osDisk"]["name"]
    provisioned = {**_SUCCEEDED, "displayStatus": "Provisioning succeeded", "time": _WHEN}
    shown = "VM running" if power == RUNNING else f"VM {power}"
    view: dict[str, Any] = {} if power != RUNNING else _inside(machine, index)
    view["disks"] = [{"name": disk, "statuses": [provisioned]}]
    view["hyperVGeneration"] = "V2"
    view["statuses"] = [
        provisioned,
        {"code": f"PowerState/{power}", "level": "Info", "displayStatus": shown},
    ]
    return view


def _inside(machine: Document, index: Index) -> dict[str, Any]:
    """Return what the agent of a running machine reports."""
    properties = machine["properties"]
    windows = properties["storageProfile"]["osDisk"]["osType"] == "Windows"
    handlers = [
        {
            "type": f"{part['properties']['publisher']}.{part['properties']['type']}",
            "typeHandlerVersion": part["properties"]["typeHandlerVersion"],
            "status": {**_SUCCEEDED, "displayStatus": "Ready", "message": "Plugin enabled"},
        }
        for part in index.children(machine["id"].lower(), _EXTENSIONS)
    ]
    ready = {
        "displayStatus": "Ready",
        "message": "Guest Agent is running",
        "time": "2026-03-01T09:02:31+00:00",
    }
    return {
        "computerName": properties["osProfile"]["computerName"],
        "osName": "Windows Server 2022 Datacenter Azure Edition" if windows else "ubuntu",
        "osVersion": "10.0.20348.2849" if windows else "24.04",
        "vmAgent": {
            "vmAgentVersion": "2.7.41491.1121" if windows else "2.12.0.2",
            "statuses": [{**_SUCCEEDED, **ready}],
            "extensionHandlers": handlers,
        },
    }


def expanded(machine: Document, index: Index, expand: str) -> Document:
    """Return a VM with what ``$expand`` asks for; RefusedError where the service has no such part."""
    if not expand:
        return machine
    if expand.lower() not in ("instanceview", "userdata"):
        refuse(400, "BadRequest", f"The value '{expand}' of $expand is not supported.")
    if expand.lower() == "userdata":
        return machine  # no machine of the lab has any
    return {**machine, "properties": {**machine["properties"], "instanceView": instance_view(machine, index)}}
