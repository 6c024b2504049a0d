"""An estate with resources that are in no scope, ways to spoil it, and what AMPLS111 makes of it."""

from __future__ import annotations

from typing import Any

from pytest_ampls.assertions.reach import assert_reachable_as_intended as rule
from pytest_ampls.catalogue import Finding, NotApplicable
from pytest_ampls.errors import EvidenceError
from tests.assertions.machines import MonitoredBlueprint, monitored_estate
from tests.builders import (
    AMPLS,
    COMPONENTS,
    DCES,
    DCRS,
    MEMBERS,
    WORKSPACES,
    ZONE_LINKS,
    Document,
    resource_id,
)
from tests.private_estate import AGENTSVC, MONITOR, ODS, OMS, vnet

ON, OFF, PERIMETER = "Enabled", "Disabled", "SecuredByPerimeter"
OTHER_CUSTOMER = "99999999-0000-4000-8000-000000000009"
OTHER_HOST = "dce-other-cd34.westeurope-1"


def estate_with_strangers() -> MonitoredBlueprint:
    """Return an estate that every rule holds on, with resources that are in no scope besides."""
    plan = monitored_estate()
    plan.add(WORKSPACES, resource_id(WORKSPACES, "other"), {"customerId": OTHER_CUSTOMER})
    hosts = {
        key: {"endpoint": f"https://{OTHER_HOST}.{part}.monitor.azure.com"}
        for key, part in (("configurationAccess", "handler.control"), ("logsIngestion", "ingest"))
    }
    plan.add(DCES, resource_id(DCES, "dce-other"), {**hosts}, location="westeurope")
    plan.add(COMPONENTS, resource_id(COMPONENTS, "appi"), {}, location="westeurope")
    plan.record(MONITOR, "global.in.ai", "192.168.0.68")
    for kind, name in ((WORKSPACES, "ws"), (DCES, "dce")):
        close(plan, kind, name, OFF)
    return plan


def close(plan: MonitoredBlueprint, kind: str, name: str, flag: str) -> None:
    """Set every public access flag of a resource."""
    properties = plan[kind, name]["properties"]
    if kind == DCES:
        properties["networkAcls"] = {"publicNetworkAccess": flag}
    else:
        properties.update(publicNetworkAccessForIngestion=flag, publicNetworkAccessForQuery=flag)


def modes(plan: MonitoredBlueprint) -> Document:
    """Return the access mode settings of the scope, to be changed."""
    settings: Document = plan[AMPLS, "ampls"]["properties"]["accessModeSettings"]
    return settings


def in_another_scope(plan: MonitoredBlueprint, kind: str, name: str) -> None:
    """Put a resource into a second scope, which serves none of the networks."""
    plan.scope("another", [resource_id(kind, name)])


def in_the_scope(plan: MonitoredBlueprint, kind: str, name: str) -> None:
    """Put a resource into the scope; its names are the test's."""
    linked = {"linkedResourceId": resource_id(kind, name).lower(), "provisioningState": "Succeeded"}
    plan.add(MEMBERS, resource_id(AMPLS, "ampls", "scopedResources", name), linked)


def publicly(plan: MonitoredBlueprint) -> None:
    """Let every network resolve all names publicly."""
    plan.remove(ZONE_LINKS, lambda name: True)


def falling_back(plan: MonitoredBlueprint) -> None:
    """Let every link ask the internet for what its zone does not have."""
    for zone in (MONITOR, ODS, OMS, AGENTSVC):
        plan.link(zone, "hub", resolutionPolicy="NxDomainRedirect")


def found(plan: MonitoredBlueprint, network: str = "spoke1", **intents: Any) -> tuple[Finding, ...]:
    """Return what the rule finds on a network."""
    return tuple(rule.check(vnet(plan.build(), network), **intents))


def becomes(plan: MonitoredBlueprint, use: str, name: str) -> str:
    """Return which of the two intents for one use of one resource holds; ``unverified`` where neither is decided."""
    verdicts: dict[str, bool | None] = {}
    for word in ("allowed", "refused"):
        intents: dict[str, Any] = {use: {name: word}}
        try:
            verdicts[word] = not found(plan, **intents)
        except EvidenceError:
            verdicts[word] = None
    if set(verdicts.values()) == {None}:
        return "unverified"
    (held,) = [word for word, holds in verdicts.items() if holds]
    assert set(verdicts.values()) == {True, False}
    return held


def why_not(plan: MonitoredBlueprint, network: str = "spoke1", **intents: Any) -> str:
    """Return why the rule does not apply to a network."""
    findings = rule.check(vnet(plan.build(), network), **intents)
    try:
        finding = next(findings, None)
    except NotApplicable as reason:
        return str(reason)
    raise AssertionError(f"the rule applies, and found {finding}")


def rule_names(plan: MonitoredBlueprint, endpoint: str) -> None:
    """Let the data collection rule name an endpoint."""
    plan[DCRS, "dcr-linux"]["properties"]["dataCollectionEndpointId"] = resource_id(DCES, endpoint).lower()
