"""The lab's specification: ``ESTATE[:key=value[,key=value]][+FAULT[=ARGUMENT]]…``."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field

__all__ = ["COMMON_PARAMETERS", "LabError", "Spec", "number_of", "parse_spec", "suggestion", "without_faults"]

COMMON_PARAMETERS = ("latency_ms", "mends_after", "page_size", "throttle")
"""Parameters every estate takes; ``mends_after`` is the seconds after which the faults are gone."""


class LabError(ValueError):
    """The specification of a lab is wrong; the message says what is on offer."""


@dataclass(frozen=True, kw_only=True)
class Spec:
    """A specification, taken apart but not yet checked against what is on offer."""

    text: str
    estate: str
    parameters: dict[str, str] = field(default_factory=dict)
    faults: tuple[tuple[str, str | None], ...] = ()


def without_faults(spec: Spec) -> Spec:
    """Return the specification of the same estate, mended."""
    parameters = {key: value for key, value in spec.parameters.items() if key != "mends_after"}
    return dataclasses.replace(spec, faults=(), parameters=parameters)


def suggestion(seen: str, offered: Iterable[str]) -> str:
    """Return ``" - did you mean 'x'?"`` for a near miss, or ``""``."""
    close = difflib.get_close_matches(seen, list(offered), n=1, cutoff=0.5)
    return f" - did you mean {close[0]!r}?" if close else ""


def parse_spec(text: str) -> Spec:
    """Take a specification apart.

    Raises:
        LabError: a part is empty, a parameter has no value or stands behind a fault, or something is given twice.
    """
    estate_part, *fault_parts = text.strip().split("+")
    estate, colon, rest = estate_part.partition(":")
    parameters: dict[str, str] = {}
    for pair in rest.split(",") if colon else ():
        key, equals, value = (piece.strip() for piece in pair.partition("="))
        if not (key and equals and value):
            raise LabError(f"lab {text!r}: {pair!r} is not key=value, as in 'fleet:vms=1000,latency_ms=60'")
        if key in parameters:
            raise LabError(f"lab {text!r}: the parameter {key!r} is given twice")
        parameters[key] = value
    faults: list[tuple[str, str | None]] = []
    for part in fault_parts:
        name, equals, argument = (piece.strip() for piece in part.partition("="))
        if not name:
            raise LabError(f"lab {text!r}: there is no fault's name behind a '+'")
        if ":" in name:
            raise LabError(
                f"lab {text!r}: {part.strip()!r} has a ':', and parameters stand behind the estate, before the first "
                "fault: 'hub-and-spoke:mends_after=2+record-missing'"
            )
        if name in {seen for seen, _ in faults}:
            raise LabError(f"lab {text!r}: the fault {name!r} is given twice")
        faults.append((name, argument if equals else None))
    return Spec(text=text, estate=estate.strip(), parameters=parameters, faults=tuple(faults))


def number_of(spec: Spec, key: str, default: float, *, least: float) -> float:
    """Return a number that a parameter gives, or the default.

    Raises:
        LabError: it is none, or too small.
    """
    text = spec.parameters.get(key)
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = least - 1
    if value < least:
        raise LabError(f"lab {spec.text!r}: {key}={text} is not a number of at least {least:g}")
    return value
