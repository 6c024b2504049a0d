"""The rules about the identity that the agent asks for, each on good and on bad estates."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_ampls.assertions.agent import (
    assert_agent_identity,
    assert_agent_identity_explicit,
)
from pytest_ampls.catalogue import ConformanceError
from pytest_ampls.effective.identity import IdentityOutcome, agent_identity
from pytest_ampls.errors import EvidenceError
from pytest_ampls.model import Machine
from tests.assertions.machines import (
    CLIENT_ID,
    IDENTITIES,
    OTHER_UAMI,
    PRINCIPAL_ID,
    UAMI,
    MonitoredBlueprint,
    agent,
    findings,
    machine,
    monitored_estate,
    named,
    observed,
    uami,
    why_not_applicable,
)
from tests.builders import (
    ARC_MACHINES,
    VM_EXTENSIONS,
    VMS,
    Document,
    denied,
    resource_id,
)

VM1 = resource_id(VMS, "vm1")
SYSTEM: Document = {"type": "SystemAssigned", "principalId": "cccccccc-0000-4000-8000-000000000001"}
BOTH: Document = {**uami(UAMI), **SYSTEM, "type": "SystemAssigned, UserAssigned"}


@pytest.fixture
def plan() -> MonitoredBlueprint:
    """Documents of an estate that every rule holds on."""
    return monitored_estate()


def with_agent(
    plan: MonitoredBlueprint, settings: Document | None = None, identity: Document | None = None
) -> Machine:
    """Return a VM whose agent has these settings, and that has these identities."""
    plan[VM_EXTENSIONS, "vm1/any-name"]["properties"]["settings"] = settings
    plan[VMS, "vm1"]["identity"] = identity
    return machine(plan.build())


def outcome(subject: Machine) -> IdentityOutcome:
    """Return what comes of the request of a machine's only agent."""
    (extension,) = subject.agents
    return agent_identity(subject, extension).outcome


HEALTHY: list[Any] = [
    pytest.param(named(), uami(UAMI.upper()), id="resource-id-in-any-case"),
    pytest.param(named(), BOTH, id="named-although-system-assigned-is-on"),
    pytest.param(named("client_id", CLIENT_ID.upper()), uami(UAMI), id="client-id-of-the-identity"),
    pytest.param(named("object_id", PRINCIPAL_ID), uami(OTHER_UAMI, UAMI), id="object-id-of-the-identity"),
    pytest.param(named("object_id", SYSTEM["principalId"]), SYSTEM, id="object-id-of-the-system-assigned"),
    pytest.param(
        named("client_id", "dddddddd-0000-4000-8000-000000000001"),
        {
            "type": "UserAssigned",
            "userAssignedIdentities": {OTHER_UAMI: {"clientId": "dddddddd-0000-4000-8000-000000000001"}},
        },
        id="client-id-in-the-machines-document",
    ),
    pytest.param(
        {"azureMonitorConfiguration": {"enable": True, "configuration": named()}}, uami(UAMI), id="wrapped"
    ),
    pytest.param({}, SYSTEM, id="system-assigned"),
    pytest.param(None, BOTH, id="system-assigned-goes-first"),
    pytest.param({"authentication": {}}, SYSTEM, id="empty-authentication"),
]


@pytest.mark.parametrize(("settings", "identity"), HEALTHY)
def test_an_identity_that_is_attached_holds(
    plan: MonitoredBlueprint, settings: Document | None, identity: Document
) -> None:
    """What the agent asks for is there, and is no accident."""
    plan.add(IDENTITIES, OTHER_UAMI, {"clientId": "x", "principalId": "y"})
    subject = with_agent(plan, settings, identity)
    assert outcome(subject) in (IdentityOutcome.NAMED, IdentityOutcome.SYSTEM_ASSIGNED)
    assert findings(assert_agent_identity, subject) == ()
    assert findings(assert_agent_identity_explicit, subject) == ()


BROKEN: list[Any] = [
    pytest.param(
        {}, None, IdentityOutcome.NONE, "no identity is attached, neither system-assigned", id="none"
    ),
    pytest.param({}, {"type": "None"}, IdentityOutcome.NONE, "no identity is attached", id="type-none"),
    pytest.param(
        named(value=OTHER_UAMI),
        uami(UAMI),
        IdentityOutcome.NOT_ATTACHED,
        f"mi_res_id {OTHER_UAMI}, which is not attached (user-assigned identities: 'id-ama')",
        id="another-one",
    ),
    pytest.param(
        named("client_id", PRINCIPAL_ID),
        uami(UAMI),
        IdentityOutcome.NOT_ATTACHED,
        f"client_id {PRINCIPAL_ID}, which is not attached",
        id="object-id-as-client-id",
    ),
    pytest.param(
        named(),
        SYSTEM,
        IdentityOutcome.NOT_ATTACHED,
        "which is not attached (user-assigned identities: none)",
        id="named-but-system-assigned-only",
    ),
    pytest.param(
        {"authentication": {"managedIdentity": {"identifier-value": UAMI}}},
        uami(UAMI),
        IdentityOutcome.MALFORMED,
        "is there without identifier-name",
        id="no-identifier-name",
    ),
    pytest.param(
        {"authentication": {"managedIdentity": {}}},
        uami(UAMI),
        IdentityOutcome.MALFORMED,
        "is there without identifier-name and identifier-value",
        id="empty-block",
    ),
    pytest.param(
        {"authentication": {"managedIdentity": "id-ama"}},
        uami(UAMI),
        IdentityOutcome.MALFORMED,
        "is there without identifier-name and identifier-value",
        id="block-is-text",
    ),
    pytest.param(
        named("msi_res_id"),
        uami(UAMI),
        IdentityOutcome.MALFORMED,
        "'msi_res_id', which is none of",
        id="typo",
    ),
    pytest.param(
        named(value="id-ama"), uami(UAMI), IdentityOutcome.MALFORMED, "no id of an identity", id="bare-name"
    ),
    pytest.param(
        named(value=VM1), uami(UAMI), IdentityOutcome.MALFORMED, "no id of an identity", id="id-of-a-machine"
    ),
    pytest.param(
        named("client_id", UAMI), uami(UAMI), IdentityOutcome.MALFORMED, "which is no GUID", id="no-guid"
    ),
    pytest.param(
        named("client_id", 7), uami(UAMI), IdentityOutcome.MALFORMED, "which is no text", id="a-number"
    ),
]


@pytest.mark.parametrize(("settings", "identity", "expected", "said"), BROKEN)
def test_an_identity_that_is_not_attached_fails(
    plan: MonitoredBlueprint, settings: Document, identity: Document, expected: IdentityOutcome, said: str
) -> None:
    """The agent gets no token; one rule says so, and the rule on explicit names points to it."""
    subject = with_agent(plan, settings, identity)
    assert outcome(subject) is expected
    (finding,) = findings(assert_agent_identity, subject)
    assert said in finding.observed
    # The evidence is the document that is wrong: the machine's identities, or the extension's settings.
    if expected is IdentityOutcome.MALFORMED:
        assert finding.property == "extensions[any-name].properties.settings.authentication.managedIdentity"
        assert "/virtualMachines/vm1/extensions?api-version=" in finding.evidence
    else:
        assert finding.property.startswith("identity")
        assert "/virtualMachines/vm1?api-version=" in finding.evidence
    reason = why_not_applicable(assert_agent_identity_explicit, subject)
    assert reason == "the agent of 'vm1' gets no identity: AMPLS502 judges that"


@pytest.mark.parametrize(
    ("identity", "expected", "said"),
    [
        (uami(UAMI), IdentityOutcome.IMPLICIT, "'id-ama' answers only while it is the one"),
        (
            uami(UAMI, OTHER_UAMI),
            IdentityOutcome.AMBIGUOUS,
            "and 2 user-assigned ones are attached: 'id-ama', 'id-other'",
        ),
    ],
)
def test_an_identity_that_is_not_named_fails(
    plan: MonitoredBlueprint, identity: Document, expected: IdentityOutcome, said: str
) -> None:
    """A lone identity works until there is a second one; both break one rule only."""
    subject = with_agent(plan, {}, identity)
    assert outcome(subject) is expected
    assert findings(assert_agent_identity, subject) == ()
    (finding,) = findings(assert_agent_identity_explicit, subject)
    assert said in finding.observed
    assert finding.property.endswith("settings.authentication.managedIdentity")


def test_the_fix_names_the_lone_identity(plan: MonitoredBlueprint) -> None:
    """The message can be copied: it holds the machine's id, the agent's type and the identity."""
    with pytest.raises(ConformanceError) as caught:
        assert_agent_identity_explicit(with_agent(plan, {}, uami(UAMI)))
    assert f'"identifier-name": "mi_res_id", "identifier-value": "{UAMI}"' in str(caught.value)
    assert f"az vm extension set --ids {VM1} " in str(caught.value)
    assert "--name AzureMonitorLinuxAgent" in str(caught.value)


def test_the_fix_attaches_what_the_agent_asks_for(plan: MonitoredBlueprint) -> None:
    """The settings name the identity that is missing, whatever else is attached."""
    with pytest.raises(ConformanceError) as caught:
        assert_agent_identity(with_agent(plan, named(value=OTHER_UAMI), uami(UAMI)))
    assert f"az vm identity assign --ids {VM1} --identities {OTHER_UAMI}\n" in str(caught.value)


@pytest.mark.parametrize("identifier", ["client_id", "object_id"])
def test_ids_of_an_identity_must_be_known(plan: MonitoredBlueprint, identifier: str) -> None:
    """An identity that could not be read may be the one that is asked for."""
    plan.gaps[IDENTITIES] = denied("identities")
    subject = with_agent(plan, named(identifier, CLIENT_ID), uami(UAMI))
    for rule in (assert_agent_identity, assert_agent_identity_explicit):
        with pytest.raises(EvidenceError, match="identities"):
            rule(subject)
    by_id = with_agent(plan, named(), uami(UAMI))
    assert findings(assert_agent_identity, by_id) == ()


def test_a_deleted_identity_is_not_found(plan: MonitoredBlueprint) -> None:
    """A machine keeps the id of an identity that was deleted; no client id belongs to it."""
    plan.remove(IDENTITIES, lambda name: True)
    subject = with_agent(plan, named("client_id", CLIENT_ID), uami(UAMI))
    assert "which is not attached" in observed(assert_agent_identity, subject)


@pytest.mark.parametrize(
    ("settings", "identity", "said"),
    [
        ({}, None, "the machine has no system-assigned identity"),
        (named(), SYSTEM, "an Arc machine has only the system-assigned one"),
    ],
)
def test_arc_machines_have_the_system_assigned_identity(
    plan: MonitoredBlueprint, settings: Document, identity: Document | None, said: str
) -> None:
    """An Arc machine's agent uses the system-assigned identity and takes no other."""
    plan[ARC_MACHINES, "arc"]["identity"] = identity
    arc = resource_id(ARC_MACHINES, "arc")
    plan.extend(arc, "AzureMonitorLinuxAgent", agent(settings))
    (finding,) = findings(assert_agent_identity, machine(plan.build(), "arc"))
    assert said in finding.observed
    assert finding.expected == "the system-assigned identity, without any in the settings"
