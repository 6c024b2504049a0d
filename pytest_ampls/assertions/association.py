"""What is wrong with a machine's associations, for the rules that ask; no rule of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pytest_ampls.catalogue import Finding, az_rest
from pytest_ampls.effective.collection import misnamed_associations
from pytest_ampls.effective.private_link import private_link_only
from pytest_ampls.errors import EvidenceError, NotReadError
from pytest_ampls.model.associations import require_object, rule_of
from pytest_ampls.model.machine import Machine
from pytest_ampls.model.monitor import (
    CONFIG_ENDPOINT_ASSOCIATION,
    DataCollectionEndpoint,
    DataCollectionRule,
    DataCollectionRuleAssociation,
)
from pytest_ampls.model.resource import ResourceId, region

__all__ = [
    "ENDPOINT_PATH",
    "collects",
    "config_endpoint_findings",
    "how_misnamed",
    "listing",
    "proposed_endpoint",
    "rule_findings",
]

ENDPOINT_PATH: Final = (
    f"dataCollectionRuleAssociations[{CONFIG_ENDPOINT_ASSOCIATION}].properties.dataCollectionEndpointId"
)
"""Where the association with the reserved name holds its endpoint."""

_IDLE_KINDS: Final = frozenset({"agentsettings", "platformtelemetry", "workspacetransforms"})
"""Kinds of rules without data sources for an agent (Learn: structure of a data collection rule)."""


def listing(machine: Machine) -> str:
    """Return the call that shows a machine's associations."""
    return az_rest(machine, DataCollectionRuleAssociation.ARM_TYPE)


def collects(rule: DataCollectionRule) -> bool:
    """Tell whether a rule is of a kind that collects something from a machine."""
    return (rule.kind or "").lower() not in _IDLE_KINDS


def _source(machine: Machine) -> str:
    """Say where an absence comes from, unless the machine's own listing tells it.

    A rule or an endpoint of a subscription that is not judged lists its machines where nobody looked.
    """
    try:
        machine.estate.children(DataCollectionRuleAssociation, machine)
    except NotReadError:
        return ", by the listings of the rules and endpoints that were read"
    return ""


def rule_findings(machine: Machine) -> Iterator[Finding]:
    """Report a machine that no existing rule is associated with."""
    held = [part for part in machine.associations if part.properties.data_collection_rule_id]
    unread: EvidenceError | None = None
    idle: list[str] = []
    for association in machine.associations:
        try:
            rule = rule_of(association)
        except EvidenceError as error:  # another rule may still prove that there is one
            unread = unread or error
            continue
        if rule is not None and collects(rule):
            return
        if rule is not None:
            idle.append(f"{rule.label!r} (kind {rule.kind})")
    if unread is not None:
        raise unread
    if idle:
        observed = f"associated only with rules that collect nothing from a machine: {', '.join(idle)}"
    elif held:
        gone = ", ".join(part.properties.data_collection_rule_id or "" for part in held)
        observed = f"associated only with rules that do not exist: {gone}"
    else:
        observed = f"no association with a data collection rule{_source(machine)}"
    yield Finding.on(
        machine,
        "dataCollectionRuleAssociations[].properties.dataCollectionRuleId",
        expected="at least one association with a data collection rule that exists",
        observed=observed,
        evidence=listing(machine),
        tokens=proposed_endpoint(machine),  # the fix for scale sets associates both
    )


def how_misnamed(name: str) -> str:
    """Quote a name that is not the reserved one, and say so where only case tells them apart."""
    if name.lower() == CONFIG_ENDPOINT_ASSOCIATION.lower():
        return f"{name!r}, which differs in case,"
    return f"{name!r}"


def _config_endpoint_observed(machine: Machine) -> str | None:
    """Say what is wrong with the reserved association, None where nothing is."""
    association = machine.config_endpoint_association
    if association is None:
        near = misnamed_associations(machine)
        if near:
            names = " and ".join(how_misnamed(part.label) for part in near)
            held = "holds an endpoint" if len(near) == 1 else "hold endpoints"
            return f"no association of that name; {names} {held}, and the agent does not look there"
        return f"no association of that name{_source(machine)}"
    endpoint_id = association.properties.data_collection_endpoint_id
    require_object(association)
    if not endpoint_id:
        rule_id = association.properties.data_collection_rule_id or ""
        return (
            f"the association of that name holds the data collection rule {ResourceId.parse(rule_id).name!r} "
            "instead of an endpoint"
        )
    if association.endpoint is None:
        return f"it holds {endpoint_id}, which does not exist"
    return None


def config_endpoint_findings(machine: Machine) -> Iterator[Finding]:
    """Report a machine without the reserved association, or with one that holds no existing endpoint.

    Raises:
        NotApplicable: it has none, and uses no private link at all.
    """
    observed = _config_endpoint_observed(machine)
    if observed is not None:
        if not any(part.properties.data_collection_endpoint_id for part in machine.associations):
            private_link_only(machine)
        yield Finding.on(
            machine,
            ENDPOINT_PATH,
            expected=f"an association named exactly {CONFIG_ENDPOINT_ASSOCIATION}, with an endpoint that "
            "exists",
            observed=observed,
            evidence=listing(machine),
            tokens=proposed_endpoint(machine),
        )


def proposed_endpoint(machine: Machine) -> dict[str, str]:
    """Return the endpoint for the fix: the only one in the machine's region, none where there is a choice."""
    here = region(machine.location)
    near = [part for part in machine.estate.known(DataCollectionEndpoint) if region(part.location) == here]
    return {"endpoint-id": near[0].id} if len(near) == 1 else {}
