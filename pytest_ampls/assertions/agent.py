"""5xx: the Azure Monitor Agent's extension and the identity it asks for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pytest_ampls.assertions.machine import (
    flexible_instances_apart,
    identified_extensions,
    of_kind,
    operating_system,
)
from pytest_ampls.catalogue import Finding, Fix, NotApplicable, Severity, az_rest, rule
from pytest_ampls.effective.identity import (
    SETTINGS_PATH,
    AgentIdentity,
    IdentityOutcome,
    agent_identity,
)
from pytest_ampls.model.compute import ArcMachine, VirtualMachineScaleSet
from pytest_ampls.model.machine import AGENT_TYPES, Extension, Identity, Machine, VirtualMachineExtension
from pytest_ampls.model.resource import ResourceId, needed

__all__ = [
    "NAME_IDENTITY",
    "assert_agent_extension",
    "assert_agent_identity",
    "assert_agent_identity_explicit",
    "assert_flexible_instances_use_uami",
    "assert_no_legacy_agent",
]

_AnyExtension = Extension | VirtualMachineExtension

_LEARN: Final = "https://learn.microsoft.com/azure/azure-monitor/agents/"
_EXTENSIONS_READ: Final = (
    "Microsoft.Compute/virtualMachines/read",
    "Microsoft.Compute/virtualMachines/extensions/read",
    "Microsoft.Compute/virtualMachineScaleSets/read",
    "Microsoft.HybridCompute/machines/read",
    "Microsoft.HybridCompute/machines/extensions/read",
)
_IDENTITIES_READ: Final = "Microsoft.ManagedIdentity/userAssignedIdentities/read"
_LEGACY_PUBLISHER: Final = "microsoft.enterprisecloud.monitoring"
_LEGACY_TYPES: Final = ("omsagentforlinux", "microsoftmonitoringagent")


def _evidence(machine: Machine) -> str:
    """Return the call that shows the extensions: a listing, or the scale set whose profile holds them."""
    child = "" if isinstance(machine, VirtualMachineScaleSet) else f"{machine.ARM_TYPE}/extensions"
    return az_rest(machine, child)


def _path(machine: Machine, extension: _AnyExtension, path: str) -> str:
    profile = isinstance(machine, VirtualMachineScaleSet)
    where = "properties.virtualMachineProfile.extensionProfile.extensions" if profile else "extensions"
    return f"{where}[{extension.name}].properties.{path}"


def _agents(machine: Machine) -> tuple[_AnyExtension, ...]:
    """Return the agent's extensions.

    Raises:
        NotApplicable: there is none.
        EvidenceError: the extensions were not read.
    """
    agents = tuple(part for part in identified_extensions(machine) if part.is_agent)
    if not agents:
        raise NotApplicable(f"{machine.label!r} has no Azure Monitor Agent: AMPLS501 judges that")
    return agents


@rule(
    "AMPLS501",
    "A machine has the Azure Monitor Agent for its operating system, and its installation succeeded",
    severity=Severity.HIGH,
    why="""Without the agent nothing of the machine is collected. An extension is told by publisher and
    type: its name is free. That it was provisioned proves the installation, not that data flows.""",
    fix=Fix(
        az="az vm extension set --ids <id> --publisher Microsoft.Azure.Monitor --name <type> "
        "--enable-auto-upgrade true  # scale set: az vmss; Arc machine: az connectedmachine",
        terraform='azurerm_virtual_machine_extension { virtual_machine_id = "<id>", '
        'publisher = "Microsoft.Azure.Monitor", type = "<type>", automatic_upgrade_enabled = true }',
        bicep="Microsoft.Compute/virtualMachines/extensions: properties.publisher: 'Microsoft.Azure.Monitor', "
        "properties.type: '<type>'",
    ),
    learn=_LEARN + "azure-monitor-agent-manage",
    permissions=_EXTENSIONS_READ,
    controls=("LT-3",),
)
def assert_agent_extension(machine: Machine) -> Iterator[Finding]:
    """Assert that the agent's extension for the machine's operating system is there and Succeeded.

    A Uniform scale set is judged by its profile, which has no state of its own where ARM does not tell one.

    Args:
        machine: a virtual machine, an Arc machine, or a Uniform scale set.
    """
    flexible_instances_apart(machine)
    wanted = AGENT_TYPES[operating_system(machine)]
    extensions = identified_extensions(machine)
    agents = [part for part in extensions if part.is_agent]
    fitting = [part for part in agents if (part.properties.type or "").lower() == wanted.lower()]
    tokens = {"type": wanted}
    if not fitting:
        others = ", ".join(part.properties.type or "" for part in agents or extensions)
        yield Finding.on(
            machine,
            "extensions[].properties.type",
            expected=f"an extension of publisher Microsoft.Azure.Monitor and type {wanted}",
            observed=f"only {others}" if others else "no extension at all",
            evidence=_evidence(machine),
            tokens=tokens,
        )
    for agent in fitting:
        state = agent.properties.provisioning_state
        if state is None and isinstance(machine, VirtualMachineScaleSet):
            continue  # a profile says what instances get, and mostly has no state
        path = _path(machine, agent, "provisioningState")
        if str(needed(state, machine, path)).lower() != "succeeded":
            yield Finding.on(
                machine,
                path,
                expected="Succeeded",
                observed=str(state),
                evidence=_evidence(machine),
                tokens=tokens,
            )


def _identities(machine: Machine) -> list[tuple[_AnyExtension, AgentIdentity]]:
    return [(agent, agent_identity(machine, agent)) for agent in _agents(machine)]


NAME_IDENTITY: Final = Fix(
    az="# scale set: az vmss. Arc machine: only az connectedmachine, without --settings\n"
    "az vm identity assign --ids <id> --identities <identity-id>\n"
    "az vm extension set --ids <id> --publisher Microsoft.Azure.Monitor --name <type> --settings "
    '\'{"authentication": {"managedIdentity": '
    '{"identifier-name": "mi_res_id", "identifier-value": "<identity-id>"}}}\'',
    terraform="azurerm_virtual_machine_extension { settings = jsonencode({ authentication = { managedIdentity = "
    '{ identifier-name = "mi_res_id", identifier-value = "<identity-id>" } } }) }\n'
    'and identity { type = "UserAssigned", identity_ids = ["<identity-id>"] } on the machine',
    bicep="properties.settings.authentication.managedIdentity: { 'identifier-name': 'mi_res_id', "
    "'identifier-value': '<identity-id>' }, and identity.userAssignedIdentities of the machine",
)


def _identity_tokens(machine: Machine, agent: _AnyExtension, found: AgentIdentity) -> dict[str, str]:
    """Return what the fix needs: the agent's type, and the identity where only one comes into question."""
    tokens = {"type": agent.properties.type or "<type>"}
    attached = (machine.identity or Identity()).user_assigned_ids
    wanted = found.identity or (attached[0] if len(attached) == 1 else None)
    return {**tokens, "identity-id": wanted} if wanted else tokens


_IDENTITY_PATHS: Final = {
    IdentityOutcome.NONE: "identity",
    IdentityOutcome.NOT_ATTACHED: "identity.userAssignedIdentities",
}


@rule(
    "AMPLS502",
    "The machine has the managed identity that its agent asks for",
    severity=Severity.HIGH,
    why="""The agent authenticates with a managed identity and has no other way. Without the one it asks
    for it gets no token ("Identity not found"), reports no error to Azure, and does not recover by itself;
    the extension still says Succeeded.""",
    fix=NAME_IDENTITY,
    learn=_LEARN + "azure-monitor-agent-requirements#permissions",
    permissions=(*_EXTENSIONS_READ, _IDENTITIES_READ),
    controls=("IM-3",),
)
def assert_agent_identity(machine: Machine) -> Iterator[Finding]:
    """Assert that the identity the agent will ask for is attached, and named in a form the agent takes.

    Which one it asks for follows from the extension's settings, else from the default of the instance
    metadata service. Whether a default is a good one is judged by ``assert_agent_identity_explicit``.

    Args:
        machine: a virtual machine, an Arc machine, or a Uniform scale set.
    """
    flexible_instances_apart(machine)
    for agent, found in _identities(machine):
        if not found.outcome.is_attached:
            arc = isinstance(machine, ArcMachine)
            yield Finding.on(
                machine,
                _IDENTITY_PATHS.get(found.outcome, _path(machine, agent, SETTINGS_PATH)),
                expected="the system-assigned identity, without any in the settings"
                if arc
                else "an identity that is attached and that the agent asks for",
                observed=found.reason,
                evidence=az_rest(machine) if found.outcome in _IDENTITY_PATHS else _evidence(machine),
                tokens=_identity_tokens(machine, agent, found),
            )


@rule(
    "AMPLS503",
    "An agent that uses a user-assigned identity names it",
    severity=Severity.MEDIUM,
    why="""Without a name the instance metadata service answers with the only user-assigned identity, and
    refuses as soon as there is a second one ("Multiple user assigned identities exist"). Policies attach
    further identities to machines, so an agent that works today stops on the day one of them does.""",
    fix=NAME_IDENTITY,
    learn=_LEARN + "azure-monitor-agent-requirements#permissions",
    permissions=(*_EXTENSIONS_READ, _IDENTITIES_READ),
    controls=("IM-3",),
)
def assert_agent_identity_explicit(machine: Machine) -> Iterator[Finding]:
    """Assert that the agent's settings name the identity where it would be a user-assigned one.

    A system-assigned identity needs no name: it is what an agent without settings gets, whatever else is
    attached.

    Args:
        machine: a virtual machine, an Arc machine, or a Uniform scale set.
    """
    flexible_instances_apart(machine)
    identities = _identities(machine)
    if not all(found.outcome.is_attached for _, found in identities):
        raise NotApplicable(f"the agent of {machine.label!r} gets no identity: AMPLS502 judges that")
    for agent, found in identities:
        if found.outcome in (IdentityOutcome.IMPLICIT, IdentityOutcome.AMBIGUOUS):
            yield Finding.on(
                machine,
                _path(machine, agent, SETTINGS_PATH),
                expected="the identity by name: identifier-name and identifier-value",
                observed=found.reason,
                evidence=_evidence(machine),
                tokens=_identity_tokens(machine, agent, found),
            )


@rule(
    "AMPLS504",
    "A Flexible scale set has a user-assigned identity, and its agent's settings name it",
    severity=Severity.HIGH,
    why="""Instances of a Flexible set get only the user-assigned identities of the set. Neither side
    finds the other by itself: the set must have the identity, and the agent's settings must name it.""",
    fix=Fix(
        az="az vmss identity assign --resource-group <resource-group> --name <name> --identities <identity-id>\n"
        "az vmss extension set --resource-group <resource-group> --vmss-name <name> "
        "--publisher Microsoft.Azure.Monitor --name <type> --settings "
        '\'{"authentication": {"managedIdentity": '
        '{"identifier-name": "mi_res_id", "identifier-value": "<identity-id>"}}}\'',
        terraform="azurerm_orchestrated_virtual_machine_scale_set { identity { ... } extension { settings = ... } }",
        bicep="Microsoft.Compute/virtualMachineScaleSets: identity.userAssignedIdentities, and "
        "settings.authentication.managedIdentity of the agent in properties.virtualMachineProfile.extensionProfile",
    ),
    learn=_LEARN + "azure-monitor-agent-requirements#permissions",
    permissions=(*_EXTENSIONS_READ, _IDENTITIES_READ),
    controls=("IM-3",),
)
def assert_flexible_instances_use_uami(vmss: VirtualMachineScaleSet) -> Iterator[Finding]:
    """Assert a user-assigned identity on a Flexible set, named in the settings of its agent.

    The agent is that of the set's profile, or those of the instances where the profile has none.

    Args:
        vmss: the scale set.
    """
    of_kind(vmss, VirtualMachineScaleSet)
    if not vmss.is_flexible:
        raise NotApplicable(f"scale set {vmss.label!r} is Uniform and may use a system-assigned identity")
    agents = _agents_of_set(vmss)
    if not (vmss.identity or Identity()).user_assigned_ids:
        kind = vmss.identity.type if vmss.identity is not None else None
        yield Finding.on(
            vmss,
            "identity.userAssignedIdentities",
            expected="a user-assigned identity",
            observed=f"none (identity.type is {kind})" if kind else "no identity at all",
            tokens={"type": agents[0][1].properties.type or "<type>"},
        )
        return
    for carrier, agent in agents:
        found = agent_identity(vmss, agent)
        if found.outcome is not IdentityOutcome.NAMED or found.identity is None:
            yield Finding.on(
                carrier,
                _path(carrier, agent, SETTINGS_PATH),
                expected=f"one of the set's user-assigned identities by name: {_names(vmss)}",
                observed=found.reason,
                evidence=_evidence(carrier),
                tokens=_identity_tokens(vmss, agent, found) | _own_tokens(vmss),
            )


def _own_tokens(vmss: VirtualMachineScaleSet) -> dict[str, str]:
    """Return what names the set in a fix, where a finding is on one of its instances."""
    return {"id": vmss.id, "name": vmss.label, "resource-group": vmss.resource_group}


def _names(machine: Machine) -> str:
    attached = (machine.identity or Identity()).user_assigned_ids
    return ", ".join(repr(ResourceId.parse(part).name) for part in attached)


def _carried(machine: Machine) -> list[tuple[Machine, _AnyExtension]]:
    return [(machine, part) for part in identified_extensions(machine) if part.is_agent]


def _agents_of_set(vmss: VirtualMachineScaleSet) -> list[tuple[Machine, _AnyExtension]]:
    """Return the agents of a Flexible set with what carries them: its profile, else its instances."""
    agents = _carried(vmss)
    if not agents:
        instances = (part for part in vmss.instances if isinstance(part, Machine))
        agents = [found for part in instances for found in _carried(part)]
    if agents:
        return agents
    raise NotApplicable(
        f"neither Flexible scale set {vmss.label!r} nor an instance of it has the Azure Monitor Agent: AMPLS501 "
        "judges the instances"
    )


@rule(
    "AMPLS507",
    "A machine does not run the retired Log Analytics agent",
    severity=Severity.MEDIUM,
    why="""The Log Analytics agent (MMA, OMS) is retired. Beside the Azure Monitor Agent it collects the
    same data a second time, with a workspace key instead of an identity, and it knows no data collection
    rules.""",
    fix=Fix(
        az="az vm extension delete --ids <id>/extensions/<extension>  "
        "# scale set: az vmss; Arc machine: az connectedmachine",
        terraform='remove the azurerm_virtual_machine_extension "<extension>" of <id>',
        bicep="Microsoft.Compute/virtualMachines/extensions '<extension>': remove it",
    ),
    learn=_LEARN + "azure-monitor-agent-migration",
    permissions=_EXTENSIONS_READ,
)
def assert_no_legacy_agent(machine: Machine) -> Iterator[Finding]:
    """Assert that no extension is the OMS agent for Linux or the Microsoft Monitoring Agent.

    Args:
        machine: a virtual machine, an Arc machine, or a Uniform scale set.
    """
    flexible_instances_apart(machine)
    legacy = [part for part in machine.extensions if _is_legacy(part)]
    for extension in legacy:
        beside = "beside" if machine.agents else "without"
        yield Finding.on(
            machine,
            _path(machine, extension, "type"),
            expected="no extension of publisher Microsoft.EnterpriseCloud.Monitoring",
            observed=f"{extension.properties.type}, {beside} the Azure Monitor Agent",
            evidence=_evidence(machine),
            tokens={"extension": extension.name or ""},
        )
    identified_extensions(machine)  # one that does not say what it is may be another
    if not legacy and not machine.agents:
        raise NotApplicable(f"{machine.label!r} has no agent, old or new: AMPLS501 judges that")


def _is_legacy(extension: _AnyExtension) -> bool:
    publisher, kind = extension.properties.publisher or "", extension.properties.type or ""
    return publisher.lower() == _LEGACY_PUBLISHER and kind.lower() in _LEGACY_TYPES
