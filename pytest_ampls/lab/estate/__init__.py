"""The estates on offer, and how each is built."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from pytest_ampls.lab.estate import empty, fleet, hub_and_spoke, two_scopes
from pytest_ampls.lab.store import Estate

__all__ = ["BLUEPRINTS", "Blueprint", "estates"]


@dataclass(frozen=True, kw_only=True)
class Blueprint:
    """One estate: what it is, how it is built, and which parameters its builder takes."""

    name: str
    title: str
    build: Callable[[dict[str, str]], Estate]
    parameters: tuple[str, ...] = ()


_BLUEPRINTS = (
    Blueprint(
        name="hub-and-spoke",
        title="one scope, one private endpoint in a hub, four spokes that resolve through the hub",
        build=hub_and_spoke.build,
    ),
    Blueprint(
        name="two-scopes",
        title="two scopes with an endpoint each, whose VNets share one set of zones",
        build=two_scopes.build,
    ),
    Blueprint(
        name="fleet",
        title="hub-and-spoke at scale, generated: fleet:vms=1000,subscriptions=1",
        build=fleet.build,
        parameters=fleet.PARAMETERS,
    ),
    Blueprint(name="empty", title="a subscription with nothing in it", build=empty.build),
)

BLUEPRINTS: Final = MappingProxyType({blueprint.name: blueprint for blueprint in _BLUEPRINTS})


def estates() -> Mapping[str, str]:
    """Return the estates on offer: name to a description of one line."""
    return MappingProxyType({name: blueprint.title for name, blueprint in BLUEPRINTS.items()})
