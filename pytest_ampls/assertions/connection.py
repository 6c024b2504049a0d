"""A private endpoint connection, looked at from both of its sides."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pytest_ampls.catalogue import Finding, Fix, az_rest
from pytest_ampls.model.monitor import PrivateEndpointConnection, PrivateLinkScope
from pytest_ampls.model.network import PrivateEndpoint
from pytest_ampls.model.resource import needed, same_id

__all__ = ["MADE_ANEW", "endpoint_side", "on_connections", "scope_side"]


# Learn, manage a private endpoint connection: an endpoint whose connection was removed is to be deleted.
MADE_ANEW: Final = Fix(
    az="az network private-endpoint delete --ids <endpoint-id>  # its scope removed the connection, which does not "
    "come back: create the endpoint anew (--group-id azuremonitor --private-connection-resource-id <id>), with its "
    "zone group",
    terraform='terraform apply -replace of the azurerm_private_endpoint "<connection>"',
    bicep="Microsoft.Network/privateEndpoints '<connection>': delete it, and deploy it again with its "
    "privateDnsZoneGroups",
)
"""Mends an endpoint whose connection the scope's side removed."""


def on_connections(
    scope: PrivateLinkScope,
    path: str,
    *,
    expected: str,
    observed: str,
    tokens: dict[str, str] | None = None,
    fix: Fix | None = None,
) -> Finding:
    """Return a finding on a scope's listing of its connections."""
    evidence = az_rest(scope, PrivateEndpointConnection.ARM_TYPE)
    return Finding.on(
        scope, path, expected=expected, observed=observed, evidence=evidence, tokens=tokens, fix=fix
    )


def scope_side(scope: PrivateLinkScope, connection: PrivateEndpointConnection) -> Iterator[Finding]:
    """Judge state and provisioning of a connection, as the scope has them."""
    tokens = {"connection": connection.label}
    for path, expected, value in (
        ("privateLinkServiceConnectionState.status", "Approved", _status(connection)),
        ("provisioningState", "Succeeded", connection.properties.provisioning_state),
    ):
        seen = needed(value, connection, f"properties.{path}")
        if seen.lower() != expected.lower():
            where = f"privateEndpointConnections[{connection.label}].properties.{path}"
            yield on_connections(scope, where, expected=expected, observed=seen, tokens=tokens)


def _status(connection: PrivateEndpointConnection) -> str | None:
    state = connection.properties.private_link_service_connection_state
    return state.status if state is not None else None


def endpoint_side(scope: PrivateLinkScope, connection: PrivateEndpointConnection) -> Iterator[Finding]:
    """Compare a connection with what the private endpoint itself says about it."""
    reference = connection.properties.private_endpoint
    path = f"privateEndpointConnections[{connection.label}].properties.privateEndpoint.id"
    endpoint_id = needed(reference.id if reference else None, connection, "properties.privateEndpoint.id")
    endpoint = scope.estate.get(PrivateEndpoint, endpoint_id)
    tokens = {"connection": connection.label}
    if endpoint is None:
        yield on_connections(
            scope,
            path,
            expected="a private endpoint that exists",
            observed=f"{endpoint_id}, which does not",
            tokens=tokens,
        )
        return
    own = [
        part for part in endpoint.connections if same_id(part.properties.private_link_service_id, scope.id)
    ]
    states = (part.properties.private_link_service_connection_state for part in own)
    told = "properties.privateLinkServiceConnections[].properties.privateLinkServiceConnectionState.status"
    seen = [needed(state.status if state is not None else None, endpoint, told) for state in states]
    status = _status(connection) or ""
    if status.lower() not in {each.lower() for each in seen}:
        yield Finding.on(
            endpoint,
            "privateLinkServiceConnections[].properties.privateLinkServiceConnectionState.status",
            expected=f"{status}, as the scope {scope.label!r} has it for this endpoint",
            observed=", ".join(seen) or "no connection to this scope",
            tokens={**tokens, "name": scope.label, "resource-group": scope.resource_group, "id": scope.id},
        )
    provisioned = needed(endpoint.properties.provisioning_state, endpoint, "properties.provisioningState")
    if provisioned.lower() != "succeeded":
        yield Finding.on(
            endpoint,
            "properties.provisioningState",
            expected="Succeeded",
            observed=provisioned,
            tokens={**tokens, "name": scope.label, "resource-group": scope.resource_group, "id": scope.id},
        )
