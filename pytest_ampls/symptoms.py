"""What people see and search for when data does not arrive, and the rules that find the cause.

One row for each known failure: the page of symptoms is made from it, and tests hold it against the catalogue and
the faults of the lab.

The texts of errors are those of the agent's log, of the instance metadata service, of the query service and of the
portal, as reports and troubleshooting pages quote them.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

__all__ = ["SYMPTOMS", "Place", "Symptom"]


class Place(StrEnum):
    """Where a symptom is seen."""

    LOG = "In the agent's log"
    TOKEN = "At the instance metadata service"  # noqa: S105  # a heading, no secret
    QUERY = "In queries and the portal"
    DNS = "In DNS answers"
    DATA = "In the data that arrives, or does not"
    AZURE = "In Azure's own pages and commands"


class Symptom(msgspec.Struct, frozen=True, kw_only=True):
    """One failure: what is seen, why, and which rules look at the cause.

    ``text`` is what people search for, an error's own words in backquotes. ``rules`` begin with the one whose fix
    is the first to try; without rules ``fix`` says what to do and why no rule can tell. ``faults`` are faults of
    the lab that show it.
    """

    id: str
    place: Place
    text: str
    cause: str
    rules: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    fix: str = ""


def _row(
    id: str, place: Place, text: str, cause: str, rules: str = "", faults: str = "", fix: str = ""
) -> Symptom:
    """Return a row; rules are written without prefix, they and the faults separated by blanks."""
    return Symptom(
        id=id,
        place=place,
        text=text,
        cause=cause,
        rules=tuple(f"AMPLS{number}" for number in rules.split()),
        faults=tuple(faults.split()),
        fix=fix,
    )


SYMPTOMS: Final[tuple[Symptom, ...]] = (
    _row(
        "F01",
        Place.LOG,
        "`Data collection endpoint must be used to access configuration over private link`",
        "The configuration service is reached privately (error 403, ErrorCode -2146172665), and the "
        "machine has no association named configurationAccessEndpoint, or its endpoint is not in the scope.",
        "402 404 524",
        "missing-config-endpoint dce-not-in-scope mdsd-dce-403",
    ),
    _row(
        "F02",
        Place.LOG,
        "`Failed to upload to ODS: 403`",
        "The name of the workspace's ingestion is answered publicly, mostly because the ods zone is "
        "missing or not linked while the monitor zone is, and the workspace takes nothing from public "
        "networks.",
        "301 310 522 524",
        "zone-unlinked mdsd-ods-403",
    ),
    _row(
        "F03",
        Place.DNS,
        "zones and records exist, and a spoke is still answered publicly",
        "The zone is linked to another network. Peering never shares zones: the network that resolves needs the link.",
        "301",
        "zones-linked-elsewhere spoke-bypasses-hub-dns",
    ),
    _row(
        "F04",
        Place.DNS,
        "the record of a workspace that was added later is missing",
        "The zone group of the private endpoint does not name the zone, so nobody writes the record.",
        "203 302",
        "later-workspace-unrecorded zone-group-incomplete",
    ),
    _row(
        "F05",
        Place.DNS,
        "the record of a workspace never appears",
        "The workspace is no scoped resource of the private link scope that its machines use.",
        "407 103",
        "workspace-not-in-scope",
    ),
    _row(
        "F06",
        Place.DNS,
        "some names of Azure Monitor are private and some are public",
        "A custom DNS server or a forwarding ruleset forwards some of the domains only, or the privatelink "
        "names in place of the public ones.",
        "308 309 310",
        "forwarding-only-monitor forwarding-rule-missing forwarding-rules-private",
    ),
    _row(
        "F07",
        Place.DNS,
        "`NXDOMAIN` for everything in Azure Monitor after a landing zone was deployed",
        "An empty privatelink.monitor zone is linked, and no private endpoint writes records to it.",
        "305",
        "empty-zone-linked",
    ),
    _row(
        "F08",
        Place.QUERY,
        "`NspValidationFailedError` … `To allow access from public networks, change the workspace Networking settings`",
        "The query came over the public path, and the workspace answers no public queries. Where the "
        "client should come privately, its DNS is wrong.",
        "606 310 109",
        "query-refused-network resolver-answers-public",
    ),
    _row(
        "F09",
        Place.QUERY,
        "`InsufficientAccessError` without an inner error",
        "It is no matter of networks: the identity may not read the workspace, or the workspace id is wrong.",
        fix="Grant Log Analytics Reader on the workspace, and compare the workspace id. With --ampls-logs the "
        "rules on what arrives are unverified then, and say so; in the lab the fault query-refused-role shows it.",
    ),
    _row(
        "F10",
        Place.TOKEN,
        "`Failed to get MSI token from IMDS endpoint`",
        "The machine has no identity, or not the one that the agent's settings name, or the way to "
        "169.254.169.254 is blocked or goes through a proxy (ErrorCode:-2146041343).",
        "521 502 524",
        "token-no-imds identity-detached mdsd-no-token",
    ),
    _row(
        "F11",
        Place.TOKEN,
        "`Identity not found`",
        "The agent's settings name an identity that is not attached to the machine.",
        "502 521",
        "identity-detached token-identity-not-found",
    ),
    _row(
        "F12",
        Place.TOKEN,
        "`Multiple user assigned identities exist, please specify the clientId / resourceId of the "
        "identity in the token request`",
        "Several user-assigned identities are attached, and the agent's settings name none.",
        "503 521",
        "identity-ambiguous token-multiple-identities",
    ),
    _row(
        "F13",
        Place.AZURE,
        "the extension says Provisioning succeeded, and no data arrives",
        "Provisioned means that the agent was installed. Whether it runs, gets a token and reaches its "
        "endpoints is told by its data path.",
        "520 601 415",
        "agent-stopped heartbeat-missing",
    ),
    _row(
        "F14",
        Place.DATA,
        "heartbeats arrive, and nothing else does",
        "The rule that collects the rest is not associated or was not downloaded, or sends to a workspace or "
        "through an endpoint that is not in the scope.",
        "525 401 407 111",
        "chunk-missing destination-out-of-scope rule-endpoint-of-another-scope",
    ),
    _row(
        "F15",
        Place.DNS,
        "the first network loses its private path when a second private link scope is set up",
        "Both private endpoints write the shared names to the same zones: the last one wins, or the records that "
        "were there are deleted.",
        "304 303 202 302",
        "second-scope-overwrites second-scope-deletes-records second-scope-beside scopes-share-zones",
    ),
    _row(
        "F16",
        Place.DNS,
        "a name resolves to a private address that nothing answers at",
        "The record is stale: the private endpoint was deleted or made anew.",
        "303 311",
        "endpoint-made-anew record-stale",
    ),
    _row(
        "F17",
        Place.DNS,
        "nslookup is right, and the agent still goes elsewhere",
        "The machine's hosts file has a line for the name, left over from a test.",
        "313 522",
        "hosts-override",
    ),
    _row(
        "F18",
        Place.DNS,
        "a record is missing, and the name resolves publicly instead of failing",
        "The zone's link falls back to the internet (resolutionPolicy NxDomainRedirect).",
        "307 302",
        "record-missing-falls-back",
    ),
    _row(
        "F19",
        Place.DNS,
        "a name exists and has no address",
        "An empty record set was made before the private endpoint, and nobody fills it.",
        "302",
        "record-empty",
    ),
    _row(
        "F20",
        Place.LOG,
        "`Error in SSL handshake`",
        "A firewall breaks TLS open to inspect it, and signs with an authority that the agent does not trust.",
        "902 523 524",
        "guest-chain-resigned resigned-chain mdsd-ssl-handshake",
    ),
    _row(
        "F21",
        Place.QUERY,
        "`Unable to connect` in the portal's Logs",
        "The browser asks whether a page may connect to the local network, and was not allowed to.",
        fix="Allow the portal's addresses by the browser policy LocalNetworkAccessAllowedForUrls. What a "
        "browser does is seen by no rule.",
    ),
    _row(
        "F22",
        Place.DATA,
        "the agent is active, and its configuration folder stays empty",
        "No data collection rule is associated, or the configuration service refuses the agent or is not reached.",
        "401 525 402",
        "missing-rule-association chunk-missing",
    ),
    _row(
        "F23",
        Place.DNS,
        "curl to the endpoint answers, so the private link must work",
        "The public gateway answers as well. Only the address that a name resolves to tells which way was taken.",
        "522 310",
        "public-gateway-answers",
    ),
    _row(
        "F24",
        Place.LOG,
        "`exit code 5` of the Linux Log Analytics agent (omsadmin.conf)",
        "The retired agent was onboarded over a public path that the workspace refuses.",
        "507 301",
        "legacy-agent-refused legacy-agent",
    ),
    _row(
        "F25",
        Place.DATA,
        "`Forbidden` for streams of services outside of the network",
        "Such a service sends from public networks, and the workspace takes nothing from there.",
        fix="A private link scope cannot help: let the workspace take public data, or have it sent from "
        "inside. Nothing in the estate is wrong, so no rule is broken.",
    ),
    _row(
        "F26",
        Place.AZURE,
        "the association with the endpoint is there, and the agent ignores it",
        "It has another name than configurationAccessEndpoint, or that name holds a data collection rule, "
        "as it does by default with Terraform.",
        "403 402",
        "near-miss-association reserved-name-holds-rule",
    ),
    _row(
        "F27",
        Place.DATA,
        "a new instance of a Flexible scale set sends nothing",
        "Instances of Flexible sets carry associations of their own, and nobody made them.",
        "413",
        "flexible-instance-unassociated",
    ),
    _row(
        "F28",
        Place.AZURE,
        "the endpoint is associated and in the scope, and the configuration never comes",
        "The endpoint is in another region than the machine: an agent uses one of its own region only.",
        "405",
        "config-endpoint-other-region",
    ),
    _row(
        "F29",
        Place.DATA,
        "the Linux agent runs, and follows no data collection rule",
        "The extension has protected settings, with which its installer picks the legacy mode (ENABLE_MCS=false).",
        "526",
        "gcs-mode",
    ),
    _row(
        "F30",
        Place.AZURE,
        "the private endpoint's connection is Pending, Rejected or Disconnected",
        "Nobody approved it, or the scope's side removed it. Records may be there all the same.",
        "201",
        "connection-pending connection-rejected connection-disconnected connection-seen-differently",
    ),
    _row(
        "F31",
        Place.DATA,
        "names resolve to the right private addresses, and connections time out",
        "A network security group, a route or a missing peering is in between.",
        "207 208 523 903",
        "spoke-not-peered nsg-denies-outbound route-blackholed guest-port-dropped port-443-dropped",
    ),
    _row(
        "F32",
        Place.AZURE,
        "traffic to the private endpoint goes around the hub's firewall",
        "The endpoint's own /32 route is more specific than the user-defined one, unless network policies "
        "are enabled in its subnet. Azure's default is Disabled, and so is this rule's: where a firewall is to see "
        'that traffic, the requirements say `expected = "Enabled"`.',
        "209",
        "firewall-bypassed",
    ),
    _row(
        "F33",
        Place.AZURE,
        "a workspace cannot be deleted",
        "It still is a scoped resource of a private link scope.",
        fix="Remove it from the scope first: az monitor private-link-scope scoped-resource delete. It is as it "
        "should be, so no rule is broken.",
    ),
    _row(
        "F34",
        Place.DNS,
        "scadvisorcontentpl resolves publicly, and the retired agent does not report",
        "The zone group of the private endpoint lacks the blob zone.",
        "203 301",
        "zone-group-lacks-blob",
    ),
    _row(
        "F35",
        Place.DNS,
        "`NXDOMAIN` for storage accounts since the private link scope is there",
        "The blob zone that was linked for Azure Monitor answers for all storage accounts with private "
        "endpoints, and their records are in another zone.",
        "306",
        "blob-zone-shadows-account",
    ),
    _row(
        "F36",
        Place.AZURE,
        "`The operation requires the VM to be running` from Run Command, and no heartbeats",
        "The machine is deallocated, or its system was shut down.",
        fix="Start it where it should be on: az vm start --ids <id>. While it is seen switched off no rule about its "
        "heartbeats or its guest applies to it; in the lab the fault machine-off shows it.",
    ),
)
"""The known failures, in the order of their numbers."""
