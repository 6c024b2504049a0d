"""Whether a specification asks for what is on offer."""

from __future__ import annotations

from pytest_ampls.lab.estate import BLUEPRINTS, Blueprint
from pytest_ampls.lab.fault import faults
from pytest_ampls.lab.spec import COMMON_PARAMETERS, LabError, Spec, suggestion

__all__ = ["blueprint_of"]


def blueprint_of(spec: Spec) -> Blueprint:
    """Return the estate's blueprint, or raise LabError for what is not on offer."""
    blueprint = BLUEPRINTS.get(spec.estate)
    if blueprint is None:
        offered = ", ".join(BLUEPRINTS)
        hint = suggestion(spec.estate, BLUEPRINTS)
        raise LabError(f"lab {spec.text!r}: there is no estate {spec.estate!r}; on offer: {offered}{hint}")
    parameters = (*blueprint.parameters, *COMMON_PARAMETERS)
    for key in spec.parameters:
        if key not in parameters:
            offered, hint = ", ".join(parameters), suggestion(key, parameters)
            raise LabError(
                f"lab {spec.text!r}: {spec.estate} has no parameter {key!r}; on offer: {offered}{hint}"
            )
    for name, argument in spec.faults:
        fault = faults().get(name)
        if fault is None:
            fitting = [other.name for other in faults().values() if spec.estate in other.estates]
            offered, hint = ", ".join(fitting), suggestion(name, faults())
            raise LabError(f"lab {spec.text!r}: there is no fault {name!r}{hint}; on offer: {offered}")
        if spec.estate not in fault.estates:
            where = ", ".join(fault.estates)
            raise LabError(
                f"lab {spec.text!r}: the fault {name!r} does not apply to {spec.estate}, only to {where}"
            )
        if argument is not None and fault.argument is None:
            raise LabError(
                f"lab {spec.text!r}: the fault {name!r} takes no argument, but was given {argument!r}"
            )
    return blueprint
