"""520, 521, 524 to 527: what a machine's guest says of its agent."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator
from typing import Final

from pytest_ampls.assertions.agent_log import KnownError, known_error
from pytest_ampls.assertions.association import collects
from pytest_ampls.assertions.guest_answer import agent_guest, on_guest
from pytest_ampls.assertions.token_refusal import (
    ATTACH,
    identity_tokens,
    is_passing,
    refusal,
    token_fix,
    token_requests,
)
from pytest_ampls.catalogue import Evidence, Finding, Fix, NotApplicable, Severity, rule
from pytest_ampls.effective.collection import rules_of
from pytest_ampls.effective.guest_names import guest_questions
from pytest_ampls.effective.power import POWER_READ
from pytest_ampls.effective.thoroughness import each
from pytest_ampls.errors import DocumentError, EvidenceError, NotReadError, UnreachableError
from pytest_ampls.model.compute import ArcMachine
from pytest_ampls.model.guest_state import GuestState, LogError, TokenAttempt
from pytest_ampls.model.machine import Machine
from pytest_ampls.model.monitor import DataCollectionRule
from pytest_ampls.model.resource import needed

__all__ = [
    "assert_agent_log_clean",
    "assert_agent_reads_dcrs",
    "assert_agent_running",
    "assert_configuration_downloaded",
    "assert_guest_disk",
    "assert_token_acquired",
]

_LEARN: Final = "https://learn.microsoft.com/azure/azure-monitor/agents/"
_TROUBLESHOOT: Final = _LEARN + "azure-monitor-agent-troubleshoot-linux-vm"
_READ: Final = (
    "Microsoft.Compute/virtualMachines/read",
    "Microsoft.Compute/virtualMachines/extensions/read",
    "Microsoft.HybridCompute/machines/read",
    "Microsoft.HybridCompute/machines/extensions/read",
    POWER_READ,
)
_ASSOCIATIONS_READ: Final = (
    "Microsoft.Insights/dataCollectionRuleAssociations/read",
    "Microsoft.Insights/dataCollectionRules/read",
)
_RUNNING: Final = frozenset({"active", "running", "reloading"})
_RESTART: Final = Fix(
    az="az vm run-command invoke --ids <id> --command-id <shell> --scripts '<restart>'",
    terraform='azurerm_virtual_machine_extension of "<name>": terraform apply -replace installs the agent anew',
    bicep="Microsoft.Compute/virtualMachines/extensions of '<name>': another properties.forceUpdateTag",
)
_RESTARTS: Final = ("systemctl restart azuremonitoragent", "Restart-Computer")


def _tokens(state: GuestState) -> dict[str, str]:
    return {"restart": _RESTARTS[_is_windows(state)]}


def _is_windows(state: GuestState) -> bool:
    return state.system.lower() == "windows"


@rule(
    "AMPLS520",
    "The agent's services run",
    severity=Severity.HIGH,
    why="""An extension that was provisioned says that the agent was installed once. Whether it runs now, only the
    machine knows.""",
    fix=_RESTART,
    learn=_TROUBLESHOOT,
    permissions=_READ,
    controls=("LT-3",),
    evidence=(Evidence.GUEST,),
)
def assert_agent_running(machine: Machine) -> Iterator[Finding]:
    """Assert that the agent's services (Linux) or processes (Windows) run.

    Args:
        machine: a virtual machine or an Arc machine whose guest was looked at.
    """
    state = agent_guest(machine)
    services = state.told(state.services, "services")
    if not services:
        raise NotReadError(f"the guest of {machine.label!r} told of no service of the agent")
    for service, seen in services.items():
        if seen not in _RUNNING:
            yield on_guest(
                machine,
                state,
                f"service {service}",
                expected="active",
                observed=seen,
                shows=(f"systemctl status {service}", f"Get-Process {service}"),
                tokens=_tokens(state),
            )


@rule(
    "AMPLS521",
    "The machine gets a token for the identity that its agent uses",
    severity=Severity.HIGH,
    why="""Without a token the agent downloads no configuration and sends nothing. The instance metadata service
    says why it refuses; the agent's log only says that it did.""",
    fix=ATTACH,
    learn="https://learn.microsoft.com/azure/active-directory/managed-identities-azure-resources/how-to-use-vm-token",
    permissions=_READ,
    controls=("IM-3",),
    evidence=(Evidence.GUEST,),
)
def assert_token_acquired(machine: Machine) -> Iterator[Finding]:
    """Assert that the guest gets a token for each identity that its agent asks for.

    The attempt is made in the guest; the token never leaves it.

    Args:
        machine: a virtual machine whose guest was looked at. An Arc machine's token service is not asked.
    """
    state = agent_guest(machine)
    if isinstance(machine, ArcMachine):
        raise NotApplicable(f"the token service of Arc machine {machine.label!r} (himds) is not asked")
    made = {attempt.identity: attempt for attempt in state.told(state.tokens, "tokens")}
    passing: EvidenceError | None = None
    for identity in guest_questions(machine).identities:
        attempt = made.get(identity)
        if attempt is None:
            passing = NotReadError(
                f"the guest of {machine.label!r} was not asked for a token for {identity!r}"
            )
        elif is_passing(attempt):
            passing = UnreachableError(f"the guest of {machine.label!r}: {refusal(attempt)}. Run again later")
        elif attempt.status != 200:
            yield _refused(machine, state, identity, attempt)
    if passing is not None:
        raise passing


def _refused(machine: Machine, state: GuestState, identity: str, attempt: TokenAttempt) -> Finding:
    windows = _is_windows(state)
    return on_guest(
        machine,
        state,
        f"a token for {identity or 'whatever identity answers'}",
        expected="HTTP 200 with a token",
        observed=refusal(attempt),
        shows=token_requests(identity),
        tokens=identity_tokens(identity, windows=windows),
        fix=token_fix(attempt),
    )


@rule(
    "AMPLS524",
    "The end of the agent's log has no known error since the agent started",
    severity=Severity.HIGH,
    why="""The agent says in its log what it is refused, and goes on trying in silence otherwise. Each of these
    errors has one cause, which another rule judges.""",
    fix=Fix(
        az=f"{_RESTART.az}  # once the rules that it names hold: an error counts until the agent starts anew",
        terraform=_RESTART.terraform,
        bicep=_RESTART.bicep,
    ),
    learn=_TROUBLESHOOT,
    permissions=_READ,
    controls=("LT-3",),
    evidence=(Evidence.GUEST,),
)
def assert_agent_log_clean(machine: Machine) -> Iterator[Finding]:
    """Assert that the agent's error log has none of the known errors since the agent last started, on Linux.

    Read are the last 128 KiB of the log: an error further back is not seen, though the agent started before it.

    Args:
        machine: a virtual machine or an Arc machine whose guest was looked at.
    """
    state = agent_guest(machine)
    if state.gap is None and state.system.lower() == "windows":
        raise NotApplicable(f"{machine.label!r} is a Windows machine, whose agent's log is no text")
    known: dict[KnownError, LogError] = {}
    for entry in state.told(state.log, "log"):
        error = known_error(entry.line)
        if error is not None:
            known[error] = entry  # the last one of its kind
    started = state.told(state.started, "started") if known else 0.0
    for error, entry in known.items():
        if not entry.seconds or entry.seconds >= started:
            yield on_guest(
                machine,
                state,
                "/var/opt/microsoft/azuremonitoragent/log/mdsd.err",
                expected="no error that is known to stop data",
                observed=f"{entry.line!r}{_when(entry)}: {error.meaning} (see {error.rules})",
                shows=("tail -n 50 /var/opt/microsoft/azuremonitoragent/log/mdsd.err", ""),
                tokens=_tokens(state),
            )


def _when(entry: LogError) -> str:
    """Say when it was last written, by the machine's own clock: an old one may be mended by now."""
    if not entry.seconds:
        return ""
    return f", last at {time.strftime('%Y-%m-%d %H:%M:%SZ', time.gmtime(entry.seconds))}"


@rule(
    "AMPLS525",
    "The agent has downloaded every data collection rule of its machine",
    severity=Severity.HIGH,
    why="""A rule works once its configuration is on the machine. A rule that is associated and not downloaded means
    that the agent does not reach, or is refused by, its configuration endpoint.""",
    fix=Fix(
        az="az monitor data-collection rule association list --resource <id>  # then AMPLS402, AMPLS404, AMPLS522",
        terraform='azurerm_monitor_data_collection_rule_association { target_resource_id = "<id>" }, for the rule and '
        "for the configuration endpoint",
        bicep="Microsoft.Insights/dataCollectionRuleAssociations on '<name>', for the rule and for the configuration "
        "endpoint",
    ),
    learn=_TROUBLESHOOT,
    permissions=(*_READ, *_ASSOCIATIONS_READ),
    controls=("LT-3",),
    evidence=(Evidence.CONFIGURATION, Evidence.GUEST),
)
def assert_configuration_downloaded(machine: Machine) -> Iterator[Finding]:
    """Assert a configuration chunk on disk for each data collection rule that the machine is associated with.

    Args:
        machine: a virtual machine or an Arc machine whose guest was looked at.
    """
    state = agent_guest(machine)
    collecting = False

    def judge(part: DataCollectionRule) -> Iterator[Finding]:
        nonlocal collecting
        if collects(part):
            collecting = True
            yield from _not_downloaded(machine, state, part)

    yield from each(rules_of(machine), judge)
    if not collecting:
        raise NotApplicable(f"{machine.label!r} has no data collection rule: AMPLS401 judges that")


def _not_downloaded(machine: Machine, state: GuestState, part: DataCollectionRule) -> Iterator[Finding]:
    chunks = state.told(state.chunks, "chunks")
    wanted = needed(part.properties.immutable_id, part, "properties.immutableId")
    if wanted.lower() in {chunk.rule.lower() for chunk in chunks}:
        return
    nameless = [chunk.file for chunk in chunks if not chunk.rule and chunk.protocols]
    if nameless:
        raise DocumentError(
            f"the guest of {machine.label!r} has {nameless[0]}, which does not say whose it is"
        )
    yield on_guest(
        machine,
        state,
        "config-cache/configchunks",
        expected=f"a chunk of data collection rule {part.label!r} ({wanted})",
        observed=f"none ({len(chunks)} of other rules)" if chunks else "no chunk at all",
        shows=(
            f"grep -l {shlex.quote(wanted)} /etc/opt/microsoft/azuremonitoragent/config-cache/configchunks/*.json",
            rf"Select-String -List {wanted} C:\WindowsAzure\Resources\AMADataStore.*\mcs\configchunks\*.json",
        ),
    )


@rule(
    "AMPLS526",
    "The agent follows data collection rules",
    severity=Severity.HIGH,
    why="""Protected settings on the extension switch the Linux agent to its legacy mode, in which it ignores data
    collection rules. ARM never returns protected settings: only the machine shows it.""",
    fix=Fix(
        az="az vm extension delete --ids <id>/extensions/AzureMonitorLinuxAgent  # and set it again, without "
        "--protected-settings",
        terraform='azurerm_virtual_machine_extension of "<name>": no protected_settings',
        bicep="Microsoft.Compute/virtualMachines/extensions of '<name>': no properties.protectedSettings",
    ),
    learn=_LEARN + "azure-monitor-agent-manage",
    permissions=_READ,
    evidence=(Evidence.GUEST,),
)
def assert_agent_reads_dcrs(machine: Machine) -> Iterator[Finding]:
    """Assert that the agent is in the mode that reads data collection rules, on Linux.

    Args:
        machine: a virtual machine or an Arc machine whose guest was looked at.
    """
    state = agent_guest(machine)
    if state.gap is None and state.system.lower() == "windows":
        raise NotApplicable(f"{machine.label!r} is a Windows machine, whose agent has no other mode")
    mode = state.told(state.mode, "mode")
    if mode != "mcs":
        yield on_guest(
            machine,
            state,
            "/etc/default/azuremonitoragent ENABLE_MCS",
            expected="true: data collection rules (mcs)",
            observed=f"not true: the legacy mode ({mode})",
            shows=("grep ENABLE_MCS /etc/default/azuremonitoragent", ""),
        )


@rule(
    "AMPLS527",
    "The agent's folders have room",
    severity=Severity.MEDIUM,
    why="""The agent keeps its configuration and what it could not send yet on disk. Without room it loses both,
    and cannot be upgraded.""",
    fix=Fix(
        az="az vm run-command invoke --ids <id> --command-id <shell> --scripts 'du -xsh /var/opt/microsoft'  # "
        "or: az disk update --size-gb",
        terraform='azurerm_linux_virtual_machine "<name>": os_disk { disk_size_gb }',
        bicep="Microsoft.Compute/virtualMachines '<name>': properties.storageProfile.osDisk.diskSizeGB",
    ),
    learn=_LEARN + "azure-monitor-agent-requirements",
    permissions=_READ,
    evidence=(Evidence.GUEST,),
)
def assert_guest_disk(machine: Machine, *, minimum_mb: int = 500) -> Iterator[Finding]:
    """Assert free space on the file systems that the agent's folders are on.

    Args:
        machine: a virtual machine or an Arc machine whose guest was looked at.
        minimum_mb: megabytes (of 1,000,000 bytes) that each must have free; the installation asks for 500.
    """
    state = agent_guest(machine)
    disks = state.told(state.disks, "disks")
    if not disks:
        raise NotReadError(f"the guest of {machine.label!r} told of no folder of the agent")
    for disk in disks:
        if disk.free < minimum_mb * 1_000_000:
            yield on_guest(
                machine,
                state,
                disk.folder,
                expected=f"at least {minimum_mb} MB free",
                observed=f"{disk.free // 1_000_000} MB free",
                shows=(f"df -h {disk.folder}", "Get-PSDrive C"),
            )
