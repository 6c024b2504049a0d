"""Unmodified clients work against the lab: azure-identity and three of Azure's SDKs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import ClientSecretCredential
from azure.mgmt.monitor import MonitorManagementClient
from azure.mgmt.privatedns import PrivateDnsManagementClient
from azure.mgmt.resourcegraph import ResourceGraphClient
from azure.mgmt.resourcegraph.models import QueryRequest

from pytest_ampls.lab import Lab


def _credential(lab: Lab, secret: str | None = None) -> ClientSecretCredential:
    return ClientSecretCredential(
        lab.tenant_id,
        lab.client_id,
        secret or lab.client_secret,
        authority=lab.authority,
        disable_instance_discovery=True,
        connection_verify=str(lab.ca_bundle),
    )


def _options(lab: Lab) -> dict[str, Any]:
    return {
        "base_url": lab.arm_endpoint,
        "credential_scopes": [f"{lab.arm_endpoint}/.default"],
        "connection_verify": str(lab.ca_bundle),
    }


@pytest.fixture(scope="module")
def credential(healthy: Lab) -> Iterator[ClientSecretCredential]:
    """A credential that signs in to the healthy estate."""
    with _credential(healthy) as found:
        yield found


def test_monitor_sdk(healthy: Lab, credential: ClientSecretCredential) -> None:
    """azure-mgmt-monitor lists endpoints, rules and associations from both sides."""
    with MonitorManagementClient(credential, healthy.subscriptions[0], **_options(healthy)) as client:
        (endpoint,) = client.data_collection_endpoints.list_by_subscription()
        assert endpoint.network_acls
        assert endpoint.network_acls.public_network_access == "Disabled"
        rules = {rule.name: rule for rule in client.data_collection_rules.list_by_resource_group("amplstest")}
        assert set(rules) == {"dcr-linux", "dcr-windows"}
        associations = client.data_collection_rule_associations
        assert len(list(associations.list_by_rule("amplstest", "dcr-linux"))) == 8
        assert len(list(associations.list_by_data_collection_endpoint("amplstest", "dce-westeurope"))) == 9


def test_private_dns_sdk(healthy: Lab, credential: ClientSecretCredential) -> None:
    """azure-mgmt-privatedns lists zones, links and record sets."""
    with PrivateDnsManagementClient(credential, healthy.subscriptions[0], **_options(healthy)) as client:
        zones = [zone.name for zone in client.private_zones.list()]
        assert len(zones) == 5
        records = client.record_sets.list("amplstest", "privatelink.ods.opinsights.azure.com")
        addresses = [entry.ipv4_address for record in records for entry in record.a_records or ()]
        assert addresses == ["192.168.0.69"]
        links = client.virtual_network_links.list("amplstest", "privatelink.monitor.azure.com")
        assert [link.name for link in links] == ["hub"]


def test_resource_graph_sdk(healthy: Lab, credential: ClientSecretCredential) -> None:
    """azure-mgmt-resourcegraph queries the index."""
    query = (
        "resources | where type =~ 'Microsoft.Compute/virtualMachines' | project id, name | order by id asc"
    )
    request = QueryRequest(subscriptions=list(healthy.subscriptions), query=query)
    with ResourceGraphClient(credential, **_options(healthy)) as client:
        answer = client.resources(request)
    assert answer.total_records == 7
    rows = cast("list[dict[str, Any]]", answer.data)
    assert rows[0]["name"] == "flex_3f1a2b0c"


def test_wrong_secret(healthy: Lab) -> None:
    """A wrong secret is refused by the sign-in, as azure-identity reports it."""
    with (
        _credential(healthy, "wrong") as found,
        pytest.raises(ClientAuthenticationError, match="AADSTS7000215"),
    ):
        found.get_token("https://management.azure.com/.default")
