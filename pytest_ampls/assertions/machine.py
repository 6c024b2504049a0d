"""Which machines the rules about machines concern; no rule of its own."""

from __future__ import annotations

from pytest_ampls.catalogue import NotApplicable
from pytest_ampls.errors import DocumentError
from pytest_ampls.model.compute import VirtualMachineScaleSet
from pytest_ampls.model.machine import AGENT_TYPES, Extension, Machine, VirtualMachineExtension
from pytest_ampls.model.resource import Resource, needed

__all__ = ["flexible_instances_apart", "identified_extensions", "of_kind", "operating_system"]


def of_kind(subject: Resource, kind: type[Resource]) -> None:
    """Refuse a subject that a rule cannot judge.

    Raises:
        TypeError: the subject is not of the kind.
    """
    if not isinstance(subject, kind):
        raise TypeError(f"the rule judges a {kind.__name__}, and was given {subject!r}")


def flexible_instances_apart(machine: Machine) -> None:
    """Let every machine pass but a Flexible scale set, which is judged through its instances.

    Raises:
        NotApplicable: the machine is a Flexible scale set.
        TypeError: it is no machine at all.
    """
    of_kind(machine, Machine)
    if isinstance(machine, VirtualMachineScaleSet) and machine.is_flexible:
        raise NotApplicable(
            f"scale set {machine.label!r} is Flexible: its instances are virtual machines, judged themselves"
        )


def operating_system(machine: Machine) -> str:
    """Return ``linux`` or ``windows``.

    Raises:
        DocumentError: the machine's document does not tell.
    """
    stated = needed(machine.os_type, machine, "its operating system (osType)")
    for system in AGENT_TYPES:
        if system in stated.lower():
            return system
    raise DocumentError(
        f"{machine.NOUN} {machine.label!r} ({machine.id}) has the operating system {stated!r}, neither Linux "
        "nor Windows: which agent it needs is not known"
    )


def identified_extensions(
    machine: Machine,
) -> tuple[Extension | VirtualMachineExtension, ...]:
    """Return a machine's extensions, each with a publisher and a type to tell it by.

    Raises:
        EvidenceError: they were not read, or one lacks publisher or type.
    """
    extensions = machine.extensions
    for extension in extensions:
        for part in ("publisher", "type"):
            path = f"properties.{part} of its extension {extension.name!r}"
            needed(getattr(extension.properties, part), machine, path)
    return extensions
