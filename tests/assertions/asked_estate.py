"""The healthy estate with a vantage point, and the subjects of its rules."""

from __future__ import annotations

from typing import Any

from pytest_ampls.model import Answer, Estate, VantagePoint
from pytest_ampls.model.vantage import Resolver
from tests.builders import (
    CUSTOMER,
    VNETS,
    resource_id,
)
from tests.private_estate import (
    MONITOR,
    NetworkBlueprint,
    endpoint,
    member_addresses,
    member_name,
    vnet,
    zone,
)

API = "api.monitor.azure.com"
ODS_NAME = f"{CUSTOMER}.ods.opinsights.azure.com"
OTHER_SUBSCRIPTION = "00000000-0000-0000-0000-000000000002"


def asked(plan: NetworkBlueprint, *, network: str | None = "spoke1") -> NetworkBlueprint:
    """Add a vantage point that answers every name with the endpoint's address."""
    place = resource_id(VNETS, network) if network else None
    plan.vantage_points = [VantagePoint(name="there", servers=("127.0.0.1:5301",), virtual_network=place)]
    plan.answers = []
    for member, address in member_addresses().items():
        answer(plan, member_name(member), address)
    return plan


def answer(plan: NetworkBlueprint, name: str, *addresses: str, end: str = "", **more: Any) -> None:
    """Let the vantage point answer a name; ``end`` is where its chain ends."""
    plan.answers = [kept for kept in plan.answers if kept.name != name]
    chain = (name, *([end] if end else []))
    plan.answers.append(
        Answer(
            vantage_point="there",
            name=name,
            chain=chain,
            addresses=addresses,
            server="127.0.0.1:5301",
            **more,
        )
    )


def there(estate: Estate) -> Resolver:
    """Return the vantage point of an estate."""
    return Resolver(estate, estate.vantage_points[0])


def asked_of(estate: Estate) -> tuple[Any, ...]:
    """Return the subject of the rules about live answers."""
    return endpoint(estate), there(estate)


def spoke(estate: Estate) -> tuple[Any, ...]:
    """Return the subject of the rules about networks."""
    return (vnet(estate, "spoke1"),)


def pe(estate: Estate) -> tuple[Any, ...]:
    """Return the subject of the rules about endpoints."""
    return (endpoint(estate),)


def monitor(estate: Estate) -> tuple[Any, ...]:
    """Return the subject of the rules about zones."""
    return (zone(estate, MONITOR),)


def second_scope(plan: NetworkBlueprint, *, members: list[str]) -> None:
    """Add a scope whose endpoint, in the first spoke, took over the shared name ``api``."""
    plan.scope("second", members)
    plan.endpoint("pe2", "second", "spoke1/vm", {"api": (API, "192.168.0.100")})
    plan.zone_group("pe2", {MONITOR: {"api": "192.168.0.100"}})
    plan.record(MONITOR, "api", "192.168.0.100")
