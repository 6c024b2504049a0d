"""A subscription on the test server, empty until a test fills it."""

from __future__ import annotations

from typing import Any

from pytest_ampls.arm.operations import listing_path
from pytest_ampls.model.evidence import Reading
from tests.arm.names import ASSOCIATIONS, GROUP, RULE, RULES, SCOPES, SUBSCRIPTION, VM
from tests.arm.server import Reply, Server

OTHER = "/subscriptions/22222222-2222-2222-2222-222222222222"
FOREIGN = f"{OTHER}/resourceGroups/far"
BARE = SUBSCRIPTION.rpartition("/")[2]
ENDPOINTS = "Microsoft.Insights/dataCollectionEndpoints"
WORKSPACES = "Microsoft.OperationalInsights/workspaces"
VMS = "Microsoft.Compute/virtualMachines"
SETS = "Microsoft.Compute/virtualMachineScaleSets"
NETWORKS = "Microsoft.Network/virtualNetworks"
NICS = "Microsoft.Network/networkInterfaces"
PRIVATE_ENDPOINTS = "Microsoft.Network/privateEndpoints"
ZONES = "Microsoft.Network/privateDnsZones"
IDENTITIES = "Microsoft.ManagedIdentity/userAssignedIdentities"
LISTED = (
    SCOPES, WORKSPACES, "Microsoft.Insights/components", ENDPOINTS, RULES, VMS, SETS,
    "Microsoft.HybridCompute/machines", IDENTITIES, NETWORKS, PRIVATE_ENDPOINTS, NICS, ZONES,
    "Microsoft.Network/networkSecurityGroups",
    "Microsoft.Network/dnsResolvers",
    "Microsoft.Network/dnsForwardingRulesets",
)  # fmt: skip
ENDPOINT = f"{GROUP}/providers/{ENDPOINTS}/dce"


def resource(kind: str, name: str, group: str = GROUP) -> str:
    """Return the id of a resource."""
    return f"{group}/providers/{kind}/{name}"


def denied() -> Reply:
    """Return a refusal."""
    return Reply({"error": {"code": "AuthorizationFailed", "message": "no"}}, status=403)


class Estate:
    """A subscription on the server that is empty until it is filled."""

    def __init__(self, server: Server, subscription: str = SUBSCRIPTION) -> None:
        self.server = server
        self.subscription = subscription
        server.on(subscription, Reply({"id": subscription, "displayName": "Test"}))
        for kind in LISTED:
            self.list(kind)

    def list(self, kind: str, *items: Any, scope: str = "") -> None:
        """Let a listing answer with these documents."""
        path = listing_path(kind, scope or self.subscription)
        self.server.on(path.replace("/ALL", "/all"), Reply({"value": list(items)}))

    def has(self, document: dict[str, Any]) -> None:
        """Let a single read answer with a document."""
        self.server.on(document["id"], Reply(document))

    def scope(self, *linked: str, connections: tuple[str, ...] = ()) -> None:
        """Add a private link scope with members and connections."""
        own = resource(SCOPES, "ampls").lower()
        self.list(SCOPES, {"id": own})
        parts = [{"id": f"{own}/scopedresources/{n}", "properties": {"linkedResourceId": target}}
                 for n, target in enumerate(linked)]  # fmt: skip
        ends = [{"id": f"{own}/privateendpointconnections/{n}", "properties": {"privateEndpoint": {"id": end}}}
                for n, end in enumerate(connections)]  # fmt: skip
        self.list(f"{SCOPES}/scopedResources", *parts, scope=own)
        self.list(f"{SCOPES}/privateEndpointConnections", *ends, scope=own)
        self.list(f"{SCOPES}/privateLinkResources", scope=own)

    def machine(self, *associations: tuple[str, str], own: tuple[tuple[str, str], ...] = ()) -> None:
        """Add one VM, a rule, an endpoint, and the associations that these list (in lower case)."""
        self.list(VMS, {"id": VM})
        self.list(f"{VMS}/extensions", scope=VM)
        self.list(RULES, {"id": RULE})
        self.list(ENDPOINTS, {"id": ENDPOINT})
        of_rule = [_association(name, RULE) for name, target in associations if target == RULE]
        of_endpoint = [_association(name, ENDPOINT) for name, target in associations if target == ENDPOINT]
        self.list(ASSOCIATIONS, *of_rule, scope=RULE)
        self.list(ASSOCIATIONS, *of_endpoint, scope=ENDPOINT)
        self.list(ASSOCIATIONS, *[_association(name, target, VM) for name, target in own], scope=VM)


def _association(name: str, target: str, machine: str = VM.lower()) -> dict[str, Any]:
    kind = "dataCollectionEndpointId" if "endpoints" in target.lower() else "dataCollectionRuleId"
    return {"id": f"{machine}/providers/{ASSOCIATIONS}/{name}", "name": name, "properties": {kind: target}}


def by_scope(readings: tuple[Reading, ...]) -> dict[tuple[str, str], Reading]:
    """Return readings by type and scope, both as they were asked."""
    return {(reading.type, reading.scope): reading for reading in readings}
