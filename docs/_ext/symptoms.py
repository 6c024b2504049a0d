"""The directive ``ampls-symptoms``: from what people see to the rule and its fix, read from the code."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from sphinx.util.docutils import SphinxDirective

import pytest_ampls.assertions  # noqa: F401  # declares the rules
from pytest_ampls import CATALOGUE
from pytest_ampls.symptoms import SYMPTOMS, Place, Symptom

if TYPE_CHECKING:
    from docutils import nodes
    from sphinx.application import Sphinx

__all__ = ["setup", "symptoms_markdown"]


def symptoms_markdown() -> str:
    """Return a section for each place where symptoms are seen, and in it a section for each symptom."""
    return "\n".join(line for place in Place for line in _place(place))


def _place(place: Place) -> Iterator[str]:
    yield f"## {place}"
    yield ""
    for symptom in SYMPTOMS:
        if symptom.place is place:
            yield from _symptom(symptom)


def _symptom(symptom: Symptom) -> Iterator[str]:
    yield f"({symptom.id.lower()})="
    yield f"### {_heading(symptom)}"
    yield ""
    yield symptom.cause
    yield ""
    if not symptom.rules:
        yield f"**To do:** {symptom.fix}"
        yield ""
        return
    yield f"**Rules:** {', '.join(f'[{rule}](#{rule.lower()}) {CATALOGUE[rule].title}' for rule in symptom.rules)}"
    yield ""
    yield "```text"
    yield CATALOGUE[symptom.rules[0]].fix.az.strip()
    yield "```"
    yield ""
    if symptom.faults:
        yield f"To see it in the lab: {', '.join(f'`--ampls-lab={_lab(fault)}`' for fault in symptom.faults)}"
        yield ""


def _heading(symptom: Symptom) -> str:
    return symptom.text[0].upper() + symptom.text[1:]


def _lab(fault: str) -> str:
    from pytest_ampls import lab

    return f"{lab.faults()[fault].estates[0]}+{fault}"


class SymptomsDirective(SphinxDirective):
    """Put the symptoms here."""

    def run(self) -> list[nodes.Node]:
        """Return the sections."""
        return self.parse_text_to_nodes(symptoms_markdown(), allow_section_headings=True)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("ampls-symptoms", SymptomsDirective)
    return {"parallel_read_safe": True}
