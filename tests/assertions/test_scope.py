"""The rules about the private link scope and its members, each on a good and on bad estates."""

from __future__ import annotations

from typing import Any, TypeVar

import pytest

from pytest_ampls.assertions.scope import (
    assert_app_insights_in_scope,
    assert_dce_in_scope,
    assert_ingestion_access_mode,
    assert_not_unreachable,
    assert_public_access_disabled,
    assert_query_access_mode,
    assert_scoped_resources_resolve,
    assert_workspace_in_scope,
)
from pytest_ampls.catalogue import Rule
from pytest_ampls.errors import AccessDeniedError, DocumentError, EvidenceError, NotReadError
from pytest_ampls.model import (
    ApplicationInsights,
    DataCollectionEndpoint,
    Estate,
    PrivateLinkScope,
    Workspace,
)
from pytest_ampls.model.monitor import ScopableResource
from tests.assertions.machines import (
    MonitoredBlueprint,
    findings,
    monitored_estate,
    observed,
    why_not_applicable,
)
from tests.builders import (
    AMPLS,
    ASSOCIATIONS,
    COMPONENTS,
    DCES,
    MEMBERS,
    SCALE_SETS,
    VMS,
    WORKSPACES,
    Document,
    denied,
    resource_id,
)
from tests.private_estate import ampls

COMPONENT = resource_id(COMPONENTS, "appi")
MODES: list[tuple[Rule[[PrivateLinkScope]], str]] = [
    (assert_ingestion_access_mode, "ingestionAccessMode"),
    (assert_query_access_mode, "queryAccessMode"),
]
MEMBERSHIP: list[tuple[Rule[Any], type[ScopableResource], str]] = [
    (assert_workspace_in_scope, Workspace, "ws"),
    (assert_dce_in_scope, DataCollectionEndpoint, "dce"),
    (assert_app_insights_in_scope, ApplicationInsights, "appi"),
]


@pytest.fixture
def plan() -> MonitoredBlueprint:
    """Documents of an estate that every rule holds on: a closed workspace, component and endpoint in one scope."""
    plan = monitored_estate()
    closed = {"publicNetworkAccessForIngestion": "Disabled", "publicNetworkAccessForQuery": "Disabled"}
    plan[WORKSPACES, "ws"]["properties"].update(closed)
    plan[DCES, "dce"]["properties"]["networkAcls"] = {"publicNetworkAccess": "Disabled"}
    plan.add(COMPONENTS, COMPONENT, dict(closed), location="westeurope")
    plan.add(
        MEMBERS,
        resource_id(AMPLS, "ampls", "scopedResources", "appi"),
        {"linkedResourceId": COMPONENT.lower(), "provisioningState": "Succeeded"},
    )
    return plan


S = TypeVar("S", bound=ScopableResource)


def one(estate: Estate, cls: type[S]) -> S:
    """Return the only resource of a class."""
    (found,) = estate.all(cls)
    return found


def modes(plan: MonitoredBlueprint) -> Document:
    """Return the access mode settings of the scope, to be changed."""
    settings: Document = plan[AMPLS, "ampls"]["properties"]["accessModeSettings"]
    return settings


# ------------------------------------------------------------------- AMPLS101, AMPLS102


@pytest.mark.parametrize(("rule", "name"), MODES)
def test_the_access_mode_is_the_expected_one(
    plan: MonitoredBlueprint, rule: Rule[[PrivateLinkScope]], name: str
) -> None:
    """PrivateOnly unless told otherwise, in any case; the other mode does not matter."""
    other = next(key for _, key in MODES if key != name)
    modes(plan)[other] = "Open"
    modes(plan)[name] = "privateonly"
    assert findings(rule, ampls(plan.build())) == ()
    modes(plan)[name] = "Open"
    (finding,) = findings(rule, ampls(plan.build()))
    assert finding.property == f"properties.accessModeSettings.{name}"
    assert (finding.expected, finding.observed) == ("PrivateOnly", "Open")
    assert findings(rule, ampls(plan.build()), expected="Open") == ()


@pytest.mark.parametrize(("rule", "name"), MODES)
def test_an_exclusion_that_weakens_a_mode_fails(
    plan: MonitoredBlueprint, rule: Rule[[PrivateLinkScope]], name: str
) -> None:
    """An exclusion gives the clients of one connection another mode; one that says the same is fine."""
    modes(plan)["exclusions"] = [
        {"privateEndpointConnectionName": "same", name: "PrivateOnly"},
        {"privateEndpointConnectionName": "pe.connection", name: "Open"},
    ]
    (finding,) = findings(rule, ampls(plan.build()))
    assert finding.property == f"properties.accessModeSettings.exclusions[1].{name}"
    assert finding.observed == "Open for clients of connection pe.connection"


@pytest.mark.parametrize(("rule", "name"), MODES)
def test_a_mode_that_is_missing_is_no_default(
    plan: MonitoredBlueprint, rule: Rule[[PrivateLinkScope]], name: str
) -> None:
    """Answers of old api-versions have no modes: an error that names document and property."""
    del modes(plan)[name]
    with pytest.raises(DocumentError, match=rf"'ampls' .* without properties\.accessModeSettings\.{name}"):
        rule(ampls(plan.build()))
    del plan[AMPLS, "ampls"]["properties"]["accessModeSettings"]
    with pytest.raises(DocumentError, match=r"without properties\.accessModeSettings,"):
        rule(ampls(plan.build()))


# ------------------------------------------------------------------- AMPLS103, AMPLS104, AMPLS105


@pytest.mark.parametrize(("rule", "cls", "member"), MEMBERSHIP)
def test_members_of_the_scope_pass(
    plan: MonitoredBlueprint, rule: Rule[Any], cls: type[ScopableResource], member: str
) -> None:
    """A resource that the scope lists passes, and one that is listed nowhere fails."""
    assert findings(rule, one(plan.build(), cls)) == ()
    del plan[MEMBERS, f"ampls/{member}"]
    (finding,) = findings(rule, one(plan.build(), cls))
    assert finding.expected == "a scoped resource of the scope 'ampls'"
    assert finding.observed == "in no private link scope (scopes that were read: ampls)"
    assert "/privatelinkscopes/ampls/scopedResources?" in finding.evidence
    assert finding.tokens["scope"] == "ampls"


@pytest.mark.parametrize(("rule", "cls", "member"), MEMBERSHIP)
@pytest.mark.parametrize("kind", [AMPLS, MEMBERS])
def test_membership_that_was_not_read_is_no_verdict(
    plan: MonitoredBlueprint, rule: Rule[Any], cls: type[ScopableResource], member: str, kind: str
) -> None:
    """A scope or a list of members that was refused may hold the resource."""
    del plan[MEMBERS, f"ampls/{member}"]
    plan.gaps[kind] = denied(kind)
    with pytest.raises(EvidenceError, match=kind):
        rule(one(plan.build(), cls))


@pytest.mark.parametrize(("rule", "cls", "member"), MEMBERSHIP)
def test_without_any_scope_there_is_none_to_propose(
    plan: MonitoredBlueprint, rule: Rule[Any], cls: type[ScopableResource], member: str
) -> None:
    """An estate without scopes: the resource is in none."""
    for kind in (AMPLS, MEMBERS, VMS, SCALE_SETS, ASSOCIATIONS):
        plan.remove(kind, lambda name: True)
    (finding,) = findings(rule, one(plan.build(), cls))
    assert finding.observed == "in no private link scope (scopes that were read: none exists)"
    assert "scope" not in finding.tokens


@pytest.mark.parametrize(("rule", "cls", "member"), MEMBERSHIP[1:])
def test_where_there_is_a_choice_none_is_proposed(
    plan: MonitoredBlueprint, rule: Rule[Any], cls: type[ScopableResource], member: str
) -> None:
    """Two scopes and no client that tells which: the finding names both and proposes neither."""
    plan.scope("another")
    del plan[MEMBERS, f"ampls/{member}"]
    (finding,) = findings(rule, one(plan.build(), cls))
    assert finding.expected == "a member of a private link scope"
    assert finding.observed == "in no private link scope (scopes that were read: ampls, another)"
    assert "scope" not in finding.tokens


def test_a_workspace_belongs_into_the_scope_of_its_clients(plan: MonitoredBlueprint) -> None:
    """Membership of another scope than the clients' DNS leads to is not enough, and both are named."""
    plan.scope("another", [resource_id(WORKSPACES, "ws")])
    del plan[MEMBERS, "ampls/ws"]
    (finding,) = findings(assert_workspace_in_scope, one(plan.build(), Workspace))
    assert finding.expected == "a scoped resource of 'ampls', the scope that its clients' DNS leads to"
    assert finding.observed == "a member only of 'another'"


def test_clients_that_were_not_read_are_no_verdict(plan: MonitoredBlueprint) -> None:
    """Machines that were refused may be clients of the workspace."""
    plan.gaps[VMS] = denied("virtual machines")
    with pytest.raises(AccessDeniedError, match="virtual machines"):
        assert_workspace_in_scope(one(plan.build(), Workspace))


# ------------------------------------------------------------------- AMPLS106


def test_scoped_resources_that_resolve_pass(plan: MonitoredBlueprint) -> None:
    """Members exist; those that report their memberships agree; a whole subscription is left alone."""
    reference = {"resourceId": resource_id(AMPLS, "ampls", "scopedResources", "ws"), "scopeId": "some-guid"}
    plan[WORKSPACES, "ws"]["properties"]["privateLinkScopedResources"] = [reference]
    plan.add(
        MEMBERS,
        resource_id(AMPLS, "ampls", "scopedResources", "metrics"),
        {
            "linkedResourceId": "/subscriptions/00000000-0000-0000-0000-000000000009",
            "kind": "metrics",
            "provisioningState": "Succeeded",
        },
    )
    assert findings(assert_scoped_resources_resolve, ampls(plan.build())) == ()


def test_a_member_may_know_the_scope_by_another_name(plan: MonitoredBlueprint) -> None:
    """What counts is the scope: the membership's own name differs between the two sides."""
    reference = {"resourceId": resource_id(AMPLS, "ampls", "scopedResources", "some-guid")}
    plan[WORKSPACES, "ws"]["properties"]["privateLinkScopedResources"] = [reference]
    assert findings(assert_scoped_resources_resolve, ampls(plan.build())) == ()


def test_a_dangling_member_fails(plan: MonitoredBlueprint) -> None:
    """The member's resource was deleted."""
    plan.remove(COMPONENTS, lambda name: True)
    (finding,) = findings(assert_scoped_resources_resolve, ampls(plan.build()))
    assert finding.property == "scopedResources[appi].properties.linkedResourceId"
    assert finding.observed == f"{COMPONENT.lower()}, which does not"
    assert finding.tokens["member"] == "appi"


def test_a_member_that_is_not_provisioned_fails(plan: MonitoredBlueprint) -> None:
    """A membership that is still being made gives no private path."""
    plan[MEMBERS, "ampls/ws"]["properties"]["provisioningState"] = "Provisioning"
    (finding,) = findings(assert_scoped_resources_resolve, ampls(plan.build()))
    assert finding.property == "scopedResources[ws].properties.provisioningState"
    assert (finding.expected, finding.observed) == ("Succeeded", "Provisioning")


@pytest.mark.parametrize(
    ("kind", "name", "entry", "member"),
    [
        (WORKSPACES, "ws", "privateLinkScopedResources/resourceId", "ws"),
        (COMPONENTS, "appi", "PrivateLinkScopedResources/ResourceId", "appi"),
    ],
)
def test_a_one_sided_membership_fails(
    plan: MonitoredBlueprint, kind: str, name: str, entry: str, member: str
) -> None:
    """The scope lists a resource that knows only of another scope."""
    listed, _, field = entry.partition("/")
    other = resource_id(AMPLS, "another", "scopedResources", "x")
    plan[kind, name]["properties"][listed] = [{field: other}]
    (finding,) = findings(assert_scoped_resources_resolve, ampls(plan.build()))
    assert finding.property == f"scopedResources[{member}].properties.linkedResourceId"
    assert finding.observed == f"it lists only {other.lower()}"
    assert f"/{name}?api-version=" in finding.evidence


def test_members_that_cannot_be_followed_are_no_verdict(plan: MonitoredBlueprint) -> None:
    """A member without link is an error, and so is one of a subscription that nobody read."""
    properties = plan[MEMBERS, "ampls/ws"]["properties"]
    properties["linkedResourceId"] = resource_id(WORKSPACES, "ws", subscription="other")
    with pytest.raises(NotReadError, match="--ampls-subscription"):
        assert_scoped_resources_resolve(ampls(plan.build()))
    del properties["linkedResourceId"]
    with pytest.raises(DocumentError, match=r"without properties\.linkedResourceId"):
        assert_scoped_resources_resolve(ampls(plan.build()))


# ------------------------------------------------------------------- AMPLS109, AMPLS110

FLAGS = [
    (WORKSPACES, "ws", Workspace, "properties.publicNetworkAccessForIngestion"),
    (WORKSPACES, "ws", Workspace, "properties.publicNetworkAccessForQuery"),
    (COMPONENTS, "appi", ApplicationInsights, "properties.publicNetworkAccessForIngestion"),
    (COMPONENTS, "appi", ApplicationInsights, "properties.publicNetworkAccessForQuery"),
    (DCES, "dce", DataCollectionEndpoint, "properties.networkAcls.publicNetworkAccess"),
]


def put(document: Document, path: str, value: str | None) -> None:
    """Set the property at a path, or remove it."""
    *parents, last = path.split(".")
    for part in parents:
        document = document[part]
    if value is None:
        del document[last]
    else:
        document[last] = value


@pytest.mark.parametrize(("kind", "name", "cls", "path"), FLAGS)
def test_public_access_is_off(
    plan: MonitoredBlueprint, kind: str, name: str, cls: type[ScopableResource], path: str
) -> None:
    """Disabled and SecuredByPerimeter count as closed; each flag is judged by itself; a missing one is an error."""
    assert findings(assert_public_access_disabled, one(plan.build(), cls)) == ()
    put(plan[kind, name], path, "SecuredByPerimeter")
    closed = one(plan.build(), cls)
    assert findings(assert_public_access_disabled, closed) == ()
    (finding,) = findings(assert_public_access_disabled, closed, expected="Disabled")
    assert (finding.property, finding.observed) == (path, "SecuredByPerimeter")
    put(plan[kind, name], path, "Enabled")
    (finding,) = findings(assert_public_access_disabled, one(plan.build(), cls))
    assert (finding.property, finding.expected, finding.observed) == (
        path,
        "Disabled or SecuredByPerimeter",
        "Enabled",
    )
    put(plan[kind, name], path, None)
    with pytest.raises(DocumentError, match=path.replace(".", r"\.")):
        assert_public_access_disabled(one(plan.build(), cls))


@pytest.mark.parametrize(("kind", "name", "cls", "path"), FLAGS)
def test_closed_and_in_no_scope_is_unreachable(
    plan: MonitoredBlueprint, kind: str, name: str, cls: type[ScopableResource], path: str
) -> None:
    """One closed flag is enough to need a scope; a resource without any is not judged."""
    assert findings(assert_not_unreachable, one(plan.build(), cls)) == ()
    del plan[MEMBERS, f"ampls/{name}"]
    for _, other, _, flag in FLAGS:
        if other == name and flag != path:
            put(plan[kind, name], flag, "Enabled")
    (finding,) = findings(assert_not_unreachable, one(plan.build(), cls))
    assert finding.property == path
    assert finding.observed.startswith("Disabled, and in no private link scope")
    assert "/privatelinkscopes/ampls/scopedResources?" in finding.evidence
    assert finding.tokens["scope"] == "ampls"
    put(plan[kind, name], path, "Enabled")
    reason = why_not_applicable(assert_not_unreachable, one(plan.build(), cls))
    assert reason.endswith("does not have public access Disabled")


def test_scopes_that_were_not_read_may_make_it_reachable(plan: MonitoredBlueprint) -> None:
    """Nothing is unreachable on a listing that was refused."""
    del plan[MEMBERS, "ampls/dce"]
    plan.gaps[MEMBERS] = denied("scoped resources")
    with pytest.raises(AccessDeniedError):
        assert_not_unreachable(one(plan.build(), DataCollectionEndpoint))


@pytest.mark.parametrize("rule", [assert_public_access_disabled, assert_not_unreachable])
def test_other_resources_have_no_public_access(plan: MonitoredBlueprint, rule: Rule[Any]) -> None:
    """A rule says so when it is given something that has no such flag."""
    with pytest.raises(TypeError, match="has no public access flags"):
        findings(rule, ampls(plan.build()))


def test_the_message_says_what_to_set(plan: MonitoredBlueprint) -> None:
    """The fix names the property and the value."""
    plan[DCES, "dce"]["properties"]["networkAcls"]["publicNetworkAccess"] = "Enabled"
    with pytest.raises(AssertionError) as caught:
        assert_public_access_disabled(one(plan.build(), DataCollectionEndpoint))
    text = str(caught.value)
    assert (
        f"--ids {resource_id(DCES, 'dce')} --set properties.networkAcls.publicNetworkAccess=Disabled" in text
    )
    assert observed(assert_public_access_disabled, one(plan.build(), DataCollectionEndpoint)) == "Enabled"
