"""6xx: what arrives in workspaces: heartbeats, the way they took, and whether queries are answered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Final

import msgspec

from pytest_ampls.assertions.expectation import one_of
from pytest_ampls.assertions.heartbeat_text import last_heartbeat, utc, workspace_name, workspace_names
from pytest_ampls.assertions.machine import flexible_instances_apart, of_kind
from pytest_ampls.catalogue import Evidence, Finding, Fix, NotApplicable, Severity, rule
from pytest_ampls.effective.clients import machines_sending_to
from pytest_ampls.effective.collection import destinations
from pytest_ampls.effective.power import POWER_READ, said_of_power, switched_off_apart
from pytest_ampls.effective.sender import Sender, private_addresses, sender
from pytest_ampls.effective.thoroughness import each
from pytest_ampls.errors import ConfigurationError, DocumentError, EvidenceError, NotReadError
from pytest_ampls.model.compute import VirtualMachineScaleSet
from pytest_ampls.model.estate import Estate
from pytest_ampls.model.gap import Gap, GapKind
from pytest_ampls.model.log_rows import AGENT_CATEGORY, Heartbeat, LogReading
from pytest_ampls.model.machine import Machine
from pytest_ampls.model.monitor import Workspace
from pytest_ampls.model.resource import Resource
from pytest_ampls.model.text import quoted

__all__ = ["assert_heartbeat", "assert_heartbeat_private", "assert_query_path"]

_LEARN: Final = "https://learn.microsoft.com/azure/azure-monitor/"
_QUERY: Final = (
    "Microsoft.OperationalInsights/workspaces/query/read",
    "Microsoft.OperationalInsights/workspaces/query/Heartbeat/read",
)
_RULES: Final = (
    "Microsoft.Insights/dataCollectionRuleAssociations/read",
    "Microsoft.Insights/dataCollectionRules/read",
)
_WINDOW: Final = 24 * 60
"""Minutes that the query looks back."""
_AHEAD: Final = 10 * 60
"""Seconds by which a machine's clock may be ahead at most, whatever the deadline."""


# ------------------------------------------------------------------- what was asked


def _readings(machine: Machine) -> Iterator[tuple[str, LogReading]]:
    """Yield the workspaces that a machine's rules send to, by id, and what each answered.

    Raises:
        NotApplicable: nobody asked, or there is no such workspace, or it is no single machine.
        EvidenceError: rules were not read.
    """
    flexible_instances_apart(machine)
    estate = machine.estate
    _require_asked(estate)
    if isinstance(machine, VirtualMachineScaleSet):
        raise NotApplicable(
            f"scale set {machine.label!r} sends no heartbeat itself, and which rows are those of its instances is not "
            "known for certain"
        )
    for _, workspace_id in destinations(machine):
        yield workspace_id, estate.logs.of(workspace_id) or _unasked(workspace_id)


def _unasked(workspace_id: str) -> LogReading:
    gap = Gap(
        kind=GapKind.NOT_READ, message=f"workspace {workspace_id} was not asked for heartbeats: run again"
    )
    return LogReading(workspace=workspace_id, gap=gap)


def _require_asked(estate: Estate) -> None:
    if not estate.snapshot.logged:
        raise NotApplicable("no workspace was asked for what arrives: add --ampls-logs")


def _agents(row: Heartbeat, label: str) -> Heartbeat:
    """Return a row that the Azure Monitor Agent sent.

    Raises:
        DocumentError: there are only those of another agent.
    """
    if row.category.lower() != AGENT_CATEGORY.lower():
        raise DocumentError(
            f"the heartbeats of {label!r} in 24 h are of the category {row.category!r}, none is of {AGENT_CATEGORY!r}: "
            "another agent sends. AMPLS501 tells whether that one is installed, AMPLS507 what is beside it"
        )
    return row


def _on_logs(
    subject: Resource,
    reading: LogReading,
    *,
    path: str,
    expected: str,
    observed: str,
    query: str,
    tokens: Mapping[str, str] | None = None,
) -> Finding:
    """Return a finding whose evidence is the query that shows it."""
    url = f"{reading.endpoint}/v1/workspaces/{reading.customer_id}/query"
    body = msgspec.json.encode({"query": query}).decode()
    command = (
        f"az rest --method post --url {quoted(url)} --resource {quoted(reading.endpoint)} "
        f'--headers "Content-Type=application/json" --body {quoted(body)}'
    )
    finding = Finding.on(subject, path, expected=expected, observed=observed, evidence=command, tokens=tokens)
    return msgspec.structs.replace(finding, read=f"by a query that was answered at {utc(reading.now)}")


def _query_for(machine: Machine) -> str:
    own = machine.id.replace("\\", "\\\\").replace('"', '\\"')
    return (
        f'Heartbeat | where TimeGenerated > ago(1d) | where _ResourceId =~ "{own}" '
        "| summarize arg_max(TimeGenerated, ComputerIP, ComputerPrivateIPs) by _ResourceId, Category"
    )


# ------------------------------------------------------------------- 601


@rule(
    "AMPLS601",
    "A heartbeat of the machine arrived within the deadline",
    severity=Severity.HIGH,
    why="""The agent sends a heartbeat every minute to the workspaces of the rules that it downloaded. Where none
    arrives, no other table gets rows of this machine either, whatever its configuration says. That one arrives does
    not prove the streams that take another way.""",
    fix=Fix(
        az="az monitor data-collection rule association list --resource <id>  # then --ampls-diagnose=<name> names the "
        "stage that its data stops at",
        terraform='azurerm_monitor_data_collection_rule_association { target_resource_id = "<id>", '
        'data_collection_rule_id = "<rule>" }',
        bicep="Microsoft.Insights/dataCollectionRuleAssociations: scope: <name>, properties: { dataCollectionRuleId: "
        "'<rule>' }",
    ),
    learn=_LEARN + "reference/tables/heartbeat",
    permissions=(*_RULES, *_QUERY, POWER_READ),
    controls=("LT-3",),
    evidence=(Evidence.LOGS,),
)
def assert_heartbeat(machine: Machine, *, within: int = 10) -> Iterator[Finding]:
    """Assert that one of the workspaces that the machine's rules name has a fresh heartbeat of it.

    Ages are counted from the service's own time of the answer, from this machine's clock where it sent none. A
    virtual machine that was seen switched off need not send.

    Args:
        machine: a virtual machine or an Arc machine.
        within: the deadline, in minutes; from 1 to 1440, which is as far as the query looks back.
    """
    if not 1 <= within <= _WINDOW:
        raise ConfigurationError(f"within={within!r} is not between 1 and {_WINDOW} minutes")
    newest: tuple[LogReading, Heartbeat] | None = None
    unverified: EvidenceError | None = None
    asked: dict[str, LogReading] = {}
    for workspace_id, reading in _readings(machine):
        asked[workspace_id] = reading
        row = machine.estate.logs.heartbeat(reading, machine)
        try:
            if row is not None and _is_fresh(_agents(row, machine.label), reading, within * 60):
                return
            if reading.gap is not None:
                raise reading.gap.error()
        except EvidenceError as error:
            unverified = unverified or error
        if row is not None and (newest is None or newest[1].time_generated < row.time_generated):
            newest = reading, row
    switched_off_apart(machine, f"nothing runs there that could send; {last_heartbeat(newest, asked)}")
    if unverified is not None:
        raise unverified
    yield _stale(machine, asked, newest, within)


def _is_fresh(row: Heartbeat, reading: LogReading, deadline: float) -> bool:
    """Tell whether a row is at most as old as the deadline.

    Raises:
        DocumentError: it comes from the future, so that one of two clocks is wrong: the row may be as old as it likes.
    """
    age = reading.now - row.time_generated
    if age < -min(deadline, _AHEAD):
        raise DocumentError(
            f"the newest heartbeat of {workspace_name(row.machine)!r} bears the time {utc(row.time_generated)}, and "
            f"the query was answered at {utc(reading.now)}: a clock is wrong, ahead by {-age / 60:.0f} min, so how old "
            "it is cannot be told. Set the clocks of that machine and of this one"
        )
    return age <= deadline


def _stale(
    machine: Machine,
    asked: Mapping[str, LogReading],
    newest: tuple[LogReading, Heartbeat] | None,
    within: int,
) -> Finding:
    return _on_logs(
        machine,
        next(iter(asked.values())) if newest is None else newest[0],
        path=f"Heartbeat in workspace {workspace_names(asked)}",
        expected=f"a heartbeat of the Azure Monitor Agent that is at most {within} min old",
        observed=f"{last_heartbeat(newest, asked)}{said_of_power(machine)}",
        query=_query_for(machine),
        tokens={"rule": machine.data_collection_rules[0].id},
    )


# ------------------------------------------------------------------- 602


@rule(
    "AMPLS602",
    "The machine's heartbeat came by the private path",
    severity=Severity.HIGH,
    why="""The address that the ingestion saw tells which way a row took: behind a private endpoint it is an address in
    fd40::/16 that ends in the sender's private IPv4 address. A public address means that the machine's data crosses
    public networks, although the workspace is in a private link scope.""",
    fix=Fix(
        az="az network private-dns link vnet create --resource-group <zone-resource-group> --zone-name "
        "privatelink.ods.opinsights.azure.com --name <name> --virtual-network <network> --registration-enabled false",
        terraform="azurerm_private_dns_zone_virtual_network_link { private_dns_zone_name = "
        '"privatelink.ods.opinsights.azure.com", virtual_network_id = "<network>" }',
        bicep="Microsoft.Network/privateDnsZones/virtualNetworkLinks: parent: <zone>, properties: { virtualNetwork: { "
        "id: '<network>' }, registrationEnabled: false }",
    ),
    learn=_LEARN + "fundamentals/private-link-configure",
    permissions=(
        *_RULES,
        "Microsoft.Insights/privateLinkScopes/read",
        "Microsoft.Insights/privateLinkScopes/scopedResources/read",
        "Microsoft.OperationalInsights/workspaces/read",
        *_QUERY,
        POWER_READ,
    ),
    controls=("NS-2",),
    evidence=(Evidence.LOGS,),
)
def assert_heartbeat_private(machine: Machine) -> Iterator[Finding]:
    """Assert that the newest heartbeat in each workspace of a private link scope was sent by the private path.

    A public IPv4 address breaks the rule, though the machine may be switched off by now. Any address of which it is
    not known what it means is unverified: the pattern was seen in one region, and is documented nowhere.

    Args:
        machine: a virtual machine or an Arc machine.
    """
    unverified: EvidenceError | None = None
    judged = False

    def judge(workspace_id: str, reading: LogReading) -> Iterator[Finding]:
        nonlocal judged
        row = machine.estate.logs.heartbeat(reading, machine)
        if row is None and reading.gap is None:
            return
        is_listed = any(scope.contains(workspace_id) for scope in machine.estate.private_link_scopes)
        if not (is_listed or _reports_a_scope(machine.estate, workspace_id)):
            return
        judged = True
        if reading.gap is not None:
            raise reading.gap.error()
        if row is not None and _sent_by(machine, _agents(row, machine.label)) is Sender.PUBLIC:
            yield _public(machine, workspace_id, reading, row, is_listed=is_listed)

    try:
        yield from each(_readings(machine), lambda asked: judge(*asked))
    except EvidenceError as error:
        unverified = error
    if not machine.estate.logs.shows_life(machine):
        switched_off_apart(machine, "nothing runs there whose way could be told")
    if unverified is not None:
        raise unverified
    if not judged:
        raise NotApplicable(
            f"no workspace in a private link scope has a heartbeat of {machine.label!r}: AMPLS601 and AMPLS407 "
            "judge that"
        )


def _reports_a_scope(estate: Estate, workspace_id: str) -> bool:
    """Tell whether a workspace itself says that it is in a scope: one of another subscription may not be read."""
    workspace = estate.get(Workspace, workspace_id)
    return workspace is not None and bool(workspace.scope_references)


def _sent_by(machine: Machine, row: Heartbeat) -> Sender:
    """Tell which way a row took.

    Raises:
        DocumentError: its address does not tell.
    """
    found = sender(row.computer_ip, (*private_addresses(machine), *row.computer_private_ips))
    if found is Sender.UNKNOWN:
        raise DocumentError(
            f"the heartbeat of {machine.label!r} came from {row.computer_ip!r}, which is neither a public IPv4 "
            "address nor one in fd40::/16 that ends in a private address of the machine: the pattern is not known, "
            "and which way it took cannot be told"
        )
    return found


def _public(
    machine: Machine, workspace_id: str, reading: LogReading, row: Heartbeat, *, is_listed: bool
) -> Finding:
    if not is_listed:
        raise NotReadError(
            f"workspace {workspace_name(workspace_id)!r} says that it is in a private link scope, and no scope that "
            f"was read lists it: whether the public address {row.computer_ip} is right is not known. Read that scope "
            "as well"
        )
    networks: tuple[str, ...] = ()
    with suppress(EvidenceError):  # only the fix names it
        networks = machine.virtual_network_ids
    return _on_logs(
        machine,
        reading,
        path=f"Heartbeat.ComputerIP in workspace {workspace_name(workspace_id)!r}",
        expected="an address in fd40::/16 that ends in the machine's private IPv4 address",
        observed=f"{row.computer_ip}, a public address, at {utc(row.time_generated)}",
        query=_query_for(machine),
        tokens={"network": networks[0]} if networks else None,
    )


# ------------------------------------------------------------------- 606

_OUTCOMES: Final = ("answered", "refused")


@rule(
    "AMPLS606",
    "From here the workspace answers queries, or refuses them, as intended",
    severity=Severity.HIGH,
    why="""Whether a query is answered depends on the network it comes from. A refusal for the network
    (NspValidationFailedError) means that the way was the public one and the workspace takes none from there, or
    that the private way leads to a scope without it. One without an inner error is about rights, and says nothing of
    the network.""",
    fix=Fix(
        az="az monitor log-analytics workspace update --resource-group <resource-group> --workspace-name <name> "
        "--query-access <access>  # or query from a network whose DNS leads to its private link scope",
        terraform='azurerm_log_analytics_workspace { name = "<name>", internet_query_enabled = <enabled> }',
        bicep="Microsoft.OperationalInsights/workspaces '<name>': properties: { publicNetworkAccessForQuery: "
        "'<access>' }",
    ),
    learn=_LEARN + "logs/api/errors",
    permissions=("Microsoft.OperationalInsights/workspaces/read", *_RULES, *_QUERY),
    controls=("NS-2",),
    evidence=(Evidence.LOGS,),
)
def assert_query_path(workspace: Workspace, *, expected: str = "answered") -> Iterator[Finding]:
    """Assert that the workspace answered the run's query, or refused it because of the network.

    A refusal for lack of rights is unverified: the network was not what was refused, and may not have been looked at.

    Args:
        workspace: a Log Analytics workspace that machines send to.
        expected: ``answered`` or ``refused``, from where the run is.
    """
    of_kind(workspace, Workspace)
    expected = one_of(_OUTCOMES, expected)
    _require_asked(workspace.estate)
    reading = workspace.estate.logs.of(workspace.id)
    if reading is None and not machines_sending_to(workspace):
        raise NotApplicable(f"no rule of a machine sends to {workspace.label!r}, so it was not asked")
    reading = reading or _unasked(workspace.id)
    if reading.answered and expected == "refused":
        observed = "the query was answered"
    elif reading.refused_by_network and expected == "answered":
        observed = reading.gap.message if reading.gap is not None else "refused because of the network"
    elif reading.answered or reading.refused_by_network:
        return
    elif reading.gap is not None:
        raise reading.gap.error()
    else:
        raise NotReadError(f"what workspace {workspace.label!r} answered is not known")
    open_it = expected == "answered"
    yield _on_logs(
        workspace,
        reading,
        path=f"a query at {reading.endpoint}",
        expected=f"queries from here are {expected}",
        observed=observed,
        query="Heartbeat | take 1",
        tokens={
            "access": "Enabled" if open_it else "Disabled",
            "enabled": "true" if open_it else "false",
        },
    )
