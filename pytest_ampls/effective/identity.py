"""Which managed identity the Azure Monitor Agent will ask for, and whether the machine has it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

import msgspec

from pytest_ampls.errors import DocumentError, EvidenceError
from pytest_ampls.model.compute import ArcMachine, UserAssignedIdentity
from pytest_ampls.model.machine import Extension, Identity, Machine, VirtualMachineExtension
from pytest_ampls.model.resource import ResourceId, same_id

__all__ = ["SETTINGS_PATH", "AgentIdentity", "IdentityOutcome", "agent_identity", "configured_identifier"]

SETTINGS_PATH: Final = "settings.authentication.managedIdentity"
"""Where an extension's settings name the identity, below the extension's ``properties``."""

_IDENTIFIERS: Final = ("mi_res_id", "object_id", "client_id")
_GUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_PROPERTIES: Final = {"object_id": "principal_id", "client_id": "client_id"}
_KEYS: Final = {"object_id": "principalId", "client_id": "clientId"}


class IdentityOutcome(StrEnum):
    """What comes of the agent's request for a token."""

    NAMED = "named"
    """The settings name an identity that the machine has."""
    SYSTEM_ASSIGNED = "system-assigned"
    """Nothing is named, and the instance metadata service answers with the system-assigned identity."""
    IMPLICIT = "implicit"
    """Nothing is named, and the only user-assigned identity answers, for as long as it is the only one."""
    AMBIGUOUS = "ambiguous"
    """Nothing is named, and several user-assigned identities are attached: the request is refused."""
    NONE = "none"
    """The machine has no identity at all."""
    NOT_ATTACHED = "not attached"
    """The settings name an identity that the machine does not have."""
    MALFORMED = "malformed"
    """The settings name an identity in a form that the agent refuses."""
    UNSUPPORTED = "unsupported"
    """The settings of an Arc machine's agent name an identity, and it has only the system-assigned one."""

    @property
    def is_attached(self) -> bool:
        """Tell whether the machine has what the agent asks for, named or not."""
        return self in (self.NAMED, self.SYSTEM_ASSIGNED, self.IMPLICIT, self.AMBIGUOUS)


class AgentIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """The identity that the agent will use, and why.

    ``identity`` is the resource id of the user-assigned identity that is asked for, attached or not. It is
    None where that is the system-assigned one, none, or not known by resource id. ``reason`` is a phrase that
    can stand as what was observed.
    """

    outcome: IdentityOutcome
    reason: str
    identity: str | None = None


def agent_identity(machine: Machine, agent: Extension | VirtualMachineExtension) -> AgentIdentity:
    """Return the identity that the agent of a machine will ask for.

    A scale set is judged with the agent of its profile. Settings that name an identity decide;
    without them the instance metadata service prefers the system-assigned identity, then a lone
    user-assigned one, and refuses where there are several.

    Source: Microsoft Learn, "Azure Monitor Agent requirements" and the managed identities FAQ; the checks
    that the Linux extension makes of its settings.

    Raises:
        EvidenceError: the settings name a client or object id, and an attached identity's ids are not known.
    """
    named = _named(agent.properties.settings)
    if isinstance(machine, ArcMachine):
        return _of_arc_machine(machine, named)
    identity = machine.identity or Identity()
    if named is None:
        return _default(identity)
    fault = _fault(named)
    if fault is not None:
        return AgentIdentity(outcome=IdentityOutcome.MALFORMED, reason=fault)
    name, value = named["identifier-name"], named["identifier-value"].strip()
    return _look_up(machine, identity, name, value)


def configured_identifier(agent: Extension | VirtualMachineExtension) -> tuple[str, str] | None:
    """Return ``identifier-name`` and ``identifier-value`` of an agent's settings, None where they name none.

    A block that the agent refuses names none: then there is nothing to ask for.
    """
    named = _named(agent.properties.settings)
    if named is None or _fault(named) is not None:
        return None
    return named["identifier-name"], named["identifier-value"].strip()


def _named(settings: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Return the block that names the identity, None where there is none.

    Settings may be wrapped in ``azureMonitorConfiguration``, which the agent unwraps where it is enabled.
    """
    wrapper = (settings or {}).get("azureMonitorConfiguration")
    if isinstance(wrapper, Mapping) and wrapper.get("enable") is True:
        settings = wrapper.get("configuration")
    authentication = settings.get("authentication") if isinstance(settings, Mapping) else None
    if not isinstance(authentication, Mapping) or "managedIdentity" not in authentication:
        return None
    block = authentication["managedIdentity"]
    return block if isinstance(block, Mapping) else {"managedIdentity": block}


def _fault(block: Mapping[str, Any]) -> str | None:
    """Say what the agent refuses in the block, None where it is well formed."""
    missing = [part for part in ("identifier-name", "identifier-value") if not block.get(part)]
    if missing:
        return f"{SETTINGS_PATH} is there without {' and '.join(missing)}"
    name, value = block["identifier-name"], block["identifier-value"]
    if name not in _IDENTIFIERS:
        return f"identifier-name is {name!r}, which is none of {', '.join(_IDENTIFIERS)}"
    if not isinstance(value, str):
        return f"identifier-value is {value!r}, which is no text"
    if name == "mi_res_id":
        return None if _is_identity_id(value) else f"identifier-value is {value!r}, no id of an identity"
    return None if _GUID.fullmatch(value.strip()) else f"identifier-value is {value!r}, which is no GUID"


def _is_identity_id(value: str) -> bool:
    try:
        return ResourceId.parse(value).type.lower() == UserAssignedIdentity.ARM_TYPE.lower()
    except DocumentError:
        return False


def _of_arc_machine(machine: ArcMachine, named: Mapping[str, Any] | None) -> AgentIdentity:
    if named is not None:
        return AgentIdentity(
            outcome=IdentityOutcome.UNSUPPORTED,
            reason=f"the agent's settings name an identity ({SETTINGS_PATH}), and an Arc machine has only "
            "the system-assigned one",
        )
    if machine.identity is None or not machine.identity.has_system_assigned:
        return AgentIdentity(
            outcome=IdentityOutcome.NONE, reason="the machine has no system-assigned identity"
        )
    return _default(machine.identity)


def _default(identity: Identity) -> AgentIdentity:
    """Return what the instance metadata service answers to a request that names nothing."""
    attached = identity.user_assigned_ids
    if identity.has_system_assigned:
        reason = "the settings name no identity, and the system-assigned one answers"
        return AgentIdentity(outcome=IdentityOutcome.SYSTEM_ASSIGNED, reason=reason)
    if not attached:
        reason = "no identity is attached, neither system-assigned nor user-assigned"
        return AgentIdentity(outcome=IdentityOutcome.NONE, reason=reason)
    names = ", ".join(repr(ResourceId.parse(part).name) for part in attached)
    if len(attached) > 1:
        reason = (
            f"the settings name no identity, and {len(attached)} user-assigned ones are attached: {names}"
        )
        return AgentIdentity(outcome=IdentityOutcome.AMBIGUOUS, reason=reason)
    reason = f"the settings name no identity; {names} answers only while it is the one that is attached"
    return AgentIdentity(outcome=IdentityOutcome.IMPLICIT, reason=reason, identity=attached[0])


def _look_up(machine: Machine, identity: Identity, name: str, value: str) -> AgentIdentity:
    """Match a well-formed identifier against what is attached."""
    for attached in identity.user_assigned_ids:
        if name == "mi_res_id" and same_id(attached, value):
            return _found(attached, name) if _exists(machine, attached) else _deleted(attached)
    if name != "mi_res_id":
        wanted = value.lower()
        if name == "object_id" and (identity.principal_id or "").lower() == wanted:
            return AgentIdentity(
                outcome=IdentityOutcome.NAMED, reason="object_id names the system-assigned identity"
            )
        for attached, details in (identity.user_assigned_identities or {}).items():
            if (_guid(machine, attached, details, name) or "").lower() == wanted:
                return _found(attached, name)
    names = ", ".join(repr(ResourceId.parse(part).name) for part in identity.user_assigned_ids)
    return AgentIdentity(
        outcome=IdentityOutcome.NOT_ATTACHED,
        reason=f"the agent asks for {name} {value}, which is not attached "
        f"(user-assigned identities: {names or 'none'})",
        identity=value if name == "mi_res_id" else None,
    )


def _exists(machine: Machine, attached: str) -> bool:
    """Tell whether an attached identity is still there: a deleted one leaves its id behind on the machine.

    Where identities were not read, the machine's document is the evidence: it says attached.
    """
    try:
        return machine.estate.get(UserAssignedIdentity, attached) is not None
    except EvidenceError:
        return True


def _deleted(attached: str) -> AgentIdentity:
    return AgentIdentity(
        outcome=IdentityOutcome.NOT_ATTACHED,
        reason=f"the agent asks for {attached}, which was deleted; the machine only has its id",
        identity=attached,
    )


def _found(attached: str, name: str) -> AgentIdentity:
    reason = f"{name} names the attached identity {ResourceId.parse(attached).name!r}"
    return AgentIdentity(outcome=IdentityOutcome.NAMED, reason=reason, identity=attached)


def _guid(machine: Machine, attached: str, details: object, name: str) -> str | None:
    """Return an attached identity's client or object id, which the machine's document may leave out."""
    known = details.get(_KEYS[name]) if isinstance(details, Mapping) else None
    if isinstance(known, str) and known:
        return known
    resource = machine.estate.get(UserAssignedIdentity, attached)
    if resource is None:
        return None  # the identity was deleted, and its id is left behind on the machine
    value: str | None = getattr(resource.properties, _PROPERTIES[name])
    return value
