"""What the guests of an estate's machines are like: services, files, tokens, names, connections.

Everything follows from the documents, as it would on real machines, plus the flaws that faults put into single
guests. Layout of the agent's files: the agent's own troubleshooter (Azure/azure-linux-extensions, ``ama_tst``).
"""

from __future__ import annotations

import json
from typing import Any, Final
from urllib.parse import parse_qsl

from pytest_ampls.lab.resolution import Resolution
from pytest_ampls.lab.store import Document, Index

__all__ = ["CHUNKS", "ERRORS", "STARTED", "Guest"]

STARTED: Final = 1772348400.0
"""When the agents started: 2026-03-01T07:00:00Z."""

CHUNKS: Final = "/etc/opt/microsoft/azuremonitoragent/config-cache/configchunks"
_LOG: Final = "/var/opt/microsoft/azuremonitoragent/log/mdsd.err"
_UNITS: Final = ("azuremonitoragent", "azuremonitor-coreagent", "azuremonitor-agentlauncher")
_ASSOCIATIONS: Final = "microsoft.insights/datacollectionruleassociations"
_NICS: Final = "microsoft.network/networkinterfaces"
_STALE: Final = "192.168.0.99"
_OWN_DNS: Final = "public-gateway-answers"
_PUBLIC_DNS: Final = "198.51.100.53"

ERRORS: Final = {
    "mdsd-ods-403": "Failed to upload to ODS: 403, Datatype: LINUX_SYSLOGS_BLOB, RequestId: 5f2d1c7e-0f3b-4a58",
    "mdsd-dce-403": (
        "Failed to fetch configuration: 403 Data collection endpoint must be used to access configuration over "
        "private link. ErrorCode:-2146172665"
    ),
    "mdsd-no-token": (
        "Failed to get MSI token from IMDS endpoint: http://169.254.169.254 ErrorCode:-2146041343"
    ),
    "mdsd-ssl-handshake": "Error in SSL handshake: unable to get local issuer certificate",
}
"""Flaws of the agent's log to the line that they write."""


class Guest:
    """One machine from the inside. ``flaws`` are the names of the faults that are in it."""

    def __init__(
        self, index: Index, resolution: Resolution, machine: Document, flaws: frozenset[str]
    ) -> None:
        self._index = index
        self._resolution = resolution
        self._machine = machine
        self.flaws = flaws
        disk = machine["properties"]["storageProfile"]["osDisk"]
        self.is_windows: bool = disk["osType"] == "Windows"
        self.name: str = machine["name"]
        self.network = self._network()
        self.files = self._files()

    def _network(self) -> str:
        for reference in self._machine["properties"]["networkProfile"]["networkInterfaces"]:
            nic = self._index.by_id[reference["id"].lower()]
            subnet: str = nic["properties"]["ipConfigurations"][0]["properties"]["subnet"]["id"]
            return subnet.partition("/subnets/")[0].lower()
        raise LookupError(f"{self.name} has no interface")  # estates give each machine one

    # -- services and files ------------------------------------------------------------------

    @property
    def services(self) -> dict[str, str]:
        """The agent's services, or processes, with their states."""
        if self.is_windows:
            return {"MonAgentCore": "missing" if "agent-stopped" in self.flaws else "running"}
        stopped = {"azuremonitoragent"} if "agent-stopped" in self.flaws else set()
        return {unit: "inactive" if unit in stopped else "active" for unit in _UNITS}

    @property
    def free(self) -> int:
        """Bytes that are free on the file system."""
        return 41_943_040 if "disk-full" in self.flaws else 23_622_320_128

    def _files(self) -> dict[str, str]:
        mcs = "false" if "gcs-mode" in self.flaws else "true"
        lines = [
            f"2026-03-01T08:20:0{n}.1230000Z: {ERRORS[flaw]}" for n, flaw in enumerate(self._log_flaws())
        ]
        files = {
            "/etc/hosts": self._hosts_file(),
            "/etc/resolv.conf": "".join(f"nameserver {server}\n" for server in self.dns_servers),
            "/etc/default/azuremonitoragent": f"export ENABLE_MCS={mcs}\nexport PA_GIG_BRIDGE_MODE=true\n",
            _LOG: "".join(f"{line}\n" for line in lines),
        }
        files.update({f"{CHUNKS}/{name}": json.dumps(chunk) for name, chunk in self._chunks().items()})
        return files

    def _log_flaws(self) -> list[str]:
        return [flaw for flaw in ERRORS if flaw in self.flaws]

    def _hosts_file(self) -> str:
        overrides = f"{_STALE} {self._ods_host()}\n" if "hosts-override" in self.flaws else ""
        return f"127.0.0.1 localhost\n{overrides}"

    def _ods_host(self) -> str:
        workspace = self._index.by_type["microsoft.operationalinsights/workspaces"][0]
        return f"{workspace['properties']['customerId']}.ods.opinsights.azure.com"

    @property
    def dns_servers(self) -> list[str]:
        """The servers that DHCP gave the machine, or the one that somebody chose on it."""
        if _OWN_DNS in self.flaws:
            return [_PUBLIC_DNS]
        options = self._index.by_id[self.network]["properties"].get("dhcpOptions", {})
        return options.get("dnsServers") or ["168.63.129.16"]

    def _chunks(self) -> dict[str, dict[str, Any]]:
        """Return the configuration of each associated rule, as its handler serves it."""
        found = {}
        for association in self._index.children(self._machine["id"].lower(), _ASSOCIATIONS):
            rule = self._index.by_id.get(association["properties"].get("dataCollectionRuleId", "").lower())
            if rule is not None and "chunk-missing" not in self.flaws:
                immutable = rule["properties"]["immutableId"]
                channels = self._channels(rule, immutable)
                found[f"{immutable.removeprefix('dcr-')[:12]}.json"] = {
                    "dataSources": [],
                    "channels": channels,
                }
        return found

    def _channels(self, rule: Document, immutable: str) -> list[dict[str, str]]:
        channels = []
        for destination in rule["properties"]["destinations"].get("logAnalytics", []):
            workspace = self._index.by_id.get(destination["workspaceResourceId"].lower())
            if workspace is not None:
                customer = workspace["properties"]["customerId"]
                handler = f"https://{self._handler()}{self._machine['id']}/agentConfigurations/{immutable}"
                channels.append(
                    {
                        "endpoint": f"https://{customer}.ods.opinsights.azure.com",
                        "tokenEndpointUri": f"{handler}/channels/ods-{customer}/issueIngestionToken?platform=linux",
                        "id": f"ods-{customer}",
                        "protocol": "ods",
                    }
                )
        return channels

    def _handler(self) -> str:
        path = f"{self._machine['id'].lower()}/providers/{_ASSOCIATIONS}/configurationaccessendpoint"
        held = self._index.by_id.get(path, {"properties": {}})["properties"].get(
            "dataCollectionEndpointId", ""
        )
        endpoint = self._index.by_id.get(held.lower())
        if endpoint is None:
            return f"{self._machine['location']}.handler.control.monitor.azure.com"
        host: str = endpoint["properties"]["configurationAccess"]["endpoint"].removeprefix("https://")
        return host

    # -- the instance metadata service -------------------------------------------------------

    def token(self, query: str) -> tuple[str, str, str]:
        """Return status, error and description of a token request; ``query`` is ``-`` or names an identity.

        Source: the managed identities FAQ, and recorded answers of the service.
        """
        if "token-no-imds" in self.flaws:
            return "-", "", "curl: (28) Connection timed out after 4001 milliseconds"
        identity = self._machine.get("identity") or {}
        attached = identity.get("userAssignedIdentities") or {}
        system = "systemassigned" in identity.get("type", "").lower()
        named = dict(parse_qsl(query)) if query != "-" else {}
        unnamed = not named and not system
        if "token-multiple-identities" in self.flaws or (unnamed and len(attached) > 1):
            text = "Multiple user assigned identities exist, please specify the clientId / resourceId of the identity"
            return "400", "invalid_request", f"{text} in the token request"
        if "token-identity-not-found" in self.flaws or not self._has(named, attached, system=system):
            return "400", "invalid_request", "Identity not found"
        return "200", "", ""

    def _has(self, named: dict[str, str], attached: dict[str, Any], *, system: bool) -> bool:
        if not named:
            return system or bool(attached)
        wanted = next(iter(named.values())).lower()
        for key, ids in attached.items():
            document = self._index.by_id.get(key.lower())
            known = {key.lower(), *(str(value).lower() for value in ids.values())}
            if document is not None and wanted in known:
                return True
        return False

    # -- names and connections ---------------------------------------------------------------

    def in_hosts_file(self, name: str) -> tuple[str, ...]:
        """Return the addresses that the hosts file has for a name."""
        pairs = (line.split() for line in self.files["/etc/hosts"].splitlines())
        return tuple(address for address, host in pairs if host == name)

    def look_up(self, name: str) -> tuple[str, ...]:
        """Return the addresses that programs on the machine get for a name."""
        held = self.in_hosts_file(name)
        if held:
            return held
        if _OWN_DNS in self.flaws:
            return self._resolution.look_up_publicly(name).addresses
        return self._resolution.look_up(self.network, name).addresses

    def connect(self, address: str) -> str:
        """Return what comes of a connection to port 443: ``tls``, ``resigned``, or the reason in words."""
        if "guest-port-dropped" in self.flaws:
            return "no answer in time"
        if address.startswith(("10.", "192.168.")) and not self._has_way_to(address):
            return "no answer in time"
        return "resigned" if "guest-chain-resigned" in self.flaws else "tls"

    def _has_way_to(self, address: str) -> bool:
        """Tell whether something in the machine's VNet, or in a peer of it, has an address, and no route drops it."""
        places = {self.network, *self._resolution.peers(self.network)}
        for nic in self._index.by_type.get(_NICS, []):
            for part in nic["properties"]["ipConfigurations"]:
                properties = part["properties"]
                there = properties["subnet"]["id"].partition("/subnets/")[0].lower() in places
                if there and properties.get("privateIPAddress") == address:
                    return f"{address}/32" not in self._dropped
        return False

    @property
    def _dropped(self) -> set[str]:
        """The prefixes that the route tables of the machine's VNet drop."""
        subnets = self._index.by_id[self.network]["properties"]["subnets"]
        tables = (part["properties"].get("routeTable", {}).get("id", "").lower() for part in subnets)
        return {
            route["properties"]["addressPrefix"]
            for table in tables
            if table
            for route in self._index.by_id[table]["properties"]["routes"]
            if route["properties"]["nextHopType"] == "None"
        }
