"""Which machines have to be asked themselves for their associations.

The listings of rules and endpoints name their machines in one call each. They have three faults:
they are recorded with names in lower case, where only the exact spelling of the reserved name
counts; they do not show rules of subscriptions that are not read; and they can be refused. A
machine that one of these may concern is asked itself. Where Resource Graph lists associations, it
keeps the spelling and holds all of a machine's, so that none has to be asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pytest_ampls.arm.discovery import Index, Known
from pytest_ampls.arm.reader import Reader
from pytest_ampls.arm.references import Document, fold, target_of

__all__ = ["machines_to_ask"]

_ASSOCIATIONS: Final = "Microsoft.Insights/dataCollectionRuleAssociations"
_CONTAINERS: Final = ("Microsoft.Insights/dataCollectionRules", "Microsoft.Insights/dataCollectionEndpoints")
_MACHINES: Final = ("Microsoft.Compute/virtualMachines", "Microsoft.HybridCompute/machines")
_SCALE_SETS: Final = "Microsoft.Compute/virtualMachineScaleSets"
_LIKE_THE_RESERVED_NAME: Final = ("configurationaccessendpoint", "configaccess", "accessendpoint")


def machines_to_ask(reader: Reader, index: Index | Known | None) -> list[str]:
    """Return the ids of machines whose associations are not known well enough from elsewhere.

    Machines are VMs, Arc machines and Uniform scale sets. Where the index lists the associations of
    some subscriptions, the machines of the others are all asked.
    """
    if index is not None and index.covers(_ASSOCIATIONS):
        return [own.id for own in _machines(reader) if not index.has(_ASSOCIATIONS, own.id)]
    by_target: dict[str, list[Document]] = {}
    for association in reader.documents(_ASSOCIATIONS):
        target = target_of(association.id)
        if target is not None:
            by_target.setdefault(target, []).append(association)
    everyone = _is_incomplete(reader)
    return [
        machine.id
        for machine in _machines(reader)
        if everyone or _is_doubtful(by_target.get(fold(machine.id), []))
    ]


def _machines(reader: Reader) -> Iterator[Document]:
    for kind in _MACHINES:
        yield from reader.documents(kind)
    yield from (scale_set for scale_set in reader.documents(_SCALE_SETS) if scale_set.is_uniform)


def _is_incomplete(reader: Reader) -> bool:
    kinds = (*_CONTAINERS, _ASSOCIATIONS)
    return any(reading.gap is not None for kind in kinds for reading in reader.readings_of(kind))


def _is_doubtful(associations: list[Document]) -> bool:
    """Tell whether a machine lacks a rule or an endpoint, as far as known, or a name needs its spelling."""
    has_rule = any(part.text("properties.dataCollectionRuleId") for part in associations)
    has_endpoint = any(part.text("properties.dataCollectionEndpointId") for part in associations)
    return not has_rule or not has_endpoint or any(_needs_spelling(part.name) for part in associations)


def _needs_spelling(name: str) -> bool:
    return name == name.lower() and any(part in name for part in _LIKE_THE_RESERVED_NAME)
