"""Documents of DNS private resolvers and forwarding rulesets as their provider sends them.

Source: the examples of the REST API specification, Microsoft.Network/DnsResolver.
"""

from __future__ import annotations

from typing import Any

from pytest_ampls.lab.estate.site import Site, entity_tag
from pytest_ampls.lab.ids import name_of
from pytest_ampls.lab.store import Document, guid

__all__ = ["dns_resolver", "forwarding_rule", "inbound_endpoint", "ruleset", "ruleset_link"]

_PROVIDER = "Microsoft.Network"


def _child(parent: Document, kind: str, name: str, properties: dict[str, Any]) -> Document:
    own = f"{parent['id']}/{kind}/{name}"
    return {
        "name": name_of(own),
        "type": f"{parent['type']}/{kind}",
        "etag": entity_tag(own),
        "id": own,
        "properties": {"provisioningState": "Succeeded", **properties},
    }


def _top(site: Site, kind: str, name: str, properties: dict[str, Any]) -> Document:
    own = site.id(f"{_PROVIDER}/{kind}", name)
    return {
        "name": name,
        "type": f"{_PROVIDER}/{kind}",
        "etag": entity_tag(own),
        "id": own,
        "location": site.location,
        "properties": {"provisioningState": "Succeeded", "resourceGuid": guid(kind, own), **properties},
    }


def dns_resolver(site: Site, name: str, network: Document) -> Document:
    """Return a resolver in a VNet."""
    properties = {"dnsResolverState": "Connected", "virtualNetwork": {"id": network["id"]}}
    return _top(site, "dnsResolvers", name, properties)


def inbound_endpoint(resolver: Document, subnet_id: str, address: str) -> Document:
    """Return an address at which a resolver answers."""
    configuration = {
        "subnet": {"id": subnet_id},
        "privateIpAddress": address,
        "privateIpAllocationMethod": "Static",
    }
    endpoint = _child(resolver, "inboundEndpoints", "inbound", {"ipConfigurations": [configuration]})
    return {**endpoint, "location": resolver["location"]}


def ruleset(site: Site, name: str, resolver: Document) -> Document:
    """Return a ruleset that forwards through a resolver."""
    outbound = {"id": f"{resolver['id']}/outboundEndpoints/outbound"}
    return _top(site, "dnsForwardingRulesets", name, {"dnsResolverOutboundEndpoints": [outbound]})


def forwarding_rule(owner: Document, domain: str, *targets: str) -> Document:
    """Return an enabled rule for a domain, which is written without the final dot."""
    name = domain.replace(".", "-") or "everything"
    servers = [{"ipAddress": target, "port": 53} for target in targets]
    properties = {
        "domainName": f"{domain}.",
        "targetDnsServers": servers,
        "forwardingRuleState": "Enabled",
    }
    return _child(owner, "forwardingRules", name, properties)


def ruleset_link(owner: Document, network: Document) -> Document:
    """Return the link that makes a ruleset apply to a VNet."""
    return _child(owner, "virtualNetworkLinks", network["name"], {"virtualNetwork": {"id": network["id"]}})
