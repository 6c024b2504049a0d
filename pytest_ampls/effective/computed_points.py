"""Vantage points that nobody asks: what the configuration of a VNet would answer there."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

import msgspec

from pytest_ampls.effective.computed_answer import AnswerStatus, ComputedAnswer, answers
from pytest_ampls.errors import ConfigurationError, EvidenceError
from pytest_ampls.model.estate import Estate
from pytest_ampls.model.evidence import Answer, Gap, GapKind, VantagePoint
from pytest_ampls.model.network import VirtualNetwork

__all__ = ["computed_answers", "settled"]


def settled(estate: Estate, points: Iterable[VantagePoint]) -> tuple[VantagePoint, ...]:
    """Return vantage points with the id of the VNet in each computed one; others are as they were.

    A VNet that could not be read stays as it was written: what is computed there then says why.

    Raises:
        ConfigurationError: a computed point names a VNet that does not exist, or a name that several have.
    """
    return tuple(_settled(estate, point) if point.computed else point for point in points)


def _settled(estate: Estate, point: VantagePoint) -> VantagePoint:
    try:
        network = _network(estate, point)
    except EvidenceError:
        return point
    return msgspec.structs.replace(point, virtual_network=network.id)


def _network(estate: Estate, point: VantagePoint) -> VirtualNetwork:
    """Return the VNet of a computed point.

    Raises:
        ConfigurationError: as :func:`settled`.
        EvidenceError: it was not read.
    """
    wanted = point.computed
    if wanted.startswith("/"):
        by_id = estate.get(VirtualNetwork, wanted)
        found = [by_id] if by_id is not None else []
    else:
        named = (each for each in estate.known(VirtualNetwork) if each.label.lower() == wanted.lower())
        found = list(named)
        if not found:
            estate.all(VirtualNetwork)  # raises where not all were read: it may be one of the others
    if len(found) == 1:
        return found[0]
    where = f"resolver {point.name!r} (from {point.origin}) is computed:{wanted}"
    if found:
        ids = ", ".join(network.id for network in found)
        raise ConfigurationError(f"{where}, and several virtual networks have this name. Write an id: {ids}")
    labels = [network.label for network in estate.known(VirtualNetwork)]
    close = get_close_matches(wanted, labels, n=1)
    hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(labels) or 'none'}"
    raise ConfigurationError(f"{where}, and no virtual network that was read is called so: {hint}")


def computed_answers(
    estate: Estate, points: Iterable[VantagePoint], names: Iterable[str]
) -> tuple[Answer, ...]:
    """Return the answers of every computed vantage point for every name; the other points give none.

    An answer that leads to the public DNS says so (``Answer.public``), because which addresses that are is not
    known; so does one of servers that disagree (``Answer.mixed``). One that cannot be computed has a gap that says why.

    Args:
        estate: what was read.
        points: vantage points, as :func:`settled` returns them.
        names: public names.

    Raises:
        ConfigurationError: as :func:`settled`.
    """
    asked = tuple(dict.fromkeys(names))
    return tuple(_answer(estate, point, name) for point in points if point.computed for name in asked)


def _answer(estate: Estate, point: VantagePoint, name: str) -> Answer:
    try:
        found = answers(_network(estate, point), name)
    except EvidenceError as error:
        return Answer(vantage_point=point.name, name=name, computed="unverified", gap=_gap(error))
    return _as_answer(point, name, found)


def _as_answer(point: VantagePoint, name: str, found: ComputedAnswer) -> Answer:
    if found.status is AnswerStatus.LOOP:
        message = f"{name} gets no answer at vantage point {point.name!r}, by configuration: {found.reason}"
        gap = Gap(kind=GapKind.UNREACHABLE, message=message)
        return Answer(vantage_point=point.name, name=name, computed=found.status.value, gap=gap)
    return Answer(
        vantage_point=point.name,
        name=name,
        status="NXDOMAIN" if found.status is AnswerStatus.NXDOMAIN else "NOERROR",
        chain=found.chain,
        addresses=found.addresses,
        computed=found.status.value,
        reason=found.reason,
    )


def _gap(error: EvidenceError) -> Gap:
    kinds = {type(Gap(kind=kind, message="").error()): kind for kind in GapKind}
    return Gap(kind=kinds.get(type(error), GapKind.NOT_READ), message=str(error))
