"""Who may query a workspace: the network's part and the role's part of the decision.

The lab's client stands in the first VNet of the estate. Where its resolver there gives it a private address for the
query endpoint, its requests come through the private endpoint that has the address, and the scope behind it decides;
otherwise they come from the internet, and the workspace decides.
Source: learn.microsoft.com, "Design your Azure Private Link setup", the sections on access modes.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from pytest_ampls.lab.fault.registry import Meddling
from pytest_ampls.lab.ids import name_of
from pytest_ampls.lab.resolution import Resolution
from pytest_ampls.lab.store import Document, Index

__all__ = ["Access", "Path", "UnreachableError"]

QUERY_NAME: Final = "api.loganalytics.io"

_SCOPES: Final = "microsoft.insights/privatelinkscopes"
_NICS: Final = "microsoft.network/networkinterfaces"
_PRIVATE: Final = tuple(
    ipaddress.ip_network(prefix) for prefix in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
)
_PUBLIC_CLIENT: Final = "203.0.113.200"


class UnreachableError(Exception):
    """The client finds no way to the query endpoint at all."""


@dataclass(frozen=True)
class Path:
    """How requests of the client come: its address as the service sees it, and the scope, None from the internet.

    ``connection`` is the name of the private endpoint's connection with the scope.
    """

    client: str
    scope: Document | None = None
    connection: str = ""


class Access:
    """Decides on queries, from the documents as they are served."""

    def __init__(self, index: Index, meddling: Meddling) -> None:
        self._index = index
        self._meddling = meddling

    @cached_property
    def path(self) -> Path:
        """The way that requests of the client take.

        Raises:
            UnreachableError: the endpoint's name leads nowhere, or to what the client does not reach.
        """
        resolution = Resolution(self._index, self._meddling)
        if self._meddling.queries.from_internet or not resolution.networks:
            return Path(_PUBLIC_CLIENT)
        home = resolution.networks[0]
        addresses = resolution.look_up(home["id"], QUERY_NAME).addresses
        if not addresses:
            raise UnreachableError(f"{QUERY_NAME} has no address")
        if not any(ipaddress.ip_address(addresses[0]) in prefix for prefix in _PRIVATE):
            return Path(_PUBLIC_CLIENT)
        if not resolution.is_reachable(home["id"], addresses[0]):
            raise UnreachableError(f"nothing answers at {addresses[0]}")
        return self._private_path(home, addresses[0])

    def _private_path(self, home: Document, address: str) -> Path:
        prefix = ipaddress.ip_network(home["properties"]["addressSpace"]["addressPrefixes"][0])
        client = str(prefix.network_address + 200)
        for nic in self._index.by_type.get(_NICS, []):
            held = {
                part["properties"].get("privateIPAddress") for part in nic["properties"]["ipConfigurations"]
            }
            endpoint_id = nic["properties"].get("privateEndpoint", {}).get("id", "").lower()
            if address in held and endpoint_id in self._index.by_id:
                return self._path_through(self._index.by_id[endpoint_id], client)
        raise UnreachableError(f"{address} is the address of no private endpoint")

    def _path_through(self, endpoint: Document, client: str) -> Path:
        for connection in self._index.by_type.get(f"{_SCOPES}/privateendpointconnections", []):
            properties = connection["properties"]
            state = properties["privateLinkServiceConnectionState"]["status"]
            if properties["privateEndpoint"]["id"].lower() == endpoint["id"].lower() and state == "Approved":
                scope = self._index.by_id[
                    connection["id"].lower().rpartition("/privateendpointconnections/")[0]
                ]
                return Path(client, scope, connection["name"])
        raise UnreachableError(f"{endpoint['name']} has no approved connection")

    def find(self, customer: str) -> Document | None:
        """Return the workspace of a GUID, None when the client sees none: there is none, or it has no role."""
        if self._meddling.queries.without_role:
            return None
        workspaces = self._index.by_type.get("microsoft.operationalinsights/workspaces", [])
        wanted = customer.lower()
        return next(
            (found for found in workspaces if found["properties"]["customerId"].lower() == wanted), None
        )

    def refusal(self, workspace: Document, path: Path) -> str:
        """Return why the network refuses queries of a workspace that come by a path, ``""`` when it does not.

        The words are those that the service has for public networks; what it says to a client behind a private
        endpoint could not be verified, and is taken to be the same.
        """
        public = workspace["properties"].get("publicNetworkAccessForQuery", "Enabled") == "Enabled"
        if path.scope is None:
            allowed = public
        elif self._holds(path.scope, workspace):
            allowed = True
        else:
            allowed = public and _query_mode(path.scope, path.connection) == "Open"
        if allowed:
            return ""
        return (
            f"Access to workspace '{name_of(workspace['id'])}' from '{path.client}' is denied. To allow access from "
            "public networks, change the workspace Networking settings or add it to a Network Security Perimeter. "
            f"(workspace resource ID: {workspace['id'].lower()})"
        )

    def _holds(self, scope: Document, workspace: Document) -> bool:
        members = self._index.children(scope["id"].lower(), f"{_SCOPES}/scopedresources")
        wanted = workspace["id"].lower()
        return any(member["properties"]["linkedResourceId"].lower() == wanted for member in members)


def _query_mode(scope: Document, connection: str) -> str:
    """Return the query access mode for a connection: its exclusion's, or the scope's."""
    settings = scope["properties"].get("accessModeSettings", {})
    for exclusion in settings.get("exclusions", []):
        if exclusion["privateEndpointConnectionName"].lower() == connection.lower():
            return str(exclusion.get("queryAccessMode", ""))
    return str(settings.get("queryAccessMode", "Open"))
